"""The fall of the equity from its peak."""

from __future__ import annotations

import math
from fractions import Fraction

from axon_quant.errors import MetricsError


class Drawdown:
    """Equity, its peak, and the drawdown between them as a positive fraction of the peak.

    Without an initial equity nothing is known until `update`; all three are NaN until then. Raises MetricsError for an
    initial equity or a restored peak that is not positive and finite.
    """

    __slots__ = ("equity", "peak")

    def __init__(self, initial_equity: float | None = None) -> None:
        self.equity = self.peak = math.nan
        if initial_equity is not None:
            self.equity = self.peak = _positive(initial_equity, "the initial equity")

    def update(self, equity: float) -> None:
        """The equity is now `equity` (finite); the peak follows it upwards only."""
        self.equity = equity
        if not self.peak >= equity and equity > 0.0:
            self.peak = equity

    def restore_peak(self, peak: float) -> None:
        """A peak of an earlier run; it never lowers the present one."""
        if not self.peak >= _positive(peak, "the peak"):
            self.peak = peak

    @property
    def fraction(self) -> float:
        """(peak - equity) / peak: 0 at the peak, above 1 when the equity is negative."""
        if not (math.isfinite(self.peak) and math.isfinite(self.equity)):
            return math.nan
        # Rounded once: in floats the difference is rounded, too, and a higher peak could give a smaller fraction.
        peak = Fraction(self.peak)
        return float((peak - Fraction(self.equity)) / peak)


def _positive(value: float, what: str) -> float:
    if not 0.0 < value < math.inf:
        raise MetricsError(f"{what} must be a positive finite number, got {value}")
    return value
