"""From an observation to changes that flip its decision: single features, pairs, then whole neighbours made smaller."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from axon_explain.inquiry import Candidate, Inquiry
from axon_explain.moves import Moves, Space
from axon_explain.refine import polish, prune, shorten
from axon_explain.subject import Floats

PAIRED = 6
"""Features, of those that help most, that are tried in pairs."""
DONORS = 2
"""Neighbours that groups of cells are taken from."""
NEIGHBOURS_ASKED = 64
"""Rows of the background that are asked for their decision, the nearest first."""


class Search:
    """One search. `enough`: evaluations after which it is content if it has found anything."""

    def __init__(
        self, inquiry: Inquiry, space: Space, *, wanted: int, enough: int, generator: np.random.Generator
    ) -> None:
        self.inquiry, self.space = inquiry, space
        self.found: list[Candidate] = []
        self._wanted, self._enough = wanted, enough
        self._order = generator.permutation(space.count).astype(np.intp)
        self._margin = 0.0

    def run(self, margin: float) -> list[Candidate]:
        """Candidates that flip, each as small as it was made; `margin` is the observation's own."""
        self._margin = margin
        known = len(self.space.metric.background) > 0
        if self.space.single:
            moves = Moves.quantiles(self.space) if known else Moves.outward(self.space)
            gains = self._singles(moves)
            if not self._content():
                self._pairs(moves, gains)
            if len(self.found) < self._wanted and not self._content():
                self._composite(moves, gains)
        else:
            moves = self._neighbours(DONORS) if known else Moves.outward(self.space)
            gains = self._singles(moves)
            if known and not self._content():
                for donor in range(len(moves.rows)):
                    self._prefixes(moves, np.full(self.space.count, donor), gains[donor])
            if len(self.found) < self._wanted and not self._content():
                self._composite(moves, gains)
        if known and self.space.single and len(self.found) < self._wanted and not self._content():
            donors = self._neighbours(self._wanted)
            for donor, row in enumerate(donors.rows):
                self._prefixes(donors, np.full(self.space.count, donor), self._gains_of(row, moves, gains))
        return self._refined()

    def _content(self) -> bool:
        return bool(self.found) and self.inquiry.spent >= self._enough

    def _singles(self, moves: Moves) -> NDArray[np.float64]:
        """Ask about every single change. Returns what each helps, `[moves, players]`, -inf for what was not asked."""
        gains = np.full((len(moves.rows), self.space.count), -np.inf)
        which, players = moves.singles(self.space, self._order)
        half = max(1, self.inquiry.left // 2)
        which, players = which[:half], players[:half]
        rows = moves.apply(self.space, which, players)
        margins = self._ask(rows)
        asked = len(margins)
        gains[which[:asked], players[:asked]] = self._margin - margins
        return gains

    def _pairs(self, moves: Moves, gains: NDArray[np.float64]) -> None:
        """Two features at once, those that help most, each with a few of its values."""
        best = gains.max(axis=0)
        leading = np.argsort(-best, kind="stable")[:PAIRED]
        options = {}
        for player in leading.tolist():
            helpful = np.flatnonzero(gains[:, player] > 0.0)
            helpful = helpful[np.argsort(-gains[helpful, player], kind="stable")]
            options[player] = helpful[[0, len(helpful) // 3, 2 * len(helpful) // 3]] if len(helpful) else helpful
        rows = []
        for first, second in combinations(leading.tolist(), 2):
            for one in options[first]:
                for other in options[second]:
                    row = self.space.origin.copy()
                    row[first], row[second] = moves.rows[one, first], moves.rows[other, second]
                    rows.append(row)
        if rows:
            self._ask(np.stack(rows))

    def _composite(self, moves: Moves, gains: NDArray[np.float64]) -> None:
        """Every feature with the move that helps it most, the most helpful features first."""
        self._prefixes(moves, gains.argmax(axis=0), gains.max(axis=0))

    def _prefixes(self, moves: Moves, which: NDArray[np.intp], gains: NDArray[np.float64]) -> None:
        """The first feature, the first two, … in the order of what they help; then the smallest number that flips."""
        order = np.argsort(-gains, kind="stable")
        order = order[np.isfinite(gains[order])]
        if len(order) == 0:
            return
        values = moves.rows[which[self.space.players], np.arange(len(self.space.origin))]
        rank = np.full(self.space.count, len(order), np.intp)
        rank[order] = np.arange(len(order))
        place = rank[self.space.players]
        sizes = np.unique(np.geomspace(1, len(order), 24).astype(int))
        low = 0
        while len(sizes):
            rows = np.where(place < sizes[:, None], values, self.space.origin)
            margins = self.inquiry.margins(rows)
            flips = np.flatnonzero(margins < 0.0)
            if len(flips) == 0:
                return
            first = int(flips[0])
            low = int(sizes[first - 1]) if first else low
            between = np.arange(low + 1, int(sizes[first]))
            if len(between) == 0 or self.inquiry.left == 0:
                self._keep(rows[first : first + 1], margins[first : first + 1])
                return
            sizes = np.append(between, sizes[first])

    def _neighbours(self, count: int) -> Moves:
        """The nearest rows of the background that are decided otherwise; those that come nearest, if none is."""
        near = self.space.metric.nearest(self.space.origin)[:NEIGHBOURS_ASKED]
        rows = Moves.donors(self.space, self.space.metric.background[near]).rows
        rows = rows[(rows != self.space.origin).any(axis=1)]
        margins = self.inquiry.margins(rows[: max(1, self.inquiry.left // 4)])
        unlike = np.flatnonzero(margins < 0.0)[:count]
        if len(unlike) == 0:
            unlike = np.argsort(margins, kind="stable")[:count]
        return Moves(rows[unlike])

    def _gains_of(self, donor: Floats, moves: Moves, gains: NDArray[np.float64]) -> NDArray[np.float64]:
        """How much each feature of a donor helps, taken from the nearest value that was asked."""
        apart = np.where(np.isfinite(gains), np.abs(moves.rows - donor), np.inf)
        return np.where(donor != self.space.origin, gains[apart.argmin(axis=0), np.arange(len(donor))], -np.inf)

    def _ask(self, rows: Floats) -> NDArray[np.float64]:
        margins = self.inquiry.margins(rows)
        flips = np.flatnonzero(margins < 0.0)
        self._keep(rows[flips], margins[flips])
        return margins

    def _keep(self, rows: Floats, margins: NDArray[np.float64]) -> None:
        for row, margin in zip(rows, margins, strict=True):
            self.found.append(Candidate(row, float(margin), self.space.changed(row), row))

    def _refined(self) -> list[Candidate]:
        """The most promising ones, smaller: one for each set of features and direction."""
        for candidate in self.found:
            if len(candidate.players) > 2:
                prune(self.inquiry, self.space, candidate)
        chosen = self._distinct(self.found)[: 4 * self._wanted]
        shorten(self.inquiry, self.space, chosen)
        polish(self.inquiry, self.space, chosen)
        return self._distinct(chosen)

    def _distinct(self, candidates: list[Candidate]) -> list[Candidate]:
        """The nearest of each kind, in order of the number of features and distance."""
        if not candidates:
            return []
        rows = np.stack([c.row for c in candidates])
        away = self.space.metric.distance(rows, self.space.origin)
        ranked = sorted(range(len(rows)), key=lambda at: (len(candidates[at].players), away[at]))
        kinds: dict[object, Candidate] = {}
        for at in ranked:
            candidate = candidates[at]
            up = (candidate.row > self.space.origin).tobytes() if self.space.single else b""
            kinds.setdefault((candidate.players, up), candidate)
        return list(kinds.values())
