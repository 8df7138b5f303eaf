"""The model under a budget: margins of batches, and how near the search came."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from axon_explain.subject import Floats, Subject
from axon_quant.errors import ExplainError
from axon_quant.inference.scores import choose


class Inquiry:
    """Asks about rows `[rows, cells]` until the budget of evaluations is spent.

    A margin is how far the score of the decision stands above the best other one (above all others it must beat, for a
    `desired` one): below 0 the decision flips. `nearest` is the row that came nearest to that, with its margin.
    """

    def __init__(self, subject: Subject, shape: tuple[int, ...], budget: int) -> None:
        self.subject = subject
        self.budget = budget
        self.original = -1
        self.desired: int | None = None
        self.nearest: tuple[Floats, float] = np.empty(0), np.inf
        self._shape = shape
        self._began = subject.evaluations
        self._kept = 0
        self.models = subject.models

    @property
    def spent(self) -> int:
        """Evaluations so far."""
        return self.subject.evaluations - self._began

    @property
    def left(self) -> int:
        """Evaluations that `margins` may still use."""
        return max(0, self.budget - self._kept - self.spent)

    def keep(self, evaluations: int) -> None:
        """Set evaluations apart for `alone`."""
        self._kept = evaluations

    def decide(self, row: Floats) -> tuple[int, Floats]:
        """Decision and scores of one observation on its own, as a running strategy would get them.

        Raises ExplainError when another version of the model answers than before.
        """
        scores = self.subject.scores(row.reshape(1, *self._shape))[0]
        if self.subject.models != self.models:
            raise ExplainError(f"{self.subject.name} was replaced during the search", hint="ask again")
        scorer = self.subject.scorer
        if scorer is not None:
            return scorer.decode(scores.tolist()).index, scores
        names = self.subject.actions
        return choose(scores.tolist(), names.index("hold") if "hold" in names else None), scores

    def flips(self, decision: int) -> bool:
        """Whether that decision is what is looked for."""
        return decision != self.original if self.desired is None else decision == self.desired

    def margin(self, scores: Floats) -> NDArray[np.float64]:
        """Of scores `[rows, outputs]`."""
        wanted = self.original if self.desired is None else self.desired
        others = np.delete(scores, wanted, axis=1).max(axis=1)
        difference: NDArray[np.float64] = np.subtract(scores[:, wanted], others, dtype=np.float64)
        return difference if self.desired is None else -difference

    def margins(self, rows: Floats) -> NDArray[np.float64]:
        """Of the first rows, as many as the budget allows."""
        rows = rows[: self.left]
        if len(rows) == 0:
            return np.empty(0)
        found = self.margin(self.subject.scores(rows.reshape(len(rows), *self._shape)))
        least = int(found.argmin())
        if found[least] < self.nearest[1]:
            self.nearest = rows[least].copy(), float(found[least])
        return found

    def alone(self, row: Floats) -> tuple[int, Floats] | None:
        """`decide`, out of what was set apart; None when the budget is spent to the last."""
        if self.spent >= self.budget:
            return None
        self._kept = max(0, self._kept - 1)
        return self.decide(row)


@attrs.define(eq=False)
class Candidate:
    """A row `[cells]` that flips the decision, with the players it changes."""

    row: Floats
    margin: float
    players: tuple[int, ...]
