"""Online learning: weights with a regret bound against the best member, whatever the returns.

All of them think in losses, one per member and step, in [0, 1]; the regret against member k is the loss of the weighted
mean minus that of k, summed up. A gain g that the user states is the loss 1 − g. A realised return r becomes one by

    loss = (1 − r / bound) / 2

where `bound` is the option `return_bound`, or the largest |r| of any member so far. With the option, a return beyond it
counts as the bound itself. The bounds hold for stated gains, and for returns within a `return_bound`.

A deactivated member sleeps: it is charged what the others lose on average, so its regret stands still (Freund et al.,
"Using and combining predictors that specialize", 1997).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, fsum, inf, log, sqrt
from operator import mul
from typing import Any, ClassVar

from axon_quant.ensemble.options import require
from axon_quant.ensemble.performance import Standing
from axon_quant.ensemble.pooling import Pooling
from axon_quant.ensemble.remembering import Remembering
from axon_quant.errors import EnsembleError


class OnlineRule(Remembering, Pooling):
    """What the strategies of this module share: losses in, weights out. Probabilities are averaged.

    `update_weights` takes one gain in [0, 1] per model, and is one step. Raises EnsembleError for others.
    """

    may_abstain = False
    abstains = False

    def __init__(self, initial: tuple[float, ...], window: int, *, return_bound: float | None = None) -> None:
        del window  # they remember everything, by design
        require(return_bound is None or 0.0 < return_bound < inf, "return_bound", return_bound, "a positive number")
        self._prior = initial
        self._bound = return_bound
        self._largest = 0.0

    def step(self, standing: Standing, weights: Sequence[float]) -> Sequence[float]:
        """Learn from the latest realised returns."""
        bound = self._bound
        if bound is None:
            awake = [abs(value) for value, active in zip(standing.last, standing.active, strict=True) if active]
            bound = self._largest = max(self._largest, *awake)
        if not bound > 0.0:
            return weights  # nobody has earned or lost anything yet
        losses = [min(max(0.5 - 0.5 * (value / bound), 0.0), 1.0) for value in standing.last]
        return self._learn(losses, standing.active, weights)

    def jump(self, performances: Sequence[float], active: Sequence[bool], weights: Sequence[float]) -> Sequence[float]:
        """Learn from stated gains."""
        for index, gain in enumerate(performances):
            if not 0.0 <= gain <= 1.0:
                raise EnsembleError(f"performance {index} is {gain}: this strategy takes gains in [0, 1]")
        return self._learn([1.0 - gain for gain in performances], active, weights)

    def shares(self, awake: Sequence[int]) -> Sequence[float]:
        """What the awake members weigh now, in proportion and in their order; not all 0."""
        raise NotImplementedError

    def learn(self, losses: Sequence[float], mean: float, weights: Sequence[float]) -> None:
        """One step: the members' losses, that of their weighted mean, and the weights (summing to 1) behind it."""
        raise NotImplementedError

    def _learn(self, losses: list[float], active: Sequence[bool], weights: Sequence[float]) -> Sequence[float]:
        awake = [index for index, prior in enumerate(self._prior) if active[index] and prior > 0.0]
        if not awake:
            return weights  # the initial weights exclude everybody who is left
        present = self._spread_out(awake)
        mean = fsum(map(mul, present, losses))
        asleep = set(range(len(losses))).difference(awake)
        self.learn([mean if index in asleep else loss for index, loss in enumerate(losses)], mean, present)
        return self._spread_out(awake)

    def _spread_out(self, awake: Sequence[int]) -> list[float]:
        """One weight per member, summing to 1."""
        shares = self.shares(awake)
        total = fsum(shares)
        weights = [0.0] * len(self._prior)
        for index, share in zip(awake, shares, strict=True):
            weights[index] = share / total
        return weights


class Hedge(OnlineRule):
    """Exponential weights (Freund and Schapire 1997; Cesa-Bianchi and Lugosi, "Prediction, Learning, and Games", 2.2).

    With `horizon` T, the number of steps to come, the rate is √(8 ln N / T) and the regret at most √(T ln N / 2). By
    default the rate is √(8 ln N / t) in step t, and the regret at any T at most 2 √(T ln N / 2) + √(ln N / 8). `eta`
    fixes the rate. The bounds are those for equal initial weights.
    """

    _remembered: ClassVar[Mapping[str, Any]] = {"_largest": float, "_losses": list[float], "_steps": int}

    def __init__(
        self,
        initial: tuple[float, ...],
        window: int,
        *,
        eta: float | None = None,
        horizon: int | None = None,
        return_bound: float | None = None,
    ) -> None:
        super().__init__(initial, window, return_bound=return_bound)
        require(eta is None or 0.0 < eta < inf, "eta", eta, "a positive number")
        require(horizon is None or horizon >= 1, "horizon", horizon, "at least 1")
        require(eta is None or horizon is None, "eta, horizon", (eta, horizon), "one of the two")
        spread = 8.0 * log(len(initial))
        self._eta = sqrt(spread / horizon) if horizon is not None else eta
        self._spread = spread
        self._losses = [0.0] * len(initial)
        self._steps = 0

    def shares(self, awake: Sequence[int]) -> Sequence[float]:
        """prior · exp(−rate · loss so far)."""
        eta = self._eta
        if eta is None:
            eta = sqrt(self._spread / (self._steps + 1))
        return exponential([self._prior[i] for i in awake], [-eta * self._losses[i] for i in awake])

    def learn(self, losses: Sequence[float], mean: float, weights: Sequence[float]) -> None:
        """Add up the losses."""
        del mean, weights
        self._losses = [total + loss for total, loss in zip(self._losses, losses, strict=True)]
        self._steps += 1


class AdaHedge(OnlineRule):
    """Hedge that finds its own rate: ln N over the mixability gap so far.

    De Rooij, van Erven, Grünwald, Koolen, "Follow the leader if you can, hedge if you must" (JMLR 2014): the regret is
    at most 2 √(V ln N) + (4/3) ln N + 2, V being the variance of the losses under the weights, summed up.
    """

    _remembered: ClassVar[Mapping[str, Any]] = {"_largest": float, "_losses": list[float], "_gap": float}

    def __init__(self, initial: tuple[float, ...], window: int, *, return_bound: float | None = None) -> None:
        super().__init__(initial, window, return_bound=return_bound)
        self._losses = [0.0] * len(initial)
        self._gap = 0.0

    def shares(self, awake: Sequence[int]) -> Sequence[float]:
        """prior · exp(−rate · loss so far); while the rate is infinite, the prior on those who lead."""
        rate = self._rate()
        if rate < inf:
            return exponential([self._prior[i] for i in awake], [-rate * self._losses[i] for i in awake])
        lead = min(self._losses[i] for i in awake)
        return [self._prior[i] if self._losses[i] == lead else 0.0 for i in awake]

    def learn(self, losses: Sequence[float], mean: float, weights: Sequence[float]) -> None:
        """Add up the losses, and what mixing lost against the mix loss."""
        rate = self._rate()
        charged = [(weight, loss) for weight, loss in zip(weights, losses, strict=True) if weight > 0.0]
        least = min(loss for _, loss in charged)
        mix = least
        if rate < inf:
            # Relative to the least loss, so that nothing underflows.
            mix -= log(fsum(weight * exp(-rate * (loss - least)) for weight, loss in charged)) / rate
        self._gap += max(mean - mix, 0.0)
        self._losses = [total + loss for total, loss in zip(self._losses, losses, strict=True)]

    def _rate(self) -> float:
        return log(len(self._prior)) / self._gap if self._gap > 1e-300 else inf


class RegretRule(OnlineRule):
    """What the second-order strategies share: each member's regret so far, and its squares per step."""

    _remembered: ClassVar[Mapping[str, Any]] = {
        "_largest": float,
        "_regrets": list[float],
        "_squares": list[float],
    }

    def __init__(self, initial: tuple[float, ...], window: int, *, return_bound: float | None = None) -> None:
        super().__init__(initial, window, return_bound=return_bound)
        self._regrets = [0.0] * len(initial)
        self._squares = [0.0] * len(initial)

    def learn(self, losses: Sequence[float], mean: float, weights: Sequence[float]) -> None:
        """Add up the regrets and their squares."""
        del weights
        steps = [mean - loss for loss in losses]
        self._regrets = [total + step for total, step in zip(self._regrets, steps, strict=True)]
        self._squares = [total + step * step for total, step in zip(self._squares, steps, strict=True)]


class Boa(RegretRule):
    """Bernstein online aggregation: second order, so that small regrets make for small weights' moves.

    Wintenberger, "Optimal learning with Bernstein online aggregation" (Machine Learning 2017). With a fixed `eta` of at
    most 1/2, the regret against member k is at most ln N / eta + eta · V_k, V_k being its squared regrets per step
    summed up. By default every member has a rate of its own, √(ln N / V_k) and at most 1/2.
    """

    def __init__(
        self,
        initial: tuple[float, ...],
        window: int,
        *,
        eta: float | None = None,
        return_bound: float | None = None,
    ) -> None:
        super().__init__(initial, window, return_bound=return_bound)
        require(eta is None or 0.0 < eta <= 0.5, "eta", eta, "in (0, 0.5]")
        self._eta = eta
        self._spread = log(len(initial))

    def shares(self, awake: Sequence[int]) -> Sequence[float]:
        """prior · rate · exp(rate · (regret − rate · squares))."""
        rates = [self._rate(self._squares[i]) for i in awake]
        exponents = [e * (self._regrets[i] - e * self._squares[i]) for i, e in zip(awake, rates, strict=True)]
        return exponential([self._prior[i] * e for i, e in zip(awake, rates, strict=True)], exponents)

    def _rate(self, squares: float) -> float:
        if self._eta is not None:
            return self._eta
        return min(0.5, sqrt(self._spread / squares)) if squares > 4.0 * self._spread else 0.5


class MlPoly(RegretRule):
    """Polynomially weighted averages, with a rate per member and nothing to tune.

    Gaillard, Stoltz, van Erven, "A second-order bound with excess losses" (COLT 2014): weights are in proportion to the
    positive part of the regret over 1 + squared regrets per step summed up; the initial ones where no regret is
    positive.
    """

    def shares(self, awake: Sequence[int]) -> Sequence[float]:
        """prior · max(regret, 0) / (1 + squares)."""
        prior = [self._prior[i] for i in awake]
        gained = [max(self._regrets[i], 0.0) / (1.0 + self._squares[i]) for i in awake]
        return list(map(mul, prior, gained)) if max(gained) > 0.0 else prior


def exponential(prior: Sequence[float], exponents: Sequence[float]) -> list[float]:
    """prior · exp(exponent), scaled so that the largest exponent becomes 0."""
    top = max(exponents)
    return [weight * exp(exponent - top) for weight, exponent in zip(prior, exponents, strict=True)]
