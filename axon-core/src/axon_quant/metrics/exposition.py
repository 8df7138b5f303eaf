"""The reading side: the collector's cells as Prometheus' text, written straight from the cells.

OpenTelemetry's SDK with its Prometheus exporter takes some 40 µs per series, a quarter of a second for 200 symbols, and
holds the GIL for as long; `otel.py` hands the same cells to OpenTelemetry where somebody wants them there.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from itertools import accumulate
from threading import Lock
from typing import TYPE_CHECKING, Final

from axon_quant.metrics import names
from axon_quant.metrics.cells import BOUNDS, Labels, add
from axon_quant.metrics.names import Kind, Metric

if TYPE_CHECKING:
    from axon_quant.metrics.collector import MetricsCollector

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
FRESH_SECONDS: Final = 15.0
_PAUSE_EVERY: Final = 256
_PAUSE: Final = 1e-4
_KNOWN_LIMIT: Final = 100_000
_logger = logging.getLogger(__name__)


class Exposition:
    """Renders one collector's metrics. A metric whose reading raises is lost for that scrape, logged once, counted."""

    def __init__(self, collector: MetricsCollector) -> None:
        self.collector = collector
        self._lock = Lock()
        self._failed: set[str] = set()
        self._checked = -FRESH_SECONDS
        self._problem: str | None = None
        self._heads = {metric.name: _head(metric) for metric in names.METRICS}
        self._series: dict[tuple[str, Labels], str] = {}

    def render(self) -> bytes:
        """The body of a scrape, of content type CONTENT_TYPE.

        It sleeps between some hundred series, so that the thread that trades waits for none of it for long.
        """
        with self._lock:
            parts: list[str] = []
            unpaused = 0
            for metric in names.METRICS:
                lines = self.guarded(metric, partial(self._lines, metric))
                if not lines:
                    continue
                parts.append(self._heads[metric.name])
                parts += lines
                unpaused += len(lines)
                if unpaused >= _PAUSE_EVERY:
                    unpaused = 0
                    time.sleep(_PAUSE)
            started = f"\n{names.START_TIME.name} "
            body = "".join(parts)
            self._problem = None if started in body else "the endpoint has lost its metrics"
            self._checked = time.monotonic()
        return body.encode("utf-8", "replace")

    def problem(self) -> str | None:
        """What is wrong with the last scrape, or None. Scrapes itself when nobody did for a while."""
        if time.monotonic() - self._checked >= FRESH_SECONDS:
            self.render()
        return self._problem

    def guarded(self, metric: Metric, read: Callable[[], list[str]]) -> list[str]:
        """What `read` returns; nothing when it raises, which is counted every time and logged once."""
        try:
            return read()
        except Exception:
            add(self.collector.series[names.SCRAPE_FAILURES.name], metric.name)
            if metric.name not in self._failed:
                self._failed.add(metric.name)
                _logger.exception("%s cannot be read and is missing from the scrape", metric.name)
            return []

    def _lines(self, metric: Metric) -> list[str]:
        if metric.kind is Kind.Histogram:
            return self._histogram(metric)
        known, name = self._series, metric.name
        lines = []
        for labels, value in self.collector.read(metric):
            series = known.get((name, labels))
            if series is None:
                if len(known) >= _KNOWN_LIMIT:  # labels that come and go must not grow it
                    known.clear()
                series = known[name, labels] = name + _pairs(metric.labels, labels)
            lines.append(f"{series} {float(value)!r}\n")
        return lines

    def _histogram(self, metric: Metric) -> list[str]:
        collector, name, lines = self.collector, metric.name, []
        found = {operation: (list(cell.counts), cell.total) for operation, cell in list(collector.durations.items())}
        found |= {operation: window.histogram(BOUNDS) for operation, window in list(collector.latencies.items())}
        for operation, (counts, total) in found.items():
            label = f'operation="{_escaped(operation)}"'
            below = list(accumulate(counts))
            lines += [
                f'{name}_bucket{{{label},le="{bound}"}} {float(count)!r}\n'
                for bound, count in zip(_LE, below, strict=True)
            ]
            lines += [
                f"{name}_count{{{label}}} {float(below[-1])!r}\n",
                f"{name}_sum{{{label}}} {float(total)!r}\n",
            ]
        return lines


_LE: Final = (*(repr(bound) for bound in BOUNDS), "+Inf")


def _head(metric: Metric) -> str:
    text = metric.help.replace("\\", r"\\").replace("\n", r"\n")
    return f"# HELP {metric.name} {text}\n# TYPE {metric.name} {metric.kind.value}\n"


def _pairs(names: tuple[str, ...], labels: Labels) -> str:
    values = (labels,) if isinstance(labels, str) else labels
    pairs = sorted(zip(names, values, strict=True))
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs) + "}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
