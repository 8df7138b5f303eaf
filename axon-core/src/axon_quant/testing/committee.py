"""What the ensemble suite works with: ensembles of members that answer what a test tells them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import fsum, isfinite
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from axon_quant.clock import SimClock
from axon_quant.ensemble import DynamicWeightedEnsemble, Standing, WeightingRule
from axon_quant.inference.action import TRADING_ACTIONS
from axon_quant.plugins import Capability, EnsembleDescriptor
from axon_quant.testing.candidates import Options

ACTIONS: Final = TRADING_ACTIONS
WINDOW: Final = 10
"""Returns that the suite's ensembles look back on."""
CERTAIN: Final = {name: tuple(float(name == other) for other in ACTIONS) for name in ACTIONS}
"""The vote of a member that is sure of an action."""

exactly_repeatable = settings(
    derandomize=True, database=None, deadline=None, max_examples=40, suppress_health_check=list(HealthCheck)
)
"""For properties: the same examples in everybody's run, and no verdict from a slow machine."""

Answer = Sequence[float] | Exception


def votes_of(action: str, share: float) -> tuple[float, ...]:
    """Probabilities with this share on an action and the rest spread evenly."""
    rest = (1.0 - share) / (len(ACTIONS) - 1)
    return tuple(share if name == action else rest for name in ACTIONS)


def returns(members: int, rounds: int, best: int | None = None) -> list[list[float]]:
    """Seeded returns per round and member around zero; the best member's are plainly above, the others' below."""
    rng = np.random.default_rng(7)
    found = 0.001 * rng.standard_normal((rounds, members))
    if best is not None:
        found -= 0.002
        found[:, best] += 0.006
    rows: list[list[float]] = found.tolist()
    return rows


def random_standing(rng: np.random.Generator, members: int, mean: float = 0.0) -> Standing:
    """Any state that an ensemble can be in, with at least one active member."""
    active = rng.random(members) < 0.8
    active[rng.integers(members)] = True
    return Standing(
        tuple(rng.normal(mean, 1.0, members).tolist()),
        tuple(rng.integers(1, WINDOW + 1, members).tolist()),
        tuple(rng.normal(0.01 * mean, 0.01, members).tolist()),
        tuple(active.tolist()),
        tuple(rng.uniform(1e-4, 1e-2, members).tolist()),
    )


class Committee:
    """Builds rules and ensembles of the strategy under test."""

    def __init__(self, descriptor: EnsembleDescriptor, make: Callable[..., WeightingRule], options: Options) -> None:
        self._name = descriptor.name
        self._make = make
        self._options = options
        self.gains = Capability.Gains in descriptor.capabilities
        self.fitted = Capability.Fitted in descriptor.capabilities

    @property
    def performances(self) -> st.SearchStrategy[float]:
        """Any one performance that `update_weights` has to take."""
        return st.floats(0.0, 1.0) if self.gains else st.floats(-1e9, 1e9) | st.floats(-3.0, 3.0)

    def random_performances(self, rng: np.random.Generator, members: int) -> tuple[float, ...]:
        """Typical ones: Sharpe ratios per step, or gains."""
        found = rng.random(members) if self.gains else rng.standard_normal(members)
        return tuple(found.tolist())

    def skip_if_fitted(self) -> None:
        """For what a fitted strategy cannot do."""
        if self.fitted:
            pytest.skip("it is fitted to members in their order")

    def rule(self, members: int) -> WeightingRule:
        """The rule itself, from equal weights."""
        return self._make((1.0 / members,) * members, WINDOW, **self._for(members))

    def build(self, answers: Sequence[Answer], **more: Any) -> DynamicWeightedEnsemble:
        """An ensemble with one member per answer, a vote or an exception to raise, named `member-0` and so on."""
        return DynamicWeightedEnsemble(
            [_member(answer) for answer in answers],
            performance_window=WINDOW,
            strategy=self._name,
            names=[f"member-{index}" for index in range(len(answers))],
            emit=lambda _: None,
            clock=SimClock(0),
            **{**self._for(max(len(answers), 1)), **more},
        )

    def _for(self, members: int) -> Mapping[str, object]:
        return self._options if isinstance(self._options, Mapping) else self._options(members)

    def settle(self, ensemble: DynamicWeightedEnsemble) -> None:
        """State equal, good performances, so that nothing stands in the way of a decision."""
        ensemble.update_weights([0.5] * len(ensemble.names))
        assert not ensemble.get_metrics()["abstaining"], "it abstains although every member performs well"

    def settled(self, answers: Sequence[Answer], **more: Any) -> DynamicWeightedEnsemble:
        """An ensemble that is built and settled."""
        ensemble = self.build(answers, **more)
        self.settle(ensemble)
        return ensemble

    def after_returns(self, rows: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The weights of a settled ensemble before and after it realised these returns, a row per round."""
        ensemble = self.settled([CERTAIN["buy"]] * len(rows[0]))
        before = ensemble.weights
        for row in rows:
            for index, value in enumerate(row):
                ensemble.record_return(index, value)
        return before, ensemble.weights


def assert_simplex(weights: Sequence[float], tolerance: float = 1e-9) -> None:
    """Fail unless these are finite, not negative, and sum to one."""
    assert all(isfinite(weight) and weight >= 0.0 for weight in weights), f"not finite or negative: {list(weights)}"
    assert abs(fsum(weights) - 1.0) <= tolerance, f"the sum of {list(weights)} is {fsum(weights)}"


def assert_usable(weights: Sequence[float], active: Sequence[bool]) -> None:
    """Fail unless an ensemble can scale these to weights."""
    assert len(weights) == len(active), f"expected {len(active)} weights, found {list(weights)}"
    assert all(isfinite(weight) and weight >= 0.0 for weight in weights), f"not finite or negative: {list(weights)}"
    on_active = fsum(weight for weight, is_active in zip(weights, active, strict=True) if is_active)
    assert on_active > 0.0, f"no active member has weight: {list(weights)}, active {list(active)}"


def _member(answer: Answer) -> Callable[[object], object]:
    def member(observation: object) -> object:
        if isinstance(answer, Exception):
            raise answer
        scores = np.array(answer)
        return np.tile(scores, (len(observation), 1)) if isinstance(observation, np.ndarray) else scores

    return member
