"""Orders, fills and balances, as answers and as events of the account."""

from __future__ import annotations

from decimal import Decimal

from axon_exchange_binance.simulator.numbers import milliseconds, number
from axon_quant.exchange.exact import ZERO, multiply
from axon_quant.exchange.simulator import Account, AccountEvent, SimulatedFill, SimulatedOrder, Transfer
from axon_quant.orders.types import Liquidity, OrderStatus, Side

PREVENTION = "EXPIRE_MAKER"
STATUSES = {
    OrderStatus.Open: "NEW",
    OrderStatus.PartiallyFilled: "PARTIALLY_FILLED",
    OrderStatus.Filled: "FILLED",
    OrderStatus.Cancelled: "CANCELED",
    OrderStatus.Expired: "EXPIRED",
}
_EXECUTIONS = {
    "new": "NEW",
    "trade": "TRADE",
    "cancelled": "CANCELED",
    "expired": "EXPIRED",
    "amended": "REPLACED",
    "triggered": "NEW",
    "prevented": "TRADE_PREVENTION",
}


def acknowledged(placed: SimulatedOrder, response: str) -> dict[str, object]:
    """The answer to a new order: ACK, RESULT or FULL."""
    order = placed.order
    at = milliseconds(placed.updated)
    short: dict[str, object] = {
        "symbol": order.symbol,
        "orderId": placed.venue_order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        "transactTime": at,
    }
    if response == "ACK":
        return short
    result = {**short, **_terms(placed), "workingTime": -1 if placed.waiting else milliseconds(placed.created)}
    if order.stop_price is not None:
        result["stopPrice"] = number(order.stop_price)
    if response == "FULL":
        result["fills"] = [
            {
                "price": number(fill.price),
                "qty": number(fill.quantity),
                "commission": number(fill.fee),
                "commissionAsset": fill.fee_asset,
                "tradeId": fill.trade_id,
            }
            for fill in placed.fills
        ]
    return result


def cancelled(placed: SimulatedOrder, cancel_id: str) -> dict[str, object]:
    """The answer to a cancel, which has a client order id of its own."""
    answer = {
        "symbol": placed.order.symbol,
        "origClientOrderId": placed.order.client_order_id,
        "orderId": placed.venue_order_id,
        "orderListId": -1,
        "clientOrderId": cancel_id,
        "transactTime": milliseconds(placed.updated),
        **_terms(placed),
    }
    if placed.order.stop_price is not None:
        answer["stopPrice"] = number(placed.order.stop_price)
    return answer


def queried(placed: SimulatedOrder) -> dict[str, object]:
    """An order as a query returns it."""
    return {
        "symbol": placed.order.symbol,
        "orderId": placed.venue_order_id,
        "orderListId": -1,
        "clientOrderId": placed.order.client_order_id,
        **_terms(placed),
        "stopPrice": number(placed.order.stop_price or ZERO),
        "icebergQty": number(ZERO),
        "time": milliseconds(placed.created),
        "updateTime": milliseconds(placed.updated),
        "isWorking": not placed.waiting,
        "workingTime": -1 if placed.waiting else milliseconds(placed.created),
    }


def amended(placed: SimulatedOrder, original: str, execution: int) -> dict[str, object]:
    """The answer to an amendment; `original` was its client order id before."""
    order = placed.order
    return {
        "transactTime": milliseconds(placed.updated),
        "executionId": execution,
        "amendedOrder": {
            "symbol": order.symbol,
            "orderId": placed.venue_order_id,
            "orderListId": -1,
            "origClientOrderId": original,
            "clientOrderId": order.client_order_id,
            "price": number(order.price or ZERO),
            "qty": number(order.quantity),
            "executedQty": number(placed.filled),
            "preventedQty": number(ZERO),
            "quoteOrderQty": number(ZERO),
            "cumulativeQuoteQty": number(placed.value),
            "status": STATUSES[placed.status],
            "timeInForce": order.time_in_force.value.upper(),
            "type": placed.tag["type"],
            "side": order.side.value.upper(),
            "workingTime": milliseconds(placed.created),
            "selfTradePreventionMode": PREVENTION,
        },
    }


def traded(fill: SimulatedFill, side: Side) -> dict[str, object]:
    """One of the account's trades."""
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        "orderId": fill.venue_order_id,
        "orderListId": -1,
        "price": number(fill.price),
        "qty": number(fill.quantity),
        "quoteQty": number(multiply(fill.price, fill.quantity)),
        "commission": number(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": milliseconds(fill.at),
        "isBuyer": side is Side.Buy,
        "isMaker": fill.liquidity is Liquidity.Maker,
        "isBestMatch": True,
    }


def account_status(account: Account, maker: Decimal, taker: Decimal, now: int, *, omit_zero: bool) -> dict[str, object]:
    """The account and its balances; the fees are fractions."""
    return {
        "makerCommission": round(maker * 10_000),
        "takerCommission": round(taker * 10_000),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": number(maker),
            "taker": number(taker),
            "buyer": number(ZERO),
            "seller": number(ZERO),
        },
        "canTrade": account.may_trade,
        "canWithdraw": account.may_withdraw,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": milliseconds(now),
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": number(account.free(asset)), "locked": number(account.locked.get(asset, ZERO))}
            for asset, total in sorted(account.totals.items())
            if total or not omit_zero
        ],
        "permissions": ["SPOT"],
        "uid": 354937868,
    }


def execution_report(event: AccountEvent, response_id: str) -> dict[str, object]:
    """`executionReport`. `response_id` is the client order id of the cancel or amendment behind it, empty if none."""
    placed, fill = event.order, event.fill
    order, at = placed.order, milliseconds(event.at)
    prevented = event.cause == "prevented"
    report: dict[str, object] = {
        "e": "executionReport",
        "E": at,
        "s": order.symbol,
        "c": response_id if event.cause == "cancelled" and response_id else order.client_order_id,
        "S": order.side.value.upper(),
        "o": placed.tag["type"],
        "f": order.time_in_force.value.upper(),
        "q": number(order.quantity),
        "p": number(order.price or ZERO),
        "P": number(order.stop_price or ZERO),
        "F": number(ZERO),
        "g": -1,
        "C": _original(event, response_id),
        "x": _EXECUTIONS[event.cause],
        "X": "EXPIRED_IN_MATCH" if prevented else STATUSES[placed.status],
        "r": "NONE",
        "i": placed.venue_order_id,
        "l": number(ZERO if fill is None else fill.quantity),
        "z": number(placed.filled),
        "L": number(ZERO if fill is None else fill.price),
        "n": "0" if fill is None else number(fill.fee),
        "N": None if fill is None else fill.fee_asset,
        "T": at,
        "t": -1 if fill is None else fill.trade_id,
        "I": event.sequence,
        "w": placed.is_open and not placed.waiting,
        "m": fill is not None and fill.liquidity is Liquidity.Maker,
        "M": fill is not None,
        "O": milliseconds(placed.created),
        "Z": number(placed.value),
        "Y": number(ZERO if fill is None else multiply(fill.price, fill.quantity)),
        "Q": placed.tag.get("value", number(ZERO)),
        "V": PREVENTION,
    }
    if not placed.waiting:
        report["W"] = milliseconds(placed.created)
    if prevented:
        report |= {"v": event.sequence, "A": number(placed.remaining), "B": number(placed.remaining), "u": 1}
    return report


def account_position(account: Account, assets: tuple[str, ...], at_ns: int) -> dict[str, object]:
    """`outboundAccountPosition`: the balances that may have changed."""
    at = milliseconds(at_ns)
    return {
        "e": "outboundAccountPosition",
        "E": at,
        "u": at,
        "B": [
            {"a": asset, "f": number(account.free(asset)), "l": number(account.locked.get(asset, ZERO))}
            for asset in assets
        ],
    }


def balance_update(transfer: Transfer) -> dict[str, object]:
    """`balanceUpdate`: something was paid in or out."""
    at = milliseconds(transfer.at)
    return {"e": "balanceUpdate", "E": at, "a": transfer.asset, "d": number(transfer.amount), "T": at}


def _original(event: AccountEvent, response_id: str) -> str:
    if event.cause == "cancelled" and response_id:
        return event.order.order.client_order_id
    return response_id if event.cause == "amended" else ""


def _terms(placed: SimulatedOrder) -> dict[str, object]:
    """What every answer says of an order."""
    order = placed.order
    prevented = placed.status is OrderStatus.Expired and placed.reason.startswith("self-trade")
    return {
        "price": number(order.price or ZERO),
        "origQty": number(order.quantity),
        "executedQty": number(placed.filled),
        "origQuoteOrderQty": placed.tag.get("value", number(ZERO)),
        "cummulativeQuoteQty": number(placed.value),
        "status": "EXPIRED_IN_MATCH" if prevented else STATUSES[placed.status],
        "timeInForce": order.time_in_force.value.upper(),
        "type": placed.tag["type"],
        "side": order.side.value.upper(),
        "selfTradePreventionMode": PREVENTION,
    }
