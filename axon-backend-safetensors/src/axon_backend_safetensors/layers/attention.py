"""Self-attention and the transformer's encoder layer. Windows are [time, features]."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from axon_backend_safetensors.layers.affine import Affine
from axon_backend_safetensors.layers.elementwise import Activation, softmax
from axon_backend_safetensors.layers.normalisation import LayerNorm
from axon_backend_safetensors.reader import Tensors
from axon_backend_safetensors.tape import Layer, Shape, Tape
from axon_quant.errors import ModelLoadError
from axon_quant.inference.session import FloatArray

if TYPE_CHECKING:
    from axon_backend_safetensors.program import Program, Slot

MAX_SCORES = 1 << 26
"""Of heads × time × time, per row of a batch."""


class MultiheadAttention(Layer):
    """torch.nn.MultiheadAttention of a window with itself, `batch_first`, without masks."""

    def __init__(self, name: str, tensors: Tensors, heads: int) -> None:
        joined = Affine.of(tensors, f"{name}.in_proj_weight", f"{name}.in_proj_bias")
        width = joined.inputs
        if joined.outputs != 3 * width or width % heads:
            raise ModelLoadError(
                f"attention {name!r}: expected in_proj_weight [3·E, E], E a multiple of {heads} heads, "
                f"found {[joined.outputs, width]}"
            )
        joined.joined[:width] *= np.float32(1 / sqrt(width / heads))  # queries: their scores are scaled by this
        self._name, self._heads, self._width = name, heads, width
        self._queries_keys_values = Affine(joined.joined[:, :-1], joined.joined[:, -1].copy())
        self._output = Affine.of(tensors, f"{name}.out_proj.weight", f"{name}.out_proj.bias")
        if (self._output.inputs, self._output.outputs) != (width, width):
            raise ModelLoadError(f"attention {name!r}: out_proj.weight: expected {[width, width]}")

    def shape(self, given: Shape) -> Shape:
        if len(given) != 2 or given[1] != self._width:
            raise ModelLoadError(f"attention {self._name!r} takes [time, {self._width}], found {list(given)}")
        if self._heads * given[0] ** 2 > MAX_SCORES:
            raise ModelLoadError(f"attention {self._name!r}: {given[0]} rows are too many for {self._heads} heads")
        return given

    def bind(self, x: FloatArray, tape: Tape) -> FloatArray:
        batch, time, width = x.shape
        heads, size = self._heads, width // self._heads
        joined = self._queries_keys_values.bind(x, tape).reshape(batch, time, 3, heads, size)
        queries, keys, values = joined.transpose(2, 0, 3, 1, 4)
        scores, mixed = tape.buffer(batch, heads, time, time), tape.buffer(batch, time, heads, size)
        tape.call(np.matmul, queries, keys.transpose(0, 1, 3, 2), scores)
        softmax(scores, tape)
        tape.call(np.matmul, scores, values, mixed.transpose(0, 2, 1, 3))
        return self._output.bind(mixed.reshape(batch, time, width), tape)

    def lower(self, x: Slot, program: Program) -> Slot:
        joined = self._queries_keys_values.lower(x, program)
        return self._output.lower(program.attention(joined, self._heads), program)


class EncoderOptions(Struct, frozen=True):
    """What the names of a TransformerEncoderLayer do not tell."""

    heads: int
    activation: Activation
    norm_first: bool
    eps: float


class TransformerEncoderLayer(Layer):
    """torch.nn.TransformerEncoderLayer, `batch_first`, without masks."""

    def __init__(self, name: str, tensors: Tensors, options: EncoderOptions) -> None:
        self._options = options
        self._attention = MultiheadAttention(f"{name}.self_attn", tensors, options.heads)
        self._wide = Affine.of(tensors, f"{name}.linear1.weight", f"{name}.linear1.bias")
        self._narrow = Affine.of(tensors, f"{name}.linear2.weight", f"{name}.linear2.bias")
        self._first = LayerNorm(f"{name}.norm1", tensors, options.eps)
        self._second = LayerNorm(f"{name}.norm2", tensors, options.eps)
        if (self._narrow.inputs, self._narrow.outputs) != (self._wide.outputs, self._wide.inputs):
            raise ModelLoadError(f"encoder layer {name!r}: linear1 and linear2 do not fit")

    def shape(self, given: Shape) -> Shape:
        given = self._second.shape(self._first.shape(self._attention.shape(given)))
        if given[-1] != self._wide.inputs:
            raise ModelLoadError(f"linear1 takes {self._wide.inputs} features, found {list(given)}")
        return given

    def bind(self, x: FloatArray, tape: Tape) -> FloatArray:
        if self._options.norm_first:
            attended = self._attention.bind(self._first.bind(x, tape), tape)
            tape.call(np.add, x, attended, attended)
            fed = self._feed(self._second.bind(attended, tape), tape)
            tape.call(np.add, attended, fed, fed)
            return fed
        attended = self._attention.bind(x, tape)
        tape.call(np.add, x, attended, attended)
        attended = self._first.bind(attended, tape)
        fed = self._feed(attended, tape)
        tape.call(np.add, attended, fed, fed)
        return self._second.bind(fed, tape)

    def lower(self, x: Slot, program: Program) -> Slot:
        if self._options.norm_first:
            attended = self._attention.lower(self._first.lower(x, program), program)
            program.add(x, attended)
            fed = self._lower_feed(self._second.lower(attended, program), program)
            program.add(attended, fed)
            return fed
        attended = self._attention.lower(x, program)
        program.add(x, attended)
        attended = self._first.lower(attended, program)
        fed = self._lower_feed(attended, program)
        program.add(attended, fed)
        return self._second.lower(fed, program)

    def _feed(self, x: FloatArray, tape: Tape) -> FloatArray:
        wide = self._wide.bind(x, tape)
        self._options.activation.write(wide, tape)
        return self._narrow.bind(wide, tape)

    def _lower_feed(self, x: Slot, program: Program) -> Slot:
        wide = self._wide.lower(x, program)
        self._options.activation.lower(wide, program)
        return self._narrow.lower(wide, program)
