"""The server: routes, limits and sockets as Binance's futures have them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path

from axon_exchange_binance.simulator.candles import Tape
from axon_exchange_binance.simulator.futures.account_queries import FuturesAccountQueries
from axon_exchange_binance.simulator.futures.instruments import instruments as default_instruments
from axon_exchange_binance.simulator.futures.market_queries import FuturesMarketQueries
from axon_exchange_binance.simulator.futures.stops import Stops
from axon_exchange_binance.simulator.futures.streams import ROUTES, FuturesStreams
from axon_exchange_binance.simulator.futures.table import REST, weight
from axon_exchange_binance.simulator.futures.trading import FuturesTrading
from axon_exchange_binance.simulator.futures.user_streams import FuturesUserStreams, is_private
from axon_exchange_binance.simulator.identity import identified, keyed, signed_text
from axon_exchange_binance.simulator.numbers import milliseconds
from axon_exchange_binance.simulator.parameters import Parameters
from axon_exchange_binance.simulator.serving import BinanceServer, key_of
from axon_exchange_binance.simulator.table import Request
from axon_quant.clock import Clock
from axon_quant.exchange.simulator import (
    Account,
    Asked,
    FaultPlan,
    Limit,
    MarketFeed,
    SimulatedExchange,
    Socket,
    SwapTerms,
)
from axon_quant.market.instrument import Instrument

BALANCES = {"USDT": "1000000", "BNB": "100"}
TERMS = SwapTerms(leverage=20, max_leverage=125, clip_reduce_only=False)
_LOOK_EVERY = 0.1


class BinanceFuturesSimulator(BinanceServer):
    """Binance USDⓈ-M futures: perpetual swaps. Two accounts trade the same market: `YOUR_…` and `OTHER_…`.

    `instruments` default to eight, of which `symbols` (default: BTCUSDT and ETHUSDT) have a market that has been open
    for `history` seconds. Fees are fractions, in USDT. `swap_terms` say how leverage, margin and funding are; a listen
    key lasts `listen_key_life` seconds. Other options as of `Simulator` and `MarketFeed`.
    """

    name = "binance-futures"
    table = REST
    messages_per_second = 10
    limits = (
        Limit("weight", 2_400, 60.0),
        Limit("orders", 300, 10.0),
        Limit("orders", 1_200, 60.0),
    )
    ping_every = 180.0
    silence_limit = 600.0

    def __init__(
        self,
        *,
        instruments: Iterable[Instrument] | None = None,
        symbols: Iterable[str] = ("BTCUSDT", "ETHUSDT"),
        accounts: Iterable[Account] | None = None,
        maker_fee: Decimal = Decimal("0.0002"),
        taker_fee: Decimal = Decimal("0.0005"),
        swap_terms: SwapTerms = TERMS,
        faults: FaultPlan | None = None,
        limits: tuple[Limit, ...] | None = None,
        drift_ms: float = 0.0,
        recording: str | Path | None = None,
        prices: Mapping[str, float] | None = None,
        seed: int = 0,
        speed: float = 1.0,
        history: float = 10.0,
        engine_timeout: float = 1.0,
        listen_key_life: float = 3600.0,
        clock: Clock | None = None,
    ) -> None:
        exchange = SimulatedExchange(
            default_instruments(self.name) if instruments is None else instruments,
            Account.two(BALANCES) if accounts is None else accounts,
            maker_fee=maker_fee,
            taker_fee=taker_fee,
            swap_terms=swap_terms,
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
        market = FuturesMarketQueries(exchange, self._tapes, self.limits)
        self._trading = FuturesTrading(exchange)
        queries = FuturesAccountQueries(exchange, self._order_counts, self._trading.hedged)
        self._market_queries = market.by_name
        stops = Stops(exchange, self._trading.hedged)
        self._account_requests = queries.by_name | self._trading.by_name | stops.by_name
        self._streams = FuturesStreams(exchange, self._tapes, market.premium)
        self._user_streams = FuturesUserStreams(exchange, self.sockets, self.now, listen_key_life)
        self._key_requests = {
            "listenKey.make": self._user_streams.make,
            "listenKey.keep": self._user_streams.keep,
            "listenKey.close": self._user_streams.close,
        }
        exchange.listeners.append(self._on_market)
        for account in exchange.accounts.values():
            account.listeners.append(partial(self._user_streams.publish, account))

    async def start(self, port: int = 0) -> dict[str, str]:
        roots = await super().start(port)
        self.spawn(self._keep_time())
        return roots

    async def stop(self) -> None:
        self._trading.stop()
        await super().stop()

    def terminate(self, account: Account) -> None:
        """End an account's listen key, as when its API key is revoked."""
        self._user_streams.close(account)

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            self._user_streams.expire()
            self.exchange.swaps.tick()

    # Requests.

    def _weight(self, request: Request, given: Mapping[str, str]) -> int:
        return weight(request, given)

    def _carried_out(self, request: Request, asked: Asked) -> object:
        given = Parameters(asked.parameters, self.exchange.instruments)
        given.check(request.known)
        if request.name in self._market_queries:
            return self._market_queries[request.name](given)
        if request.name in self._key_requests:
            return self._key_requests[request.name](keyed(self.exchange.accounts, key_of(asked)))
        signed = signed_text(asked.query, asked.text)
        account = identified(self.exchange.accounts, asked.parameters, key_of(asked), signed, asked.entered)
        return self._account_requests[request.name](account, given)

    # Sockets.

    def opened(self, socket: Socket) -> None:
        allowed = self._may_connect(socket)
        if is_private(socket):
            allowed = self._user_streams.opened(socket) and allowed
        elif socket.path.removeprefix("/").partition("/")[0] in ROUTES:
            self._streams.subscriptions.opened(socket)
        else:
            allowed = False
        if not allowed:
            socket.close()

    def dropped(self, socket: Socket) -> None:
        if "names" in socket.data:
            self._streams.subscriptions.dropped(socket)

    async def _told(self, socket: Socket, said: dict[str, object]) -> None:
        if "names" in socket.data:  # a client has nothing to say to its account's events
            await super()._told(socket, said)

    def end_subscription(self, socket: Socket) -> None:
        if is_private(socket):
            self._user_streams.ended(socket)
        else:
            socket.close()

    def announce_shutdown(self, socket: Socket) -> None:
        event = {"e": "serverShutdown", "E": milliseconds(self.now())}
        combined = socket.data.get("combined", False)
        socket.say({"stream": "!serverShutdown", "data": event} if combined else event)
