"""One loaded model, computing for any thread in buffers that are laid out once."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import numpy as np
from msgspec import Struct

from axon_backend_safetensors.model import Model
from axon_backend_safetensors.tape import Tape
from axon_quant.inference.config import Device
from axon_quant.inference.session import FloatArray

MAX_BATCH = 64
"""Rows computed at once; a larger batch goes through in parts, so that buffers stay small."""


class Bound(Struct, frozen=True, eq=False):
    """One thread's buffers for some number of rows, and the calls that turn `given` into `scores`.

    `kept` is what the calls know by its address only.
    """

    given: FloatArray
    scores: FloatArray
    steps: tuple[Callable[[], object], ...]
    kept: tuple[object, ...] = ()


class Engine(ABC):
    """How a model is computed."""

    @abstractmethod
    def bind(self, rows: int) -> Bound:
        """Lay out buffers for this many rows."""


class NumpyEngine(Engine):
    """A flat list of numpy calls."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def bind(self, rows: int) -> Bound:
        tape = Tape()
        given = x = tape.buffer(rows, *self._model.window)
        for layer in self._model.layers:
            x = layer.bind(x, tape)
        return Bound(given, x, tuple(tape.steps))


class _Buffers(threading.local):
    """A thread's own: `one` for a batch of one, and one for each power of two that it met."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.one = engine.bind(1)
        self._more = {1: self.one}

    def of(self, rows: int) -> Bound:
        size = 1 << (rows - 1).bit_length()
        bound = self._more.get(size)
        if bound is None:
            bound = self._more[size] = self._engine.bind(size)
        return bound


class SafetensorsSession:
    """An `axon_quant.inference.Session` on numpy or on compiled kernels.

    A thread's first call lays out its buffers, with numpy about a millisecond per hundred steps of a recurrent layer;
    later ones allocate the scores and nothing else.
    """

    def __init__(self, model: Model, engine: Engine, plan: Mapping[str, str]) -> None:
        self.input_shape: tuple[int | None, ...] = (None, *model.window)
        self.output_dim = model.outputs
        self.device = Device.CPU
        self.actions = model.actions
        self.schema_sha256 = model.schema_sha256
        self.plan = plan
        self._one = (1, *model.window)
        self._buffers = _Buffers(engine)

    def run(self, x: FloatArray) -> FloatArray:
        """`[batch, …window]` → `[batch, output_dim]`."""
        if x.shape == self._one:
            bound = self._buffers.one
            bound.given[...] = x
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
