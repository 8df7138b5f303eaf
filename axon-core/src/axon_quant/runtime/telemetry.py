"""What the metrics endpoint tells of a run beyond its events: read when Prometheus scrapes, not on the hot path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from axon_quant.clock import NANOSECONDS
from axon_quant.exchange import Capability
from axon_quant.metrics import Metric, MetricsCollector, names
from axon_quant.orders import OrderStatus
from axon_quant.risk import RiskState

if TYPE_CHECKING:
    from axon_quant.exchange import EventStream, ExchangeAdapter
    from axon_quant.runtime.wiring import Pipeline


def watch(built: Pipeline) -> None:
    """Let the collector read account, weights and journal at each scrape. All of it is safe from another thread."""
    metrics, engine, portfolio = built.metrics, built.engine, built.portfolio
    symbols = tuple(engine.lanes)

    def positions() -> Mapping[str, float]:
        return {symbol: float(portfolio.position(symbol)) for symbol in symbols}

    def exposures() -> Mapping[str, float]:
        return {symbol: float(portfolio.position(symbol)) * engine.lanes[symbol].price for symbol in symbols}

    built.peak.on_equity(portfolio.equity)
    for symbol in symbols:
        metrics.begin(names.GAPS, symbol)
        metrics.begin(names.WINDOW_RESETS, symbol)
    for stage, window in built.stages.windows.items():
        metrics.watch_latency(stage, window)
    metrics.watch(names.MESSAGES, lambda: {symbol: lane.messages for symbol, lane in engine.lanes.items()})
    metrics.watch(names.POSITION, positions)
    metrics.watch(names.EXPOSURE, exposures)
    metrics.watch(names.PNL, lambda: {symbol: float(portfolio.symbol_pnl(symbol)) for symbol in symbols})
    metrics.watch(names.FEES, lambda: float(portfolio.fees))
    metrics.watch(names.DAY_PNL, lambda: metrics.drawdown.equity - float(portfolio.day_equity))
    metrics.watch(names.CASH, lambda: float(portfolio.cash(portfolio.quote_asset)))
    metrics.watch(names.OPEN_ORDERS, lambda: _open_orders(built))
    metrics.watch(names.ENSEMBLE_WEIGHT, lambda: dict(zip(built.ensemble.names, built.ensemble.weights, strict=True)))
    metrics.watch(names.MEMBER_ACTIVE, lambda: dict(zip(built.ensemble.names, built.ensemble.active, strict=True)))
    metrics.watch(names.JOURNAL_LAG, lambda: built.journal.lag_seconds)
    metrics.watch(names.JOURNAL_QUEUE, lambda: float(built.journal.lag))
    metrics.watch(names.JOURNAL_FAILED, lambda: float(built.journal.failed is not None))
    metrics.watch(names.MARKET_AGE, _market_ages(built, lambda: built.clock.time))
    rollout = built.rollout
    if rollout is not None:
        model = rollout.status.model
        metrics.watch(names.ROLLOUT_QUEUE, lambda: {model: float(rollout.shadow.waiting)})


def watch_venue(built: Pipeline, adapter: ExchangeAdapter, stream: EventStream, *, own_time: bool) -> None:
    """Let the collector read what only a venue outside the process has: streams, queues and the rate budget.

    With `own_time` the market arrives as it happens, and ages on the adapter's clock: should the thread that trades
    hang, it ages on. A feed brings its own time.
    """
    metrics, router, clock = built.metrics, built.engine.router, adapter.clock
    if Capability.AccountStream in adapter.capabilities:
        metrics.set_stream("account", up=True)  # `connect` has waited for it
    metrics.watch(names.UNRESOLVED_ORDERS, lambda: _unresolved(adapter))
    metrics.watch(names.STREAM_QUEUE, lambda: float(stream.waiting))
    metrics.watch(names.REQUESTS_IN_FLIGHT, lambda: float(getattr(router, "in_flight", 0)))
    metrics.watch(names.RATE_BUDGET, adapter.budget.left)
    metrics.watch(names.RATE_PENALTY, lambda: adapter.budget.closed_for)
    if own_time:
        metrics.watch(names.MARKET_AGE, _market_ages(built, clock.now))
        metrics.watch(names.LOOP_LAG, lambda: max(0.0, (clock.now() - built.clock.time) / NANOSECONDS))


def _market_ages(built: Pipeline, now: Callable[[], int]) -> Callable[[], Mapping[str, float]]:
    """Per symbol; one that was never heard of ages from here."""
    began = now()

    def ages() -> Mapping[str, float]:
        at = now()
        since = {symbol: lane.received or began for symbol, lane in built.engine.lanes.items()}
        return {symbol: max(0.0, (at - heard) / NANOSECONDS) for symbol, heard in since.items() if heard}

    return ages


def _open_orders(built: Pipeline) -> Mapping[str, float]:
    counts = Counter(state.order.symbol for state in list(built.engine.tracker.open.values()))
    return {symbol: float(counts[symbol]) for symbol in built.engine.lanes}


def _unresolved(adapter: ExchangeAdapter) -> float:
    states = list(adapter.orders.open.values())
    return float(sum(state.status is OrderStatus.Unknown for state in states))


def facts(metrics: MetricsCollector) -> dict[str, object]:
    """What a person wants to read of a run beyond its counts, as JSON holds it; None or empty where it is not known."""

    def one(metric: Metric) -> float | None:
        return next((value for _, value in metrics.read(metric)), None)

    def by_label(metric: Metric) -> dict[str, float]:
        return {labels: value for labels, value in metrics.read(metric) if isinstance(labels, str)}

    latency, notional = one(names.ORDER_LATENCY), by_label(names.FILLED_NOTIONAL)
    slipped = dict(metrics.read(names.SLIPPAGE))

    def cost(symbol: str) -> float:
        return slipped.get((symbol, "worse"), 0.0) - slipped.get((symbol, "better"), 0.0)

    return {
        "equity_peak": one(names.EQUITY_PEAK),
        "drawdown": one(names.MAX_DRAWDOWN),
        "day_pnl": one(names.DAY_PNL),
        "slippage_bp": {symbol: round(cost(symbol) / value * 1e4, 2) for symbol, value in notional.items()},
        "order_latency_p99_ms": None if latency is None else round(latency * 1e3, 3),
        "rejects_by_control": {control: int(count) for control, count in by_label(names.REJECTS).items() if count},
        "weights": by_label(names.ENSEMBLE_WEIGHT),
        "inactive_members": [member for member, active in by_label(names.MEMBER_ACTIVE).items() if not active],
        "streams": {stream: bool(up) for stream, up in by_label(names.STREAM_UP).items()},
        "reconnects": {stream: int(count) for stream, count in by_label(names.STREAM_RECONNECTS).items()},
        "gaps": {symbol: int(count) for symbol, count in by_label(names.GAPS).items()},
        "rate_budget_left": {limit: round(left, 3) for limit, left in by_label(names.RATE_BUDGET).items()},
        "unresolved_orders": one(names.UNRESOLVED_ORDERS),
        "journal_lag_s": one(names.JOURNAL_LAG),
    }


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
