"""Every metric axon exports: name, kind, labels and help. A test compares this file with a real scrape, both ways.

Names start with `trading_`, counters end with `_total`, and a name with a unit ends with it (`_seconds`, never
milliseconds). Money has no unit: it is in the account's quote currency. `symbol` never stands on a histogram, because
1000 symbols would make a scrape that stalls the loop.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from msgspec import Struct


class Kind(Enum):
    """What Prometheus calls the type."""

    Counter = "counter"
    Gauge = "gauge"
    Histogram = "histogram"


class Metric(Struct, frozen=True):
    """One exported metric; `labels` in the order in which the cells' keys hold their values."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str


def _counter(name: str, labels: tuple[str, ...], text: str) -> Metric:
    return Metric(name, Kind.Counter, labels, text)


def _gauge(name: str, labels: tuple[str, ...], text: str) -> Metric:
    return Metric(name, Kind.Gauge, labels, text)


MESSAGES: Final = _counter("trading_messages_total", ("symbol",), "Market messages handled.")
MALFORMED: Final = _counter("trading_malformed_messages_total", ("symbol",), "Market messages that could not be read.")
MARKET_AGE: Final = _gauge(
    "trading_market_age_seconds", ("symbol",), "Time since the last market message of a symbol was received."
)
GAPS: Final = _counter("trading_book_gaps_total", ("symbol",), "Times a book lost updates or crossed.")
BOOK_WHOLE: Final = _gauge("trading_book_whole", ("symbol",), "1 while the book is whole, 0 after a gap.")
FEATURE_ROWS: Final = _counter("trading_feature_rows_total", ("symbol",), "Feature rows built.")
WINDOW_RESETS: Final = _counter(
    "trading_window_resets_total", ("symbol",), "Observation windows emptied because market data was missing."
)

DECISIONS: Final = _counter("trading_decisions_total", ("symbol", "action"), "Decisions of the model, by action.")
MODEL_INFO: Final = _gauge("trading_model_info", ("model", "version", "sha256"), "1 for each model that serves.")
MODEL_RELOADS: Final = _counter(
    "trading_model_reloads_total", ("model", "outcome"), "Model versions that were loaded or refused."
)
ENSEMBLE_WEIGHT: Final = _gauge("trading_ensemble_weight", ("member",), "Weight of an ensemble member.")
MEMBER_ACTIVE: Final = _gauge(
    "trading_member_active", ("member",), "1 while an ensemble member takes part, 0 while it is deactivated."
)
MEMBER_FAILURES: Final = _counter(
    "trading_member_failures_total", ("member",), "Times an ensemble member was left out of a decision."
)
MEMBER_DRIFTS: Final = _counter(
    "trading_member_drifts_total", ("member", "stream"), "Times a detector found that an ensemble member drifts."
)

ROLLOUT_STATE: Final = _gauge(
    "trading_rollout_state", ("model", "state"), "1 for the state the rollout of a model is in, 0 for the others."
)
ROLLOUT_SHARE: Final = _gauge(
    "trading_rollout_share_ratio", ("model",), "Share of the keys that the candidate of a model decides for."
)
ROLLOUT_WINDOWS: Final = _counter(
    "trading_rollout_windows_total", ("model", "verdict"), "Windows of a rollout that were judged."
)
ROLLOUT_ERRORS: Final = _counter(
    "trading_rollout_errors_total", ("model",), "Answers that a candidate failed to give, in the windows judged."
)
ROLLOUT_DROPPED: Final = _counter(
    "trading_rollout_dropped_total",
    ("model",),
    "Observations that found the shadow's queue full, in the windows judged.",
)
ROLLOUT_DISAGREEMENT: Final = _gauge(
    "trading_rollout_disagreement_ratio",
    ("model",),
    "Share of comparisons in which candidate and stable model chose different actions, in the last window.",
)
ROLLOUT_QUEUE: Final = _gauge(
    "trading_rollout_queue_observations", ("model",), "Observations that wait to be compared in the shadow."
)

ORDERS: Final = _counter("trading_orders_total", ("side", "symbol"), "Orders sent.")
ORDER_QUANTITY: Final = _counter("trading_order_quantity_total", ("side", "symbol"), "Quantity of the orders sent.")
CANCELS: Final = _counter("trading_cancels_total", ("symbol",), "Cancels sent.")
ORDER_UPDATES: Final = _counter("trading_order_updates_total", ("status",), "Order updates from the venue, by status.")
FILLS: Final = _counter("trading_fills_total", ("side", "symbol"), "Fills.")
FILLED_QUANTITY: Final = _counter("trading_filled_quantity_total", ("side", "symbol"), "Quantity filled.")
FILLED_NOTIONAL: Final = _counter(
    "trading_filled_notional_total", ("symbol",), "Value of the fills whose arrival price is known."
)
SLIPPAGE: Final = _counter(
    "trading_slippage_total",
    ("symbol", "direction"),
    "Value lost (direction=worse) or gained (direction=better) by fills against the mid when the order was placed.",
)
OPEN_ORDERS: Final = _gauge("trading_open_orders", ("symbol",), "Orders that are open.")
UNRESOLVED_ORDERS: Final = _gauge(
    "trading_unresolved_orders", (), "Orders of which it is not known whether the venue has them."
)
REJECTS: Final = _counter(
    "trading_rejects_total", ("control",), "Refusals of orders by risk control; control=venue when the venue refused."
)
OPERATOR_ACTIONS: Final = _counter(
    "trading_operator_actions_total", ("action",), "Times a human, or a watchdog of theirs, took hold of the run."
)
RISK_STATE: Final = _gauge("trading_risk_state", ("state",), "1 for the state the risk engine is in, 0 for the others.")

STREAM_UP: Final = _gauge("trading_stream_up", ("stream",), "1 while a stream of the venue is connected, 0 while not.")
STREAM_RECONNECTS: Final = _counter(
    "trading_stream_reconnects_total", ("stream",), "Times a stream of the venue came back after it was lost."
)
STREAM_QUEUE: Final = _gauge("trading_stream_queue_events", (), "Events from the venue that wait to be handled.")
REQUESTS_IN_FLIGHT: Final = _gauge("trading_requests_in_flight", (), "Orders and cancels on their way to the venue.")
RATE_BUDGET: Final = _gauge(
    "trading_rate_budget_left_ratio",
    ("limit",),
    "Share of a rate limit that is left to all but cancels, which have a reserve.",
)
RATE_PENALTY: Final = _gauge("trading_rate_penalty_seconds", (), "How long the venue still wants no request.")

POSITION: Final = _gauge("trading_position", ("symbol",), "Signed position in units of the base asset.")
EXPOSURE: Final = _gauge("trading_exposure", ("symbol",), "Signed market value of the position.")
PNL: Final = _gauge("trading_pnl", ("symbol",), "Profit and loss since the start, by symbol; of a run before fees.")
FEES: Final = _gauge("trading_fees", (), "Fees since the start.")
DAY_PNL: Final = _gauge("trading_day_pnl", (), "Profit and loss since the UTC day began, after fees.")
CASH: Final = _gauge("trading_cash", (), "Cash of the account.")
EQUITY: Final = _gauge("trading_equity", (), "Equity of the account.")
EQUITY_PEAK: Final = _gauge("trading_equity_peak", (), "Highest equity so far, across restarts when restored.")
MAX_DRAWDOWN: Final = _gauge(
    "trading_max_drawdown", (), "Drawdown of the equity from its peak, as a positive fraction of the peak."
)

ORDER_LATENCY: Final = _gauge(
    "trading_order_latency_seconds",
    (),
    "99th percentile of the order-path operations over the last one to two minutes.",
)
OPERATION_DURATION: Final = Metric(
    "trading_operation_duration_seconds", Kind.Histogram, ("operation",), "Duration of every timed operation."
)
JOURNAL_LAG: Final = _gauge("trading_journal_lag_seconds", (), "Age of the oldest record that is not durable yet.")
JOURNAL_QUEUE: Final = _gauge("trading_journal_queue_records", (), "Records waiting to become durable.")
JOURNAL_FAILED: Final = _gauge("trading_journal_failed", (), "1 once the journal has failed and no order is sent.")
LOOP_LAG: Final = _gauge("trading_loop_lag_seconds", (), "Time since the thread that trades last looked at the clock.")

RUN_INFO: Final = _gauge(
    "trading_run_info", ("mode", "config_sha256", "schema_sha256"), "1 for the run: its configuration and features."
)
START_TIME: Final = _gauge("trading_start_time_seconds", (), "When the collector was made, in seconds since 1970.")
SAMPLES_DROPPED: Final = _counter(
    "trading_samples_dropped_total", ("metric",), "Values that were not finite or not in range and were left out."
)
SCRAPE_FAILURES: Final = _counter(
    "trading_scrape_failures_total", ("metric",), "Scrapes that lost a metric because reading it raised."
)

METRICS: Final[tuple[Metric, ...]] = tuple(value for value in dict(globals()).values() if isinstance(value, Metric))
"""All of the above, in order."""
