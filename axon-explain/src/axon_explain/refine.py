"""Making a change that flips smaller: fewer features, then shorter ways, all of it asked again after rounding."""

from __future__ import annotations

import numpy as np

from axon_explain.inquiry import Candidate, Inquiry
from axon_explain.moves import Space
from axon_explain.subject import Floats

POINTS = np.arange(8) / 8.0
"""Where a way from the observation (0) to a change (1) is tried in each round."""
ROUNDS = 2
POLISHED = 3
"""Changes of more features than this are shortened as a whole only."""


def prune(inquiry: Inquiry, space: Space, candidate: Candidate) -> None:
    """Take back every feature that the flip does not need, the least needed first."""
    while len(candidate.players) > 1:
        players = candidate.players
        without = np.repeat(candidate.row[None], len(players), axis=0)
        for row, player in zip(without, players, strict=True):
            space.restore(row, player)
        margins = inquiry.margins(without)
        harmless = int((margins < 0.0).sum())
        if harmless == 0:
            return
        order = np.argsort(margins, kind="stable")[:harmless]
        _take(space, candidate, without[order[0]], float(margins[order[0]]))
        if harmless == 1:
            return
        together = np.repeat(candidate.row[None], harmless - 1, axis=0)
        for count, place in enumerate(order[1:].tolist()):
            for row in together[count:]:
                space.restore(row, players[place])
        together = together[(together != space.origin).any(axis=1)]
        found = inquiry.margins(together)
        flips = np.flatnonzero(found < 0.0)
        if len(flips):
            _take(space, candidate, together[flips[-1]], float(found[flips[-1]]))


def shorten(inquiry: Inquiry, space: Space, candidates: list[Candidate]) -> None:
    """Move each change towards the observation as far as the decision stays flipped."""
    _section(inquiry, space, candidates, [space.origin] * len(candidates))


def polish(inquiry: Inquiry, space: Space, candidates: list[Candidate]) -> None:
    """The same feature by feature, for changes of few features: one may go back further than the others."""
    for turn in range(POLISHED):
        several = [c for c in candidates if 1 < len(c.players) <= POLISHED and turn < len(c.players)]
        ends = []
        for candidate in several:
            by_size = sorted(candidate.players, key=lambda player: space.share(candidate.row, player))
            end = candidate.row.copy()
            space.restore(end, by_size[turn])
            ends.append(end)
        _section(inquiry, space, several, ends)


def _section(inquiry: Inquiry, space: Space, candidates: list[Candidate], ends: list[Floats]) -> None:
    """Between each candidate's row and an end, find the point nearest to the end that still flips."""
    if not candidates:
        return
    near = np.stack(ends)
    for _ in range(ROUNDS):
        points = _between(space, near, np.stack([c.row for c in candidates]))
        changes = (points != space.origin).any(axis=2)
        margins = np.full(changes.shape, np.inf)
        asked = inquiry.margins(points[changes])
        places = np.flatnonzero(changes)[: len(asked)]
        margins.ravel()[places] = asked
        complete = len(asked) == changes.sum()
        for place, candidate in enumerate(candidates):
            flips = np.flatnonzero(margins[place] < 0.0)
            first = int(flips[0]) if len(flips) else len(POINTS)
            if len(flips):
                _take(space, candidate, points[place, first], float(margins[place, first]))
            if complete and first > 0:
                near[place] = points[place, first - 1]


def _between(space: Space, ends: Floats, rows: Floats) -> Floats:
    """Points `[candidates, points, cells]` on the way from ends to rows, allowed ones."""
    wide = ends.astype(np.float64)
    ways = rows.astype(np.float64) - wide
    points = (wide[:, None] + POINTS[:, None] * ways[:, None]).astype(rows.dtype)
    still = (rows == ends)[:, None]
    exact = np.where(still, rows[:, None], points)
    return space.allowed(exact)


def _take(space: Space, candidate: Candidate, row: Floats, margin: float) -> None:
    candidate.row, candidate.margin, candidate.players = row.copy(), margin, space.changed(row)
