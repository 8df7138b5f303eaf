"""The model under examination: batches of observations in, float64 scores out, and a count of what was asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from axon_quant.errors import ExplainError, ModelError
from axon_quant.inference import Action, Scorer, as_scorer
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

    __slots__ = ("_ask", "_names", "dtype", "evaluations", "model", "name", "scorer")

    def __init__(self, model: object, *, actions: Sequence[str] | None = None) -> None:
        self.model = model
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
        """The model versions behind the last scores; empty for a function."""
        return () if self.scorer is None else self.scorer.models

    def scores(self, batch: Floats) -> NDArray[np.float64]:
        """`[batch, …shape]` → `[batch, outputs]`, in calls of bounded size.

        What the model raises goes through. Raises ModelError for scores of another shape, or that are not finite.
        """
        rows = max(1, _LARGEST_CALL // max(1, batch[:1].size))
        parts = [self._ask(batch[start : start + rows]) for start in range(0, len(batch), rows)]
        self.evaluations += len(batch)
        return np.concatenate(parts).astype(np.float64, copy=False)

    def output(self, target: Target, observation: Floats) -> int:
        """The index of the output that `target` means; None asks the model for the highest score of `observation`."""
        if target is None or self._names is None:
            scores = self.scores(observation[None])[0]
            if target is None:
                return int(scores.argmax())
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

    def observation(self, value: object) -> Floats:
        """One observation as the model takes it, finite; a batch axis of 1 in front of a backend's window is removed.

        Raises ExplainError for what is not numbers, or not finite.
        """
        found = self.array(value)
        window = _window_of(self.model)
        if window is not None and found.ndim == window + 1 and len(found) == 1:
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

    def _of_function(self, batch: Floats) -> Floats:
        answer: Any = self.model(batch)  # type: ignore[operator]
        detach = getattr(answer, "detach", None)
        rows = np.asarray(answer if detach is None else detach())
        if rows.ndim == 1:
            rows = rows[:, None]
        outputs = rows.shape[-1] if self._names is None else len(self._names)
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


def _window_of(model: object) -> int | None:
    """How many axes the observation of a backend has; None for a model that does not say."""
    served = model.model if isinstance(model, Scorer) else model
    shape = getattr(getattr(served, "model", None), "input_shape", None)
    return len(shape) - 1 if isinstance(shape, tuple) else None
