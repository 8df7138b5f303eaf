"""The service that keeps conditional orders until they trigger and become orders of the matching engine."""

from __future__ import annotations

from axon_exchange_binance.simulator.account_queries import AccountRequest, find
from axon_exchange_binance.simulator.errors import NO_SUCH_ORDER, UNKNOWN_CANCEL, BinanceError, invalid
from axon_exchange_binance.simulator.futures.errors import POSITION_SIDE, said
from axon_exchange_binance.simulator.futures.filters import check
from axon_exchange_binance.simulator.futures.order_messages import time_in_force
from axon_exchange_binance.simulator.numbers import milliseconds, number
from axon_exchange_binance.simulator.order_messages import PREVENTION
from axon_exchange_binance.simulator.order_requests import SIDES
from axon_exchange_binance.simulator.parameters import Parameters
from axon_quant.exchange.exact import ZERO
from axon_quant.exchange.simulator import Account, AccountEvent, RefusedError, SimulatedExchange, SimulatedOrder
from axon_quant.orders.types import Order, OrderStatus, OrderType, Side, TimeInForce

_FIRST_ID = 2_000_000
_KINDS = {
    "STOP_MARKET": OrderType.Stop,
    "TAKE_PROFIT_MARKET": OrderType.Stop,
    "STOP": OrderType.StopLimit,
    "TAKE_PROFIT": OrderType.StopLimit,
}
_TIMES = {time.value.upper(): time for time in TimeInForce}
_FLAGS = {"true": True, "false": False}
_MOST = 200
_TOO_MANY = BinanceError(-4045, "Reach max stop order limit.")


class Stops:
    """Answers as plain values. Raises BinanceError. `hedged` are the names of accounts in hedge mode."""

    def __init__(self, exchange: SimulatedExchange, hedged: set[str]) -> None:
        self._exchange = exchange
        self._hedged = hedged
        self._made = 0
        self.by_name: dict[str, AccountRequest] = {
            "order.place.algo": self._place,
            "order.cancel.algo": self._cancel,
            "order.status.algo": lambda account, given: told(self._find(account, given)),
            "openAlgoOrders.status": self._open,
            "allAlgoOrders": self._all,
            "openAlgoOrders.cancelAll": self._cancel_all,
        }

    def _place(self, account: Account, given: Parameters) -> object:
        if given.text("algoType") != "CONDITIONAL":
            raise invalid("algoType")
        symbol = given.instrument().symbol
        side = given.choice("side", SIDES, BinanceError(-1117, "Invalid side."))
        kind = given.choice("type", _KINDS, BinanceError(-1116, "Invalid orderType."))
        if (given.text("positionSide", "BOTH") == "BOTH") is (account.name in self._hedged):
            raise POSITION_SIDE
        self._made += 1
        order = Order(
            symbol,
            side,
            kind,
            given.amount("price") if kind is OrderType.StopLimit else None,
            given.amount("quantity"),
            time_in_force=given.choice("timeInForce", _TIMES) if "timeInForce" in given else TimeInForce.GTC,
            reduce_only=given.choice("reduceOnly", _FLAGS) if "reduceOnly" in given else False,
            stop_price=given.amount("triggerPrice"),
            client_order_id=given.client_id("clientAlgoId") or f"algo{self._made:017d}",
        )
        check(order, self._exchange.instruments[symbol], None)
        if len(waiting(account, symbol)) >= _MOST:
            raise _TOO_MANY
        name = given.text("type")
        tag = {"algo": _FIRST_ID + self._made, "origin": name}
        tag["type"] = "MARKET" if kind is OrderType.Stop else "LIMIT"
        try:
            placed = self._exchange.place(account, order, rises=(side is Side.Buy) is name.startswith("STOP"), tag=tag)
        except RefusedError as error:
            raise said(error) from None
        return told(placed)

    def _find(self, account: Account, given: Parameters) -> SimulatedOrder:
        if "algoId" in given:
            wanted = given.integer("algoId")
            found = [one for one in account.orders.values() if one.tag.get("algo") == wanted]
        else:
            found = [one for one in account.by_client.get(given.client_id("clientAlgoId"), ()) if "algo" in one.tag]
        if not found:
            raise NO_SUCH_ORDER
        return next((one for one in reversed(found) if one.is_open), found[-1])

    def _cancel(self, account: Account, given: Parameters) -> object:
        try:
            placed = self._find(account, given)
        except BinanceError as error:
            raise UNKNOWN_CANCEL if error is NO_SUCH_ORDER else error from None
        if not placed.waiting:
            raise UNKNOWN_CANCEL
        self._exchange.cancel(account, placed)
        return {
            "algoId": placed.tag["algo"],
            "clientAlgoId": placed.order.client_order_id,
            "code": "200",
            "msg": "success",
        }

    def _cancel_all(self, account: Account, given: Parameters) -> object:
        for placed in waiting(account, given.instrument().symbol):
            self._exchange.cancel(account, placed)
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def _open(self, account: Account, given: Parameters) -> object:
        symbol = given.instrument().symbol if "symbol" in given else None
        return [told(one) for one in waiting(account, symbol)]

    def _all(self, account: Account, given: Parameters) -> object:
        symbol = given.instrument().symbol
        found = [one for one in account.orders.values() if "algo" in one.tag and one.order.symbol == symbol]
        return [told(one) for one in found[-given.integer("limit", 500, low=1, high=1_000) :]]


def waiting(account: Account, symbol: str | None) -> list[SimulatedOrder]:
    """The stops that have not triggered, of every symbol for None."""
    return [one for one in account.open_for(symbol) if one.waiting]


def is_order(placed: SimulatedOrder) -> bool:
    """Whether the matching engine ever had it."""
    return "algo" not in placed.tag or "triggered" in placed.tag


def find_order(account: Account, given: Parameters) -> SimulatedOrder:
    """The order that is meant; a stop is none before it triggers. Raises BinanceError."""
    found = find(account, given)
    if not is_order(found):
        raise NO_SUCH_ORDER
    return found


def told(placed: SimulatedOrder) -> dict[str, object]:
    """A stop as every answer has it."""
    order, triggered = placed.order, "triggered" in placed.tag
    return {
        "algoId": placed.tag["algo"],
        "clientAlgoId": order.client_order_id,
        "algoType": "CONDITIONAL",
        "orderType": placed.tag["origin"],
        "symbol": order.symbol,
        "side": order.side.value.upper(),
        "positionSide": "BOTH",
        "timeInForce": time_in_force(order),
        "quantity": number(order.quantity),
        "algoStatus": _status(placed),
        "actualOrderId": str(placed.venue_order_id) if triggered else "",
        "actualPrice": number(placed.average_price),
        "triggerPrice": number(order.stop_price or ZERO),
        "price": number(order.price or ZERO),
        "selfTradePreventionMode": PREVENTION,
        "workingType": "CONTRACT_PRICE",
        "priceMatch": "NONE",
        "closePosition": False,
        "priceProtect": False,
        "reduceOnly": order.reduce_only,
        "createTime": milliseconds(placed.created),
        "updateTime": milliseconds(placed.updated),
        "triggerTime": placed.tag.get("triggered", 0),
        "goodTillDate": 0,
    }


def stop_update(event: AccountEvent) -> dict[str, object] | None:
    """`ALGO_UPDATE`; None for what the service does not tell of."""
    placed = event.order
    if "algo" not in placed.tag or ("triggered" in placed.tag and event.cause != "triggered" and placed.is_open):
        return None
    order, row, at = placed.order, told(placed), milliseconds(event.at)
    said_: dict[str, object] = {
        "caid": order.client_order_id,
        "aid": placed.tag["algo"],
        "at": "CONDITIONAL",
        "o": placed.tag["origin"],
        "s": order.symbol,
        "S": row["side"],
        "ps": "BOTH",
        "f": row["timeInForce"],
        "q": row["quantity"],
        "X": "TRIGGERED" if event.cause == "triggered" else row["algoStatus"],
        "ai": row["actualOrderId"],
        "ap": row["actualPrice"],
        "aq": number(placed.filled),
        "act": placed.tag["type"] if row["actualOrderId"] else "0",
        "tp": row["triggerPrice"],
        "p": row["price"],
        "V": PREVENTION,
        "wt": "CONTRACT_PRICE",
        "pm": "NONE",
        "cp": False,
        "pP": False,
        "R": order.reduce_only,
        "tt": row["triggerTime"],
        "gtd": 0,
        "rm": placed.reason if row["algoStatus"] == "REJECTED" else "",
    }
    return {"e": "ALGO_UPDATE", "T": at, "E": at, "o": said_}


def _status(placed: SimulatedOrder) -> str:
    if "triggered" in placed.tag:
        return "TRIGGERED" if placed.is_open else "FINISHED"
    if placed.is_open:
        return "NEW"
    return "CANCELED" if placed.status is OrderStatus.Cancelled else "REJECTED"
