"""The one adapter for models: what it understands, how it names actions, and what it refuses."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from axon_quant.errors import ModelError
from axon_quant.events import ModelIdentity
from axon_quant.inference.action import Action
from axon_quant.inference.scorer import as_scorer
from axon_quant.inference.scores import choose, probabilities

X = np.zeros((64, 128), np.float32)
NAMES = ("buy", "sell", "hold")


class FakeBackend:
    """What a Backend looks like from outside; `infer` insists on a batch axis, as the real one does."""

    def __init__(self, scores, actions=NAMES, input_shape=(1, 64, 128)):
        self.rows = np.array([scores], np.float32)
        self.actions_ = actions
        self.input_shape = input_shape
        self.number = 0
        self.swap()

    def swap(self):
        self.number += 1
        identity = ModelIdentity("flow", self.number, f"{self.number:064x}")
        shape = self.input_shape
        self.model = SimpleNamespace(
            name="flow", actions=self.actions_, output_dim=self.rows.shape[1], input_shape=shape, identity=identity
        )

    def infer(self, x):
        assert x.ndim == len(self.input_shape)
        return np.repeat(self.rows, len(x), axis=0)


class Policy:
    """A Stable-Baselines3 model: predict returns (action, state)."""

    def __init__(self, action, space):
        self.action, self.action_space = action, space

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        assert deterministic
        return np.array(self.action), None


class Classifier:
    """A scikit-learn classifier."""

    def __init__(self, classes, row):
        self.classes_ = np.array(classes)
        self.row = row

    def predict_proba(self, x):
        assert x.ndim == 2
        return np.repeat([self.row], len(x), axis=0)


def test_a_backend_gives_its_raw_scores_and_the_identity_that_made_them():
    backend = FakeBackend([1.5, -2.0, 0.25])
    scorer = as_scorer(backend)
    assert scorer.score(X) == scorer.score(X[None]) == (1.5, -2.0, 0.25)
    assert scorer.name == "flow"
    assert scorer.models == (ModelIdentity("flow", 1, f"{1:064x}"),)
    backend.swap()
    action = scorer.decode(scorer.score(X))
    assert (action.name, action.index, action.version) == ("buy", 0, 2)
    assert action.models[0].number == 2


def test_scores_are_never_attributed_to_a_model_that_was_swapped_in_meanwhile():
    backend = FakeBackend([1.0, 0.0, 0.0])
    infer = backend.infer

    def infer_during_a_swap(x):
        rows = infer(x)
        if backend.number == 1:
            backend.swap()
            return rows + 100  # what the old one said
        return rows

    backend.infer = infer_during_a_swap
    scorer = as_scorer(backend)
    assert scorer.score(X) == (1.0, 0.0, 0.0)
    assert scorer.models[0].number == 2


def test_scores_come_in_the_declared_order_whatever_order_the_model_has():
    scorer = as_scorer(FakeBackend([1.0, 2.0, 3.0], ("hold", "buy", "sell")), NAMES)
    assert scorer.score(X) == (2.0, 3.0, 1.0)
    assert scorer.score_batch(np.stack([X, X])).tolist() == [[2.0, 3.0, 1.0]] * 2
    assert as_scorer(scorer, ("sell", "buy", "hold")).score(X) == (3.0, 2.0, 1.0)


def test_a_backend_with_other_actions_is_refused():
    with pytest.raises(ModelError, match="decides between up, down, not buy, sell"):
        as_scorer(FakeBackend([1.0, 2.0], ("up", "down")), ("buy", "sell"))


def test_a_backend_whose_outputs_nothing_names_is_refused():
    with pytest.raises(ModelError, match="has 2 actions, 3 nothing names them"):
        as_scorer(FakeBackend([1.0, 2.0], ()))
    assert as_scorer(FakeBackend([1.0, 2.0], ()), ("up", "down")).actions == ("up", "down")


def test_a_batch_is_no_observation():
    with pytest.raises(ModelError, match="batch of 2"):
        as_scorer(FakeBackend([1.0, 2.0, 3.0])).score(np.stack([X, X]))


def test_a_policy_is_asked_deterministically_and_its_tuple_unpacked():
    scorer = as_scorer(Policy(1, SimpleNamespace(n=3)), NAMES)
    assert scorer.score(X) == (0.0, 1.0, 0.0)
    assert scorer.decode(scorer.score(X)).name == "sell"


def test_integer_labels_without_names_cost_one_warning():
    with pytest.warns(UserWarning, match="0, 1, 2 are taken for buy, sell, hold") as caught:
        scorer = as_scorer(Policy(2, SimpleNamespace(n=3)))
    assert [scorer.decode(scorer.score(X)).name for _ in range(3)] == ["hold"] * 3  # another warning would raise
    assert len(caught) == 1


def test_a_rule_that_returns_integers_warns_once_at_its_first_label():
    scorer = as_scorer(SimpleNamespace(predict=lambda x: 1))
    with pytest.warns(UserWarning, match="pass actions=") as caught:
        assert scorer.score(X) == scorer.score(X) == (0.0, 1.0, 0.0)
    assert len(caught) == 1


@pytest.mark.parametrize("model", [Policy(0, SimpleNamespace(n=5)), Classifier([0, 1], [0.5, 0.5])])
def test_another_number_of_labels_than_three_must_be_named(model):
    with pytest.raises(ModelError, match=r"pass actions=\[…\]"):
        as_scorer(model)


@pytest.mark.parametrize("label", [3, -1, np.int64(7)])
def test_a_label_out_of_range_is_refused(label):
    scorer = as_scorer(SimpleNamespace(predict=lambda x: label), NAMES)
    with pytest.raises(ModelError, match=f"chose label {label}, expected 0 to 2"):
        scorer.score(X)


def test_a_continuous_action_needs_decode():
    box = SimpleNamespace(shape=(1,))
    with pytest.raises(ModelError, match="continuous action"):
        as_scorer(Policy([0.3], box), NAMES)
    scorer = as_scorer(Policy([0.3], box), NAMES, decode=lambda a: (a[0], -a[0], 0.1))
    assert scorer.decode(scorer.score(X)).name == "buy"


def test_a_continuous_output_is_found_out_without_an_action_space():
    scorer = as_scorer(SimpleNamespace(predict=lambda x: 0.7), NAMES)
    with pytest.raises(ModelError, match="pass decode="):
        scorer.score(X)


def test_a_continuous_policy_is_not_mistaken_for_scores_when_its_size_fits():
    with pytest.raises(ModelError, match="continuous action"):
        as_scorer(Policy([0.1, 0.2, 0.7], SimpleNamespace(shape=(3,))), NAMES)


def test_the_columns_of_a_classifier_are_put_in_order_by_its_classes():
    scorer = as_scorer(Classifier(["buy", "hold", "sell"], [0.1, 0.2, 0.7]))
    assert scorer.actions == NAMES
    assert scorer.score(X) == (0.1, 0.7, 0.2)
    assert scorer.score_batch(np.stack([X, X])).tolist() == [[0.1, 0.7, 0.2]] * 2


def test_a_class_that_training_never_saw_has_probability_zero():
    assert as_scorer(Classifier([0, 2], [0.4, 0.6]), NAMES).score(X) == (0.4, 0.0, 0.6)


def test_unknown_classes_are_refused():
    with pytest.raises(ModelError, match="classes long, not among"):
        as_scorer(Classifier(["buy", "long"], [0.4, 0.6]), NAMES)


def test_a_callable_takes_an_observation_or_a_batch():
    weights = np.random.default_rng(3).normal(size=(5, 3))
    scorer = as_scorer(lambda x: x @ weights, name="linear")
    x = np.arange(10.0).reshape(2, 5)
    assert np.allclose(scorer.score_batch(x), x @ weights)
    assert np.allclose(scorer.score(x[0]), x[0] @ weights)
    assert (scorer.name, scorer.output_dim) == ("linear", 3)


def test_a_callable_that_does_not_answer_per_observation_is_refused():
    with pytest.raises(ModelError, match=r"returned shape \[3\] for a batch of 2"):
        as_scorer(lambda x: np.zeros(3)).score_batch(np.zeros((2, 5)))


def test_actions_and_names_of_actions_are_understood():
    action = Action("sell", 1, 0.9, (0.05, 0.9, 0.05), models=(ModelIdentity("m", 1, "0" * 64),))
    scorer = as_scorer(SimpleNamespace(predict=lambda x: action))
    assert scorer.score(X) == (0.05, 0.9, 0.05)
    assert scorer.models == action.models
    assert as_scorer(SimpleNamespace(predict=lambda x: "hold")).score(X) == (0.0, 0.0, 1.0)


def test_an_action_whose_index_and_name_disagree_is_refused():
    scorer = as_scorer(SimpleNamespace(predict=lambda x: Action("buy", 1, 0.9, (0.05, 0.9, 0.05))))
    with pytest.raises(ModelError, match="action 1 is 'buy'"):
        scorer.score(X)


@pytest.mark.parametrize(
    "scores", [[np.nan, 0.0, 1.0], [np.inf, -np.inf, 0.0], [1.0, 2.0], [1.0] * 4, [], [True] * 3, None, "long"]
)
def test_unusable_scores_raise_and_never_become_zeros(scores):
    scorer = as_scorer(lambda x: scores if scores is None or isinstance(scores, str) else np.array(scores))
    with pytest.raises(ModelError):
        scorer.score(X)


@pytest.mark.parametrize(("model", "message"), [(object(), "cannot decide"), (Policy, "is a class"), (3, "cannot")])
def test_what_cannot_decide_is_refused(model, message):
    with pytest.raises(ModelError, match=message):
        as_scorer(model)


@pytest.mark.parametrize("actions", [(), ("a", "a"), ("a", ""), ("a", 1)])
def test_actions_that_are_no_distinct_names_are_refused(actions):
    with pytest.raises(ModelError, match="distinct names"):
        as_scorer(lambda x: x, actions)


def test_probabilities_stay_and_logits_go_through_a_softmax():
    assert probabilities((0.2, 0.3, 0.5)) == (0.2, 0.3, 0.5)
    for scores in ((1.0, 2.0, 3.0), (-5.0, 800.0, 3.0), (0.2, 0.3), (1.0, 2.0, 3.0, 4.0), (-0.5, 0.5, 1.0)):
        found = probabilities(scores)
        expected = np.exp(np.array(scores) - max(scores))
        assert np.allclose(found, expected / expected.sum())
    assert probabilities((0.2, 0.3, 0.5), "logits") != (0.2, 0.3, 0.5)


def test_a_tie_is_a_hold_where_there_is_one_and_else_the_first():
    assert choose((0.45, 0.45, 0.1), 2) == 2
    assert choose((0.1, 0.45, 0.45), None) == 1
    assert choose((0.45, math.nextafter(0.45, 1), 0.1), None) == 0
    assert choose((0.45, 0.46, 0.09), 2) == 1
    assert choose((1.0,), None) == 0
