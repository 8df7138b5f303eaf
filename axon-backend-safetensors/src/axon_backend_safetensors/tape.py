"""A model as a flat list of numpy calls on buffers that are laid out once."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from axon_quant.inference.session import FloatArray

if TYPE_CHECKING:
    from axon_backend_safetensors.program import Program, Slot

Shape: TypeAlias = tuple[int, ...]


class Layer(ABC):
    """Weights, and what they do. Shapes are without the batch."""

    @abstractmethod
    def shape(self, given: Shape) -> Shape:
        """What comes out for what goes in. Raises ModelLoadError for what does not fit."""

    @abstractmethod
    def bind(self, x: FloatArray, tape: Tape) -> FloatArray:
        """Append the calls that turn `x`, [batch, …given], into what is returned. `x` may be overwritten by them."""

    @abstractmethod
    def lower(self, x: Slot, program: Program) -> Slot:
        """The same for the compiled kernels: append the operations that turn `x` into what is returned."""


class Tape:
    """The calls of one thread for one batch size.

    Every buffer is followed by a one in memory, so that the bias of a linear layer is one more column of its weights.
    """

    def __init__(self) -> None:
        self.steps: list[Callable[[], object]] = []

    def buffer(self, *shape: int) -> FloatArray:
        """Zeros, and a one behind them."""
        size = math.prod(shape)
        base = np.zeros(size + 1, np.float32)
        base[size] = 1.0
        return base[:size].reshape(shape)

    def call(self, function: Callable[..., object], *arguments: object, **keywords: object) -> None:
        """Append a call; its arguments are fixed here."""
        self.steps.append(partial(function, *arguments, **keywords))


def with_one(x: FloatArray) -> FloatArray | None:
    """The buffer of `x` as a vector with the one behind it, None where `x` is not a whole buffer."""
    base = x.base
    if isinstance(base, np.ndarray) and base.ndim == 1 and base.size == x.size + 1 and x.flags.c_contiguous:
        return base
    return None
