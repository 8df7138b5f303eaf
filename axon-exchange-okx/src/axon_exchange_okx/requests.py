"""axon's orders as OKX's requests: exact decimals as text."""

from __future__ import annotations

from decimal import Decimal

from axon_quant.market.instrument import Instrument, InstrumentKind
from axon_quant.orders.tracker import OrderState
from axon_quant.orders.types import Order, OrderType, TimeInForce

_ORDER_TYPES = {TimeInForce.GTC: "limit", TimeInForce.IOC: "ioc", TimeInForce.FOK: "fok"}
MARKET_PRICE = "-1"
"""What OKX calls the price of a stop that becomes a market order."""


def is_stop(order: Order) -> bool:
    """Whether OKX keeps the order among its algo orders until it triggers."""
    return order.stop_price is not None


def refusal(order: Order, instrument: Instrument) -> str:
    """Why OKX has no such order, whatever the market; "" when it has."""
    if is_stop(order) and (order.post_only or order.time_in_force is not TimeInForce.GTC):
        return "OKX's stop orders can be neither post-only nor IOC nor FOK"
    if order.order_type is OrderType.Market and order.time_in_force is TimeInForce.FOK:
        return "OKX's market orders cannot be FOK"
    if order.reduce_only and instrument.kind is InstrumentKind.Spot:
        return "OKX's spot orders cannot be reduce-only"
    return ""


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


def amend(
    symbol: str, order: dict[str, str], price: Decimal | None, quantity: Decimal | None, request: str
) -> dict[str, str]:
    """The body of `/trade/amend-order`; `order` as of `name`. OKX echoes `request` with the outcome."""
    body = {"instId": symbol, "reqId": request, **order}
    if price is not None:
        body["newPx"] = text(price)
    if quantity is not None:
        body["newSz"] = text(quantity)
    return body


def amend_stop(state: OrderState, price: Decimal | None, quantity: Decimal | None) -> dict[str, str]:
    """The body of `/trade/amend-algos`; `price` is what the order will be placed at, its trigger stays."""
    body = {"instId": state.order.symbol, **name_stop(state)}
    if price is not None:
        body["newSlOrdPx"] = text(price)
    if quantity is not None:
        body["newSz"] = text(quantity)
    return body


def name(state: OrderState) -> dict[str, str]:
    """How OKX knows an order: by its own id, else by ours."""
    if state.venue_order_id:
        return {"ordId": state.venue_order_id}
    return {"clOrdId": state.order.client_order_id}


def name_stop(state: OrderState) -> dict[str, str]:
    """How OKX knows a stop order."""
    if state.venue_order_id:
        return {"algoId": state.venue_order_id}
    return {"algoClOrdId": state.order.client_order_id}


def _trade_mode(instrument: Instrument, margin_mode: str) -> str:
    return "cash" if instrument.kind is InstrumentKind.Spot else margin_mode


def _order_type(order: Order) -> str:
    if order.order_type is OrderType.Market:
        return "market"
    return "post_only" if order.post_only else _ORDER_TYPES[order.time_in_force]
