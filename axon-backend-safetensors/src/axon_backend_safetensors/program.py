"""A model as data: a list of operations, their weights in one array, and where their values lie in another.

The compiled kernels run it. They are compiled once and for every model, because operations, weights and sizes are
arguments to them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum, auto

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from axon_backend_safetensors.tape import Layer, Shape
from axon_quant.errors import ModelLoadError
from axon_quant.inference.session import FloatArray

HEAD = 3
"""Words before the operations: how many words, weights, and values of a row there are."""
WORDS = 13
"""Of one operation: which one, and its arguments."""
MAX_VALUES = 1 << 28
"""Of one row, in all layers."""


class Op(IntEnum):
    """What the kernels know."""

    END = 0
    RELU = auto()
    TANH = auto()
    SIGMOID = auto()
    SILU = auto()
    GELU = auto()
    GELU_TANH = auto()
    ELU = auto()
    LEAKY_RELU = auto()
    SOFTMAX = auto()
    DENSE = auto()
    LAYER_NORM = auto()
    GRU = auto()
    LSTM = auto()
    POOL = auto()
    TRANSPOSE = auto()
    ADD = auto()
    ADD_WEIGHTS = auto()
    ATTENTION = auto()
    CONVOLUTION = auto()
    PAD = auto()
    EMBEDDING = auto()
    COPY = auto()


class Slot(Struct, frozen=True):
    """Where the values of one row lie: `offset` counts values, `shape` is without the batch."""

    offset: int
    shape: Shape

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def seen_as(self, *shape: int) -> Slot:
        """The same values in another shape."""
        return Slot(self.offset, shape)


class Program:
    """Operations, appended in order. The values of a slot stand together for all rows, from `offset · rows` on."""

    def __init__(self, layers: Sequence[Layer], window: Shape) -> None:
        """Raises ModelLoadError where the values of a row are too many."""
        self._operations: list[list[int]] = []
        self._weights: list[FloatArray] = []
        self._weight_count = 0
        self.values = 0
        self.products = 0
        self.given = x = self.slot(*window)
        for layer in layers:
            x = layer.lower(x, self)
        self.scores = self.slot(*x.shape)
        self.copy(x, self.scores)

    def pack(self) -> tuple[NDArray[np.uint64], FloatArray]:
        """The head and the operations in one array, the weights in another."""
        weights = np.concatenate([*self._weights, np.zeros(1, np.float32)])
        operations = [*self._operations, [int(Op.END)] * WORDS]
        head = [HEAD + WORDS * len(operations), weights.size, self.values]
        return np.array([*head, *(word for words in operations for word in words)], np.uint64), weights

    def slot(self, *shape: int) -> Slot:
        """Room for values of this shape. Raises ModelLoadError where it gets too much."""
        slot = Slot(self.values, shape)
        self.values += slot.size
        if self.values > MAX_VALUES:
            raise ModelLoadError(f"the model has more than {MAX_VALUES} values between its layers")
        return slot

    def activate(self, name: str, x: Slot, setting: float) -> None:
        """Append the activation of that name, in place."""
        if name != "identity":
            op, width = Op[name.upper()], x.shape[-1]
            self._add(op, x.offset, x.size // width, width, self._keep([setting]))

    def dense(self, x: Slot, weight: FloatArray, bias: FloatArray | None) -> Slot:
        """Append `W x + b` over the last axis, W being `[out, in]`."""
        outputs, inputs = weight.shape
        y = self.slot(*x.shape[:-1], outputs)
        inner = x.size // inputs
        self.products += inner * weight.size
        self._add(Op.DENSE, self._keep(weight), self._bias(bias, outputs), x.offset, y.offset, inner, outputs, inputs)
        return y

    def layer_norm(self, x: Slot, weight: FloatArray, bias: FloatArray | None, eps: float) -> Slot:
        """Append a LayerNorm over the last axis."""
        y, width = self.slot(*x.shape), weight.size
        places = (self._keep(weight), self._bias(bias, width), self._keep([eps]))
        self._add(Op.LAYER_NORM, x.offset, y.offset, x.size // width, width, *places)
        return y

    def recurrent(self, kind: str, given: Slot, states: FloatArray, y: Slot, column: int, *, reverse: bool) -> Slot:
        """Append one direction of a GRU or an LSTM, `states` with the bias as last column; its last state.

        `given` is [time, gates · hidden], the inputs' part of the sums; the states of all steps go into `y`,
        [time, width], from `column` on.
        """
        op = Op[kind.upper()]
        sums, hidden = states.shape[0], states.shape[1] - 1
        scratch = self.slot(sums + (2 if op is Op.LSTM else 1) * hidden)
        weight, bias = self._keep(states[:, :-1]), self._keep(states[:, -1])
        self.products += given.shape[0] * states.size
        last = self.slot(hidden)
        places = (given.offset, y.offset, given.shape[0], hidden, weight, bias, scratch.offset, y.shape[1], column)
        self._add(op, *places, int(reverse), last.offset)
        return last

    def pool(self, x: Slot, how: str, axis: int) -> Slot:
        """Append the mean, the maximum or the last over axis 0 or 1 of [time, features]."""
        y = self.slot(x.shape[1 - axis])
        self._add(Op.POOL, x.offset, y.offset, *x.shape, ("mean", "max", "last").index(how), axis)
        return y

    def transpose(self, x: Slot) -> Slot:
        """Append swapping the two axes."""
        y = self.slot(*x.shape[::-1])
        self._add(Op.TRANSPOSE, x.offset, y.offset, *x.shape)
        return y

    def add(self, x: Slot, y: Slot) -> None:
        """Append `y ← x + y`."""
        self._add(Op.ADD, x.offset, y.offset, x.size)

    def add_weights(self, x: Slot, table: FloatArray) -> None:
        """Append `x ← x + table`, of the same size."""
        self._add(Op.ADD_WEIGHTS, self._keep(table), x.offset, x.size)

    def attention(self, x: Slot, heads: int) -> Slot:
        """Append mixing values by the softmax of queries · keys; `x` is [time, 3 · width], queries scaled already."""
        time, width = x.shape[0], x.shape[1] // 3
        y, scratch = self.slot(time, width), self.slot(time)
        self.products += 2 * time * time * width
        self._add(Op.ATTENTION, x.offset, y.offset, time, heads, width // heads, scratch.offset)
        return y

    def pad(self, x: Slot, left: int, right: int) -> Slot:
        """Append zeros on both sides of the last axis of [channels, length]."""
        channels, length = x.shape
        y = self.slot(channels, left + length + right)
        self._add(Op.PAD, x.offset, y.offset, channels, length, left, right)
        return y

    def convolution(
        self, x: Slot, weight: FloatArray, bias: FloatArray | None, y: Shape, stride: int, dilation: int
    ) -> Slot:
        """Append a convolution of [channels, length], padded already; `weight` is [out, in / groups, kernel]."""
        outputs, inputs, kernel = weight.shape
        slot = self.slot(*y)
        self.products += y[1] * weight.size
        places = (x.offset, slot.offset, self._keep(weight), self._bias(bias, outputs))
        self._add(Op.CONVOLUTION, *places, outputs, *x.shape, y[1], kernel, stride, dilation, inputs)
        return slot

    def embedding(self, x: Slot, table: FloatArray) -> Slot:
        """Append looking up rows of `[rows, width]`."""
        y = self.slot(*x.shape, table.shape[1])
        self._add(Op.EMBEDDING, x.offset, y.offset, x.size, self._keep(table), *table.shape)
        return y

    def copy(self, x: Slot, y: Slot, column: int = 0) -> None:
        """Append copying the whole of `x` into the last axis of `y`, [x.size] wide or wider, from `column` on."""
        self._add(Op.COPY, x.offset, x.size, y.offset, y.size, column)

    def _add(self, op: Op, *arguments: int) -> None:
        self._operations.append([op, *arguments, *[0] * (WORDS - 1 - len(arguments))])

    def _keep(self, array: FloatArray | Sequence[float]) -> int:
        """Where these weights begin."""
        flat = np.asarray(array, np.float32).ravel()
        begin = self._weight_count
        self._weights.append(flat)
        self._weight_count += flat.size
        return begin

    def _bias(self, bias: FloatArray | None, size: int) -> int:
        return self._keep(np.zeros(size, np.float32) if bias is None else bias)
