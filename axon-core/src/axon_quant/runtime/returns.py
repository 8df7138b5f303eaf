"""What each member of the ensemble would have earned: the returns its weight is judged by."""

from __future__ import annotations

from typing import Protocol

from axon_quant.events import MemberVote

_SIGNS = (1.0, -1.0, 0.0)
"""Of buy, sell and hold, the declared order of actions."""


class ReturnsSink(Protocol):
    """The ensemble, as far as this module needs it."""

    def record_return(self, model: str, value: float, /) -> None: ...


class MemberReturns:
    """Turns votes into realised returns, `horizon` rows later, one after the other.

    A member that voted buy earned the move of the mid, sell its opposite, hold nothing. Returns do not overlap: each
    vote that counts is given when the one before it is settled, because the error of a Sharpe ratio is only 1/√n for
    n returns that share no rows.
    """

    def __init__(self, ensemble: ReturnsSink, horizon: int) -> None:
        self._ensemble = ensemble
        self._horizon = horizon
        self._pending: dict[str, _Pending] = {}

    def remember(self, symbol: str, price: float, votes: tuple[MemberVote, ...]) -> None:
        """A decision was made at `price`."""
        if symbol not in self._pending:
            self._pending[symbol] = _Pending(price, votes, self._horizon)

    def realise(self, symbol: str, price: float) -> None:
        """A row later, the mid is `price`: settle the vote whose horizon has come."""
        pending = self._pending.get(symbol)
        if pending is None:
            return
        pending.rows_left -= 1
        if pending.rows_left:
            return
        del self._pending[symbol]
        move = price / pending.price - 1.0
        for vote in pending.votes:
            scores = vote.scores
            self._ensemble.record_return(vote.name, _SIGNS[scores.index(max(scores))] * move)


class _Pending:
    """A vote that is not settled yet."""

    __slots__ = ("price", "rows_left", "votes")

    def __init__(self, price: float, votes: tuple[MemberVote, ...], rows_left: int) -> None:
        self.price = price
        self.votes = votes
        self.rows_left = rows_left
