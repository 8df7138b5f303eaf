"""The requests that there are: their names here, documented weights, and the parameters they know."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

_SIGNING = "timestamp recvWindow signature apiKey"
_WHICH = "symbol orderId origClientOrderId"
_PAGE = "symbol startTime endTime limit"
_TICKER = "symbol symbols type symbolStatus"
_NEW = (
    "symbol side type timeInForce quantity quoteOrderQty price newClientOrderId strategyId strategyType stopPrice "
    "trailingDelta icebergQty newOrderRespType selfTradePreventionMode"
)
_REPLACE = (
    "cancelReplaceMode cancelNewClientOrderId cancelOrigClientOrderId cancelOrderId cancelRestrictions "
    "orderRateLimitExceededMode"
)


@attrs.frozen
class Request:
    """What a path and method, or a WebSocket method, stands for.

    `weight` is without what parameters add. `orders` counts against the orders' limits. `sapi` requests have a budget
    of their own.
    """

    name: str
    weight: int
    known: frozenset[str]
    signed: bool = False
    changes: bool = False
    orders: int = 0
    sapi: bool = False


def _public(name: str, weight: int, known: str = "", *, sapi: bool = False) -> Request:
    return Request(name, weight, frozenset(known.split()), sapi=sapi)


def _query(name: str, weight: int, known: str = "", *, sapi: bool = False) -> Request:
    return Request(name, weight, frozenset(f"{known} {_SIGNING}".split()), signed=True, sapi=sapi)


def _change(name: str, weight: int, known: str, *, orders: int = 0) -> Request:
    return Request(name, weight, frozenset(f"{known} {_SIGNING}".split()), signed=True, changes=True, orders=orders)


NOWHERE = _public("", 1)
REST = {
    ("GET", "/api/v3/ping"): _public("ping", 1),
    ("GET", "/api/v3/time"): _public("time", 1),
    ("GET", "/api/v3/exchangeInfo"): _public(
        "exchangeInfo", 20, "symbol symbols permissions showPermissionSets symbolStatus"
    ),
    ("GET", "/api/v3/depth"): _public("depth", 5, "symbol limit symbolStatus"),
    ("GET", "/api/v3/trades"): _public("trades.recent", 25, "symbol limit"),
    ("GET", "/api/v3/historicalTrades"): _public("trades.historical", 25, "symbol limit fromId"),
    ("GET", "/api/v3/aggTrades"): _public("trades.aggregate", 4, f"{_PAGE} fromId"),
    ("GET", "/api/v3/klines"): _public("klines", 2, f"{_PAGE} interval timeZone"),
    ("GET", "/api/v3/avgPrice"): _public("avgPrice", 2, "symbol"),
    ("GET", "/api/v3/ticker/price"): _public("ticker.price", 2, _TICKER),
    ("GET", "/api/v3/ticker/bookTicker"): _public("ticker.book", 2, _TICKER),
    ("GET", "/api/v3/ticker/24hr"): _public("ticker.24hr", 2, _TICKER),
    ("GET", "/api/v3/account"): _query("account.status", 20, "omitZeroBalances"),
    ("GET", "/api/v3/account/commission"): _query("account.commission", 20, "symbol"),
    ("GET", "/api/v3/rateLimit/order"): _query("account.rateLimits.orders", 40),
    ("GET", "/api/v3/openOrders"): _query("openOrders.status", 6, "symbol"),
    ("GET", "/api/v3/allOrders"): _query("allOrders", 20, f"{_PAGE} orderId"),
    ("GET", "/api/v3/myTrades"): _query("myTrades", 20, f"{_PAGE} orderId fromId"),
    ("GET", "/api/v3/order"): _query("order.status", 4, _WHICH),
    ("POST", "/api/v3/order"): _change("order.place", 1, _NEW, orders=1),
    ("POST", "/api/v3/order/test"): _query("order.test", 1, f"{_NEW} computeCommissionRates"),
    ("DELETE", "/api/v3/order"): _change("order.cancel", 1, f"{_WHICH} newClientOrderId cancelRestrictions"),
    ("DELETE", "/api/v3/openOrders"): _change("openOrders.cancelAll", 1, "symbol"),
    ("POST", "/api/v3/order/cancelReplace"): _change("order.cancelReplace", 1, f"{_NEW} {_REPLACE}", orders=1),
    ("PUT", "/api/v3/order/amend/keepPriority"): _change(
        "order.amend.keepPriority", 4, f"{_WHICH} newClientOrderId newQty"
    ),
    ("GET", "/sapi/v1/account/apiRestrictions"): _query("apiRestrictions", 1, sapi=True),
    ("GET", "/sapi/v1/capital/config/getall"): _query("coins", 10, sapi=True),
    ("GET", "/sapi/v1/margin/allPairs"): _public("margin.pairs", 1, f"symbol {_SIGNING}", sapi=True),
    ("GET", "/sapi/v1/margin/isolated/allPairs"): _query("margin.isolated", 10, "symbol", sapi=True),
}
SUBSCRIBE = _query("userDataStream.subscribe.signature", 2)
_ONLY_HERE = (
    SUBSCRIBE,
    _public("userDataStream.unsubscribe", 2, "subscriptionId"),
    _public("session.subscriptions", 2),
)
SOCKET = {
    request.name: attrs.evolve(request, known=request.known | {"returnRateLimits"})
    for request in (*REST.values(), *_ONLY_HERE)
    if not request.sapi
}
"""The methods of the WebSocket API; where REST has the same request, it has the same name here."""


def weight(request: Request, given: Mapping[str, str]) -> int:
    """What a request costs, with what its parameters add."""
    many = given.get("symbols", "").count(",") + 1 if "symbols" in given else 0
    if request.name == "openOrders.status":
        return request.weight if "symbol" in given else 80
    if request.name == "myTrades":
        return 5 if "orderId" in given else request.weight
    if request.name == "depth":
        text = given.get("limit", "100")
        levels = int(text) if text.isdecimal() else 100
        return 5 if levels <= 100 else 25 if levels <= 500 else 50 if levels <= 1000 else 250
    if request.name == "ticker.24hr":
        return 2 if "symbol" in given or 0 < many <= 20 else 40 if 0 < many <= 100 else 80
    if request.name.startswith("ticker."):
        return 2 if "symbol" in given else 4
    return request.weight
