"""The server: routes, limits and sockets as Binance has them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from axon_exchange_binance.simulator.account_queries import AccountQueries
from axon_exchange_binance.simulator.candles import Tape
from axon_exchange_binance.simulator.exchange_info import rate_limit
from axon_exchange_binance.simulator.identity import identified, signed_parameters, signed_text
from axon_exchange_binance.simulator.market_queries import MarketQueries
from axon_exchange_binance.simulator.numbers import milliseconds
from axon_exchange_binance.simulator.parameters import Parameters
from axon_exchange_binance.simulator.serving import BinanceServer, key_of
from axon_exchange_binance.simulator.streams import Streams
from axon_exchange_binance.simulator.table import REST, SOCKET, Request, weight
from axon_exchange_binance.simulator.trading import Trading
from axon_exchange_binance.simulator.user_streams import UserStreams
from axon_quant.clock import Clock
from axon_quant.exchange.simulator import (
    Account,
    Asked,
    FaultPlan,
    Limit,
    MarketFeed,
    SimulatedExchange,
    Socket,
)
from axon_quant.exchange.simulator.instruments import instruments as default_instruments
from axon_quant.market.instrument import Instrument

BALANCES = {"USDT": "1000000", "BTC": "20", "ETH": "200", "BNB": "100", "EUR": "100000"}
_CONNECTION_WEIGHT = 2


class BinanceSimulator(BinanceServer):
    """Binance spot. Two accounts trade the same market: `YOUR_API_KEY` / `YOUR_API_SECRET`, and `OTHER_…`.

    `instruments` default to ten, of which `symbols` (default: BTCUSDT and ETHUSDT) have a market that has been open for
    `history` seconds. Fees are fractions, in what a fill brings in. Other options as of `Simulator` and `MarketFeed`.
    """

    name = "binance"
    table = REST
    limits = (
        Limit("weight", 6_000, 60.0),
        Limit("orders", 100, 10.0),
        Limit("orders", 200_000, 86_400.0),
        Limit("requests", 61_000, 300.0),
    )
    ping_every = 20.0
    silence_limit = 60.0

    def __init__(
        self,
        *,
        instruments: Iterable[Instrument] | None = None,
        symbols: Iterable[str] = ("BTCUSDT", "ETHUSDT"),
        accounts: Iterable[Account] | None = None,
        maker_fee: Decimal = Decimal("0.001"),
        taker_fee: Decimal = Decimal("0.001"),
        faults: FaultPlan | None = None,
        limits: tuple[Limit, ...] | None = None,
        drift_ms: float = 0.0,
        recording: str | Path | None = None,
        prices: Mapping[str, float] | None = None,
        seed: int = 0,
        speed: float = 1.0,
        history: float = 10.0,
        engine_timeout: float = 1.0,
        clock: Clock | None = None,
    ) -> None:
        exchange = SimulatedExchange(
            default_instruments("binance") if instruments is None else instruments,
            Account.two(BALANCES) if accounts is None else accounts,
            maker_fee=maker_fee,
            taker_fee=taker_fee,
        )
        feed = MarketFeed(
            exchange, symbols, recording=recording, prices=prices, seed=seed, speed=speed, history=history
        )
        super().__init__(
            exchange,
            feed,
            faults=faults,
            drift_ms=drift_ms,
            limits=limits,
            engine_timeout=engine_timeout,
            clock=clock,
        )
        self._tapes = {symbol: Tape() for symbol in exchange.instruments}
        market, queries = (
            MarketQueries(exchange, self._tapes, self.limits),
            AccountQueries(exchange, self._order_counts),
        )
        self._market_queries = market.by_name
        self._account_requests = queries.by_name | Trading(exchange, self._tapes).by_name
        self._streams = Streams(exchange, self._tapes)
        self._user_streams = UserStreams(self.sockets)
        exchange.listeners.append(self._on_market)
        for account in exchange.accounts.values():
            account.listeners.append(partial(self._user_streams.publish, account))

    def terminate(self, account: Account) -> None:
        """End every subscription to an account's events, as when its key is revoked."""
        self._user_streams.terminate(account, self.now())

    # Requests.

    def _request(self, asked: Asked) -> Request:
        return SOCKET[asked.name] if isinstance(asked.data, Socket) else super()._request(asked)

    def _weight(self, request: Request, given: Mapping[str, str]) -> int:
        return weight(request, given)

    def _carried_out(self, request: Request, asked: Asked) -> object:
        given = Parameters(asked.parameters, self.exchange.instruments)
        given.check(request.known)
        if request.name in self._market_queries:
            return self._market_queries[request.name](given)
        if isinstance(asked.data, Socket) and not request.signed:
            return self._user_streams.asked(request.name, asked.data, given, self.now())
        by_socket = isinstance(asked.data, Socket)
        signed = signed_parameters(asked.parameters) if by_socket else signed_text(asked.query, asked.text)
        account = identified(self.exchange.accounts, asked.parameters, key_of(asked), signed, asked.entered)
        if isinstance(asked.data, Socket) and request.name not in self._account_requests:
            return self._user_streams.subscribe(asked.data, account)
        return self._account_requests[request.name](account, given)

    def _rate_limits(self, request: Request, asked: Asked) -> list[dict[str, object]]:
        account = self.exchange.accounts.get(key_of(asked))
        used = self._order_counts(account) if request.orders and account is not None else []
        used += [
            (limit, count) for limit, count in self.meter("address").used(self.undrifted()) if limit.kind == "weight"
        ]
        return [rate_limit(limit, count) for limit, count in used]

    # Sockets.

    def opened(self, socket: Socket) -> None:
        now = self.undrifted()
        allowed = self._may_connect(socket)
        if _is_api(socket):
            self._user_streams.opened(socket)
            query = parse_qs(urlsplit(socket.path).query)
            socket.data["rate limits"] = query.get("returnRateLimits", ["true"])[-1]
            use = {"weight": _CONNECTION_WEIGHT, "requests": 1}
            allowed = self.meter("address").take(now, use, socket.arrived).allowed and allowed
        else:
            self._streams.subscriptions.opened(socket)
        if not allowed:
            socket.close()

    def dropped(self, socket: Socket) -> None:
        if not _is_api(socket):
            self._streams.subscriptions.dropped(socket)

    async def _told(self, socket: Socket, said: dict[str, object]) -> None:
        if _is_api(socket):
            await self._requested(socket, said)
        else:
            await super()._told(socket, said)

    async def _requested(self, socket: Socket, said: dict[str, object]) -> None:
        """A request of the WebSocket API."""
        method, id_, given = said.get("method"), said.get("id"), said.get("params", {})
        request = SOCKET.get(str(method))
        if request is None or not isinstance(given, dict):
            error = {"code": -1000, "msg": f"Unknown method: {method}"}
            socket.say({"id": id_, "status": 400, "error": error, "rateLimits": []})
            return
        parameters = {name: _text(value) for name, value in given.items()}
        asked = Asked(request.name, "/ws-api/v3", "", parameters, {}, "", request.name, request.changes, data=socket)
        answer = await self.respond(asked)
        if answer is None:
            socket.close()
            return
        body: dict[str, object] = {"id": id_, "status": answer.status}
        body["result" if answer.status == 200 else "error"] = answer.body
        if parameters.get("returnRateLimits", socket.data["rate limits"]) == "true":
            body["rateLimits"] = self._rate_limits(request, asked)
        socket.say(body)

    def end_subscription(self, socket: Socket) -> None:
        if _is_api(socket):
            self._user_streams.ended(socket, self.now())
        else:
            socket.close()

    def announce_shutdown(self, socket: Socket) -> None:
        event = {"e": "serverShutdown", "E": milliseconds(self.now())}
        if _is_api(socket):
            socket.say({"event": event})
        else:
            socket.say({"stream": "!serverShutdown", "data": event} if socket.data["combined"] else event)


def _is_api(socket: Socket) -> bool:
    return socket.path.startswith("/ws-api/")


def _text(value: object) -> str:
    """A parameter as it is signed."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
