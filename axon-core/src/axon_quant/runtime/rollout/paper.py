"""What both models would have earned on the same decisions: a paper account each, without fees."""

from __future__ import annotations

from collections import deque


class PaperEquity:
    """A running sum of returns as fractions of the capital, and its falls.

    `equity` starts at 0; `drawdown` is the fall from the highest point since the start, `deepest` the deepest fall
    within the present window, whose peak starts afresh.
    """

    __slots__ = ("_peak", "_window_peak", "_window_start", "deepest", "equity")

    def __init__(self) -> None:
        self.equity = self.deepest = 0.0
        self._peak = self._window_peak = self._window_start = 0.0

    def add(self, change: float) -> None:
        """Equity moves by `change`."""
        self.equity = equity = self.equity + change
        self._peak = max(self._peak, equity)
        self._window_peak = max(self._window_peak, equity)
        self.deepest = max(self.deepest, self._window_peak - equity)

    def next_window(self) -> None:
        """The window ends here; the next one begins."""
        self._window_start = self._window_peak = self.equity
        self.deepest = 0.0

    @property
    def drawdown(self) -> float:
        """How far equity is below its highest point since the start."""
        return self._peak - self.equity

    @property
    def earned(self) -> float:
        """The change of equity within the present window."""
        return self.equity - self._window_start


class PaperReturns:
    """Settles the advice of both models `horizon` decisions later, at the mid.

    Each piece of advice holds 1 / (horizon × lanes) of the capital: the account is then as large as if each lane always
    held the mean of its last `horizon` signals, so returns that overlap add up to no more than one position.
    """

    def __init__(self, horizon: int, lanes: int) -> None:
        self._horizon = horizon
        self._share = 1.0 / (horizon * max(lanes, 1))
        self._steps: dict[str, int] = {}
        self._open: dict[str, deque[tuple[int, float, int, int]]] = {}
        self.stable = PaperEquity()
        self.candidate = PaperEquity()
        self.settled = 0

    def step(self, symbol: str, price: float) -> int:
        """A decision of `symbol` falls due at `price`: settle what is old enough. Returns the decision's place."""
        now = self._steps.get(symbol, 0) + 1
        self._steps[symbol] = now
        pending = self._open.get(symbol)
        while pending and now - pending[0][0] >= self._horizon:
            _, before, stable, candidate = pending.popleft()
            move = (price / before - 1.0) * self._share
            self.stable.add(stable * move)
            self.candidate.add(candidate * move)
            self.settled += 1
        return now

    def advise(self, symbol: str, place: int, price: float, stable: int, candidate: int) -> None:
        """At `place`, when the mid was `price`, the models advised positions of these signs."""
        if symbol not in self._open:
            self._open[symbol] = deque()
        self._open[symbol].append((place, price, stable, candidate))

    def next_window(self) -> None:
        """See PaperEquity."""
        self.stable.next_window()
        self.candidate.next_window()
