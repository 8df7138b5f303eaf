"""What a trader knows, on disk: its orders before they are sent, and everything it was told, in a journal.

It is all that a trader has after it was killed, and all that it is judged by.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import attrs

from axon_quant.clock import LiveClock
from axon_quant.events import OrderPlaced, OrderUpdated
from axon_quant.exchange.order_log import Receipt
from axon_quant.journal import Journal, read, runs
from axon_quant.orders import Fill, Order, OrderState, OrderStatus, OrderUpdate


class Record:
    """The journal of this run; an `OrderLog`."""

    def __init__(self, path: Path) -> None:
        self._clock = LiveClock()
        self._journal = Journal(path, linger=0.005)
        self._journal.start_run(mode="live", continues=True)

    def record(self, order: Order) -> Receipt:
        """Write an order down."""
        return self._journal.append(OrderPlaced(self._clock.now(), order, 0))

    def update(self, update: OrderUpdate) -> None:
        """Write down what was reported."""
        self._journal.append(OrderUpdated(self._clock.now(), update))

    def close(self) -> None:
        """Make everything durable."""
        self._journal.close()


@attrs.define
class Known:
    """An order as a record leads to it. `ids` counts how often each fill was reported."""

    order: Order
    placed: int
    status: OrderStatus = OrderStatus.Created
    venue_order_id: str = ""
    fills: dict[str, Fill] = attrs.field(factory=dict)
    ids: Counter[str] = attrs.field(factory=Counter)
    ended: int = 0

    @property
    def filled(self) -> Decimal:
        """The sum of its fills."""
        return sum((fill.quantity for fill in self.fills.values()), Decimal(0))

    def take(self, update: OrderUpdate) -> None:
        """Follow one report."""
        self.venue_order_id = update.venue_order_id or self.venue_order_id
        if update.fill is not None:
            self.ids[update.fill.fill_id] += 1
            self.fills.setdefault(update.fill.fill_id, update.fill)
        if not self.status.is_terminal:
            self.status = update.status
            self.ended = update.at if update.status.is_terminal else 0

    def state(self) -> OrderState:
        """For `ExchangeAdapter.track`."""
        return OrderState(
            self.order,
            self.status,
            self.venue_order_id,
            self.filled,
            created_at=self.placed,
            fill_ids=set(self.fills),
        )


def known(path: Path) -> dict[str, Known]:
    """Every order of a record by client order id, as all its runs together lead to it."""
    orders: dict[str, Known] = {}
    for event in _events(path):
        if isinstance(event, OrderPlaced):
            orders[event.order.client_order_id] = Known(event.order, event.at)
        else:
            orders[event.update.client_order_id].take(event.update)
    return orders


def _events(path: Path) -> Iterator[OrderPlaced | OrderUpdated]:
    if path.exists():
        for row in runs(path):
            for _, event in read(path, run=row.number, kinds=(OrderPlaced, OrderUpdated)):
                assert isinstance(event, OrderPlaced | OrderUpdated)
                yield event
