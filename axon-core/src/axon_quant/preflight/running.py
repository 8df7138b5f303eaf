"""Checks of a run that is going: does it trade, quickly enough, without errors, and with what result?"""

from __future__ import annotations

from decimal import Decimal

from axon_quant.metrics.collector import ORDER_OPERATIONS
from axon_quant.metrics.latency import samples_needed
from axon_quant.preflight.facts import Facts, Unanswered
from axon_quant.preflight.rows import Finding, failed, passed, unknown
from axon_quant.preflight.scraping import Scrape

MOST_REJECTS = 0.05
"""Share of the orders that risk or the venue refused."""
_LEAST_ORDERS = 20
_STALE = 30.0
_LATER = "look again later"
_LATENCY = "trading_order_latency_seconds"


def state(facts: Facts) -> Finding:
    """Does the run trade, with this configuration, a fresh market and a journal that can be written?"""
    run = facts.running
    wrong = []
    if run["state"] != "active":
        wrong.append(f"it is {run['state']}: {run.get('reason') or 'not ready yet'}")
    if run.get("journal_failed"):
        wrong.append(f"the journal has failed: {run['journal_failed']}")
    if "config_sha256" in run and run["config_sha256"] != facts.config.sha256:
        wrong.append(f"it runs another configuration, sha256 {str(run['config_sha256'])[:12]}")
    ages = run.get("market_age_s")
    for symbol, age in ages.items() if isinstance(ages, dict) else ():
        if age is None or not age <= _STALE:
            wrong.append(f"{symbol}: {'no market data yet' if age is None else f'no market data for {age:g} s'}")
    if wrong:
        return failed("; ".join(wrong), "see docs/runbook.md; axon status shows more")
    return passed(f"process {run['pid']} is active, and its market is fresh")


def latency(facts: Facts) -> Finding:
    """Is the p99 of the order path within the SLA?"""
    facts.running  # noqa: B018 - raises without a run
    sla = facts.config.operations.latency_sla_ms
    if facts.scrape is None:
        raise Unanswered("the run's metrics cannot be scraped", "see the row metrics")
    return judge_latency(facts.scrape, sla)


def judge_latency(found: Scrape, sla: float) -> Finding:
    """Is what the endpoint says within `sla` ms? The gauge has a value from the first order on: that is no p99 yet."""
    samples, needed = found.samples.get(_LATENCY), samples_needed(0.99)
    orders = sum(found.operations.get(name, 0) for name in ORDER_OPERATIONS)
    if not samples:
        return unknown(f"insufficient data: a p99 needs {needed} orders and cancels, there were none", _LATER)
    told = f"p99 of the order path {samples[0] * 1e3:.1f} ms, SLA {sla:g} ms, {orders:,} orders and cancels so far"
    if not samples[0] * 1e3 <= sla:
        return failed(told, "see docs/runbook.md, HighLatency")
    if orders < needed:
        return unknown(f"insufficient data: {told}, and a p99 needs {needed}", _LATER)
    return passed(told)


def errors(facts: Facts) -> Finding:
    """How many orders are refused?"""
    run = facts.running
    orders, rejects = _count(run, "orders"), _count(run, "rejects")
    if orders + rejects < _LEAST_ORDERS:
        return unknown(f"insufficient data: {orders} orders and {rejects} rejects so far", _LATER)
    told = f"{rejects} of {orders + rejects} orders refused"
    if rejects / (orders + rejects) > MOST_REJECTS:
        return failed(f"{told}, more than {MOST_REJECTS:.0%}", "trading_rejects_total says by which control")
    return passed(told)


def pnl(facts: Facts) -> Finding:
    """What has it earned and what does it hold, within the daily loss that risk allows?"""
    run = facts.running
    if "pnl" not in run:
        raise Unanswered("the run is still starting", _LATER)
    gained, equity = Decimal(str(run["pnl"])), Decimal(str(run["equity"]))
    positions = run.get("positions")
    held = (
        ", ".join(f"{symbol} {_plain(Decimal(str(size)))}" for symbol, size in positions.items())
        if isinstance(positions, dict)
        else "-"
    )
    told = f"PnL {_plain(gained)}, equity {_plain(equity)}, positions {held}"
    allowed = facts.config.risk.max_daily_loss
    start = equity - gained
    if not -gained <= Decimal(str(allowed)) * start:
        return failed(f"{told}: a loss of more than {allowed}", "axon halt, then find out why")
    return passed(told)


def _plain(value: Decimal) -> str:
    return format(value.normalize(), "f")


def _count(run: dict[str, object], name: str) -> int:
    found = run.get(name)
    return found if isinstance(found, int) else 0
