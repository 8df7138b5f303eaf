"""The engine of compiled kernels, for which numba is needed (`pip install "axon-backend-safetensors[numba]"`)."""

from __future__ import annotations

import ctypes
from functools import partial

import llvmlite.binding
import numba
import numpy as np

from axon_backend_safetensors import kernels
from axon_backend_safetensors.model import Model
from axon_backend_safetensors.program import Program
from axon_backend_safetensors.session import Bound, Engine

NAME = f"numba {numba.__version__}"
PROCESSOR = str(llvmlite.binding.get_host_cpu_name())
"""What the kernels are compiled for; the same kernels give other bits on another one."""

_KEEPING = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(kernels.run.address)
_RELEASING = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(kernels.run.address)

WORTH_RELEASING = 1 << 18
"""Products above which the interpreter lock is given up meanwhile; below, asking for it again would take longer."""


class NumbaEngine(Engine):
    """The model as a program for the compiled kernels, which run on one thread."""

    def __init__(self, model: Model) -> None:
        """Raises ModelLoadError for a model that is too large."""
        program = Program(model.layers, model.window)
        self._given, self._scores = program.given, program.scores
        self._values, self._products = program.values, program.products
        self._words, self._weights = program.pack()

    def bind(self, rows: int) -> Bound:
        values = np.zeros(rows * self._values, np.float32)
        given, scores = (
            values[rows * slot.offset : rows * (slot.offset + slot.size)].reshape(rows, *slot.shape)
            for slot in (self._given, self._scores)
        )
        arrays = (self._words, self._weights, values)
        call = np.array([*(array.ctypes.data for array in arrays), rows], np.uint64)
        function = _RELEASING if rows * self._products > WORTH_RELEASING else _KEEPING
        step = partial(function, ctypes.c_void_p(call.ctypes.data))
        return Bound(given, scores, (step,), (call, *arrays))
