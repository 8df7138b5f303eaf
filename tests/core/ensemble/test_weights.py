"""Weights: what is refused, how they move, and what must hold whatever happens."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axon_quant.ensemble import DynamicWeightedEnsemble
from axon_quant.ensemble.performance import Rolling
from axon_quant.ensemble.simplex import bounded
from axon_quant.errors import EnsembleError
from axon_quant.events import WeightsChanged

BUY, SELL, HOLD = np.eye(3)
STRATEGIES = ["softmax-sharpe", "weighted-voting"]
finite = st.floats(allow_nan=False, allow_infinity=False)
small = st.floats(-0.1, 0.1)


def buy(x):
    return BUY if x is None else np.array([BUY] * len(x))


def ensemble_of(count, strategy="softmax-sharpe", **options):
    return DynamicWeightedEnsemble([buy] * count, strategy=strategy, actions=("buy", "sell", "hold"), **options)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([0.5], "expected 2 weights, one per model, found 1"),
        ([0.5, 0.3, 0.2], "found 3"),
        ([0.5, -0.1], "weight 1 is -0.1"),
        ([math.nan, 0.5], "weight 0 is nan"),
        ([0.5, math.inf], "weight 1 is inf"),
        ([-math.inf, math.inf], "weight 0 is -inf"),
        ([0, 0], "sum to zero"),
    ],
)
def test_initial_weights_that_cannot_be_used_are_refused(strategy, weights, message):
    with pytest.raises(EnsembleError, match=f"initial_weights: .*{message}"):
        ensemble_of(2, strategy, initial_weights=weights)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"performance_window": 1}, "performance_window is 1"),
        ({"max_failures": 0}, "max_failures is 0"),
        ({"names": ["a", "a"]}, "expected 2 different ones"),
        ({"names": ["a"]}, "expected 2 different ones"),
        ({"floor": 0.9}, "floor, cap is"),
        ({"smoothing": math.nan}, "smoothing is nan"),
        ({"temperature": 0.0}, "temperature is"),
        ({"minimum_count": 101}, "minimum_count is 101"),
        ({"all_negative": "panic"}, "all_negative is panic"),
        ({"colour": "red"}, "softmax-sharpe cannot be made with"),
    ],
)
def test_options_that_cannot_be_used_are_refused(options, message):
    with pytest.raises(EnsembleError, match=message):
        ensemble_of(2, **options)


def test_no_models_are_refused(strategy):
    with pytest.raises(EnsembleError, match="at least one model"):
        DynamicWeightedEnsemble([], strategy=strategy)


@pytest.mark.parametrize("performances", [[0.1], [0.1, math.nan], [0.1, math.inf], [0.1, 0.2, 0.3]])
def test_performances_that_cannot_be_used_are_refused_and_nothing_moves(make, strategy, performances):
    ensemble = make([buy] * 2, strategy=strategy)
    with pytest.raises(EnsembleError, match="expected"):
        ensemble.update_weights(performances=performances)
    assert ensemble.weights == (0.5, 0.5)


@pytest.mark.parametrize(
    ("model", "value"), [(2, 0.1), (-1, 0.1), ("nobody", 0.1), (0, math.nan), (0, -math.inf), (0, 1e200)]
)
def test_returns_that_cannot_be_used_are_refused(make, strategy, model, value):
    with pytest.raises(EnsembleError):
        make([buy] * 2, strategy=strategy).record_return(model, value)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_update_weights_moves_at_once_and_says_so(strategy):
    events = []
    ensemble = ensemble_of(3, strategy, emit=events.append, names=["a", "b", "c"])
    ensemble.update_weights(performances=[0.1, 0.3, 0.2])
    a, b, c = ensemble.weights
    assert b > c > a
    (event,) = events
    assert isinstance(event, WeightsChanged)
    assert (event.members, event.weights) == (("a", "b", "c"), ensemble.weights)
    assert ensemble.get_metrics()["turnover"] > 0
    assert ensemble.get_metrics()["effective_n"] == pytest.approx(1 / (a * a + b * b + c * c))


def test_softmax_has_the_temperature_of_the_window():
    ensemble = ensemble_of(2, performance_window=64, cap=1.0, floor=0.0)
    ensemble.update_weights([0.25, 0.125])
    assert ensemble.weights[0] / ensemble.weights[1] == pytest.approx(math.exp(0.125 * 8))


def test_initial_weights_stay_until_every_member_has_the_minimum_count():
    ensemble = ensemble_of(2, performance_window=50, initial_weights=[0.7, 0.3], minimum_count=10)
    for step in range(9):
        ensemble.record_return(0, -0.01 + 0.001 * (step % 3))
        ensemble.record_return(1, 0.01 + 0.001 * (step % 3))
    ensemble.record_return(1, 0.01)
    assert ensemble.weights == pytest.approx((0.7, 0.3), abs=0)
    ensemble.record_return(0, -0.01)
    assert ensemble.weights[1] > 0.3


def test_a_better_member_gains_weight_slowly_and_up_to_the_cap():
    ensemble = ensemble_of(2, performance_window=20, smoothing=0.05)
    previous = ensemble.weights[0]
    for step in range(400):
        ensemble.record_return(0, 0.01 + 0.005 * (-1) ** step)
        ensemble.record_return(1, -0.01 + 0.005 * (-1) ** step)
        assert abs(ensemble.weights[0] - previous) <= 0.05 + 1e-12
        assert ensemble.weights[0] >= previous - 1e-12
        previous = ensemble.weights[0]
    assert ensemble.weights == pytest.approx((0.8, 0.2))
    metrics = ensemble.get_metrics()
    assert metrics["member_sharpe"]["buy"] > 0 > metrics["member_sharpe"]["buy-2"]


def test_a_member_that_hardly_moves_does_not_win_by_dividing_through_nothing():
    ensemble = ensemble_of(3, performance_window=20)
    rng = np.random.default_rng(5)
    for _ in range(20):
        ensemble.record_return(0, 1e-9)
        ensemble.record_return(1, rng.normal(0.001, 0.01))
        ensemble.record_return(2, rng.normal(0.001, 0.01))
    assert abs(ensemble.get_metrics()["member_sharpe"]["buy"]) < 1e-3


def test_when_all_lose_the_weights_head_for_equal_ones():
    ensemble = ensemble_of(3, initial_weights=[0.8, 0.1, 0.1])
    ensemble.update_weights([-0.5, -0.1, -0.3])
    assert ensemble.weights == pytest.approx((1 / 3,) * 3)
    assert ensemble.predict(None).name == "buy"


def test_when_all_lose_an_abstaining_ensemble_stands_aside_and_says_so():
    ensemble = ensemble_of(2, initial_weights=[0.8, 0.2], all_negative="abstain")
    ensemble.update_weights([-0.5, -0.1])
    action = ensemble.predict(None)
    assert (action.name, action.scores, len(action.members)) == ("hold", (0.0, 0.0, 1.0), 2)
    assert ensemble.get_metrics()["abstaining"]
    assert ensemble.weights == pytest.approx((0.8, 0.2))
    assert ensemble.infer(np.zeros((2, 4))).tolist() == [[0.0, 0.0, 1.0]] * 2
    ensemble.update_weights([-0.5, 0.1])
    assert ensemble.predict(None).name == "buy"


def test_abstaining_needs_an_action_hold():
    with pytest.raises(EnsembleError, match="needs an action 'hold'"):
        DynamicWeightedEnsemble([lambda x: [1.0, 0.0]], actions=("up", "down"), all_negative="abstain")


def test_the_sharpe_of_the_ensemble_is_of_its_own_returns():
    ensemble = ensemble_of(2, "weighted-voting", initial_weights=[0.75, 0.25])
    assert math.isnan(ensemble.get_metrics()["sharpe"])
    returns = [(0.01, -0.02), (0.02, 0.01), (-0.005, 0.03)]
    for a, b in returns:
        ensemble.record_return(0, a)
        ensemble.record_return(1, b)
    own = [0.75 * a + 0.25 * b for a, b in returns]
    assert ensemble.get_metrics()["sharpe"] == pytest.approx(np.mean(own) / np.std(own, ddof=1))


moves = st.one_of(
    st.tuples(st.just("return"), st.integers(0, 3), st.floats(-1e100, 1e100)),
    st.tuples(st.just("update"), st.lists(finite, min_size=4, max_size=4)),
    st.tuples(st.just("predict"), st.integers(0, 15)),
    st.tuples(st.just("reactivate"), st.integers(0, 3)),
)


@settings(max_examples=40, deadline=None)
@given(abstain=st.booleans(), steps=st.lists(moves, max_size=60))
def test_weights_are_on_the_simplex_whatever_happens(make, strategy, abstain, steps):
    broken = set()

    def member(index):
        return lambda x: None if index in broken else BUY

    options = {"all_negative": "abstain"} if abstain and strategy == "softmax-sharpe" else {}
    ensemble = make(
        [member(i) for i in range(4)],
        performance_window=4,
        strategy=strategy,
        max_failures=1,
        emit=[].append,
        **options,
    )
    refusals = set()
    for kind, *arguments in steps:
        try:
            if kind == "return":
                ensemble.record_return(*arguments)
            elif kind == "update":
                ensemble.update_weights(*arguments)
            elif kind == "reactivate":
                ensemble.reactivate(*arguments)
            else:
                broken.clear()
                broken.update(i for i in range(4) if arguments[0] >> i & 1)
                ensemble.predict(None)
        except EnsembleError as error:
            refusals.add(str(error).partition(";")[0].partition(" to decide")[0].rpartition(": ")[2])
        assert len(ensemble.weights) == 4
        assert min(ensemble.weights) >= 0.0
        assert math.fsum(ensemble.weights) == pytest.approx(1.0, abs=1e-12)
    assert refusals <= {"no member with a weight is left", "this strategy takes gains in [0, 1]"}


@settings(max_examples=50, deadline=None)
@given(
    strategy=st.sampled_from(STRATEGIES),
    permutation=st.permutations(range(4)),
    rounds=st.lists(st.tuples(small, small, small, small), max_size=12),
    performances=st.tuples(small, small, small, small),
    scores=st.lists(st.tuples(small, small, small), min_size=4, max_size=4),
)
def test_the_order_of_the_members_does_not_matter(strategy, permutation, rounds, performances, scores):
    initial = [0.1, 0.2, 0.3, 0.4]

    def run(order):
        models = [lambda x, i=i: np.array(scores[i]) for i in order]
        weights = [initial[i] for i in order]
        ensemble = DynamicWeightedEnsemble(models, weights, 4, strategy=strategy)
        ensemble.update_weights([performances[i] for i in order])
        for row in rounds:
            for position, i in enumerate(order):
                ensemble.record_return(position, row[i])
        return ensemble.weights, ensemble.predict(None).scores

    weights, combined = run(range(4))
    permuted, combined_again = run(permutation)
    assert permuted == pytest.approx([weights[i] for i in permutation], abs=1e-9)
    assert combined_again == pytest.approx(combined, abs=1e-9)


def test_a_weight_too_small_for_full_precision_still_fills_what_the_cap_cuts():
    assert sum(bounded([230089.0, 2.2250738585e-313], 0.0, 0.5)) == pytest.approx(1.0, abs=1e-12)


@settings(max_examples=100)
@given(
    weights=st.lists(st.floats(0, 1e6), min_size=1, max_size=12).filter(lambda values: sum(values) > 0),
    floor=st.floats(0, 0.4),
    cap=st.floats(0.41, 1),
)
def test_bounded_weights_keep_floor_cap_sum_and_order(weights, floor, cap):
    result = bounded(weights, floor, cap)
    count = len(weights)
    assert math.fsum(result) == pytest.approx(1.0)
    assert min(result) >= min(floor, 0.5 / count) - 1e-12
    assert max(result) <= max(cap, 1 / count) + 1e-12
    ranked = sorted(range(count), key=lambda i: weights[i])
    assert all(result[a] <= result[b] + 1e-12 for a, b in pairwise(ranked))


@settings(max_examples=100)
@given(values=st.lists(st.floats(-1, 1), min_size=2, max_size=40), window=st.integers(2, 8))
def test_rolling_statistics_are_those_of_the_last_window(values, window):
    rolling = Rolling(window)
    for end, value in enumerate(values, start=1):
        rolling.append(value)
        held = values[max(0, end - window) : end]
        assert rolling.mean == pytest.approx(np.mean(held), abs=1e-12)
        if len(held) > 1:
            assert rolling.sigma == pytest.approx(np.std(held, ddof=1), abs=1e-7)
