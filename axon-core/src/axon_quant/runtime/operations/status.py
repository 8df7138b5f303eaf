"""The facts of a running process, as `axon status` shows them: plain values that JSON holds."""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING

from axon_quant.clock import NANOSECONDS
from axon_quant.runtime.summary import money
from axon_quant.runtime.telemetry import facts

if TYPE_CHECKING:
    from axon_quant.runtime.live import Live


def status(live: Live) -> dict[str, object]:
    """What a live run is doing now; `state` is `starting` until it knows its account."""
    built = live.built
    if built is None:
        return {"pid": os.getpid(), "state": "starting"}
    engine, portfolio, risk, now = built.engine, built.portfolio, built.risk, built.clock.time
    operations = live.operations
    seen = None if operations is None else operations.watchdog_seen
    return {
        "pid": os.getpid(),
        "run": built.info.number,
        "mode": built.mode,
        "state": risk.state.value,
        "reason": risk.reason,
        "suspended": sorted(risk.suspended),
        "venue": built.config.exchange.name,
        "config_sha256": built.config.sha256,
        "models": {backend.model.identity.name: backend.model.identity.sha256 for backend in built.backends},
        "messages": engine.messages,
        "decisions": engine.decisions,
        "orders": engine.orders,
        "open_orders": len(engine.tracker.open),
        "fills": engine.fills,
        "cancels": engine.cancels,
        "rejects": engine.rejects,
        "equity": money(portfolio.equity),
        "pnl": money(portfolio.pnl),
        "positions": {symbol: money(portfolio.position(symbol)) for symbol in engine.lanes},
        "market_age_s": {
            symbol: round((now - lane.received) / NANOSECONDS, 3) if lane.received else None
            for symbol, lane in engine.lanes.items()
        },
        "watchdog_seen_s": None if seen is None else round(monotonic() - seen, 3),
        "journal": str(built.journal.path),
        "journal_lag": built.journal.lag,
        **facts(built.metrics),
        "journal_failed": None if built.journal.failed is None else str(built.journal.failed),
    }
