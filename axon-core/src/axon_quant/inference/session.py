"""What a backend plugin builds: a loaded model that computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

import numpy as np

from axon_quant.inference.config import Device

FloatArray: TypeAlias = np.ndarray[tuple[Any, ...], np.dtype[np.float32]]
"""`NDArray[np.float32]`, spelled out: a start imports no numpy.typing."""


class Session(Protocol):
    """A loaded model. Buffers live in here, one set per thread."""

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """`(batch, …window)` as the model declares it; None where it leaves a dimension open."""
        ...

    @property
    def output_dim(self) -> int:
        """Number of scores per row."""
        ...

    @property
    def device(self) -> Device:
        """Where it really runs, which the backend has verified."""
        ...

    @property
    def plan(self) -> Mapping[str, str]:
        """How it computes, so that a replay can compute the same bits: provider, optimisation, threads, runtime, …"""
        ...

    @property
    def actions(self) -> tuple[str, ...] | None:
        """Names of the outputs in order, if the model declares them."""
        ...

    @property
    def schema_sha256(self) -> str | None:
        """Hash of the feature schema it was trained on, if the model declares one."""
        ...

    def run(self, x: FloatArray) -> FloatArray:
        """`[batch, …window]` float32 → `[batch, output_dim]` float32, owned by the caller. Safe from any thread.

        The backend above has checked dtype and window; a model with a fixed batch may still refuse another one with
        ModelInputError.
        """
        ...
