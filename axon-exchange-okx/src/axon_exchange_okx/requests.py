"""axon's orders as OKX's requests: exact decimals as text."""

from __future__ import annotations

from decimal import Decimal

from axon_quant.market.instrument import Instrument, InstrumentKind
from axon_quant.orders.types import Order, OrderType, TimeInForce

_ORDER_TYPES = {TimeInForce.GTC: "limit", TimeInForce.IOC: "ioc", TimeInForce.FOK: "fok"}
MARKET_PRICE = "-1"
"""What OKX calls the price of a stop that becomes a market order."""


def is_stop(order: Order) -> bool:
    """Whether OKX keeps the order among its algo orders until it triggers."""
    return order.stop_price is not None


def text(number: Decimal) -> str:
    """An exact decimal without an exponent."""
    return format(number, "f")


def place(order: Order, instrument: Instrument, margin_mode: str) -> dict[str, str]:
    """The body of `/trade/order`."""
    body = {
        "instId": order.symbol,
        "tdMode": _trade_mode(instrument, margin_mode),
        "clOrdId": order.client_order_id,
        "side": order.side.value,
        "ordType": _order_type(order),
        "sz": text(order.quantity),
    }
    if order.price is not None:
        body["px"] = text(order.price)
    elif instrument.kind is InstrumentKind.Spot:
        body["tgtCcy"] = "base_ccy"  # else the size of a market buy is an amount of the quote currency
    if order.reduce_only:
        body["reduceOnly"] = "true"
    return body


def place_stop(order: Order, instrument: Instrument, margin_mode: str) -> dict[str, str]:
    """The body of `/trade/order-algo`.

    A conditional order with a stop-loss leg triggers in one direction only (a sell when the price falls to it, a buy
    when it rises to it) and OKX refuses one that would trigger at once; a `trigger` order would wait on the other side.
    """
    assert order.stop_price is not None  # noqa: S101 - the caller asked is_stop
    body = {
        "instId": order.symbol,
        "tdMode": _trade_mode(instrument, margin_mode),
        "algoClOrdId": order.client_order_id,
        "side": order.side.value,
        "ordType": "conditional",
        "sz": text(order.quantity),
        "slTriggerPx": text(order.stop_price),
        "slTriggerPxType": "last",
        "slOrdPx": MARKET_PRICE if order.price is None else text(order.price),
    }
    if instrument.kind is InstrumentKind.Spot:
        body["tgtCcy"] = "base_ccy"
    if order.reduce_only:
        body["reduceOnly"] = "true"
    return body


def _trade_mode(instrument: Instrument, margin_mode: str) -> str:
    return "cash" if instrument.kind is InstrumentKind.Spot else margin_mode


def _order_type(order: Order) -> str:
    if order.order_type is OrderType.Market:
        return "market"
    return "post_only" if order.post_only else _ORDER_TYPES[order.time_in_force]
