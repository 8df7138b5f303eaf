"""One loaded model: its layers in order, and running them from any thread."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import numpy as np

from axon_backend_safetensors.architecture import Architecture
from axon_backend_safetensors.layers import build
from axon_backend_safetensors.reader import Tensors
from axon_backend_safetensors.tape import Layer, Shape, Tape
from axon_quant.errors import ModelLoadError
from axon_quant.inference.config import Device
from axon_quant.inference.session import FloatArray

MAX_BATCH = 64
"""Rows computed at once; a larger batch goes through in parts, so that buffers stay small."""
MAX_ELEMENTS = 1 << 26
"""Of one row's values between two layers."""


class _Bound:
    """The model laid out for up to `rows` rows."""

    __slots__ = ("given", "scores", "steps")

    def __init__(self, layers: Sequence[Layer], window: Shape, rows: int) -> None:
        tape = Tape()
        self.given = x = tape.buffer(rows, *window)
        for layer in layers:
            x = layer.bind(x, tape)
        self.scores = x
        self.steps = tuple(tape.steps)


class _Buffers(threading.local):
    """A thread's own: `one` for a batch of one, and one for each power of two that it met."""

    def __init__(self, layers: Sequence[Layer], window: Shape) -> None:
        self._layers, self._window = layers, window
        self.one = _Bound(layers, window, 1)
        self._more = {1: self.one}

    def of(self, rows: int) -> _Bound:
        size = 1 << (rows - 1).bit_length()
        bound = self._more.get(size)
        if bound is None:
            bound = self._more[size] = _Bound(self._layers, self._window, size)
        return bound


class SafetensorsSession:
    """An `axon_quant.inference.Session` on numpy alone.

    A thread's first call lays out its buffers, about a millisecond per hundred steps of a recurrent layer; later ones
    allocate the scores and nothing else. Raises ModelLoadError for layers that do not fit, for a tensor that is missing
    or left over, and for a model whose output is not `[batch, scores]`.
    """

    def __init__(self, architecture: Architecture, tensors: Tensors, window: Shape, plan: Mapping[str, str]) -> None:
        for name in tensors:
            if any(fnmatchcase(name, pattern) for pattern in architecture.ignored):
                tensors.ignore(name)
        where = architecture.source
        self._layers = tuple(
            build(spec, f"{where}: layer {index}", tensors) for index, spec in enumerate(architecture.layers)
        )
        if tensors.unused:
            raise ModelLoadError(
                f"the architecture does not use {', '.join(map(repr, tensors.unused))}",
                hint='name the layers they belong to, or put them under "ignore"',
            )
        self.input_shape: tuple[int | None, ...] = (None, *window)
        self.output_dim = _outputs(self._layers, window)
        self.device = Device.CPU
        self.actions = architecture.actions
        self.schema_sha256 = architecture.schema_sha256
        self.plan: Mapping[str, str] = {**plan, "weights": ", ".join(sorted(tensors.dtypes)) or "none"}
        self._one = (1, *window)
        self._buffers = _Buffers(self._layers, window)

    def run(self, x: FloatArray) -> FloatArray:
        """`[batch, …window]` → `[batch, output_dim]`."""
        if x.shape == self._one:
            bound = self._buffers.one
            np.copyto(bound.given, x)
            for step in bound.steps:
                step()
            return bound.scores.copy()
        scores = np.empty((len(x), self.output_dim), np.float32)
        for start in range(0, len(x), MAX_BATCH):
            part = x[start : start + MAX_BATCH]
            bound = self._buffers.of(len(part))
            bound.given[: len(part)] = part
            bound.given[len(part) :] = 0.0  # what is computed beside the answer must not raise warnings
            for step in bound.steps:
                step()
            scores[start : start + len(part)] = bound.scores[: len(part)]
        return scores


def _outputs(layers: Sequence[Layer], window: Shape) -> int:
    shape = window
    for layer in layers:
        if math.prod(shape) > MAX_ELEMENTS:
            raise ModelLoadError(f"{list(shape)} between two layers is too large, at most {MAX_ELEMENTS} elements")
        shape = layer.shape(shape)
    if len(shape) != 1:
        raise ModelLoadError(
            f"output: expected [batch, scores], found [?, {', '.join(map(str, shape))}]",
            hint="flatten or pool before the last layer",
        )
    if shape[0] > MAX_ELEMENTS:
        raise ModelLoadError(f"{shape[0]} outputs are too many")
    return shape[0]
