"""What sets the built-in strategies apart; what all of them share is the conformance suite's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_quant.ensemble import DynamicWeightedEnsemble, WeightedVoting
from axon_quant.errors import EnsembleError

BUY, SELL, HOLD = np.eye(3)


def voter(*scores):
    return lambda _: np.array(scores)


def ensemble_of(*members, **options):
    return DynamicWeightedEnsemble(list(members), actions=("buy", "sell", "hold"), **options)


def realise(ensemble, rows):
    for row in rows:
        for index, value in enumerate(row):
            ensemble.record_return(index, value)


def test_hard_voting_counts_heads_where_soft_voting_weighs_certainty():
    members = [voter(0.9, 0.1, 0.0), voter(0.4, 0.6, 0.0), voter(0.4, 0.6, 0.0)]
    found = {
        strategy: ensemble_of(*members, strategy=strategy, initial_weights=[0.6, 0.2, 0.2]).predict(None)
        for strategy in ("hard-voting", "soft-voting", "weighted-voting")
    }
    assert {strategy: action.name for strategy, action in found.items()} == {
        "hard-voting": "sell",
        "soft-voting": "buy",
        "weighted-voting": "buy",
    }
    assert found["hard-voting"].scores == pytest.approx((1 / 3, 2 / 3, 0.0))


@given(
    st.lists(
        st.tuples(
            st.floats(0.01, 1), st.lists(st.sampled_from([0.0, 0.1, 0.3, 0.3 + 1e-10, 0.5]), min_size=3, max_size=3)
        ),
        min_size=1,
        max_size=6,
    )
)
def test_three_actions_are_counted_like_any_number(members):
    """With a fourth action that nobody wants."""
    weights, votes = zip(*members, strict=True)
    rule = WeightedVoting(weights, 10)
    more = rule.combine(weights, [[*vote, -1.0] for vote in votes])
    assert list(rule.combine(weights, votes)) == pytest.approx(more[:3])


def test_a_member_without_weight_has_no_vote_in_hard_voting():
    members = [voter(*SELL), voter(*BUY), voter(*BUY)]
    assert ensemble_of(*members, strategy="hard-voting", initial_weights=[1, 0, 0]).predict(None).name == "sell"


def test_inverse_variance_prefers_the_steady_whatever_they_earn():
    rng = np.random.default_rng(0)
    steady, wild = 1e-3 * rng.standard_normal(400) - 1e-3, 4e-3 * rng.standard_normal(400) + 2e-3
    ensemble = ensemble_of(voter(*BUY), voter(*SELL), strategy="inverse-variance", cap=0.99)
    realise(ensemble, zip(steady, wild, strict=True))
    assert ensemble.weights[0] == pytest.approx(16 / 17, abs=0.03)


@pytest.mark.parametrize(("penalty", "share"), [(0.0, 2 / 3), (1.0, 1 / 2)])
def test_with_a_correlation_penalty_two_copies_weigh_as_much_as_one(penalty, share):
    rng = np.random.default_rng(1)
    one, other = 1e-3 * rng.standard_normal((2, 600))
    one, other = one - one.mean(), other - other.mean()  # equally good
    ensemble = ensemble_of(*[voter(*BUY)] * 3, correlation_penalty=penalty, performance_window=600, temperature=100.0)
    realise(ensemble, zip(one, one, other, strict=True))
    assert ensemble.weights[0] + ensemble.weights[1] == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize(
    ("strategy", "options", "message"),
    [
        ("hedge", {"eta": 0.0}, "eta is 0.0"),
        ("hedge", {"eta": float("nan")}, "eta is nan"),
        ("hedge", {"horizon": 0}, "horizon is 0"),
        ("hedge", {"eta": 0.1, "horizon": 5}, "expected one of the two"),
        ("boa", {"eta": 0.6}, r"eta is 0\.6"),
        ("adahedge", {"return_bound": float("inf")}, "return_bound is inf"),
        ("ml-poly", {"return_bound": -1.0}, r"return_bound is -1\.0"),
        ("inverse-variance", {"floor": 0.9}, "floor, cap is"),
        ("softmax-sharpe", {"correlation_penalty": 1.5}, r"correlation_penalty is 1\.5"),
    ],
)
def test_options_out_of_range_are_refused(strategy, options, message):
    with pytest.raises(EnsembleError, match=message):
        ensemble_of(voter(*BUY), voter(*SELL), strategy=strategy, **options)


@pytest.mark.parametrize("strategy", ["hedge", "adahedge", "boa", "ml-poly"])
def test_online_strategies_come_to_follow_the_best(strategy):
    rng = np.random.default_rng(2)
    rows = 1e-3 * rng.standard_normal((800, 3)) + np.array([0.0, 6e-4, -3e-4])
    ensemble = ensemble_of(*[voter(*BUY)] * 3, strategy=strategy)
    realise(ensemble, rows)
    assert ensemble.weights[1] > 0.5
