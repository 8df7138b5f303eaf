"""Orders to and from Binance's terms."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from axon_exchange_binance.answers import ZERO, Execution, OrderRecord, TradeRecord
from axon_exchange_binance.signing import escaped
from axon_quant.clock import MILLISECOND
from axon_quant.errors import OrderValueError
from axon_quant.orders.tracker import OrderState
from axon_quant.orders.types import Fill, Liquidity, Order, OrderStatus, OrderType, OrderUpdate, Side, TimeInForce

SIDES = {"BUY": Side.Buy, "SELL": Side.Sell}
SIDE_NAMES = {side: name for name, side in SIDES.items()}
TIMES_IN_FORCE = {"GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK}
TIME_NAMES = {time: name for name, time in TIMES_IN_FORCE.items()}
_TRADED = ("TRADE", "CALCULATED")
"""The second is a liquidation's."""
_STATUSES = {
    "NEW": OrderStatus.Open,
    "PENDING_NEW": OrderStatus.Submitted,
    "PARTIALLY_FILLED": OrderStatus.PartiallyFilled,
    "FILLED": OrderStatus.Filled,
    "CANCELED": OrderStatus.Cancelled,
    "PENDING_CANCEL": OrderStatus.Open,
    "REJECTED": OrderStatus.Rejected,
    "EXPIRED": OrderStatus.Expired,
    "EXPIRED_IN_MATCH": OrderStatus.Expired,
}
KINDS: Mapping[str, OrderType] = {
    "LIMIT": OrderType.Limit,
    "LIMIT_MAKER": OrderType.Limit,
    "MARKET": OrderType.Market,
    "STOP_LOSS": OrderType.Stop,
    "TAKE_PROFIT": OrderType.Stop,
    "STOP_LOSS_LIMIT": OrderType.StopLimit,
    "TAKE_PROFIT_LIMIT": OrderType.StopLimit,
}


def unsupported(order: Order) -> str:
    """Why Binance has no such order, or ""."""
    if order.post_only and order.order_type is not OrderType.Limit:
        return f"a {order.order_type.value} order cannot be post-only"
    if order.post_only and order.time_in_force is not TimeInForce.GTC:
        return f"a post-only order cannot be {order.time_in_force.value.upper()}"
    if order.time_in_force is TimeInForce.FOK and not order.order_type.has_price:
        return f"a {order.order_type.value} order cannot be FOK"
    return ""


def type_name(order: Order, last_price: Decimal | None) -> str:
    """What Binance calls the order's type. A stop needs the last price, which says from which side it is reached."""
    if order.order_type is OrderType.Limit:
        return "LIMIT_MAKER" if order.post_only else "LIMIT"
    if order.order_type is OrderType.Market:
        return "MARKET"
    assert order.stop_price is not None  # noqa: S101 - Order sees to it
    assert last_price is not None  # noqa: S101 - the caller asked for it
    rising = order.stop_price > last_price
    name = "STOP_LOSS" if rising is (order.side is Side.Buy) else "TAKE_PROFIT"
    return name if order.order_type is OrderType.Stop else f"{name}_LIMIT"


def parameters(order: Order, kind: str) -> str:
    """The order, URL-encoded. Exact: a Decimal is written out in full."""
    price, stop = order.price, order.stop_price
    worst = "" if price is None else f"&price={price:f}"
    if price is not None and not order.post_only:
        worst = f"{worst}&timeInForce={TIME_NAMES[order.time_in_force]}"
    trigger = "" if stop is None else f"&stopPrice={stop:f}"
    return (
        f"symbol={escaped(order.symbol)}&side={SIDE_NAMES[order.side]}&type={kind}&quantity={order.quantity:f}{worst}"
        f"{trigger}&newClientOrderId={escaped(order.client_order_id)}&newOrderRespType=ACK"
    )


def named(state: OrderState, *, prefix: str = "") -> str:
    """Which order is meant, URL-encoded: by the venue's id where it is known. `prefix` is of cancel-and-replace."""
    if state.venue_order_id:
        return f"{prefix}{'OrderId' if prefix else 'orderId'}={escaped(state.venue_order_id)}"
    return f"{prefix}{'OrigClientOrderId' if prefix else 'origClientOrderId'}={escaped(state.order.client_order_id)}"


def state_of(record: OrderRecord, kinds: Mapping[str, OrderType] = KINDS) -> OrderState | None:
    """An order as the venue has it; None for one by value, which has no quantity yet (such are never ours).

    `kinds` are the venue's order types by name; one that is not among them is a limit order if it has a price.
    """
    kind = kinds.get(record.type, OrderType.Limit if record.price else OrderType.Market)
    try:
        order = Order(
            record.symbol,
            SIDES[record.side],
            kind,
            record.price if kind.has_price else None,
            record.orig_qty,
            time_in_force=TIMES_IN_FORCE.get(record.time_in_force, TimeInForce.GTC),
            post_only=record.type == "LIMIT_MAKER" or record.time_in_force == "GTX",
            reduce_only=record.reduce_only,
            stop_price=record.stop_price if kind.has_stop_price else None,
            client_order_id=record.client_order_id,
        )
    except OrderValueError:
        return None
    return OrderState(
        order,
        _STATUSES.get(record.status, OrderStatus.Open),
        str(record.order_id),
        record.executed_qty,
        created_at=record.time * MILLISECOND,
    )


def fill_of(record: TradeRecord, client_order_id: str) -> Fill:
    """An execution out of the account's trades, which do not say the client order id."""
    return Fill(
        client_order_id,
        record.symbol,
        Side.Buy if record.is_buyer else Side.Sell,
        record.price,
        record.qty,
        record.commission,
        record.commission_asset,
        Liquidity.Maker if record.is_maker else Liquidity.Taker,
        f"{record.symbol}:{record.id}",
        record.time * MILLISECOND,
    )


def update_of(report: Execution, now: int) -> OrderUpdate:
    """What an execution report says of its order. A cancel brings an id of its own and the order's as the original."""
    client_order_id = report.original_client_order_id or report.client_order_id
    fill = None
    if report.execution in _TRADED and report.last_quantity > ZERO:
        fill = Fill(
            client_order_id,
            report.symbol,
            SIDES[report.side],
            report.last_price,
            report.last_quantity,
            report.commission,
            report.commission_asset or "",
            Liquidity.Maker if report.is_maker else Liquidity.Taker,
            f"{report.symbol}:{report.trade_id}",
            report.time * MILLISECOND,
        )
    return OrderUpdate(
        client_order_id,
        _STATUSES.get(report.status, OrderStatus.Open),
        now,
        report.symbol,
        str(report.order_id),
        report.filled,
        fill,
        "" if report.reason == "NONE" else report.reason,
    )
