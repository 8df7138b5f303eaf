"""Activations, in place. Sigmoids go through tanh, which cannot overflow."""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sqrt
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from axon_backend_safetensors.tape import Layer, Shape, Tape
from axon_quant.inference.session import FloatArray

if TYPE_CHECKING:
    from axon_backend_safetensors.program import Program, Slot

Write = Callable[[FloatArray, Tape], None]

ERF_ODD = (
    -1.60960333262415e-02,
    -2.95459980854025e-03,
    -7.34990630326855e-04,
    -5.69250639462346e-05,
    -2.10102402082508e-06,
    2.77068142495902e-08,
    -2.72614225801306e-10,
)
ERF_EVEN = (
    -1.42647390514189e-02,
    -7.37332916720468e-03,
    -1.68282697438203e-03,
    -2.13374055278905e-04,
    -1.45660718464996e-05,
)
"""erf(x) ≈ x · odd(x²) / even(x²) on [-4, 4], within 4e-7: the rational minimax fit that Eigen uses for float32."""


def scalar(value: float) -> FloatArray:
    """A constant as numpy takes it fastest."""
    return np.array(value, np.float32)


class Activation(Struct, frozen=True):
    """One of the functions below; `name` is what the compiled kernels call it, `setting` its one setting."""

    name: str
    write: Write
    setting: float = 0.0

    def lower(self, x: Slot, program: Program) -> None:
        """As `write`, for the compiled kernels."""
        program.activate(self.name, x, self.setting)


class Elementwise(Layer):
    """An activation over every element."""

    def __init__(self, activation: Activation) -> None:
        self._activation = activation

    def shape(self, given: Shape) -> Shape:
        return given

    def bind(self, x: FloatArray, tape: Tape) -> FloatArray:
        self._activation.write(x, tape)
        return x

    def lower(self, x: Slot, program: Program) -> Slot:
        self._activation.lower(x, program)
        return x


def identity(_x: FloatArray, _tape: Tape) -> None:
    """Nothing: what dropout is in inference."""


def relu(x: FloatArray, tape: Tape) -> None:
    """`max(x, 0)`."""
    tape.call(np.maximum, x, scalar(0), out=x)


def tanh(x: FloatArray, tape: Tape) -> None:
    """numpy's own."""
    tape.call(np.tanh, x, x)


def sigmoid(x: FloatArray, tape: Tape) -> None:
    """`(tanh(x / 2) + 1) / 2`."""
    half = scalar(0.5)
    tape.call(np.multiply, x, half, x)
    tape.call(np.tanh, x, x)
    tape.call(np.multiply, x, half, x)
    tape.call(np.add, x, half, x)


def silu(x: FloatArray, tape: Tape) -> None:
    """`x · sigmoid(x)`."""
    gate = tape.buffer(*x.shape)
    tape.call(np.copyto, gate, x)
    sigmoid(gate, tape)
    tape.call(np.multiply, x, gate, x)


def elu(alpha: float) -> Write:
    """`x` where positive, else `alpha · (exp(x) − 1)`."""

    def write(x: FloatArray, tape: Tape) -> None:
        below = tape.buffer(*x.shape)
        tape.call(np.minimum, x, scalar(0), out=below)
        tape.call(np.expm1, below, below)
        tape.call(np.multiply, below, scalar(alpha), below)
        tape.call(np.maximum, x, scalar(0), out=x)
        tape.call(np.add, x, below, x)

    return write


def leaky_relu(slope: float) -> Write:
    """`x` where positive, else `slope · x`."""

    def write(x: FloatArray, tape: Tape) -> None:
        below = tape.buffer(*x.shape)
        tape.call(np.minimum, x, scalar(0), out=below)
        tape.call(np.multiply, below, scalar(slope), below)
        tape.call(np.maximum, x, scalar(0), out=x)
        tape.call(np.add, x, below, x)

    return write


def gelu(x: FloatArray, tape: Tape) -> None:
    """`x · Φ(x)` with erf."""
    bounded, square = tape.buffer(*x.shape), tape.buffer(*x.shape)
    odd, even = tape.buffer(*x.shape), tape.buffer(*x.shape)
    tape.call(np.multiply, x, scalar(sqrt(0.5)), bounded)
    tape.call(np.minimum, bounded, scalar(4), out=bounded)
    tape.call(np.maximum, bounded, scalar(-4), out=bounded)
    tape.call(np.multiply, bounded, bounded, square)
    _polynomial(square, ERF_ODD, odd, tape)
    _polynomial(square, ERF_EVEN, even, tape)
    tape.call(np.multiply, odd, bounded, odd)
    tape.call(np.divide, odd, even, odd)
    _gate(x, odd, tape)


def gelu_tanh(x: FloatArray, tape: Tape) -> None:
    """torch's `approximate="tanh"`."""
    inner = tape.buffer(*x.shape)
    tape.call(np.multiply, x, x, inner)
    tape.call(np.multiply, inner, scalar(0.044715), inner)
    tape.call(np.add, inner, scalar(1), inner)
    tape.call(np.multiply, inner, x, inner)
    tape.call(np.multiply, inner, scalar(sqrt(2 / pi)), inner)
    tape.call(np.tanh, inner, inner)
    _gate(x, inner, tape)


def softmax(x: FloatArray, tape: Tape) -> None:
    """Over the last axis."""
    edge = tape.buffer(*x.shape[:-1], 1)
    tape.call(np.maximum.reduce, x, axis=-1, out=edge, keepdims=True)
    tape.call(np.subtract, x, edge, x)
    tape.call(np.exp, x, x)
    tape.call(np.add.reduce, x, axis=-1, out=edge, keepdims=True)
    tape.call(np.divide, x, edge, x)


def _gate(x: FloatArray, g: FloatArray, tape: Tape) -> None:
    """`x ← x · (1 + g) / 2`, `g` is overwritten."""
    tape.call(np.add, g, scalar(1), g)
    tape.call(np.multiply, g, scalar(0.5), g)
    tape.call(np.multiply, x, g, x)


def _polynomial(x: FloatArray, coefficients: tuple[float, ...], out: FloatArray, tape: Tape) -> None:
    """Horner's rule, lowest coefficient first."""
    *rest, highest = coefficients
    tape.call(np.multiply, x, scalar(highest), out)
    for coefficient in reversed(rest[1:]):
        tape.call(np.add, out, scalar(coefficient), out)
        tape.call(np.multiply, out, x, out)
    tape.call(np.add, out, scalar(rest[0]), out)
