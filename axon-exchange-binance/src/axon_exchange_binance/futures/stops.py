"""Stops, which Binance's futures keep in a service of their own until they trigger and become orders."""

from __future__ import annotations

from decimal import Decimal

import attrs
from msgspec import Struct, field

from axon_exchange_binance.answers import ZERO
from axon_exchange_binance.orders import SIDE_NAMES, SIDES, TIME_NAMES, TIMES_IN_FORCE
from axon_exchange_binance.signing import escaped
from axon_quant.clock import MILLISECOND
from axon_quant.errors import OrderValueError
from axon_quant.orders.tracker import OrderState
from axon_quant.orders.types import Order, OrderStatus, OrderType, OrderUpdate, Side, TimeInForce

PREFIX = "algo:"
"""Begins the venue order id of a stop, because the service numbers them apart from orders."""
_KINDS = {
    "STOP_MARKET": OrderType.Stop,
    "TAKE_PROFIT_MARKET": OrderType.Stop,
    "STOP": OrderType.StopLimit,
    "TAKE_PROFIT": OrderType.StopLimit,
}
_STATUSES = {
    "CANCELED": OrderStatus.Cancelled,
    "EXPIRED": OrderStatus.Expired,
    "REJECTED": OrderStatus.Rejected,
}
"""Of the others, the stop waits, or what it became says more."""


class StopPlaced(Struct, rename="camel"):
    """The acknowledgement of a stop."""

    algo_id: int


class StopRecord(Struct, rename="camel"):
    """A stop as a query returns it. `actual_order_id` names the order that it became."""

    algo_id: int
    client_algo_id: str
    order_type: str
    symbol: str
    side: str
    algo_status: str
    quantity: Decimal
    trigger_price: Decimal
    price: Decimal | None = None
    reduce_only: bool = False
    time_in_force: str = "GTC"
    create_time: int = 0
    actual_order_id: str | int | None = None

    @property
    def placed(self) -> str:
        """The id of the order that it became, or ""."""
        return str(self.actual_order_id or "")


class StopReport(Struct):
    """Something happened to a stop."""

    client_algo_id: str = field(name="caid")
    algo_id: int = field(name="aid")
    symbol: str = field(name="s")
    status: str = field(name="X")
    actual_order_id: str | int | None = field(name="ai", default=None)
    reason: str = field(name="rm", default="")


class StopEvent(Struct):
    """`ALGO_UPDATE`."""

    stop: StopReport = field(name="o")


def is_stop(order: Order) -> bool:
    """Whether an order is kept by the service."""
    return order.order_type.has_stop_price


def stop_parameters(order: Order, last_price: Decimal) -> str:
    """The stop, URL-encoded. The last price says from which side it is reached, and with that what it is called."""
    assert order.stop_price is not None  # noqa: S101 - Order sees to it
    rising = order.stop_price > last_price
    kind = "STOP" if rising is (order.side is Side.Buy) else "TAKE_PROFIT"
    worst = "" if order.price is None else f"&price={order.price:f}&timeInForce={TIME_NAMES[order.time_in_force]}"
    kind = kind if worst else f"{kind}_MARKET"
    reduces = "&reduceOnly=true" if order.reduce_only else ""
    return (
        f"algoType=CONDITIONAL&symbol={escaped(order.symbol)}&side={SIDE_NAMES[order.side]}&type={kind}"
        f"&quantity={order.quantity:f}&triggerPrice={order.stop_price:f}{worst}{reduces}"
        f"&clientAlgoId={escaped(order.client_order_id)}"
    )


def stop_named(state: OrderState) -> dict[str, str]:
    """Which stop is meant: by the service's id where it is known."""
    if state.venue_order_id.startswith(PREFIX):
        return {"algoId": state.venue_order_id.removeprefix(PREFIX)}
    return {"clientAlgoId": state.order.client_order_id}


def stop_state(record: StopRecord, own: Order | None = None) -> OrderState | None:
    """A stop that has not become an order; None for one that is none of ours to describe."""
    kind = _KINDS.get(record.order_type)
    if own is None and kind is None:
        return None
    try:
        order = own or Order(
            record.symbol,
            SIDES[record.side],
            kind or OrderType.Stop,
            record.price if kind is OrderType.StopLimit else None,
            record.quantity,
            time_in_force=TIMES_IN_FORCE.get(record.time_in_force, TimeInForce.GTC),
            reduce_only=record.reduce_only,
            stop_price=record.trigger_price,
            client_order_id=record.client_algo_id,
        )
    except OrderValueError:
        return None
    return OrderState(
        order,
        _STATUSES.get(record.algo_status, OrderStatus.Open),
        f"{PREFIX}{record.algo_id}",
        ZERO,
        created_at=record.create_time * MILLISECOND,
    )


def stop_update(report: StopReport, now: int) -> OrderUpdate:
    """What a report says of a stop; once there is an order, its id is another name of the stop."""
    return OrderUpdate(
        report.client_algo_id,
        _STATUSES.get(report.status, OrderStatus.Open),
        now,
        report.symbol,
        str(report.actual_order_id or f"{PREFIX}{report.algo_id}"),
        reason=report.reason,
    )


@attrs.define
class PlacedOrders:
    """What stops became: Binance's order ids by client order id. The oldest are forgotten."""

    most: int = 10_000
    _ids: dict[str, str] = attrs.field(factory=dict, init=False)

    def note(self, client_order_id: str, order_id: str) -> None:
        """A stop became an order."""
        self._ids[client_order_id] = order_id
        if len(self._ids) > self.most:
            del self._ids[next(iter(self._ids))]

    def of(self, state: OrderState) -> str:
        """The id of the order that a stop became, as far as we know, or ""."""
        return self._ids.get(state.order.client_order_id, "")
