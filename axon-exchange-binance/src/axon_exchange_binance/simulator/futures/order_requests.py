"""Orders out of the parameters of Binance's futures."""

from __future__ import annotations

import attrs

from axon_exchange_binance.simulator.errors import BinanceError, invalid, unwanted
from axon_exchange_binance.simulator.futures.errors import CONDITIONAL, POSITION_SIDE
from axon_exchange_binance.simulator.order_requests import SIDES
from axon_exchange_binance.simulator.parameters import Parameters
from axon_quant.orders.types import Order, OrderType, TimeInForce

_CONDITIONAL = {"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"}
_KINDS = {"LIMIT": OrderType.Limit, "MARKET": OrderType.Market}
_TIMES = {**{time.value.upper(): time for time in TimeInForce}, "GTX": TimeInForce.GTC}
_FLAGS = {"true": True, "false": False}
_RESPONSES = {name: name for name in ("ACK", "RESULT")}


@attrs.frozen
class OrderRequest:
    """An order that is asked for: `type` as Binance calls it, `response` how it is to be answered."""

    order: Order
    type: str
    response: str


def order_request(given: Parameters, name: str, *, hedged: bool) -> OrderRequest:
    """What `given` asks for; `name` is its client order id if it gives none. Raises BinanceError."""
    symbol = given.instrument().symbol
    side = given.choice("side", SIDES, BinanceError(-1117, "Invalid side."))
    if given.text("type") in _CONDITIONAL:
        raise CONDITIONAL
    kind = given.choice("type", _KINDS, BinanceError(-1116, "Invalid orderType."))
    if (given.text("positionSide", "BOTH") == "BOTH") is hedged:
        raise POSITION_SIDE
    if given.text("priceMatch", "NONE") != "NONE":
        raise invalid("priceMatch")
    wants, time = "", TimeInForce.GTC
    if kind is OrderType.Limit:
        time = given.choice("timeInForce", _TIMES, BinanceError(-1115, "Invalid timeInForce."))
        wants = given.text("timeInForce")
    else:
        for parameter in ("price", "timeInForce"):
            if parameter in given:
                raise unwanted(parameter)
    order = Order(
        symbol,
        side,
        kind,
        given.amount("price") if kind is OrderType.Limit else None,
        given.amount("quantity"),
        time_in_force=time,
        post_only=wants == "GTX",
        reduce_only=given.choice("reduceOnly", _FLAGS) if "reduceOnly" in given else False,
        client_order_id=given.client_id("newClientOrderId") or name,
    )
    response = given.choice("newOrderRespType", _RESPONSES) if "newOrderRespType" in given else "ACK"
    return OrderRequest(order, given.text("type"), response)
