"""Layers without arithmetic worth the name: flatten, transpose, pooling, positions, embeddings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from axon_backend_safetensors.reader import Tensors
from axon_backend_safetensors.tape import Layer, Shape, Tape
from axon_quant.errors import ModelLoadError
from axon_quant.inference.session import FloatArray

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from axon_backend_safetensors.program import Program, Slot


class Flatten(Layer):
    """torch.nn.Flatten: a window becomes one vector."""

    def shape(self, given: Shape) -> Shape:
        return (math.prod(given),)

    def bind(self, x: FloatArray, tape: Tape) -> FloatArray:
        if not x.flags.c_contiguous:
            gathered = tape.buffer(*x.shape)
            tape.call(np.copyto, gathered, x)
            x = gathered
        return x.reshape(len(x), -1)

    def lower(self, x: Slot, program: Program) -> Slot:  # noqa: ARG002 (as above)
        return x.seen_as(x.size)


class Transpose(Layer):
    """Swap time and features."""

    def shape(self, given: Shape) -> Shape:
        if len(given) != 2:
            raise ModelLoadError(f"transpose takes a window of two axes, found {list(given)}")
        return given[::-1]

    def bind(self, x: FloatArray, tape: Tape) -> FloatArray:  # noqa: ARG002 (it needs no call)
        return x.transpose(0, 2, 1)

    def lower(self, x: Slot, program: Program) -> Slot:
        return program.transpose(x)


class Pool(Layer):
    """The mean, the maximum or the last over an axis, counted with the batch as torch's `dim`: time is 1, or -1."""

    def __init__(self, how: str, dim: int) -> None:
        self.how, self.dim = how, dim

    def shape(self, given: Shape) -> Shape:
        if len(given) != 2 or self.dim not in (1, 2, -1, -2):
            raise ModelLoadError(f"pool over dim {self.dim} takes a window of two axes, found {list(given)}")
        return (given[1],) if self.dim in (1, -2) else (given[0],)

    def bind(self, x: FloatArray, tape: Tape) -> FloatArray:
        axis = self.dim % 3
        y = tape.buffer(len(x), x.shape[3 - axis])
        if self.how == "last":
            tape.call(np.copyto, y, x[:, -1] if axis == 1 else x[:, :, -1])
        elif self.how == "max":
            tape.call(np.maximum.reduce, x, axis=axis, out=y)
        else:
            tape.call(np.add.reduce, x, axis=axis, out=y)
            tape.call(np.multiply, y, np.array(1 / x.shape[axis], np.float32), y)
        return y

    def lower(self, x: Slot, program: Program) -> Slot:
        return program.pool(x, self.how, self.dim % 3 - 1)


class Positional(Layer):
    """Add row t of a table to row t of the window; `ids` names a tensor of integers that picks the rows."""

    def __init__(self, name: str, tensors: Tensors, ids: str | None) -> None:
        table = tensors.floats(name)
        if table.ndim < 2 or table.size != table.shape[-1] * max(table.shape[:-1]):
            raise ModelLoadError(f"positional {name!r}: expected [time, features], found {list(table.shape)}")
        self._name = name
        self._table = table.reshape(-1, table.shape[-1])  # [1, T, E] and [T, 1, E] are usual, too
        if ids is not None:
            rows = tensors.integers(ids).reshape(-1)
            if not (rows.min() >= 0 and rows.max() < len(self._table)):
                raise ModelLoadError(f"positional {name!r}: {ids!r} leaves its {len(self._table)} rows")
            self._table = self._table[rows]

    def shape(self, given: Shape) -> Shape:
        rows, width = self._table.shape
        if len(given) != 2 or given[0] > rows or given[1] != width:
            raise ModelLoadError(f"positional {self._name!r} takes [up to {rows}, {width}], found {list(given)}")
        return given

    def bind(self, x: FloatArray, tape: Tape) -> FloatArray:
        tape.call(np.add, x, self._table[: x.shape[1]], x)
        return x

    def lower(self, x: Slot, program: Program) -> Slot:
        program.add_weights(x, self._table[: x.shape[0]])
        return x


class Embedding(Layer):
    """torch.nn.Embedding of a window of row numbers: each becomes a vector, on a new last axis.

    A window is of floats: each number is cut to a whole one, as `.long()` does, and clipped to the rows there are.
    """

    def __init__(self, name: str, tensors: Tensors) -> None:
        self._table = tensors.floats(f"{name}.weight", None, None)

    def shape(self, given: Shape) -> Shape:
        return (*given, self._table.shape[1])

    def bind(self, x: FloatArray, tape: Tape) -> FloatArray:
        highest = np.array(len(self._table) - 1, np.float32)
        rows: NDArray[np.intp] = np.zeros(x.shape, np.intp)
        y = tape.buffer(*x.shape, self._table.shape[1])
        tape.call(np.maximum, x, np.zeros((), np.float32), out=x)
        tape.call(np.minimum, x, highest, out=x)
        tape.call(np.copyto, rows, x, casting="unsafe")
        tape.call(np.take, self._table, rows, 0, y, "clip")
        return y

    def lower(self, x: Slot, program: Program) -> Slot:
        return program.embedding(x, self._table)
