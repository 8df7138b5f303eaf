"""The metrics of one process: cheap to record on the loop thread, read when Prometheus scrapes."""

from __future__ import annotations

import logging
import math
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from axon_quant.clock import NANOSECONDS, LiveClock
from axon_quant.errors import MetricsError
from axon_quant.events import Event, ModelIdentity
from axon_quant.metrics import names
from axon_quant.metrics.cells import BOUNDS, Durations, Labels, Series, Source, add
from axon_quant.metrics.drawdown import Drawdown
from axon_quant.metrics.handlers import HANDLERS
from axon_quant.metrics.latency import LatencyWindow
from axon_quant.metrics.names import Kind, Metric
from axon_quant.metrics.server import MetricsServer, Readiness
from axon_quant.orders.types import Side

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

    from axon_quant.metrics.exposition import Exposition

ORDER_OPERATIONS: Final = frozenset({"place_order", "cancel_order", "replace_order"})
"""The operations behind `trading_order_latency_seconds`."""

RISK_STATES: Final = ("ACTIVE", "REDUCING", "HALTED")
_SIDES: Final = frozenset({"buy", "sell"})
_OPERATIONS_LIMIT: Final = 64
_ROTATE_SECONDS: Final = 60.0
_logger = logging.getLogger(__name__)


class MetricsCollector:
    """Counts what happens and serves it to Prometheus. Nothing it records can stop trading.

    `initial_equity` (quote currency) starts `trading_max_drawdown`; without it that metric is absent until
    `set_equity`. `order_operations` names the operations whose p99 is `trading_order_latency_seconds`. The `record_*`
    methods take about a microsecond, no lock, and are called by one thread per series. A value that is not finite or
    not in range is left out and counted in `trading_samples_dropped_total`. Create the collector after any fork.

    Raises MetricsError for an initial equity that is not positive and finite.
    """

    def __init__(
        self, initial_equity: float | Decimal | None = None, *, order_operations: frozenset[str] = ORDER_OPERATIONS
    ) -> None:
        self.series: dict[str, Series] = {
            metric.name: {} for metric in names.METRICS if metric.kind is not Kind.Histogram
        }
        self.durations: dict[str, Durations] = {}
        self.latencies: dict[str, LatencyWindow] = {}
        self.drawdown = Drawdown(None if initial_equity is None else float(initial_equity))
        self.models: dict[str, ModelIdentity] = {}
        self.config_sha256 = ""
        self.schema_sha256 = ""
        self._order_operations = order_operations
        self._order_window = LatencyWindow()
        self._rotated = time.monotonic()
        self._equity_is_set = False
        self._orders: dict[tuple[str, str], list[float]] = {}
        self._messages = self.series[names.MESSAGES.name]
        self._pnl = self.series[names.PNL.name]
        self.series[names.START_TIME.name][()] = LiveClock().now() / NANOSECONDS
        self._sources: dict[str, Source] = {
            names.ORDERS.name: lambda: [(key, cell[0]) for key, cell in list(self._orders.items())],
            names.ORDER_QUANTITY.name: lambda: [(key, cell[1]) for key, cell in list(self._orders.items())],
            names.ORDER_LATENCY.name: self._read_order_latency,
            names.MODEL_INFO.name: self._read_models,
            names.EQUITY.name: lambda: [((), self.drawdown.equity)],
            names.EQUITY_PEAK.name: lambda: [((), self.drawdown.peak)],
            names.MAX_DRAWDOWN.name: lambda: [((), self.drawdown.fraction)],
        }
        self._computed = frozenset(self._sources)
        self._exposition: Exposition | None = None
        self._server: MetricsServer | None = None

    # -- the hot path

    def record_message(self, symbol: str) -> None:
        """One market message was handled."""
        try:
            self._messages[symbol] += 1
        except KeyError:
            self._messages[symbol] = 1

    def record_order(self, side: str | Side, symbol: str, quantity: float) -> None:
        """One order was sent. `side` is "buy" or "sell" (in any case) or a Side; raises MetricsError for another."""
        key: tuple[str, str] = (side, symbol)  # type: ignore[assignment]  # a Side misses and takes the branch below
        try:
            cell = self._orders[key]  # number and quantity
        except KeyError:
            cell = self._orders.setdefault((_side(side), symbol), [0, 0.0])
        cell[0] += 1
        if 0.0 < quantity < math.inf:
            cell[1] += quantity
        else:
            self._drop(names.ORDER_QUANTITY)

    def record_latency(self, operation: str, duration_ms: float) -> None:
        """One operation took `duration_ms` milliseconds."""
        if not 0.0 <= duration_ms < math.inf:
            self._drop(names.OPERATION_DURATION)
            return
        try:
            cell = self.durations[operation]
        except KeyError:
            cell = self._new_operation(operation)
        seconds = duration_ms / 1000.0
        cell.counts[bisect_left(BOUNDS, seconds)] += 1  # a bound belongs to its own bucket, as Prometheus has it
        cell.total += seconds
        window = cell.window
        if window is not None:
            window.record(int(duration_ms * 1e6))

    def record_pnl(self, pnl: float, symbol: str) -> None:
        """The profit and loss of a symbol changed by `pnl`; the equity with it, unless `set_equity` is in charge."""
        if not -math.inf < pnl < math.inf:
            self._drop(names.PNL)
            return
        try:
            self._pnl[symbol] += pnl
        except KeyError:
            self._pnl[symbol] = pnl
        if not self._equity_is_set:
            drawdown = self.drawdown
            if drawdown.equity > -math.inf:  # false for NaN: no initial equity is known
                drawdown.update(drawdown.equity + pnl)

    # -- what the runtime tells

    def on_event(self, event: Event) -> None:
        """Count one event; events that no metric is about are ignored."""
        handler = HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)

    def record_malformed(self, symbol: str) -> None:
        """One market message could not be read; `symbol` may be empty when even that is unknown."""
        add(self.series[names.MALFORMED.name], symbol)

    def record_slippage(self, symbol: str, side: str | Side, price: float, quantity: float, arrival: float) -> None:
        """A fill at `price`, whose order was placed when the mid was `arrival`: dearer or cheaper than that.

        Raises MetricsError for a side other than buy and sell.
        """
        notional = price * quantity
        if not (0.0 < notional < math.inf and 0.0 < arrival < math.inf):
            self._drop(names.SLIPPAGE)
            return
        cost = (price - arrival) * quantity
        if _side(side) == "sell":
            cost = -cost
        series = self.series[names.SLIPPAGE.name]
        add(series, (symbol, "worse"), max(cost, 0.0))
        add(series, (symbol, "better"), max(-cost, 0.0))
        add(self.series[names.FILLED_NOTIONAL.name], symbol, notional)

    def begin(self, metric: Metric, labels: Labels) -> None:
        """Let a counter exist at 0: Prometheus sees no increase in a series that begins with its first count."""
        self.series[metric.name].setdefault(labels, 0)

    def set_stream(self, stream: str, *, up: bool) -> None:
        """A stream of the venue is connected, or is not; coming back after a loss is a reconnect."""
        series = self.series[names.STREAM_UP.name]
        self.begin(names.STREAM_RECONNECTS, stream)
        if up and series.get(stream) == 0:
            add(self.series[names.STREAM_RECONNECTS.name], stream)
        series[stream] = int(up)

    def set_position(self, symbol: str, quantity: float | Decimal, exposure: float | Decimal) -> None:
        """The signed position of a symbol and its signed market value."""
        self.set_gauge(names.POSITION, float(quantity), symbol)
        self.set_gauge(names.EXPOSURE, float(exposure), symbol)

    def set_pnl(self, symbol: str, pnl: float | Decimal) -> None:
        """The profit and loss of a symbol since the start; instead of `record_pnl`."""
        self.set_gauge(names.PNL, float(pnl), symbol)

    def set_cash(self, cash: float | Decimal) -> None:
        """The cash of the account."""
        self.set_gauge(names.CASH, float(cash), ())

    def set_equity(self, equity: float | Decimal) -> None:
        """The equity of the account. From the first call on, `record_pnl` no longer moves the equity."""
        value = float(equity)
        if -math.inf < value < math.inf:
            self._equity_is_set = True
            self.drawdown.update(value)
        else:
            self._drop(names.EQUITY)

    def restore_peak(self, peak: float | Decimal) -> None:
        """The highest equity of earlier runs. Raises MetricsError unless it is positive and finite."""
        self.drawdown.restore_peak(float(peak))

    def set_journal(self, lag_seconds: float, queued: int) -> None:
        """The age of the oldest record that is not durable yet, and how many wait."""
        self.set_gauge(names.JOURNAL_LAG, lag_seconds, ())
        self.set_gauge(names.JOURNAL_QUEUE, queued, ())

    def set_risk_state(self, state: str) -> None:
        """ACTIVE, REDUCING or HALTED; another state is exported beside them as it is."""
        # a new dict, so that a scrape sees the old state or the new one and never both
        self.series[names.RISK_STATE.name] = {**dict.fromkeys(RISK_STATES, 0), state: 1}

    def set_gauge(self, metric: Metric, value: float, labels: Labels) -> None:
        """Set one series of a gauge of `names`; a value that is not finite is left out and counted."""
        if -math.inf < value < math.inf:
            self.series[metric.name][labels] = value
        else:
            self._drop(metric)

    def watch(self, metric: Metric, read: Callable[[], float | Mapping[str, float]]) -> None:
        """Read a gauge, or a counter that others keep, at scrape: a number, or numbers by the value of its one label.

        `read` runs on a server thread. When it raises, only this metric is lost for that scrape. Raises MetricsError
        for a histogram, a metric with several labels, and one that the collector works out itself.
        """
        if metric.kind is Kind.Histogram or len(metric.labels) > 1 or metric.name in self._computed:
            raise MetricsError(f"{metric.name} cannot be watched", hint="only one with at most one label can")

        def source() -> list[tuple[Labels, float]]:
            value = read()
            return list(value.items()) if isinstance(value, Mapping) else [((), value)]

        self._sources[metric.name] = source

    def watch_latency(self, operation: str, window: LatencyWindow) -> None:
        """Export a window that is never rotated as the histogram of an operation; whoever records it pays nothing."""
        self.latencies[operation] = window

    def instrument(self, meter: Meter) -> None:
        """Let an OpenTelemetry meter observe every counter and gauge as well, to export them by OTLP, say."""
        from axon_quant.metrics.otel import instrument

        instrument(self, meter)

    # -- serving

    def export_prometheus(
        self, port: int = 9100, host: str = "127.0.0.1", *, ready: Readiness | None = None
    ) -> MetricsServer:
        """Serve /metrics, /livez and /readyz from daemon threads and return at once.

        `port` 0 picks a free one; the server's `.port` tells it. `ready` answers /readyz: a mapping from the name of a
        check to None when it passes, else to why it does not. Raises MetricsError when the port cannot be bound or
        this collector serves already.
        """
        if self._server is not None:
            raise MetricsError(
                f"this collector serves port {self._server.port} already", hint="close() it before serving another"
            )
        values_itself = bool(self.series[names.RUN_INFO.name])
        if math.isnan(self.drawdown.fraction) and not values_itself:
            _logger.warning("%s is absent until set_equity: no initial equity was given", names.MAX_DRAWDOWN.name)
        self._server = MetricsServer(self.exposition, port=port, host=host, ready=ready)
        return self._server

    @property
    def server(self) -> MetricsServer | None:
        """What `export_prometheus` started, or None while nothing is served."""
        return self._server

    def render(self) -> str:
        """What a scrape would read now, in Prometheus' text format."""
        return self.exposition.render().decode()

    @property
    def exposition(self) -> Exposition:
        """The reading side, built on first use."""
        if self._exposition is None:
            from axon_quant.metrics.exposition import Exposition

            self._exposition = Exposition(self)
        return self._exposition

    def read(self, metric: Metric) -> list[tuple[Labels, float]]:
        """The finite numbers of a counter or gauge, now. Called by the exposition."""
        source = self._sources.get(metric.name)
        # list() of a dict's items is one step for other threads, so a new series cannot disturb it
        cells = list(self.series[metric.name].items()) if source is None else source()
        return [(labels, value) for labels, value in cells if -math.inf < value < math.inf]

    def close(self) -> None:
        """Stop serving and free the port. Recording goes on, and it may be exported again."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # -- cold

    def _drop(self, metric: Metric) -> None:
        add(self.series[names.SAMPLES_DROPPED.name], metric.name)

    def _new_operation(self, operation: str) -> Durations:
        if operation in self._order_operations:
            return self.durations.setdefault(operation, Durations(self._order_window))
        name = operation if len(self.durations) < _OPERATIONS_LIMIT else "other"
        return self.durations.setdefault(name, Durations())

    def _read_models(self) -> list[tuple[Labels, float]]:
        return [((model.name, str(model.number), model.sha256), 1) for model in list(self.models.values())]

    def _read_order_latency(self) -> list[tuple[Labels, float]]:
        """Too few samples to claim a p99 still make an alert: the estimate is then the slowest of them.

        A window without new samples is kept, so a rare order that was slow stays visible until the next one.
        """
        window = self._order_window
        seconds = window.estimate(0.99) / NANOSECONDS
        if time.monotonic() - self._rotated >= _ROTATE_SECONDS and window.fresh:
            window.rotate()
            self._rotated = time.monotonic()
        return [((), seconds)]


def _side(side: str | Side) -> str:
    name = side.value if isinstance(side, Side) else side.lower()
    if name not in _SIDES:
        raise MetricsError(f"an order's side is buy or sell, got {side!r}")
    return name
