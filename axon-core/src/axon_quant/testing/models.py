"""The models a backend is tested with: made by the backend's author, answered by NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

from axon_quant.inference.files import ModelFiles
from axon_quant.inference.session import FloatArray


@attrs.frozen
class ModelRequest:
    """What the suite wants a model file to be.

    A model of `[batch, *window]` float32 → `[batch, outputs]` float32 for the backend of this name; another `seed` is
    another model. `actions` are to be stored in the file where the format can. `half` asks for one that runs under
    `fp16=True`. With `finite=False` a weight that every answer depends on is NaN. With `fits=False` the file is sound,
    but the widths of its weights do not fit together. `extra_output` asks for a file with more than the scores in it: a
    second output or, where the file holds bare weights, a tensor that no layer uses. `side_files` asks for a model that
    keeps a part of itself in other files beside its own, as `ReferenceModel.sides` then says.

    A maker that knows nothing of the last three writes the plain model, and the tests that ask for them are skipped.
    """

    backend: str
    window: tuple[int, ...] = (4, 3)
    outputs: int = 3
    seed: int = 0
    actions: tuple[str, ...] | None = None
    half: bool = False
    finite: bool = True
    fits: bool = True
    extra_output: bool = False
    side_files: bool = False


@attrs.frozen(eq=False)
class ReferenceModel:
    """A model file and what it must answer.

    `reference` maps `[batch, *window]` to `[batch, outputs]` with NumPy alone; `raw` runs the bare runtime on one
    window, for the latency report (default: the backend's `bare`). `sides` are the other files that belong to the
    model. A score passes if it is within `atol + rtol · |reference|`.
    """

    path: Path
    reference: Callable[[FloatArray], NDArray[np.float64]]
    raw: Callable[[FloatArray], object] | None = None
    rtol: float = 1e-4
    atol: float = 1e-5
    sides: tuple[Path, ...] = ()

    @property
    def sha256(self) -> str:
        """Of all its files."""
        return ModelFiles.at(self.path, self.sides).sha256


ModelMaker: TypeAlias = Callable[[Path, ModelRequest], ReferenceModel]
"""Writes the model of a request into a folder. Raises UnsupportedError for one that the format cannot hold."""


@attrs.frozen(eq=False)
class Mlp:
    """Weights for a maker whose format can hold them: scores = max(x · hidden, 0) · output, x flattened.

    `hidden` is `[window size, width]` and `output` `[width, outputs]`, float32.
    """

    hidden: FloatArray
    output: FloatArray

    @classmethod
    def of(cls, request: ModelRequest, width: int = 8) -> Mlp:
        """Seeded weights of the request's sizes."""
        rng = np.random.default_rng(request.seed)
        hidden = rng.standard_normal((math.prod(request.window), width), np.float32)
        output = rng.standard_normal((width if request.fits else width + 1, request.outputs), np.float32)
        if not request.finite:
            output[0, 0] = np.nan
        return cls(hidden, output)

    def reference(self, x: FloatArray) -> NDArray[np.float64]:
        """The scores, computed in float64."""
        flat = x.reshape(len(x), -1).astype(np.float64)
        scores: NDArray[np.float64] = np.maximum(flat @ self.hidden, 0.0) @ self.output
        return scores
