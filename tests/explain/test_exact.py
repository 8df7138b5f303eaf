"""Few features: Shapley values by enumeration."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axon_quant.errors import ExplainError
from axon_quant.explain import KernelSHAP


def test_enumeration_agrees_with_the_definition(perceptron, by_orders, noise):
    model, x, rows = perceptron(5), noise(5), noise(4, 5, seed=1)
    found = KernelSHAP(model).explain(x, 0, rows)
    assert (found.method, found.error_estimate) == ("exact", 0.0)
    np.testing.assert_allclose(found.feature_importances, by_orders(model, x, rows), atol=1e-12)


def test_twelve_features_are_enumerated_and_thirteen_are_not(perceptron, noise):
    for features, method in ((12, "exact"), (13, "paired-leverage")):
        found = KernelSHAP(perceptron(features)).explain(noise(features), 0, noise(2, features, seed=1))
        assert found.method == method


def test_a_budget_for_all_coalitions_is_spent_on_them(perceptron, noise):
    found = KernelSHAP(perceptron(13), budget=1 << 13).explain(noise(13), 0, noise(2, 13, seed=1))
    assert (found.method, found.evaluations) == ("exact", (1 << 13) * 2)


def test_enumeration_that_would_not_end_is_refused(noise):
    with pytest.raises(ExplainError, match="21 players have too many coalitions"):
        KernelSHAP(lambda batch: batch.sum(axis=1), engine="exact").explain(noise(21), 0, noise(1, 21, seed=1))


games = st.integers(0, 10_000).map(np.random.default_rng)


@st.composite
def observations(draw, largest=6):
    """An observation with its background, of numbers that a test can compare."""
    features = draw(st.integers(1, largest))
    number = st.floats(-100, 100, allow_nan=False).map(lambda value: round(value, 3))
    row = st.lists(number, min_size=features, max_size=features)
    return np.array(draw(row)), np.array(draw(st.lists(row, min_size=1, max_size=4)))


def tangled(rng, features):
    """Something with interactions of every kind."""
    weights, pairs = rng.standard_normal(features), rng.standard_normal((features, features))
    return lambda batch: np.tanh(batch @ weights / 50) + np.einsum("bi,ij,bj->b", batch, pairs, batch) / 1e3


@given(observations(), games)
def test_importances_add_up_to_the_score(given_data, rng):
    x, rows = given_data
    found = KernelSHAP(tangled(rng, x.size)).explain(x, 0, rows)
    assert found.base_value + found.feature_importances.sum() == pytest.approx(found.score, abs=1e-9)
    assert abs(found.additivity_gap) < 1e-9


@given(observations(), games)
def test_features_that_the_model_treats_alike_and_that_are_alike_get_the_same(given_data, rng):
    x, rows = given_data
    x, rows = np.append(x, x[0]), np.concatenate([rows, rows[:, :1]], axis=1)
    inner = tangled(rng, x.size - 1)

    def model(batch):
        merged = batch[:, :-1].copy()
        merged[:, 0] = batch[:, 0] * batch[:, -1]
        return inner(merged)

    found = KernelSHAP(model).explain(x, 0, rows).feature_importances
    assert found[0] == pytest.approx(found[-1], abs=1e-7 * (1 + abs(found).max()))


@given(observations(), games)
def test_a_feature_that_the_model_ignores_gets_nothing(given_data, rng):
    x, rows = given_data
    inner = tangled(rng, x.size)
    x, rows = np.append(x, 7.0), np.concatenate([rows, np.full((len(rows), 1), -3.0)], axis=1)
    found = KernelSHAP(lambda batch: inner(batch[:, :-1])).explain(x, 0, rows).feature_importances
    assert found[-1] == pytest.approx(0.0, abs=1e-9)


@given(observations(), games)
def test_a_feature_that_is_as_in_the_background_gets_exactly_nothing(given_data, rng):
    x, rows = given_data
    rows[:, 0] = x[0]
    assert KernelSHAP(tangled(rng, x.size)).explain(x, 0, rows).feature_importances[0] == 0.0


@given(observations(), games, st.floats(-3, 3), st.floats(-3, 3))
def test_importances_of_a_mixture_of_models_are_the_mixture_of_theirs(given_data, rng, a, b):
    x, rows = given_data
    one, two = tangled(rng, x.size), tangled(rng, x.size)
    parts = [KernelSHAP(model).explain(x, 0, rows).feature_importances for model in (one, two)]
    whole = KernelSHAP(lambda batch: a * one(batch) + b * two(batch)).explain(x, 0, rows).feature_importances
    np.testing.assert_allclose(whole, a * parts[0] + b * parts[1], atol=1e-8)


@given(observations(), games, st.randoms())
def test_importances_move_with_their_features(given_data, rng, random):
    x, rows = given_data
    model, order = tangled(rng, x.size), list(range(x.size))
    random.shuffle(order)
    back = np.argsort(order)
    found = KernelSHAP(model).explain(x, 0, rows).feature_importances
    moved = KernelSHAP(lambda batch: model(batch[:, back])).explain(x[order], 0, rows[:, order]).feature_importances
    np.testing.assert_allclose(moved, found[order], atol=1e-9)


@settings(max_examples=25)
@given(observations(largest=40), games)
def test_a_linear_model_has_its_closed_form_whatever_the_engine(given_data, rng):
    x, rows = given_data
    weights = rng.standard_normal(x.size)
    found = KernelSHAP(lambda batch: batch @ weights).explain(x, 0, rows)
    np.testing.assert_allclose(found.feature_importances, weights * (x - rows.mean(axis=0)), atol=1e-6)
