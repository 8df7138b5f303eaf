"""OKX's algo orders: kept apart from the orders, they hold no funds, and place an order when they trigger."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from axon_exchange_okx.simulator.errors import NO_STOP, OkxError, said
from axon_exchange_okx.simulator.messages import StopOrder
from axon_quant.exchange.simulator import Account, RefusedError, SimulatedExchange
from axon_quant.market.types import MarketEvent, Trade
from axon_quant.orders.types import Order, OrderType, Side


class Stops:
    """The algo orders of every account; `on_change` is told when one of them changes."""

    def __init__(self, exchange: SimulatedExchange, on_change: Callable[[Account, StopOrder], None]) -> None:
        self._exchange = exchange
        self._on_change = on_change
        self._all: dict[str, dict[str, StopOrder]] = {key: {} for key in exchange.accounts}
        self._waiting: list[tuple[Account, StopOrder]] = []
        self._next = 700_000
        exchange.listeners.append(self._on_market)

    def of(self, account: Account) -> list[StopOrder]:
        """All of an account's, oldest first."""
        return list(self._all[account.key].values())

    def find(self, account: Account, given: Mapping[str, Any]) -> StopOrder:
        """The one that is meant. Raises OkxError 51603."""
        known, name = self._all[account.key], str(given.get("algoClOrdId") or "")
        found = known.get(str(given.get("algoId") or ""))
        if found is None and name:
            found = next((stop for stop in reversed(known.values()) if stop.order.client_order_id == name), None)
        if found is None:
            raise NO_STOP
        return found

    def place(self, account: Account, order: Order, stop_price: Decimal) -> StopOrder:
        """Take one. A stop-loss waits for the price to fall to it as a sell, to rise to it as a buy."""
        if any(one.order.client_order_id == order.client_order_id for one in self._all[account.key].values()):
            raise OkxError("51065", "algoClOrdId already exists.")
        rises = order.side is Side.Buy
        price = self._exchange.price(order.symbol)
        if price is None or (price >= stop_price if rises else price <= stop_price):
            raise OkxError("51278" if rises else "51280", "SL trigger price is on the wrong side of the last price.")
        self._next += 1
        kept = _with(order, stop_price=stop_price)
        stop = StopOrder(str(self._next), kept, self._exchange.now(), rises)
        self._all[account.key][stop.algo_id] = stop
        self._waiting.append((account, stop))
        self._on_change(account, stop)
        return stop

    def cancel(self, account: Account, stop: StopOrder) -> None:
        """Cancel one that waits. Raises OkxError when it does not."""
        if stop.state != "live":
            raise OkxError("51401", "Order cancellation failed as the order has been canceled.")
        self._waiting.remove((account, stop))
        self._change(account, stop, "canceled")

    def amend(self, account: Account, stop: StopOrder, *, price: Decimal | None, quantity: Decimal | None) -> None:
        """Change the price it places at, or its quantity."""
        if stop.state != "live":
            raise OkxError("51503", "Your order has already been filled or canceled.")
        stop.order = _with(stop.order, stop_price=stop.order.stop_price, price=price, quantity=quantity)
        self._change(account, stop, "live")

    def _change(self, account: Account, stop: StopOrder, state: str) -> None:
        stop.state, stop.updated = state, self._exchange.now()
        self._on_change(account, stop)

    def _on_market(self, event: MarketEvent) -> None:
        if not (self._waiting and isinstance(event, Trade)):
            return
        for account, stop in list(self._waiting):
            trigger = stop.order.stop_price
            assert trigger is not None  # noqa: S101 - `place` gave it
            reached = event.price >= float(trigger) if stop.rises else event.price <= float(trigger)
            if stop.order.symbol == event.symbol and reached:
                self._waiting.remove((account, stop))
                self._trigger(account, stop)

    def _trigger(self, account: Account, stop: StopOrder) -> None:
        order = stop.order
        kind = OrderType.Market if order.price is None else OrderType.Limit
        child = Order(
            order.symbol, order.side, kind, order.price, order.quantity, client_order_id=stop.child_name
        )
        tag = {"algo_id": stop.algo_id, "algo_client_id": order.client_order_id}
        try:
            stop.placed = self._exchange.place(account, child, tag=tag)
        except RefusedError as error:
            stop.fail_code = said(error).code
            self._change(account, stop, "order_failed")
        else:
            self._change(account, stop, "effective")


def _with(
    order: Order, *, stop_price: Decimal | None, price: Decimal | None = None, quantity: Decimal | None = None
) -> Order:
    limit = order.price if price is None else price
    return Order(
        order.symbol,
        order.side,
        OrderType.Stop if limit is None else OrderType.StopLimit,
        limit,
        order.quantity if quantity is None else quantity,
        stop_price=stop_price,
        client_order_id=order.client_order_id,
    )
