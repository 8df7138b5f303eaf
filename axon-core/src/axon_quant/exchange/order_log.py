"""Where orders are written down before they leave; the runtime's journal is such."""

from __future__ import annotations

from typing import Protocol

from axon_quant.orders.types import Order


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
