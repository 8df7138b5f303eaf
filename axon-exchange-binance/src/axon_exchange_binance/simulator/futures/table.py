"""The requests that there are: their names here, documented weights, and the parameters they know."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from axon_exchange_binance.simulator.table import REST as OF_SPOT
from axon_exchange_binance.simulator.table import Request

_SIGNING = "timestamp recvWindow signature"
_WHICH = "symbol orderId origClientOrderId"
_PAGE = "symbol startTime endTime limit"
_NEW = (
    "symbol side positionSide type timeInForce quantity reduceOnly price newClientOrderId stopPrice closePosition "
    "activationPrice callbackRate workingType priceProtect newOrderRespType priceMatch selfTradePreventionMode "
    "goodTillDate"
)
_ALGO = (
    "algoType symbol side positionSide type timeInForce quantity price triggerPrice workingType priceMatch "
    "closePosition priceProtect reduceOnly activatePrice callbackRate clientAlgoId newOrderRespType "
    "selfTradePreventionMode goodTillDate"
)


def _public(name: str, weight: int, known: str = "") -> Request:
    return Request(name, weight, frozenset(known.split()))


def _keyed(name: str, known: str = "", *, changes: bool = False) -> Request:
    """For whoever has the key; a signature is not needed, and ignored."""
    return Request(name, 1, frozenset(f"{known} {_SIGNING}".split()), changes=changes)


def _query(name: str, weight: int, known: str = "") -> Request:
    return Request(name, weight, frozenset(f"{known} {_SIGNING}".split()), signed=True)


def _change(name: str, weight: int, known: str, *, orders: int = 0) -> Request:
    return attrs.evolve(_query(name, weight, known), changes=True, orders=orders)


KEYED = {
    "POST": _keyed("listenKey.make", changes=True),
    "PUT": _keyed("listenKey.keep", "listenKey"),
    "DELETE": _keyed("listenKey.close", "listenKey"),
}
REST: Mapping[tuple[str, str], Request] = {
    ("GET", "/fapi/v1/ping"): _public("ping", 1),
    ("GET", "/fapi/v1/time"): _public("time", 1),
    ("GET", "/fapi/v1/exchangeInfo"): _public("exchangeInfo", 1),
    ("GET", "/fapi/v1/depth"): _public("depth", 2, "symbol limit"),
    ("GET", "/fapi/v1/trades"): _public("trades.recent", 5, "symbol limit"),
    ("GET", "/fapi/v1/historicalTrades"): _public("trades.historical", 20, "symbol limit fromId"),
    ("GET", "/fapi/v1/aggTrades"): _public("trades.aggregate", 20, f"{_PAGE} fromId"),
    ("GET", "/fapi/v1/klines"): _public("klines", 5, f"{_PAGE} interval"),
    ("GET", "/fapi/v1/ticker/price"): _public("ticker.price", 1, "symbol"),
    ("GET", "/fapi/v2/ticker/price"): _public("ticker.price", 1, "symbol"),
    ("GET", "/fapi/v1/ticker/bookTicker"): _public("ticker.book", 2, "symbol"),
    ("GET", "/fapi/v1/ticker/24hr"): _public("ticker.24hr", 1, "symbol"),
    ("GET", "/fapi/v1/premiumIndex"): _public("premiumIndex", 1, "symbol"),
    ("GET", "/fapi/v1/fundingRate"): _public("fundingRate", 1, _PAGE),
    ("GET", "/fapi/v1/fundingInfo"): _public("fundingInfo", 1),
    ("POST", "/fapi/v1/order"): _change("order.place", 0, _NEW, orders=1),
    ("POST", "/fapi/v1/order/test"): _query("order.test", 1, _NEW),
    ("PUT", "/fapi/v1/order"): _change(
        "order.modify", 1, f"{_WHICH} side quantity price priceMatch positionSide type", orders=1
    ),
    ("DELETE", "/fapi/v1/order"): _change("order.cancel", 1, _WHICH),
    ("GET", "/fapi/v1/order"): _query("order.status", 1, _WHICH),
    ("GET", "/fapi/v1/openOrder"): _query("openOrder.status", 1, _WHICH),
    ("GET", "/fapi/v1/openOrders"): _query("openOrders.status", 1, "symbol"),
    ("DELETE", "/fapi/v1/allOpenOrders"): _change("openOrders.cancelAll", 1, "symbol"),
    ("GET", "/fapi/v1/allOrders"): _query("allOrders", 5, f"{_PAGE} orderId"),
    ("GET", "/fapi/v1/userTrades"): _query("userTrades", 5, f"{_PAGE} orderId fromId"),
    ("POST", "/fapi/v1/countdownCancelAll"): _change("countdownCancelAll", 10, "symbol countdownTime"),
    ("POST", "/fapi/v1/algoOrder"): _change("order.place.algo", 0, _ALGO, orders=1),
    ("DELETE", "/fapi/v1/algoOrder"): _change("order.cancel.algo", 1, "algoId clientAlgoId"),
    ("GET", "/fapi/v1/algoOrder"): _query("order.status.algo", 1, "algoId clientAlgoId"),
    ("GET", "/fapi/v1/openAlgoOrders"): _query("openAlgoOrders.status", 1, "symbol algoType algoId"),
    ("GET", "/fapi/v1/allAlgoOrders"): _query("allAlgoOrders", 5, f"{_PAGE} algoId"),
    ("DELETE", "/fapi/v1/algoOpenOrders"): _change("openAlgoOrders.cancelAll", 1, "symbol"),
    ("GET", "/fapi/v1/rateLimit/order"): _query("account.rateLimits.orders", 1),
    **{
        ("GET", f"/fapi/v{version}/{path}"): _query(f"account.{name}.{version}", 5, known)
        for version in (2, 3)
        for path, name, known in (
            ("balance", "balance", ""),
            ("account", "status", ""),
            ("positionRisk", "positions", "symbol"),
        )
    },
    ("GET", "/fapi/v1/accountConfig"): _query("account.config", 5),
    ("GET", "/fapi/v1/symbolConfig"): _query("symbolConfig", 5, "symbol"),
    ("GET", "/fapi/v1/leverageBracket"): _query("leverageBracket", 1, "symbol"),
    ("GET", "/fapi/v1/commissionRate"): _query("account.commission", 20, "symbol"),
    ("GET", "/fapi/v1/income"): _query("account.income", 30, f"{_PAGE} incomeType page"),
    ("GET", "/fapi/v1/positionSide/dual"): _query("positionSide.status", 30),
    ("POST", "/fapi/v1/positionSide/dual"): _change("positionSide.change", 1, "dualSidePosition"),
    ("GET", "/fapi/v1/multiAssetsMargin"): _query("multiAssetsMargin.status", 30),
    ("POST", "/fapi/v1/leverage"): _change("leverage.change", 1, "symbol leverage"),
    ("POST", "/fapi/v1/marginType"): _change("marginType.change", 1, "symbol marginType"),
    **{(method, "/fapi/v1/listenKey"): request for method, request in KEYED.items()},
    **{place: request for place, request in OF_SPOT.items() if request.sapi},
}


def weight(request: Request, given: Mapping[str, str]) -> int:
    """What a request costs, with what its parameters add."""
    if request.name in ("depth", "klines"):
        text = given.get("limit", "500")
        wanted = int(text) if text.isdecimal() else 500
        steps = ((50, 2), (100, 5), (500, 10)) if request.name == "depth" else ((99, 1), (499, 2), (1_000, 5))
        return next((cost for most, cost in steps if wanted <= most), 20 if request.name == "depth" else 10)
    if "symbol" in given:
        return request.weight
    of_all = {"openOrders.status": 40, "openAlgoOrders.status": 40, "premiumIndex": 10}
    of_all |= {"ticker.price": 2, "ticker.book": 5, "ticker.24hr": 40}
    return of_all.get(request.name, request.weight)
