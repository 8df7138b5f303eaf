"""Finding that the distribution of a stream is another one, whatever its mean does."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from math import inf, isfinite, log, nextafter
from typing import Any, ClassVar

from axon_quant.ensemble.options import require
from axon_quant.ensemble.remembering import Remembering
from axon_quant.errors import EnsembleError


class Psi(Remembering):
    """Population stability index of the last `window` numbers against the first `reference` ones.

    Σ (p - q) ln(p / q) over `bins` that hold equally many of the reference (a value that fills bins alone gets one to
    itself), with half a number added to each bin. By custom, 0.1 is a small change and 0.25 a large one; of a stream
    that stays the same it is about bins · (1 / reference + 1 / window). It is computed every `window` / 20 numbers.
    `update` returns True when it first exceeds `threshold`, and again after it was below half of that; `drifting` tells
    whether it does. `reset` forgets the window and keeps the reference.

    Numbers are taken to be independent; for one that remembers its neighbours take a longer window. Raises
    EnsembleError for options out of range and for numbers that are not finite.
    """

    _remembered: ClassVar[Mapping[str, Any]] = {
        "_seen": list[float],
        "_edges": list[float],
        "_expected": list[int],
        "_recent": list[int],
        "_next": int,
        "_since": int,
        "index": float,
        "drifting": bool,
    }
    _grows: ClassVar[bool] = True

    def __init__(self, *, bins: int = 10, reference: int = 1000, window: int = 200, threshold: float = 0.25) -> None:
        require(bins >= 2, "bins", bins, "at least 2")
        require(reference >= 10 * bins, "reference", reference, f"at least {10 * bins}, ten for each bin")
        require(window >= 5 * bins, "window", window, f"at least {5 * bins}, five for each bin")
        require(0.0 < threshold < inf, "threshold", threshold, "a positive number")
        self._bins, self._reference, self._window, self._threshold = bins, reference, window, threshold
        self._every = max(1, window // 20)
        self._seen: list[float] = []
        self._edges: list[float] = []
        self._expected: list[int] = []
        self._recent: list[int] = []  # bins of the last numbers, a ring
        self._next = self._since = 0
        self.index = 0.0
        self.drifting = False

    def update(self, value: float, /) -> bool:
        """Take the next number; true when a drift is found."""
        if not isfinite(value):
            raise EnsembleError(f"a drift detector got {value}, expected a finite number")
        if not self._expected:
            self._learn(value)
            return False
        slot = bisect_left(self._edges, value)
        recent = self._recent
        if len(recent) < self._window:
            recent.append(slot)
        else:
            recent[self._next] = slot
            self._next = (self._next + 1) % self._window
        self._since += 1
        if self._since < self._every or len(recent) < self._window:
            return False
        self._since = 0
        self.index = self._compare()
        if self.index > self._threshold:
            found, self.drifting = not self.drifting, True
            return found
        if self.index < 0.5 * self._threshold:
            self.drifting = False
        return False

    def reset(self) -> None:
        """Forget the window."""
        self._recent = []
        self._next = self._since = 0
        self.index = 0.0
        self.drifting = False

    def _compare(self) -> float:
        found = [0] * len(self._expected)
        for slot in self._recent:
            found[slot] += 1
        half = 0.5 * len(found)
        before, now = self._reference + half, self._window + half
        total = 0.0
        for count, recent in zip(self._expected, found, strict=True):
            p, q = (count + 0.5) / before, (recent + 0.5) / now
            total += (q - p) * log(q / p)
        return total

    def _learn(self, value: float) -> None:
        seen = self._seen
        seen.append(value)
        if len(seen) < self._reference:
            return
        ordered = sorted(seen)
        cuts = [ordered[len(ordered) * number // self._bins] for number in range(1, self._bins)]
        edges = set(cuts)
        # A value in several cuts, or in the one and only, gets a bin of its own: from just below it up to itself.
        edges |= {nextafter(cut, -inf) for cut in edges if ordered.count(cut) * self._bins >= len(ordered)}
        self._edges = sorted(edges)
        expected = [0] * (len(edges) + 1)
        for number in seen:
            expected[bisect_left(self._edges, number)] += 1
        self._expected = expected
        self._seen = []
