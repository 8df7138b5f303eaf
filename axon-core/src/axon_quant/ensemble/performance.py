"""Realised returns of the members: ring buffers over the last rounds, and what they say."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, sqrt

import numpy as np
from msgspec import Struct

from axon_quant.errors import EnsembleError
from axon_quant.events import RollingState

SIGMA_FLOOR = 1e-12
RELATIVE_FLOOR = 0.1


class Standing(Struct, frozen=True):
    """How the members stand, one entry per member, returns being per step.

    `sharpe` is mean over standard deviation, 0 with fewer than two returns. The deviation is at least a tenth of the
    (upper) median over the active members, so a member that hardly moved cannot win by dividing through nothing.
    `sigma` is that deviation. `last` are the latest returns, `count` how many of them the window holds.
    """

    sharpe: tuple[float, ...]
    count: tuple[int, ...]
    last: tuple[float, ...]
    active: tuple[bool, ...]
    sigma: tuple[float, ...]


class Rolling:
    """Mean and standard deviation of the last `window` numbers, in constant time.

    The sums are updated as numbers come and go, and computed afresh each time the ring wraps, so that rounding errors
    cannot pile up.
    """

    __slots__ = ("_data", "_next", "_squares", "count", "last", "mean")

    def __init__(self, window: int) -> None:
        self._data = np.zeros(window)
        self._next = 0
        self._squares = 0.0  # of the distances from the mean
        self.count = 0
        self.last = 0.0
        self.mean = 0.0

    def append(self, value: float) -> None:
        """Add a number and forget the one that leaves the window."""
        data, slot, mean = self._data, self._next, self.mean
        window = len(data)
        if self.count < window:
            self.count += 1
            self.mean = mean + (value - mean) / self.count
            self._squares += (value - mean) * (value - self.mean)
        else:
            old = float(data[slot])
            self.mean = mean + (value - old) / window
            self._squares += (value - old) * (value - self.mean + old - mean)
        data[slot] = self.last = value
        self._next = slot + 1
        if self._next == window:
            self._next = 0
            self.mean = float(data.mean())
            self._squares = float(np.square(data - self.mean).sum())

    def state(self) -> RollingState:
        """All of it."""
        values: list[float] = self._data[: self.count].tolist()
        return RollingState(tuple(values), self._next, self.last, self.mean, self._squares)

    def restore(self, state: RollingState) -> None:
        """Become what returned this state. Raises EnsembleError if none of this window can have."""
        count, window = len(state.values), len(self._data)
        if not (count <= window and 0 <= state.next < window and (count == window or state.next == count)):
            raise EnsembleError(f"a state of {count} numbers, slot {state.next}, does not fit a window of {window}")
        if not isfinite(sum(map(abs, (*state.values, state.last, state.mean, state.squares)))):
            raise EnsembleError("a state holds numbers that are not finite")
        self._data[:count] = state.values
        self._data[count:] = 0.0
        self._next, self._squares = state.next, state.squares
        self.count, self.last, self.mean = count, state.last, state.mean

    @property
    def sigma(self) -> float:
        """Sample standard deviation; 0 with fewer than two numbers."""
        return sqrt(max(self._squares, 0.0) / (self.count - 1)) if self.count > 1 else 0.0


def standing(members: Sequence[Rolling], active: tuple[bool, ...]) -> Standing:
    """What the members' returns say now."""
    sigmas = [member.sigma for member in members]
    peers = sorted([s for s, m, is_active in zip(sigmas, members, active, strict=True) if is_active and m.count > 1])
    floor = max(SIGMA_FLOOR, RELATIVE_FLOOR * peers[len(peers) // 2]) if peers else SIGMA_FLOOR
    sigmas = [max(sigma, floor) for sigma in sigmas]
    return Standing(
        tuple([m.mean / s if m.count > 1 else 0.0 for m, s in zip(members, sigmas, strict=True)]),
        tuple([member.count for member in members]),
        tuple([member.last for member in members]),
        active,
        tuple(sigmas),
    )
