"""The adapter: what axon asks of a venue, in OKX's requests."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import ClassVar

from axon_exchange_okx import instruments, reports, requests
from axon_exchange_okx.account_stream import AccountStream
from axon_exchange_okx.errors import CANCELLING, VENUE, refused
from axon_exchange_okx.lookups import Lookups
from axon_exchange_okx.market_stream import MarketStream
from axon_exchange_okx.pace import LIMITS, Pace
from axon_exchange_okx.payloads import (
    ACCOUNT_ANSWER,
    CONFIG_ANSWER,
    FUNDING_ANSWER,
    INSTRUMENT_ANSWER,
    POSITION_ANSWER,
    TIME_ANSWER,
    TRADE_ANSWER,
    AlgoRow,
    FillRow,
    OrderRow,
    nanoseconds,
    number,
)
from axon_exchange_okx.plugin import CAPABILITIES
from axon_exchange_okx.rest import ORDER, Rest
from axon_exchange_okx.signing import TOLERANCE, Signer
from axon_exchange_okx.stops import PlacedOrders
from axon_quant.clock import MILLISECOND, NANOSECONDS, Clock
from axon_quant.errors import (
    AmbiguousError,
    ExchangeError,
    NotFoundError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
)
from axon_quant.exchange.budget import Request, Sleep, VenueLimit
from axon_quant.exchange.capabilities import Channel
from axon_quant.exchange.ccxt_adapter import CcxtAdapter
from axon_quant.exchange.config import ExchangeConfig
from axon_quant.exchange.exact import ZERO, add, multiply
from axon_quant.exchange.ledger import Balance
from axon_quant.exchange.link import Link
from axon_quant.exchange.order_log import OrderLog
from axon_quant.exchange.primitives import FundingRate, KeyPermissions, MarginMode, Position
from axon_quant.exchange.urls import roots
from axon_quant.market.instrument import Instrument, InstrumentKind
from axon_quant.market.types import Trade
from axon_quant.orders.tracker import OrderState
from axon_quant.orders.types import Fill, Order, OrderStatus

_DAY = 86_400 * NANOSECONDS
_MOST_PAGES = 20
_RECENT_FILLS = 2 * _DAY
"""How far back `/trade/fills` reaches with certainty; it says three days."""


class OkxAdapter(CcxtAdapter):
    """OKX, spot and linear perpetual swaps, in one account.

    Needs a passphrase beside key and secret; `testnet=True` is OKX's demo trading, which has keys of its own. Symbols
    are OKX's instrument ids. Quantities of swaps are contracts of `Instrument.contract_size` base units; the account
    must be in net position mode for them. Everything here is OKX's own requests; `client` is ccxt's, for the rest.
    """

    name = VENUE
    exchange_id = "okx"
    capabilities = CAPABILITIES
    venue_limits = (VenueLimit("orders", 60, 2.0),)
    endpoint_limits: ClassVar[Mapping[str, int]] = LIMITS
    client_order_id_length: ClassVar[int] = 32
    stale_after: ClassVar[float] = 12.0

    def __init__(
        self,
        config: ExchangeConfig,
        *,
        kinds: Iterable[InstrumentKind] = (InstrumentKind.Spot, InstrumentKind.Swap),
        clock: Clock | None = None,
        sleep: Sleep | None = None,
        order_log: OrderLog | None = None,
    ) -> None:
        super().__init__(config, clock=clock, sleep=sleep, order_log=order_log)
        self._kinds = tuple(kinds)
        self._signer = Signer(config)
        self._roots = roots(VENUE, config, _ROOTS[config.testnet])
        self._rest: Rest | None = None
        self._account_stream = AccountStream(self._on_order, self._on_stop, self._publish_balance)
        self._market_stream = MarketStream(self.clock.now, self._publish)
        self._placed = PlacedOrders()
        self._margin_modes: dict[str, MarginMode] = {}
        self._net_positions = True
        self._amendments: dict[str, asyncio.Future[OrderRow]] = {}
        self._amended = 0

    # Connection.

    async def _connect(self) -> None:
        await self._close()
        pace = Pace(self.endpoint_limits, self.clock, self._sleep)
        self._rest = Rest(self._roots["rest"], self._signer, self.venue_time, pace, self.budget)
        self._asking = Lookups(self._rest, self._placed, self._turn)

    def _use_keys(self) -> None:
        super()._use_keys()
        if self.config is not None:
            self._signer.use_keys(self.config)

    async def _close(self) -> None:
        await super()._close()
        rest, self._rest = self._rest, None
        if rest is not None:
            await rest.close()

    async def _turn(self) -> None:
        """Wait for the budget of one request more, however long: half an answer is of no use."""
        while True:
            try:
                await self._spend(Request.Query, "")
            except RateLimitedError as error:
                await self._sleep(error.retry_after)
            else:
                return

    @property
    def _http(self) -> Rest:
        if self._rest is None:
            raise UnavailableError("the adapter is not connected", venue=VENUE, hint="await connect() first")
        return self._rest

    async def _fetch_time(self) -> int:
        (time,) = await self._http.ask("/api/v5/public/time", TIME_ANSWER, signed=False)
        return nanoseconds(time.ts)

    async def _fetch_permissions(self) -> KeyPermissions:
        (account,) = await self._http.ask("/api/v5/account/config", CONFIG_ANSWER)
        self._net_positions = account.pos_mode != "long_short_mode"
        allowed = account.perm.split(",")
        return KeyPermissions(trade="trade" in allowed, withdraw="withdraw" in allowed)

    async def _fetch_instruments(self) -> Iterable[Instrument]:
        answers = await asyncio.gather(
            *(
                self._http.ask(
                    "/api/v5/public/instruments", INSTRUMENT_ANSWER, {"instType": instruments.TYPES[kind]}, signed=False
                )
                for kind in self._kinds
            )
        )
        return [instrument for rows in answers for instrument in instruments.instruments(rows)]

    async def _fetch_trades(self, symbol: str, since: int) -> list[Trade]:
        trades: list[Trade] = []
        after = ""
        for _ in range(_MOST_PAGES):
            query = {"instId": symbol, "type": "1", "after": after, "limit": "100"}
            rows = await self._http.ask(
                "/api/v5/market/history-trades", TRADE_ANSWER, query, signed=False, symbol=symbol
            )
            times = [row.ts * MILLISECOND for row in rows]
            trades += [
                Trade(symbol, at, row.px, row.sz, row.side == "sell", row.trade_id, at)
                for row, at in zip(rows, times, strict=True)
                if at >= since
            ]
            if not rows or times[-1] < since:
                break
            after = str(rows[-1].trade_id)
        return trades[::-1]

    # Orders.

    async def _send_order(self, order: Order) -> str:
        instrument = self._instruments[order.symbol]
        reason = requests.refusal(order, instrument)
        if not reason and instrument.kind is InstrumentKind.Swap and not self._net_positions:
            reason = "the account is in long/short position mode; set it to net mode in OKX's settings"
        if reason:
            raise RejectedError(reason, venue=VENUE, symbol=order.symbol)
        mode = self._margin_modes.get(order.symbol, MarginMode.Cross).value
        if requests.is_stop(order):
            # OKX has no validity window for stop orders, but takes no request whose timestamp is too old.
            acks = await self._http.change(
                "/api/v5/trade/order-algo",
                requests.place_stop(order, instrument, mode),
                symbol=order.symbol,
                backdated=TOLERANCE - self.validity,
            )
            order_id = acks[0].algo_id if acks else ""
        else:
            acks = await self._http.change(
                ORDER, requests.place(order, instrument, mode), symbol=order.symbol, expires_after=self.validity
            )
            order_id = acks[0].ord_id if acks else ""
        if not order_id:
            raise AmbiguousError("an answer without an order id", venue=VENUE, symbol=order.symbol)
        state = self.orders.get(order.client_order_id)
        if state is not None and state.status in _UNREPORTED:
            self._account_stream.expected.expect(order.client_order_id)
        return order_id

    async def _send_cancel(self, state: OrderState) -> None:
        await self._cancel_by_its_name(state)
        if not state.status.is_terminal:
            self._account_stream.expected.expect(state.order.client_order_id)

    async def _cancel_by_its_name(self, state: OrderState) -> None:
        if not requests.is_stop(state.order):
            await self._cancel_named({"instId": state.order.symbol, **requests.name(state)})
            return
        placed = self._placed.order(state.order.client_order_id)
        if not placed:
            try:
                await self._cancel_stop({"instId": state.order.symbol, **requests.name_stop(state)})
            except NotFoundError:
                row = await self._asking.stop(state.order.symbol, requests.name_stop(state))
                if row is None or not row.placed:
                    raise
                placed = row.placed  # it triggered before the cancel arrived
            else:
                return
        await self._cancel_named({"instId": state.order.symbol, "ordId": placed})

    async def _cancel_named(self, body: dict[str, str]) -> None:
        try:
            await self._http.change("/api/v5/trade/cancel-order", body, symbol=body["instId"])
        except ExchangeError as error:
            if error.code != CANCELLING:
                raise

    async def _cancel_stop(self, body: dict[str, str]) -> None:
        acks = await self._http.change("/api/v5/trade/cancel-algos", [body], symbol=body["instId"])
        if acks and acks[0].s_code not in ("0", CANCELLING):
            raise refused(acks[0].s_code, acks[0].s_msg, symbol=body["instId"], changes=True)

    async def _send_cancel_all(self, symbol: str | None) -> None:
        """In batches, and again for what came in between or what a lost answer left open."""
        for attempt in range(_ATTEMPTS):
            orders = [{"instId": row.inst_id, "ordId": row.ord_id} for row in await self._asking.pending(symbol)]
            stops = [{"instId": row.inst_id, "algoId": row.algo_id} for row in await self._asking.pending_stops(symbol)]
            if not (orders or stops):
                return
            try:
                for path, bodies, size in (
                    ("/api/v5/trade/cancel-batch-orders", orders, 20),
                    ("/api/v5/trade/cancel-algos", stops, 10),
                ):
                    for start in range(0, len(bodies), size):
                        await self._turn()
                        await self._http.change(path, bodies[start : start + size], symbol=symbol)
            except AmbiguousError:
                if attempt == _ATTEMPTS - 1:
                    raise

    async def _send_amend(self, state: OrderState, price: Decimal | None, quantity: Decimal | None) -> None:
        symbol = state.order.symbol
        name = requests.name(state)
        if requests.is_stop(state.order):
            placed = self._placed.order(state.order.client_order_id)
            if not placed:
                body = requests.amend_stop(state, price, quantity)
                await self._http.change("/api/v5/trade/amend-algos", body, symbol=symbol)
                return
            name = {"ordId": placed}
        self._amended += 1
        request = f"a{self._amended}"
        outcome = self._amendments[request] = asyncio.get_running_loop().create_future()
        try:
            body = requests.amend(symbol, name, price, quantity, request)
            await self._http.change("/api/v5/trade/amend-order", body, symbol=symbol, expires_after=self.validity)
            # OKX's answer is that it took the request; whether the order changed, its stream says, or a look-up.
            await asyncio.wait({outcome}, timeout=self.engine_timeout)
        finally:
            del self._amendments[request]
        row = outcome.result() if outcome.done() else await self._asking.order(symbol, name)
        if row is not None:
            self._learn_names(state, reports.order_state(row, state.order))  # it may stand for less than was asked
        _check_amendment(row, symbol, price, quantity)

    async def _send_cancel_after(self, seconds: float) -> None:
        if seconds != 0 and not 10 <= seconds <= 120:
            raise RejectedError(f"OKX's dead-man switch takes 10 to 120 seconds, or 0, got {seconds:g}", venue=VENUE)
        await self._http.change("/api/v5/trade/cancel-all-after", {"timeOut": str(int(seconds))})

    # Swaps.

    async def _send_leverage(self, symbol: str, leverage: int) -> None:
        mode = self._margin_modes.get(symbol, MarginMode.Cross).value
        await self._http.change(
            "/api/v5/account/set-leverage", {"instId": symbol, "lever": str(leverage), "mgnMode": mode}, symbol=symbol
        )

    async def _send_margin_mode(self, symbol: str, mode: MarginMode) -> None:
        self._margin_modes[symbol] = mode  # OKX takes it with each order

    async def _fetch_positions(self) -> list[Position]:
        """Of swaps; what is held of spot instruments are balances."""
        rows = await self._http.ask("/api/v5/account/positions", POSITION_ANSWER, {"instType": "SWAP"})
        held: dict[str, tuple[Decimal, Decimal]] = {}
        for row in rows:
            instrument = self._instruments.get(row.inst_id)
            if instrument is not None:
                contracts = -number(row.pos) if row.pos_side == "short" else number(row.pos)
                # A cross and an isolated position of one swap are two rows, and one position to us.
                quantity, cost = held.get(row.inst_id, (ZERO, ZERO))
                base = multiply(contracts, instrument.contract_size)
                held[row.inst_id] = add(quantity, base), add(cost, multiply(base, number(row.avg_px)))
        return [
            Position(symbol, quantity, cost / quantity if cost / quantity > 0 else None)
            for symbol, (quantity, cost) in held.items()
            if quantity
        ]

    async def _fetch_funding_rate(self, symbol: str) -> FundingRate:
        (row,) = await self._http.ask(
            "/api/v5/public/funding-rate", FUNDING_ANSWER, {"instId": symbol}, signed=False, symbol=symbol
        )
        return FundingRate(symbol, number(row.funding_rate), nanoseconds(row.funding_time))

    # Look-ups.

    async def _fetch_order(self, state: OrderState) -> OrderState | None:
        order = state.order
        name = requests.name(state)
        if requests.is_stop(order):
            placed = self._placed.order(order.client_order_id)
            if not placed:
                stop = await self._asking.stop(order.symbol, requests.name_stop(state))
                if stop is None:
                    return None
                if not stop.placed:
                    return reports.stop_state(stop, order)
                placed = stop.placed
                await self._turn()
            name = {"ordId": placed}
        row = await self._asking.order(order.symbol, name)
        return None if row is None else reports.order_state(row, order)

    async def _fetch_open_orders(self, symbol: str | None) -> list[OrderState]:
        """Of the instruments that are known: options and dated futures are not ours to describe."""
        orders = await self._asking.pending(symbol)
        stops = await self._asking.pending_stops(symbol)
        return [
            *(reports.order_state(row) for row in orders if row.inst_id in self._instruments),
            *(reports.stop_state(row) for row in stops if row.inst_id in self._instruments),
        ]

    async def _fetch_ended_orders(self, symbol: str, since: int) -> list[OrderState]:
        kind = instruments.TYPES[self._instruments[symbol].kind]
        query = {"instType": kind, "instId": symbol, "begin": str(since // MILLISECOND)}
        return [reports.order_state(row) for row in await self._asking.ended(query)]

    async def _fetch_fills(self, since: int) -> list[Fill]:
        query = {"begin": str(since // MILLISECOND)} if since > 0 else {}
        if since >= self.venue_time() - _RECENT_FILLS:
            rows = await self._asking.fills(query)
        else:
            rows = []
            for kind in self._kinds:
                rows += await self._asking.older_fills({**query, "instType": instruments.TYPES[kind]})
        return [reports.fill(row, await self._name_of(row)) for row in rows if row.trade_id]

    async def _name_of(self, row: FillRow) -> str:
        """The client order id of a fill. Of an order that a stop order placed, OKX tells its own id only."""
        if row.cl_ord_id:
            return row.cl_ord_id
        stops = (state for state in self.orders.open.values() if requests.is_stop(state.order))
        if self._placed.name(row.ord_id) is None and any(state.order.symbol == row.inst_id for state in stops):
            await self._turn()
            await self._asking.order(row.inst_id, {"ordId": row.ord_id})
        return self._placed.name(row.ord_id) or row.ord_id

    async def _fetch_balances(self) -> dict[str, Balance]:
        rows = await self._http.ask("/api/v5/account/balance", ACCOUNT_ANSWER)
        return {row.ccy: reports.balance(row) for account in rows for row in account.details}

    # Streams.

    async def _run_account(self, link: Link) -> None:
        await self._account_stream.run(
            self._http.session, self._roots["ws"], lambda: self._signer.login(self.venue_time()), link
        )

    async def _run_market(self, link: Link) -> None:
        await self._market_stream.run(self._http.session, self._roots["ws"], list(self.wanted), link)

    async def _subscribe(self, channel: Channel, symbol: str) -> None:
        await self._market_stream.subscribe(channel, symbol)

    def _on_order(self, row: OrderRow) -> None:
        self._account_stream.expected.reported(reports.client_id(row))
        self._placed.note(row)
        if row.amend_result and row.req_id in self._amendments:
            outcome = self._amendments[row.req_id]
            if not outcome.done():
                outcome.set_result(row)
        update = reports.order_update(row)
        self._deliver(update)
        state = self.orders.get(update.client_order_id)
        if state is not None and row.amend_source in _RESIZED:
            self._resize(state, number(row.sz))

    def _on_stop(self, row: AlgoRow) -> None:
        self._account_stream.expected.reported(row.algo_cl_ord_id)
        self._placed.note_stop(row)
        self._deliver(reports.stop_update(row))


_UNREPORTED = (OrderStatus.Created, OrderStatus.Submitted, OrderStatus.Unknown)
_RESIZED = frozenset({"2", "3", "4"})
"""What OKX says of a reduce-only order that it made as small as the position: amended, new, or by other orders."""
_ATTEMPTS = 3
_ROOTS = {
    False: {"rest": "https://www.okx.com", "ws": "wss://ws.okx.com:8443"},
    True: {"rest": "https://www.okx.com", "ws": "wss://wspap.okx.com:8443"},
}
"""By `testnet`. Accounts of other regions name theirs in `base_urls`."""


def _check_amendment(row: OrderRow | None, symbol: str, price: Decimal | None, quantity: Decimal | None) -> None:
    if row is None:
        raise NotFoundError("the order to amend is not there any more", venue=VENUE, symbol=symbol)
    if row.amend_result == "-1":
        raise refused(row.code, row.msg, symbol=symbol)
    if (price is not None and number(row.px) != price) or (quantity is not None and number(row.sz) != quantity):
        raise RejectedError(
            f"the order was not amended: it stands at {row.px} for {row.sz}", venue=VENUE, symbol=symbol
        )
