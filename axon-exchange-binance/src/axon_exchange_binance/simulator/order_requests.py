"""Orders out of Binance's parameters."""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal

import attrs

from axon_exchange_binance.simulator.errors import BinanceError, invalid, unwanted
from axon_exchange_binance.simulator.parameters import Parameters
from axon_quant.exchange.exact import from_float
from axon_quant.market.book import OrderBook
from axon_quant.market.instrument import Instrument
from axon_quant.orders.types import Order, OrderType, Side, TimeInForce

SIDES = {"BUY": Side.Buy, "SELL": Side.Sell}
_TIMES = {time.value.upper(): time for time in TimeInForce}
_TYPES = {
    "LIMIT": OrderType.Limit,
    "LIMIT_MAKER": OrderType.Limit,
    "MARKET": OrderType.Market,
    "STOP_LOSS": OrderType.Stop,
    "TAKE_PROFIT": OrderType.Stop,
    "STOP_LOSS_LIMIT": OrderType.StopLimit,
    "TAKE_PROFIT_LIMIT": OrderType.StopLimit,
}
_RESPONSES = {name: name for name in ("ACK", "RESULT", "FULL")}
_LEVELS = 5_000


@attrs.frozen
class OrderRequest:
    """An order that is asked for: `type` as Binance calls it, `response` how it is to be answered.

    `rises` says of a stop that its price is reached from below. `by_value` is the amount of a market order in the quote
    asset, 0 for all others.
    """

    order: Order
    type: str
    response: str
    rises: bool | None
    by_value: Decimal


def order_request(given: Parameters, books: Callable[[str], OrderBook], name: str) -> OrderRequest:
    """What `given` asks for; `name` is its client order id if it gives none. Raises BinanceError."""
    instrument = given.instrument()
    side = given.choice("side", SIDES, BinanceError(-1117, "Invalid side."))
    kind = given.choice("type", _TYPES, BinanceError(-1116, "Invalid orderType."))
    type_ = given.text("type")
    _check_special(given)
    time_in_force = _time_in_force(given, kind, type_)
    for parameter, needed in (("price", kind.has_price), ("stopPrice", kind.has_stop_price)):
        if parameter in given and not needed:
            raise unwanted(parameter)
    price = given.amount("price") if kind.has_price else None
    stop = given.amount("stopPrice") if kind.has_stop_price else None
    quantity, by_value = _quantity(given, kind, side, instrument, books)
    order = Order(
        instrument.symbol,
        side,
        kind,
        price,
        quantity,
        time_in_force=time_in_force,
        post_only=type_ == "LIMIT_MAKER",
        stop_price=stop,
        client_order_id=given.client_id("newClientOrderId") or name,
    )
    usual = "FULL" if type_ in ("LIMIT", "MARKET") else "ACK"
    response = given.choice("newOrderRespType", _RESPONSES) if "newOrderRespType" in given else usual
    rises = (side is Side.Buy) is type_.startswith("STOP_LOSS") if stop is not None else None
    return OrderRequest(order, type_, response, rises, by_value)


def _check_special(given: Parameters) -> None:
    """What these symbols do not have."""
    if "icebergQty" in given:
        raise BinanceError(-2010, "Iceberg orders are not supported for this symbol.")
    if "trailingDelta" in given:
        raise BinanceError(-2010, "Trailing stop orders are not supported for this symbol.")
    if given.text("selfTradePreventionMode", "EXPIRE_MAKER") != "EXPIRE_MAKER":
        raise invalid("selfTradePreventionMode")


def _time_in_force(given: Parameters, kind: OrderType, type_: str) -> TimeInForce:
    if kind.has_price and type_ != "LIMIT_MAKER":
        return given.choice("timeInForce", _TIMES, BinanceError(-1115, "Invalid timeInForce."))
    if "timeInForce" in given:
        raise unwanted("timeInForce")
    return TimeInForce.GTC


def _quantity(
    given: Parameters, kind: OrderType, side: Side, instrument: Instrument, books: Callable[[str], OrderBook]
) -> tuple[Decimal, Decimal]:
    """How much, and for which value if the order was given one."""
    if "quoteOrderQty" not in given:
        return given.amount("quantity"), Decimal(0)
    if kind is not OrderType.Market or "quantity" in given:
        raise unwanted("quoteOrderQty")
    value = given.amount("quoteOrderQty")
    quantity = affordable(value, side, instrument, books(instrument.symbol))
    if not quantity:
        raise BinanceError(-1013, "Filter failure: LOT_SIZE")
    return quantity, value


def affordable(value: Decimal, side: Side, instrument: Instrument, book: OrderBook) -> Decimal:
    """How much of the base asset `value` in the quote asset trades for, in whole lots."""
    prices, sizes = book.asks(_LEVELS) if side is Side.Buy else book.bids(_LEVELS)
    quantity = Decimal(0)
    for price, size in zip(map(from_float, prices), map(from_float, sizes), strict=True):
        if price * size >= value:
            quantity += value / price
            break
        quantity, value = quantity + size, value - price * size
    lots = (quantity / instrument.lot_size).to_integral_value(ROUND_DOWN)
    return lots * instrument.lot_size
