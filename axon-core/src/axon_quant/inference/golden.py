"""Golden vectors: inputs, and the scores a model gave to them when somebody vouched for it."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from typing import Self, cast

import attrs
import numpy as np

from axon_quant.errors import ModelCheckError, ModelLoadError
from axon_quant.inference.arrays import read_arrays
from axon_quant.inference.backend import PreparedModel
from axon_quant.inference.checks import describe, probe
from axon_quant.inference.files import write_whole
from axon_quant.inference.session import FloatArray, Session

MAX_BYTES = 64 << 20
"""Of a file of golden vectors, packed and unpacked; thousands of vectors fit."""

_COUNT = 8
_SEED = 0x601D
_ROUNDED = frozenset({"float16", "mixed"})
"""Precisions in a plan, of the arithmetic or of the weights, with which scores may be rounded to float16."""
_ROUNDED_TOLERANCES = (1e-2, 1e-3)
_USUAL_TOLERANCES = (1e-4, 1e-5)


def _float32(_: object, attribute: attrs.Attribute[FloatArray], value: FloatArray) -> None:
    if not isinstance(value, np.ndarray) or value.dtype != np.float32:
        raise ValueError(f"{attribute.name} must be a float32 array, got {getattr(value, 'dtype', type(value))}")
    if not np.isfinite(value).all():
        raise ValueError(f"{attribute.name} must be finite")


def _tolerance(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0 <= value < math.inf:
        raise ValueError(f"{attribute.name} must be a finite number of at least 0, got {value}")


@attrs.frozen(eq=False)
class GoldenVectors:
    """`inputs` `[n, …window]` and `outputs` `[n, output_dim]`, float32 and finite.

    A score passes if it is within `atol + rtol · |output|`; with both 0 every bit counts. Raises ValueError for arrays
    that do not fit together or have more than 64 MiB.
    """

    inputs: FloatArray = attrs.field(validator=_float32)
    outputs: FloatArray = attrs.field(validator=_float32)
    rtol: float = attrs.field(default=_USUAL_TOLERANCES[0], validator=_tolerance)
    atol: float = attrs.field(default=_USUAL_TOLERANCES[1], validator=_tolerance)

    def __attrs_post_init__(self) -> None:
        x, y = self.inputs, self.outputs
        if x.ndim < 2 or y.ndim != 2 or len(x) != len(y) or not x.size or not y.size:
            raise ValueError(
                f"expected inputs [n, …] and outputs [n, k], found {describe(x.shape)}, {describe(y.shape)}"
            )
        if x.nbytes + y.nbytes > MAX_BYTES:
            raise ValueError(f"expected at most {MAX_BYTES} bytes, found {x.nbytes + y.nbytes}")

    def __len__(self) -> int:
        return len(self.inputs)

    @classmethod
    def record(
        cls,
        model: Session | PreparedModel,
        inputs: FloatArray | None = None,
        *,
        rtol: float | None = None,
        atol: float | None = None,
    ) -> Self:
        """What `model` answers to `inputs`, `[n, …window]` float32 (default: eight windows of seeded noise).

        The tolerances' defaults let another processor's rounding pass: 1e-4 and 1e-5 of the largest score (at least
        1e-5), in float16 or with float16 weights 1e-2 and 1e-3. Raises ValueError for inputs that are not such an
        array, and whatever the model raises for a shape that is not its own.
        """
        session = model.session if isinstance(model, PreparedModel) else model
        if inputs is None:
            inputs = probe((_COUNT, *_window(model)), _SEED)
        outputs = _answers(session, inputs)
        precisions = {session.plan.get("precision"), session.plan.get("weights")}
        usual_rtol, usual_atol = _ROUNDED_TOLERANCES if precisions & _ROUNDED else _USUAL_TOLERANCES
        largest = max(1.0, float(np.abs(outputs).max(initial=0.0)))
        return cls(
            np.array(inputs),
            outputs,
            usual_rtol if rtol is None else rtol,
            usual_atol * largest if atol is None else atol,
        )

    def check(self, prepared: PreparedModel) -> None:
        """Raise ModelCheckError, with the vector that is furthest off, unless the model answers as it did."""
        path, spec = prepared.files.path, prepared.spec
        for what, expected, takes in (
            ("input", self.inputs.shape[1:], spec.input_shape[1:]),
            ("outputs", self.outputs.shape[1:], (spec.output_dim,)),
        ):
            if expected != takes:
                raise ModelCheckError(
                    f"golden vectors: {what}: expected {describe(expected)}, found {describe(takes)}", file=path
                )
        found = _answers(prepared.session, self.inputs)
        with np.errstate(invalid="ignore", over="ignore"):
            excess = np.abs(found - self.outputs) - (self.atol + self.rtol * np.abs(self.outputs))
        excess[np.isnan(excess)] = np.inf
        worst = int(excess.max(axis=1).argmax())
        if not excess[worst].max() <= 0:
            raise ModelCheckError(
                f"golden vectors: vector {worst} of {len(self)}: expected {_scores(self.outputs[worst])}, "
                f"found {_scores(found[worst])}, further than {self.atol:.3g} + {self.rtol:.3g}·|score| apart",
                file=path,
                hint="it is another model, or this machine computes it in another way",
            )

    def save(self, path: str | Path) -> None:
        """Write an `.npz` file, whole or not at all; the same vectors give the same bytes. Raises OSError."""
        buffer = io.BytesIO()
        np.savez(
            buffer,
            inputs=self.inputs,
            outputs=self.outputs,
            rtol=np.float64(self.rtol),
            atol=np.float64(self.atol),
        )
        write_whole(Path(path), buffer.getvalue())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote, or any `.npz` with `inputs` and `outputs` and, if it likes, `rtol` and `atol`.

        Nothing in the file can run code. Raises ModelLoadError for a file that is not one, or has more than 64 MiB.
        """
        path = Path(path)
        arrays = read_arrays(path, required=("inputs", "outputs"), optional=("rtol", "atol"), max_bytes=MAX_BYTES)
        scalars = {name: arrays.pop(name) for name in ("rtol", "atol") if name in arrays}
        try:
            if any(scalar.ndim for scalar in scalars.values()):
                raise ValueError("rtol and atol must be single numbers")
            tolerances = {name: float(scalar) for name, scalar in scalars.items()}
            return cls(cast(FloatArray, arrays["inputs"]), cast(FloatArray, arrays["outputs"]), **tolerances)
        except ValueError as error:
            raise ModelLoadError(f"golden vectors: {error}", file=os.fspath(path)) from error


def _window(model: Session | PreparedModel) -> tuple[int, ...]:
    if isinstance(model, PreparedModel):
        return model.spec.input_shape[1:]
    shape = tuple(size for size in model.input_shape[1:] if size is not None)
    if len(shape) != len(model.input_shape) - 1:
        raise ValueError(f"the model leaves a dimension of its window open, {describe(model.input_shape)}: give inputs")
    return shape


def _answers(session: Session, inputs: FloatArray) -> FloatArray:
    """One window at a time, as it is done live; a model with a fixed batch is given the window that many times."""
    batch = session.input_shape[0] or 1
    rows = [session.run(np.repeat(window[None], batch, axis=0))[0] for window in inputs]
    return np.array(rows, np.float32)


def _scores(row: FloatArray) -> list[float]:
    return [float(f"{score:.7g}") for score in row[:8].tolist()]
