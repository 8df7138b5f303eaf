"""Metrics: local cells on the hot path, read at scrape and served to Prometheus over loopback, or to OpenTelemetry."""

from axon_quant.metrics.collector import ORDER_OPERATIONS, MetricsCollector
from axon_quant.metrics.drawdown import Drawdown
from axon_quant.metrics.latency import LatencyWindow, samples_needed
from axon_quant.metrics.names import METRICS, Kind, Metric
from axon_quant.metrics.server import MetricsServer, Readiness

__all__ = [
    "METRICS",
    "ORDER_OPERATIONS",
    "Drawdown",
    "Kind",
    "LatencyWindow",
    "Metric",
    "MetricsCollector",
    "MetricsServer",
    "Readiness",
    "samples_needed",
]
