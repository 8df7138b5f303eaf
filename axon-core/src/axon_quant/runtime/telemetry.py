"""What the metrics endpoint tells of a run beyond its events: read when Prometheus scrapes, not on the hot path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from axon_quant.metrics import names
from axon_quant.risk import RiskState

if TYPE_CHECKING:
    from axon_quant.runtime.wiring import Pipeline


def watch(built: Pipeline) -> None:
    """Let the collector read account, weights and journal at each scrape. All of it is safe from another thread."""
    metrics, engine, portfolio = built.metrics, built.engine, built.portfolio
    symbols = tuple(engine.lanes)

    def positions() -> Mapping[str, float]:
        return {symbol: float(portfolio.position(symbol)) for symbol in symbols}

    def exposures() -> Mapping[str, float]:
        return {symbol: float(portfolio.position(symbol)) * engine.lanes[symbol].price for symbol in symbols}

    metrics.set_equity(portfolio.equity)
    metrics.watch(names.POSITION, positions)
    metrics.watch(names.EXPOSURE, exposures)
    metrics.watch(names.CASH, lambda: float(portfolio.cash(portfolio.quote_asset)))
    metrics.watch(names.ENSEMBLE_WEIGHT, lambda: dict(zip(built.ensemble.names, built.ensemble.weights, strict=True)))
    metrics.watch(names.JOURNAL_QUEUE, lambda: float(built.journal.lag))
    rollout = built.rollout
    if rollout is not None:
        model = rollout.status.model
        metrics.watch(names.ROLLOUT_QUEUE, lambda: {model: float(rollout.shadow.waiting)})


def readiness(built: Pipeline) -> Mapping[str, str | None]:
    """The checks behind /readyz: None where one passes, else why it does not."""
    engine = built.engine
    failed = built.journal.failed
    silent = [symbol for symbol, lane in engine.lanes.items() if lane.asleep]
    return {
        "journal": None if failed is None else str(failed),
        "market": f"nothing is received for {', '.join(silent)}" if silent else None,
        "risk": built.risk.reason or "halted" if built.risk.state is RiskState.HALTED else None,
    }
