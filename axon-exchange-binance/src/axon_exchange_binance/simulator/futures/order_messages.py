"""Orders and fills of futures, as answers and as events of the account."""

from __future__ import annotations

from axon_exchange_binance.simulator.numbers import milliseconds, number
from axon_exchange_binance.simulator.order_messages import PREVENTION, STATUSES
from axon_quant.exchange.exact import ZERO, multiply
from axon_quant.exchange.simulator import AccountEvent, SimulatedFill, SimulatedOrder
from axon_quant.orders.types import Liquidity, Order, OrderStatus, Side

_EXECUTIONS = {
    "new": "NEW",
    "trade": "TRADE",
    "cancelled": "CANCELED",
    "expired": "EXPIRED",
    "amended": "AMENDMENT",
    "reduced": "AMENDMENT",
    "triggered": "NEW",
    "prevented": "EXPIRED",
}


def told(placed: SimulatedOrder) -> dict[str, object]:
    """An order as every answer has it."""
    order = placed.order
    return {
        "orderId": placed.venue_order_id,
        "symbol": order.symbol,
        "status": _status(placed),
        "clientOrderId": order.client_order_id,
        "price": number(order.price or ZERO),
        "avgPrice": number(placed.average_price),
        "origQty": number(order.quantity),
        "executedQty": number(placed.filled),
        "cumQty": number(placed.filled),
        "cumQuote": number(placed.value),
        "timeInForce": time_in_force(order),
        "type": placed.tag["type"],
        "reduceOnly": order.reduce_only,
        "closePosition": False,
        "side": order.side.value.upper(),
        "positionSide": "BOTH",
        "stopPrice": number(order.stop_price or ZERO),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": placed.tag.get("origin", placed.tag["type"]),
        "priceMatch": "NONE",
        "selfTradePreventionMode": PREVENTION,
        "goodTillDate": 0,
        "time": milliseconds(placed.created),
        "updateTime": milliseconds(placed.updated),
    }


def acknowledged(placed: SimulatedOrder, response: str) -> dict[str, object]:
    """The answer to a new order. An ACK is given before anything has filled."""
    if response == "RESULT":
        return told(placed)
    nothing = {name: number(ZERO) for name in ("executedQty", "cumQty", "cumQuote", "avgPrice")}
    return {**told(placed), **nothing, "status": "NEW"}


def traded(fill: SimulatedFill, side: Side, margin_asset: str) -> dict[str, object]:
    """One of the account's trades."""
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.venue_order_id,
        "side": side.value.upper(),
        "price": number(fill.price),
        "qty": number(fill.quantity),
        "realizedPnl": number(fill.realised),
        "quoteQty": number(multiply(fill.price, fill.quantity)),
        "commission": number(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": milliseconds(fill.at),
        "positionSide": "BOTH",
        "buyer": side is Side.Buy,
        "maker": fill.liquidity is Liquidity.Maker,
        "marginAsset": margin_asset,
    }


def order_update(event: AccountEvent) -> dict[str, object]:
    """`ORDER_TRADE_UPDATE`."""
    placed, fill = event.order, event.fill
    order, at = placed.order, milliseconds(event.at)
    said: dict[str, object] = {
        "s": order.symbol,
        "c": order.client_order_id,
        "S": order.side.value.upper(),
        "o": placed.tag["type"],
        "f": time_in_force(order),
        "q": number(order.quantity),
        "p": number(order.price or ZERO),
        "ap": number(placed.average_price),
        "sp": number(order.stop_price or ZERO),
        "x": _EXECUTIONS[event.cause],
        "X": _status(placed),
        "i": placed.venue_order_id,
        "l": number(ZERO if fill is None else fill.quantity),
        "z": number(placed.filled),
        "L": number(ZERO if fill is None else fill.price),
        "T": at,
        "t": 0 if fill is None else fill.trade_id,
        "b": number(ZERO),
        "a": number(ZERO),
        "m": fill is not None and fill.liquidity is Liquidity.Maker,
        "R": order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": placed.tag.get("origin", placed.tag["type"]),
        "ps": "BOTH",
        "cp": False,
        "rp": number(ZERO if fill is None else fill.realised),
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": PREVENTION,
        "pm": "NONE",
        "gtd": 0,
        "er": "0",
    }
    if fill is not None:
        said |= {"N": fill.fee_asset, "n": number(fill.fee)}
    return {"e": "ORDER_TRADE_UPDATE", "E": at, "T": at, "o": said}


def time_in_force(order: Order) -> str:
    """As Binance calls it: post-only is one."""
    return "GTX" if order.post_only else order.time_in_force.value.upper()


def _status(placed: SimulatedOrder) -> str:
    prevented = placed.status is OrderStatus.Expired and placed.reason.startswith("self-trade")
    return "EXPIRED_IN_MATCH" if prevented else STATUSES[placed.status]
