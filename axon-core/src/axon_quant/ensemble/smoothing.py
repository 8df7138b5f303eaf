"""Weights that move towards a target a part of the way at a time."""

from __future__ import annotations

from collections.abc import Sequence

from axon_quant.ensemble.options import require
from axon_quant.ensemble.performance import Standing
from axon_quant.ensemble.pooling import Pooling
from axon_quant.ensemble.simplex import bounded


class SmoothedWeights(Pooling):
    """What strategies share that head for a target: a cold start, a floor and a cap, and smoothing.

    Nothing moves until every active member has `minimum_count` returns (default: a fifth of the window). A target's
    weights are kept within `floor` and `cap`; each step goes the part `smoothing` of the way, so no weight moves by
    more than that. Raises EnsembleError for options out of range.
    """

    def __init__(self, window: int, *, smoothing: float, minimum_count: int | None, floor: float, cap: float) -> None:
        self._minimum = max(2, window // 5) if minimum_count is None else minimum_count
        require(0.0 < smoothing <= 1.0, "smoothing", smoothing, "in (0, 1]")
        require(2 <= self._minimum <= window, "minimum_count", minimum_count, f"from 2 to the window of {window}")
        require(0.0 <= floor < cap <= 1.0, "floor, cap", (floor, cap), "0 ≤ floor < cap ≤ 1")
        self._smoothing = smoothing
        self._floor = floor
        self._cap = cap

    def _count(self, standing: Standing) -> int:
        """Returns that every active member has; 0 during the cold start."""
        count = min(count for count, active in zip(standing.count, standing.active, strict=True) if active)
        return count if count >= self._minimum else 0

    def _within(self, members: Sequence[int], powers: Sequence[float], count: int) -> list[float]:
        """A target for all `count` members: the powers of some, in proportion, within floor and cap."""
        target = [0.0] * count
        for index, weight in zip(members, bounded(powers, self._floor, self._cap), strict=True):
            target[index] = weight
        return target

    def _towards(self, weights: Sequence[float], target: Sequence[float]) -> Sequence[float]:
        return [weight + self._smoothing * (goal - weight) for weight, goal in zip(weights, target, strict=True)]


def members_of(active: Sequence[bool]) -> list[int]:
    """The indexes of those that take part."""
    return [index for index, is_active in enumerate(active) if is_active]
