"""What a search may do to a feature: quantiles of the background, blocks of other windows, or steps outward."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from axon_explain.constraints import Constraints
from axon_explain.distances import Metric
from axon_explain.subject import Floats

QUANTILES = np.array([0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99])
"""Values of a feature that are tried, as shares of the background below them."""
STEPS_OUT = np.array([0.25, 0.5, 1.0, 2.0, 4.0, 8.0])
"""Without a background: how many scales up and down."""


@attrs.frozen(eq=False)
class Space:
    """The observation `origin` `[cells]`, the player of each cell, what is allowed, and how distance is measured."""

    origin: Floats
    players: NDArray[np.intp]
    constraints: Constraints
    metric: Metric

    @property
    def count(self) -> int:
        """How many players there are."""
        return int(self.players.max()) + 1

    @property
    def single(self) -> bool:
        """Whether every player is one cell."""
        return self.count == len(self.origin)

    def changed(self, row: Floats) -> tuple[int, ...]:
        """The players that a row changes, in order."""
        return tuple(np.unique(self.players[row != self.origin]).tolist())

    def allowed(self, rows: Floats) -> Floats:
        """Rows as the constraints have them."""
        return self.constraints.applied(rows, self.origin)


@attrs.frozen(eq=False)
class Moves:
    """Rows `[moves, cells]` that each give every player another value; a search takes single players out of them."""

    rows: Floats

    @classmethod
    def quantiles(cls, space: Space) -> Moves:
        """One row for each quantile of the background."""
        levels = QUANTILES[np.argsort(-np.abs(QUANTILES - 0.5), kind="stable")]
        return cls._of(space, np.quantile(space.metric.background, levels, axis=0))

    @classmethod
    def outward(cls, space: Space) -> Moves:
        """Up and down by scales, and to zero."""
        scale = space.metric.scale
        sizes = np.concatenate([[sign * size] for size in STEPS_OUT for sign in (1.0, -1.0)])
        moved = space.origin + sizes[:, None] * scale
        return cls._of(space, np.concatenate([moved, np.zeros((1, len(scale)))]))

    @classmethod
    def donors(cls, space: Space, chosen: Floats) -> Moves:
        """Other observations."""
        return cls(space.allowed(chosen.astype(space.origin.dtype, copy=False)))

    @classmethod
    def _of(cls, space: Space, rows: NDArray[np.floating]) -> Moves:
        """With the bounds themselves, where there are any."""
        limits = space.constraints
        for bound in (limits.low, limits.high):
            if np.isfinite(bound).any():
                rows = np.concatenate([rows, np.where(np.isfinite(bound), bound, space.origin)[None]])
        return cls(space.allowed(rows.astype(space.origin.dtype)))

    def singles(self, space: Space, order: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Move and player of every single change that changes anything, move by move, players in `order`."""
        differs = self.rows != space.origin
        if space.single:
            effective = differs
        else:
            effective = np.zeros((len(self.rows), space.count), bool)
            for move, where in enumerate(differs):
                effective[move, np.unique(space.players[where])] = True
        moves, places = np.nonzero(effective[:, order])
        players = order[places]
        if space.single:  # equal values of neighbouring quantiles are asked once
            values = self.rows[moves, players].astype(np.float64)
            _, first = np.unique(np.stack([players, values]), axis=1, return_index=True)
            keep = np.sort(first)
            moves, players = moves[keep], players[keep]
        return moves, players

    def apply(self, space: Space, moves: NDArray[np.intp], players: NDArray[np.intp]) -> Floats:
        """Rows that differ from the origin in one player each."""
        rows = np.repeat(space.origin[None], len(moves), axis=0)
        if space.single:
            rows[np.arange(len(moves)), players] = self.rows[moves, players]
            return rows
        cells = cells_of(space)
        for row, move, player in zip(rows, moves, players, strict=True):
            row[cells[player]] = self.rows[move, cells[player]]
        return rows


def cells_of(space: Space) -> list[NDArray[np.intp]]:
    """The cells of each player."""
    order = np.argsort(space.players, kind="stable")
    return np.split(order, np.cumsum(np.bincount(space.players, minlength=space.count))[:-1])
