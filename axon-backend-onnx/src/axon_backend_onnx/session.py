"""One loaded ONNX model: what it declares, and running it from any thread."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

import attrs
import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from axon_quant.errors import ModelInputError, ModelLoadError
from axon_quant.inference.checks import describe
from axon_quant.inference.config import Device
from axon_quant.inference.session import FloatArray

_FloatType: TypeAlias = np.dtype[np.float32] | np.dtype[np.float16]
_Array: TypeAlias = NDArray[np.floating[Any]]
_FLOAT32 = np.dtype(np.float32)
_TYPES: dict[str, _FloatType] = {"tensor(float)": np.dtype(np.float32), "tensor(float16)": np.dtype(np.float16)}

_COPY_PAYS = 128 << 10
"""Bytes of a window above which copying it costs more than binding saves."""


@attrs.frozen
class _Port:
    """Name, dtype and declared shape of an input or an output."""

    name: str
    dtype: _FloatType
    shape: tuple[int | None, ...]

    @classmethod
    def only(cls, ports: list[ort.NodeArg], what: str) -> _Port:
        if len(ports) != 1:
            raise ModelLoadError(f"{what}s: expected one, found {[port.name for port in ports]}")
        (port,) = ports
        if port.type not in _TYPES:
            raise ModelLoadError(f"{what} {port.name}: expected float32 or float16, found {port.type}")
        shape = tuple(size if isinstance(size, int) and size > 0 else None for size in port.shape)
        return cls(port.name, _TYPES[port.type], shape)


class _Buffers(threading.local):
    """A thread's own input and output, bound once. Without a way back to the OnnxSession: a cycle would outlive it."""

    def __init__(
        self, session: ort.InferenceSession, given: _Port, shape: tuple[int, ...], scores: _Port, width: int
    ) -> None:
        x, y = np.zeros(shape, given.dtype), np.zeros((1, width), scores.dtype)
        binding = session.io_binding()
        binding.bind_input(given.name, "cpu", 0, given.dtype, x.shape, x.ctypes.data)
        binding.bind_output(scores.name, "cpu", 0, scores.dtype, y.shape, y.ctypes.data)
        self.bound: tuple[_Array, _Array, Callable[[], None]] = (x, y, _bound_run(session, binding))


def _bound_run(session: ort.InferenceSession, binding: ort.IOBinding) -> Callable[[], None]:
    """`session.run_with_iobinding(binding)`, without its wrapper where there is the one we know.

    The wrapper asks about WebGPU on each call, which costs a sixth of a small model's run.
    """
    inner, bound = getattr(session, "_sess", None), getattr(binding, "_iobinding", None)
    if inner is None or bound is None:
        return partial(session.run_with_iobinding, binding)
    return partial(inner.run_with_iobinding, bound, None)


class OnnxSession:
    """An `axon_quant.inference.Session` on an onnxruntime InferenceSession.

    A batch of one goes through buffers that are bound once per thread: copy in, run, copy out. Other batches, and
    windows above 128 KiB, go through `run`. A float16 model is given float16 and its scores are returned as float32.
    Raises ModelLoadError for a model that is not one float tensor in, `[batch, scores]` float out.
    """

    def __init__(self, session: ort.InferenceSession, device: Device, plan: Mapping[str, str]) -> None:
        self._session = session
        self._given = _Port.only(session.get_inputs(), "input")
        self._scores = _Port.only(session.get_outputs(), "output")
        self.input_shape = self._given.shape
        self.output_dim = self._width()
        self.device = device
        metadata = session.get_modelmeta().custom_metadata_map
        names = metadata.get("axon.actions")
        self.actions: tuple[str, ...] | None = tuple(names.split(",")) if names else None
        self.schema_sha256: str | None = metadata.get("axon.schema_sha256")
        self._buffers, self._bound_shape = self._bind()
        self.plan: Mapping[str, str] = {**plan, "binding": "run" if self._buffers is None else "io_binding"}

    def run(self, x: FloatArray) -> FloatArray:
        """`[batch, …window]` → `[batch, output_dim]`. Raises ModelInputError for a batch the model does not take."""
        buffers = self._buffers
        if buffers is not None and x.shape == self._bound_shape:
            given, scores, run = buffers.bound
            given[...] = x
            run()
            return scores.astype(_FLOAT32)
        batch = self.input_shape[0]
        if batch is not None and x.shape[0] != batch:
            raise ModelInputError(f"input: the model's batch is fixed, expected {batch}, found {x.shape[0]}")
        (y,) = self._session.run(
            [self._scores.name], {self._given.name: x.astype(self._given.dtype, order="C", copy=False)}
        )
        return np.asarray(y, _FLOAT32)

    def _width(self) -> int:
        shape = self._scores.shape
        if len(shape) != 2 or shape[1] is None:
            raise ModelLoadError(f"output {self._scores.name}: expected [batch, scores], found {describe(shape)}")
        return shape[1]

    def _bind(self) -> tuple[_Buffers | None, tuple[int, ...] | None]:
        if self.device.kind != "cpu":
            return None, None  # there a bound input is copied to the device once, when it is bound
        batch, *window = self.input_shape
        fixed = tuple(size for size in window if size is not None)
        shape = (1, *fixed)
        if batch not in (None, 1) or len(fixed) != len(window) or 4 * math.prod(shape) > _COPY_PAYS:
            return None, None
        return _Buffers(self._session, self._given, shape, self._scores, self.output_dim), shape
