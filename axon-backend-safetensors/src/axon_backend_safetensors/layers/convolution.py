"""Convolution over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from axon_backend_safetensors.reader import Tensors
from axon_backend_safetensors.tape import Layer, Shape, Tape
from axon_quant.errors import ModelLoadError
from axon_quant.inference.session import FloatArray

if TYPE_CHECKING:
    from axon_backend_safetensors.program import Program, Slot


class ConvOptions(Struct, frozen=True):
    """What the names of a Conv1d do not tell. `padding` is None for torch's "same"."""

    stride: int
    padding: int | None
    dilation: int
    groups: int


class Conv1d(Layer):
    """torch.nn.Conv1d on windows of [channels, length], padded with zeros."""

    def __init__(self, name: str, tensors: Tensors, options: ConvOptions) -> None:
        weight = tensors.floats(f"{name}.weight", None, None, None)
        self._name, self._options = name, options
        self._outputs, inputs, self._kernel = weight.shape
        groups = options.groups
        if self._outputs % groups:
            raise ModelLoadError(f"conv1d {name!r}: {self._outputs} channels do not divide into {groups} groups")
        if options.padding is None and options.stride != 1:
            raise ModelLoadError(f'conv1d {name!r}: padding "same" needs a stride of 1')
        self._channels = inputs * groups
        self._weight = weight.reshape(groups, self._outputs // groups, inputs * self._kernel)
        bias = f"{name}.bias"
        self._bias = tensors.floats(bias, self._outputs)[:, None] if bias in tensors else None
        reach = options.dilation * (self._kernel - 1)
        self._reach = reach
        self._pads = (reach // 2, reach - reach // 2) if options.padding is None else (options.padding,) * 2

    def shape(self, given: Shape) -> Shape:
        if len(given) != 2 or given[0] != self._channels:
            raise ModelLoadError(
                f"conv1d {self._name!r} takes [{self._channels}, length], found {list(given)}",
                hint="a window is [time, features]: put a transpose in front of the convolution",
            )
        room = given[1] + sum(self._pads) - self._reach
        if room < 1:
            raise ModelLoadError(f"conv1d {self._name!r}: a length of {given[1]} is shorter than its kernel")
        return (self._outputs, (room - 1) // self._options.stride + 1)

    def bind(self, x: FloatArray, tape: Tape) -> FloatArray:
        batch, channels, length = x.shape
        options, left = self._options, self._pads[0]
        outputs, steps = self.shape((channels, length))
        padded = tape.buffer(batch, channels, length + sum(self._pads))
        tape.call(np.copyto, padded[:, :, left : left + length], x)
        rows, channel, step = padded.strides
        seen = np.lib.stride_tricks.as_strided(
            padded,
            (batch, channels, self._kernel, steps),
            (rows, channel, step * options.dilation, step * options.stride),
            writeable=False,
        )
        columns = tape.buffer(batch, channels, self._kernel, steps)
        tape.call(np.copyto, columns, seen)
        grouped = columns.reshape(batch, options.groups, -1, steps)
        y = tape.buffer(batch, outputs, steps)
        tape.call(np.matmul, self._weight, grouped, y.reshape(batch, options.groups, -1, steps))
        if self._bias is not None:
            tape.call(np.add, y, self._bias, y)
        return y

    def lower(self, x: Slot, program: Program) -> Slot:
        options, shape = self._options, self.shape(x.shape)
        if any(self._pads):
            x = program.pad(x, *self._pads)
        weight = self._weight.reshape(self._outputs, -1, self._kernel)
        return program.convolution(x, weight, self._bias, shape, options.stride, options.dilation)
