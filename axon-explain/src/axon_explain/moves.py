"""What a search may do to a feature: quantiles of the background, blocks of other windows, or steps outward."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from axon_explain.choice import Option
from axon_explain.constraints import Constraints
from axon_explain.distances import Metric
from axon_explain.subject import Floats

LEVELS = (0.05, 0.95)
"""Where the mean of a channel over its window is moved to, as shares of the background's below it."""
STEPS_OUT = (2.0, 8.0, 0.5, 4.0, 1.0, 0.25)
"""Without a background: how many scales up and down, in the order in which they are tried."""


class Space:
    """The observation `origin` `[cells]`, the player of each cell, what is allowed, and how distance is measured."""

    def __init__(self, origin: Floats, players: NDArray[np.intp], constraints: Constraints, metric: Metric) -> None:
        self.origin, self.players, self.constraints, self.metric = origin, players, constraints, metric
        self.count = int(players.max()) + 1
        self.single = bool(np.array_equal(players, np.arange(len(origin))))
        """Whether every player is the one cell of its number."""

    @cached_property
    def cells(self) -> list[NDArray[np.intp]]:
        """The cells of each player."""
        order = np.argsort(self.players, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self.players, minlength=self.count))[:-1])

    def changed(self, row: Floats) -> tuple[int, ...]:
        """The players that a row changes, in order."""
        different = np.flatnonzero(row != self.origin)
        return tuple((different if self.single else np.unique(self.players[different])).tolist())

    def allowed(self, rows: Floats) -> Floats:
        """Rows `[…, cells]` as the constraints have them."""
        return self.constraints.applied(rows, self.origin)

    def restore(self, row: Floats, player: int) -> None:
        """Put a player's own values back into a row."""
        cells = self.cells[player]
        row[cells] = self.origin[cells]

    def option(self, row: Floats) -> Option:
        """A row as one to choose from."""
        near = float(self.metric.distance(row[None])[0])
        return Option(frozenset(self.changed(row)), near, self.metric.plausibility(row))

    def share(self, row: Floats, player: int) -> float:
        """What a player adds to the distance of a row."""
        cells = self.cells[player]
        return float(np.abs(row[cells] - self.origin[cells]) @ self.metric.weight[cells])


class Moves:
    """Rows `[moves, cells]` that each give every player another value; a search takes single players out of them."""

    def __init__(self, space: Space, rows: NDArray[np.floating]) -> None:
        self.space = space
        self.rows: Floats = space.allowed(rows.astype(space.origin.dtype, copy=False))

    @classmethod
    def of(cls, space: Space) -> Moves:
        """Quantiles of the background, or steps outward from the observation and zero; and the bounds, if there are.

        Groups of cells are moved as they are, each channel by the same amount over its window.
        """
        if space.metric.known and not space.single:
            channels = (-1, space.metric.channels)
            means = space.metric.spread.rows.reshape(len(space.metric.spread.rows), *channels).mean(axis=1)
            away = np.quantile(means, LEVELS, axis=0) - space.origin.reshape(channels).mean(axis=0)
            rows = (space.origin.reshape(1, *channels) + away[:, None]).reshape(len(LEVELS), -1)
        elif space.metric.known:
            rows = space.metric.spread.quantiles
        else:
            sizes = np.array([sign * size for size in STEPS_OUT for sign in (1.0, -1.0)])
            out = space.origin + sizes[:, None] * space.metric.scale
            rows = np.concatenate([out, np.zeros((1, len(space.origin)))])
        for bound in (space.constraints.low, space.constraints.high):
            if np.isfinite(bound).any():
                rows = np.concatenate([rows, np.where(np.isfinite(bound), bound, space.origin)[None]])
        return cls(space, rows)

    def singles(self, order: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Move and player of every single change that changes anything, move by move, players in `order`."""
        effective = self.rows != self.space.origin
        if not self.space.single:
            cells = np.concatenate(self.space.cells)
            starts = np.cumsum([0, *map(len, self.space.cells[:-1])])
            effective = np.logical_or.reduceat(effective[:, cells], starts, axis=1)
        moves, places = np.nonzero(effective[:, order])
        players = order[places]
        if self.space.single:  # equal values, of neighbouring quantiles or of a grid, are asked once
            pairs = np.stack([players.astype(np.float64), self.rows[moves, players].astype(np.float64)])
            keep = np.sort(np.unique(pairs, axis=1, return_index=True)[1])
            moves, players = moves[keep], players[keep]
        return moves, players

    def apply(self, moves: NDArray[np.intp], players: NDArray[np.intp]) -> Floats:
        """Rows that differ from the observation in one player each."""
        rows = np.repeat(self.space.origin[None], len(moves), axis=0)
        if self.space.single:
            rows[np.arange(len(moves)), players] = self.rows[moves, players]
            return rows
        for row, move, player in zip(rows, moves.tolist(), players.tolist(), strict=True):
            cells = self.space.cells[player]
            row[cells] = self.rows[move, cells]
        return rows
