"""What OKX reports of orders, fills and balances, as axon's types."""

from __future__ import annotations

from decimal import Decimal

import attrs

from axon_exchange_okx.payloads import AlgoRow, BalanceRow, FillRow, OrderRow, nanoseconds, number
from axon_quant.exchange.exact import subtract
from axon_quant.exchange.ledger import Balance
from axon_quant.exchange.stream import BalanceUpdate
from axon_quant.orders.tracker import OrderState
from axon_quant.orders.types import Fill, Liquidity, Order, OrderStatus, OrderType, OrderUpdate, Side, TimeInForce

_STATUS = {
    "live": OrderStatus.Open,
    "partially_filled": OrderStatus.PartiallyFilled,
    "filled": OrderStatus.Filled,
    "canceled": OrderStatus.Cancelled,
    "mmp_canceled": OrderStatus.Cancelled,
}
_TIME_IN_FORCE = {"ioc": TimeInForce.IOC, "fok": TimeInForce.FOK, "optimal_limit_ioc": TimeInForce.IOC}
_EXPIRES = frozenset({"ioc", "fok", "market", "optimal_limit_ioc"})
_STOP_STATUS = {"canceled": OrderStatus.Cancelled, "order_failed": OrderStatus.Rejected}
_WOULD_TAKE = "31"
"""The cancel source of a post-only order that would have taken liquidity."""
_SOURCES = {
    "0": "cancelled by OKX",
    "2": "cancelled by OKX: the margin of the position was not enough",
    "3": "cancelled by OKX: the margin was not enough, a liquidation was near",
    "6": "cancelled by OKX: the margin was low, auto-deleveraging was near",
    "9": "cancelled by OKX: not enough balance after funding",
    "14": "immediate or cancel",
    "15": "the price was outside OKX's limits",
    "17": "the position was closed already",
    "20": "cancelled by the dead-man switch",
    "22": "reduce-only: there was no position left to reduce",
    "23": "reduce-only: there was no position left to reduce",
    "32": "cancelled by OKX: self-trade prevention",
    _WOULD_TAKE: "post-only: it would have taken liquidity",
}


def order_status(row: OrderRow) -> OrderStatus:
    """What became of an order.

    OKX cancels what axon calls expired (the rest of an immediate order) and rejected (a post-only order that would
    have taken liquidity).
    """
    status = _STATUS.get(row.state, OrderStatus.Unknown)
    if status is OrderStatus.Cancelled:
        if row.ord_type in _EXPIRES:
            return OrderStatus.Expired
        if row.cancel_source == _WOULD_TAKE and not number(row.acc_fill_sz):
            return OrderStatus.Rejected
    return status


def order_reason(row: OrderRow) -> str:
    """Why an order ended, or ""."""
    if row.state not in ("canceled", "mmp_canceled"):
        return ""
    return row.cancel_source_reason or _SOURCES.get(row.cancel_source, "")


def client_id(row: OrderRow) -> str:
    """The name of an order: its stop order's when one placed it, else its own, else OKX's."""
    return row.algo_cl_ord_id or row.cl_ord_id or row.ord_id


def order_id(row: OrderRow) -> str:
    """OKX's id that axon knows an order by: a stop order keeps the one it had before it triggered."""
    return row.algo_id or row.ord_id


def order_update(row: OrderRow) -> OrderUpdate:
    """A row of the `orders` channel."""
    name = client_id(row)
    filled = number(row.acc_fill_sz)
    at = nanoseconds(row.u_time)
    fill = None
    if row.trade_id and number(row.fill_sz):
        fill = Fill(
            name,
            row.inst_id,
            Side(row.side),
            number(row.fill_px),
            number(row.fill_sz),
            -number(row.fill_fee),
            row.fill_fee_ccy,
            liquidity(row.exec_type),
            fill_id(row.inst_id, row.trade_id),
            nanoseconds(row.fill_time) or at,
        )
    return OrderUpdate(name, order_status(row), at, row.inst_id, order_id(row), filled, fill, order_reason(row))


def order_state(row: OrderRow, ours: Order | None = None) -> OrderState:
    """An order as `/trade/order` and `/trade/orders-pending` have it; `ours` when it is one of ours."""
    return OrderState(
        _order(row) if ours is None else _as_it_stands(row, ours),
        order_status(row),
        order_id(row),
        number(row.acc_fill_sz),
        created_at=nanoseconds(row.c_time),
        reason=order_reason(row),
    )


def stop_status(row: AlgoRow) -> OrderStatus:
    """What became of a stop order that has not triggered, or whose order could not be placed."""
    return _STOP_STATUS.get(row.state, OrderStatus.Open)


def stop_reason(row: AlgoRow) -> str:
    """Why a stop order ended, or ""."""
    return f"it triggered, and OKX refused its order [{row.fail_code}]" if row.state == "order_failed" else ""


def stop_state(row: AlgoRow, order: Order | None = None) -> OrderState:
    """A stop order that has not placed its order; `order` when it is one of ours."""
    return OrderState(
        _stop_order(row) if order is None else order,
        stop_status(row),
        row.algo_id,
        created_at=nanoseconds(row.c_time),
        reason=stop_reason(row),
    )


def stop_update(row: AlgoRow) -> OrderUpdate:
    """A row of the `orders-algo` channel."""
    at = nanoseconds(row.u_time) or nanoseconds(row.c_time)
    name = row.algo_cl_ord_id or row.algo_id
    return OrderUpdate(name, stop_status(row), at, row.inst_id, row.algo_id, reason=stop_reason(row))


def fill(row: FillRow, client_order_id: str) -> Fill:
    """One of `/trade/fills`, of the order that axon calls `client_order_id`."""
    return Fill(
        client_order_id,
        row.inst_id,
        Side(row.side),
        number(row.fill_px),
        number(row.fill_sz),
        -number(row.fee),
        row.fee_ccy,
        liquidity(row.exec_type),
        fill_id(row.inst_id, row.trade_id),
        nanoseconds(row.fill_time) or nanoseconds(row.ts),
    )


def fill_id(symbol: str, trade_id: str) -> str:
    """OKX's trade ids are unique per instrument only."""
    return f"{symbol}:{trade_id}"


def liquidity(exec_type: str) -> Liquidity:
    """OKX says M for maker, T for taker."""
    return Liquidity.Maker if exec_type == "M" else Liquidity.Taker


def balance(row: BalanceRow) -> Balance:
    """One currency: what is free, and what open orders and positions froze; both together are the cash balance.

    What is available contains what cross positions have won or lost, which is no balance yet.
    """
    frozen = number(row.frozen_bal)
    free = subtract(number(row.cash_bal), frozen) if row.cash_bal else number(row.avail_bal or row.avail_eq)
    return Balance(row.ccy, free, frozen)


def balance_update(row: BalanceRow, at: int) -> BalanceUpdate:
    """A row of the `account` channel, as of `at`."""
    now = balance(row)
    return BalanceUpdate(now.asset, now.free, now.locked, at)


def _order(row: OrderRow) -> Order:
    market = row.ord_type in ("market", "optimal_limit_ioc")
    return Order(
        row.inst_id,
        Side(row.side),
        OrderType.Market if market else OrderType.Limit,
        None if market else Decimal(row.px),
        Decimal(row.sz),
        time_in_force=_TIME_IN_FORCE.get(row.ord_type, TimeInForce.GTC),
        post_only=row.ord_type == "post_only",
        reduce_only=row.reduce_only == "true",
        client_order_id=client_id(row),
    )


def _as_it_stands(row: OrderRow, ours: Order) -> Order:
    """One of our orders with what an amendment may have changed, and what a mistaken identity would."""
    return attrs.evolve(
        ours,
        symbol=row.inst_id,
        side=Side(row.side),
        quantity=number(row.sz),
        price=number(row.px) if ours.price is not None and row.px else ours.price,
    )


def _stop_order(row: AlgoRow) -> Order:
    price = row.sl_ord_px or row.ord_px
    limit = None if price in ("", "-1") else Decimal(price)
    return Order(
        row.inst_id,
        Side(row.side),
        OrderType.Stop if limit is None else OrderType.StopLimit,
        limit,
        Decimal(row.sz),
        stop_price=Decimal(row.sl_trigger_px or row.trigger_px),
        reduce_only=row.reduce_only == "true",
        client_order_id=row.algo_cl_ord_id or row.algo_id,
    )
