"""Where the hot path counts: plain dicts from label values to numbers, read by the exposition at scrape.

Each series has one writing thread. A reader on another thread sees whole numbers, at worst of a moment ago.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from axon_quant.metrics.latency import LatencyWindow

Labels: TypeAlias = str | tuple[str, ...]
"""The label values of one series: a str for one label, a tuple for none or several."""

Series: TypeAlias = dict[Labels, float]
"""One metric's numbers by label values."""

Source: TypeAlias = Callable[[], Iterable[tuple[Labels, float]]]
"""Reads one metric's numbers at scrape."""

BOUNDS: Final = (
    *(5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3),
    *(1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
"""Upper bounds of the histogram's buckets in seconds; the last bucket has none."""


class Durations:
    """One operation's histogram: a count per bucket (not cumulative), the sum in seconds, and a window that shares it.

    `MetricsCollector.record_latency` writes it in place, without a call.
    """

    __slots__ = ("counts", "total", "window")

    def __init__(self, window: LatencyWindow | None = None) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0
        self.window = window


def add(series: Series, labels: Labels, amount: float = 1) -> None:
    """Add to one series, which begins at 0."""
    series[labels] = series.get(labels, 0) + amount
