"""Fitting a stack: convex weights, and a learner if asked, on decisions whose outcome is known."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from importlib import import_module
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

from axon_quant.ensemble.folds import Fold, walk_forward
from axon_quant.ensemble.members import scorers_of
from axon_quant.ensemble.simplex import normalised
from axon_quant.errors import EnsembleError
from axon_quant.inference.scorer import Decode, Floats

LEAST_PROBABILITY = 1e-6
"""A member that gave the outcome no chance is charged as if it had given it this much."""
SHRINKAGES = (0.1, 0.0, 0.01, 1.0, 10.0)
"""Pulls towards equal weights to choose from: rows of equal credit for each row of data. The first is the default."""
LARGEST_GAP = 1e-6
_ROUNDS = 10_000

Array: TypeAlias = NDArray[np.float64]


class Learner(Protocol):
    """A classifier in the way of scikit-learn; `classes_` says which column of `predict_proba` is which label."""

    def fit(self, features: Any, labels: Any, /) -> object: ...

    def predict_proba(self, features: Any, /) -> Any: ...


class FoldLoss(Struct, frozen=True):
    """A fold, the convex weights fitted before it, and the log-losses on it: of the stack and of equal weights."""

    fold: Fold
    weights: tuple[float, ...]
    stack: float
    equal: float


class StackingFit:
    """What `fit_stacking` found: convex `weights`, one per member, and what speaks for them.

    Log-losses are over the rows of all `folds`, each judged by what was fitted before it: `loss` of the stack,
    `equal_loss` of equal weights, `member_losses`. Unless `loss` is below `equal_loss`, equal weights are as good.
    `shrinkage` is the pull towards equal weights that the folds chose. `learner`, where there is one, decides in place
    of the weights. By hand, `StackingFit(weights)` states weights fitted elsewhere.
    """

    def __init__(
        self,
        weights: Sequence[float],
        *,
        loss: float = float("nan"),
        equal_loss: float = float("nan"),
        member_losses: Sequence[float] = (),
        folds: Sequence[FoldLoss] = (),
        shrinkage: float = 0.0,
        learner: Learner | None = None,
    ) -> None:
        self.weights = normalised(weights, len(weights), "the weights of a stack")
        self.loss = loss
        self.equal_loss = equal_loss
        self.member_losses = tuple(member_losses)
        self.folds = tuple(folds)
        self.shrinkage = shrinkage
        self.learner = learner

    def __repr__(self) -> str:
        weights = ", ".join(f"{weight:.3f}" for weight in self.weights)
        return f"StackingFit(weights=[{weights}], loss={self.loss:.4f}, equal_loss={self.equal_loss:.4f})"


def member_probabilities(
    models: Sequence[object],
    observations: Floats,
    *,
    actions: Sequence[str] | None = None,
    decode: Decode | None = None,
) -> Array:
    """What models say of observations `[rows, …shape]`, as an ensemble of them would hear it.

    `[rows, members, actions]` probabilities. They must not have been trained on these rows. Raises ModelError.
    """
    columns = []
    for scorer in scorers_of(list(models), actions, decode):
        rows = scorer.score_batch(observations).tolist()
        columns.append([list(scorer.probabilities(row)) for row in rows])
    return np.array(columns, np.float64).swapaxes(0, 1)


def fit_stacking(
    scores: ArrayLike,
    labels: ArrayLike,
    *,
    horizon: int,
    folds: int = 5,
    embargo: int = 0,
    learner: Learner | Literal["logistic"] | None = None,
) -> StackingFit:
    """Fit a stack to the members' probabilities `scores` `[rows, members, actions]`, in order of time.

    `labels` `[rows]` are the indexes of the actions that turned out right, each known `horizon` rows later. The convex
    weights minimise the log-loss of the weighted mean, with a pull towards equal weights; everything that is chosen for
    a fold is chosen from rows before it, purged and with an `embargo` (see `walk_forward`).

    `learner` is a classifier in the way of scikit-learn, fitted to the logarithms of all probabilities; `"logistic"`
    is its logistic regression (`pip install "axon-core[stacking]"`). The weights remain for decisions in which a
    member is missing. Raises EnsembleError for arrays that do not fit, and for too few rows.
    """
    votes, outcomes = _checked(scores, labels)
    rows = len(votes)
    likelihoods = np.maximum(votes[np.arange(rows), :, outcomes], LEAST_PROBABILITY)
    features = features_of(votes)
    model = _logistic() if learner == "logistic" else learner
    losses = np.full((rows, len(SHRINKAGES)), np.nan)
    judged, stacked = [], []
    for fold in walk_forward(rows, folds=folds, horizon=horizon, embargo=embargo):
        block = slice(fold.start, fold.stop)
        found = [convex_weights(likelihoods[: fold.train], each) for each in SHRINKAGES]
        losses[block] = -np.log(likelihoods[block] @ np.array(found).T)
        weights = found[_best(losses[: fold.train])]
        if model is None:
            loss = -np.log(likelihoods[block] @ weights)
        else:
            fitted = _fitted(model, features[: fold.train], outcomes[: fold.train])
            given = chances(fitted, features[block], votes.shape[2])
            loss = -np.log(given[np.arange(len(given)), outcomes[block]])
        stacked.append(loss)
        equal = float(-np.log(likelihoods[block].mean(axis=1)).mean())
        judged.append(FoldLoss(fold, tuple(weights.tolist()), float(loss.mean()), equal))
    shrinkage = SHRINKAGES[_best(losses)]
    seen = likelihoods[judged[0].fold.start :]
    return StackingFit(
        convex_weights(likelihoods, shrinkage).tolist(),
        loss=float(np.concatenate(stacked).mean()),
        equal_loss=float(-np.log(seen.mean(axis=1)).mean()),
        member_losses=(-np.log(seen).mean(axis=0)).tolist(),
        folds=judged,
        shrinkage=shrinkage,
        learner=None if model is None else _fitted(model, features, outcomes),
    )


def chances(learner: Learner, features: Array, actions: int) -> Array:
    """The learner's probabilities `[rows, actions]`; an action it never saw in training keeps the least one.

    Raises EnsembleError for another number of columns than it has classes, and for what is not finite.
    """
    found = np.asarray(learner.predict_proba(features), np.float64)
    classes = np.asarray(getattr(learner, "classes_", np.arange(actions)), np.intp)
    if found.shape != (len(features), len(classes)) or not np.isfinite(found).all():
        name = type(learner).__name__
        raise EnsembleError(f"{name} gave probabilities of shape {list(found.shape)} for {len(features)} rows")
    shares = np.full((len(features), actions), LEAST_PROBABILITY)
    shares[:, classes] = np.maximum(found, LEAST_PROBABILITY)
    normed: Array = shares / shares.sum(axis=1, keepdims=True)
    return normed


def features_of(votes: ArrayLike) -> Array:
    """What a learner sees of votes `[rows, members, actions]`: their logarithms, `[rows, members · actions]`."""
    logs: Array = np.log(np.maximum(np.asarray(votes, np.float64), LEAST_PROBABILITY))
    return logs.reshape(len(logs), -1)


def convex_weights(likelihoods: Array, shrinkage: float = 0.0) -> Array:
    """Weights that minimise -mean log(likelihoods @ w) on the simplex; `likelihoods` are `[rows, members]`.

    Expectation maximisation, until the loss is within 1e-6 of the least possible: no member's share of the credit
    exceeds its weight by more than that part.
    """
    rows, members = likelihoods.shape
    weights = np.full(members, 1.0 / members)
    for _ in range(_ROUNDS):
        credit = weights * (likelihoods / (likelihoods @ weights)[:, None]).sum(axis=0)
        moved = (credit + shrinkage * rows / members) / ((1.0 + shrinkage) * rows)
        gap = float((moved / np.maximum(weights, 1e-300)).max()) - 1.0
        weights = moved
        if gap <= LARGEST_GAP:
            break
    return weights


def _best(losses: Array) -> int:
    """The shrinkage with the least loss over the rows that were judged; the default while none was."""
    seen = losses[~np.isnan(losses[:, 0])]
    return int(seen.mean(axis=0).argmin()) if len(seen) else 0


def _fitted(model: Learner, features: Array, labels: NDArray[np.intp]) -> Learner:
    """A copy of the model, fitted to these rows and no others."""
    fresh = deepcopy(model)
    fresh.fit(features, labels)
    return fresh


def _logistic() -> Learner:
    try:
        module = import_module("sklearn.linear_model")
    except ImportError as error:
        raise EnsembleError(
            f'learner="logistic" needs scikit-learn, which cannot be imported: {error}',
            hint='pip install "axon-core[stacking]"',
        ) from error
    made: Learner = module.LogisticRegression(max_iter=1000)
    return made


def _checked(scores: ArrayLike, labels: ArrayLike) -> tuple[Array, NDArray[np.intp]]:
    votes, outcomes = np.asarray(scores, np.float64), np.asarray(labels)
    if votes.ndim != 3 or not min(votes.shape) >= 1:
        raise EnsembleError(f"scores have the shape {list(votes.shape)}, expected [rows, members, actions]")
    if outcomes.shape != votes.shape[:1] or outcomes.dtype.kind not in "iu":
        raise EnsembleError(
            f"labels are {outcomes.dtype} of shape {list(outcomes.shape)}, expected {len(votes)} integers, one per row"
        )
    if not (outcomes.min() >= 0 and outcomes.max() < votes.shape[2]):
        raise EnsembleError(f"labels lie in {outcomes.min()} to {outcomes.max()}, expected 0 to {votes.shape[2] - 1}")
    if not (votes.min() >= 0.0 and np.abs(votes.sum(axis=2) - 1.0).max() < 1e-3):
        raise EnsembleError("scores must be probabilities that sum to 1 over the actions: see member_probabilities")
    return votes, outcomes.astype(np.intp)
