"""Which few of many counterfactuals to show: near, of few features, plausible, and unlike one another."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np

EXTRA_FEATURE = 1.0
"""What another feature costs, in units of distance (median absolute deviations)."""
IMPLAUSIBLE = 0.25
"""What a unit of distance to the background costs."""
ALIKE = 3.0
"""What it costs to change the very features that one already chosen changes."""


@attrs.frozen
class Option:
    """One to choose: the features it changes, its distance, and its plausibility."""

    players: frozenset[int]
    distance: float
    plausibility: float | None

    @property
    def cost(self) -> float:
        """Sparsity, proximity and plausibility in one number."""
        far = 0.0 if self.plausibility is None else self.plausibility
        return self.distance + EXTRA_FEATURE * (len(self.players) - 1) + IMPLAUSIBLE * far


def choose(options: Sequence[Option], count: int) -> list[int]:
    """Indices of up to `count` options, one after the other: the cheapest, given those that were chosen before."""
    costs = np.array([option.cost for option in options])
    alike = np.zeros(len(options))
    left = list(range(len(options)))
    chosen: list[int] = []
    while left and len(chosen) < count:
        best = min(left, key=lambda at: (costs[at] + ALIKE * alike[at], at))
        chosen.append(best)
        left.remove(best)
        for at in left:
            alike[at] = max(alike[at], _alike(options[at].players, options[best].players))
    return chosen


def _alike(one: frozenset[int], other: frozenset[int]) -> float:
    """Jaccard: the share of features in common."""
    return len(one & other) / len(one | other)
