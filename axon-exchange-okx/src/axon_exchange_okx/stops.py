"""Which orders stop orders have placed: OKX gives them ids of their own, axon keeps the stop order's."""

from __future__ import annotations

_REMEMBERED = 10_000


class PlacedOrders:
    """Stop order (by client order id) ↔ the OKX order that it placed when it triggered."""

    def __init__(self) -> None:
        self._orders: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def add(self, client_order_id: str, order_id: str) -> None:
        """Remember one; the oldest are forgotten after some thousands."""
        self._orders[client_order_id] = order_id
        self._names[order_id] = client_order_id
        if len(self._orders) > _REMEMBERED:
            oldest = next(iter(self._orders))
            self._names.pop(self._orders.pop(oldest), None)

    def order(self, client_order_id: str) -> str:
        """OKX's id of the order that a stop order placed, or ""."""
        return self._orders.get(client_order_id, "")

    def name(self, order_id: str) -> str:
        """The client order id of the stop order that placed an order, or ""."""
        return self._names.get(order_id, "")
