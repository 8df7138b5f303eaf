"""OKX's JSON, from what the exchange knows. Every number is text."""

from __future__ import annotations

from decimal import Decimal

import attrs

from axon_quant.clock import MILLISECOND
from axon_quant.exchange.exact import ZERO
from axon_quant.exchange.simulator import Account, SimulatedFill, SimulatedOrder
from axon_quant.market.instrument import Instrument
from axon_quant.market.types import Level
from axon_quant.orders.types import Liquidity, Order, OrderStatus, OrderType, Side, TimeInForce

STATES = {
    OrderStatus.Open: "live",
    OrderStatus.PartiallyFilled: "partially_filled",
    OrderStatus.Filled: "filled",
    OrderStatus.Cancelled: "canceled",
    OrderStatus.Expired: "canceled",
    OrderStatus.Rejected: "canceled",
}
_TYPES = {TimeInForce.GTC: "limit", TimeInForce.IOC: "ioc", TimeInForce.FOK: "fok"}


@attrs.define(eq=False)
class StopOrder:
    """An algo order: waits for its trigger, then places an order of its own. `state` is OKX's."""

    algo_id: str
    order: Order
    created: int
    rises: bool
    state: str = "live"
    updated: int = 0
    placed: SimulatedOrder | None = None
    fail_code: str = ""

    @property
    def child_name(self) -> str:
        """The client order id of the order it places."""
        return f"algo{self.algo_id}"


def number(value: Decimal | float | None) -> str:
    """As few digits as say it; "" for None."""
    if value is None:
        return ""
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    text = f"{exact:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def milliseconds(ns: int) -> str:
    """UTC ns as OKX's text."""
    return str(ns // MILLISECOND)


def instrument_row(instrument: Instrument, code: int) -> dict[str, object]:
    """One of `/public/instruments`."""
    largest = number(instrument.max_quantity or Decimal(9_000_000))
    return {
        "instType": "SPOT",
        "instId": instrument.symbol,
        "instIdCode": code,
        "baseCcy": instrument.base,
        "quoteCcy": instrument.quote,
        "settleCcy": "",
        "instFamily": "",
        "uly": "",
        "category": "1",
        "ctVal": "",
        "ctMult": "",
        "ctValCcy": "",
        "ctType": "",
        "optType": "",
        "stk": "",
        "alias": "",
        "lever": "10",
        "tickSz": number(instrument.tick_size),
        "lotSz": number(instrument.lot_size),
        "minSz": number(instrument.min_quantity or instrument.lot_size),
        "maxLmtSz": largest,
        "maxMktSz": "1000000",
        "maxLmtAmt": "20000000",
        "maxMktAmt": "1000000",
        "maxIcebergSz": largest,
        "maxStopSz": "1000000",
        "maxTriggerSz": largest,
        "maxTwapSz": largest,
        "listTime": "1600000000000",
        "expTime": "",
        "openType": "call_auction",
        "ruleType": "normal",
        "state": "live",
    }


def order_type(order: Order) -> str:
    """What OKX calls the order's type."""
    if order.order_type is OrderType.Market:
        return "market"
    return "post_only" if order.post_only else _TYPES[order.time_in_force]


def order_row(placed: SimulatedOrder, fill: SimulatedFill | None = None) -> dict[str, object]:
    """An order; with the execution that `fill` is, or the last one."""
    order = placed.order
    last = fill or (placed.fills[-1] if placed.fills else None)
    buys = order.side is Side.Buy
    fees = sum((one.fee for one in placed.fills), ZERO)
    hidden = placed.tag.get("algo_id")
    return {
        "accFillSz": number(placed.filled),
        "algoClOrdId": str(placed.tag.get("algo_client_id", "")),
        "algoId": str(hidden or ""),
        "attachAlgoClOrdId": "",
        "attachAlgoOrds": [],
        "avgPx": number(placed.average_price) if placed.filled else "",
        "cTime": milliseconds(placed.created),
        "cancelSource": "1" if placed.status is OrderStatus.Cancelled else "",
        "cancelSourceReason": placed.reason,
        "category": "normal",
        "ccy": "",
        "clOrdId": "" if hidden else order.client_order_id,
        "fee": number(-fees),
        "feeCcy": last.fee_asset if last is not None else "",
        "fillPx": "" if last is None else number(last.price),
        "fillSz": "" if last is None else number(last.quantity),
        "fillTime": "" if last is None else milliseconds(last.at),
        "instId": order.symbol,
        "instType": "SPOT",
        "isTpLimit": "false",
        "lever": "",
        "linkedAlgoOrd": {"algoId": ""},
        "ordId": str(placed.venue_order_id),
        "ordType": order_type(order),
        "pnl": "0",
        "posSide": "net",
        "px": number(order.price),
        "pxType": "",
        "pxUsd": "",
        "pxVol": "",
        "quickMgnType": "",
        "rebate": "0",
        "rebateCcy": order.symbol.split("-")[1 if buys else 0],
        "reduceOnly": "false",
        "side": order.side.value,
        "slOrdPx": "",
        "slTriggerPx": "",
        "slTriggerPxType": "",
        "source": "7" if hidden else "",
        "state": STATES[placed.status],
        "stpId": "",
        "stpMode": "cancel_maker",
        "sz": number(order.quantity),
        "tag": "",
        "tdMode": "cash",
        "tgtCcy": "base_ccy" if order.order_type is OrderType.Market else "",
        "tpOrdPx": "",
        "tpTriggerPx": "",
        "tpTriggerPxType": "",
        "tradeId": "" if last is None else str(last.trade_id),
        "uTime": milliseconds(placed.updated),
    }


def order_push(placed: SimulatedOrder, fill: SimulatedFill | None, *, amended: str = "") -> dict[str, object]:
    """An order as the `orders` channel says it, with the execution that caused it."""
    row = order_row(placed, fill)
    if fill is None:
        row |= {"fillPx": "", "fillSz": "0", "fillTime": "", "tradeId": ""}
    return row | {
        "amendResult": "0" if amended else "",
        "amendSource": "1" if amended else "",
        "code": "0",
        "msg": "",
        "reqId": amended,
        "execType": "" if fill is None else execution(fill),
        "fillFee": "0" if fill is None else number(-fill.fee),
        "fillFeeCcy": "" if fill is None else fill.fee_asset,
        "fillNotionalUsd": "",
        "fillPnl": "0",
        "lastPx": "",
        "notionalUsd": "",
    }


def execution(fill: SimulatedFill) -> str:
    """M for a maker, T for a taker."""
    return "M" if fill.liquidity is Liquidity.Maker else "T"


def fill_row(fill: SimulatedFill, placed: SimulatedOrder, bill: int) -> dict[str, object]:
    """One of `/trade/fills`."""
    return {
        "instType": "SPOT",
        "instId": fill.symbol,
        "tradeId": str(fill.trade_id),
        "ordId": str(fill.venue_order_id),
        "clOrdId": "" if placed.tag.get("algo_id") else fill.client_order_id,
        "billId": str(bill),
        "subType": "1",
        "tag": "",
        "fillPx": number(fill.price),
        "fillSz": number(fill.quantity),
        "fillIdxPx": "",
        "fillPnl": "0",
        "side": placed.order.side.value,
        "posSide": "net",
        "execType": execution(fill),
        "feeCcy": fill.fee_asset,
        "fee": number(-fill.fee),
        "feeRate": "-0.001",
        "ts": milliseconds(fill.at),
        "fillTime": milliseconds(fill.at),
    }


def stop_row(stop: StopOrder) -> dict[str, object]:
    """An algo order."""
    order, placed = stop.order, stop.placed
    ids = [] if placed is None else [str(placed.venue_order_id)]
    return {
        "instType": "SPOT",
        "instId": order.symbol,
        "algoId": stop.algo_id,
        "algoClOrdId": order.client_order_id,
        "clOrdId": "",
        "ordType": "conditional",
        "side": order.side.value,
        "posSide": "net",
        "tdMode": "cash",
        "tgtCcy": "base_ccy",
        "sz": number(order.quantity),
        "state": stop.state,
        "slTriggerPx": number(order.stop_price),
        "slTriggerPxType": "last",
        "slOrdPx": "-1" if order.price is None else number(order.price),
        "tpTriggerPx": "",
        "tpTriggerPxType": "",
        "tpOrdPx": "",
        "triggerPx": "",
        "ordPx": "",
        "actualSide": "sl" if placed is not None else "",
        "actualSz": number(order.quantity) if placed is not None else "0",
        "actualPx": "",
        "ordId": ids[0] if ids else "",
        "ordIdList": ids,
        "failCode": stop.fail_code,
        "reduceOnly": "false",
        "tag": "",
        "cTime": milliseconds(stop.created),
        "uTime": milliseconds(stop.updated or stop.created),
        "triggerTime": milliseconds(stop.updated) if placed is not None else "",
    }


def account_row(account: Account, now: int, assets: tuple[str, ...] | None = None) -> dict[str, object]:
    """The account, or what it holds of some assets."""
    at = milliseconds(now)
    return {
        "uTime": at,
        "totalEq": "",
        "isoEq": "0",
        "adjEq": "",
        "ordFroz": "",
        "imr": "",
        "mmr": "",
        "mgnRatio": "",
        "notionalUsd": "",
        "details": [
            {
                "ccy": asset,
                "eq": number(account.totals.get(asset, ZERO)),
                "cashBal": number(account.totals.get(asset, ZERO)),
                "availBal": number(account.free(asset)),
                "availEq": number(account.free(asset)),
                "frozenBal": number(account.locked.get(asset, ZERO)),
                "ordFrozen": number(account.locked.get(asset, ZERO)),
                "uTime": at,
                "liab": "",
                "upl": "0",
                "interest": "",
                "isoEq": "0",
                "disEq": "0",
                "eqUsd": "",
            }
            for asset in (sorted(account.totals) if assets is None else assets)
        ],
    }


def levels(side: list[Level]) -> list[list[str]]:
    """Prices and quantities of a book."""
    return [[number(price), number(quantity), "0", "1"] for price, quantity in side]
