"""Which cells an event moves: one function per event type, found by the type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from axon_quant import events
from axon_quant.metrics import names
from axon_quant.metrics.cells import Series, add
from axon_quant.orders.types import OrderStatus

if TYPE_CHECKING:
    from axon_quant.metrics.collector import MetricsCollector


ROLLOUT_STATES: Final = ("running", "paused", "probation", "promoted", "rolled-back")


def _run_started(collector: MetricsCollector, event: events.RunStarted) -> None:
    collector.config_sha256 = event.config_sha256
    collector.schema_sha256 = event.schema_sha256
    collector.models.update({model.name: model for model in event.models})
    for model in event.models:
        for outcome in ("loaded", "refused"):
            collector.begin(names.MODEL_RELOADS, (model.name, outcome))
    collector.begin(names.REJECTS, "venue")
    collector.series[names.RUN_INFO.name] = {(event.mode, event.config_sha256, event.schema_sha256): 1}
    if not collector.series[names.RISK_STATE.name]:
        collector.set_risk_state("ACTIVE")


def _book_gap(collector: MetricsCollector, event: events.BookGap) -> None:
    add(collector.series[names.GAPS.name], event.symbol)
    collector.series[names.BOOK_WHOLE.name][event.symbol] = 0


def _book_whole(collector: MetricsCollector, event: events.BookWhole) -> None:
    collector.series[names.BOOK_WHOLE.name][event.symbol] = 1


def _window_reset(collector: MetricsCollector, event: events.WindowReset) -> None:
    add(collector.series[names.WINDOW_RESETS.name], event.symbol)


def _feature_row(collector: MetricsCollector, event: events.FeatureRow) -> None:
    add(collector.series[names.FEATURE_ROWS.name], event.symbol)


def _decision(collector: MetricsCollector, event: events.Decision) -> None:
    add(collector.series[names.DECISIONS.name], (event.symbol, event.action))


def _model_loaded(collector: MetricsCollector, event: events.ModelLoaded) -> None:
    collector.models[event.model.name] = event.model
    add(collector.series[names.MODEL_RELOADS.name], (event.model.name, "loaded"))


def _model_refused(collector: MetricsCollector, event: events.ModelRefused) -> None:
    add(collector.series[names.MODEL_RELOADS.name], (event.name, "refused"))


def _member_failed(collector: MetricsCollector, event: events.MemberFailed) -> None:
    add(collector.series[names.MEMBER_FAILURES.name], event.member)


def _member_drifted(collector: MetricsCollector, event: events.MemberDrifted) -> None:
    add(collector.series[names.MEMBER_DRIFTS.name], (event.member, event.stream))


def _weights_changed(collector: MetricsCollector, event: events.WeightsChanged) -> None:
    collector.series[names.ENSEMBLE_WEIGHT.name] = dict(zip(event.members, event.weights, strict=True))


def _order_refused(collector: MetricsCollector, event: events.OrderRefused) -> None:
    for reject in event.rejects:
        add(collector.series[names.REJECTS.name], reject.control)


def _order_placed(collector: MetricsCollector, event: events.OrderPlaced) -> None:
    order = event.order
    collector.record_order(order.side.value, order.symbol, float(order.quantity))


def _cancel_requested(collector: MetricsCollector, event: events.CancelRequested) -> None:
    add(collector.series[names.CANCELS.name], event.symbol)


def _order_updated(collector: MetricsCollector, event: events.OrderUpdated) -> None:
    update = event.update
    add(collector.series[names.ORDER_UPDATES.name], update.status.value)
    if update.status is OrderStatus.Rejected:
        add(collector.series[names.REJECTS.name], "venue")
    fill = update.fill
    if fill is not None:
        key = (fill.side.value, fill.symbol)
        add(collector.series[names.FILLS.name], key)
        add(collector.series[names.FILLED_QUANTITY.name], key, float(fill.quantity))


def _stream_changed(collector: MetricsCollector, event: events.StreamChanged) -> None:
    collector.set_stream(event.stream, up=event.up)


def _risk_state_changed(collector: MetricsCollector, event: events.RiskStateChanged) -> None:
    collector.set_risk_state(event.state)


def _operator_acted(collector: MetricsCollector, event: events.OperatorActed) -> None:
    add(collector.series[names.OPERATOR_ACTIONS.name], event.action)


def _rollout_changed(collector: MetricsCollector, event: events.RolloutChanged) -> None:
    series, model = collector.series, event.model
    others = {key: value for key, value in series[names.ROLLOUT_STATE.name].items() if key[0] != model}
    states: Series = {(model, state): int(state == event.state) for state in ROLLOUT_STATES}
    # a new dict, so that a scrape sees the old state or the new one and never both
    series[names.ROLLOUT_STATE.name] = {**others, **states}
    series[names.ROLLOUT_SHARE.name][model] = event.share


def _rollout_judged(collector: MetricsCollector, event: events.RolloutJudged) -> None:
    series, model = collector.series, event.model
    add(series[names.ROLLOUT_WINDOWS.name], (model, event.verdict))
    add(series[names.ROLLOUT_ERRORS.name], model, event.errors)
    add(series[names.ROLLOUT_DROPPED.name], model, event.dropped)
    if event.compared:
        series[names.ROLLOUT_DISAGREEMENT.name][model] = event.disagreed / event.compared


HANDLERS: Final[Mapping[type[events.Event], Callable[[MetricsCollector, Any], None]]] = MappingProxyType(
    {
        events.RunStarted: _run_started,
        events.BookGap: _book_gap,
        events.BookWhole: _book_whole,
        events.WindowReset: _window_reset,
        events.FeatureRow: _feature_row,
        events.Decision: _decision,
        events.ModelLoaded: _model_loaded,
        events.ModelRefused: _model_refused,
        events.MemberFailed: _member_failed,
        events.MemberDrifted: _member_drifted,
        events.WeightsChanged: _weights_changed,
        events.OrderRefused: _order_refused,
        events.OrderPlaced: _order_placed,
        events.CancelRequested: _cancel_requested,
        events.OrderUpdated: _order_updated,
        events.StreamChanged: _stream_changed,
        events.RiskStateChanged: _risk_state_changed,
        events.OperatorActed: _operator_acted,
        events.RolloutChanged: _rollout_changed,
        events.RolloutJudged: _rollout_judged,
    }
)
"""What to do with each event type; a type that is missing has no metric."""
