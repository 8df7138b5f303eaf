"""How weights follow performance, and how weighted votes become one."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, sqrt
from typing import Literal, Protocol

from axon_quant.ensemble.options import require
from axon_quant.ensemble.performance import Standing
from axon_quant.ensemble.pooling import Pooling
from axon_quant.ensemble.simplex import bounded


class WeightingRule(Protocol):
    """An ensemble strategy. Made once per ensemble by `target(initial, window, **options)`.

    Sequences have one entry per member, deactivated ones included; the ensemble sets those to zero afterwards, scales
    the weights to sum to 1 and refuses any that are negative or not finite.
    """

    @property
    def may_abstain(self) -> bool:
        """Whether `abstains` can ever be true; the ensemble then insists on an action `hold`."""
        ...

    @property
    def abstains(self) -> bool:
        """Whether the ensemble should stand aside for now."""
        ...

    def step(self, standing: Standing, weights: Sequence[float]) -> Sequence[float]:
        """The next weights. Called each time every active member has realised a new return."""
        ...

    def jump(self, performances: Sequence[float], active: Sequence[bool], weights: Sequence[float]) -> Sequence[float]:
        """The weights for performances that the user states; called by `update_weights`."""
        ...

    def combine(self, weights: Sequence[float], votes: Sequence[Sequence[float]]) -> Sequence[float]:
        """One probability per action. `votes` are the members' probabilities, `weights` sum to 1. The hot path."""
        ...


class SoftmaxSharpe(Pooling):
    """Softmax over rolling Sharpe ratios per step, smoothed; probabilities are averaged.

    The temperature is 1/√window, the standard error of a rolling Sharpe ratio, so noise alone moves little. The initial
    weights stay until every active member has `minimum_count` returns (default: a fifth of the window); from there
    to a full window the target slides from them to the softmax, whose weights are kept within `floor` and `cap`. Each
    step goes the part `smoothing` of the way, so no weight moves by more than that.

    If no active member has a Sharpe ratio of at least 0, `all_negative="uniform"` heads for equal weights and
    `"abstain"` keeps the weights and stands aside until one has. `jump` takes Sharpe ratios per step and applies
    softmax, floor and cap at once; its weights then take the place of the initial ones.

    Raises EnsembleError for options out of range.
    """

    def __init__(
        self,
        initial: tuple[float, ...],
        window: int,
        *,
        temperature: float | None = None,
        smoothing: float = 0.05,
        minimum_count: int | None = None,
        floor: float = 0.02,
        cap: float = 0.8,
        all_negative: Literal["uniform", "abstain"] = "uniform",
    ) -> None:
        self._temperature = 1.0 / sqrt(window) if temperature is None else temperature
        self._minimum = max(2, window // 5) if minimum_count is None else minimum_count
        require(0.0 < self._temperature < float("inf"), "temperature", temperature, "a positive number")
        require(0.0 < smoothing <= 1.0, "smoothing", smoothing, "in (0, 1]")
        require(2 <= self._minimum <= window, "minimum_count", minimum_count, f"from 2 to the window of {window}")
        require(0.0 <= floor < cap <= 1.0, "floor, cap", (floor, cap), "0 ≤ floor < cap ≤ 1")
        require(all_negative in ("uniform", "abstain"), "all_negative", all_negative, "'uniform' or 'abstain'")
        self._anchor: Sequence[float] = initial
        self._window = window
        self._smoothing = smoothing
        self._floor = floor
        self._cap = cap
        self.may_abstain = all_negative == "abstain"
        self.abstains = False

    def step(self, standing: Standing, weights: Sequence[float]) -> Sequence[float]:
        """One smoothed step towards the softmax; none during the cold start."""
        count = min(count for count, active in zip(standing.count, standing.active, strict=True) if active)
        if count < self._minimum:
            return weights
        target = self._target(standing.sharpe, standing.active)
        if self.abstains:
            return weights
        trust = (count - self._minimum + 1) / (self._window - self._minimum + 1)
        return [
            weight + self._smoothing * (anchor + trust * (goal - anchor) - weight)
            for weight, anchor, goal in zip(weights, self._anchor, target, strict=True)
        ]

    def jump(self, performances: Sequence[float], active: Sequence[bool], weights: Sequence[float]) -> Sequence[float]:
        """Softmax of the given Sharpe ratios, at once."""
        target = self._target(performances, active)
        if self.abstains:
            return weights
        self._anchor = target
        return target

    def _target(self, sharpe: Sequence[float], active: Sequence[bool]) -> list[float]:
        members = [index for index, is_active in enumerate(active) if is_active]
        best = max(sharpe[index] for index in members)
        self.abstains = self.may_abstain and best < 0.0
        powers = [1.0 if best < 0.0 else exp((sharpe[index] - best) / self._temperature) for index in members]
        target = [0.0] * len(sharpe)
        for index, weight in zip(members, bounded(powers, self._floor, self._cap), strict=True):
            target[index] = weight
        return target
