"""A venue's filters: what makes it refuse an order before it looks at the market.

The same rules serve the matching engine, which answers with a Rejected update, and the adapters' base, which refuses
before it sends. All arithmetic is exact.
"""

from __future__ import annotations

from decimal import Decimal

from axon_quant.exchange.exact import multiply, remainder
from axon_quant.market.instrument import Instrument
from axon_quant.orders.types import Order, OrderType, TimeInForce


def refusal(order: Order, instrument: Instrument, reference: Decimal | None = None) -> str:
    """Why `instrument` does not take `order`, or "" when it does.

    `reference` is the price a market order is valued at and the percent price is taken of; without it, neither is
    checked.
    """
    if order.symbol != instrument.symbol:
        return f"symbol {order.symbol} is not {instrument.symbol}"
    return (
        _quantity_refusal(order, instrument)
        or _price_refusal("price", order.price, instrument, reference)
        or (_price_refusal("stop price", order.stop_price, instrument, None) if order.stop_price is not None else "")
        or _notional_refusal(order, instrument, reference)
        or _contradiction(order)
    )


def _quantity_refusal(order: Order, instrument: Instrument) -> str:
    quantity = order.quantity
    if remainder(quantity, instrument.lot_size):
        return f"quantity {quantity} is not a multiple of the lot size {instrument.lot_size}"
    if instrument.min_quantity is not None and quantity < instrument.min_quantity:
        return f"quantity {quantity} is below the minimum {instrument.min_quantity}"
    if instrument.max_quantity is not None and quantity > instrument.max_quantity:
        return f"quantity {quantity} is above the maximum {instrument.max_quantity}"
    if order.order_type.has_price:
        return ""
    if instrument.market_lot_size is not None and remainder(quantity, instrument.market_lot_size):
        return f"quantity {quantity} is not a multiple of the lot size of market orders {instrument.market_lot_size}"
    if instrument.market_max_quantity is not None and quantity > instrument.market_max_quantity:
        return f"quantity {quantity} is above the maximum of market orders {instrument.market_max_quantity}"
    return ""


def _price_refusal(what: str, price: Decimal | None, instrument: Instrument, reference: Decimal | None) -> str:
    if price is None:
        return ""
    if remainder(price, instrument.tick_size):
        return f"{what} {price} is not a multiple of the tick size {instrument.tick_size}"
    if instrument.min_price is not None and price < instrument.min_price:
        return f"{what} {price} is below the minimum {instrument.min_price}"
    if instrument.max_price is not None and price > instrument.max_price:
        return f"{what} {price} is above the maximum {instrument.max_price}"
    if instrument.percent_price is not None and reference is not None:
        low, high = (multiply(reference, multiple) for multiple in instrument.percent_price)
        if not low <= price <= high:
            return f"{what} {price} is not within {low} … {high}, the percent price around {reference}"
    return ""


def _notional_refusal(order: Order, instrument: Instrument, reference: Decimal | None) -> str:
    price = order.price
    if price is None:
        if not instrument.min_notional_for_market:
            return ""
        price = reference if order.stop_price is None else order.stop_price
        if price is None:
            return ""
    notional = multiply(price, order.quantity)
    if instrument.contract_size != 1:
        notional = multiply(notional, instrument.contract_size)
    if notional < instrument.min_notional and not order.reduce_only:  # what is left must be able to go
        return f"notional {notional} is below the minimum {instrument.min_notional}"
    if instrument.max_notional is not None and notional > instrument.max_notional:
        return f"notional {notional} is above the maximum {instrument.max_notional}"
    return ""


def _contradiction(order: Order) -> str:
    if not order.post_only:
        return ""
    if order.order_type is not OrderType.Limit:
        return f"a {order.order_type.value.replace('_', '-')} order cannot be post-only"
    if order.time_in_force is not TimeInForce.GTC:
        return f"a post-only order cannot be {order.time_in_force.value.upper()}"
    return ""
