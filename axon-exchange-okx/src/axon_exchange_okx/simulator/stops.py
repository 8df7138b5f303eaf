"""OKX's algo orders: kept apart from the orders, they hold no funds, and place an order when they trigger."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from axon_exchange_okx.simulator import errors
from axon_exchange_okx.simulator.errors import OkxError, Said, said, wrong_side
from axon_exchange_okx.simulator.order_messages import StopOrder, given_name
from axon_exchange_okx.simulator.terms import Given, paid_with, text
from axon_quant.exchange.exact import remainder
from axon_quant.exchange.primitives import MarginMode
from axon_quant.exchange.simulator import Account, RefusedError, SimulatedExchange
from axon_quant.market.types import MarketEvent, Trade
from axon_quant.orders.types import Order, OrderType, Side

ALGO_TYPES = frozenset({"conditional", "trigger", "oco", "move_order_stop", "iceberg", "twap", "chase"})
"""What there is on OKX. Here there are the first two."""
_SOURCES = {"trigger": "6", "sl": "7", "tp": "7"}


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

    def find(self, account: Account, given: Given) -> StopOrder:
        """The one that is meant. Raises OkxError."""
        known, by_id, name = self._all[account.key], text(given, "algoId"), given_name(text(given, "algoClOrdId"))
        if not (by_id or name):
            raise OkxError(errors.UNNAMED)
        found = known.get(by_id)
        if found is None and not by_id:
            found = next((stop for stop in reversed(known.values()) if stop.order.client_order_id == name), None)
        if found is None:
            raise OkxError(errors.NO_ORDER)
        return found

    def waiting(self, account: Account, given: Given, otherwise: Said) -> StopOrder:
        """The one that is meant. Raises `otherwise` when it does not wait any more, or never did."""
        try:
            stop = self.find(account, given)
        except OkxError as error:
            raise OkxError(otherwise if error.said is errors.NO_ORDER else error.said) from None
        if stop.state != "live" or text(given, "instId") not in ("", stop.order.symbol):
            raise OkxError(otherwise)
        return stop

    def place(
        self, account: Account, order: Order, kind: str, stop_price: Decimal, mode: MarginMode | None = None
    ) -> StopOrder:
        """Take one. A stop loss waits for the price to fall to it as a sell, to rise to it as a buy; a take-profit
        order for the opposite; a trigger order for whichever it takes. `mode` is a swap's."""
        if any(one.order.client_order_id == order.client_order_id for one in self._all[account.key].values()):
            raise OkxError(errors.STOP_EXISTS)
        rises = self._check(order, kind, stop_price)
        self._next += 1
        kept = _with(order, stop_price, order.price, order.quantity)
        stop = StopOrder(str(self._next), kept, kind, self._exchange.now(), rises, mode)
        self._all[account.key][stop.algo_id] = stop
        self._waiting.append((account, stop))
        self._on_change(account, stop)
        return stop

    def cancel(self, account: Account, stop: StopOrder) -> None:
        """Cancel one that waits."""
        self._waiting.remove((account, stop))
        self._change(account, stop, "canceled")

    def amend(
        self,
        account: Account,
        stop: StopOrder,
        *,
        stop_price: Decimal | None,
        price: Decimal | None,
        quantity: Decimal,
        at_market: bool,
    ) -> None:
        """Change its trigger, the price of the order it places (`at_market`: none), and its quantity."""
        trigger = stop.order.stop_price if stop_price is None else stop_price
        assert trigger is not None  # noqa: S101 - `place` gave it
        if stop_price is not None:
            stop.rises = self._check(stop.order, stop.kind, stop_price)
        stop.order = _with(stop.order, trigger, None if at_market else price, quantity)
        self._change(account, stop, "live")

    def _check(self, order: Order, kind: str, stop_price: Decimal) -> bool:
        """Whether the price must rise to the trigger. Raises OkxError for one that would trigger at once."""
        price = self._exchange.price(order.symbol)
        if remainder(stop_price, self._exchange.instruments[order.symbol].tick_size) or price is None:
            raise errors.parameter("triggerPx" if kind == "trigger" else f"{kind}TriggerPx")
        if kind == "trigger":
            return stop_price >= price
        rises = (order.side is Side.Buy) is (kind == "sl")
        if price >= stop_price if rises else price <= stop_price:
            raise wrong_side(kind, rises=rises)
        return rises

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
            order.symbol,
            order.side,
            kind,
            order.price,
            order.quantity,
            reduce_only=order.reduce_only,
            client_order_id=stop.child_name,
        )
        named = given_name(order.client_order_id)
        tag = {"algo_id": stop.algo_id, "algo_client_id": named, "source": _SOURCES[stop.kind]}
        instrument = self._exchange.instruments[order.symbol]
        try:
            stop.placed = self._exchange.place(account, child, tag=tag, margin_mode=stop.mode)
        except RefusedError as error:
            stop.fail_code = said(error, paid_with(instrument, order.side)).said.code
            self._change(account, stop, "order_failed")
        else:
            self._change(account, stop, "effective")


def _with(order: Order, stop_price: Decimal, price: Decimal | None, quantity: Decimal) -> Order:
    return Order(
        order.symbol,
        order.side,
        OrderType.Stop if price is None else OrderType.StopLimit,
        price,
        quantity,
        stop_price=stop_price,
        reduce_only=order.reduce_only,
        client_order_id=order.client_order_id,
    )
