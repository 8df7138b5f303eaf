"""Realised returns of the members: ring buffers over the last rounds, and what they say."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

SIGMA_FLOOR = 1e-12
RELATIVE_FLOOR = 0.1


class Standing(Struct, frozen=True):
    """How the members stand, one entry per member, returns being per step.

    `sharpe` is mean over standard deviation, 0 with fewer than two returns. The deviation is at least a tenth of the
    median over the active members, so a member that hardly moved cannot win by dividing through nothing. `last` are the
    latest returns, `count` how many of them the window holds.
    """

    sharpe: tuple[float, ...]
    count: tuple[int, ...]
    last: tuple[float, ...]
    active: tuple[bool, ...]


class Performance:
    """The last `window` returns of each of `members`."""

    def __init__(self, members: int, window: int) -> None:
        self._window = window
        self._returns = np.zeros((members, window))
        self._filled = np.zeros((members, window), bool)
        self._next = [0] * members
        self.count = [0] * members
        self.last = [0.0] * members

    def record(self, member: int, value: float) -> None:
        """Append a return and forget the oldest beyond the window."""
        slot = self._next[member]
        self._returns[member, slot] = value
        self._filled[member, slot] = True
        self._next[member] = (slot + 1) % self._window
        self.count[member] = min(self.count[member] + 1, self._window)
        self.last[member] = value

    def standing(self, active: tuple[bool, ...]) -> Standing:
        """The present state."""
        count = np.array(self.count)
        enough = count >= 2
        mean = self._returns.sum(axis=1) / np.maximum(count, 1)
        deviations = np.where(self._filled, self._returns - mean[:, None], 0.0)
        sigma = np.sqrt((deviations * deviations).sum(axis=1) / np.maximum(count - 1, 1))
        peers = sigma[enough & np.array(active)]
        floor = max(SIGMA_FLOOR, RELATIVE_FLOOR * float(np.median(peers))) if peers.size else SIGMA_FLOOR
        sharpe = np.where(enough, mean / np.maximum(sigma, floor), 0.0)
        return Standing(tuple(sharpe.tolist()), tuple(self.count), tuple(self.last), active)
