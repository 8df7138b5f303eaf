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
DONORS = 3
"""Neighbours that groups of cells are taken from."""
NEIGHBOURS_ASKED = 64
"""Rows of the background that are asked for their decision, the nearest first."""
SIZES = 24
"""How many numbers of features are tried at first between one and all."""
SMALL = 256
"""Single changes that are asked about at once, at least."""
REFINED = 4
"""Candidates that are made smaller, for each result that is wanted."""


class Search:
    """One search. `margin` is the observation's own; `enough` evaluations are, if anything was found."""

    def __init__(
        self,
        inquiry: Inquiry,
        space: Space,
        margin: float,
        *,
        wanted: int,
        enough: int,
        generator: np.random.Generator,
    ) -> None:
        self.inquiry, self.space = inquiry, space
        self._found: list[Candidate] = []
        self._kinds: set[tuple[int, ...]] = set()
        self._margin = max(margin, 0.0)  # below 0 by rounding only: a tie that went to hold
        self._wanted, self._enough = wanted, enough
        self._order = generator.permutation(space.count).astype(np.intp)

    def run(self) -> list[Candidate]:
        """Candidates that flip, each as small as it could be made."""
        if self.space.single:
            self._features()
        else:
            self._groups()
        chosen = self._best(self._found)[: REFINED * self._wanted]
        shorten(self.inquiry, self.space, chosen)
        polish(self.inquiry, self.space, chosen)
        return self._best(chosen)

    def _features(self) -> None:
        """Single values: a grid of one feature, of two, then as many as it takes."""
        moves = Moves.of(self.space)
        gains = self._singles(moves)
        if not self._content():
            self._pairs(moves, gains)
        self._composite(moves, gains)
        if self._lacking() and self.space.metric.known:
            donors = self._neighbours(self._wanted)
            for donor, row in enumerate(donors.rows):
                self._prefixes(donors, np.full(self.space.count, donor), self._gains_of(row, moves, gains))

    def _groups(self) -> None:
        """Blocks of cells: from observations that are decided otherwise, or moved as they are."""
        if self.space.metric.known:
            donors = self._neighbours(DONORS)
            gains = self._singles(donors)
            for donor in range(len(donors.rows)):
                self._prefixes(donors, np.full(self.space.count, donor), gains[donor], fewest=1)
            self._composite(donors, gains)
        if not self._found:
            moves = Moves.of(self.space)
            self._composite(moves, self._singles(moves))

    def _content(self) -> bool:
        return bool(self._found) and self.inquiry.spent >= self._enough

    def _lacking(self) -> bool:
        return len(self._kinds) < self._wanted and not self._content() and self.inquiry.left > 0

    def _singles(self, moves: Moves) -> NDArray[np.float64]:
        """Ask about every single change. Returns what each helps, `[moves, players]`, -inf for what was not asked."""
        gains = np.full((len(moves.rows), self.space.count), -np.inf)
        which, players = moves.singles(self._order)
        half = (self.inquiry.left + 1) // 2
        chunk = max(SMALL, 2 * self.space.count)
        for start in range(0, min(half, len(which)), chunk):
            some = slice(start, min(half, start + chunk))
            margins = self._ask(moves.apply(which[some], players[some]))
            gains[which[some], players[some]] = self._margin - margins
            if self._content() or len(self._kinds) >= REFINED * self._wanted:
                break
        return gains

    def _pairs(self, moves: Moves, gains: NDArray[np.float64]) -> None:
        """Two features at once, those that help most, each with a few of its values."""
        leading = np.argsort(-gains.max(axis=0), kind="stable")[:PAIRED].tolist()
        options = {}
        for player in leading:
            helpful = np.flatnonzero(gains[:, player] > 0.0)
            helpful = helpful[np.argsort(-gains[helpful, player], kind="stable")]
            options[player] = helpful[[0, len(helpful) // 3, 2 * len(helpful) // 3]].tolist() if len(helpful) else []
        tried = [
            (first, second, one, other)
            for first, second in combinations(leading, 2)
            for one in options[first]
            for other in options[second]
        ]
        if tried:
            first, second, one, other = np.array(tried).T
            rows = np.repeat(self.space.origin[None], len(tried), axis=0)
            number = np.arange(len(tried))
            rows[number, first], rows[number, second] = moves.rows[one, first], moves.rows[other, second]
            self._ask(rows)

    def _composite(self, moves: Moves, gains: NDArray[np.float64]) -> None:
        """Every feature with the move that helps it most."""
        if len(gains):
            self._prefixes(moves, gains.argmax(axis=0), gains.max(axis=0))

    def _prefixes(self, moves: Moves, which: NDArray[np.intp], gains: NDArray[np.float64], *, fewest: int = 0) -> None:
        """As many features as it takes, the most helpful first; then again without those that were needed.

        Ends when there are enough results, but not before `fewest` of them came from here.
        """
        gains = gains.copy()
        alone = [players[0] for players in self._kinds if len(players) == 1]
        gains[alone] = -np.inf
        values = moves.rows[which[self.space.players], np.arange(len(self.space.origin))]
        while self._lacking() or (fewest > 0 and not self._content() and self.inquiry.left > 0):
            fewest -= 1
            candidate = self._prefix(values, gains)
            if candidate is None:
                return
            prune(self.inquiry, self.space, candidate)
            self._found.append(candidate)
            self._kinds.add(candidate.players)
            gains[list(candidate.players)] = -np.inf

    def _prefix(self, values: Floats, gains: NDArray[np.float64]) -> Candidate | None:
        """The smallest number of features, in the order of what they help, whose values flip the decision."""
        order = np.argsort(-gains, kind="stable")
        order = order[np.isfinite(gains[order])]
        if len(order) == 0:
            return None
        rank = np.full(self.space.count, len(order), np.intp)
        rank[order] = np.arange(len(order))
        place = rank[self.space.players]
        sizes = np.unique(np.geomspace(1, len(order), SIZES).astype(int))
        low = 0
        while True:
            rows = np.where(place < sizes[:, None], values, self.space.origin)
            margins = self.inquiry.margins(rows)
            flips = np.flatnonzero(margins < 0.0)
            if len(flips) == 0:
                return None
            first = int(flips[0])
            low = int(sizes[first - 1]) if first else low
            size = int(sizes[first])
            if size == low + 1 or self.inquiry.left < size - low:
                return self._candidate(rows[first], float(margins[first]))
            sizes = np.arange(low + 1, size + 1)

    def _neighbours(self, count: int) -> Moves:
        """The nearest rows of the background that are decided otherwise; those that come nearest, if none is."""
        near = np.argsort(self.space.metric.apart, kind="stable")[:NEIGHBOURS_ASKED]
        moves = Moves(self.space, self.space.metric.spread.rows[near])
        rows = moves.rows[(moves.rows != self.space.origin).any(axis=1)]
        margins = self.inquiry.margins(rows[: (self.inquiry.left + 3) // 4])
        unlike = np.flatnonzero(margins < 0.0)[:count]
        if len(unlike) == 0:
            unlike = np.argsort(margins, kind="stable")[:count]
        return Moves(self.space, rows[unlike])

    def _gains_of(self, donor: Floats, moves: Moves, gains: NDArray[np.float64]) -> NDArray[np.float64]:
        """How much each feature of a donor helps, taken from the nearest value that was asked."""
        apart = np.where(np.isfinite(gains), np.abs(moves.rows - donor), np.inf)
        return np.where(donor != self.space.origin, gains[apart.argmin(axis=0), np.arange(len(donor))], -np.inf)

    def _ask(self, rows: Floats) -> NDArray[np.float64]:
        """Margins of rows; those that flip are kept. What the budget has no room for counts as no help at all."""
        margins = np.full(len(rows), np.inf)
        asked = self.inquiry.margins(rows)
        margins[: len(asked)] = asked
        flips = np.flatnonzero(margins < 0.0)
        for at in self._distinct(rows[flips], margins[flips]):
            self._found.append(self._candidate(rows[flips[at]], float(margins[flips[at]])))
            self._kinds.add(self._found[-1].players)
        return margins

    def _candidate(self, row: Floats, margin: float) -> Candidate:
        return Candidate(row, margin, self.space.changed(row))

    def _best(self, candidates: list[Candidate]) -> list[Candidate]:
        """The nearest of each kind, in order of the number of features and distance."""
        if not candidates:
            return []
        rows, margins = np.stack([c.row for c in candidates]), np.array([c.margin for c in candidates])
        found = [candidates[at] for at in self._distinct(rows, margins)]
        return sorted(found, key=lambda candidate: len(candidate.players))

    def _distinct(self, rows: Floats, margins: NDArray[np.float64]) -> list[int]:
        """The nearest row of each set of features (single ones: and direction), the nearest first.

        Near is what will be: on a straight way the margin reaches 0 before the row does.
        """
        away = self.space.metric.distance(rows) * self._margin / (self._margin - margins)
        moved, up, kinds = rows != self.space.origin, rows > self.space.origin, dict[object, int]()
        for at in np.argsort(away, kind="stable").tolist():
            single = self.space.single
            kinds.setdefault((moved[at].tobytes(), up[at].tobytes()) if single else self.space.changed(rows[at]), at)
        return list(kinds.values())
