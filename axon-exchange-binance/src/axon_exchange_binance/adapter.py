"""Binance spot: what the adapters' base needs, over Binance's own REST, WebSocket requests and streams."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import ClassVar, TypeVar

from aiohttp import ClientSession, DummyCookieJar, TCPConnector

from axon_exchange_binance.addresses import Addresses
from axon_exchange_binance.answers import (
    Account,
    AccountPosition,
    AggregateTrade,
    DepthSnapshot,
    Execution,
    LastPrice,
    OrderRecord,
    Placed,
    Replaced,
    Restrictions,
    ServerTime,
    TradeRecord,
    decoded,
)
from axon_exchange_binance.errors import VENUE
from axon_exchange_binance.instruments import ExchangeInfo, instrument_of, limits
from axon_exchange_binance.market_stream import MarketStream
from axon_exchange_binance.orders import fill_of, named, parameters, state_of, type_name, unsupported, update_of
from axon_exchange_binance.plugin import CAPABILITIES
from axon_exchange_binance.rest import Rest
from axon_exchange_binance.signing import escaped, signer
from axon_exchange_binance.user_stream import UserStream
from axon_quant.clock import MILLISECOND, Clock
from axon_quant.errors import (
    AmbiguousError,
    MalformedMessageError,
    NotFoundError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
)
from axon_quant.exchange.budget import RateBudget, Request, Sleep, VenueLimit
from axon_quant.exchange.capabilities import Channel
from axon_quant.exchange.ccxt_adapter import CcxtAdapter
from axon_quant.exchange.config import ExchangeConfig
from axon_quant.exchange.ledger import Balance
from axon_quant.exchange.link import Link
from axon_quant.exchange.order_log import OrderLog
from axon_quant.exchange.primitives import KeyPermissions
from axon_quant.exchange.stream import BalanceUpdate
from axon_quant.market.instrument import Instrument
from axon_quant.market.types import Trade
from axon_quant.orders.tracker import OrderState
from axon_quant.orders.types import Fill, Order, OrderStatus

_T = TypeVar("_T")
_PAGE = 1000
_MOST_PAGES = 20
_SNAPSHOT_LEVELS = 1000
_ORDERS = "/api/v3/order"
_OPEN_ORDERS = "/api/v3/openOrders"
_REPLACE = "/api/v3/order/cancelReplace"
_USED = {"weight": "X-MBX-USED-WEIGHT-", "orders": "X-MBX-ORDER-COUNT-"}
_UNREPORTED = (OrderStatus.Created, OrderStatus.Submitted, OrderStatus.Unknown)
_STANDING = (OrderStatus.Open, OrderStatus.PartiallyFilled)
_PERIODS = ((86400.0, "D"), (3600.0, "H"), (60.0, "M"), (1.0, "S"))


class SpotErrors:
    """ccxt's own errors for spot, whatever the URL is: it looks for them at Binance's addresses only."""

    exceptions: Mapping[str, Mapping[str, Mapping[str, type[Exception]]]]

    def get_exceptions_by_url(self, _: str, kind: str) -> Mapping[str, type[Exception]]:
        """The exceptions by code (`exact`) or by a part of the text (`broad`)."""
        return self.exceptions["spot"].get(kind, {})


class BinanceAdapter(CcxtAdapter):
    """One spot account at Binance; `testnet` picks the test network, which has keys of its own.

    Orders, cancels and streams are Binance's own requests; `client` is ccxt's, for everything that is not here. A stop
    whose price lies on the other side of the market than a stop-loss's is sent as a take-profit. Fills are looked up
    for the symbols that this adapter has seen orders of: Binance tells an account's trades per symbol only.
    """

    name = VENUE
    exchange_id = "binance"
    client_options: ClassVar[Mapping[str, object]] = {
        "fetchMarkets": {"types": ["spot"]},
        "fetchMargins": False,
        "fetchCurrencies": False,
    }
    client_mixin = SpotErrors
    watches_account = False
    capabilities = CAPABILITIES
    client_order_id_length: ClassVar[int] = 36
    stale_after: ClassVar[float] = 25.0  # the venue pings every 20 s
    venue_limits: tuple[VenueLimit, ...] = (
        VenueLimit("weight", 6000, 60.0),
        VenueLimit("orders", 100, 10.0),
        VenueLimit("orders", 200_000, 86400.0),
    )
    costs: ClassVar[Mapping[str, int]] = {
        "_fetch_instruments": 20,
        "_fetch_order": 4,
        "_fetch_open_orders": 80,
        "_fetch_fills": 20,
        "_fetch_balances": 20,
        "_fetch_permissions": 20,
        "_fetch_trades": 4,
        "_run_account": 2,
        "_last_price": 2,
        "_depth": 50,
    }

    def __init__(
        self,
        config: ExchangeConfig,
        *,
        clock: Clock | None = None,
        sleep: Sleep | None = None,
        order_log: OrderLog | None = None,
    ) -> None:
        super().__init__(config, clock=clock, sleep=sleep, order_log=order_log)
        self._addresses = Addresses.of(config)
        self._testnet = config.testnet
        self._key = config.api_key
        self._sign = signer(config)
        self._session: ClientSession | None = None
        self._requests: Rest | None = None
        self._user_stream: UserStream | None = None
        self._market_stream: MarketStream | None = None
        self._order_types: dict[str, frozenset[str]] = {}
        self._used = _used_headers(self.venue_limits)

    # Connection.

    async def _connect(self) -> None:
        await self._close()
        session = ClientSession(
            connector=TCPConnector(limit=0, limit_per_host=0, keepalive_timeout=30, ttl_dns_cache=300),
            cookie_jar=DummyCookieJar(),
            headers={"X-MBX-APIKEY": self._key.reveal(), "User-Agent": "axon"},
        )
        self._session = session
        self._requests = Rest(
            session,
            self._addresses.rest,
            sign=self._sign,
            venue_time=self.venue_time,
            now=self.clock.now,
            validity=self.validity,
            on_headers=self._note_used,
            on_too_many_orders=self._fill_orders,
        )
        self._user_stream = UserStream(
            session,
            self._addresses.requests,
            subscription=self._subscription,
            on_execution=self._on_execution,
            on_balances=self._on_balances,
            now_ms=self._now_ms,
            may_ask=lambda: self._requests is not None and self._requests.is_open,
        )
        self._market_stream = MarketStream(
            session, self._addresses.streams, clock=self.clock, publish=self._publish, snapshot=self._depth
        )

    def _use_keys(self) -> None:
        super()._use_keys()
        if self.config is None or self._session is None or self._requests is None:
            return
        self._key, self._sign = self.config.api_key, signer(self.config)
        self._session.headers["X-MBX-APIKEY"] = self._key.reveal()
        self._requests.sign_with(self._sign)

    async def _close(self) -> None:
        await super()._close()
        session, self._session = self._session, None
        self._requests = self._user_stream = self._market_stream = None
        if session is not None:
            await session.close()

    async def _fetch_time(self) -> int:
        return _told(await self._rest.get("/api/v3/time"), ServerTime).server_time * MILLISECOND

    async def _fetch_instruments(self) -> Iterable[Instrument]:
        info = _told(await self._rest.get("/api/v3/exchangeInfo"), ExchangeInfo)
        self._limit(limits(info))
        traded = [symbol for symbol in info.symbols if symbol.is_spot_trading_allowed]
        self._order_types = {symbol.symbol: frozenset(symbol.order_types) for symbol in traded}
        return [instrument_of(symbol) for symbol in traded]

    async def _fetch_permissions(self) -> KeyPermissions:
        if self._testnet:  # it knows no restrictions of keys, and nothing can be withdrawn from it
            account = _told(await self._rest.get("/api/v3/account", signed=True), Account)
            return KeyPermissions(trade=account.can_trade, withdraw=False)
        answer = await self._rest.get("/sapi/v1/account/apiRestrictions", signed=True)
        restrictions = _told(answer, Restrictions)
        return KeyPermissions(
            trade=restrictions.enable_spot_and_margin_trading, withdraw=restrictions.enable_withdrawals
        )

    # Orders.

    async def _send_order(self, order: Order) -> str:
        body = await self._order_parameters(order)
        self._seen.setdefault(order.symbol)
        answer = await self._rest.post(_ORDERS, body, order.symbol)
        order_id = str(_acknowledged(answer, Placed, order.symbol).order_id)
        self._expect(order.client_order_id)
        return order_id

    async def _send_cancel(self, state: OrderState) -> None:
        symbol = state.order.symbol
        await self._rest.delete(_ORDERS, f"symbol={escaped(symbol)}&{named(state)}", symbol)
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
            await self._rest.delete(_OPEN_ORDERS, f"symbol={escaped(symbol)}", symbol)
        except NotFoundError:
            return  # there was none, which is as good
        for state in standing:
            self._expect_end(state)

    async def _send_replace(self, state: OrderState, order: Order) -> str:
        which = named(state, prefix="cancel")
        body = f"{await self._order_parameters(order)}&cancelReplaceMode=STOP_ON_FAILURE&{which}"
        self._seen.setdefault(order.symbol)
        answer = await self._rest.post(_REPLACE, body, order.symbol)
        order_id = str(_acknowledged(answer, Replaced, order.symbol).new_order_response.order_id)
        self._expect_end(state)
        self._expect(order.client_order_id)
        return order_id

    # Look-ups.

    async def _fetch_order(self, state: OrderState) -> OrderState | None:
        which = (
            {"orderId": state.venue_order_id}
            if state.venue_order_id
            else {"origClientOrderId": state.order.client_order_id}
        )
        try:
            answer = await self._rest.get(_ORDERS, {"symbol": state.order.symbol, **which}, signed=True)
        except NotFoundError:
            return None
        return state_of(_told(answer, OrderRecord))

    async def _fetch_open_orders(self, symbol: str | None) -> list[OrderState]:
        answer = await self._rest.get(_OPEN_ORDERS, None if symbol is None else {"symbol": symbol}, signed=True)
        states = [state_of(record) for record in _told(answer, list[OrderRecord])]
        found = [state for state in states if state is not None]
        self._seen.update(dict.fromkeys(state.order.symbol for state in found))
        return found

    async def _fetch_fills(self, since: int) -> list[Fill]:
        fills: list[Fill] = []
        requests = 0
        for symbol in list(self._seen):
            start: dict[str, str | int] = {"startTime": since // MILLISECOND} if since else {"fromId": 0}
            while True:
                if requests:  # the first is paid for by who asked
                    await self._spend(Request.Query, "_fetch_fills")
                requests += 1
                given: dict[str, str | int] = {"symbol": symbol, **start, "limit": _PAGE}
                answer = await self._rest.get("/api/v3/myTrades", given, signed=True)
                page = _told(answer, list[TradeRecord])
                fills += [fill_of(record, str(record.order_id)) for record in page]
                if len(page) < _PAGE:
                    break
                start = {"fromId": page[-1].id + 1}
        return [fill for fill in fills if fill.at >= since]

    async def _fetch_balances(self) -> dict[str, Balance]:
        answer = await self._rest.get("/api/v3/account", {"omitZeroBalances": "true"}, signed=True)
        return {
            entry.asset: Balance(entry.asset, entry.free, entry.locked) for entry in _told(answer, Account).balances
        }

    async def _fetch_trades(self, symbol: str, since: int) -> list[Trade]:
        trades: list[Trade] = []
        start: dict[str, str | int] = {"startTime": since // MILLISECOND}
        for page in range(_MOST_PAGES):
            if page:  # the first is paid for by who asked
                await self._spend(Request.Query, "_fetch_trades")
            answer = await self._rest.get("/api/v3/aggTrades", {"symbol": symbol, **start, "limit": _PAGE})
            found = decoded(answer, list[AggregateTrade])
            trades += [
                Trade(symbol, one.T * MILLISECOND, one.p, one.q, one.m, one.a, one.T * MILLISECOND) for one in found
            ]
            if len(found) < _PAGE:
                break
            start = {"fromId": found[-1].a + 1}
        return trades

    # Streams.

    async def _run_account(self, link: Link) -> None:
        self._rest.check_open()
        await self._spend(Request.Query, "_run_account")
        if self._user_stream is not None:
            try:
                await self._user_stream.run(link)
            except RateLimitedError as error:
                self._rest.hold(error.retry_after)
                raise

    async def _run_market(self, link: Link) -> None:
        if self._market_stream is not None:
            await self._market_stream.run(link, self.wanted)

    async def _subscribe(self, channel: Channel, symbol: str) -> None:
        if self._market_stream is not None:
            await self._market_stream.subscribe(channel, symbol)

    async def _depth(self, symbol: str) -> DepthSnapshot:
        await self._spend(Request.Query, "_depth")
        try:
            async with asyncio.timeout(self.query_timeout):
                answer = await self._rest.get("/api/v3/depth", {"symbol": symbol, "limit": _SNAPSHOT_LEVELS})
        except TimeoutError:
            raise UnavailableError("no snapshot of the book in time", venue=VENUE, symbol=symbol) from None
        return _told(answer, DepthSnapshot)

    def _on_execution(self, report: Execution) -> None:
        self._seen.setdefault(report.symbol)
        self._deliver(update_of(report, self.clock.now()))

    def _on_balances(self, position: AccountPosition) -> None:
        now = self.clock.now()
        for entry in position.balances:
            self._publish_balance(BalanceUpdate(entry.asset, entry.free, entry.locked, now))

    # Inside.

    @property
    def _rest(self) -> Rest:
        if self._requests is None:
            raise UnavailableError("the adapter is not connected", venue=VENUE, hint="await connect() first")
        return self._requests

    async def _order_parameters(self, order: Order) -> str:
        """The order, URL-encoded. Raises RejectedError for one that Binance, or the symbol, does not have."""
        reason = unsupported(order)
        if reason:
            raise RejectedError(reason, venue=VENUE, symbol=order.symbol, hint="see OrderType and TimeInForce")
        last = await self._last_price(order.symbol) if order.order_type.has_stop_price else None
        kind = type_name(order, last)
        allowed = self._order_types.get(order.symbol)
        if allowed and kind not in allowed:
            raise RejectedError(
                f"{order.symbol} takes no {kind} orders",
                venue=VENUE,
                symbol=order.symbol,
                hint=", ".join(sorted(allowed)),
            )
        return parameters(order, kind)

    async def _last_price(self, symbol: str) -> Decimal:
        await self._spend(Request.Query, "_last_price")
        return _told(await self._rest.get("/api/v3/ticker/price", {"symbol": symbol}), LastPrice).price

    def _subscription(self) -> dict[str, str | int]:
        """What subscribes to the account's events; signed over its parameters in the order of their names."""
        given: dict[str, str | int] = {
            "apiKey": self._key.reveal(),
            "recvWindow": round(self.validity * 1000),
            "timestamp": self._now_ms(),
        }
        return {**given, "signature": self._sign("&".join(f"{name}={value}" for name, value in given.items()))}

    def _now_ms(self) -> int:
        return self.venue_time() // MILLISECOND

    def _expect(self, client_order_id: str) -> None:
        """The venue acknowledged a new order, which its stream may have reported before."""
        state = self.orders.get(client_order_id)
        if state is not None and self._user_stream is not None and state.status in _UNREPORTED:
            self._user_stream.expected.expect(client_order_id)

    def _expect_end(self, state: OrderState) -> None:
        """The venue acknowledged a cancel."""
        if self._user_stream is not None and not state.status.is_terminal:
            self._user_stream.expected.expect(state.order.client_order_id)

    def _limit(self, found: tuple[VenueLimit, ...]) -> None:
        if found and found != self.venue_limits:
            self.venue_limits = found
            self._used = _used_headers(found)
            self.budget = RateBudget(
                None if self.config is None else self.config.rate_limit,
                venue_limits=found,
                clock=self.clock,
                sleep=self._sleep,
                venue=self.name,
            )

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


def _used_headers(venue_limits: tuple[VenueLimit, ...]) -> tuple[tuple[str, VenueLimit], ...]:
    """The header that reports how much of each limit is used, such as X-MBX-USED-WEIGHT-1M."""
    headers = []
    for limit in venue_limits:
        if limit.kind in _USED:
            length, letter = next((length, letter) for length, letter in _PERIODS if limit.period >= length)
            headers.append((f"{_USED[limit.kind]}{int(limit.period // length)}{letter}", limit))
    return tuple(headers)


def _told(answer: bytes, shape: type[_T]) -> _T:
    """What a question was answered. Raises UnavailableError for what cannot be read: the venue did not answer it."""
    try:
        return decoded(answer, shape)
    except MalformedMessageError as error:
        raise UnavailableError(f"the answer cannot be read: {error.message}", venue=VENUE, hint="ask again") from None


def _acknowledged(answer: bytes, shape: type[_T], symbol: str) -> _T:
    """The acknowledgement of a change. Raises AmbiguousError for one that cannot be read."""
    try:
        return decoded(answer, shape)
    except MalformedMessageError as error:
        raise AmbiguousError(f"the answer cannot be read: {error.message}", venue=VENUE, symbol=symbol) from None
