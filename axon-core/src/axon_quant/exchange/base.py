"""What strategies call and what a venue's plugin writes.

A plugin subclasses `ExchangeAdapter`, sets three class attributes and writes a few primitives:

| primitive                               | required        | returns or raises                                        |
|-----------------------------------------|-----------------|----------------------------------------------------------|
| `_connect()`                            | yes             | ready to ask; raises AuthError, UnavailableError, …      |
| `_close()`                              | yes             | everything released; may be called when not connected    |
| `_fetch_instruments()`                  | yes             | the venue's instruments                                  |
| `_send_order(order)`                    | yes             | the venue's order id; see below                          |
| `_send_cancel(state)`                   | yes             | once taken; NotFoundError when there is nothing to cancel|
| `_send_cancel_all(symbol)`              | CancelAll       | once taken; without it, orders are cancelled one by one  |
| `_send_amend(state, price, quantity)`   | AmendOrders     | once taken                                               |
| `_send_replace(state, order)`           | ReplaceOrders   | the new order's id; RejectedError: there is no new one   |
| `_send_cancel_after(seconds)`           | CancelAfter     | once armed, or disarmed for 0                            |
| `_send_leverage(symbol, leverage)`      | Leverage        | once set                                                 |
| `_send_margin_mode(symbol, mode)`       | MarginMode      | once set                                                 |
| `_fetch_order(state)`                   | FetchOrder      | OrderState as the venue has it; None when it has none    |
| `_fetch_open_orders(symbol)`            | OpenOrders      | OrderStates, of every symbol for None                    |
| `_fetch_fills(since)`                   | Fills           | Fills at or after `since`                                |
| `_fetch_balances()`                     | Balances        | Balances by asset                                        |
| `_fetch_positions()`                    | Positions       | Positions that are not zero                              |
| `_fetch_funding_rate(symbol)`           | Funding         | FundingRate                                              |
| `_fetch_time()`                         | VenueClock      | the venue's time, UTC ns                                 |
| `_fetch_permissions()`                  | KeyPermissions  | what the key may do                                      |
| `_run_account(link)`                    | AccountStream   | when the connection is lost, or raises                   |
| `_subscribe(channel, symbol)`           | any …Stream     | once the channel flows on the connection there is        |
| `_run_market(link)`                     | no              | when the connection is lost, or raises                   |

**Sending.** `_send_order` raises AmbiguousError when the outcome is unknown: the connection was lost or timed out after the
request may have left, or the venue says that it does not know. ClockError: refused for its timestamp; the base measures
the venue's clock and sends once more. DuplicateOrderError: the venue knows the client order id; the base looks it up.
RateLimitedError carries `retry_after`. Any other ExchangeError says that the order does not exist. Timestamps come from
`self.venue_time()`, taken within the call, with a validity of `self.validity` seconds where the venue has such a thing.

**Names.** An order's client order id is ours, or the venue's text for one that is not ours. A fill's is ours, or the
venue's order id where the venue tells no other. Fill ids are the venue's, unique on the account: `f"{symbol}:{id}"`
where they are unique per symbol only.

**Connections.** `_run_account` and `_run_market` live through one connection: connect, log in, subscribe (`self.wanted` holds
the market's channels), `link.up()`, read, `link.heard()` for every message. The base calls them again when they end. A
plugin whose market data needs no connection of its own leaves `_run_market` out. `_subscribe` may be asked twice for the
same channel, and does nothing without a connection.

What comes from the venue by itself goes to `_deliver` (order updates), `_publish_balance` and `_publish` (market data).
Everything else is the base's: capabilities, client order ids, filters, the rate budget, the venue's clock, evidence for
what is unknown, reconnecting and repairing, the state machine, `events()`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from decimal import Decimal
from typing import ClassVar, Protocol, TypeVar

from axon_quant.clock import Clock, LiveClock
from axon_quant.errors import (
    AmbiguousError,
    DuplicateOrderError,
    ExchangeError,
    NotFoundError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
    UnsupportedError,
)
from axon_quant.exchange.budget import RateBudget, Request, Sleep, VenueLimit, sleeper
from axon_quant.exchange.capabilities import Capabilities, Capability, Channel, needed_by
from axon_quant.exchange.config import ExchangeConfig
from axon_quant.exchange.filters import refusal
from axon_quant.exchange.ledger import Balance
from axon_quant.exchange.primitives import PRIMITIVES, FundingRate, MarginMode, Position, VenuePrimitives
from axon_quant.exchange.repair import Repair
from axon_quant.exchange.stream import BalanceUpdate, EventStream
from axon_quant.market.instrument import Instrument
from axon_quant.market.types import MarketEvent
from axon_quant.orders.tracker import OrderState, OrderTracker
from axon_quant.orders.types import Fill, Order, OrderStatus, OrderUpdate

_T = TypeVar("_T")
_REMEMBERED = 20_000


class Receipt(Protocol):
    """Proof that an order was recorded; the journal's tickets are such."""

    def wait(self, timeout: float | None = None) -> None:
        """Return once the record is durable; called in a thread."""
        ...


class OrderLog(Protocol):
    """Where an order is written down before it is sent."""

    def record(self, order: Order) -> Receipt:
        """Begin to record `order` and return at once."""
        ...


class ExchangeAdapter(VenuePrimitives):
    """One account at one venue.

    An order is named by its client order id or by the order id that `place_order` returned; both work everywhere. Every
    method that asks for a capability the plugin does not declare raises UnsupportedError; every method but `connect`
    and `close` raises UnavailableError while not connected.

    `is_external` says that orders leave the process, so each one must be durable before it is sent: `place_order` waits
    for `order_log` then, and a caller that keeps its own journal waits before calling.
    """

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities] = frozenset()
    is_external: ClassVar[bool] = True
    venue_limits: tuple[VenueLimit, ...] = ()
    costs: ClassVar[Mapping[str, int]] = {}
    client_order_id_length: ClassVar[int] = 32
    validity: ClassVar[float] = 2.0
    engine_timeout: ClassVar[float] = 1.0
    stale_after: ClassVar[float] = 30.0

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for capability in sorted(cls.capabilities, key=lambda capability: capability.value):
            primitive = PRIMITIVES.get(capability)
            if primitive is not None and getattr(cls, primitive) is getattr(VenuePrimitives, primitive):
                raise TypeError(f"{cls.__name__} declares {capability.value} but does not write {primitive}")

    def __init__(
        self,
        config: ExchangeConfig | None,
        *,
        clock: Clock | None = None,
        sleep: Sleep | None = None,
        order_log: OrderLog | None = None,
    ) -> None:
        self.config = config
        self.clock: Clock = LiveClock() if clock is None else clock
        self.orders = OrderTracker()
        self._sleep = sleeper(self.clock) if sleep is None else sleep
        self._order_log = order_log
        self._budget = (
            None
            if config is None
            else RateBudget(
                config.rate_limit,
                venue_limits=self.venue_limits,
                clock=self.clock,
                sleep=self._sleep,
                venue=self.name,
            )
        )
        self._instruments: dict[str, Instrument] = {}
        self._client_ids: dict[str, str] = {}
        self.wanted: dict[tuple[Channel, str], None] = {}
        self._streams: list[EventStream] = []
        self._connected = False

    # Connection.

    async def connect(self) -> None:
        """Connect and load the instruments. Raises AuthError, ClockError or UnavailableError."""
        await self._connect()
        self._instruments = {instrument.symbol: instrument for instrument in await self._fetch_instruments()}
        self._connected = True

    async def close(self) -> None:
        """Disconnect and end every `events()`. Open orders stay open. Closing twice is fine."""
        self._connected = False
        try:
            await self._close()
        finally:
            for stream in self._streams:
                stream.close()
            self._streams.clear()

    # Orders.

    async def place_order(self, order: Order) -> str:
        """Send an order and return the venue's order id.

        Raises UnsupportedError, RejectedError (a filter, or the venue) or RateLimitedError when the order does not
        exist at the venue. AmbiguousError leaves it Unknown: look it up, never send it again.
        """
        self._require_connection()
        self._check(order)
        await self._acquire(Request.Order)
        self._check_unused(order)  # again: another task may have used the id while this one waited
        self.orders.add(order, self.clock.now())
        try:
            await self._record(order)
            venue_order_id = await self._send_order(order)
        except AmbiguousError as error:
            self._settle(order, OrderStatus.Unknown, str(error))
            raise
        except ExchangeError as error:
            self._note_penalty(error)
            self._settle(order, OrderStatus.Rejected, str(error))
            raise
        except BaseException as error:
            # Interrupted at an unknown point: the request may have left.
            self._settle(order, OrderStatus.Unknown, repr(error))
            raise
        self._settle(order, OrderStatus.Open, "", venue_order_id)
        return venue_order_id

    async def cancel_order(self, order_id: str) -> None:
        """Ask for one of our orders to be cancelled; the outcome arrives as an update.

        Raises NotFoundError when it is not ours, or finished already.
        """
        self._require_connection()
        state = self._own(order_id)
        if state.status.is_terminal:
            raise NotFoundError(
                f"order {order_id} is {state.status.value} already", venue=self.name, symbol=state.order.symbol
            )
        await self._acquire(Request.Cancel)
        state.cancel_requested = True
        try:
            await self._send_cancel(state)
        except ExchangeError as error:
            self._note_penalty(error)
            state.cancel_requested = isinstance(error, AmbiguousError)
            raise

    async def cancel_all(self, symbol: str | None = None) -> None:
        """Cancel every open order, of one symbol when given: the account's with CancelAll, else the ones we track."""
        self._require_connection()
        if Capability.CancelAll in self.capabilities:
            await self._acquire(Request.Cancel)
            await self._guarded(self._send_cancel_all(symbol))
            return
        for state in list(self.orders.open.values()):
            if symbol in (None, state.order.symbol):
                try:
                    await self.cancel_order(state.order.client_order_id)
                except NotFoundError:
                    continue  # it finished while we got to it, which is as good

    async def amend_order(
        self, order_id: str, *, price: Decimal | None = None, quantity: Decimal | None = None
    ) -> None:
        """Change the price, the quantity or both of one of our open orders in place."""
        raise NotImplementedError

    async def replace_order(self, order_id: str, order: Order) -> str:
        """Cancel one of our orders and place `order` in one request; returns the venue's id of the new one."""
        raise NotImplementedError

    async def cancel_after(self, seconds: float) -> None:
        """Have the venue cancel every open order unless this is called again within `seconds`; 0 disarms it."""
        raise NotImplementedError

    async def set_leverage(self, symbol: str, leverage: int) -> None:
        """The leverage of a symbol's position from now on."""
        raise NotImplementedError

    async def set_margin_mode(self, symbol: str, mode: MarginMode) -> None:
        """Whether a symbol's position shares the account's margin."""
        raise NotImplementedError

    def track(self, state: OrderState) -> None:
        """Take an order placed before a restart as ours again; before or after `connect`."""
        raise NotImplementedError

    async def repair(self) -> Repair:
        """Bring orders, fills and balances up to date with the venue, as after every reconnect."""
        raise NotImplementedError

    def venue_time(self) -> int:
        """The venue's clock as well as we know it, UTC ns; sign requests with it."""
        return self.clock.now()

    # Look-ups.

    async def funding_rate(self, symbol: str) -> FundingRate:
        """The next funding of a swap."""
        raise NotImplementedError

    async def instruments(self) -> dict[str, Instrument]:
        """The venue's instruments by symbol, as of `connect`."""
        self._require_connection()
        return dict(self._instruments)

    async def fetch_order(self, order_id: str) -> OrderState:
        """One of our orders as the venue has it. Raises NotFoundError."""
        await self._query(Capability.FetchOrder)
        state = self._own(order_id)
        found = await self._guarded(self._fetch_order(state))
        if found is None:
            raise NotFoundError(f"no order {order_id}", venue=self.name, symbol=state.order.symbol)
        return found

    async def open_orders(self, symbol: str | None = None) -> list[OrderState]:
        """The account's open orders as the venue has them, of one symbol when given."""
        await self._query(Capability.OpenOrders)
        return await self._guarded(self._fetch_open_orders(symbol))

    async def fills(self, since: int = 0) -> list[Fill]:
        """The account's fills at or after `since` (UTC ns), oldest first."""
        await self._query(Capability.Fills)
        return sorted(await self._guarded(self._fetch_fills(since)), key=lambda fill: fill.at)

    async def balances(self) -> dict[str, Balance]:
        """The account's balances by asset."""
        await self._query(Capability.Balances)
        return await self._guarded(self._fetch_balances())

    async def positions(self) -> list[Position]:
        """The account's positions, leaving out those at zero."""
        await self._query(Capability.Positions)
        return await self._guarded(self._fetch_positions())

    # Streams.

    async def subscribe(self, channel: Channel, symbol: str) -> None:
        """Start a channel of market data; it arrives through `events()`. Raises RejectedError for an unknown symbol."""
        await self._query(channel.capability)
        self._instrument(symbol)
        await self._guarded(self._subscribe(channel, symbol))

    def events(self) -> EventStream:
        """Everything reported from now on: updates of orders, and market data of subscribed channels."""
        stream = EventStream()
        self._streams.append(stream)
        return stream

    # For plugins.

    def _deliver(self, update: OrderUpdate) -> None:
        """Report a change of an order. Repeated and late ones of our orders stop here; other orders' pass through."""
        if self.orders.get(update.client_order_id) is not None:
            if not self.orders.apply(update):
                return
            self._name(update.client_order_id, update.venue_order_id)
        for stream in self._streams:
            stream.put(update)

    def _publish(self, event: MarketEvent) -> None:
        """Report market data of a subscribed channel."""
        for stream in self._streams:
            stream.put(event)

    def _publish_balance(self, update: BalanceUpdate) -> None:
        """Report what the account holds of one asset."""
        for stream in self._streams:
            stream.put(update)

    # Inside.

    def _require_connection(self) -> None:
        if not self._connected:
            raise UnavailableError("the adapter is not connected", venue=self.name, hint="await connect() first")

    def _require(self, capability: Capability) -> None:
        if capability not in self.capabilities:
            raise UnsupportedError(f"this adapter does not declare {capability.value}", plugin=self.name)

    def _instrument(self, symbol: str) -> Instrument:
        instrument = self._instruments.get(symbol)
        if instrument is None:
            raise RejectedError("the venue has no such symbol", venue=self.name, symbol=symbol)
        return instrument

    def _check(self, order: Order) -> None:
        for capability in sorted(needed_by(order), key=lambda capability: capability.value):
            self._require(capability)
        client_order_id = order.client_order_id
        if not (0 < len(client_order_id) <= self.client_order_id_length and _is_alphanumeric(client_order_id)):
            raise RejectedError(
                f"a client order id has 1 to {self.client_order_id_length} of a-z, A-Z and 0-9, got "
                f"{client_order_id!r}",
                venue=self.name,
                symbol=order.symbol,
            )
        self._check_unused(order)
        reason = refusal(order, self._instrument(order.symbol))
        if reason:
            raise RejectedError(reason, venue=self.name, symbol=order.symbol)

    def _check_unused(self, order: Order) -> None:
        if self.orders.get(order.client_order_id) is not None:
            raise DuplicateOrderError(
                f"client order id {order.client_order_id} was used before", venue=self.name, symbol=order.symbol
            )

    async def _record(self, order: Order) -> None:
        if self._order_log is not None:
            receipt = self._order_log.record(order)
            if self.is_external:
                await asyncio.to_thread(receipt.wait)

    def _settle(self, order: Order, status: OrderStatus, reason: str, venue_order_id: str = "") -> None:
        """Report what `_send_order` came to, unless the venue's own stream was faster."""
        self._name(order.client_order_id, venue_order_id)
        self._deliver(
            OrderUpdate(order.client_order_id, status, self.clock.now(), order.symbol, venue_order_id, reason=reason)
        )

    def _name(self, client_order_id: str, venue_order_id: str) -> None:
        if venue_order_id:
            self._client_ids[venue_order_id] = client_order_id
            if len(self._client_ids) > _REMEMBERED:
                del self._client_ids[next(iter(self._client_ids))]

    def _own(self, order_id: str) -> OrderState:
        state = self.orders.get(order_id) or self.orders.get(self._client_ids.get(order_id, ""))
        if state is None:
            raise NotFoundError(f"no order of ours is named {order_id}", venue=self.name)
        return state

    async def _query(self, capability: Capability) -> None:
        self._require(capability)
        self._require_connection()
        await self._acquire(Request.Query)

    async def _acquire(self, request: Request) -> None:
        if self._budget is not None:
            await self._budget.acquire(request)

    async def _guarded(self, primitive: Awaitable[_T]) -> _T:
        try:
            return await primitive
        except ExchangeError as error:
            self._note_penalty(error)
            raise

    def _note_penalty(self, error: ExchangeError) -> None:
        if self._budget is not None and isinstance(error, RateLimitedError):
            self._budget.penalize(error.retry_after)


def _is_alphanumeric(text: str) -> bool:
    return text.isascii() and text.isalnum()
