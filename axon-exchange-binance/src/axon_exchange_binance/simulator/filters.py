"""Orders out of Binance's parameters, through its filters, in its words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from axon_exchange_binance.simulator.errors import BAD_SYMBOL, BinanceError, illegal, missing
from axon_quant.exchange.exact import multiply, remainder
from axon_quant.market.instrument import Instrument
from axon_quant.orders.types import Order, OrderType, Side, TimeInForce

_CLIENT_ID = re.compile(r"[A-Za-z0-9_.:/-]{1,36}")
_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")
_SIDES = {"BUY": Side.Buy, "SELL": Side.Sell}
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


def amount(given: Mapping[str, str], name: str) -> Decimal:
    """A positive number. Raises BinanceError as Binance does."""
    text = given.get(name, "")
    if not text:
        raise missing(name)
    if not _NUMBER.fullmatch(text):
        raise illegal(name, r"^([0-9]{1,20}(\.[0-9]{1,20})?)$")
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise missing(name) from None
    if not value > 0:
        raise BinanceError(-1013, f"Invalid {name}.")
    return value


def order_of(
    given: Mapping[str, str], instruments: Mapping[str, Instrument], price: Decimal | None, name: str
) -> Order:
    """The order that the parameters ask for; `price` is the market's, `name` its client order id if none is given.

    Raises BinanceError for parameters that make no order, and for one that a filter stops.
    """
    for needed in ("symbol", "side", "type"):
        if not given.get(needed):
            raise missing(needed)
    instrument = instruments.get(given["symbol"])
    if instrument is None:
        raise BAD_SYMBOL
    if given["side"] not in _SIDES:
        raise BinanceError(-1117, "Invalid side.")
    kind = _TYPES.get(given["type"])
    if kind is None:
        raise BinanceError(-1116, "Invalid orderType.")
    client_id = given.get("newClientOrderId") or name
    if not _CLIENT_ID.fullmatch(client_id):
        raise illegal("newClientOrderId", "^[a-zA-Z0-9-_]{1,36}$")
    time_in_force = TimeInForce.GTC
    if kind in (OrderType.Limit, OrderType.StopLimit) and given["type"] != "LIMIT_MAKER":
        if given.get("timeInForce", "") not in _TIMES:
            asked = given.get("timeInForce")
            raise BinanceError(-1115, "Invalid timeInForce.") if asked else missing("timeInForce")
        time_in_force = _TIMES[given["timeInForce"]]
    elif given.get("timeInForce"):
        raise BinanceError(-1106, "Parameter 'timeInForce' sent when not required.")
    quantity = amount(given, "quantity")
    limit = amount(given, "price") if kind in (OrderType.Limit, OrderType.StopLimit) else None
    if limit is None and given.get("price"):
        raise BinanceError(-1106, "Parameter 'price' sent when not required.")
    stop = amount(given, "stopPrice") if kind in (OrderType.Stop, OrderType.StopLimit) else None
    check(instrument, quantity, limit, stop, price)
    return Order(
        instrument.symbol,
        _SIDES[given["side"]],
        kind,
        limit,
        quantity,
        time_in_force=time_in_force,
        post_only=given["type"] == "LIMIT_MAKER",
        stop_price=stop,
        client_order_id=client_id,
    )


def check(
    instrument: Instrument, quantity: Decimal, limit: Decimal | None, stop: Decimal | None, market: Decimal | None
) -> None:
    """Binance's filters. Raises BinanceError that names the one that stops."""
    for price in (limit, stop):
        if price is not None and (
            remainder(price, instrument.tick_size)
            or (instrument.min_price is not None and price < instrument.min_price)
            or (instrument.max_price is not None and price > instrument.max_price)
        ):
            raise _failure("PRICE_FILTER")
    if (
        remainder(quantity, instrument.lot_size)
        or (instrument.min_quantity is not None and quantity < instrument.min_quantity)
        or (instrument.max_quantity is not None and quantity > instrument.max_quantity)
    ):
        raise _failure("LOT_SIZE")
    if limit is not None and market is not None and instrument.percent_price is not None:
        low, high = instrument.percent_price
        if not multiply(market, low) <= limit <= multiply(market, high):
            raise _failure("PERCENT_PRICE_BY_SIDE")
    value_at = limit if limit is not None else market
    if value_at is not None and multiply(value_at, quantity) < instrument.min_notional:
        raise _failure("NOTIONAL")


def _failure(name: str) -> BinanceError:
    return BinanceError(-1013, f"Filter failure: {name}")
