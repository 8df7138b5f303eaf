"""Layer normalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from axon_backend_safetensors.layers.elementwise import scalar
from axon_backend_safetensors.reader import Tensors
from axon_backend_safetensors.tape import Layer, Shape, Tape
from axon_quant.errors import ModelLoadError
from axon_quant.inference.session import FloatArray

if TYPE_CHECKING:
    from axon_backend_safetensors.program import Program, Slot


class LayerNorm(Layer):
    """torch.nn.LayerNorm over the last axis, with weights."""

    def __init__(self, name: str, tensors: Tensors, eps: float) -> None:
        if not 0 < eps < 1:
            raise ModelLoadError(f"layer_norm {name!r}: eps: expected a number between 0 and 1, found {eps}")
        self._name = name
        self._eps = eps
        self._weight = tensors.floats(f"{name}.weight", None)
        self._bias = tensors.floats(f"{name}.bias", self._weight.size) if f"{name}.bias" in tensors else None

    def shape(self, given: Shape) -> Shape:
        if not given or given[-1] != self._weight.size:
            raise ModelLoadError(f"layer_norm {self._name!r} takes {self._weight.size} features, found {list(given)}")
        return given

    def bind(self, x: FloatArray, tape: Tape) -> FloatArray:
        y, square = tape.buffer(*x.shape), tape.buffer(*x.shape)
        moment, share = tape.buffer(*x.shape[:-1], 1), scalar(1 / self._weight.size)
        tape.call(np.add.reduce, x, axis=-1, out=moment, keepdims=True)
        tape.call(np.multiply, moment, share, moment)
        tape.call(np.subtract, x, moment, y)
        tape.call(np.multiply, y, y, square)
        tape.call(np.add.reduce, square, axis=-1, out=moment, keepdims=True)
        tape.call(np.multiply, moment, share, moment)
        tape.call(np.add, moment, scalar(self._eps), moment)
        tape.call(np.sqrt, moment, moment)
        tape.call(np.divide, y, moment, y)
        tape.call(np.multiply, y, self._weight, y)
        if self._bias is not None:
            tape.call(np.add, y, self._bias, y)
        return y

    def lower(self, x: Slot, program: Program) -> Slot:
        return program.layer_norm(x, self._weight, self._bias, self._eps)
