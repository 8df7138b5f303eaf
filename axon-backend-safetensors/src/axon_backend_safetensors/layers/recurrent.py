"""GRU and LSTM, as torch computes them.

States are kept as `[time + 1, batch, hidden + 1]`: row t is what step t left behind, the row beyond is the zero state,
and the last column is one, so that a product with the weights adds the bias. sigmoid(x) is (tanh(x / 2) + 1) / 2; the
halves are in the weights already, which is exact.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from msgspec import Struct

from axon_backend_safetensors.layers.elementwise import scalar
from axon_backend_safetensors.reader import Tensors
from axon_backend_safetensors.tape import Layer, Shape, Tape
from axon_quant.errors import ModelLoadError
from axon_quant.inference.session import FloatArray

if TYPE_CHECKING:
    from axon_backend_safetensors.program import Program, Slot

MAX_STEPS = 1 << 14


class Cell(Struct, frozen=True, eq=False):
    """The weights of one direction of one layer, biases as their last columns."""

    inputs: FloatArray
    states: FloatArray

    @classmethod
    def of(cls, tensors: Tensors, name: str, suffix: str, gates: int) -> Cell:
        """Take `{name}.weight_ih_{suffix}` and its kin. Raises ModelLoadError."""
        states = tensors.floats(f"{name}.weight_hh_{suffix}", None, None)
        height, hidden = states.shape
        if height != gates * hidden:
            raise ModelLoadError(
                f"tensor '{name}.weight_hh_{suffix}': expected [{gates * hidden}, {hidden}], found {[height, hidden]}"
            )
        inputs = tensors.floats(f"{name}.weight_ih_{suffix}", height, None)
        return cls(
            _with_bias(inputs, tensors, f"{name}.bias_ih_{suffix}"),
            _with_bias(states, tensors, f"{name}.bias_hh_{suffix}"),
        )

    @property
    def hidden(self) -> int:
        width: int = self.states.shape[1]
        return width - 1


class Recurrent(Layer):
    """Layers and directions; the cells are a subclass's. `output` is "sequence", or "hidden": what h_n's top holds."""

    kind: ClassVar[str]
    gates: ClassVar[int]

    def __init__(self, name: str, tensors: Tensors, output: str) -> None:
        self._name, self._output = name, output
        self._layers: list[list[Cell]] = []
        while f"{name}.weight_hh_l{len(self._layers)}" in tensors or not self._layers:
            suffix = f"l{len(self._layers)}"
            suffixes = [suffix, f"{suffix}_reverse"] if f"{name}.weight_hh_{suffix}_reverse" in tensors else [suffix]
            self._layers.append([self._prepare(Cell.of(tensors, name, s, self.gates)) for s in suffixes])
        first = self._layers[0]
        self._hidden = first[0].hidden
        self._width = self._hidden * len(first)
        self._check(name)

    def shape(self, given: Shape) -> Shape:
        inputs = self._layers[0][0].inputs.shape[1] - 1
        if len(given) != 2 or given[1] != inputs:
            raise ModelLoadError(f"{self._name!r} takes [time, {inputs}], found {list(given)}")
        if given[0] > MAX_STEPS:
            raise ModelLoadError(f"{self._name!r}: a window of {given[0]} rows is too long, at most {MAX_STEPS}")
        return (given[0], self._width) if self._output == "sequence" else (self._width,)

    def bind(self, x: FloatArray, tape: Tape) -> FloatArray:
        rows = _rows(x.transpose(1, 0, 2), tape)
        for cells in self._layers:
            states = [self._run(cell, rows, tape, reverse=bool(index)) for index, cell in enumerate(cells)]
            if len(states) == 1:
                rows = states[0][:-1]
                outputs = rows[:, :, :-1]
            else:
                rows = tape.buffer(*states[0][:-1].shape[:2], self._width + 1)
                rows[:, :, -1] = 1.0
                outputs = rows[:, :, :-1]
                tape.call(np.copyto, outputs[:, :, : self._hidden], states[0][:-1, :, :-1])
                tape.call(np.copyto, outputs[:, :, self._hidden :], states[1][:-1, :, :-1])
        if self._output == "sequence":
            return outputs.transpose(1, 0, 2)
        y = tape.buffer(x.shape[0], self._width)
        tape.call(np.copyto, y[:, : self._hidden], outputs[-1, :, : self._hidden])
        if self._width > self._hidden:
            tape.call(np.copyto, y[:, self._hidden :], outputs[0, :, self._hidden :])
        return y

    def lower(self, x: Slot, program: Program) -> Slot:
        for cells in self._layers:
            y, last = program.slot(x.shape[0], self._width), []
            for index, cell in enumerate(cells):
                given = program.dense(x, cell.inputs[:, :-1], cell.inputs[:, -1])
                column, reverse = index * self._hidden, bool(index)
                last.append(program.recurrent(self.kind, given, cell.states, y, column, reverse=reverse))
            x = y
        if self._output == "sequence":
            return x
        scores = program.slot(self._width)
        for index, state in enumerate(last):
            program.copy(state, scores, index * self._hidden)
        return scores

    def _run(self, cell: Cell, rows: FloatArray, tape: Tape, *, reverse: bool) -> FloatArray:
        """One direction over `[time, batch, inputs + 1]`; the states."""
        time, batch, width = rows.shape
        states = tape.buffer(time + 1, batch, cell.hidden + 1)
        states[:, :, -1] = 1.0
        given = tape.buffer(time, batch, len(cell.inputs))
        tape.call(np.dot, rows.reshape(-1, width), cell.inputs.T, given.reshape(-1, len(cell.inputs)))
        order = range(time - 1, -1, -1) if reverse else range(time)
        self._steps(cell, given, states, order, tape)
        return states

    @abstractmethod
    def _prepare(self, cell: Cell) -> Cell:
        """The weights as `_steps` wants them."""

    @abstractmethod
    def _steps(self, cell: Cell, given: FloatArray, states: FloatArray, order: range, tape: Tape) -> None:
        """Append the steps: `given` is [time, batch, gates · hidden], the inputs' part of the sums."""

    def _check(self, name: str) -> None:
        directions = {len(cells) for cells in self._layers}
        inputs = {cell.inputs.shape[1] - 1 for cells in self._layers[1:] for cell in cells}
        hidden = {cell.hidden for cells in self._layers for cell in cells}
        first = {cell.inputs.shape[1] for cell in self._layers[0]}
        if len(directions) > 1 or len(hidden) > 1 or len(first) > 1 or not inputs <= {self._width}:
            raise ModelLoadError(f"{name!r}: its layers and directions do not fit each other")


class Gru(Recurrent):
    """torch.nn.GRU: gates r, z, n; `h ← n + z (h − n)`, `n = tanh(W x + r · (U h + b))`."""

    kind = "gru"
    gates = 3

    def _prepare(self, cell: Cell) -> Cell:
        n = 2 * cell.hidden
        inputs, states = cell.inputs, cell.states
        inputs[:n] *= 0.5
        states *= 0.5  # the rows of n, too: r · y is (tanh + 1) · y / 2
        return cell

    def _steps(self, cell: Cell, given: FloatArray, states: FloatArray, order: range, tape: Tape) -> None:
        hidden, batch = cell.hidden, given.shape[1]
        one, half = scalar(1), scalar(0.5)
        products = tape.buffer(batch, 3 * hidden)
        gates, n, change = tape.buffer(batch, 2 * hidden), tape.buffer(batch, hidden), tape.buffer(batch, hidden)
        r, z = gates[:, :hidden], gates[:, hidden:]
        for step, before in _neighbours(order):
            x, h = given[step], states[before, :, :-1]
            _product(cell.states, states[before], products, tape)
            tape.call(np.add, x[:, : 2 * hidden], products[:, : 2 * hidden], gates)
            tape.call(np.tanh, gates, gates)
            tape.call(np.add, gates, one, gates)
            tape.call(np.multiply, r, products[:, 2 * hidden :], n)
            tape.call(np.add, n, x[:, 2 * hidden :], n)
            tape.call(np.tanh, n, n)
            tape.call(np.subtract, h, n, change)
            tape.call(np.multiply, change, z, change)
            tape.call(np.multiply, change, half, change)
            tape.call(np.add, n, change, states[step, :, :-1])


class Lstm(Recurrent):
    """torch.nn.LSTM: gates i, f, g, o; `c ← f c + i g`, `h ← o tanh(c)`. Kept here as i, f, o, g."""

    kind = "lstm"
    gates = 4

    def _prepare(self, cell: Cell) -> Cell:
        i, f, g, o = np.arange(4 * cell.hidden).reshape(4, cell.hidden)
        order = np.concatenate([i, f, o, g])
        inputs, states = cell.inputs[order], cell.states[order]
        inputs[: 3 * cell.hidden] *= 0.5
        states[: 3 * cell.hidden] *= 0.5
        return Cell(inputs, states)

    def _steps(self, cell: Cell, given: FloatArray, states: FloatArray, order: range, tape: Tape) -> None:
        hidden, batch = cell.hidden, given.shape[1]
        half = scalar(0.5)
        gates, c, part = tape.buffer(batch, 4 * hidden), tape.buffer(batch, hidden), tape.buffer(batch, hidden)
        switches = gates[:, : 3 * hidden]
        i, f, o, g = (gates[:, k * hidden : (k + 1) * hidden] for k in range(4))
        for index, (step, before) in enumerate(_neighbours(order)):
            _product(cell.states, states[before], gates, tape)
            tape.call(np.add, gates, given[step], gates)
            tape.call(np.tanh, gates, gates)
            tape.call(np.multiply, switches, half, switches)
            tape.call(np.add, switches, half, switches)
            if index == 0:
                tape.call(np.multiply, i, g, c)
            else:
                tape.call(np.multiply, f, c, c)
                tape.call(np.multiply, i, g, part)
                tape.call(np.add, c, part, c)
            tape.call(np.tanh, c, part)
            tape.call(np.multiply, o, part, states[step, :, :-1])


def _neighbours(order: range) -> Iterator[tuple[int, int]]:
    """(step, the step before it); the row beyond the last holds the zero state."""
    before = len(order)
    for step in order:
        yield step, before
        before = step


def _product(weights: FloatArray, state: FloatArray, out: FloatArray, tape: Tape) -> None:
    if len(state) == 1:
        tape.call(weights.dot, state[0], out[0])
    else:
        tape.call(np.dot, state, weights.T, out)


def _rows(x: FloatArray, tape: Tape) -> FloatArray:
    """`[time, batch, n]` → a copy with a column of ones."""
    rows = tape.buffer(*x.shape[:2], x.shape[2] + 1)
    rows[:, :, -1] = 1.0
    tape.call(np.copyto, rows[:, :, :-1], x)
    return rows


def _with_bias(weight: FloatArray, tensors: Tensors, bias: str) -> FloatArray:
    joined = np.zeros((weight.shape[0], weight.shape[1] + 1), np.float32)
    joined[:, :-1] = weight
    if bias in tensors:
        joined[:, -1] = tensors.floats(bias, len(weight))
    return joined
