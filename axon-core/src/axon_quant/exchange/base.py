"""What strategies call; `primitives.py` says what a venue's plugin writes."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TypeAlias

import attrs

from axon_quant.clock import Clock
from axon_quant.errors import (
    AmbiguousError,
    AuthError,
    ExchangeError,
    NotFoundError,
    RejectedError,
    UnavailableError,
    UnsupportedError,
)
from axon_quant.exchange.budget import Request, Sleep
from axon_quant.exchange.capabilities import Capability, Channel
from axon_quant.exchange.checking import Checks
from axon_quant.exchange.config import ExchangeConfig
from axon_quant.exchange.filters import refusal
from axon_quant.exchange.ledger import Balance
from axon_quant.exchange.order_log import OrderLog
from axon_quant.exchange.primitives import PRIMITIVES, FundingRate, MarginMode, Position, VenuePrimitives
from axon_quant.exchange.repair import Repair
from axon_quant.exchange.stream import EventStream
from axon_quant.market.instrument import Instrument
from axon_quant.market.types import Trade
from axon_quant.orders.tracker import OrderState
from axon_quant.orders.types import Fill, Order, OrderStatus, exact

Number: TypeAlias = Decimal | float | int | str


class ExchangeAdapter(Checks):
    """One account at one venue.

    An order is named by its client order id or by the order id that `place_order` returned; both work everywhere. Every
    method that asks for a capability the plugin does not declare raises UnsupportedError; every method but `connect`,
    `close` and `track` raises UnavailableError while not connected.

    `is_external` says that orders leave the process, so each one must be durable before it is sent: `place_order` waits
    for `order_log` then, and a caller that keeps its own journal waits before calling.

    What a plugin may set: `validity`, the seconds that the venue accepts a request after its timestamp;
    `engine_timeout`, the seconds that its engine may hold an accepted one; `stale_after`, the seconds of silence after
    which a connection is lost; `query_timeout` and `connect_timeout`; `client_order_id_length`.
    """

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        taken = sorted(name for name in vars(cls) if name in _PRIVATE)
        if taken:
            raise TypeError(f"{cls.__name__} writes {', '.join(taken)}, which the base needs: choose another name")
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
        super().__init__(config, clock, sleep)
        self._order_log = order_log
        self._connected = False
        self._containers = {name: value for name, value in vars(self).items() if isinstance(value, dict | set | list)}

    # Connection.

    async def connect(self) -> None:
        """Connect, load the instruments and bring the account up to date.

        Raises AuthError (also for a key that may withdraw, or may not trade), ClockError or UnavailableError.
        """
        for name, value in self._containers.items():
            if vars(self)[name] is not value:
                raise TypeError(f"{type(self).__name__} sets self.{name}, which the base needs: choose another name")
        try:
            await self._connect()
            await self._set_clock()
            await self._check_permissions()
            instruments = await self._call_primitive(Request.Query, self._fetch_instruments)
            self._instruments.clear()
            self._instruments.update((instrument.symbol, instrument) for instrument in instruments)
            self._fills_since = min(self._fills_since or self.venue_time(), self.venue_time())
            self._connected = True
            if Capability.VenueClock in self.capabilities:
                self._start_task(self._keep_time())
            if Capability.AccountStream in self.capabilities:
                self._seen_all = self._account_ready = False
                self._supervise_new("account", self._run_account)
                await self._wait_for("account", lambda: self._account_ready)
        except BaseException:
            await self._shut_down()
            raise

    async def close(self) -> None:
        """Disconnect and end every `events()`. Open orders stay open. Closing twice is fine."""
        try:
            await self._shut_down()
        finally:
            for stream in self._streams:
                stream.close()
            self._streams.clear()

    def use_keys(self, config: ExchangeConfig) -> None:
        """Sign with the keys of `config` from the next request on; the account's stream is opened anew with them.

        They are to belong to the same account, and are not tried out here: connect another adapter with them first.
        Raises UnsupportedError for a plugin that cannot change its keys while it is connected.
        """
        if type(self)._use_keys is VenuePrimitives._use_keys:  # noqa: SLF001 - our own
            raise UnsupportedError("this adapter cannot change its keys while it is connected", plugin=self.name)
        self._require_connection()
        if self.config is None:
            raise UnsupportedError("this adapter has no keys", plugin=self.name)
        self.config = attrs.evolve(
            self.config, api_key=config.api_key, api_secret=config.api_secret, passphrase=config.passphrase
        )
        self._use_keys()
        self._renew("account", "the keys were changed")

    # Orders.

    async def place_order(self, order: Order) -> str:
        """Send an order and return the venue's order id.

        Raises UnsupportedError, RejectedError (a filter, or the venue), RateLimitedError or another definitive
        ExchangeError when the order does not exist at the venue. When the answer is lost, the order is looked up: it is
        found, or proven not to exist (RejectedError). AmbiguousError says that the venue could not be asked until a
        second after it could have been proven; the order stays Unknown and is looked up on: never send it again.
        """
        self._require_connection()
        self._check_order(order)
        await self._spend(Request.Order, "_send_order")
        state = await self._prepare_order(order)
        return await self._create_order(state, "_send_order", lambda: self._send_order(order))

    async def cancel_order(self, order_id: str) -> None:
        """Ask for one of our orders to be cancelled; the outcome arrives as an update.

        Raises NotFoundError when it is not ours, or finished already. An answer that is lost is looked up:
        UnavailableError says that the cancel was not taken, AmbiguousError that this could not be found out.
        """
        self._require_connection()
        state = self._own_open(order_id)
        await self._cancel_order(state)

    async def cancel_all(self, symbol: str | None = None) -> None:
        """Cancel every open order, of one symbol when given: the account's with CancelAll, else the ones we track.

        One that fails does not keep the others from being cancelled; the first failure is raised at the end.
        """
        self._require_connection()
        if Capability.CancelAll in self.capabilities:
            await self._cancel_all_at_once(symbol)
            return
        failure: ExchangeError | None = None
        for state in list(self.orders.open.values()):
            if symbol in (None, state.order.symbol):
                try:
                    await self.cancel_order(state.order.client_order_id)
                except NotFoundError:
                    continue  # it finished while we got to it, which is as good
                except ExchangeError as error:
                    failure = failure or error
        if failure is not None:
            raise failure

    async def amend_order(self, order_id: str, *, price: Number | None = None, quantity: Number | None = None) -> None:
        """Change the price, the quantity (of the whole order) or both of one of our open orders in place.

        Numbers as in `Order`. Raises OrderValueError, NotFoundError, RejectedError (a filter, or the venue); a lost
        answer is looked up as in `cancel_order`.
        """
        self._require(Capability.AmendOrders)
        self._require_connection()
        state = self._own_open(order_id)
        order = state.order
        new_price = None if price is None else exact(price, what="price", symbol=order.symbol)
        new_quantity = None if quantity is None else exact(quantity, what="quantity", symbol=order.symbol)
        if new_price is not None and not order.order_type.has_price:
            raise RejectedError(f"a {order.order_type.value} order has no price", venue=self.name, symbol=order.symbol)
        amended = attrs.evolve(
            order,
            price=order.price if new_price is None else new_price,
            quantity=order.quantity if new_quantity is None else new_quantity,
        )
        if amended == order:
            return
        if not amended.quantity > state.filled_quantity:
            raise RejectedError(
                f"{state.filled_quantity} of the order is filled already", venue=self.name, symbol=order.symbol
            )
        self._refuse_order(refusal(amended, self._instrument(order.symbol), self._reference(order.symbol)), order)
        await self._spend(Request.Order, "_send_amend")
        await self._change_order(
            state,
            lambda: (state.order.price, state.order.quantity) == (amended.price, amended.quantity),
            lambda: self._send_amend(state, new_price, new_quantity),
        )
        state.order = amended

    async def replace_order(self, order_id: str, order: Order) -> str:
        """Cancel one of our orders and place `order` in one request; returns the venue's id of the new one.

        Raises as `place_order` for the new order. What became of the old one arrives as an update.
        """
        self._require(Capability.ReplaceOrders)
        self._require_connection()
        old = self._own_open(order_id)
        self._check_order(order)
        await self._spend(Request.Order, "_send_replace")
        state = await self._prepare_order(order)
        old.cancel_requested = True
        try:
            return await self._create_order(state, "_send_replace", lambda: self._send_replace(old, order))
        except BaseException:
            old.cancel_requested = False
            self._doubt(old)
            raise

    async def cancel_after(self, seconds: float) -> None:
        """Have the venue cancel every open order unless this is called again within `seconds`; 0 disarms it.

        Raises ValueError for a negative or infinite number.
        """
        self._require(Capability.CancelAfter)
        self._require_connection()
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"seconds must be zero or positive, got {seconds}")
        await self._call_primitive(Request.Cancel, self._send_cancel_after, seconds)

    async def set_leverage(self, symbol: str, leverage: int) -> None:
        """The leverage of a symbol's position from now on. Raises ValueError below 1."""
        self._require(Capability.Leverage)
        self._require_connection()
        self._instrument(symbol)
        if not leverage >= 1:
            raise ValueError(f"leverage must be at least 1, got {leverage}")
        await self._call_primitive(Request.Query, self._send_leverage, symbol, leverage)

    async def set_margin_mode(self, symbol: str, mode: MarginMode) -> None:
        """Whether a symbol's position shares the account's margin."""
        self._require(Capability.MarginMode)
        self._require_connection()
        self._instrument(symbol)
        await self._call_primitive(Request.Query, self._send_margin_mode, symbol, mode)

    def track(self, state: OrderState) -> None:
        """Take an order that was placed before a restart as ours again; before or after `connect`.

        One that may or may not have been sent (Created, Submitted, Unknown) is looked up until that is known. What the
        account missed is found by the repair that `connect` makes, or by `repair()`.
        """
        name = state.order.client_order_id
        if self.orders.get(name) is not None:
            return
        tracked = self._add_order(state.order)
        tracked.created_at = state.created_at
        tracked.filled_quantity = state.filled_quantity
        tracked.fill_ids = set(state.fill_ids)
        status = state.status
        if status in (OrderStatus.Created, OrderStatus.Submitted):
            status = OrderStatus.Unknown
        self._settle(state.order, status, state.reason, state.venue_order_id)
        if state.created_at:
            self._fills_since = min(self._fills_since or state.created_at, state.created_at)
        if self._connected and tracked.status is OrderStatus.Unknown:
            self._investigate_placing(tracked)

    async def repair(self) -> Repair:
        """Bring orders, fills and balances up to date with the venue, as after every reconnect."""
        self._require_connection()
        return await self._repair_now()

    # Look-ups.

    async def instruments(self) -> dict[str, Instrument]:
        """The venue's instruments by symbol, as of `connect`."""
        self._require_connection()
        return dict(self._instruments)

    async def fetch_order(self, order_id: str) -> OrderState:
        """One of our orders as the venue has it. Raises NotFoundError."""
        self._require(Capability.FetchOrder)
        self._require_connection()
        state = self._own_order(order_id)
        found = await self._call_primitive(Request.Query, self._fetch_order, state)
        if found is None:
            raise NotFoundError(f"no order {order_id}", venue=self.name, symbol=state.order.symbol)
        return found

    async def open_orders(self, symbol: str | None = None) -> list[OrderState]:
        """The account's open orders as the venue has them, of one symbol when given."""
        self._require(Capability.OpenOrders)
        self._require_connection()
        return await self._call_primitive(Request.Query, self._fetch_open_orders, symbol)

    async def fills(self, since: int = 0) -> list[Fill]:
        """The account's fills at or after `since` (UTC ns), oldest first."""
        self._require(Capability.Fills)
        self._require_connection()
        return sorted(await self._call_primitive(Request.Query, self._fetch_fills, since), key=lambda fill: fill.at)

    async def balances(self) -> dict[str, Balance]:
        """The account's balances by asset."""
        self._require(Capability.Balances)
        self._require_connection()
        return await self._call_primitive(Request.Query, self._fetch_balances)

    async def positions(self) -> list[Position]:
        """The account's positions, leaving out those at zero."""
        self._require(Capability.Positions)
        self._require_connection()
        return await self._call_primitive(Request.Query, self._fetch_positions)

    async def funding_rate(self, symbol: str) -> FundingRate:
        """The next funding of a swap. Raises RejectedError for an unknown symbol."""
        self._require(Capability.Funding)
        self._require_connection()
        self._instrument(symbol)
        return await self._call_primitive(Request.Query, self._fetch_funding_rate, symbol)

    async def trades(self, symbol: str, since: int) -> list[Trade]:
        """Past public trades of a symbol at or after `since` (UTC ns), oldest first; `received` is the venue's time.

        A venue may not remember that far, and a busy symbol's are cut short; they then begin later. Raises
        RejectedError for an unknown symbol.
        """
        self._require(Capability.TradeHistory)
        self._require_connection()
        self._instrument(symbol)
        return await self._call_primitive(Request.Query, self._fetch_trades, symbol, since)

    # Streams.

    async def subscribe(self, channel: Channel, symbol: str) -> None:
        """Start a channel of market data; it arrives through `events()`, again after every reconnect.

        Raises RejectedError for an unknown symbol, UnavailableError when the market's connection does not come up.
        """
        self._require(channel.capability)
        self._require_connection()
        self._instrument(symbol)
        if self._has_market_link:
            await self._want_channel(channel, symbol)
        else:
            await self._call_primitive(Request.Query, self._subscribe, channel, symbol)
            self.wanted[channel, symbol] = None

    def events(self) -> EventStream:
        """Everything reported from now on: orders, balances, the state of the streams, subscribed market data."""
        stream = EventStream()
        self._streams.append(stream)
        return stream

    # Inside.

    async def _shut_down(self) -> None:
        self._connected = False
        for cases in list(self._cases.values()):
            for case in cases:
                case.done.set()
        await self._stop_tasks()
        self._cases.clear()
        self._links.clear()
        self.wanted.clear()
        await self._close()

    async def _check_permissions(self) -> None:
        if Capability.KeyPermissions not in self.capabilities:
            return
        permissions = await self._call_primitive(Request.Query, self._fetch_permissions)
        if permissions.withdraw and not (self.config is not None and self.config.allow_withdrawals):
            raise AuthError(
                "this API key may withdraw funds",
                venue=self.name,
                hint="make a key that may trade and may not withdraw; in Python, allow_withdrawals=True takes it",
            )
        if not permissions.trade:
            raise AuthError("this API key may not trade", venue=self.name, hint="give it permission to trade")

    async def _prepare_order(self, order: Order) -> OrderState:
        """Track and record an order that is about to be sent."""
        self._check_unused(order)  # again: another task may have used the id while this one waited
        self._refuse_order(self.halted, order)  # likewise: trading may have been halted
        state = self._add_order(order)
        try:
            if self._order_log is not None:
                receipt = self._order_log.record(order)
                if self.is_external:
                    await asyncio.to_thread(receipt.wait)
            if self.budget.closed_for:
                await self.budget.acquire(Request.Order)  # the venue has asked us to wait meanwhile
        except BaseException as error:
            self._settle(order, OrderStatus.Rejected, f"never sent: {error!r}")
            raise
        return state

    async def _cancel_all_at_once(self, symbol: str | None) -> None:
        try:
            await self._call_primitive(Request.Cancel, self._send_cancel_all, symbol)
        except AmbiguousError:
            await self._call_primitive(Request.Cancel, self._send_cancel_all, symbol)  # cancelling twice does no harm

    def _require_connection(self) -> None:
        if not self._connected:
            raise UnavailableError("the adapter is not connected", venue=self.name, hint="await connect() first")

    def _own_order(self, order_id: str) -> OrderState:
        state = self._find_order(order_id)
        if state is None:
            raise NotFoundError(f"no order of ours is named {order_id}", venue=self.name)
        return state

    def _own_open(self, order_id: str) -> OrderState:
        state = self._own_order(order_id)
        if state.status.is_terminal:
            raise NotFoundError(
                f"order {order_id} is {state.status.value} already", venue=self.name, symbol=state.order.symbol
            )
        return state


_PRIVATE = frozenset(
    name
    for base in ExchangeAdapter.__mro__
    if base is not object and base is not VenuePrimitives
    for name in vars(base)
    if name.startswith("_") and not name.startswith("__") and not hasattr(VenuePrimitives, name)
)
"""What a plugin must not redefine."""
