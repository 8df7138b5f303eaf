"""The model under examination: batches of observations in, float64 scores out, and a count of what was asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from axon_quant.errors import ExplainError, ModelError, UnsupportedError
from axon_quant.inference import Action, ModelStore, Scorer, as_scorer
from axon_quant.inference.action import TRADING_ACTIONS
from axon_quant.provenance import ModelIdentity

Floats: TypeAlias = NDArray[np.floating[Any]]
Target: TypeAlias = Action | int | str | None
"""What is explained: an action by itself, its index or its name; None is the model's own choice."""

_LARGEST_CALL = 1 << 24
"""Numbers per call of the model: 64 MB of float32."""


class Subject:
    """A model that can be asked about whole batches.

    `model` is whatever `as_scorer` understands, or a plain function of a batch `[batch, …shape]` that returns
    `[batch, outputs]` (or `[batch]`: one output). `actions` names the outputs of a function that has other than the
    three of a trader. Observations are passed on in `dtype`: float32 for models that serve, the background's own for
    a function. Raises ModelError for an object that cannot be asked.
    """

    __slots__ = ("_ask", "_names", "_served", "_window", "dtype", "evaluations", "model", "name", "scorer")

    def __init__(self, model: object, *, actions: Sequence[str] | None = None) -> None:
        self.model = model
        self._served = model.model if isinstance(model, Scorer) else model
        self._window = _window_of(self._served)
        self.evaluations = 0
        self.scorer: Scorer | None = None
        self._names: tuple[str, ...] | None = None if actions is None else tuple(actions)
        self._ask: Callable[[Floats], Floats]
        if _is_function(model):
            self.name = str(getattr(model, "__name__", type(model).__name__))
            self.dtype: np.dtype[np.floating[Any]] | None = None
            self._ask = self._of_function
        else:
            self.scorer = as_scorer(model, actions)
            self.name = self.scorer.name
            self.dtype = np.dtype(np.float32)
            self._names = self.scorer.actions
            self._ask = self.scorer.score_batch

    @property
    def actions(self) -> tuple[str, ...]:
        """Names of the outputs; a function's are known once it was asked."""
        if self._names is None:
            raise ModelError(f"{self.name} was not asked yet: nothing names its outputs")
        return self._names

    @property
    def models(self) -> tuple[ModelIdentity, ...]:
        """The model versions that serve, an ensemble's in the order of its members; empty for a function."""
        return tuple(served.identity for served in _serving(self._served))

    def feature_names(self, store: ModelStore | None) -> tuple[str, ...] | None:
        """Names of the features: of the schema that the store keeps with the model (an ensemble's first that has one),
        or those a classifier was fitted with; None where nobody knows."""
        for identity in self.models if store is not None else ():
            stored = store.find(identity.sha256) if store is not None else None
            if stored is not None and stored.schema is not None:
                return tuple(stored.schema.features)
        fitted = getattr(self._served, "feature_names_in_", None)
        return None if fitted is None else tuple(map(str, fitted))

    def scores(self, batch: Floats) -> NDArray[np.float64]:
        """`[batch, …shape]` → `[batch, outputs]`, in calls of bounded size.

        What the model raises goes through. Raises ModelError for scores of another shape, or that are not finite.
        """
        fixed = self._fixed_batch()
        rows = fixed or max(1, _LARGEST_CALL // max(1, batch[:1].size))
        parts = []
        for start in range(0, len(batch), rows):
            part = batch[start : start + rows]
            short = 0 if fixed is None else fixed - len(part)
            if short:  # a model of a fixed batch has to be given a full one
                part = np.concatenate([part, np.repeat(part[-1:], short, axis=0)])
            parts.append(self._ask(part)[: len(part) - short])
        self.evaluations += len(batch)
        return np.concatenate(parts).astype(np.float64, copy=False)

    def gradients(self, batch: Floats, output: int) -> NDArray[np.float64]:
        """`[batch, …shape]` → the gradient of a score, in the same shape.

        Raises UnsupportedError for a model that offers none, ModelError for a gradient of another shape or one that is
        not finite.
        """
        found = np.asarray(self._gradient(batch, output), np.float64)
        self.evaluations += len(batch)
        if found.shape != batch.shape or not np.isfinite(found).all():
            raise ModelError(
                f"{self.name}: expected a finite gradient of shape {list(batch.shape)}, found {list(found.shape)}"
            )
        return found

    def has_gradients(self, observation: Floats, output: int) -> bool:
        """Whether the model offers gradients, found out by asking for one."""
        try:
            self.gradients(observation[None], output)
        except UnsupportedError:
            return False
        return True

    def output(self, target: Target, observation: Floats) -> int:
        """The index of the output that `target` means; None asks the model for the highest score of `observation`."""
        if target is None or self._names is None:
            scores = self.scores(observation[None])[0]
            if target is None:
                return int(scores.argmax()) if self.scorer is None else self.scorer.decode(scores.tolist()).index
        names = self.actions
        if isinstance(target, Action):
            target = target.name if target.name in names else target.index
        if isinstance(target, str):
            if target not in names:
                raise ExplainError(f"{self.name} has no action {target!r}", hint=f"it has {', '.join(names)}")
            return names.index(target)
        index = int(target) if isinstance(target, int | np.integer) and not isinstance(target, bool) else -1
        if not 0 <= index < len(names):
            raise ExplainError(f"{self.name} has no action {target!r}", hint=f"it has {len(names)}, counted from 0")
        return index

    def observation(self, value: object, background_data: Any = None) -> Floats:
        """One observation as the model takes it, finite.

        A batch axis of 1 is removed in front of a backend's window, or where the background has one in its place.
        Raises ExplainError for what is not numbers, or not finite.
        """
        found = self.array(value)
        axes, rows = self._window, np.shape(background_data)
        in_place = axes is None and rows[1:] == found.shape[1:] and len(rows) == found.ndim > 1 and rows[0] > 1
        if found.ndim > 0 and len(found) == 1 and (in_place or found.ndim - 1 == axes):
            found = found[0]
        if found.ndim == 0 or found.size == 0:
            raise ExplainError(f"an observation is an array of features, found shape {list(found.shape)}")
        return found

    def array(self, value: object) -> Floats:
        """Finite numbers in the float type of the model. Raises ExplainError for anything else."""
        try:
            found = np.asarray(value)
            kept = found.dtype.kind == "f" and self.dtype is None
            found = found if kept else found.astype(self.dtype or np.float64)
        except (TypeError, ValueError) as error:
            raise ExplainError(f"expected numbers, found {type(value).__name__}: {error}") from error
        if not np.isfinite(found).all():
            raise ExplainError(f"{int((~np.isfinite(found)).sum())} of {found.size} values are not finite")
        return found

    def _gradient(self, batch: Floats, output: int) -> object:
        gradient = getattr(self._served, "gradient", None)
        if not callable(gradient):
            raise UnsupportedError(f"{self.name} offers no gradients")
        own = getattr(getattr(self._served, "model", None), "actions", None)
        return gradient(batch, own.index(self.actions[output]) if own else output)

    def _fixed_batch(self) -> int | None:
        """The only batch that a backend's model takes, if there is one."""
        shape = getattr(getattr(self._served, "session", None), "input_shape", None)
        return int(shape[0]) if isinstance(shape, tuple) and shape and shape[0] is not None else None

    def _of_function(self, batch: Floats) -> Floats:
        answer: Any = self.model(batch)  # type: ignore[operator]
        detach = getattr(answer, "detach", None)
        rows = np.asarray(answer if detach is None else detach())
        if rows.ndim == 1:
            rows = rows[:, None]
        outputs = (rows.shape[-1] if rows.ndim else 1) if self._names is None else len(self._names)
        if rows.dtype.kind not in "fiu" or rows.shape != (len(batch), outputs) or not np.isfinite(rows).all():
            raise ModelError(
                f"{self.name}: expected finite scores of shape {[len(batch), outputs]}, found {rows.dtype} of shape "
                f"{list(rows.shape)}",
                hint="it is called with a batch [batch, …] and returns [batch, outputs]",
            )
        if self._names is None:
            three = outputs == len(TRADING_ACTIONS)
            self._names = TRADING_ACTIONS if three else tuple(f"output{index}" for index in range(outputs))
        return rows


def _is_function(model: object) -> bool:
    adapted = any(hasattr(model, name) for name in ("infer", "predict_proba", "predict"))
    return callable(model) and not isinstance(model, type | Scorer) and not adapted


def _serving(model: object) -> tuple[Any, ...]:
    """What serves in a backend, or in those of an ensemble's members that are backends."""
    members = getattr(model, "models", ())
    found = [getattr(each, "model", None) for each in (model, *(members if isinstance(members, tuple) else ()))]
    return tuple(served for served in found if isinstance(getattr(served, "identity", None), ModelIdentity))


def _window_of(model: object) -> int | None:
    """How many axes the observation of a backend has, or of an ensemble of some; None for those that do not say."""
    shapes = [getattr(served, "input_shape", None) for served in _serving(model)]
    return next((len(shape) - 1 for shape in shapes if isinstance(shape, tuple)), None)
