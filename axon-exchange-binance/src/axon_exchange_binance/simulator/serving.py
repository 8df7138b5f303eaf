"""What the simulators of Binance's venues have in common: routes, limits, refusals and the market's sockets."""

from __future__ import annotations

import asyncio
import json
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qsl

import attrs

from axon_exchange_binance.simulator import errors
from axon_exchange_binance.simulator.candles import Tape
from axon_exchange_binance.simulator.errors import BinanceError
from axon_exchange_binance.simulator.exchange_info import interval
from axon_exchange_binance.simulator.numbers import milliseconds
from axon_exchange_binance.simulator.streams import Streams
from axon_exchange_binance.simulator.table import NOWHERE, Request
from axon_quant.exchange.simulator import Account, Answer, Asked, Charge, Limit, Meter, Simulator, Socket, Verdict
from axon_quant.market.types import MarketEvent, Trade

if TYPE_CHECKING:
    from aiohttp import web

_SAPI = Limit("weight", 12_000, 60.0)
_CONNECTIONS = Limit("requests", 300, 300.0)
_NOT_FOUND = Answer("<html><body><h2>404 Not found</h2></body></html>", 404)
_BAD_JSON = {"error": {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}}


class BinanceServer(Simulator):
    """A venue says which requests it has (`table`), carries them out, and has the market's streams."""

    table: ClassVar[Mapping[tuple[str, str], Request]]
    messages_per_second: ClassVar[int] = 5
    """That a client of the market's streams may say."""
    _streams: Streams
    _tapes: dict[str, Tape]
    _unknowns = 0

    @abstractmethod
    def _carried_out(self, request: Request, asked: Asked) -> object:
        """The body of the answer. Raises BinanceError."""

    @abstractmethod
    def _weight(self, request: Request, given: Mapping[str, str]) -> int:
        """What a request costs, with what its parameters add."""

    def _request(self, asked: Asked) -> Request:
        return self.table.get((asked.method, asked.path), NOWHERE)

    # Requests.

    def parameters(self, request: web.BaseRequest, text: str) -> Mapping[str, str]:
        """Of the body and the query, which wins."""
        query = request.rel_url.raw_query_string
        return {
            **dict(parse_qsl(text, keep_blank_values=True)),
            **dict(parse_qsl(query, keep_blank_values=True)),
        }

    def route(self, asked: Asked) -> Asked:
        request = self._request(asked)
        return attrs.evolve(asked, name=request.name, changes=request.changes)

    def charges(self, asked: Asked) -> list[Charge]:
        request = self._request(asked)
        uses = {"weight": self._weight(request, asked.parameters), "requests": 1}
        charges: list[Charge] = [("sapi" if request.sapi else "address", uses)]
        account = self.exchange.accounts.get(key_of(asked))
        if request.orders and account is not None:
            charges.append((f"orders:{account.name}", {"orders": request.orders}))
        return charges

    def make_meter(self, name: str) -> Meter:
        if name == "sapi":
            return Meter((_SAPI,), grace=self.grace)
        if name == "connections":
            return Meter((_CONNECTIONS,), bans=False)
        of_orders = name.startswith("orders:")
        limits = [limit for limit in self.limits if (limit.kind == "orders") is of_orders]
        return Meter(limits, bans=not of_orders, grace=self.grace)

    def answer(self, asked: Asked) -> Answer:
        request = self._request(asked)
        if not request.name:
            return _NOT_FOUND
        try:
            body, status = self._carried_out(request, asked), 200
        except BinanceError as error:
            body, status = error.body, error.status
        return Answer(body, status, self._used_headers(request, asked))

    def refused(self, asked: Asked, code: str, verdict: Verdict) -> Answer:
        if code == "busy":
            return errors.BUSY.answer()
        if code == "unknown":
            self._unknowns += 1
            return errors.UNKNOWN[self._unknowns % len(errors.UNKNOWN)].answer()
        now_ms, wait_ms = milliseconds(self.now()), round(verdict.retry_after * 1000)
        if code == "banned":
            error = errors.banned(now_ms + wait_ms)
        elif verdict.limit is None:
            error = errors.waiting(verdict)
        else:
            error = errors.over_limit(verdict.limit, " ".join(map(str, interval(verdict.limit))))
        if isinstance(asked.data, Socket):
            error.data = {"serverTime": now_ms, "retryAfter": now_ms + wait_ms}
        return Answer(error.body, error.status, {"Retry-After": str(max(1, -(-wait_ms // 1000)))})

    # What is used.

    def _order_counts(self, account: Account) -> list[tuple[Limit, int]]:
        return self.meter(f"orders:{account.name}").used(self.undrifted())

    def _used_headers(self, request: Request, asked: Asked) -> dict[str, str]:
        headers = {}
        for limit, count in self.meter("sapi" if request.sapi else "address").used(self.undrifted()):
            if limit.kind == "weight":
                many, unit = interval(limit)
                prefix = "X-SAPI-USED-IP-WEIGHT" if request.sapi else "X-MBX-USED-WEIGHT"
                headers[f"{prefix}-{many}{unit[0]}"] = str(count)
                if not request.sapi:
                    headers[prefix] = str(count)
        account = self.exchange.accounts.get(key_of(asked))
        if request.orders and account is not None:
            for limit, count in self._order_counts(account):
                many, unit = interval(limit)
                headers[f"X-MBX-ORDER-COUNT-{many}{unit[0]}"] = str(count)
        return headers

    # Sockets of the market.

    def _may_connect(self, socket: Socket) -> bool:
        return self.meter("connections").take(self.undrifted(), {"requests": 1}, socket.arrived).allowed

    async def talk(self, socket: Socket, text: str) -> None:
        try:
            said = json.loads(text, parse_float=str)
        except (ValueError, RecursionError):
            said = None
        if isinstance(said, dict):
            await self._told(socket, said)
        else:
            socket.say(_BAD_JSON)

    async def _told(self, socket: Socket, said: dict[str, object]) -> None:
        """A client of the market's streams said something."""
        if self._is_too_much(socket):
            socket.close()
        else:
            socket.say(self._streams.subscriptions.asked(socket, said))

    def _is_too_much(self, socket: Socket) -> bool:
        """Whether a client of the market's streams says more than it may in a second."""
        second = int(asyncio.get_running_loop().time())
        known, count = socket.data.get("said", (second, 0))
        count = count + 1 if known == second else 1
        socket.data["said"] = (second, count)
        return count > self.messages_per_second

    # Events.

    def _on_market(self, event: MarketEvent) -> None:
        if isinstance(event, Trade):
            self._tapes[event.symbol].add(event)
        self._streams.publish(event)


def key_of(asked: Asked) -> str:
    """The key that a request names, "" if none."""
    return asked.headers.get("X-MBX-APIKEY", "") or asked.parameters.get("apiKey", "")
