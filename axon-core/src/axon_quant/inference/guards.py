"""What is refused on the way into a model and on the way out, and the errors that say so."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from axon_quant.errors import ModelError, ModelInputError
from axon_quant.inference.checks import describe
from axon_quant.inference.session import FloatArray

FLOAT32 = np.dtype(np.float32)


def admit(x: object, window: tuple[int, ...]) -> FloatArray:
    """`[batch, …window]` float32 passes, as a plain array. Raises ModelInputError for anything else."""
    expected = f"float32 {describe((None, *window))}"
    if not isinstance(x, np.ndarray):
        raise ModelInputError(f"input: expected {expected}, found {type(x).__name__}")
    if x.dtype != FLOAT32 or x.ndim == 0 or x.shape[0] == 0 or x.shape[1:] != window:
        order = "" if x.dtype.isnative else " in foreign byte order"
        raise ModelInputError(f"input: expected {expected}, found {x.dtype.name}{order} {describe(x.shape)}")
    if np.any(getattr(x, "mask", False)):  # what stands under the mask of a masked array means nothing
        raise ModelInputError(f"input: expected {expected}, found one with masked numbers")
    return x.view(np.ndarray)


def admit_one(x: object, window: tuple[int, ...]) -> FloatArray:
    """One window, `[…window]` or `[1, …window]`, as `[1, …window]`. Raises as `admit` does, also for a batch."""
    if isinstance(x, np.ndarray) and x.shape == window:
        x = x[None]
    x = admit(x, window)
    if len(x) != 1:
        raise ModelInputError(f"input: expected one window, found a batch of {len(x)}")
    return x


def find_not_finite(x: FloatArray) -> ModelInputError | None:
    """The error for NaN or infinity in `x`, if there is any. Looks at each number, so ask a dot product first."""
    bad = np.argwhere(~np.isfinite(x))
    if not len(bad):
        return None
    where = tuple(int(i) for i in bad[0])
    return ModelInputError(f"input: expected finite numbers, found {x[where]} at {list(where)} ({len(bad)} in all)")


def refuse_unless_finite(x: FloatArray) -> None:
    """The dot product that found something may only have overflowed: look again, exactly. Raises ModelInputError."""
    error = find_not_finite(x)
    if error is not None:
        raise error


def failed(path: Path, error: Exception) -> ModelError:
    """What a runtime raised, as ours."""
    return ModelError(f"the model failed: {error}", file=path)


def not_finite(path: Path, scores: FloatArray) -> ModelError:
    """Scores that nobody may act on."""
    return ModelError(f"scores: expected finite numbers, found {scores.ravel()[:8].tolist()}", file=path)
