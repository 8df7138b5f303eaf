"""A venue's filters: what makes it refuse an order before it looks at the market.

The same rules serve the matching engine, which answers with a Rejected update, and the adapters' base, which refuses
before it sends.
"""

from __future__ import annotations

from decimal import Decimal

from axon_quant.exchange.exact import multiply, remainder
from axon_quant.market.instrument import Instrument
from axon_quant.orders.types import Order, OrderType, TimeInForce


def refusal(order: Order, instrument: Instrument, reference: Decimal | None = None) -> str:
    """Why `instrument` does not take `order`, or "" when it does.

    `reference` is the price a market order is valued at; without it, its notional is not checked.
    """
    if order.symbol != instrument.symbol:
        return f"symbol {order.symbol} is not {instrument.symbol}"
    if remainder(order.quantity, instrument.lot_size):
        return f"quantity {order.quantity} is not a multiple of the lot size {instrument.lot_size}"
    if order.price is not None and remainder(order.price, instrument.tick_size):
        return f"price {order.price} is not a multiple of the tick size {instrument.tick_size}"
    price = reference if order.price is None else order.price
    if price is not None and multiply(price, order.quantity) < instrument.min_notional:
        return f"notional {multiply(price, order.quantity)} is below the minimum {instrument.min_notional}"
    if order.post_only and order.order_type is OrderType.Market:
        return "a market order cannot be post-only"
    if order.post_only and order.time_in_force is not TimeInForce.GTC:
        return f"a post-only order cannot be {order.time_in_force.value.upper()}"
    return ""
