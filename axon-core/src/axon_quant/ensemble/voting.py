"""Strategies whose weights stay as they are given: soft, hard and weighted voting."""

from __future__ import annotations

from collections.abc import Sequence

from axon_quant.ensemble.performance import Standing
from axon_quant.ensemble.pooling import Pooling
from axon_quant.inference.scores import TIE, leaders


class GivenWeights:
    """The weights stay until `update_weights`, which makes them proportional to the positive part of the performances
    (equal if there is none)."""

    may_abstain = False
    abstains = False

    def __init__(self, initial: tuple[float, ...], window: int) -> None:
        del initial, window  # nothing here follows returns

    def step(self, standing: Standing, weights: Sequence[float]) -> Sequence[float]:
        """The same weights."""
        del standing
        return weights

    def jump(self, performances: Sequence[float], active: Sequence[bool], weights: Sequence[float]) -> Sequence[float]:
        """Proportional to what is positive."""
        del weights
        gains = [max(value, 0.0) if is_active else 0.0 for value, is_active in zip(performances, active, strict=True)]
        return gains if max(gains) > 0.0 else [1.0] * len(gains)


class SoftVoting(Pooling, GivenWeights):
    """The weighted mean of the members' probabilities."""


class WeightedVoting(GivenWeights):
    """Each member casts one vote, for its most probable action, and the vote counts with its weight.

    A member that cannot decide splits its vote between its equal actions.
    """

    def combine(self, weights: Sequence[float], votes: Sequence[Sequence[float]]) -> Sequence[float]:
        """The share of the vote that each action got."""
        shares = [0.0] * len(votes[0])
        if len(shares) == 3:
            return self._of_three(weights, votes)
        for weight, vote in zip(weights, votes, strict=True):
            best = max(vote)
            if sorted(vote)[-2:][0] < best - TIE:
                shares[vote.index(best)] += weight
            else:
                equal = leaders(vote)
                for index in equal:
                    shares[index] += weight / len(equal)
        return shares

    @staticmethod
    def _of_three(weights: Sequence[float], votes: Sequence[Sequence[float]]) -> Sequence[float]:
        """The same, unrolled, as in `probabilities`."""
        total_buy = total_sell = total_hold = 0.0
        for weight, (buy, sell, hold) in zip(weights, votes, strict=True):
            if sell < buy - TIE > hold:
                total_buy += weight
            elif buy < sell - TIE > hold:
                total_sell += weight
            elif buy < hold - TIE > sell:
                total_hold += weight
            else:
                least = max(buy, sell, hold) - TIE
                share = weight / ((buy >= least) + (sell >= least) + (hold >= least))
                total_buy += share if buy >= least else 0.0
                total_sell += share if sell >= least else 0.0
                total_hold += share if hold >= least else 0.0
        return (total_buy, total_sell, total_hold)


class HardVoting(WeightedVoting):
    """One member, one vote, for its most probable action: every weight above 0 counts the same.

    A member that cannot decide splits its vote between its equal actions.
    """

    def combine(self, weights: Sequence[float], votes: Sequence[Sequence[float]]) -> Sequence[float]:
        """The share of the heads that each action got."""
        head = 1.0 / sum([weight > 0.0 for weight in weights])
        return super().combine([head if weight > 0.0 else 0.0 for weight in weights], votes)
