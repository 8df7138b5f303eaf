"""The collector's cells as OpenTelemetry's observable instruments, for whoever exports by OTLP."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from axon_quant.metrics import names
from axon_quant.metrics.cells import Labels
from axon_quant.metrics.names import Kind, Metric

if TYPE_CHECKING:
    from axon_quant.metrics.collector import MetricsCollector


def instrument(collector: MetricsCollector, meter: Meter) -> None:
    """Let a meter observe every counter and gauge of a collector, whenever its reader collects.

    The histogram stays with Prometheus, since OpenTelemetry has no observable one. The SDK keeps 2000 label sets per
    instrument and folds the rest into one, unless its reader is given other `cardinality_limits`.
    """
    for metric in names.METRICS:
        if metric.kind is Kind.Counter:
            name = metric.name.removesuffix("_total")  # exporters to Prometheus add it
            meter.create_observable_counter(name, [_callback(collector, metric)], description=metric.help)
        elif metric.kind is Kind.Gauge:
            meter.create_observable_gauge(metric.name, [_callback(collector, metric)], description=metric.help)


def _callback(collector: MetricsCollector, metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
    attributes: dict[Labels, dict[str, str]] = {}

    def pairs(labels: Labels) -> dict[str, str]:
        values = (labels,) if isinstance(labels, str) else labels
        return attributes.setdefault(labels, dict(zip(metric.labels, values, strict=True)))

    def observe(_: CallbackOptions) -> list[Observation]:
        return [Observation(value, attributes.get(labels) or pairs(labels)) for labels, value in collector.read(metric)]

    return observe
