"""A stack is fitted on the past only, its weights are the best there are, and it decides with them."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axon_quant.ensemble import (
    DynamicWeightedEnsemble,
    StackingFit,
    fit_stacking,
    member_probabilities,
    walk_forward,
)
from axon_quant.ensemble.fitting import convex_weights
from axon_quant.errors import EnsembleError

BUY, SELL, HOLD = np.eye(3)


def votes_and_labels(seed, rows, skills, actions=3):
    """Members that give the right action more than the others, by their skill, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(actions, size=rows)
    logits = rng.standard_normal((rows, len(skills), actions))
    logits[np.arange(rows), :, labels] += np.asarray(skills)
    powers = np.exp(logits)
    return powers / powers.sum(axis=2, keepdims=True), labels


# Folds


@given(rows=st.integers(60, 5_000), folds=st.integers(2, 12), horizon=st.integers(0, 200), embargo=st.integers(0, 200))
def test_every_fold_is_fitted_on_rows_whose_outcome_was_known_before_it(rows, folds, horizon, embargo):
    try:
        found = walk_forward(rows, folds=folds, horizon=horizon, embargo=embargo)
    except EnsembleError as error:
        assert "too few" in str(error)  # noqa: PT017
        assert rows // (folds + 1) < horizon + embargo + 10
        return
    assert len(found) == folds
    assert [fold.start for fold in found[1:]] == [fold.stop for fold in found[:-1]]
    assert found[-1].stop == rows
    for fold in found:
        last = fold.train - 1
        assert last + horizon < fold.start - embargo
        assert fold.train >= 10
        assert fold.stop - fold.start >= 10


@pytest.mark.parametrize(
    ("options", "message"),
    [({"folds": 1}, "folds is 1"), ({"horizon": -1}, "horizon is -1"), ({"embargo": -1}, "embargo is -1")],
)
def test_folds_that_cannot_be_are_refused(options, message):
    with pytest.raises(EnsembleError, match=message):
        walk_forward(1_000, **{"horizon": 1, **options})


# Leakage


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), horizon=st.integers(0, 30), embargo=st.integers(0, 30), number=st.integers(0, 4))
def test_nothing_from_the_purge_on_moves_the_weights_of_a_fold(seed, horizon, embargo, number):
    scores, labels = votes_and_labels(seed, 600, [0.5, 0.2, 0.0])
    options = {"horizon": horizon, "embargo": embargo}
    fold = fit_stacking(scores, labels, **options).folds[number]
    rng = np.random.default_rng(seed + 1)
    rest = 600 - fold.fold.train
    labels[fold.fold.train :] = rng.integers(3, size=rest)
    scores[fold.fold.train :] = rng.dirichlet(np.ones(3), (rest, 3))
    assert fit_stacking(scores, labels, **options).folds[number].weights == fold.weights


def peeking(horizon):
    """Weights of the first member in the last fold, if it is a coin but for the 40 rows whose outcome the fold's start
    did not know, in which it knows all; and if it is a coin there as well."""
    found = []
    for peeks in (True, False):
        scores, labels = votes_and_labels(5, 300, [0.0, 0.6])
        scores[:, 0] = 1.0 / 3.0
        if peeks:
            start = walk_forward(300, folds=5, horizon=horizon)[-1].start
            scores[start - 40 : start, 0] = np.eye(3)[labels[start - 40 : start]]
        found.append(fit_stacking(scores, labels, horizon=horizon).folds[-1].weights[0])
    return found


def test_a_member_that_peeks_across_the_purge_gains_nothing():
    peeker, coin = peeking(horizon=40)
    assert peeker == coin


def test_without_the_purge_it_would():
    peeker, coin = peeking(horizon=0)
    assert peeker > coin + 0.1


# Weights


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), members=st.integers(1, 6), rows=st.integers(20, 200))
def test_the_weights_are_the_best_on_the_simplex(seed, members, rows):
    rng = np.random.default_rng(seed)
    likelihoods = rng.uniform(1e-3, 1.0, (rows, members))
    weights = convex_weights(likelihoods)
    assert weights.min() >= 0.0
    assert weights.sum() == pytest.approx(1.0)
    loss = -np.log(likelihoods @ weights).mean()
    for other in (*np.eye(members), *rng.dirichlet(np.ones(members), 200)):
        assert loss <= -np.log(likelihoods @ other).mean() + 1e-5


def test_a_mixture_is_told_apart_again():
    rng = np.random.default_rng(0)
    truth = np.array([0.6, 0.3, 0.1])
    members = rng.dirichlet(0.3 * np.ones(3), (40_000, 3))
    chances = np.einsum("k,tka->ta", truth, members)
    labels = (chances.cumsum(axis=1) < rng.random((40_000, 1))).sum(axis=1).clip(0, 2)
    likelihoods = members[np.arange(40_000), :, labels]
    assert convex_weights(likelihoods) == pytest.approx(truth, abs=0.02)


def test_shrinkage_pulls_towards_equal_weights():
    scores, labels = votes_and_labels(0, 500, [1.5, 0.0])
    likelihoods = scores[np.arange(500), :, labels]
    first = [convex_weights(likelihoods, pull)[0] for pull in (0.0, 1.0, 100.0)]
    assert first[0] > first[1] > first[2] > 0.5
    assert first[2] == pytest.approx(0.5, abs=0.01)


def test_the_fit_tells_how_much_it_is_worth():
    scores, labels = votes_and_labels(1, 3_000, [1.2, 0.3, -0.5, 0.0])
    fit = fit_stacking(scores, labels, horizon=10)
    assert fit.weights[0] == max(fit.weights)
    assert fit.loss < fit.equal_loss
    assert fit.loss <= min(fit.member_losses) + 0.01
    assert len(fit.folds) == 5
    assert "loss=" in repr(fit)


def test_of_members_that_know_nothing_the_stack_claims_nothing():
    scores, labels = votes_and_labels(2, 3_000, [0.0, 0.0, 0.0])
    fit = fit_stacking(scores, labels, horizon=10)
    assert fit.loss == pytest.approx(fit.equal_loss, abs=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s, y: (s[0], y), r"shape \[3, 3\], expected \[rows, members, actions\]"),
        (lambda s, y: (s, y[1:]), "expected 200 integers"),
        (lambda s, y: (s, y.astype(float)), "expected 200 integers"),
        (lambda s, y: (s, y + 1), "expected 0 to 2"),
        (lambda s, y: (2 * s, y), "must be probabilities"),
        (lambda s, y: (np.where(s == s[0, 0, 0], np.nan, s), y), "must be probabilities"),
        (lambda s, y: (s[:30], y[:30]), "too few"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, message):
    scores, labels = votes_and_labels(3, 200, [0.5, 0.2, 0.0])
    scores, labels = change(scores, labels)
    with pytest.raises(EnsembleError, match=message):
        fit_stacking(scores, labels, horizon=2)


# Learners


class Nearest:
    """A learner by hand: the label of the row that is most alike."""

    def fit(self, features, labels):
        self.features, self.labels = features, labels

    def predict_proba(self, features):
        distances = np.abs(features[:, None] - self.features[None]).sum(axis=2)
        return np.eye(3)[self.labels[distances.argmin(axis=1)]]


def test_a_learner_is_fitted_afresh_in_every_fold_and_at_last_to_all_rows():
    scores, labels = votes_and_labels(4, 300, [2.0, 1.0])
    learner = Nearest()
    fit = fit_stacking(scores, labels, horizon=5, learner=learner)
    assert not hasattr(learner, "labels"), "the one that was passed in is left alone"
    assert len(fit.learner.labels) == 300
    assert len(fit.weights) == 2


def test_logistic_regression_beats_the_weights_where_a_member_is_always_wrong():
    pytest.importorskip("sklearn")
    scores, labels = votes_and_labels(5, 2_000, [-2.0, -2.0, 0.0])  # to be read the other way round
    convex, learnt = (fit_stacking(scores, labels, horizon=5, learner=each) for each in (None, "logistic"))
    assert learnt.loss < convex.loss - 0.1
    assert learnt.loss < learnt.equal_loss


def test_any_classifier_of_scikit_learn_will_do():
    naive_bayes = pytest.importorskip("sklearn.naive_bayes")
    scores, labels = votes_and_labels(6, 600, [1.0, 0.5])
    labels[labels == 2] = 1  # an action that training never sees
    fit = fit_stacking(scores, labels, horizon=5, learner=naive_bayes.GaussianNB())
    ensemble = DynamicWeightedEnsemble([lambda _: [0.7, 0.2, 0.1], lambda _: SELL], strategy="stacking", fit=fit)
    action = ensemble.predict(None)
    assert sum(action.scores) == pytest.approx(1.0)
    assert action.scores[2] == pytest.approx(0.0, abs=1e-5)


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
    scores, labels = votes_and_labels(7, 300, [1.0, 0.5])
    with pytest.raises(EnsembleError, match="needs scikit-learn") as caught:
        fit_stacking(scores, labels, horizon=5, learner="logistic")
    assert caught.value.hint == 'pip install "axon-core[stacking]"'


class Contrary:
    """A learner that wants to buy whatever the members say."""

    answer = BUY

    def fit(self, features, labels):
        pass

    def predict_proba(self, features):
        return np.array([self.answer] * len(features))


def contrary(answer=BUY):
    learner = Contrary()
    learner.answer = answer
    return StackingFit([0.5, 0.5], learner=learner)


def test_a_learner_decides_where_members_differ_and_never_against_all_of_them():
    def decide(*votes):
        members = [lambda _, vote=vote: vote for vote in votes]
        return DynamicWeightedEnsemble(members, strategy="stacking", fit=contrary()).predict(None).name

    assert decide(SELL, HOLD) == "buy"
    assert decide(SELL, [0.2, 0.5, 0.3]) == "sell"


def test_where_a_member_is_missing_the_weights_decide_instead_of_the_learner():
    def broken(_):
        raise ValueError("no luck")

    models = [broken, lambda _: SELL]
    ensemble = DynamicWeightedEnsemble(models, strategy="stacking", fit=contrary(), emit=[].append)
    assert ensemble.predict(None).name == "sell"


@pytest.mark.parametrize("answer", [[0.5, 0.5], [np.nan, 0.5, 0.5]])
def test_a_learner_that_answers_nonsense_is_an_error(answer):
    ensemble = DynamicWeightedEnsemble([lambda _: SELL, lambda _: HOLD], strategy="stacking", fit=contrary(answer))
    with pytest.raises(EnsembleError, match="Contrary gave probabilities of shape"):
        ensemble.predict(None)


# The strategy


def test_the_fitted_weights_take_the_place_of_the_initial_ones_and_stay():
    fit = StackingFit([3.0, 1.0])
    ensemble = DynamicWeightedEnsemble([lambda _: BUY, lambda _: SELL], [0.5, 0.5], strategy="stacking", fit=fit)
    assert ensemble.weights == (0.75, 0.25)
    ensemble.update_weights([-1.0, 5.0])
    for _ in range(300):
        ensemble.record_return(0, -0.01)
        ensemble.record_return(1, 0.01)
    assert ensemble.weights == (0.75, 0.25)
    assert ensemble.predict(None).scores == pytest.approx((0.75, 0.25, 0.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "stacking needs fit="),
        ({"fit": [0.5, 0.5]}, "stacking needs fit="),
        ({"fit": StackingFit([1.0])}, "was fitted to 1 members, and there are 2"),
    ],
)
def test_a_stack_without_its_fit_is_refused(options, message):
    with pytest.raises(EnsembleError, match=message):
        DynamicWeightedEnsemble([lambda _: BUY] * 2, strategy="stacking", **options)


def test_the_state_of_another_fit_is_refused():
    models = [lambda _: BUY, lambda _: SELL]
    old, new = (DynamicWeightedEnsemble(models, strategy="stacking", fit=StackingFit(w)) for w in ([1, 1], [2, 1]))
    with pytest.raises(EnsembleError):
        new.restore(old.state())
    old.restore(old.state())


def test_members_are_heard_as_the_ensemble_hears_them():
    models = [lambda x: np.array([[2.0, -1.0, 0.0]] * len(x)), lambda x: np.array([[0.2, 0.7, 0.1]] * len(x))]
    found = member_probabilities(models, np.zeros((4, 2), np.float32))
    assert found.shape == (4, 2, 3)
    action = DynamicWeightedEnsemble(models, [0.3, 0.7], strategy="soft-voting").predict(np.zeros((1, 2)))
    assert np.array([0.3, 0.7]) @ found[0] == pytest.approx(action.scores)
