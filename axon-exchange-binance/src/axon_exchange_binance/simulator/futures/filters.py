"""The filters of a swap, in the words of Binance's futures."""

from __future__ import annotations

from decimal import Decimal

from axon_exchange_binance.simulator.futures.errors import (
    NOT_IN_LOTS,
    OFF_GRID,
    TOO_LITTLE,
    TOO_MUCH,
    small,
    too_high,
    too_low,
)
from axon_quant.exchange.exact import multiply, remainder
from axon_quant.market.instrument import Instrument
from axon_quant.orders.types import Order, Side

_LARGEST = Decimal(1_000_000)


def check(order: Order, instrument: Instrument, mark: Decimal | None) -> None:
    """The filters of an order. Raises BinanceError."""
    if any(price is not None and remainder(price, instrument.tick_size) for price in (order.price, order.stop_price)):
        raise OFF_GRID
    if order.price is not None and mark is not None and instrument.percent_price is not None:
        floor, cap = (multiply(mark, part) for part in instrument.percent_price)
        if order.side is Side.Buy and order.price > cap:
            raise too_high(cap)
        if order.side is Side.Sell and order.price < floor:
            raise too_low(floor)
    largest = instrument.max_quantity if order.order_type.has_price else instrument.market_max_quantity
    if order.quantity < (instrument.min_quantity or instrument.lot_size):
        raise TOO_LITTLE
    if largest is not None and order.quantity > largest:
        raise TOO_MUCH
    if remainder(order.quantity, instrument.lot_size):
        raise NOT_IN_LOTS
    price = order.price or mark
    if price is not None and not order.reduce_only and multiply(price, order.quantity) < instrument.min_notional:
        raise small(instrument.min_notional)


def rows(instrument: Instrument) -> list[dict[str, object]]:
    """The filters, as `exchangeInfo` lists them."""
    low, high = instrument.percent_price or (Decimal("0.05"), Decimal(20))
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": f"{instrument.min_price or instrument.tick_size:f}",
            "maxPrice": f"{instrument.max_price or _LARGEST:f}",
            "tickSize": f"{instrument.tick_size:f}",
        },
        _lots("LOT_SIZE", instrument, instrument.max_quantity),
        _lots("MARKET_LOT_SIZE", instrument, instrument.market_max_quantity),
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": f"{instrument.min_notional:f}"},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": f"{high:.4f}",
            "multiplierDown": f"{low:.4f}",
            "multiplierDecimal": "4",
        },
    ]


def _lots(name: str, instrument: Instrument, largest: Decimal | None) -> dict[str, object]:
    return {
        "filterType": name,
        "minQty": f"{instrument.min_quantity or instrument.lot_size:f}",
        "maxQty": f"{largest or _LARGEST:f}",
        "stepSize": f"{instrument.lot_size:f}",
    }
