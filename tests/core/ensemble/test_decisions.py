"""What an ensemble decides from what its members say."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axon_quant.ensemble import DynamicWeightedEnsemble
from axon_quant.errors import ModelError, PluginError
from axon_quant.events import ModelIdentity
from axon_quant.inference.scorer import as_scorer

BUY, SELL, HOLD = np.eye(3)
X = np.zeros((2, 4), np.float32)


def says(row):
    """A model that says the same about every observation of a batch."""
    return lambda x: np.array([row] * len(x))


scores = st.lists(st.floats(-20, 20), min_size=3, max_size=3)


@settings(max_examples=50, deadline=None)
@given(
    members=st.lists(scores, min_size=1, max_size=6),
    performances=st.lists(st.floats(-1, 1), min_size=6, max_size=6),
)
def test_when_all_members_say_sell_so_does_the_ensemble(make, strategy, takes_gains, members, performances):
    rows = [np.array([buy, max(buy, hold) + 0.01, hold]) for buy, _, hold in members]
    ensemble = make([says(row) for row in rows], strategy=strategy)
    ensemble.update_weights([abs(value) if takes_gains else value for value in performances[: len(rows)]])
    assert [as_scorer(says(row)).decode(row.tolist()).name for row in rows] == ["sell"] * len(rows)
    action = ensemble.predict(X[:1])
    assert (action.name, action.index) == ("sell", 1)
    assert 0.0 <= action.confidence <= 1.0
    assert ensemble.infer(X).argmax(axis=1).tolist() == [1, 1]


def test_softmax_sharpe_averages_probabilities_and_weighted_voting_counts_votes(build):
    answers = ([0.9, 0.1, 0.0], [0.45, 0.55, 0.0], [0.45, 0.55, 0.0])
    soft, _ = build(*map(np.array, answers))
    voting, _ = build(*map(np.array, answers), strategy="weighted-voting")
    assert soft.predict(X).name == "buy"
    assert soft.predict(X).scores == pytest.approx((0.6, 0.4, 0.0))
    assert voting.predict(X).name == "sell"
    assert voting.predict(X).scores == pytest.approx((1 / 3, 2 / 3, 0.0))


def test_logits_and_probabilities_mix_on_one_scale(build):
    ensemble, _ = build(np.array([2.0, -1.0, 0.0]), np.array([0.2, 0.7, 0.1]))
    soft = np.exp([2.0, -1.0, 0.0]) / np.exp([2.0, -1.0, 0.0]).sum()
    assert ensemble.predict(X).scores == pytest.approx((soft + np.array([0.2, 0.7, 0.1])) / 2)


def test_a_tie_between_buy_and_sell_is_a_hold(build, strategy):
    ensemble, _ = build(BUY, SELL, strategy=strategy)
    assert ensemble.predict(X).name == "hold"


def test_a_tie_without_a_hold_goes_to_the_first(build, strategy):
    ensemble, _ = build(np.array([0.0, 1.0]), np.array([1.0, 0.0]), strategy=strategy, actions=("up", "down"))
    assert ensemble.predict(X).name == "up"


def test_a_member_that_cannot_decide_splits_its_vote(build):
    ensemble, _ = build(np.array([0.4, 0.4, 0.2]), HOLD, strategy="weighted-voting", initial_weights=[0.6, 0.4])
    assert ensemble.predict(X).scores == pytest.approx((0.3, 0.3, 0.4))


def test_members_with_their_own_order_of_actions_vote_for_what_they_mean():
    first = SimpleNamespace(actions=("hold", "buy", "sell"), predict=lambda x: np.array([0.1, 0.1, 0.8]))
    second = SimpleNamespace(actions=("sell", "buy", "hold"), predict=lambda x: np.array([0.8, 0.1, 0.1]))
    ensemble = DynamicWeightedEnsemble([first, second])
    assert ensemble.actions == ("hold", "buy", "sell")
    action = ensemble.predict(X)
    assert (action.name, action.index) == ("sell", 2)
    assert [vote.scores for vote in action.members] == [(0.1, 0.1, 0.8)] * 2


def test_members_with_different_actions_are_refused():
    models = [SimpleNamespace(actions=actions, predict=lambda x: 0) for actions in (("buy", "sell"), ("up", "down"))]
    with pytest.raises(ModelError, match="decides between up, down, not buy, sell"):
        DynamicWeightedEnsemble(models)


def test_a_member_without_names_follows_the_names_of_the_others():
    named = SimpleNamespace(actions=("up", "down"), predict=lambda x: np.array([0.1, 0.9]))
    ensemble = DynamicWeightedEnsemble([lambda x: np.array([0.2, 0.8]), named])
    assert ensemble.predict(X).name == "down"


def test_continuous_members_mix_only_with_decode():
    policy = SimpleNamespace(action_space=SimpleNamespace(shape=(1,)), predict=lambda x: (np.array([-0.8]), None))
    with pytest.raises(ModelError, match="continuous action"):
        DynamicWeightedEnsemble([lambda x: SELL, policy])
    ensemble = DynamicWeightedEnsemble(
        [lambda x: np.array([0.3, 0.4, 0.3]), policy], decode=lambda a: (max(a[0], 0), max(-a[0], 0), 1 - abs(a[0]))
    )
    action = ensemble.predict(X)
    assert action.name == "sell"
    assert action.members[1].scores == pytest.approx((0.0, 0.8, 0.2))


def test_the_decision_names_the_model_version_of_every_backend(build):
    class Served:
        def __init__(self, name):
            identity = ModelIdentity(name, 3, "0" * 64)
            self.model = SimpleNamespace(
                actions=("buy", "sell", "hold"), output_dim=3, input_shape=(1, 2, 4), identity=identity
            )

        def infer(self, x):
            return np.array([[1.0, 2.0, 3.0]], np.float32)

    action = DynamicWeightedEnsemble([Served("flow"), lambda x: BUY, Served("reversion")]).predict(X)
    assert [model.name for model in action.models] == ["flow", "reversion"]
    assert action.version == 0


def test_an_ensemble_can_be_a_member():
    inner = DynamicWeightedEnsemble([says(SELL), says(SELL), says(BUY)])
    outer = DynamicWeightedEnsemble([inner, says([0.4, 0.3, 0.3])])
    expected = [(1 / 3 + 0.4) / 2, (2 / 3 + 0.3) / 2, 0.15]
    assert outer.infer(X) == pytest.approx(np.array([expected] * 2), abs=1e-6)
    action = outer.predict(X[:1])
    assert action.scores == pytest.approx(expected)
    assert action.members[0].scores == pytest.approx((1 / 3, 2 / 3, 0.0))


def test_infer_agrees_with_predict(make, strategy):
    models = [says([2.0, -1.0, 0.0]), says([0.2, 0.7, 0.1])]
    ensemble = make(models, [0.3, 0.7], strategy=strategy)
    rows = ensemble.infer(X)
    assert rows.dtype == np.float32
    assert rows.tolist() == [pytest.approx(ensemble.predict(X[:1]).scores)] * 2


def test_an_unknown_strategy_is_refused_with_what_there_is():
    with pytest.raises(PluginError, match="softmax-sharpe, stacking, weighted-voting"):
        DynamicWeightedEnsemble([lambda x: BUY], strategy="astrology")


def test_equal_names_are_told_apart(build):
    assert DynamicWeightedEnsemble([lambda x: BUY] * 3).names == ("<lambda>", "<lambda>-2", "<lambda>-3")
