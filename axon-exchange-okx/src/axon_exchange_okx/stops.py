"""Which orders stop orders have placed: OKX gives them ids of their own, axon keeps the stop order's."""

from __future__ import annotations

from axon_exchange_okx.payloads import AlgoRow, OrderRow

_REMEMBERED = 10_000


class PlacedOrders:
    """Stop order (by client order id) ↔ the OKX order that it placed when it triggered."""

    def __init__(self) -> None:
        self._orders: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def note(self, row: OrderRow) -> None:
        """Remember who placed an order; "" for one that no stop order placed."""
        if row.algo_cl_ord_id:
            self._orders[row.algo_cl_ord_id] = row.ord_id
        if row.algo_cl_ord_id or not row.cl_ord_id:  # one that has a name of its own is never asked for here
            self._names[row.ord_id] = row.algo_cl_ord_id
        self._forget()

    def note_stop(self, row: AlgoRow) -> None:
        """Remember what a stop order placed, if it did."""
        if row.algo_cl_ord_id and row.placed:
            self._orders[row.algo_cl_ord_id] = row.placed
            self._names[row.placed] = row.algo_cl_ord_id
            self._forget()

    def order(self, client_order_id: str) -> str:
        """OKX's id of the order that a stop order placed, or ""."""
        return self._orders.get(client_order_id, "")

    def name(self, order_id: str) -> str | None:
        """The client order id of the stop order that placed an order, "" when none did, None when nobody knows."""
        return self._names.get(order_id)

    def _forget(self) -> None:
        for known in (self._orders, self._names):
            if len(known) > _REMEMBERED:
                del known[next(iter(known))]
