"""The part of the suite of explainers about attributions: held to closed forms and to the axioms."""

from __future__ import annotations

import random

import numpy as np
import pytest

from axon_quant.ensemble import DynamicWeightedEnsemble
from axon_quant.errors import AxonError
from axon_quant.explain import Attribution
from axon_quant.inference.action import TRADING_ACTIONS, Action
from axon_quant.plugins import Capability
from axon_quant.testing.cases import case
from axon_quant.testing.explained import (
    BUY,
    CONFIDENCE,
    EXACT,
    Asked,
    Floats,
    Questions,
    assert_importances,
    enumerated,
    linear,
    network,
    normal,
    pairwise,
    pairwise_values,
    same,
)

MANY = 100


class Attributions:
    """P-010 to P-029; `ExplainerConformance` has the fixtures."""

    @case("P-010", capability=Capability.Attribution)
    def test_p010_a_linear_model_is_explained_exactly(self, questions: Questions) -> None:
        """The importance of a feature is its weight times its distance from the mean of the background, for all 20."""
        weights, rows, x = normal(20, seed=1), normal(100, 20, seed=2), normal(20, seed=3)
        found = questions.explain(Asked(linear(weights)), x, rows)
        assert_importances(found, weights * (x - rows.mean(axis=0)))

    @case("P-011", capability=Capability.Attribution)
    def test_p011_an_interaction_is_shared_by_both(self, questions: Questions) -> None:
        """Of a·xᵢ·xⱼ each has a(xᵢ−bᵢ)(xⱼ+bⱼ)/2, averaged over the background."""
        weights, rows, x = normal(10, 10, seed=4), normal(8, 10, seed=5), normal(10, seed=6)
        found = questions.explain(Asked(pairwise(weights)), x, rows)
        assert_importances(found, pairwise_values(weights, x, rows))

    @case("P-012", capability=Capability.Attribution)
    def test_p012_a_network_is_explained_as_by_the_definition(self, questions: Questions) -> None:
        """Importances are those of an enumeration of all coalitions, within the error that is stated."""
        score, rows, x = network(7, seed=7), normal(10, 7, seed=8), normal(7, seed=9)
        found = questions.explain(Asked(score), x, rows)
        assert_importances(found, enumerated(score, x, rows))

    @case("P-013", capability=Capability.Attribution)
    def test_p013_equals_are_treated_equally(self, questions: Questions) -> None:
        """Two features that the model uses alike, with the same values and background, have the same importance."""
        rows, x = normal(10, 6, seed=10), normal(6, seed=11)
        rows[:, 4], x[4] = rows[:, 1], x[1]

        def score(batch: Floats) -> Floats:
            return np.asarray(np.tanh(batch[:, 1] + batch[:, 4]) * batch[:, 0] + batch[:, 2])

        found = questions.explain(Asked(score), x, rows)
        first, second = (float(found.feature_importances[index]) for index in (1, 4))
        assert abs(first - second) <= EXACT * abs(first) + CONFIDENCE * _of_one(found)

    @case("P-014", capability=Capability.Attribution)
    def test_p014_what_is_not_used_has_no_importance(self, questions: Questions) -> None:
        """A feature that the model does not look at has the importance 0, whatever its values."""
        rows, x = normal(12, 6, seed=12), normal(6, seed=13)
        rows[:, 3] *= 1e3
        used = [0, 1, 2, 4, 5]
        found = questions.explain(Asked(lambda batch: network(5, seed=14)(batch[:, used])), x, rows)
        size = float(np.abs(found.feature_importances).max())
        assert abs(float(found.feature_importances[3])) <= EXACT * size + CONFIDENCE * _of_one(found)

    @case("P-015", capability=Capability.Attribution)
    def test_p015_importances_add_up(self, questions: Questions) -> None:
        """The base value, the mean score over the background, and the importances make up the score; a gap is told."""
        model, rows, x = Asked(network(9, seed=15)), normal(15, 9, seed=16), normal(9, seed=17)
        found = questions.explain(model, x, rows)
        base, score = float(model.answer(rows)[:, BUY].mean()), float(model.answer(x[None])[0, BUY])
        size = abs(score - base)
        assert abs(float(found.base_value) - base) <= EXACT * max(abs(base), size)
        gap = score - float(found.base_value) - float(np.sum(found.feature_importances))
        assert abs(float(found.additivity_gap) - gap) <= EXACT * size, f"the gap is {gap}, not {found.additivity_gap}"
        assert abs(gap) <= EXACT * size + CONFIDENCE * _of_one(found)

    @case("P-016", capability=Capability.Attribution)
    def test_p016_every_row_of_the_background_counts(self, questions: Questions) -> None:
        """No row is left out, sampled away or merged into a mean: a single outlier among 300 moves the base value."""
        rows, x = normal(300, 4, seed=18), normal(4, seed=19)
        rows[297] = 40.0
        model = Asked(lambda batch: np.asarray((batch**2).sum(axis=1)))
        found = questions.explain(model, x, rows)
        assert_importances(found, x**2 - (rows**2).mean(axis=0))
        assert float(found.base_value) == pytest.approx(float((rows**2).sum(axis=1).mean()), rel=1e-6)

    @case("P-017", capability=Capability.Attribution, skip_when="it refuses so many features")
    def test_p017_more_than_64_features(self, questions: Questions) -> None:
        """A linear model of 100 features, and pairs among 80, are explained as fewer are, or refused."""
        weights, rows, x = normal(MANY, seed=20), normal(20, MANY, seed=21), normal(MANY, seed=22)
        pairs, row, y = normal(80, 80, seed=23), normal(1, 80, seed=24), normal(80, seed=25)
        try:
            found = questions.explain(Asked(linear(weights)), x, rows)
            second = questions.explain(Asked(pairwise(pairs)), y, row)
        except AxonError as error:
            pytest.skip(f"it refuses so many features: {error}")
        assert_importances(found, weights * (x - rows.mean(axis=0)))
        assert len(set(found.feature_names)) == MANY
        assert_importances(second, pairwise_values(pairs, y, row), exact=1e-3)

    @case("P-018", capability=Capability.Attribution)
    def test_p018_a_window_is_explained(self, questions: Questions) -> None:
        """An observation [4, 3] has importances that are named apart and add up, whatever is taken as one feature."""
        weights, rows, x = normal(12, seed=26), normal(10, 4, 3, seed=27), normal(4, 3, seed=28)
        found = questions.explain(Asked(linear(weights)), x, rows)
        parts = weights * (x - rows.mean(axis=0)).ravel()
        assert len(found.feature_names) == len(set(found.feature_names)) == len(found.feature_importances)
        allowed = EXACT * float(np.abs(parts).sum()) + CONFIDENCE * _of_one(found)
        assert abs(float(np.sum(found.feature_importances)) - float(parts.sum())) <= allowed

    @case("P-019", capability=Capability.Attribution)
    def test_p019_whatever_decides_can_be_explained(self, questions: Questions) -> None:
        """An ensemble and a classifier have the importances that a function of the same outputs has."""
        score, rows, x = network(5, seed=29), _float32(normal(10, 5, seed=30)), _float32(normal(5, seed=31))

        def probabilities(batch: Floats) -> Floats:
            powers = np.exp(np.stack([score(batch), -score(batch), 0.1 * batch[:, 0]], axis=1))
            return np.asarray(powers / powers.sum(axis=1, keepdims=True))

        expected = enumerated(lambda batch: probabilities(batch)[:, BUY], x, rows)

        def member(batch: Floats) -> Floats:  # an ensemble asks about one observation, or about a batch
            return probabilities(np.atleast_2d(batch)) if np.ndim(batch) > 1 else probabilities(batch[None])[0]

        for model in (DynamicWeightedEnsemble([member]), _Classifier(probabilities)):
            assert_importances(questions.explain(model, x, rows, "buy"), expected, exact=1e-4)

    @case("P-020", capability=Capability.Attribution)
    @pytest.mark.parametrize("index", range(3))
    def test_p020_the_action_may_be_named_in_every_way(self, questions: Questions, index: int) -> None:
        """By Action, index and name it is the same output; by default it is the one with the highest score."""
        rows, x = normal(10, 4, seed=32), normal(4, seed=33)
        model = Asked(network(4, seed=34), network(4, seed=44))
        name = TRADING_ACTIONS[index]
        scores = tuple(model.answer(x[None])[0].tolist())
        ways: list[object] = [index, name, Action(name, index, 0.5, scores)]
        if index == int(np.argmax(scores)):
            ways.append(None)
        first, *others = (questions.explain(model, x, rows, way) for way in ways)
        expected = enumerated(lambda batch: model.answer(batch)[:, index], x, rows)
        if index != len(TRADING_ACTIONS) - 1:
            assert_importances(first, expected)
        for other in others:
            assert same(first.feature_importances, other.feature_importances)

    @case("P-021", capability=Capability.Attribution)
    def test_p021_every_field_is_there(self, questions: Questions) -> None:
        """Names, importances in float64, an error of at least 0, the method, and how many rows it asked about."""
        model, rows, x = Asked(network(6, seed=35)), normal(10, 6, seed=36), normal(6, seed=37)
        found = questions.explain(model, x, rows)
        importances = np.asarray(found.feature_importances)
        assert importances.dtype == np.float64
        assert importances.shape == (6,)
        assert np.isfinite(importances).all()
        assert len(found.feature_names) == len(set(found.feature_names)) == 6
        assert all(isinstance(name, str) and name for name in found.feature_names)
        assert np.isfinite([found.base_value, found.additivity_gap]).all()
        assert float(found.error_estimate) >= 0.0
        assert isinstance(found.method, str)
        assert found.method
        assert found.evaluations == model.rows > 0

    @case("P-022", capability=Capability.Attribution)
    def test_p022_the_same_question_has_the_same_answer(self, questions: Questions) -> None:
        """Bit for bit, whatever the state of the global random generators, which stay as they were."""
        weights, rows, x = normal(14, 14, seed=38), normal(5, 14, seed=39), normal(14, seed=40)
        found = []
        for seed in (1, 2):
            np.random.seed(seed)
            random.seed(seed)
            before = np.random.get_state()[1].tobytes(), random.getstate()  # type: ignore[index]
            found.append(questions.explain(Asked(pairwise(weights)), x, rows))
            after = np.random.get_state()[1].tobytes(), random.getstate()  # type: ignore[index]
            assert before == after, "a global random generator was used"
        first, second = found
        assert same(first.feature_importances, second.feature_importances)
        assert (first.base_value, first.error_estimate) == (second.base_value, second.error_estimate)

    @case("P-023", capability=Capability.Attribution)
    def test_p023_what_it_is_given_stays_as_it_was(self, questions: Questions) -> None:
        """Observation and background may be read-only, and are not written to."""
        model, rows, x = Asked(network(5, seed=41)), normal(10, 5, seed=42), normal(5, seed=43)
        before = x.tobytes(), rows.tobytes()
        questions.explain(model, x, rows)
        assert (x.tobytes(), rows.tobytes()) == before
        for array in (rows, x):
            array.setflags(write=False)
        questions.explain(model, x, rows)

    @case("P-024", capability=Capability.Attribution)
    def test_p024_where_nothing_differs_nothing_matters(self, questions: Questions) -> None:
        """An observation that is its own background, and a constant model, have importances of 0."""
        x = normal(5, seed=45)
        for model, rows in (
            (Asked(network(5, seed=46)), x[None]),
            (Asked(lambda batch: np.full(len(batch), 0.25)), normal(10, 5, seed=47)),
        ):
            found = questions.explain(model, x, rows)
            assert np.abs(found.feature_importances).max() <= EXACT + CONFIDENCE * _of_one(found)


def _of_one(found: Attribution) -> float:
    """What one importance may be off by where the mean square over all is the error estimate."""
    return float(found.error_estimate) * float(np.sqrt(len(found.feature_importances)))


def _float32(values: Floats) -> Floats:
    """Values that models which serve get unchanged."""
    return values.astype(np.float32).astype(np.float64)


class _Classifier:
    """What scikit-learn's classifiers look like."""

    def __init__(self, probabilities: object) -> None:
        self.predict_proba = probabilities
        self.classes_ = np.array(TRADING_ACTIONS)
