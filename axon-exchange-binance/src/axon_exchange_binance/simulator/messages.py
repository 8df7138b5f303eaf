"""Binance's JSON, from what the exchange knows."""

from __future__ import annotations

from decimal import Decimal

from axon_quant.clock import MILLISECOND
from axon_quant.exchange.exact import ZERO
from axon_quant.exchange.simulator import Account, AccountEvent, Limit, SimulatedFill, SimulatedOrder
from axon_quant.market.instrument import Instrument
from axon_quant.market.types import Level
from axon_quant.orders.types import Liquidity, OrderStatus, Side

_STATUSES = {
    OrderStatus.Open: "NEW",
    OrderStatus.PartiallyFilled: "PARTIALLY_FILLED",
    OrderStatus.Filled: "FILLED",
    OrderStatus.Cancelled: "CANCELED",
    OrderStatus.Rejected: "REJECTED",
    OrderStatus.Expired: "EXPIRED",
}
_EXECUTIONS = {
    "new": "NEW",
    "trade": "TRADE",
    "cancelled": "CANCELED",
    "expired": "EXPIRED",
    "rejected": "REJECTED",
    "amended": "REPLACED",
    "triggered": "NEW",
}
ORDER_TYPES = [
    *("LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"),
    *("TAKE_PROFIT", "TAKE_PROFIT_LIMIT"),
]
_INTERVALS = {1.0: ("SECOND", 1), 10.0: ("SECOND", 10), 60.0: ("MINUTE", 1), 300.0: ("MINUTE", 5), 86400.0: ("DAY", 1)}
_LIMIT_TYPES = {"weight": "REQUEST_WEIGHT", "orders": "ORDERS", "requests": "RAW_REQUESTS"}


def number(value: Decimal | float | None) -> str:
    """Eight digits after the point, as Binance writes every amount."""
    return f"{value or ZERO:.8f}"


def milliseconds(ns: int) -> int:
    """UTC ns as the milliseconds that Binance counts in."""
    return ns // MILLISECOND


def exchange_info(instruments: list[Instrument], limits: tuple[Limit, ...], now: int) -> dict[str, object]:
    """`exchangeInfo` for some instruments."""
    return {
        "timezone": "UTC",
        "serverTime": milliseconds(now),
        "rateLimits": [_rate_limit(limit) for limit in limits],
        "exchangeFilters": [],
        "symbols": [_symbol(instrument) for instrument in instruments],
    }


def _rate_limit(limit: Limit) -> dict[str, object]:
    interval, count = _INTERVALS[limit.period]
    return {
        "rateLimitType": _LIMIT_TYPES[limit.kind],
        "interval": interval,
        "intervalNum": count,
        "limit": limit.limit,
    }


def used_headers(used: list[tuple[Limit, int]]) -> dict[str, str]:
    """How much of each limit is used, as headers."""
    headers = {}
    for limit, count in used:
        interval, many = _INTERVALS[limit.period]
        if limit.kind == "weight":
            headers[f"X-MBX-USED-WEIGHT-{many}{interval[0]}"] = headers["X-MBX-USED-WEIGHT"] = str(count)
        elif limit.kind == "orders":
            headers[f"X-MBX-ORDER-COUNT-{many}{interval[0]}"] = str(count)
    return headers


def _symbol(instrument: Instrument) -> dict[str, object]:
    low, high = instrument.percent_price or (Decimal("0.2"), Decimal(5))
    lots = {
        "minQty": number(instrument.min_quantity or instrument.lot_size),
        "maxQty": number(instrument.max_quantity or Decimal(9_000_000)),
        "stepSize": number(instrument.lot_size),
    }
    return {
        "symbol": instrument.symbol,
        "status": "TRADING",
        "baseAsset": instrument.base,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ORDER_TYPES,
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "quoteOrderQtyMarketAllowed": False,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": number(instrument.min_price or instrument.tick_size),
                "maxPrice": number(instrument.max_price or Decimal(1_000_000)),
                "tickSize": number(instrument.tick_size),
            },
            {"filterType": "LOT_SIZE", **lots},
            {"filterType": "MARKET_LOT_SIZE", **lots, "minQty": number(ZERO), "stepSize": number(ZERO)},
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": f"{high:f}",
                "bidMultiplierDown": f"{low:f}",
                "askMultiplierUp": f"{high:f}",
                "askMultiplierDown": f"{low:f}",
                "avgPriceMins": 5,
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": number(instrument.min_notional),
                "applyMinToMarket": True,
                "maxNotional": number(instrument.max_notional or Decimal(9_000_000)),
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
        ],
        "permissions": ["SPOT"],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    }


def _asked_for(placed: SimulatedOrder) -> dict[str, object]:
    order = placed.order
    return {
        "symbol": order.symbol,
        "orderId": placed.venue_order_id,
        "orderListId": -1,
        "clientOrderId": order.client_order_id,
        "price": number(order.price),
        "origQty": number(order.quantity),
        "executedQty": number(placed.filled),
        "origQuoteOrderQty": number(ZERO),
        "cummulativeQuoteQty": number(placed.value),
        "status": _STATUSES[placed.status],
        "timeInForce": order.time_in_force.value.upper(),
        "type": placed.tag["type"],
        "side": order.side.value.upper(),
        "selfTradePreventionMode": "EXPIRE_MAKER",
    }


def acknowledged(placed: SimulatedOrder, kind: str) -> dict[str, object]:
    """The answer to a new order: ACK, RESULT or FULL."""
    at = milliseconds(placed.updated)
    short = {
        "symbol": placed.order.symbol,
        "orderId": placed.venue_order_id,
        "orderListId": -1,
        "clientOrderId": placed.order.client_order_id,
        "transactTime": at,
    }
    if kind == "ACK":
        return short
    result = {**_asked_for(placed), **short, "workingTime": -1 if placed.waiting else at}
    if placed.order.stop_price is not None:
        result["stopPrice"] = number(placed.order.stop_price)
    if kind == "FULL":
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
    """The answer to a cancel."""
    return {
        **_asked_for(placed),
        "origClientOrderId": placed.order.client_order_id,
        "clientOrderId": cancel_id,
        "transactTime": milliseconds(placed.updated),
    }


def queried(placed: SimulatedOrder) -> dict[str, object]:
    """An order as a query returns it."""
    return {
        **_asked_for(placed),
        "stopPrice": number(placed.order.stop_price),
        "icebergQty": number(ZERO),
        "time": milliseconds(placed.created),
        "updateTime": milliseconds(placed.updated),
        "isWorking": not placed.waiting,
        "workingTime": -1 if placed.waiting else milliseconds(placed.created),
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
        "quoteQty": number(fill.price * fill.quantity),
        "commission": number(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": milliseconds(fill.at),
        "isBuyer": side is Side.Buy,
        "isMaker": fill.liquidity is Liquidity.Maker,
        "isBestMatch": True,
    }


def account_of(account: Account, now: int, *, omit_zero: bool) -> dict[str, object]:
    """The account and its balances."""
    return {
        "makerCommission": 10,
        "takerCommission": 10,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": "0.00100000",
            "taker": "0.00100000",
            "buyer": "0.00000000",
            "seller": "0.00000000",
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
            {"asset": asset, "free": number(account.free(asset)), "locked": number(account.locked.get(asset))}
            for asset, total in sorted(account.totals.items())
            if total or not omit_zero
        ],
        "permissions": ["SPOT"],
        "uid": 1,
    }


def execution_report(event: AccountEvent) -> dict[str, object]:
    """`executionReport`. A cancel has a client order id of its own, and the order's becomes the original one."""
    placed, fill = event.order, event.fill
    order = placed.order
    cancel_id = str(placed.tag.get("cancel_id", "")) if event.cause == "cancelled" else ""
    at = milliseconds(event.at)
    return {
        "e": "executionReport",
        "E": at,
        "s": order.symbol,
        "c": cancel_id or order.client_order_id,
        "S": order.side.value.upper(),
        "o": placed.tag["type"],
        "f": order.time_in_force.value.upper(),
        "q": number(order.quantity),
        "p": number(order.price),
        "P": number(order.stop_price),
        "F": number(ZERO),
        "g": -1,
        "C": order.client_order_id if cancel_id else "",
        "x": _EXECUTIONS[event.cause],
        "X": _STATUSES[placed.status],
        "r": "NONE",
        "i": placed.venue_order_id,
        "l": number(None if fill is None else fill.quantity),
        "z": number(placed.filled),
        "L": number(None if fill is None else fill.price),
        "n": number(None if fill is None else fill.fee),
        "N": None if fill is None else fill.fee_asset,
        "T": at,
        "t": -1 if fill is None else fill.trade_id,
        "I": event.sequence,
        "w": placed.status is OrderStatus.Open and not placed.waiting,
        "m": fill is not None and fill.liquidity is Liquidity.Maker,
        "M": fill is not None,
        "O": milliseconds(placed.created),
        "Z": number(placed.value),
        "Y": number(None if fill is None else fill.price * fill.quantity),
        "Q": number(ZERO),
        "W": milliseconds(placed.created),
        "V": "EXPIRE_MAKER",
    }


def account_position(account: Account, event: AccountEvent) -> dict[str, object]:
    """`outboundAccountPosition`: the balances that changed."""
    at = milliseconds(event.at)
    return {
        "e": "outboundAccountPosition",
        "E": at,
        "u": at,
        "B": [
            {"a": asset, "f": number(account.free(asset)), "l": number(account.locked.get(asset))}
            for asset in event.changed
        ],
    }


def levels(side: list[Level]) -> list[list[str]]:
    """Prices and quantities of a book."""
    return [[number(price), number(quantity)] for price, quantity in side]
