"""Orders in the terms of Binance's futures."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from axon_exchange_binance.orders import SIDE_NAMES, TIME_NAMES, named
from axon_exchange_binance.signing import escaped
from axon_quant.orders.tracker import OrderState
from axon_quant.orders.types import Order, OrderType, TimeInForce

KINDS: Mapping[str, OrderType] = {"LIMIT": OrderType.Limit, "MARKET": OrderType.Market}
"""Conditional orders are not among an account's orders: they live in a service of their own."""
POST_ONLY = "GTX"


def unsupported(order: Order) -> str:
    """Why there is no such order, or ""."""
    if order.order_type is OrderType.Market and order.time_in_force is TimeInForce.FOK:
        return "a market order cannot be FOK"
    return ""


def parameters(order: Order) -> str:
    """The order, URL-encoded. Exact: a Decimal is written out in full."""
    kind = "LIMIT" if order.order_type.has_price else "MARKET"
    worst = ""
    if order.price is not None:
        time_in_force = POST_ONLY if order.post_only else TIME_NAMES[order.time_in_force]
        worst = f"&price={order.price:f}&timeInForce={time_in_force}"
    reduces = "&reduceOnly=true" if order.reduce_only else ""
    return (
        f"symbol={escaped(order.symbol)}&side={SIDE_NAMES[order.side]}&type={kind}&quantity={order.quantity:f}{worst}"
        f"{reduces}&newClientOrderId={escaped(order.client_order_id)}&newOrderRespType=ACK"
    )


def amendment(state: OrderState, price: Decimal | None, quantity: Decimal | None) -> str:
    """What changes an order in place, URL-encoded: both numbers are named, whichever changes."""
    order = state.order
    new_price = order.price if price is None else price
    new_quantity = order.quantity if quantity is None else quantity
    return (
        f"symbol={escaped(order.symbol)}&{named(state)}&side={SIDE_NAMES[order.side]}"
        f"&quantity={new_quantity:f}&price={new_price or 0:f}"
    )
