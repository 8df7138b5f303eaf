"""The dead-man switch, which Binance has one of for every symbol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable


class Countdown:
    """Keeps the countdowns of all symbols alike. `send` sets one of a symbol, in seconds; 0 ends it.

    `now` is a clock in seconds. A symbol whose first order comes while the others count down gets what is left.
    """

    def __init__(self, send: Callable[[str, float], Awaitable[None]], now: Callable[[], float]) -> None:
        self._send = send
        self._now = now
        self._until = 0.0
        self._symbols: dict[str, None] = {}

    async def arm(self, seconds: float, symbols: Iterable[str]) -> None:
        """Start the countdown of `symbols` and of those it has, anew; 0 ends them all."""
        self._until = self._now() + seconds if seconds else 0.0
        self._symbols.update(dict.fromkeys(symbols))
        for symbol in list(self._symbols):
            await self._send(symbol, seconds)
        if not seconds:
            self._symbols.clear()

    async def cover(self, symbol: str) -> None:
        """An order of `symbol` is about to be sent."""
        left = self._until - self._now()
        if left > 0 and symbol not in self._symbols:
            await self._send(symbol, left)
            self._symbols[symbol] = None
