"""Models whose explanations are known, and what asks an explainer about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from math import factorial
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from axon_quant.errors import UnsupportedError
from axon_quant.explain import Attribution, CounterfactualExplainer, DecisionReport, Explainer, Flip, Flips, Reporter
from axon_quant.inference.action import TRADING_ACTIONS
from axon_quant.plugins import Capability, ExplainerDescriptor

Floats: TypeAlias = NDArray[np.float64]
Score: TypeAlias = Callable[[Floats], Floats]
"""`[batch, …shape]` → `[batch]`."""

BUY = 0
EXACT = 1e-6
"""Of the size of the importances: what an exact explanation may be off by."""
CONFIDENCE = 5.0
"""Standard errors that a sampled explanation may be off by."""
METHODS = {
    Capability.Attribution: "explain",
    Capability.Counterfactuals: "generate",
    Capability.Reports: "generate_report",
}


class Asked:
    """A function of a batch with three outputs, which counts the rows it is asked about.

    Its first output is `score`, which is what is explained; the others are `other`'s and zero. At call number
    `bad_from` (counted from 0) and after, it answers with what `bad` makes of the answer, which may raise.
    """

    def __init__(
        self,
        score: Score,
        other: Score | None = None,
        *,
        bad: Callable[[Floats], object] | None = None,
        bad_from: int = 0,
    ) -> None:
        self.rows = self.calls = 0
        self._score = score
        self._other = other
        self._bad = bad
        self._bad_from = bad_from

    def __call__(self, batch: Floats) -> Any:
        batch = np.asarray(batch, np.float64)
        answer = self.answer(batch)
        self.rows += len(batch)
        self.calls += 1
        if self._bad is not None and self.calls > self._bad_from:
            return self._bad(answer)
        return answer

    def answer(self, batch: Floats) -> Floats:
        """`[batch, 3]`, uncounted."""
        batch = np.asarray(batch, np.float64)
        score = self._score(batch)
        other = np.zeros(len(batch)) if self._other is None else self._other(batch)
        return np.stack([score, other, np.zeros(len(batch))], axis=1)

    def decision(self, observation: object) -> str:
        """What a trader would do; on a tie `hold`."""
        scores = self.answer(np.asarray(observation, np.float64)[None])[0]
        best = np.flatnonzero(scores >= scores.max() - 1e-9)
        return TRADING_ACTIONS[int(best[0]) if len(best) == 1 else 2]


class Questions:
    """Makes explainers as a test wants them. `folder` is an empty one of the test's own."""

    def __init__(
        self,
        descriptor: ExplainerDescriptor,
        make: Callable[..., object],
        options: Mapping[str, object],
        folder: Path,
    ) -> None:
        self.descriptor = descriptor
        self.folder = folder
        self._make = make
        self._options = options

    def need(self, capability: Capability) -> None:
        """Skip the test where that is not declared; P-003 asks for it all the same."""
        if capability not in self.descriptor.capabilities:
            pytest.skip(f"{capability.value} is not declared")

    def explainer(self, model: object, **options: object) -> object:
        """One for this model."""
        return self._make(model, **{**self._options, **options})

    def constrained(self, model: object, **options: object) -> object:
        """The same, but the test is skipped where an explainer knows no such constraint."""
        try:
            return self.explainer(model, **options)
        except (TypeError, UnsupportedError) as error:
            pytest.skip(f"it takes no {', '.join(options)}: {error}")

    def call(self, capability: Capability, explainer: object, *arguments: object, **more: object) -> object:
        """What stands for a capability. A method that is not there is a refusal, as UnsupportedError is."""
        method = getattr(explainer, METHODS[capability], None)
        if method is None:
            raise UnsupportedError(f"{type(explainer).__name__} has no method {METHODS[capability]}")
        return method(*arguments, **more)

    def explain(
        self, model: object, x: object, background: object, action: object = BUY, **options: object
    ) -> Attribution:
        """An attribution; the test is skipped where none is declared."""
        self.need(Capability.Attribution)
        made = cast("Explainer", self.explainer(model, **options))
        return made.explain(x, action, background_data=background)  # type: ignore[arg-type]

    def search(self, model: object, x: object, background: object, *, made: object = None, **asked: object) -> Flips:
        """Counterfactuals; the test is skipped where none are declared."""
        self.need(Capability.Counterfactuals)
        made = cast("CounterfactualExplainer", made or self.explainer(model))
        return made.generate(x, background_data=background, **asked)  # type: ignore[arg-type]

    def report(self, model: object, x: object, background: object, action: object = None) -> DecisionReport:
        """A report; the test is skipped where none are declared."""
        self.need(Capability.Reports)
        made = cast("Reporter", self.explainer(model, background_data=background))
        return made.generate_report(x, action)  # type: ignore[arg-type]


def items(found: Flips) -> list[Flip]:
    """The results as a list."""
    return [found[index] for index in range(len(found))]


def normal(*shape: int, seed: int = 0) -> Floats:
    """Standard normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape)


def linear(weights: Floats, constant: float = 0.5) -> Score:
    """w·x + c."""
    return lambda batch: batch.reshape(len(batch), -1) @ weights + constant


def pairwise(weights: Floats) -> Score:
    """Σ aᵢⱼ xᵢ xⱼ over all pairs; `weights` is square, and its upper half counts."""
    upper = np.triu(weights, 1)
    return lambda batch: np.einsum("bi,ij,bj->b", batch, upper, batch)


def pairwise_values(weights: Floats, x: Floats, rows: Floats) -> Floats:
    """The Shapley values of `pairwise`: a(xᵢ−bᵢ)(xⱼ+bⱼ)/2 for each pair, averaged over the background."""
    both = np.triu(weights, 1) + np.triu(weights, 1).T
    found = [(x - row) * (both @ (x + row)) / 2.0 for row in rows]
    return cast("Floats", np.mean(found, axis=0))


def network(features: int, seed: int = 0) -> Score:
    """A small network with a tanh."""
    first, second = normal(features, 8, seed=seed), normal(8, seed=seed + 1)
    return lambda batch: np.tanh(batch @ first) @ second


def enumerated(score: Score, x: Floats, rows: Floats) -> Floats:
    """Shapley values by the definition, over all coalitions."""
    count, values = len(x), dict[frozenset[int], float]()
    for size in range(count + 1):
        for members in combinations(range(count), size):
            mixed = rows.copy()
            mixed[:, list(members)] = x[list(members)]
            values[frozenset(members)] = float(score(mixed).mean())
    found = np.zeros(count)
    for coalition, value in values.items():
        for player in set(range(count)) - coalition:
            size = len(coalition)
            weight = factorial(size) * factorial(count - size - 1) / factorial(count)
            found[player] += weight * (values[coalition | {player}] - value)
    return found


def assert_importances(found: Attribution, expected: Floats, *, exact: float = EXACT) -> None:
    """Fail unless the importances are these, within what the explanation itself says it may be off by."""
    importances = np.asarray(found.feature_importances)
    assert importances.shape == expected.shape, f"importances: expected {expected.shape}, found {importances.shape}"
    size = float(np.sqrt(np.mean(expected**2))) or 1.0
    error = float(np.sqrt(np.mean((importances - expected) ** 2)))
    allowed = exact * size + CONFIDENCE * float(found.error_estimate)
    assert error <= allowed, (
        f"off by {error:.3g} on average, and error_estimate {found.error_estimate:.3g} allows {allowed:.3g}: "
        f"expected {expected[:8]}, found {importances[:8]}"
    )
    assert float(found.error_estimate) <= 0.2 * size, f"the error estimate {found.error_estimate} says nothing"


def same(first: object, second: object) -> bool:
    """The same shape, type and bits."""
    a, b = np.asarray(first), np.asarray(second)
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
