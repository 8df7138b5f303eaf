"""The part of the suite of explainers about what must not become an explanation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from axon_quant.errors import AxonError
from axon_quant.plugins import Capability
from axon_quant.testing.cases import case
from axon_quant.testing.explained import Asked, Floats, Questions, network, normal


class ModelBrokeError(Exception):
    """What the model of a test raises."""


def broken(_: Floats) -> object:
    """A model that fails."""
    raise ModelBrokeError("out of memory")


MISSHAPEN: list[Callable[[Floats], object]] = [
    lambda answer: answer[:-1],
    lambda answer: np.stack([answer, answer], axis=2),
    lambda answer: answer.astype(str),
    lambda _: 0.5,
    lambda _: None,
]
"""Answers that are no scores."""


def spoilt(value: float) -> Callable[[Floats], object]:
    """One score of the last row is not a finite number."""

    def spoil(answer: Floats) -> Floats:
        answer[-1, 0] = value
        return answer

    return spoil


def calls_of(ask: Callable[[Asked], object]) -> list[int]:
    """Numbers of calls to fail at: the first, one in the middle and the last of those that a question leads to."""
    whole = Asked(network(6, seed=50), network(6, seed=51))
    ask(whole)
    assert whole.calls > 0, "the model was not asked"
    return sorted({0, whole.calls // 2, whole.calls - 1})


def assert_raises(ask: Callable[[Asked], object], bad: Callable[[Floats], object], errors: type[Exception]) -> None:
    """Fail unless a model that goes wrong, at whichever call, ends in one of `errors`."""
    for number in calls_of(ask):
        model = Asked(network(6, seed=50), network(6, seed=51), bad=bad, bad_from=number)
        with pytest.raises(errors):
            ask(model)


class ExplainerRefusals:
    """P-030 to P-039; `ExplainerConformance` has the fixtures."""

    @case("P-030", capability=Capability.Attribution)
    def test_p030_a_model_that_raises_is_no_explanation(self, questions: Questions) -> None:
        """What the model raises, at its first call, later or at the last one, goes through or becomes an AxonError."""
        rows, x = normal(10, 6, seed=52), normal(6, seed=53)
        assert_raises(lambda model: questions.explain(model, x, rows), broken, (ModelBrokeError, AxonError))  # type: ignore[arg-type]

    @case("P-031", capability=Capability.Attribution)
    @pytest.mark.parametrize("bad", MISSHAPEN, ids=["fewer rows", "another axis", "text", "a number", "nothing"])
    def test_p031_scores_of_another_shape_are_refused(
        self, questions: Questions, bad: Callable[[Floats], object]
    ) -> None:
        """A model that returns fewer rows, another axis, text, one number or nothing raises an AxonError."""
        rows, x = normal(10, 6, seed=54), normal(6, seed=55)
        assert_raises(lambda model: questions.explain(model, x, rows), bad, AxonError)

    @case("P-032", capability=Capability.Attribution)
    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_p032_scores_that_are_not_finite_are_refused(self, questions: Questions, value: float) -> None:
        """A model that returns NaN or infinity for a single row raises an AxonError."""
        rows, x = normal(10, 6, seed=56), normal(6, seed=57)
        assert_raises(lambda model: questions.explain(model, x, rows), spoilt(value), AxonError)

    @case("P-033", capability=Capability.Attribution)
    def test_p033_an_observation_that_is_no_numbers_is_refused(self, questions: Questions) -> None:
        """NaN, infinity, text and nothing raise an AxonError, and so does an observation without features."""
        rows, model = normal(10, 4, seed=58), Asked(network(4, seed=59))
        good = normal(4, seed=60)
        for value in (np.nan, np.inf):
            spoilt_x = good.copy()
            spoilt_x[2] = value
            with pytest.raises(AxonError):
                questions.explain(model, spoilt_x, rows)
        for other in (np.array(["a", "b", "c", "d"]), None, np.empty(0)):
            with pytest.raises(AxonError):
                questions.explain(model, other, rows)

    @case("P-034", capability=Capability.Attribution)
    def test_p034_a_background_that_does_not_fit_is_refused(self, questions: Questions) -> None:
        """Another width, no rows, NaN and text raise an AxonError."""
        rows, x, model = normal(10, 4, seed=61), normal(4, seed=62), Asked(network(4, seed=63))
        nan = rows.copy()
        nan[3, 1] = np.nan
        for bad in (normal(10, 3), normal(10, 5), rows[:0], nan, rows.astype(str).astype(object) + "x"):
            with pytest.raises(AxonError):
                questions.explain(model, x, bad)

    @case("P-035", capability=Capability.Attribution)
    @pytest.mark.parametrize("action", ["no-such-action", 3, -1, 1.5])
    def test_p035_an_unknown_action_is_refused(self, questions: Questions, action: object) -> None:
        """A name or an index that is none of the model's raises an AxonError."""
        rows, x, model = normal(10, 4, seed=64), normal(4, seed=65), Asked(network(4, seed=66))
        with pytest.raises(AxonError):
            questions.explain(model, x, rows, action)
