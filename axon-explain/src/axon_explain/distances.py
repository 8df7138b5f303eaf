"""How far apart observations are: L1 in units of each feature's own spread."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from axon_explain.background import Background
from axon_explain.subject import Floats

NEIGHBOURS = 5
"""Rows of the background that plausibility looks at."""


@attrs.frozen(eq=False)
class Metric:
    """L1/MAD: the sum over features of |difference| / scale; a group of cells counts as the mean over its cells.

    `scale` `[cells]` is the median absolute deviation over the background (pooled over time for a window), the standard
    deviation where that is 0, and without either 1, or the size of the value itself where that is larger.
    `background` `[rows, cells]` has no rows for a baseline: nothing is near or far then.
    """

    scale: NDArray[np.float64]
    weight: Floats
    background: Floats

    @classmethod
    def of(cls, background: Background, observation: Floats, players: NDArray[np.intp]) -> Metric:
        """`players` `[cells]` gives each cell its feature or group."""
        flat = observation.ravel()
        scale = np.maximum(1.0, np.abs(flat.astype(np.float64)))
        known = np.empty((0, flat.size), flat.dtype)
        if background.source != "baseline":
            spread = _spread(background.rows, observation.shape)
            scale = np.where(spread > 0.0, spread, scale)
            known = np.ascontiguousarray(background.rows.reshape(len(background), -1))
        sizes = np.bincount(players)[players]
        return cls(scale, (1.0 / (scale * sizes)).astype(flat.dtype), known)

    def distance(self, rows: Floats, origin: Floats) -> NDArray[np.float64]:
        """Of each row `[rows, cells]` from `origin` `[cells]`."""
        return np.abs(rows - origin).astype(np.float64) @ self.weight.astype(np.float64)

    def nearest(self, row: Floats) -> NDArray[np.intp]:
        """Indices of the background's rows, the nearest first; empty for a baseline."""
        return np.argsort(self.distance(self.background, row), kind="stable")

    def plausibility(self, row: Floats) -> float | None:
        """Mean distance to the nearest rows of the background: small is plausible. None for a baseline."""
        if len(self.background) == 0:
            return None
        k = min(NEIGHBOURS, len(self.background))
        return float(np.partition(self.distance(self.background, row), k - 1)[:k].mean())


def _spread(rows: Floats, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """MAD of each cell, a channel's for all of its times; the standard deviation where it is 0."""
    columns = rows.reshape(-1, shape[-1]).astype(np.float64)
    middle = np.median(columns, axis=0)
    deviation = np.median(np.abs(columns - middle), axis=0)
    spread = np.where(deviation > 0.0, deviation, columns.std(axis=0))
    return np.ascontiguousarray(np.broadcast_to(spread, shape)).ravel()
