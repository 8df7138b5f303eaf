"""Binance's filters of a symbol, in its words."""

from __future__ import annotations

from decimal import Decimal

from axon_exchange_binance.simulator.errors import filter_failure
from axon_quant.exchange.exact import multiply, remainder
from axon_quant.exchange.simulator import SimulatedOrder
from axon_quant.market.instrument import Instrument
from axon_quant.orders.types import Order

MAX_OPEN_ORDERS = 200
MAX_STOP_ORDERS = 5


def check(order: Order, instrument: Instrument, average: Decimal | None) -> None:
    """The filters of the order itself; `average` is the mean price of the last minutes. Raises BinanceError."""
    for price in (order.price, order.stop_price):
        if price is not None:
            _check_price(price, instrument)
    _check_quantity(order.quantity, instrument)
    if not order.order_type.has_price:
        _check_market_quantity(order.quantity, instrument)
    if order.price is not None and average is not None and instrument.percent_price is not None:
        low, high = instrument.percent_price
        if not multiply(average, low) <= order.price <= multiply(average, high):
            raise filter_failure("PERCENT_PRICE_BY_SIDE")
    _check_notional(order, instrument, average)


def check_count(order: Order, open_orders: list[SimulatedOrder]) -> None:
    """The filters of how many orders stand. Raises BinanceError."""
    if len(open_orders) >= MAX_OPEN_ORDERS:
        raise filter_failure("MAX_NUM_ORDERS")
    stops = sum(one.order.stop_price is not None for one in open_orders)
    if order.stop_price is not None and stops >= MAX_STOP_ORDERS:
        raise filter_failure("MAX_NUM_ALGO_ORDERS")


def rows(instrument: Instrument) -> list[dict[str, object]]:
    """The filters, as `exchangeInfo` lists them."""
    low, high = instrument.percent_price or (Decimal(0), Decimal(1_000))
    largest = instrument.max_quantity or Decimal(9_000_000)
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": _text(instrument.min_price or instrument.tick_size),
            "maxPrice": _text(instrument.max_price or Decimal(1_000_000)),
            "tickSize": _text(instrument.tick_size),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": _text(instrument.min_quantity or instrument.lot_size),
            "maxQty": _text(largest),
            "stepSize": _text(instrument.lot_size),
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": _text(Decimal(0)),
            "maxQty": _text(instrument.market_max_quantity or largest),
            "stepSize": _text(instrument.market_lot_size or Decimal(0)),
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": f"{high.normalize():f}",
            "bidMultiplierDown": f"{low.normalize():f}",
            "askMultiplierUp": f"{high.normalize():f}",
            "askMultiplierDown": f"{low.normalize():f}",
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": _text(instrument.min_notional),
            "applyMinToMarket": instrument.min_notional_for_market,
            "maxNotional": _text(instrument.max_notional or Decimal(9_000_000)),
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": MAX_OPEN_ORDERS},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": MAX_STOP_ORDERS},
    ]


def _check_price(price: Decimal, instrument: Instrument) -> None:
    low, high = instrument.min_price or instrument.tick_size, instrument.max_price or Decimal(1_000_000)
    if not low <= price <= high or remainder(price - low, instrument.tick_size):
        raise filter_failure("PRICE_FILTER")


def _check_quantity(quantity: Decimal, instrument: Instrument) -> None:
    low, high = instrument.min_quantity or instrument.lot_size, instrument.max_quantity or Decimal(9_000_000)
    if not low <= quantity <= high or remainder(quantity - low, instrument.lot_size):
        raise filter_failure("LOT_SIZE")


def _check_market_quantity(quantity: Decimal, instrument: Instrument) -> None:
    step, largest = instrument.market_lot_size, instrument.market_max_quantity
    if (largest is not None and quantity > largest) or (step is not None and remainder(quantity, step)):
        raise filter_failure("MARKET_LOT_SIZE")


def _check_notional(order: Order, instrument: Instrument, average: Decimal | None) -> None:
    price = order.price if order.price is not None else average
    if price is None:
        return
    notional = multiply(price, order.quantity)
    if (order.price is not None or instrument.min_notional_for_market) and notional < instrument.min_notional:
        raise filter_failure("NOTIONAL")
    if order.price is not None and instrument.max_notional is not None and notional > instrument.max_notional:
        raise filter_failure("NOTIONAL")


def _text(value: Decimal) -> str:
    return f"{value:.8f}"
