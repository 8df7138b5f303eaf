"""What each member of the ensemble would have earned: the returns its weight is judged by."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Protocol

from axon_quant.events import MemberVote

_SIGNS = (1.0, -1.0, 0.0)
"""Of buy, sell and hold, the declared order of actions."""


class ReturnsSink(Protocol):
    """The ensemble, as far as this module needs it."""

    def record_return(self, model: str, value: float, /) -> None: ...


class MemberReturns:
    """Turns votes into realised returns, `horizon` rows later.

    A member that voted buy earned the move of the mid, sell its opposite, hold nothing. A return counts only once it
    is realised.
    """

    def __init__(self, ensemble: ReturnsSink, horizon: int) -> None:
        self._ensemble = ensemble
        self._horizon = horizon
        self._row: dict[str, int] = defaultdict(int)
        self._pending: dict[str, deque[tuple[int, float, tuple[MemberVote, ...]]]] = defaultdict(deque)

    def remember(self, symbol: str, price: float, votes: tuple[MemberVote, ...]) -> None:
        """A decision was made at `price`."""
        self._pending[symbol].append((self._row[symbol] + self._horizon, price, votes))

    def realise(self, symbol: str, price: float) -> None:
        """A row later, the mid is `price`: settle the votes whose horizon has come."""
        self._row[symbol] += 1
        row, pending = self._row[symbol], self._pending[symbol]
        while pending and pending[0][0] <= row:
            _, entry, votes = pending.popleft()
            move = price / entry - 1.0
            for vote in votes:
                scores = vote.scores
                self._ensemble.record_return(vote.name, _SIGNS[scores.index(max(scores))] * move)
