"""Making a change that flips smaller: fewer features, then shorter ways, all of it asked again after rounding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from axon_explain.inquiry import Candidate, Inquiry
from axon_explain.moves import Space, cells_of
from axon_explain.subject import Floats

POINTS = np.arange(8) / 8.0
"""Where a way from the observation (0) to a change (1) is tried in each round."""
ROUNDS = 2
POLISHED = 3
"""Changes of more features than this are shortened as a whole only."""


def prune(inquiry: Inquiry, space: Space, candidate: Candidate) -> None:
    """Take back every feature that the flip does not need, the least needed first."""
    cells = cells_of(space)
    while len(candidate.players) > 1:
        players = candidate.players
        without = np.repeat(candidate.row[None], len(players), axis=0)
        for row, player in zip(without, players, strict=True):
            row[cells[player]] = space.origin[cells[player]]
        margins = inquiry.margins(without)
        if len(margins) < len(players) or not (margins < 0.0).any():
            return
        order = np.argsort(margins, kind="stable")[: int((margins < 0.0).sum())]
        both = np.repeat(candidate.row[None], len(order), axis=0)
        for count, place in enumerate(order):
            both[count:, cells[players[place]]] = space.origin[cells[players[place]]]
        both = both[[bool((row != space.origin).any()) for row in both]]
        found = inquiry.margins(both)
        flips = np.flatnonzero(found < 0.0)
        best = int(flips[-1]) if len(flips) else 0
        row = both[best] if len(flips) else without[order[0]]
        margin = float(found[best]) if len(flips) else float(margins[order[0]])
        _take(space, candidate, row, margin)
        if len(order) == 1:
            return


def shorten(inquiry: Inquiry, space: Space, candidates: list[Candidate]) -> None:
    """Move each change towards the observation as far as the decision stays flipped."""
    origins = [np.broadcast_to(space.origin, c.row.shape) for c in candidates]
    _section(inquiry, space, candidates, origins)


def polish(inquiry: Inquiry, space: Space, candidates: list[Candidate]) -> None:
    """The same feature by feature, for changes of few features: one may go back further than the others."""
    cells = cells_of(space)
    for turn in range(POLISHED):
        several = [c for c in candidates if 1 < len(c.players) <= POLISHED and turn < len(c.players)]
        ends = []
        for candidate in several:
            away = space.metric.weight * np.abs(candidate.row - space.origin)
            by_size = sorted(candidate.players, key=lambda player: float(away[cells[player]].sum()))
            end = candidate.row.copy()
            end[cells[by_size[turn]]] = space.origin[cells[by_size[turn]]]
            ends.append(end)
        _section(inquiry, space, several, ends)


def _section(inquiry: Inquiry, space: Space, candidates: list[Candidate], ends: list[Floats]) -> None:
    """Between each candidate's row and an end, find the point nearest to the end that still flips."""
    near = list(ends)
    for _ in range(ROUNDS):
        if not candidates:
            return
        rows = [_between(space, end, c.row) for c, end in zip(candidates, near, strict=True)]
        margins = inquiry.margins(np.concatenate(rows))
        asked = 0
        for place, (candidate, points) in enumerate(zip(candidates, rows, strict=True)):
            found = margins[asked : asked + len(points)]
            asked += len(points)
            flips = np.flatnonzero(found < 0.0)
            if len(flips) == 0:
                if len(found) == len(points):
                    near[place] = points[-1]
                continue
            first = int(flips[0])
            near[place] = points[first - 1] if first else near[place]
            _take(space, candidate, points[first], float(found[first]))


def _between(space: Space, end: Floats, row: Floats) -> Floats:
    """Points on the way, allowed ones, without those where nothing is changed."""
    wide = end.astype(np.float64)
    points = wide + POINTS[:, None] * (row.astype(np.float64) - wide)
    rounded = space.allowed(np.where(row == end, row, points.astype(row.dtype)))
    kept: NDArray[np.bool_] = (rounded != space.origin).any(axis=1)
    return rounded[kept]


def _take(space: Space, candidate: Candidate, row: Floats, margin: float) -> None:
    candidate.row, candidate.margin, candidate.players = row, margin, space.changed(row)
