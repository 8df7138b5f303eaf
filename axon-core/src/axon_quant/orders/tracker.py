"""The order state machine: which update may follow which, and what is open right now.

    Created ──▶ Submitted ──▶ Open ──▶ PartiallyFilled ──▶ Filled
                   │  ▲         │            │
                   ▼  │         └────────────┴──▶ Cancelled · Expired
                Unknown ──▶ (any)       Submitted ──▶ Rejected

A venue may skip states (an immediate fill is never Open) and may deliver an update twice or late. Late and repeated
ones are ignored; a terminal order never comes back to life; a fill is counted once by its id, even when it arrives
after the cancel it crossed.
"""

from __future__ import annotations

from decimal import Decimal

import attrs

from axon_quant.errors import OrderTransitionError
from axon_quant.orders.types import Order, OrderStatus, OrderUpdate, Side

_RANK = {
    OrderStatus.Created: 0,
    OrderStatus.Submitted: 1,
    OrderStatus.Unknown: 1,
    OrderStatus.Open: 2,
    OrderStatus.PartiallyFilled: 3,
    OrderStatus.Filled: 4,
    OrderStatus.Cancelled: 4,
    OrderStatus.Rejected: 4,
    OrderStatus.Expired: 4,
}


@attrs.define
class OrderState:
    """The life of one order. `cancel_requested` is set between asking for a cancel and its outcome.

    `arrival` is the mid of its symbol when it was placed; 0.0 where that is not known, as after a restart.
    """

    order: Order
    status: OrderStatus = OrderStatus.Created
    venue_order_id: str = ""
    filled_quantity: Decimal = Decimal(0)
    cancel_requested: bool = False
    created_at: int = 0
    reason: str = ""
    arrival: float = 0.0
    fill_ids: set[str] = attrs.field(factory=set, repr=False)

    @property
    def remaining(self) -> Decimal:
        """The quantity that can still fill; 0 once the order is terminal."""
        return Decimal(0) if self.status.is_terminal else self.order.quantity - self.filled_quantity


class OrderTracker:
    """Every order of a run by client order id, with the open ones at hand.

    `terminal_limit` bounds how many finished orders are remembered (oldest first out), so a process that runs for
    months does not grow.
    """

    def __init__(self, *, terminal_limit: int = 10_000) -> None:
        self._orders: dict[str, OrderState] = {}
        self._open: dict[str, OrderState] = {}
        self._finished: dict[str, None] = {}
        self._terminal_limit = terminal_limit

    def add(self, order: Order, at: int) -> OrderState:
        """Start tracking an order. Raises OrderTransitionError when its client order id is known already."""
        if order.client_order_id in self._orders:
            raise OrderTransitionError(
                f"client order id {order.client_order_id} is tracked already", symbol=order.symbol
            )
        state = OrderState(order, created_at=at)
        self._orders[order.client_order_id] = state
        self._open[order.client_order_id] = state
        return state

    def follow(self, state: OrderState) -> OrderState:
        """Start tracking a copy of an order that was at the venue before, as it stands. Raises as `add`.

        One that nobody says was sent counts as submitted: it may have been.
        """
        own = self.add(state.order, state.created_at)
        own.status = OrderStatus.Submitted if state.status is OrderStatus.Created else state.status
        own.venue_order_id = state.venue_order_id
        own.filled_quantity = state.filled_quantity
        own.fill_ids.update(state.fill_ids)
        if own.status.is_terminal:
            self._finish(own)
        return own

    def get(self, client_order_id: str) -> OrderState | None:
        return self._orders.get(client_order_id)

    @property
    def open(self) -> dict[str, OrderState]:
        """The orders that are not terminal, oldest first."""
        return self._open

    def open_for(self, symbol: str, side: Side | None = None) -> list[OrderState]:
        """The open orders of a symbol, oldest first, of one side when given."""
        return [
            state
            for state in self._open.values()
            if state.order.symbol == symbol and (side is None or state.order.side is side)
        ]

    def apply(self, update: OrderUpdate) -> bool:
        """Apply one update; True when it changed anything.

        A repeated or late update changes nothing. Raises OrderTransitionError for an order that was never added, a
        fill beyond the order's quantity, or a terminal status that contradicts the one already reached.
        """
        state = self._orders.get(update.client_order_id)
        if state is None:
            raise OrderTransitionError(f"no order has the client order id {update.client_order_id}")
        filled = self._count_fill(state, update)
        moved = self._move(state, update)
        if update.venue_order_id and not state.venue_order_id:
            state.venue_order_id = update.venue_order_id
        return filled or moved

    def _count_fill(self, state: OrderState, update: OrderUpdate) -> bool:
        fill = update.fill
        if fill is None or fill.fill_id in state.fill_ids:
            return False
        filled = state.filled_quantity + fill.quantity
        if not filled <= state.order.quantity:
            raise OrderTransitionError(
                f"order {update.client_order_id}: filled {filled} of {state.order.quantity}", symbol=state.order.symbol
            )
        state.fill_ids.add(fill.fill_id)
        state.filled_quantity = filled
        return True

    def _move(self, state: OrderState, update: OrderUpdate) -> bool:
        old, new = state.status, update.status
        if old.is_terminal:
            contradicts = new.is_terminal and new is not old and OrderStatus.Filled not in (old, new)
            if contradicts:
                raise OrderTransitionError(
                    f"order {update.client_order_id}: {old.value} cannot become {new.value}", symbol=state.order.symbol
                )
            return False
        if new is OrderStatus.Rejected and state.filled_quantity > 0:
            raise OrderTransitionError(
                f"order {update.client_order_id}: rejected after a fill", symbol=state.order.symbol
            )
        if new is old or (_RANK[new] < _RANK[old]) or (new is OrderStatus.Submitted and old is OrderStatus.Unknown):
            return False
        state.status = new
        state.reason = update.reason
        if new.is_terminal:
            self._finish(state)
        return True

    def _finish(self, state: OrderState) -> None:
        client_order_id = state.order.client_order_id
        del self._open[client_order_id]
        self._finished[client_order_id] = None
        if len(self._finished) > self._terminal_limit:
            oldest = next(iter(self._finished))
            del self._finished[oldest]
            del self._orders[oldest]
