"""The one adapter for whatever can decide: backends, ensembles, policies, classifiers, functions."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from math import isfinite
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from axon_quant.errors import ModelError
from axon_quant.inference.action import TRADING_ACTIONS, Action
from axon_quant.inference.scores import Scale, choose, probabilities
from axon_quant.provenance import ModelIdentity

Floats: TypeAlias = NDArray[np.floating[Any]]
Decode: TypeAlias = Callable[[object], Sequence[float]]
"""Turns a continuous output (a float, or an array of them) into one score per action."""


class Scorer:
    """A model as scores over named actions.

    `actions` are the names in the order of the scores; `name` says which model it is; `model` is the object behind it;
    `models` are the identities of the model versions that made the last scores (empty where there are none).

    An observation is passed on as it is, except that a backend's missing batch axis is added and a classifier's
    features are flattened. Not for use from several threads at once.
    """

    __slots__ = ("_adapter", "_hold", "_raw", "actions", "model", "name", "scale")

    def __init__(self, name: str, model: object, adapter: _Adapter, scale: Scale) -> None:
        self.name = name
        self.model = model
        self.actions = adapter.actions
        self.scale: Scale = scale
        self._adapter = adapter
        self._raw = adapter.raw
        self._hold = self.actions.index("hold") if "hold" in self.actions else None

    @property
    def output_dim(self) -> int:
        """Number of scores."""
        return len(self.actions)

    @property
    def models(self) -> tuple[ModelIdentity, ...]:
        """The model versions behind the last scores."""
        return self._adapter.models

    def score(self, x: object) -> tuple[float, ...]:
        """Raw scores of one observation, one per action. Raises ModelError unless they are that many and finite."""
        scores = self._raw(x)
        if len(scores) != len(self.actions) or not isfinite(sum(scores)):
            raise ModelError(f"{self.name}: expected {len(self.actions)} finite scores, found {list(scores)[:8]}")
        return scores

    def score_batch(self, x: Floats) -> Floats:
        """Raw scores `[batch, output_dim]` of observations `[batch, …shape]`, in the model's float type.

        A callable gets the whole batch and must return one row for each observation; a model with only `predict` is
        asked row by row. Raises ModelError for another shape or non-finite scores.
        """
        scores = self._adapter.raw_batch(x)
        if scores.shape != (len(x), len(self.actions)) or not np.isfinite(scores).all():
            raise ModelError(
                f"{self.name}: expected finite scores of shape {[len(x), len(self.actions)]}, "
                f"found shape {list(scores.shape)}, {int((~np.isfinite(scores)).sum())} not finite"
            )
        return scores

    def probabilities(self, scores: Sequence[float]) -> Sequence[float]:
        """Scores as probabilities, by the rule of `Scale`."""
        return probabilities(scores, self.scale)

    def decode(self, scores: Sequence[float]) -> Action:
        """The action of the highest score; on a tie `hold` if there is one, else the first. Confidence is its share."""
        shares = probabilities(scores, self.scale)
        index = choose(shares, self._hold)
        models = self._adapter.models
        version = models[0].number if len(models) == 1 else 0
        return Action(self.actions[index], index, shares[index], tuple(scores), version, (), models)


class _Adapter(Protocol):
    """How one family of models is asked."""

    @property
    def actions(self) -> tuple[str, ...]: ...

    @property
    def models(self) -> tuple[ModelIdentity, ...]: ...

    def raw(self, x: Any) -> tuple[float, ...]: ...

    def raw_batch(self, x: Floats) -> Floats: ...


def as_scorer(
    model: object,
    actions: Sequence[str] | None = None,
    *,
    decode: Decode | None = None,
    name: str | None = None,
    scale: Scale = "auto",
) -> Scorer:
    """Adapt a model. A Scorer keeps its own `decode` and `scale`, and is only renamed or reordered.

    Understood, in this order: a Backend (`infer` and `model`); an object with `predict_proba`; one with `predict`
    (a Stable-Baselines3 policy is asked with deterministic=True and its tuple unpacked; the result is an Action, a
    label, or scores); a callable returning scores or a label.

    `actions` names the scores in order. A model that names its own actions is reordered to them, or refused if they
    are others. Without any names the three are buy, sell, hold; integer labels then cost one warning, because nothing
    says that label 0 means buy. `decode` turns a continuous output into scores; `scale` says what scores mean.

    Raises ModelError for an object that cannot be asked, a number of actions that nothing names, or a continuous
    action space without `decode`.
    """
    declared = None if actions is None else _declared(actions)
    if isinstance(model, Scorer):
        if declared in (None, model.actions) and name in (None, model.name):
            return model
        wrapped = _ScorerAdapter(model, declared or model.actions)
        return Scorer(name or model.name, model.model, wrapped, model.scale)
    if isinstance(model, type):
        raise ModelError(f"{model.__name__} is a class", hint="pass an instance")
    label = name or _name_of(model)
    adapter: _Adapter
    if hasattr(model, "infer") and hasattr(model, "model"):
        adapter = _BackendAdapter(model, declared, label)
    elif hasattr(model, "predict_proba"):
        adapter = _ClassifierAdapter(model, declared, label)
    elif hasattr(model, "predict"):
        adapter = _PredictAdapter(model, declared, label, decode)
    elif callable(model):
        adapter = _CallableAdapter(model, declared, label, decode)
    else:
        raise ModelError(f"{label} cannot decide", hint="it needs infer, predict_proba or predict, or to be callable")
    return Scorer(label, model, adapter, scale)


def _name_of(model: object) -> str:
    """A backend goes by the name of the model it serves, a function by its own."""
    served = getattr(model, "model", None) if hasattr(model, "infer") else None
    for named, attribute in ((served, "name"), (model, "name"), (model, "__name__")):
        value = getattr(named, attribute, None)
        if isinstance(value, str) and value:
            return value
    return type(model).__name__


def _declared(actions: Sequence[str]) -> tuple[str, ...]:
    names = (actions,) if isinstance(actions, str) else tuple(actions)
    if not names or len(set(names)) != len(names) or not all(isinstance(name, str) and name for name in names):
        raise ModelError(f"actions must be distinct names, got {actions!r}")
    return names


def _named(count: int, name: str, declared: tuple[str, ...] | None) -> tuple[str, ...]:
    """Names for a model that has none: the declared ones, or buy, sell, hold for three."""
    names = TRADING_ACTIONS if declared is None else declared
    if len(names) != count:
        what = "declared" if declared is not None else "nothing names them"
        raise ModelError(f"{name} has {count} actions, {len(names)} {what}", hint="pass actions=[…] in its order")
    return names


def _order(own: Sequence[str], declared: tuple[str, ...], name: str) -> list[int] | None:
    """Where each declared action stands in the model's own order; None if the orders are equal."""
    if tuple(own) == declared:
        return None
    if sorted(own) != sorted(declared):
        raise ModelError(f"{name} decides between {', '.join(own)}, not {', '.join(declared)}")
    return [own.index(action) for action in declared]


def _warn_assumed(name: str) -> None:
    warnings.warn(
        f"{name} returns integer labels and nothing names them: 0, 1, 2 are taken for {', '.join(TRADING_ACTIONS)}; "
        f"pass actions=[…] to say so",
        UserWarning,
        stacklevel=4,
    )


class _ScorerAdapter:
    """Another Scorer in another order."""

    def __init__(self, scorer: Scorer, actions: tuple[str, ...]) -> None:
        self.actions = actions
        self._order = _order(scorer.actions, actions, scorer.name) or list(range(len(actions)))
        self._scorer = scorer

    @property
    def models(self) -> tuple[ModelIdentity, ...]:
        return self._scorer.models

    def raw(self, x: Any) -> tuple[float, ...]:
        scores = self._scorer.score(x)
        return tuple([scores[index] for index in self._order])

    def raw_batch(self, x: Floats) -> Floats:
        return self._scorer.score_batch(x)[:, self._order]


class _BackendAdapter:
    """A Backend, or whatever has `infer` (`[batch, …window]` → `[batch, outputs]`) and `model`."""

    def __init__(self, backend: Any, declared: tuple[str, ...] | None, name: str) -> None:
        version = backend.model
        own = tuple(version.actions)
        self.actions = declared or own or _named(version.output_dim, name, None)
        self._order = _order(own, self.actions, name) if own else None
        if not own:
            _named(version.output_dim, name, self.actions)
        self._dimensions = len(version.input_shape)
        self._backend = backend
        self._score = getattr(backend, "score", self._infer)
        self._served: object = None
        self.models: tuple[ModelIdentity, ...] = ()

    def raw(self, x: Any) -> tuple[float, ...]:
        model, scores = self._score(x)
        if model is not self._served:
            self._served, self.models = model, (model.identity,)
        return tuple(scores if self._order is None else [scores[index] for index in self._order])

    def _infer(self, x: Any) -> tuple[Any, list[float]]:
        """`score` for a backend that has only `infer`."""
        backend = self._backend
        if getattr(x, "ndim", None) == self._dimensions - 1:
            x = x[None]
        while True:
            model = backend.model
            rows = backend.infer(x)
            if backend.model is model:  # else it was replaced meanwhile, and nobody could say which one answered
                break
        if len(rows) != 1:
            raise ModelError(f"a decision is about one observation, found a batch of {len(rows)}")
        (scores,) = rows.tolist()
        return model, scores

    def raw_batch(self, x: Floats) -> Floats:
        scores = np.asarray(self._backend.infer(x))
        return scores if self._order is None else scores[:, self._order]


class _ClassifierAdapter:
    """`predict_proba`: `[batch, features]` → `[batch, classes]`; columns are put in order by `classes_`."""

    models: tuple[ModelIdentity, ...] = ()

    def __init__(self, model: Any, declared: tuple[str, ...] | None, name: str) -> None:
        self._probabilities = model.predict_proba
        self._columns: list[int] | None = None
        classes = getattr(model, "classes_", None)
        if classes is None:
            self.actions = declared or TRADING_ACTIONS
            return
        own = np.asarray(classes).tolist()
        if all(isinstance(item, str) for item in own):
            named = TRADING_ACTIONS if set(own) <= set(TRADING_ACTIONS) else None
            self.actions = declared or named or tuple(own)
            unknown = [item for item in own if item not in self.actions]
            if unknown:
                raise ModelError(f"{name} has the classes {', '.join(unknown)}, not among {', '.join(self.actions)}")
            self._columns = [self.actions.index(item) for item in own]
        else:
            self.actions = declared or _named(len(own), name, None)
            self._columns = [int(item) for item in own]
            if any(not 0 <= item < len(self.actions) for item in self._columns):
                raise ModelError(f"{name} has the classes {own}, not indexes of {', '.join(self.actions)}")
            if declared is None:
                _warn_assumed(name)

    def raw(self, x: Any) -> tuple[float, ...]:
        return tuple(self.raw_batch(np.asarray(x).reshape(1, -1))[0].tolist())

    def raw_batch(self, x: Floats) -> Floats:
        found = np.asarray(self._probabilities(np.asarray(x).reshape(len(x), -1)))
        if self._columns is None:
            return found
        scores = np.zeros((len(found), len(self.actions)), found.dtype)
        scores[:, self._columns] = found  # a class that training never saw keeps probability 0
        return scores


class _PredictAdapter:
    """`predict(observation)`: an Action, a label, or scores; a policy's `(action, state)` is unpacked."""

    def __init__(self, model: Any, declared: tuple[str, ...] | None, name: str, decode: Decode | None) -> None:
        self._predict = model.predict
        self._infer = getattr(model, "infer", None)  # an ensemble's: the whole batch at once
        self._policy = _takes(model.predict, "deterministic")
        # Stable-Baselines3's policies tell one observation from a batch of them by its shape.
        self._window = getattr(getattr(model, "observation_space", None), "shape", None) if self._policy else None
        self._read = _Reader(model, declared, name, decode, policy=self._policy)
        self.actions = self._read.actions

    @property
    def models(self) -> tuple[ModelIdentity, ...]:
        return self._read.models

    def raw(self, x: Any) -> tuple[float, ...]:
        value = self._predict(x, deterministic=True) if self._policy else self._predict(x)
        if isinstance(value, tuple) and (self._policy or (len(value) == 2 and not isinstance(value[1], float))):
            value = value[0]
        return self._read(value)

    def raw_batch(self, x: Floats) -> Floats:
        if self._infer is not None:
            return self._read.reordered(np.asarray(self._infer(x)))
        if self._window == x.shape[1:] and len(x) > 1:  # a batch, which is a hundred times quicker
            labels = self._predict(x, deterministic=True)
            labels = labels[0] if isinstance(labels, tuple) else labels
            if isinstance(labels, np.ndarray) and labels.dtype.kind in "iu" and labels.shape == (len(x),):
                return np.array([self._read(label) for label in labels.tolist()], np.float64)
        return np.array([self.raw(row) for row in x], np.float64).reshape(len(x), -1)


class _CallableAdapter:
    """A function of an observation, or of a batch of them, that returns scores or labels."""

    models: tuple[ModelIdentity, ...] = ()

    def __init__(self, model: Any, declared: tuple[str, ...] | None, name: str, decode: Decode | None) -> None:
        self._call = model
        self._read = _Reader(model, declared, name, decode, policy=False)
        self.actions = self._read.actions

    def raw(self, x: Any) -> tuple[float, ...]:
        return self._read(self._call(x))

    def raw_batch(self, x: Floats) -> Floats:
        found = _array(self._call(x))
        if found.shape == (len(x), len(self.actions)) and found.dtype.kind in "iuf":
            return cast("Floats", found if found.dtype.kind == "f" else found.astype(np.float64))
        if found.shape[:1] != (len(x),):
            raise ModelError(f"the function returned shape {list(found.shape)} for a batch of {len(x)}")
        return np.array([self._read(row) for row in found], np.float64)


class _Reader:
    """Turns what a model returned into scores."""

    def __init__(
        self, model: object, declared: tuple[str, ...] | None, name: str, decode: Decode | None, *, policy: bool
    ) -> None:
        self._name = name
        self._decode = decode
        self._continuous = policy
        self._may_warn = declared is None
        self.models: tuple[ModelIdentity, ...] = ()
        own = getattr(model, "actions", None)
        space = getattr(model, "action_space", None)
        count = getattr(space, "n", None)
        self._order: list[int] | None = None
        if own is not None:
            self.actions = declared or _declared(own)
            self._order = _order(tuple(own), self.actions, name)
            self._own = tuple(own)
            self._may_warn = False
        else:
            self.actions = self._own = declared or TRADING_ACTIONS
        if count is not None:
            _named(int(count), name, self.actions if own is not None else declared)
            self._warn()
        elif space is not None:
            self._continuous = True
            if decode is None:
                raise _continuous(name)
        size = len(self._own)
        self._labels = [tuple(float(self.actions[i] == self._own[k]) for i in range(size)) for k in range(size)]

    def __call__(self, value: object) -> tuple[float, ...]:
        if type(value) is np.ndarray and value.dtype.kind == "f" and value.size == len(self._own):
            if not self._continuous:  # the common case, without the detours below
                return self._of_scores(value.ravel().tolist())
        elif type(value) is int:
            return self._of_label(value)
        if isinstance(value, Action):
            self.models = value.models
            return self._of_action(value)
        if isinstance(value, str):
            return self._of_name(value)
        array = _array(value)
        if array.dtype.kind in "iu" and array.size == 1:
            return self._of_label(int(array.reshape(-1)[0]))
        if array.dtype.kind in "US" and array.size == 1:
            return self._of_name(str(array.reshape(-1)[0]))
        if array.dtype.kind == "f" and (self._continuous or array.size != len(self._own)):
            if self._decode is not None:
                return tuple(float(score) for score in self._decode(value))
            if self._continuous or array.size == 1:
                raise _continuous(self._name)
        if array.dtype.kind not in "iuf":
            raise ModelError(f"{self._name} returned {value!r}: no action, label or scores")
        return self._of_scores(array.reshape(-1).tolist())

    def reordered(self, rows: Floats) -> Floats:
        """Columns in the order of `actions`."""
        return rows if self._order is None else rows[:, self._order]

    def _of_action(self, action: Action) -> tuple[float, ...]:
        if len(action.scores) != len(self._own):
            return self._of_name(action.name)
        if not (0 <= action.index < len(self._own) and self._own[action.index] == action.name):
            raise ModelError(f"{self._name}: action {action.index} is {action.name!r}, expected {self._own}")
        return self._of_scores(action.scores)

    def _of_scores(self, scores: Sequence[float]) -> tuple[float, ...]:
        if self._order is None or len(scores) != len(self._own):
            return tuple(scores)  # a wrong number is the Scorer's to report
        return tuple(scores[index] for index in self._order)

    def _of_name(self, name: str) -> tuple[float, ...]:
        if name not in self._own:
            raise ModelError(f"{self._name} chose {name!r}, which is none of {', '.join(self._own)}")
        return self._labels[self._own.index(name)]

    def _of_label(self, label: int) -> tuple[float, ...]:
        self._warn()
        if not 0 <= label < len(self._own):
            raise ModelError(
                f"{self._name} chose label {label}, expected 0 to {len(self._own) - 1}",
                hint="pass actions=[…] in the order of its labels",
            )
        return self._labels[label]

    def _warn(self) -> None:
        if self._may_warn:
            self._may_warn = False
            _warn_assumed(self._name)


def _array(value: object) -> NDArray[Any]:
    detach = getattr(value, "detach", None)  # a torch tensor that carries gradients cannot become an array
    return np.asarray(value if detach is None else detach())


def _continuous(name: str) -> ModelError:
    return ModelError(
        f"{name} returns a continuous action, which is no choice between actions",
        hint="pass decode=, a function from its output to one score per action",
    )


def _takes(function: Callable[..., object], parameter: str) -> bool:
    try:
        return parameter in inspect.signature(function).parameters
    except (TypeError, ValueError):  # built-in functions have no signature
        return False
