"""A venue in memory that keeps a ledger and misbehaves on demand, and the adapter that trades on it.

The ledger is the truth: what the adapter believes in the end must equal it, whatever happened on the way.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from decimal import Decimal
from enum import Enum

import attrs

from axon_quant.clock import NANOSECONDS, Clock
from axon_quant.errors import (
    AmbiguousError,
    ClockError,
    DuplicateOrderError,
    ExchangeError,
    NotFoundError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
)
from axon_quant.exchange import (
    Balance,
    BalanceUpdate,
    Capability,
    Channel,
    ExchangeAdapter,
    ExchangeConfig,
    KeyPermissions,
    Link,
    RateLimitConfig,
    ReconnectConfig,
)
from axon_quant.market import Instrument, Trade
from axon_quant.orders import Fill, Liquidity, Order, OrderState, OrderStatus, OrderType, OrderUpdate, Side

VALIDITY = 2.0
ENGINE = 1.0
ROUND_TRIP = 0.01


class Fault(Enum):
    """What becomes of one request."""

    RequestLost = "request lost"
    ResponseLost = "response lost"
    Late = "late"
    """The connection breaks; the request arrives at the last moment and the engine takes its time."""
    Silent = "silent"
    """Taken, and never answered."""
    Hangs = "hangs"
    """Neither taken nor answered."""
    Unavailable = "unavailable"
    RateLimited = "rate limited"
    Rejected = "rejected"
    WrongTime = "wrong time"
    Duplicate = "duplicate"
    """Taken, then sent again by something in between: the answer to the second is what comes back."""


@attrs.define(eq=False)
class Account:
    """One account's ledger."""

    orders: dict[str, OrderState] = attrs.field(factory=dict)
    fills: list[Fill] = attrs.field(factory=list)
    received: list[str] = attrs.field(factory=list)

    def quantity(self) -> Decimal:
        return sum((fill.side.sign * fill.quantity for fill in self.fills), Decimal(0))


class ScriptedVenue:
    """`faults` holds what happens to the next requests, by primitive; without one a request is answered."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ledger = Account()
        self.drift = 0
        self.faults: dict[str, deque[Fault]] = {}
        self.fired: list[Fault] = []
        self.down = False
        self.stalled = False
        self.asked: list[str] = []
        self.banned_until = 0
        self.asked_while_banned = 0
        self._connections: list[asyncio.Queue[object]] = []
        self._lag: set[asyncio.Task[None]] = set()

    # Time and requests.

    def now(self) -> int:
        return self._clock.now() + self.drift

    async def request(self, name: str) -> Fault | None:
        self.asked.append(name)
        if self._clock.now() < self.banned_until:
            self.asked_while_banned += 1
        await asyncio.sleep(ROUND_TRIP / 2)
        queue = self.faults.get(name)
        fault = queue.popleft() if queue else None
        if fault is not None:
            self.fired.append(fault)
        if self.down:
            raise AmbiguousError("connection reset", venue="scripted")
        if fault is Fault.Unavailable:
            raise UnavailableError("maintenance", venue="scripted", code="503")
        if fault is Fault.RateLimited:
            self.banned_until = self._clock.now() + 3 * NANOSECONDS
            raise RateLimitedError("too many requests", venue="scripted", code="429", retry_after=3.0)
        return fault

    async def change(self, name: str, signed: int, act) -> None:
        """A request that changes something: `act` is done at most once, if at all."""
        fault = await self.request(name)
        if fault is Fault.WrongTime or signed > self.now() + NANOSECONDS:
            raise ClockError("timestamp outside of the window", venue="scripted", code="-1021")
        if fault is Fault.Rejected:
            raise RejectedError("insufficient balance", venue="scripted", code="-2010", text="insufficient balance")
        if fault is Fault.RequestLost:
            raise AmbiguousError("connection reset", venue="scripted")
        if fault is Fault.Hangs:
            await asyncio.sleep(1e6)
        if fault is Fault.Late:
            last = signed + round(VALIDITY * NANOSECONDS) - self.now()
            self._later(max(last / NANOSECONDS - 0.001, 0.0), signed, act)
            raise AmbiguousError("connection reset", venue="scripted")
        if self.now() > signed + round(VALIDITY * NANOSECONDS):
            raise ClockError("timestamp outside of the window", venue="scripted", code="-1021")
        act()
        if fault is Fault.ResponseLost:
            raise AmbiguousError("connection reset", venue="scripted")
        if fault is Fault.Silent:
            await asyncio.sleep(1e6)
        if fault is Fault.Duplicate:
            raise DuplicateOrderError("duplicate order sent", venue="scripted", code="-2010")
        await asyncio.sleep(ROUND_TRIP / 2)

    def _later(self, seconds: float, signed: int, act) -> None:
        async def arrive() -> None:
            await asyncio.sleep(seconds)
            if self.now() > signed + round(VALIDITY * NANOSECONDS):
                return
            await asyncio.sleep(ENGINE - 0.001)
            try:
                act()
            except ExchangeError:
                return

        task = asyncio.ensure_future(arrive())
        self._lag.add(task)
        task.add_done_callback(self._lag.discard)

    # Orders.

    def place(self, order: Order) -> None:
        ledger = self.ledger
        ledger.received.append(order.client_order_id)
        if order.client_order_id in ledger.orders:
            raise DuplicateOrderError("duplicate order sent", venue="scripted")
        state = OrderState(order, OrderStatus.Open, venue_order_id=f"v{len(ledger.orders) + 1}", created_at=self.now())
        ledger.orders[order.client_order_id] = state
        self._tell(state)
        if order.order_type is OrderType.Market:
            self.fill(order.client_order_id, order.quantity)

    def cancel(self, name: str) -> None:
        state = self.ledger.orders.get(name)
        if state is None or state.status.is_terminal:
            raise NotFoundError("unknown order", venue="scripted", code="-2011")
        state.status = OrderStatus.Cancelled
        self._tell(state)

    def amend(self, name: str, price: Decimal | None, quantity: Decimal | None) -> None:
        state = self.ledger.orders.get(name)
        if state is None or state.status.is_terminal:
            raise NotFoundError("unknown order", venue="scripted", code="-2013")
        if quantity is not None and not quantity > state.filled_quantity:
            raise RejectedError("filled already", venue="scripted", code="-2038")
        state.order = attrs.evolve(
            state.order, price=price or state.order.price, quantity=quantity or state.order.quantity
        )

    def fill(self, name: str, quantity: Decimal) -> None:
        state = self.ledger.orders.get(name)
        if state is None or state.status.is_terminal:
            return
        order = state.order
        quantity = min(quantity, order.quantity - state.filled_quantity)
        fill = Fill(
            name,
            order.symbol,
            order.side,
            order.price or Decimal(100),
            quantity,
            Decimal(0),
            "USDT",
            Liquidity.Maker,
            f"t{len(self.ledger.fills) + 1}",
            self.now(),
        )
        self.ledger.fills.append(fill)
        state.filled_quantity += quantity
        full = state.filled_quantity == order.quantity
        state.status = OrderStatus.Filled if full else OrderStatus.PartiallyFilled
        self._tell(state, fill)
        self._send(BalanceUpdate("BTC", self.ledger.quantity(), Decimal(0), self.now()))

    # The stream.

    def _tell(self, state: OrderState, fill: Fill | None = None) -> None:
        self._send(
            OrderUpdate(
                state.order.client_order_id,
                state.status,
                self.now(),
                state.order.symbol,
                state.venue_order_id,
                state.filled_quantity,
                fill,
            )
        )

    def _send(self, event: object) -> None:
        if not self.stalled:
            for connection in self._connections:
                connection.put_nowait(event)

    def repeat(self, event: object) -> None:
        """Send something once more."""
        self._send(event)

    def shuffle(self) -> None:
        """What is on its way to the listeners arrives the other way round."""
        for connection in self._connections:
            events = [connection.get_nowait() for _ in range(connection.qsize())]
            for event in reversed(events):
                connection.put_nowait(event)

    def attach(self) -> asyncio.Queue[object]:
        connection: asyncio.Queue[object] = asyncio.Queue()
        self._connections.append(connection)
        return connection

    def detach(self, connection: asyncio.Queue[object]) -> None:
        if connection in self._connections:
            self._connections.remove(connection)

    def disconnect(self) -> None:
        """Every connection is lost, with what was on its way."""
        self.stalled = False
        for connection in self._connections:
            while not connection.empty():
                connection.get_nowait()
            connection.put_nowait(None)
        self._connections.clear()


class ScriptedAdapter(ExchangeAdapter):
    """The trader's side of a `ScriptedVenue`."""

    name = "scripted"
    validity = VALIDITY
    engine_timeout = ENGINE
    stale_after = 20.0
    capabilities = frozenset(
        {
            Capability.MarketOrders,
            Capability.FetchOrder,
            Capability.OpenOrders,
            Capability.Fills,
            Capability.Balances,
            Capability.AmendOrders,
            Capability.ReplaceOrders,
            Capability.CancelAfter,
            Capability.AccountStream,
            Capability.VenueClock,
            Capability.KeyPermissions,
            Capability.TradeStream,
        }
    )

    def __init__(self, venue: ScriptedVenue, instrument: Instrument, clock: Clock, **options: object) -> None:
        config = ExchangeConfig(
            "key",
            "secret",
            rate_limit=RateLimitConfig(1_000, 100_000, max_wait_ms=5_000),
            reconnect=ReconnectConfig(initial_backoff_ms=200),
        )
        config = attrs.evolve(config, **{name: options.pop(name) for name in list(options) if hasattr(config, name)})
        super().__init__(config, clock=clock, **options)  # type: ignore[arg-type]
        self.venue = venue
        self.instrument = instrument
        self.permissions = KeyPermissions(trade=True, withdraw=False)
        self.names_fills_like_the_venue = False
        self.market: asyncio.Queue[object] | None = None
        self.asked_for: list[tuple[Channel, str]] = []
        self.refuse_login: ExchangeError | None = None
        self.closed = 0

    async def _connect(self) -> None:
        pass

    async def _close(self) -> None:
        self.closed += 1

    async def _fetch_instruments(self) -> Iterable[Instrument]:
        await self.venue.request("_fetch_instruments")
        return [self.instrument]

    async def _fetch_permissions(self) -> KeyPermissions:
        return self.permissions

    async def _fetch_time(self) -> int:
        await self.venue.request("_fetch_time")
        now = self.venue.now()
        await asyncio.sleep(ROUND_TRIP / 2)
        return now

    async def _send_order(self, order: Order) -> str:
        await self.venue.change("_send_order", self.venue_time(), lambda: self.venue.place(order))
        return self.venue.ledger.orders[order.client_order_id].venue_order_id

    async def _send_cancel(self, state: OrderState) -> None:
        name = state.order.client_order_id
        await self.venue.change("_send_cancel", self.venue_time(), lambda: self.venue.cancel(name))

    async def _send_amend(self, state: OrderState, price: Decimal | None, quantity: Decimal | None) -> None:
        name = state.order.client_order_id
        await self.venue.change("_send_amend", self.venue_time(), lambda: self.venue.amend(name, price, quantity))

    async def _send_replace(self, state: OrderState, order: Order) -> str:
        def act() -> None:
            self.venue.cancel(state.order.client_order_id)
            self.venue.place(order)

        await self.venue.change("_send_replace", self.venue_time(), act)
        return self.venue.ledger.orders[order.client_order_id].venue_order_id

    async def _send_cancel_after(self, seconds: float) -> None:
        await self.venue.request(f"_send_cancel_after {seconds:g}")

    async def _fetch_order(self, state: OrderState) -> OrderState | None:
        await self._query("_fetch_order")
        found = self.venue.ledger.orders.get(state.order.client_order_id)
        return None if found is None else attrs.evolve(found)

    async def _fetch_open_orders(self, symbol: str | None) -> list[OrderState]:
        await self._query("_fetch_open_orders")
        return [attrs.evolve(state) for state in self.venue.ledger.orders.values() if not state.status.is_terminal]

    async def _fetch_fills(self, since: int) -> list[Fill]:
        await self._query("_fetch_fills")
        fills = [fill for fill in self.venue.ledger.fills if fill.at >= since]
        if self.names_fills_like_the_venue:
            orders = self.venue.ledger.orders
            fills = [_renamed(fill, orders[fill.client_order_id].venue_order_id) for fill in fills]
        return fills

    async def _fetch_balances(self) -> dict[str, Balance]:
        await self._query("_fetch_balances")
        return {"BTC": Balance("BTC", self.venue.ledger.quantity(), Decimal(0))}

    async def _query(self, name: str) -> None:
        fault = await self.venue.request(name)
        if fault is Fault.Hangs:
            await asyncio.sleep(1e6)
        if fault is not None:
            raise UnavailableError(f"{fault.value}", venue="scripted")

    async def _run_account(self, link: Link) -> None:
        await self.venue.request("_run_account")
        if self.refuse_login is not None:
            raise self.refuse_login
        connection = self.venue.attach()
        try:
            link.up()
            while (event := await connection.get()) is not None:
                link.heard()
                if isinstance(event, OrderUpdate):
                    self._deliver(event)
                elif isinstance(event, BalanceUpdate):
                    self._publish_balance(event)
        finally:
            self.venue.detach(connection)

    async def _run_market(self, link: Link) -> None:
        await self.venue.request("_run_market")
        self.market = asyncio.Queue()
        self.asked_for = list(self.wanted)
        link.up()
        while (event := await self.market.get()) is not None:
            link.heard()
            assert isinstance(event, Trade)
            self._publish(event)

    async def _subscribe(self, channel: Channel, symbol: str) -> None:
        self.asked_for.append((channel, symbol))


def _renamed(fill: Fill, name: str) -> Fill:
    return Fill(
        name,
        fill.symbol,
        fill.side,
        fill.price,
        fill.quantity,
        fill.fee,
        fill.fee_asset,
        fill.liquidity,
        fill.fill_id,
        fill.at,
    )


def limit(quantity: object = 1, price: object = 100, side: Side = Side.Buy, **options: object) -> Order:
    return Order("BTCUSDT", side, price=price, quantity=quantity, **options)  # type: ignore[arg-type]
