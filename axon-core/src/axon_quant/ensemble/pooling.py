"""How weighted votes become one: the linear opinion pool."""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul


class Pooling:
    """For strategies that average probabilities."""

    def combine(self, weights: Sequence[float], votes: Sequence[Sequence[float]]) -> Sequence[float]:
        """The weighted mean of the probabilities."""
        if len(votes[0]) == 3:  # unrolled, as in `probabilities`
            total_buy = total_sell = total_hold = 0.0
            for weight, (buy, sell, hold) in zip(weights, votes, strict=True):
                total_buy += weight * buy
                total_sell += weight * sell
                total_hold += weight * hold
            return (total_buy, total_sell, total_hold)
        return [sum(map(mul, weights, column)) for column in zip(*votes, strict=True)]
