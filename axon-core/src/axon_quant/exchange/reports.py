"""What becomes known of the account: applied to our orders, and passed on exactly once.

Reports come from the venue's stream, from answers and from repairs, in any order and more than once. None of them may
stop the adapter: what contradicts what is known is logged, and the order in question is looked up.
"""

from __future__ import annotations

from decimal import Decimal

import attrs
import msgspec

from axon_quant.clock import Clock
from axon_quant.errors import ExchangeError, OrderError
from axon_quant.exchange.budget import Request, Sleep
from axon_quant.exchange.capabilities import Capability
from axon_quant.exchange.config import ExchangeConfig, ForeignOrders
from axon_quant.exchange.recent import Recent
from axon_quant.exchange.requests import Requests, logger
from axon_quant.exchange.stream import AdapterEvent, BalanceUpdate, EventStream, ForeignOrder
from axon_quant.market.types import MarketEvent, Quote, Trade
from axon_quant.orders.tracker import OrderState, OrderTracker
from axon_quant.orders.types import Fill, Order, OrderStatus, OrderUpdate

_REMEMBERED = 100_000
_STRAYS = 10_000


@attrs.define
class _Known:
    """The last balance of an asset, and how many reports of balances there had been by then."""

    update: BalanceUpdate
    serial: int


class Reports(Requests):
    """Our orders, their names, and everyone who reads `events()`."""

    def __init__(self, config: ExchangeConfig | None, clock: Clock | None, sleep: Sleep | None) -> None:
        super().__init__(config, clock, sleep)
        self.orders = OrderTracker()
        self.halted = ""
        """Why no more orders are placed; "" while they are. Clear it to go on."""
        self._foreign_policy = ForeignOrders.Ignore if config is None else config.foreign_orders
        self._client_ids: Recent[str] = Recent(_REMEMBERED)  # by the venue's order id
        self._ours: Recent[None] = Recent(_REMEMBERED)
        self._foreign: Recent[list[OrderUpdate] | None] = Recent(_REMEMBERED)  # what waits while one is looked up
        self._foreign_fills: Recent[None] = Recent(_REMEMBERED)
        self._strays: Recent[list[Fill]] = Recent(_STRAYS)  # fills by the venue's order id, which is no name we know
        self._fills_since = 0  # in venue time: every fill before this is known
        self._seen_all = True  # nothing is being missed now
        self._balances: dict[str, _Known] = {}
        self._serial = 0
        self._references: dict[str, Quote | Trade] = {}
        self._streams: list[EventStream] = []

    # For plugins.

    def _deliver(self, update: OrderUpdate) -> None:
        """Report a change of an order. Repeated and late ones stop here, and so do those of foreign orders."""
        state = self.orders.get(update.client_order_id)
        if state is None:
            self._deliver_other(update)
            return
        fill = update.fill
        is_new = fill is not None and fill.fill_id not in state.fill_ids
        before = state.status
        try:
            changed = self.orders.apply(update)
        except OrderError as error:
            logger.error("%s: %s reports what cannot be: %s", self.name, update.client_order_id, error)
            self._doubt(state)
            if not (is_new and fill is not None and fill.fill_id in state.fill_ids):
                return
            update, changed = msgspec.structs.replace(update, status=state.status), True  # the fill did count
        if update.venue_order_id:
            self._name_order(state, update.venue_order_id)
        if fill is not None:
            if is_new:
                self._note_fill(fill)
            elif changed:
                update = msgspec.structs.replace(update, fill=None)
        self._follow_up(state, update, before)
        if changed:
            self._emit_event(update)

    def _publish(self, event: MarketEvent) -> None:
        """Report market data of a subscribed channel."""
        if type(event) is Quote or type(event) is Trade:
            self._references[event.symbol] = event
        for stream in self._streams:
            stream.put(event)

    def _publish_balance(self, update: BalanceUpdate) -> None:
        """Report what the account holds of one asset."""
        self._serial += 1
        known = self._balances.get(update.asset)
        self._balances[update.asset] = _Known(update, self._serial)
        if known is None or (known.update.free, known.update.locked) != (update.free, update.locked):
            self._emit_event(update)

    def _clock_was_set(self, step: int) -> None:
        if step < 0 and self._fills_since:
            self._fills_since += step  # what fills from here on have lower times than the last ones

    # Our orders.

    def _is_in_question(self, state: OrderState) -> bool:
        """Whether the venue may have another quantity, and will be asked."""
        raise NotImplementedError

    def _doubt(self, state: OrderState) -> None:
        """Something does not fit: look the order up."""
        raise NotImplementedError

    def _follow_up(self, state: OrderState, update: OrderUpdate, before: OrderStatus) -> None:
        """An update of ours was applied."""
        raise NotImplementedError

    def _add_order(self, order: Order) -> OrderState:
        state = self.orders.add(order, self.clock.now())
        self._ours.put(order.client_order_id, None)
        return state

    def _settle(self, order: Order, status: OrderStatus, reason: str, venue_order_id: str = "") -> None:
        """Report what we found out ourselves, unless the venue's own stream was faster."""
        self._deliver(
            OrderUpdate(order.client_order_id, status, self.clock.now(), order.symbol, venue_order_id, reason=reason)
        )

    def _resize(self, state: OrderState, quantity: Decimal) -> None:
        """The venue has one of our reduce-only orders for less than we asked: it is no larger than its position."""
        order = state.order
        if order.reduce_only and state.filled_quantity <= quantity < order.quantity and not self._is_in_question(state):
            state.order = attrs.evolve(order, quantity=quantity)

    def _name_order(self, state: OrderState, venue_order_id: str) -> None:
        """Remember the venue's name of one of our orders, and count the fills that came under it."""
        client_order_id = state.order.client_order_id
        if self._client_ids.get(venue_order_id) == client_order_id:
            return
        self._client_ids.put(venue_order_id, client_order_id)
        if not state.venue_order_id:
            state.venue_order_id = venue_order_id
        for fill in self._strays.pop(venue_order_id) or ():
            self._count_fill(fill)

    def _find_order(self, order_id: str) -> OrderState | None:
        return self.orders.get(order_id) or self.orders.get(self._client_ids.get(order_id) or "")

    def _count_fill(self, fill: Fill) -> bool:
        """Report a fill that was looked up; whether it is a new one of ours."""
        state = self._find_order(fill.client_order_id)
        if state is None:
            if fill.client_order_id not in self._ours and self._client_ids.get(fill.client_order_id) is None:
                fills = self._strays.get(fill.client_order_id) or []
                if all(other.fill_id != fill.fill_id for other in fills):
                    self._strays.put(fill.client_order_id, [*fills, fill])
            return False
        if fill.fill_id in state.fill_ids:
            self._note_fill(fill)
            return False
        order = state.order
        filled = state.filled_quantity + fill.quantity
        is_full = filled >= order.quantity and not self._is_in_question(state)
        status = OrderStatus.Filled if is_full else OrderStatus.PartiallyFilled
        own = msgspec.structs.replace(fill, client_order_id=order.client_order_id)
        self._deliver(
            OrderUpdate(order.client_order_id, status, fill.at, order.symbol, state.venue_order_id, filled, fill=own)
        )
        return fill.fill_id in state.fill_ids

    def _note_fill(self, fill: Fill) -> None:
        if self._seen_all and fill.at > self._fills_since:
            self._fills_since = fill.at

    # Orders that are not ours.

    def _deliver_other(self, update: OrderUpdate) -> None:
        name = update.client_order_id
        state = self._find_order(name) or self._find_order(update.venue_order_id)
        if state is not None:
            fill = update.fill
            name = state.order.client_order_id
            if fill is not None:
                fill = msgspec.structs.replace(fill, client_order_id=name)
            self._deliver(msgspec.structs.replace(update, client_order_id=name, fill=fill))
        elif name not in self._ours:
            self._meet_foreign(name, update.venue_order_id, update.symbol, update)

    def _meet_foreign(self, name: str, venue_order_id: str, symbol: str, update: OrderUpdate | None = None) -> None:
        """There is a foreign order."""
        if self._foreign_policy is ForeignOrders.Ignore:
            return
        if name in self._foreign:
            if update is not None and self._foreign_policy is ForeignOrders.Adopt:
                waiting = self._foreign.get(name)
                if waiting is None:
                    self._pass_on(update)
                else:
                    waiting.append(update)
            return
        if self._foreign_policy is ForeignOrders.Halt:
            self._foreign.put(name, None)
            self.halted = f"a foreign order is on the account: {name} of {symbol}"
            logger.error("%s: %s", self.name, self.halted)
            self._emit_event(ForeignOrder(name, venue_order_id, symbol, self.clock.now()))
        else:
            self._foreign.put(name, [] if update is None else [update])
            self._start_task(self._look_into(name, venue_order_id, symbol))

    async def _look_into(self, name: str, venue_order_id: str, symbol: str) -> None:
        """Adopt a foreign order: find out what it is; one that is over is passed on as it comes."""
        try:
            if Capability.OpenOrders in self.capabilities:
                for found in await self._patiently(
                    lambda: self._call_primitive(Request.Query, self._fetch_open_orders, symbol)
                ):
                    if found.order.client_order_id == name:
                        self._adopt_foreign(found)
        except ExchangeError as error:
            logger.warning("%s: foreign order %s could not be looked up: %s", self.name, name, error)
        finally:
            waiting = self._foreign.get(name) or ()
            self._foreign.put(name, None)
            if name not in self._ours:
                self._emit_event(ForeignOrder(name, venue_order_id, symbol, self.clock.now()))
            for update in waiting:
                self._deliver(update)

    def _adopt_foreign(self, found: OrderState) -> None:
        """A foreign order is ours from here on, with the fills it has had."""
        order = found.order
        if order.client_order_id in self._ours:
            return
        state = self._add_order(order)
        state.created_at = found.created_at or state.created_at
        self._foreign.put(order.client_order_id, None)
        self._emit_event(
            ForeignOrder(order.client_order_id, found.venue_order_id, order.symbol, self.clock.now(), order=order)
        )
        self._deliver(as_update(found, order.client_order_id, self.clock.now()))

    def _pass_on(self, update: OrderUpdate) -> None:
        fill = update.fill
        if fill is not None:
            if fill.fill_id in self._foreign_fills:
                return
            self._foreign_fills.put(fill.fill_id, None)
        self._emit_event(update)

    def _judge_strays(self) -> None:
        """Fills under names we do not know are foreign, unless an order of ours has no name yet."""
        nameless = {state.order.symbol for state in self.orders.open.values() if not state.venue_order_id}
        for name, fills in self._strays.items():
            if fills[0].symbol in nameless:
                continue
            self._strays.pop(name)
            total = Decimal(0)
            for fill in fills:
                total += fill.quantity
                update = OrderUpdate(name, OrderStatus.PartiallyFilled, fill.at, fill.symbol, name, total, fill=fill)
                self._meet_foreign(name, name, fill.symbol, update)

    def _emit_event(self, event: AdapterEvent) -> None:
        for stream in self._streams:
            stream.put(event)


def as_update(found: OrderState, client_order_id: str, at: int) -> OrderUpdate:
    """What a look-up of an order says, as an update; one that the venue has is open at least."""
    status = found.status
    if status in (OrderStatus.Created, OrderStatus.Submitted, OrderStatus.Unknown):
        status = OrderStatus.PartiallyFilled if found.filled_quantity else OrderStatus.Open
    return OrderUpdate(
        client_order_id,
        status,
        at,
        found.order.symbol,
        found.venue_order_id,
        found.filled_quantity,
        reason=found.reason,
    )
