"""The reading side: OpenTelemetry's observable instruments over the collector's cells, on a registry of their own.

OpenTelemetry has no observable histogram, so the histogram stands on the same registry as a collector of the
Prometheus client.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from threading import Lock
from typing import TYPE_CHECKING, Final, TypeVar

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider, ObservableCounter, ObservableGauge
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from axon_quant.metrics import names
from axon_quant.metrics.cells import BOUNDS, Labels, add
from axon_quant.metrics.names import Kind, Metric

if TYPE_CHECKING:
    from axon_quant.metrics.collector import MetricsCollector

SERIES_LIMIT: Final = 100_000
"""Attribute sets per metric; the SDK's own 2000 would fold the rest of them into one overflow series."""

FRESH_SECONDS: Final = 15.0
_Read = TypeVar("_Read")
_logger = logging.getLogger(__name__)


class Exposition:
    """Renders one collector's metrics. A metric whose reading raises is lost for that scrape, logged once, counted."""

    def __init__(self, collector: MetricsCollector) -> None:
        self.collector = collector
        self._lock = Lock()
        self._failed: set[str] = set()
        self._checked = -FRESH_SECONDS
        self._problem: str | None = None
        self._registry = CollectorRegistry()
        reader = PrometheusMetricReader(
            disable_target_info=True,
            scope_info_enabled=False,
            registry=self._registry,
            cardinality_limits={ObservableCounter: SERIES_LIMIT, ObservableGauge: SERIES_LIMIT},
        )
        self._provider = MeterProvider(
            metric_readers=[reader],
            resource=Resource.get_empty(),
            exemplar_filter=AlwaysOffExemplarFilter(),
            shutdown_on_exit=False,
        )
        meter = self._provider.get_meter("axon_quant")
        for metric in names.METRICS:
            if metric.kind is Kind.Counter:
                meter.create_observable_counter(metric.name, [self._callback(metric)], description=metric.help)
            elif metric.kind is Kind.Gauge:
                meter.create_observable_gauge(metric.name, [self._callback(metric)], description=metric.help)
        self._registry.register(_Histogram(self))

    def render(self, accept: str) -> tuple[bytes, str]:
        """The body and content type of a scrape, in the format that the Accept header asks for."""
        encode, content_type = choose_encoder(accept)
        with self._lock:
            body: bytes = encode(self._registry)
            self._problem = None if _has(body, names.START_TIME) else "the endpoint has lost its OpenTelemetry metrics"
            self._checked = time.monotonic()
        return body, content_type

    def problem(self) -> str | None:
        """What is wrong with the last scrape, or None. Scrapes itself when nobody did for a while."""
        if time.monotonic() - self._checked >= FRESH_SECONDS:
            self.render("")
        return self._problem if self._problem is None else f"{self._problem}: is OTEL_SDK_DISABLED set?"

    def close(self) -> None:
        """Let go of the provider, after the scrape in progress."""
        with self._lock:
            self._provider.shutdown()

    def _callback(self, metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
        attributes: dict[Labels, dict[str, str]] = {}

        def pairs(labels: Labels) -> dict[str, str]:
            values = (labels,) if isinstance(labels, str) else labels
            return attributes.setdefault(labels, dict(zip(metric.labels, values, strict=True)))

        def observe() -> list[Observation]:
            cells = self.collector.read(metric)
            return [Observation(value, attributes.get(labels) or pairs(labels)) for labels, value in cells]

        return lambda _: self.guarded(metric, observe)

    def guarded(self, metric: Metric, read: Callable[[], list[_Read]]) -> list[_Read]:
        """What `read` returns; nothing when it raises, which is counted every time and logged once."""
        try:
            return read()
        except Exception:
            add(self.collector.series[names.SCRAPE_FAILURES.name], metric.name)
            if metric.name not in self._failed:
                self._failed.add(metric.name)
                _logger.exception("%s cannot be read and is missing from the scrape", metric.name)
            return []


class _Histogram(Collector):
    """`trading_operation_duration_seconds` for the Prometheus client."""

    def __init__(self, exposition: Exposition) -> None:
        self._exposition = exposition

    def collect(self) -> Iterator[HistogramMetricFamily]:
        yield from self._exposition.guarded(names.OPERATION_DURATION, self._read)

    def _read(self) -> list[HistogramMetricFamily]:
        metric = names.OPERATION_DURATION
        family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        collector = self._exposition.collector
        found = {name: (list(cell.counts), cell.total) for name, cell in list(collector.durations.items())}
        found |= {name: window.histogram(BOUNDS) for name, window in list(collector.latencies.items())}
        for operation, (counts, total) in found.items():
            family.add_metric([operation], list(zip(_LE, accumulate(counts), strict=True)), total)
        return [family]


_LE: Final = (*(repr(bound) for bound in BOUNDS), "+Inf")


def _has(body: bytes, metric: Metric) -> bool:
    return b"\n" + metric.name.encode() + b" " in body
