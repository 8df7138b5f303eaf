"""How weights follow performance, and how weighted votes become one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, inf, sqrt
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from axon_quant.ensemble.correlation import Correlations
from axon_quant.ensemble.options import require
from axon_quant.ensemble.performance import Standing
from axon_quant.ensemble.remembering import Remembering
from axon_quant.ensemble.smoothing import SmoothedWeights, members_of
from axon_quant.events import Remembered


class WeightingRule(Protocol):
    """An ensemble strategy. Made once per ensemble by `target(initial, window, **options)`.

    Sequences have one entry per member, deactivated ones included; the ensemble sets those to zero afterwards, scales
    the weights to sum to 1 and refuses any that are negative or not finite.

    A strategy that learns should be Stateful as well, so that it is saved and restored with the ensemble.
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


@runtime_checkable
class FittedRule(Protocol):
    """A strategy fitted beforehand, which declares the capability `fitted`."""

    @property
    def fitted_weights(self) -> Sequence[float]:
        """What the ensemble starts from in place of its initial weights."""
        ...


class SoftmaxSharpe(Remembering, SmoothedWeights):
    """Softmax over rolling Sharpe ratios per step, smoothed; probabilities are averaged.

    The temperature is 1/√window, the standard error of a rolling Sharpe ratio, so noise alone moves little. The initial
    weights stay until every active member has `minimum_count` returns (default: a fifth of the window); from there
    to a full window the target slides from them to the softmax, whose weights are kept within `floor` and `cap`. Each
    step goes the part `smoothing` of the way, so no weight moves by more than that.

    If no active member has a Sharpe ratio of at least 0, `all_negative="uniform"` heads for equal weights and
    `"abstain"` keeps the weights and stands aside until one has. `jump` takes Sharpe ratios per step and applies
    softmax, floor and cap at once; its weights then take the place of the initial ones.

    `correlation_penalty` divides a member's share by the size of its crowd, raised to the penalty: itself, and every
    other one by how far its returns correlate with it. With 1, two copies of a model weigh as much as one would.

    Raises EnsembleError for options out of range.
    """

    _remembered: ClassVar[Mapping[str, Any]] = {
        "_anchor": list[float],
        "abstains": bool,
        "_products": list[float],
    }

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
        correlation_penalty: float = 0.0,
    ) -> None:
        super().__init__(window, smoothing=smoothing, minimum_count=minimum_count, floor=floor, cap=cap)
        self._temperature = 1.0 / sqrt(window) if temperature is None else temperature
        require(0.0 < self._temperature < inf, "temperature", temperature, "a positive number")
        require(0.0 <= correlation_penalty <= 1.0, "correlation_penalty", correlation_penalty, "in [0, 1]")
        require(all_negative in ("uniform", "abstain"), "all_negative", all_negative, "'uniform' or 'abstain'")
        self._anchor: Sequence[float] = initial
        self._window = window
        self._penalty = correlation_penalty
        self._correlations = Correlations(len(initial), window) if correlation_penalty else None
        self.may_abstain = all_negative == "abstain"
        self.abstains = False

    @property
    def _products(self) -> list[float]:
        return [] if self._correlations is None else self._correlations.products

    @_products.setter
    def _products(self, products: list[float]) -> None:
        if self._correlations is not None:
            self._correlations.products = products

    def restore(self, state: Mapping[str, Remembered], /) -> None:
        """Take over what `state` returned; without `all_negative="abstain"` nothing abstains."""
        super().restore(state)
        self.abstains = self.abstains and self.may_abstain

    def step(self, standing: Standing, weights: Sequence[float]) -> Sequence[float]:
        """One smoothed step towards the softmax; none during the cold start."""
        if self._correlations is not None:
            self._correlations.append(standing.last, standing.active)
        count = self._count(standing)
        if not count:
            return weights
        target = self._target(standing.sharpe, standing.active)
        if self.abstains:
            return weights
        trust = (count - self._minimum + 1) / (self._window - self._minimum + 1)
        goal = [anchor + trust * (goal - anchor) for anchor, goal in zip(self._anchor, target, strict=True)]
        return self._towards(weights, goal)

    def jump(self, performances: Sequence[float], active: Sequence[bool], weights: Sequence[float]) -> Sequence[float]:
        """Softmax of the given Sharpe ratios, at once."""
        target = self._target(performances, active)
        if self.abstains:
            return weights
        self._anchor = target
        return target

    def _target(self, sharpe: Sequence[float], active: Sequence[bool]) -> list[float]:
        members = members_of(active)
        best = max(sharpe[index] for index in members)
        self.abstains = self.may_abstain and best < 0.0
        powers = [1.0 if best < 0.0 else exp((sharpe[index] - best) / self._temperature) for index in members]
        if self._correlations is not None:
            crowds = self._correlations.crowds(members)
            powers = [power / crowd**self._penalty for power, crowd in zip(powers, crowds, strict=True)]
        return self._within(members, powers, len(sharpe))
