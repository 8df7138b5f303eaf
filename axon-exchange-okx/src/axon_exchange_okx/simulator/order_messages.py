"""OKX's JSON of orders, fills and algo orders."""

from __future__ import annotations

from decimal import Decimal

import attrs

from axon_exchange_okx.simulator.instruments import inst_type
from axon_exchange_okx.simulator.numbers import milliseconds, negative, number
from axon_quant.exchange.exact import ZERO
from axon_quant.exchange.primitives import MarginMode
from axon_quant.exchange.simulator import SimulatedFill, SimulatedOrder
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
BY_SYSTEM, BY_USER, OF_FOK, OF_IOC, BY_CANCEL_AFTER, OF_REDUCE_ONLY, OF_POST_ONLY, OF_SELF_TRADE = (
    "0",
    "1",
    "13",
    "14",
    "20",
    "22",
    "31",
    "32",
)
"""Where the end of an order comes from."""


@attrs.define(eq=False)
class StopOrder:
    """An algo order: waits for its trigger, then places an order of its own. `state` is OKX's.

    `kind` is that of the trigger: `sl`, `tp` or `trigger`; `rises` says that the price must rise to it. `mode` is a
    swap's.
    """

    algo_id: str
    order: Order
    kind: str
    created: int
    rises: bool
    mode: MarginMode | None = None
    state: str = "live"
    updated: int = 0
    placed: SimulatedOrder | None = None
    fail_code: str = ""

    @property
    def order_type(self) -> str:
        """What OKX calls it."""
        return "trigger" if self.kind == "trigger" else "conditional"

    @property
    def child_name(self) -> str:
        """The client order id of the order it places."""
        return f"algo-{self.algo_id}"


def given_name(name: str) -> str:
    """A client order id as the client gave it; the venue's own names, which have a hyphen, are not shown."""
    return "" if "-" in name else name


def order_type(order: Order) -> str:
    """What OKX calls the order's type."""
    if order.order_type is OrderType.Market:
        return "market"
    return "post_only" if order.post_only else _TYPES[order.time_in_force]


def cancel_source(placed: SimulatedOrder) -> str:
    """Why an order ended before it was filled, or ""."""
    if placed.status is OrderStatus.Cancelled:
        return str(placed.tag.get("cancel_source", BY_USER))
    if placed.status is not OrderStatus.Expired:
        return ""
    if placed.reason.startswith("self-trade"):
        return OF_SELF_TRADE
    if placed.reason.startswith("reduce-only"):
        return OF_REDUCE_ONLY
    by_type = {"post_only": OF_POST_ONLY, "fok": OF_FOK, "ioc": OF_IOC}
    return by_type.get(order_type(placed.order), BY_SYSTEM)


def order_row(placed: SimulatedOrder, fill: SimulatedFill | None = None) -> dict[str, object]:
    """An order; with the execution that `fill` is, or the last one."""
    order = placed.order
    last = fill or (placed.fills[-1] if placed.fills else None)
    base, quote = order.symbol.split("-")[:2]
    position, buys = placed.position, order.side is Side.Buy
    stop_id = str(placed.tag.get("algo_id", ""))
    by_default = "base_ccy" if order.order_type is OrderType.Market and position is None else ""
    fee_asset = base if buys and position is None else quote
    return {
        "accFillSz": number(placed.filled),
        "algoClOrdId": str(placed.tag.get("algo_client_id", "")),
        "algoId": stop_id,
        "attachAlgoClOrdId": "",
        "attachAlgoOrds": [],
        "avgPx": number(placed.average_price) if placed.filled else "",
        "cTime": milliseconds(placed.created),
        "cancelSource": cancel_source(placed),
        "cancelSourceReason": placed.reason,
        "category": "normal",
        "ccy": "",
        "clOrdId": given_name(order.client_order_id),
        "fee": negative(sum((one.fee for one in placed.fills), ZERO)),
        "feeCcy": fee_asset if last is None else last.fee_asset,
        "fillPx": "" if last is None else number(last.price),
        "fillSz": "0" if last is None else number(last.quantity),
        "fillTime": "" if last is None else milliseconds(last.at),
        "instId": order.symbol,
        "instType": inst_type(order.symbol),
        "isTpLimit": "false",
        "lever": "" if position is None else str(position.leverage),
        "linkedAlgoOrd": {"algoId": ""},
        "ordId": str(placed.venue_order_id),
        "ordType": order_type(order),
        "pnl": number(sum((one.realised for one in placed.fills), ZERO)),
        "posSide": "net",
        "px": number(order.price),
        "pxType": "",
        "pxUsd": "",
        "pxVol": "",
        "quickMgnType": "",
        "rebate": "0",
        "rebateCcy": quote if buys or position is not None else base,
        "reduceOnly": "true" if order.reduce_only else "false",
        "side": order.side.value,
        "slOrdPx": "",
        "slTriggerPx": "",
        "slTriggerPxType": "",
        "source": str(placed.tag.get("source", "")),
        "state": STATES[placed.status],
        "stpId": "",
        "stpMode": "cancel_maker",
        "sz": str(placed.tag.get("sz", "")) or number(order.quantity),
        "tag": str(placed.tag.get("tag", "")),
        "tdMode": "cash" if position is None else position.mode.value,
        "tgtCcy": str(placed.tag.get("tgtCcy", by_default)),
        "tpOrdPx": "",
        "tpTriggerPx": "",
        "tpTriggerPxType": "",
        "tradeId": "" if last is None else str(last.trade_id),
        "tradeQuoteCcy": quote,
        "uTime": milliseconds(placed.updated),
    }


def order_push(
    placed: SimulatedOrder, fill: SimulatedFill | None, last: Decimal | None, *, amend_source: str, request: str
) -> dict[str, object]:
    """An order as the `orders` channel says it, with the execution or the amendment that caused it.

    `amend_source` is 1 for the user's (`request`), 2 for one that the system made smaller, 3 for a new order that it
    made smaller, and 4 where it did so by itself.
    """
    row = order_row(placed, fill)
    if fill is None:
        row |= {"fillPx": "", "fillSz": "0", "fillTime": "", "tradeId": ""}
    return row | {
        "amendResult": "0" if amend_source in ("1", "2") else "",
        "amendSource": amend_source,
        "avgPx": row["avgPx"] or "0",
        "code": "0",
        "msg": "",
        "reqId": request,
        "execType": "" if fill is None else execution(fill),
        "fillFee": "0" if fill is None else negative(fill.fee),
        "fillFeeCcy": "" if fill is None else fill.fee_asset,
        "fillNotionalUsd": "",
        "fillPnl": "0" if fill is None else number(fill.realised),
        "lastPx": number(last),
        "notionalUsd": "",
    }


def execution(fill: SimulatedFill) -> str:
    """M for a maker, T for a taker."""
    return "M" if fill.liquidity is Liquidity.Maker else "T"


def fill_row(fill: SimulatedFill, placed: SimulatedOrder, bill: int, rate: Decimal) -> dict[str, object]:
    """One of `/trade/fills`; `rate` is the fraction that the fee was."""
    return {
        "instType": inst_type(fill.symbol),
        "instId": fill.symbol,
        "tradeId": str(fill.trade_id),
        "ordId": str(fill.venue_order_id),
        "clOrdId": given_name(fill.client_order_id),
        "billId": str(bill),
        "subType": "1" if placed.order.side is Side.Buy else "2",
        "tag": str(placed.tag.get("tag", "")),
        "fillPx": number(fill.price),
        "fillSz": number(fill.quantity),
        "fillIdxPx": "",
        "fillPnl": number(fill.realised),
        "side": placed.order.side.value,
        "posSide": "net",
        "execType": execution(fill),
        "feeCcy": fill.fee_asset,
        "fee": negative(fill.fee),
        "feeRate": negative(rate),
        "ts": milliseconds(fill.at),
        "fillTime": milliseconds(fill.at),
        "tradeQuoteCcy": fill.symbol.split("-")[1],
    }


def stop_row(stop: StopOrder) -> dict[str, object]:
    """An algo order."""
    order, placed = stop.order, stop.placed
    ids = [] if placed is None else [str(placed.venue_order_id)]
    limit = "-1" if order.price is None else number(order.price)
    prices = dict.fromkeys(("slTriggerPx", "slOrdPx", "tpTriggerPx", "tpOrdPx", "triggerPx", "ordPx"), "")
    trigger, ordered = (
        ("triggerPx", "ordPx") if stop.kind == "trigger" else (f"{stop.kind}TriggerPx", f"{stop.kind}OrdPx")
    )
    prices |= {trigger: number(order.stop_price), ordered: limit}
    return {
        "instType": inst_type(order.symbol),
        "instId": order.symbol,
        "algoId": stop.algo_id,
        "algoClOrdId": given_name(order.client_order_id),
        "clOrdId": "",
        "ordType": stop.order_type,
        "side": order.side.value,
        "posSide": "net",
        "tdMode": "cash" if stop.mode is None else stop.mode.value,
        "tgtCcy": "base_ccy" if stop.mode is None else "",
        "sz": number(order.quantity),
        "state": stop.state,
        **prices,
        "slTriggerPxType": "last" if stop.kind == "sl" else "",
        "tpTriggerPxType": "last" if stop.kind == "tp" else "",
        "triggerPxType": "last" if stop.kind == "trigger" else "",
        "actualSide": stop.kind if placed is not None and stop.kind != "trigger" else "",
        "actualSz": number(order.quantity) if placed is not None else "0",
        "actualPx": "",
        "ordId": ids[0] if ids else "",
        "ordIdList": ids,
        "failCode": stop.fail_code,
        "reduceOnly": "true" if order.reduce_only else "false",
        "tag": "",
        "cTime": milliseconds(stop.created),
        "uTime": milliseconds(stop.updated or stop.created),
        "triggerTime": milliseconds(stop.updated) if placed is not None else "",
    }
