"""Compares what a trader knows with the venue's ledger."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import attrs
from record import Known

from axon_quant.orders import OrderStatus

_ENDED = {OrderStatus.Cancelled: "ended", OrderStatus.Expired: "ended", OrderStatus.Filled: "filled"}
_OPEN = {"open", "partially_filled", "created", "submitted"}
_EXISTS = frozenset(OrderStatus) - {
    OrderStatus.Created,
    OrderStatus.Submitted,
    OrderStatus.Unknown,
    OrderStatus.Rejected,
}


@attrs.define
class Verdict:
    """How many of each wrong there are; `notes` name the first few of each."""

    counts: Counter[str] = attrs.field(factory=Counter)
    notes: list[str] = attrs.field(factory=list)

    def add(self, wrong: str, note: str) -> None:
        """One more."""
        self.counts[wrong] += 1
        if self.counts[wrong] <= 5:
            self.notes.append(f"{wrong}: {note}")


WRONGS = (
    "duplicate venue orders",
    "lost orders",
    "phantom orders",
    "live orders marked dead",
    "orders that ended otherwise",
    "missed fills",
    "double-counted fills",
    "invented fills",
    "fills that differ",
    "positions that differ",
    "balances that differ",
)
"""What must not be. Lost: in doubt for ever, or at the venue and unknown to us."""


def judge(
    orders: Mapping[str, Known],
    final: Mapping[str, Mapping[str, Any]],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> Verdict:
    """`orders` and `final` are what the trader knows; `before` and `after` the ledger of its account."""
    verdict = Verdict()
    true = _orders(after)
    for name, found in true.items():
        for _ in found[1:]:
            verdict.add("duplicate venue orders", name)
        if name not in orders:
            verdict.add("lost orders", f"{name} is not ours to know")
    for name, order in orders.items():
        _judge_order(verdict, name, order, true.get(name, []))
    _judge_fills(verdict, orders, after, {row["name"]: row["client_order_id"] for row in after.get("stops", ())})
    _judge_money(verdict, orders, final.get("balances", {}), before, after)
    _judge_positions(verdict, orders, final.get("positions", {}), after)
    return verdict


def _orders(account: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The venue's orders by client order id. One that a stop placed is the stop."""
    true: dict[str, list[dict[str, Any]]] = defaultdict(list)
    placed_by = {row["name"]: row for row in account.get("stops", ())}
    for row in account["orders"]:
        stop = placed_by.pop(row["client_order_id"], None)
        true[row["client_order_id"] if stop is None else stop["client_order_id"]].append(row)
    for stop in placed_by.values():
        status = {"live": "open", "order_failed": "failed"}.get(stop["state"], "cancelled")
        true[stop["client_order_id"]].append({**stop, "status": status, "filled": "0"})
    return true


def _judge_order(verdict: Verdict, name: str, order: Known, found: list[dict[str, Any]]) -> None:
    status = order.status
    if not status.is_terminal:
        verdict.add("lost orders", f"{name} is {status.value} for ever; the venue: {[row['status'] for row in found]}")
    if not found:
        if status in _EXISTS:
            verdict.add("phantom orders", f"{name} is {status.value}, and not at the venue")
        return
    row = found[0]
    if status is OrderStatus.Rejected and order.order.post_only and row["status"] == "expired" and row["filled"] == "0":
        return  # OKX takes a post-only order that would trade, and ends it at once
    is_refused_stop = order.order.stop_price is not None and row["status"] == "expired" and row["filled"] == "0"
    if status is OrderStatus.Rejected and (row["status"] == "failed" or is_refused_stop):
        return  # a stop that triggered, and whose order the venue then refused
    if status is OrderStatus.Rejected:
        verdict.add("live orders marked dead", f"{name} was taken ({row['status']}, {row['filled']} filled): rejected")
    elif status.is_terminal and any(one["status"] in _OPEN for one in found):
        verdict.add("live orders marked dead", f"{name} is {status.value}, and open at the venue")
    elif status.is_terminal and len(found) == 1:
        is_filled = row["status"] == "filled"
        if (_ENDED[status] == "filled") is not is_filled or order.filled != Decimal(row["filled"]):
            verdict.add(
                "orders that ended otherwise",
                f"{name}: {status.value} with {order.filled} filled, the venue {row['status']} with {row['filled']}",
            )


def _judge_fills(
    verdict: Verdict, orders: Mapping[str, Known], account: Mapping[str, Any], stops: Mapping[str, str]
) -> None:
    true = {f"{row['symbol']}:{row['trade_id']}": row for row in account["fills"]}
    seen: Counter[str] = Counter()
    for name, order in orders.items():
        seen.update(order.ids)
        for fill_id, fill in order.fills.items():
            row = true.get(fill_id)
            if row is None:
                verdict.add("invented fills", f"{fill_id} of {name}")
                continue
            told = (name, fill.price, fill.quantity, fill.fee, fill.fee_asset)
            owner = stops.get(row["client_order_id"], row["client_order_id"])
            if told != (owner, *(Decimal(row[key]) for key in ("price", "quantity", "fee")), row["fee_asset"]):
                verdict.add("fills that differ", f"{fill_id}: {told}, the venue {row}")
    for fill_id in true:
        if not seen[fill_id]:
            verdict.add("missed fills", f"{fill_id} of {true[fill_id]['client_order_id']}")
        for _ in range(seen[fill_id] - 1):
            verdict.add("double-counted fills", fill_id)


def _judge_money(
    verdict: Verdict,
    orders: Mapping[str, Known],
    balances: Mapping[str, Mapping[str, str]],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> None:
    """What our fills lead to, and what the stream said last, against the ledger."""
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for asset, row in before["balances"].items():
        totals[asset] = Decimal(row["free"]) + Decimal(row["locked"])
    swaps = {row["symbol"]: row for row in after["positions"]}
    for order in orders.values():
        swap = swaps.get(order.order.symbol)
        base, quote = _assets(order.order.symbol)
        size = 1 if swap is None else Decimal(swap["contract_size"])
        for fill in order.fills.values():
            if swap is None:
                totals[base] += fill.side.sign * fill.quantity
            totals[quote] -= fill.side.sign * fill.quantity * size * fill.price
            totals[fill.fee_asset] -= fill.fee
    for row in after["positions"]:
        totals[row["asset"]] += Decimal(row["cost"])  # which is not paid while the position is held
    for row in after["funding"]:
        totals[row["asset"]] += Decimal(row["amount"])
    for asset, row in after["balances"].items():
        free, locked = Decimal(row["free"]), Decimal(row["locked"])
        if totals[asset] != free + locked:
            verdict.add("positions that differ", f"{asset}: {totals[asset]} by our fills, {free + locked} there")
        told = balances.get(asset, {"free": "0", "locked": "0"})
        if (Decimal(told["free"]), Decimal(told["locked"])) != (free, locked):
            verdict.add("balances that differ", f"{asset}: told {dict(told)}, the venue {dict(row)}")


def _judge_positions(
    verdict: Verdict, orders: Mapping[str, Known], told: Mapping[str, str], after: Mapping[str, Any]
) -> None:
    """Of swaps, what our fills lead to and what the adapter said at last, in base units, against the ledger."""
    ours: dict[str, Decimal] = defaultdict(Decimal)
    true: dict[str, Decimal] = defaultdict(Decimal)
    for row in after["positions"]:
        true[row["symbol"]] += Decimal(row["quantity"]) * Decimal(row["contract_size"])
        ours[row["symbol"]] = Decimal(0)
    sizes = {row["symbol"]: Decimal(row["contract_size"]) for row in after["positions"]}
    for order in orders.values():
        for fill in order.fills.values():
            if fill.symbol in sizes:
                ours[fill.symbol] += fill.side.sign * fill.quantity * sizes[fill.symbol]
    for symbol, quantity in true.items():
        if not ours[symbol] == quantity == Decimal(told.get(symbol, "0")):
            verdict.add(
                "positions that differ",
                f"{symbol}: {ours[symbol]} by our fills, told {told.get(symbol)}, {quantity} there",
            )


def _assets(symbol: str) -> tuple[str, str]:
    base, dash, quote = symbol.removesuffix("-SWAP").partition("-")
    return (base, quote) if dash else (symbol.removesuffix("USDT"), "USDT")


def quantile(values: Iterable[float], part: float) -> float | None:
    """The smallest value that `part` of all do not exceed; None of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else None
