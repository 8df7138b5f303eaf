"""What Binance's venues have in common: their requests, orders and market data. Spot and futures are of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import ClassVar, TypeVar

import attrs
from aiohttp import ClientSession, DummyCookieJar, TCPConnector

from axon_exchange_binance.answers import (
    AggregateTrade,
    DepthSnapshot,
    Execution,
    LastPrice,
    OrderRecord,
    Placed,
    ServerTime,
    TradeRecord,
    decoded,
)
from axon_exchange_binance.instruments import ExchangeInfo, limits
from axon_exchange_binance.orders import KINDS, fill_of, named, state_of, update_of
from axon_exchange_binance.rest import Rest
from axon_exchange_binance.signing import escaped, signer
from axon_exchange_binance.user_stream import UserStream
from axon_quant.clock import MILLISECOND, Clock
from axon_quant.errors import (
    AmbiguousError,
    MalformedMessageError,
    NotFoundError,
    UnavailableError,
)
from axon_quant.exchange.budget import Request, Sleep, VenueLimit
from axon_quant.exchange.ccxt_adapter import CcxtAdapter
from axon_quant.exchange.config import ExchangeConfig
from axon_quant.exchange.link import Link
from axon_quant.exchange.order_log import OrderLog
from axon_quant.market.types import Trade
from axon_quant.orders.tracker import OrderState
from axon_quant.orders.types import Fill, Order, OrderStatus, OrderType

_T = TypeVar("_T")
_Start = dict[str, str | int]
_PAGE = 1000
_MOST_PAGES = 20
_SNAPSHOT_LEVELS = 1000
_USED = {"weight": "X-MBX-USED-WEIGHT-", "orders": "X-MBX-ORDER-COUNT-"}
_UNREPORTED = (OrderStatus.Created, OrderStatus.Submitted, OrderStatus.Unknown)
_STANDING = (OrderStatus.Open, OrderStatus.PartiallyFilled)
_PERIODS = ((86400.0, "D"), (3600.0, "H"), (60.0, "M"), (1.0, "S"))


@attrs.frozen
class Paths:
    """What is called differently where: the root of the requests, and two of them."""

    root: str
    cancel_all: str
    trades: str


class BinanceVenue(CcxtAdapter):
    """One account at one of Binance's venues; `testnet` picks the test network, which has keys of its own.

    A subclass says where it is (`paths`, `_rest_root`), which order types and trades it has, how an order is sent
    (`_order_parameters`), and makes its streams in `_connect`. Fills are looked up for the symbols that this adapter
    has seen orders of: Binance tells an account's trades per symbol only.
    """

    paths: ClassVar[Paths]
    kinds: ClassVar[Mapping[str, OrderType]] = KINDS
    trade_record: ClassVar[type[TradeRecord]] = TradeRecord
    watches_account = False
    client_order_id_length: ClassVar[int] = 36

    def __init__(
        self,
        config: ExchangeConfig,
        *,
        clock: Clock | None = None,
        sleep: Sleep | None = None,
        order_log: OrderLog | None = None,
    ) -> None:
        super().__init__(config, clock=clock, sleep=sleep, order_log=order_log)
        self._testnet = config.testnet
        self._key = config.api_key
        self._sign = signer(config)
        self._session: ClientSession | None = None
        self._requests: Rest | None = None
        self._order_types: dict[str, frozenset[str]] = {}
        self._used = _used_headers(self.venue_limits)

    @property
    def _rest_root(self) -> str:
        """Where REST is served."""
        raise NotImplementedError

    @property
    def _reports(self) -> UserStream | None:
        """The account's stream, while connected."""
        raise NotImplementedError

    # Connection.

    async def _opened(self) -> ClientSession:
        """A new session, for requests and streams."""
        await self._close()
        self._session = session = ClientSession(
            connector=TCPConnector(limit=0, limit_per_host=0, keepalive_timeout=30, ttl_dns_cache=300),
            cookie_jar=DummyCookieJar(),
            headers={"X-MBX-APIKEY": self._key.reveal(), "User-Agent": "axon"},
        )
        self._requests = Rest(
            session,
            self._rest_root,
            venue=self.name,
            sign=self._sign,
            venue_time=self.venue_time,
            budget=self.budget,
            validity=self.validity,
            on_headers=self._note_used,
            on_too_many_orders=self._fill_orders,
        )
        return session

    async def _close(self) -> None:
        await super()._close()
        session, self._session = self._session, None
        self._requests = None
        if session is not None:
            await session.close()

    def _use_keys(self) -> None:
        super()._use_keys()
        if self.config is None or self._session is None or self._requests is None:
            return
        self._key, self._sign = self.config.api_key, signer(self.config)
        self._session.headers["X-MBX-APIKEY"] = self._key.reveal()
        self._requests.sign_with(self._sign)

    async def _fetch_time(self) -> int:
        answer = await self._rest.get(f"{self.paths.root}/time")
        return self._told(answer, ServerTime).server_time * MILLISECOND

    async def _fetch_info(self) -> ExchangeInfo:
        """What is traded; its limits are kept from here on."""
        info = self._told(await self._rest.get(f"{self.paths.root}/exchangeInfo"), ExchangeInfo)
        self._limit(limits(info))
        self._order_types = {symbol.symbol: frozenset(symbol.order_types) for symbol in info.symbols}
        return info

    # Orders.

    async def _order_parameters(self, order: Order) -> str:
        """The order, URL-encoded. Raises RejectedError for one that Binance, or the symbol, does not have."""
        raise NotImplementedError

    async def _send_order(self, order: Order) -> str:
        body = await self._order_parameters(order)
        self._seen.setdefault(order.symbol)
        answer = await self._rest.post(f"{self.paths.root}/order", body, order.symbol)
        order_id = str(self._acknowledged(answer, Placed, order.symbol).order_id)
        self._expect(order.client_order_id)
        return order_id

    async def _send_cancel(self, state: OrderState) -> None:
        symbol = state.order.symbol
        await self._rest.delete(f"{self.paths.root}/order", f"symbol={escaped(symbol)}&{named(state)}", symbol)
        self._expect_end(state)

    async def _send_cancel_all(self, symbol: str | None) -> None:
        if symbol is not None:
            await self._cancel_symbol(symbol)
            return
        symbols = dict.fromkeys(state.order.symbol for state in await self._fetch_open_orders(None))
        for number, found in enumerate(symbols):
            if number:
                await self._spend(Request.Cancel, "_send_cancel_all")
            await self._cancel_symbol(found)

    async def _cancel_symbol(self, symbol: str) -> None:
        standing = [state for state in self.orders.open_for(symbol) if state.status in _STANDING]
        try:
            await self._rest.delete(f"{self.paths.root}{self.paths.cancel_all}", f"symbol={escaped(symbol)}", symbol)
        except NotFoundError:
            return  # there was none, which is as good
        for state in standing:
            self._expect_end(state)

    # Look-ups.

    async def _fetch_order(self, state: OrderState) -> OrderState | None:
        which = (
            {"orderId": state.venue_order_id}
            if state.venue_order_id
            else {"origClientOrderId": state.order.client_order_id}
        )
        given = {"symbol": state.order.symbol, **which}
        try:
            answer = await self._rest.get(f"{self.paths.root}/order", given, signed=True)
        except NotFoundError:
            return None
        return state_of(self._told(answer, OrderRecord), self.kinds)

    async def _fetch_open_orders(self, symbol: str | None) -> list[OrderState]:
        given = None if symbol is None else {"symbol": symbol}
        answer = await self._rest.get(f"{self.paths.root}/openOrders", given, signed=True)
        states = [state_of(record, self.kinds) for record in self._told(answer, list[OrderRecord])]
        found = [state for state in states if state is not None]
        self._seen.update(dict.fromkeys(state.order.symbol for state in found))
        return found

    async def _fetch_ended_orders(self, symbol: str, since: int) -> list[OrderState]:
        """Of at most some days: Binance lists no more from a time on."""
        found: list[OrderState] = []
        start: _Start = {"startTime": since // MILLISECOND}
        while True:
            given = {"symbol": symbol, **start, "limit": _PAGE}
            answer = await self._rest.get(f"{self.paths.root}/allOrders", given, signed=True)
            page = self._told(answer, list[OrderRecord])
            found += [state for record in page if (state := state_of(record, self.kinds)) is not None]
            if len(page) < _PAGE:
                return found
            start = {"orderId": page[-1].order_id + 1}
            await self._spend(Request.Query, "_fetch_ended_orders")

    async def _fetch_fills(self, since: int) -> list[Fill]:
        fills: list[Fill] = []
        requests = 0
        for symbol in list(self._seen):
            start: _Start | None = self._first_page(since // MILLISECOND) if since else {"fromId": 0}
            while start is not None:
                if requests:  # the first is paid for by who asked
                    await self._spend(Request.Query, "_fetch_fills")
                requests += 1
                given = {"symbol": symbol, **start, "limit": _PAGE}
                answer = await self._rest.get(f"{self.paths.root}{self.paths.trades}", given, signed=True)
                page: list[TradeRecord] = self._told(answer, list[self.trade_record])  # type: ignore[name-defined]
                fills += [fill_of(record, str(record.order_id)) for record in page]
                start = {"fromId": page[-1].id + 1} if len(page) >= _PAGE else self._next_page(start)
        return [fill for fill in fills if fill.at >= since]

    def _first_page(self, since_ms: int) -> _Start:
        """Where the account's trades begin."""
        return {"startTime": since_ms}

    def _next_page(self, start: _Start) -> _Start | None:
        """Where they go on after a page that was not full; None: there are no more."""
        del start
        return None

    async def _fetch_trades(self, symbol: str, since: int) -> list[Trade]:
        trades: list[Trade] = []
        start: _Start = {"startTime": since // MILLISECOND}
        for page in range(_MOST_PAGES):
            if page:  # the first is paid for by who asked
                await self._spend(Request.Query, "_fetch_trades")
            given = {"symbol": symbol, **start, "limit": _PAGE}
            found = decoded(await self._rest.get(f"{self.paths.root}/aggTrades", given), list[AggregateTrade])
            trades += [
                Trade(symbol, one.T * MILLISECOND, one.p, one.q, one.m, one.a, one.T * MILLISECOND) for one in found
            ]
            if len(found) < _PAGE:
                break
            start = {"fromId": found[-1].a + 1}
        return trades

    async def _last_price(self, symbol: str) -> Decimal:
        await self._spend(Request.Query, "_last_price")
        answer = await self._rest.get(f"{self.paths.root}/ticker/price", {"symbol": symbol})
        return self._told(answer, LastPrice).price

    async def _depth(self, symbol: str) -> DepthSnapshot:
        await self._spend(Request.Query, "_depth")
        given: _Start = {"symbol": symbol, "limit": _SNAPSHOT_LEVELS}
        try:
            async with asyncio.timeout(self.query_timeout):
                answer = await self._rest.get(f"{self.paths.root}/depth", given)
        except TimeoutError:
            raise UnavailableError("no snapshot of the book in time", venue=self.name, symbol=symbol) from None
        return self._told(answer, DepthSnapshot)

    # Streams.

    async def _live(self, stream: UserStream, link: Link) -> None:
        """One life of the account's stream."""
        self.budget.check_open()
        await self._spend(Request.Query, "_run_account")
        await stream.run(link)

    def _on_execution(self, report: Execution) -> None:
        self._seen.setdefault(report.symbol)
        self._deliver(update_of(report, self.clock.now()))

    # Inside.

    @property
    def _rest(self) -> Rest:
        if self._requests is None:
            raise UnavailableError("the adapter is not connected", venue=self.name, hint="await connect() first")
        return self._requests

    def _now_ms(self) -> int:
        return self.venue_time() // MILLISECOND

    def _expect(self, client_order_id: str) -> None:
        """The venue acknowledged a new order, which its stream may have reported before."""
        state = self.orders.get(client_order_id)
        if state is not None and self._reports is not None and state.status in _UNREPORTED:
            self._reports.expected.expect(client_order_id)

    def _expect_end(self, state: OrderState) -> None:
        """The venue acknowledged a cancel."""
        if self._reports is not None and not state.status.is_terminal:
            self._reports.expected.expect(state.order.client_order_id)

    def _limit(self, found: tuple[VenueLimit, ...]) -> None:
        if found and found != self.venue_limits:
            self.venue_limits = found
            self._used = _used_headers(found)
            self.budget.limit(found)

    def _fill_orders(self, seconds: float) -> None:
        """The venue takes no more orders for `seconds`: they wait in the budget, cancels and questions go on."""
        for limit in self.venue_limits:
            if limit.kind == "orders" and limit.period <= seconds:
                self.budget.observe("orders", limit.period, limit.limit)

    def _note_used(self, headers: Mapping[str, str]) -> None:
        for header, limit in self._used:
            used = headers.get(header)
            if used is not None and used.isdecimal():
                self.budget.observe(limit.kind, limit.period, int(used))

    def _told(self, answer: bytes, shape: type[_T]) -> _T:
        """What a question was answered. Raises UnavailableError for what cannot be read: it was not answered."""
        try:
            return decoded(answer, shape)
        except MalformedMessageError as error:
            raise UnavailableError(
                f"the answer cannot be read: {error.message}", venue=self.name, hint="ask again"
            ) from None

    def _acknowledged(self, answer: bytes, shape: type[_T], symbol: str) -> _T:
        """The acknowledgement of a change. Raises AmbiguousError for one that cannot be read."""
        try:
            return decoded(answer, shape)
        except MalformedMessageError as error:
            raise AmbiguousError(
                f"the answer cannot be read: {error.message}", venue=self.name, symbol=symbol
            ) from None


def _used_headers(venue_limits: Iterable[VenueLimit]) -> tuple[tuple[str, VenueLimit], ...]:
    """The header that reports how much of each limit is used, such as X-MBX-USED-WEIGHT-1M."""
    headers = []
    for limit in venue_limits:
        if limit.kind in _USED:
            length, letter = next((length, letter) for length, letter in _PERIODS if limit.period >= length)
            headers.append((f"{_USED[limit.kind]}{int(limit.period // length)}{letter}", limit))
    return tuple(headers)
