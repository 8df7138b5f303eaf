"""Linear layers, alone and as a part of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from axon_backend_safetensors.reader import Tensors
from axon_backend_safetensors.tape import Layer, Shape, Tape, with_one
from axon_quant.errors import ModelLoadError
from axon_quant.inference.session import FloatArray

if TYPE_CHECKING:
    from axon_backend_safetensors.program import Program, Slot


class Affine:
    """`y = W x + b` over the last axis; W is `[out, in]`, kept with b as its last column."""

    def __init__(self, weight: FloatArray, bias: FloatArray | None) -> None:
        self.outputs, self.inputs = weight.shape
        self.joined = np.zeros((self.outputs, self.inputs + 1), np.float32)
        self.joined[:, :-1] = weight
        if bias is not None:
            self.joined[:, -1] = bias
        self._transposed = self.joined[:, :-1].T
        self._bias = None if bias is None else bias

    @classmethod
    def of(cls, tensors: Tensors, weight: str, bias: str) -> Affine:
        """Take `weight`, and `bias` where there is one. Raises ModelLoadError."""
        matrix = tensors.floats(weight, None, None)
        return cls(matrix, tensors.floats(bias, len(matrix)) if bias in tensors else None)

    def bind(self, x: FloatArray, tape: Tape) -> FloatArray:
        """As `Layer.bind`, for any number of axes before the last."""
        y = tape.buffer(*x.shape[:-1], self.outputs)
        rows = x.size // self.inputs
        vector = with_one(x) if rows == 1 else None
        if vector is not None:
            tape.call(self.joined.dot, vector, y.reshape(self.outputs))
            return y
        if not x.flags.c_contiguous:
            gathered = tape.buffer(*x.shape)
            tape.call(np.copyto, gathered, x)
            x = gathered
        flat = y.reshape(rows, self.outputs)
        tape.call(np.dot, x.reshape(rows, self.inputs), self._transposed, flat)
        if self._bias is not None:
            tape.call(np.add, flat, self._bias, flat)
        return y

    def lower(self, x: Slot, program: Program) -> Slot:
        """As `Layer.lower`, likewise."""
        return program.dense(x, self.joined[:, :-1], self._bias)


class Linear(Layer):
    """torch.nn.Linear."""

    def __init__(self, name: str, tensors: Tensors) -> None:
        self._name = name
        self._affine = Affine.of(tensors, f"{name}.weight", f"{name}.bias")

    def shape(self, given: Shape) -> Shape:
        if not given or given[-1] != self._affine.inputs:
            raise ModelLoadError(
                f"linear {self._name!r} takes [?, …, {self._affine.inputs}], found [?, {_text(given)}]"
            )
        return (*given[:-1], self._affine.outputs)

    def bind(self, x: FloatArray, tape: Tape) -> FloatArray:
        return self._affine.bind(x, tape)

    def lower(self, x: Slot, program: Program) -> Slot:
        return self._affine.lower(x, program)


def _text(shape: Shape) -> str:
    return ", ".join(map(str, shape))
