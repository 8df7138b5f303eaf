"""The game that features play: what the model says when only some of them are known."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from axon_explain.background import Background
from axon_explain.players import Players
from axon_explain.subject import Floats, Subject

_CHUNK = 1 << 20
"""Numbers that are put together for one call of the model: 4 MB, which a cache still holds."""


class Game:
    """The value of a coalition: the mean of one output over all background rows, with the observation's values in the
    cells of its players.

    Players whose cells are the same in every background row as in the observation cannot change anything. They get
    nothing and do not play: `active` are the numbers of the others, and masks have one column for each of those.
    """

    def __init__(
        self, subject: Subject, output: int, observation: Floats, background: Background, players: Players
    ) -> None:
        self.output = output
        self.players = len(players)
        self._subject = subject
        self._shape = observation.shape
        self._x = observation.ravel()
        self._rows = background.rows.reshape(len(background), -1)
        index = players.index.ravel()
        differs = np.zeros(len(players), bool)
        differs[index[(self._rows != self._x).any(axis=0)]] = True
        self.active: NDArray[np.intp] = np.flatnonzero(differs)
        # Cells of players that do not play: any column will do.
        self._column = np.where(differs, np.cumsum(differs) - 1, 0)[index]

    def __len__(self) -> int:
        return len(self.active)

    def values(self, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        """`[coalitions, active players]`, True for those whose values are known → `[coalitions]`."""
        cells = self._x.size
        total = np.zeros(len(masks))
        rows = max(1, _CHUNK // cells)
        for first in range(0, len(self._rows), rows):
            block = self._rows[first : first + rows]
            step = min(len(masks), max(1, _CHUNK // (len(block) * cells)))
            buffer = np.empty(
                (step, *block.shape), np.result_type(self._x, block)
            )  # in the model's order, which np.where need not keep
            for start in range(0, len(masks), step):
                known = self._cells(masks[start : start + step])
                batch = buffer[: len(known)]
                batch[...] = block
                np.copyto(batch, self._x, where=known[:, None])
                total[start : start + step] += self._outputs(batch, len(known))
        return total / len(self._rows)

    def bounds(self) -> tuple[float, float]:
        """The values of nobody, the base, and of everybody, the score itself."""
        rows = self._rows.reshape(-1, *self._shape)
        score = self._subject.scores(self._x.reshape(1, *self._shape))[0, self.output]
        base = np.mean(self._subject.scores(rows)[:, self.output])
        return float(base), float(score)

    def _cells(self, masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return masks[:, self._column] if len(self) else np.zeros((len(masks), self._x.size), bool)

    def _outputs(self, batch: NDArray[Any], coalitions: int) -> NDArray[np.float64]:
        scores = self._subject.scores(batch.reshape(-1, *self._shape))[:, self.output]
        total: NDArray[np.float64] = scores.reshape(coalitions, -1).sum(axis=1)
        return total
