"""The server: routes, limits and sockets as Binance has them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import attrs

from axon_exchange_binance.simulator import messages
from axon_exchange_binance.simulator.candles import Candles
from axon_exchange_binance.simulator.errors import BinanceError
from axon_exchange_binance.simulator.requests import REST, SOCKET, Request, Requests
from axon_exchange_binance.simulator.streams import Streams
from axon_quant.exchange.simulator import (
    Account,
    AccountEvent,
    Answer,
    Asked,
    FaultPlan,
    Limit,
    MarketFeed,
    SimulatedExchange,
    Simulator,
    Socket,
)
from axon_quant.exchange.simulator.instruments import instruments as default_instruments
from axon_quant.market.instrument import Instrument
from axon_quant.market.types import MarketEvent, Trade

if TYPE_CHECKING:
    from aiohttp import web

_SIGNATURE = re.compile(r"&?signature=[^&]*")
_NOWHERE = Request("", 1)
_BUSY = BinanceError(
    -1008, "Server is currently overloaded with other requests. Please try again in a few minutes.", 503
)
_UNKNOWN = (
    BinanceError(
        -1007,
        "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
        504,
    ),
    BinanceError(-1006, "An unexpected response was received from the message bus. Execution status unknown.", 503),
)
_STREAMS_INSTEAD = "Please use WebSocket Streams for live updates to avoid"
_PING_EVERY = 20.0
BALANCES = {"USDT": "1000000", "BTC": "20", "ETH": "200", "BNB": "100", "EUR": "100000"}


class BinanceSimulator(Simulator):
    """Binance spot. Two accounts trade the same market: `YOUR_API_KEY` / `YOUR_API_SECRET`, and `OTHER_…`.

    `instruments` default to ten, of which `symbols` (default: BTCUSDT and ETHUSDT) have a market. Options as of
    `Simulator` and `MarketFeed`.
    """

    name = "binance"
    limits = (
        Limit("weight", 6000, 60.0),
        Limit("orders", 100, 10.0),
        Limit("orders", 200_000, 86400.0),
        Limit("requests", 61_000, 300.0),
    )

    def __init__(
        self,
        *,
        instruments: Iterable[Instrument] | None = None,
        symbols: Iterable[str] = ("BTCUSDT", "ETHUSDT"),
        accounts: Iterable[Account] | None = None,
        faults: FaultPlan | None = None,
        limits: tuple[Limit, ...] | None = None,
        drift_ms: float = 0.0,
        recording: str | Path | None = None,
        prices: Mapping[str, float] | None = None,
        seed: int = 0,
        speed: float = 1.0,
        engine_timeout: float = 1.0,
    ) -> None:
        exchange = SimulatedExchange(
            default_instruments("binance") if instruments is None else instruments,
            (Account.named("main", BALANCES, prefix="YOUR"), Account.named("other", BALANCES, prefix="OTHER"))
            if accounts is None
            else accounts,
            maker_fee=Decimal("0.001"),
            taker_fee=Decimal("0.001"),
        )
        feed = MarketFeed(exchange, symbols, recording=recording, prices=prices, seed=seed, speed=speed)
        super().__init__(exchange, feed, faults=faults, drift_ms=drift_ms, limits=limits, engine_timeout=engine_timeout)
        self._candles = {symbol: Candles() for symbol in exchange.instruments}
        self._requests = Requests(exchange, self._candles, self._limits)
        self._streams = Streams(exchange)
        self._unknowns = 0
        exchange.listeners.append(self._on_market)
        for account in exchange.accounts.values():
            account.listeners.append(partial(self._on_account, account))

    # Requests.

    def parameters(self, request: web.Request, text: str) -> Mapping[str, str]:
        return {**dict(request.query), **dict(parse_qsl(text, keep_blank_values=True))}

    def route(self, asked: Asked) -> Asked:
        request = REST.get((asked.method, asked.path), _NOWHERE)
        return attrs.evolve(asked, name=request.name, changes=request.changes)

    def cost(self, asked: Asked) -> tuple[str, int, int]:
        request = _request(asked)
        weight = request.weight
        if request.name == "openOrders" and not asked.parameters.get("symbol"):
            weight = 80
        elif request.name == "depth":
            limit = int(asked.parameters.get("limit", "100") or 100)
            weight = 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250
        elif request.name.startswith("ticker") and not asked.parameters.get("symbol"):
            weight = 80 if request.name == "ticker.24hr" else 4
        return "address", weight, request.orders

    def answer(self, asked: Asked) -> Answer:
        request = _request(asked)
        headers = messages.used_headers(self.meters["address"].used(self.now())) if "address" in self.meters else {}
        if not request.name:
            return Answer("<html><body><h2>404 Not found</h2></body></html>", 404)
        payload = _SIGNATURE.sub("", asked.query) + _SIGNATURE.sub("", asked.text)
        if asked.path == "/ws-api":
            payload = _sorted(asked.parameters)
        key = asked.headers.get("X-MBX-APIKEY", "") or asked.parameters.get("apiKey", "")
        try:
            body = self._requests.carry_out(request, asked.parameters, key, payload)
        except BinanceError as error:
            answer = error.answer()
            data = getattr(error, "data", None)
            whole = answer.body if data is None else {"code": error.code, "msg": error.message, "data": data}
            return Answer(whole, answer.status, headers)
        except ValueError as error:
            return Answer({"code": -1100, "msg": f"Illegal characters found in a parameter. {error}"}, 400, headers)
        return Answer(body, 200, headers)

    def refused(self, asked: Asked, code: str, retry_after: float = 0.0) -> Answer:  # noqa: ARG002
        wait = {"Retry-After": str(max(1, -int(-retry_after // 1)))}
        if code == "busy":
            return _BUSY.answer()
        if code == "unknown":
            self._unknowns += 1
            return _UNKNOWN[self._unknowns % 2].answer()
        if code == "banned":
            until = messages.milliseconds(self.now()) + round(retry_after * 1000)
            text = f"Way too much request weight used; IP banned until {until}. {_STREAMS_INSTEAD} bans."
            return Answer({"code": -1003, "msg": text}, 418, wait)
        if code == "too-many-orders":
            text = "Too many new orders; current limit is 100 orders per 10 SECOND."
            return Answer({"code": -1015, "msg": text}, 429, wait)
        used = "current limit is 6000 request weight per 1 MINUTE"
        text = f"Too much request weight used; {used}. {_STREAMS_INSTEAD} polling the API."
        return Answer({"code": -1003, "msg": text}, 429, wait)

    # Sockets.

    def opened(self, socket: Socket) -> None:
        if "/ws-api/" in socket.path:
            socket.data["subscriptions"] = {}
        else:
            self._streams.opened(socket)
        self.spawn(self._ping(socket))

    def dropped(self, socket: Socket) -> None:
        self._streams.dropped(socket)

    async def _ping(self, socket: Socket) -> None:
        while not socket.closed:
            await asyncio.sleep(_PING_EVERY)
            await socket.ping()

    async def talk(self, socket: Socket, text: str) -> None:
        try:
            said = json.loads(text)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            socket.say({"error": {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"}})
            return
        if "/ws-api/" not in socket.path:
            socket.say(self._streams.asked(socket, said))
            return
        await self._asked(socket, said)

    async def _asked(self, socket: Socket, said: dict[str, object]) -> None:
        """A request of the WebSocket API."""
        method, id_ = str(said.get("method")), said.get("id")
        raw = said.get("params")
        given = {key: _text(value) for key, value in raw.items()} if isinstance(raw, dict) else {}
        if method == "userDataStream.subscribe.signature":
            self._subscribe(socket, id_, given)
            return
        if method == "userDataStream.unsubscribe":
            socket.data["subscriptions"].clear()
            socket.say({"id": id_, "status": 200, "result": {}})
            return
        request = SOCKET.get(method)
        if request is None:
            error = {"code": -1000, "msg": f"Unknown method: {method}"}
            socket.say({"id": id_, "status": 400, "error": error})
            return
        asked = Asked(method, "/ws-api", "", given, {}, "", request.name, request.changes)
        answer = await self.respond(asked)
        if answer is None:
            socket.close()
            return
        body: dict[str, object] = {"id": id_, "status": answer.status, "rateLimits": []}
        body["result" if answer.status == 200 else "error"] = answer.body
        socket.say(body)

    def _subscribe(self, socket: Socket, id_: object, given: Mapping[str, str]) -> None:
        try:
            account = self._requests.identified(given, given.get("apiKey", ""), _sorted(given))
        except BinanceError as error:
            socket.say({"id": id_, "status": error.status, "error": {"code": error.code, "msg": error.message}})
            return
        subscriptions = socket.data["subscriptions"]
        number = len(subscriptions)
        subscriptions[number] = account.key
        socket.say({"id": id_, "status": 200, "result": {"subscriptionId": number}})

    def announce_shutdown(self, socket: Socket) -> None:
        event = {"e": "serverShutdown", "E": messages.milliseconds(self.now())}
        if "/ws-api/" in socket.path:
            socket.say({"event": event})
        else:
            socket.say(event)

    # Events.

    def _on_account(self, account: Account, event: AccountEvent) -> None:
        report: dict[str, object] | None = None
        for socket in list(self.sockets):
            for number, key in list(socket.data.get("subscriptions", {}).items()):
                if key == account.key:
                    if report is None:
                        report = messages.execution_report(event)
                        position = messages.account_position(account, event)
                    socket.send("stream:account", {"subscriptionId": number, "event": report})
                    socket.send("stream:account", {"subscriptionId": number, "event": position})

    def _on_market(self, event: MarketEvent) -> None:
        candle = self._candles[event.symbol].add(event) if isinstance(event, Trade) else None
        self._streams.publish(event, candle, self._candles[event.symbol])


def _request(asked: Asked) -> Request:
    if asked.path == "/ws-api":
        return SOCKET[asked.method]
    return REST.get((asked.method, asked.path), _NOWHERE)


def _sorted(given: Mapping[str, str]) -> str:
    """What a request of the WebSocket API signs: its parameters in order of their names."""
    return "&".join(f"{key}={value}" for key, value in sorted(given.items()) if key != "signature")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
