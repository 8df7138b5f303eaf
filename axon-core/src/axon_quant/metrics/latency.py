"""Latency quantiles from a fixed table of counts: recording neither allocates nor grows.

The table is log-linear: 64 buckets per power of two, so a bucket is at most 1.6 % wide, up to 73 minutes.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

from axon_quant.clock import NANOSECONDS

_SUB_BITS = 6
_LINEAR = 1 << (_SUB_BITS + 1)
_MAX_BITS = 42
_LARGEST = (1 << _MAX_BITS) - 1
_BUCKETS = ((_MAX_BITS - _SUB_BITS - 1) << _SUB_BITS) + _LINEAR


def samples_needed(q: float, confidence: float = 0.95) -> int:
    """The least number of samples of which one lies beyond the `q` quantile with `confidence`: 299 for p99, 5 for p50.

    Raises ValueError unless both lie strictly between 0 and 1.
    """
    if not (0.0 < q < 1.0 and 0.0 < confidence < 1.0):
        raise ValueError(f"quantile and confidence lie between 0 and 1, got {q} and {confidence}")
    return math.ceil(math.log(1.0 - confidence) / math.log(q))


class LatencyWindow:
    """Quantiles of durations in nanoseconds, over everything since the last rotation but one.

    Never rotated, it covers a whole run. One thread records; any thread reads.
    """

    __slots__ = ("_counts", "_largest", "_past_counts", "_past_largest")

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self._largest = 0
        self._past_counts = [0] * _BUCKETS
        self._past_largest = 0

    def record(self, ns: int) -> None:
        """Count one duration; below 0 counts as 0, above 73 minutes as 73 minutes."""
        if ns > self._largest:
            self._largest = ns = ns if ns < _LARGEST else _LARGEST
        shift = ns.bit_length() - _SUB_BITS - 1
        if shift > 0 < ns:
            self._counts[(shift << _SUB_BITS) + (ns >> shift)] += 1
        else:
            self._counts[ns if ns > 0 else 0] += 1

    def rotate(self) -> None:
        """Forget what was there before the last rotation. Allocates; call it from the reading side."""
        past, self._counts = self._counts, [0] * _BUCKETS
        self._past_largest, self._largest = self._largest, 0
        self._past_counts = past

    @property
    def count(self) -> int:
        """How many durations the window holds."""
        return sum(self._counts) + sum(self._past_counts)

    @property
    def fresh(self) -> int:
        """How many durations were recorded since the last rotation."""
        return sum(self._counts)

    def quantile(self, q: float) -> float:
        """The `q` quantile in nanoseconds, or NaN when there are too few samples to claim it (`samples_needed`)."""
        return self.estimate(q) if self.count >= samples_needed(q) else math.nan

    def histogram(self, bounds: Sequence[float]) -> tuple[list[int], float]:
        """How many durations lie in each bucket that ends at one of `bounds` (rising, seconds), and their sum.

        One more bucket holds the rest. Both are up to 1.6 % off: a duration counts as the upper end of its cell.
        """
        counts, total = [0] * (len(bounds) + 1), 0
        cells = [new + old for new, old in zip(self._counts, self._past_counts, strict=True)]
        for index, count in enumerate(cells):
            if count:
                upper = _upper(index)
                counts[bisect_left(bounds, upper / NANOSECONDS)] += count
                total += upper * count
        return counts, total / NANOSECONDS

    def estimate(self, q: float) -> float:
        """The nearest-rank `q` quantile (0 < q < 1) in nanoseconds from however few samples; NaN without any.

        Never below the true one and at most 1.6 % above it; exact where the rank is the largest sample.
        """
        if not 0.0 < q < 1.0:
            raise ValueError(f"a quantile lies between 0 and 1, got {q}")
        counts = [new + old for new, old in zip(self._counts, self._past_counts, strict=True)]
        largest = max(self._largest, self._past_largest)
        total = sum(counts)
        if total == 0:
            return math.nan
        rank = math.ceil(q * total)
        seen = 0
        for index, count in enumerate(counts):
            seen += count
            if seen >= rank:
                return float(min(_upper(index), largest))
        return float(largest)


def _upper(index: int) -> int:
    """The largest duration that falls into a bucket."""
    if index < _LINEAR:
        return index
    shift = (index >> _SUB_BITS) - 1
    return ((index - (shift << _SUB_BITS) + 1) << shift) - 1
