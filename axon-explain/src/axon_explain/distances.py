"""How far apart observations are: L1 in units of each feature's own spread."""

from __future__ import annotations

from functools import cached_property

import attrs
import numpy as np
from numpy.typing import NDArray

from axon_explain.background import Background
from axon_explain.subject import Floats

QUANTILES = (0.01, 0.99, 0.05, 0.95, 0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.4, 0.6, 0.5)
"""Values of a feature that are tried, as shares of the background below them; the outer ones flip most."""
NEIGHBOURS = 5
"""Rows of the background that plausibility looks at."""


@attrs.frozen(eq=False)
class Spread:
    """A background as the search uses it: its rows `[rows, cells]`, none for a baseline, and the spread of each cell.

    That is the median absolute deviation (pooled over time for a window), the standard deviation where that is 0, and
    0 where a feature never moves.
    """

    rows: Floats
    size: NDArray[np.float64]

    @classmethod
    def of(cls, background: Background) -> Spread:
        """Takes a while for many windows."""
        rows = np.ascontiguousarray(background.rows.reshape(len(background), -1))
        if background.source == "baseline":
            return cls(rows[:0], np.zeros(rows.shape[1]))
        shape = background.rows.shape[1:]
        columns = background.rows.reshape(-1, shape[-1])
        size = np.array([_deviation(columns[:, number].astype(np.float64)) for number in range(shape[-1])])
        return cls(rows, np.ascontiguousarray(np.broadcast_to(size, shape)).ravel())

    @cached_property
    def quantiles(self) -> NDArray[np.float64]:
        """`[quantiles, cells]`, at QUANTILES."""
        return np.quantile(self.rows, QUANTILES, axis=0).astype(np.float64)


class Metric:
    """L1/MAD from one observation: the sum over features of |difference| / scale, the mean over its cells for a group.

    `scale` `[cells]` is the background's spread; where there is none, 1, or the size of the value itself where that is
    larger, the mean over time for a window. `weight` `[cells]` is what a unit of difference adds.
    """

    __slots__ = ("_apart", "_wide", "channels", "origin", "scale", "spread", "weight")

    def __init__(self, spread: Spread, origin: Floats, players: NDArray[np.intp], channels: int) -> None:
        self.spread = spread
        self.origin = origin
        self.channels = channels
        sizes = np.maximum(1.0, np.abs(origin.astype(np.float64))).reshape(-1, channels)
        own = np.broadcast_to(sizes.mean(axis=0), sizes.shape).ravel()
        self.scale = np.where(spread.size > 0.0, spread.size, own)
        self.weight: NDArray[np.float64] = 1.0 / (self.scale * np.bincount(players)[players])
        self._wide = origin.astype(np.float64)
        self._apart: NDArray[np.float64] | None = None

    @property
    def known(self) -> bool:
        """Whether there is a background, rather than a baseline."""
        return len(self.spread.rows) > 0

    def distance(self, rows: Floats) -> NDArray[np.float64]:
        """Of each row `[rows, cells]` from the observation."""
        found: NDArray[np.float64] = np.abs(rows - self._wide) @ self.weight
        return found

    @property
    def apart(self) -> NDArray[np.float64]:
        """Distance of the observation from each row of the background."""
        if self._apart is None:
            weight = self.weight.astype(self.origin.dtype)
            parts = [np.abs(part - self.origin) @ weight for part in _parts(self.spread.rows)]
            self._apart = np.concatenate(parts).astype(np.float64) if parts else np.empty(0)
        return self._apart

    def plausibility(self, row: Floats) -> float | None:
        """Mean distance of a row `[cells]` to the nearest of the background, small if plausible; None without one."""
        if not self.known:
            return None
        cells = np.flatnonzero(row != self.origin)
        there = self.spread.rows[:, cells]
        moved = (np.abs(there - row[cells]) - np.abs(there - self.origin[cells])) @ self.weight[cells]
        k = min(NEIGHBOURS, len(there))
        return float(np.partition(self.apart + moved, k - 1)[:k].mean())


def _deviation(values: NDArray[np.float64]) -> float:
    found = float(np.median(np.abs(values - np.median(values))))
    return found if found > 0.0 else float(values.std())


def _parts(rows: Floats) -> list[Floats]:
    """Few rows at a time, so that what is computed of them stays in the cache."""
    return [rows[start : start + 16] for start in range(0, len(rows), 16)]
