"""The public trades of a symbol and the candles they make."""

from __future__ import annotations

from collections import deque

import attrs

from axon_exchange_okx.simulator.numbers import milliseconds, number
from axon_quant.clock import NANOSECONDS
from axon_quant.market.types import Trade

_HOUR = 3_600 * NANOSECONDS
_LENGTHS = {"m": 60 * NANOSECONDS, "H": _HOUR, "D": 24 * _HOUR}
_NAMES = ("1m", "3m", "5m", "15m", "30m", "1H", "2H", "4H", "6H", "12H", "1D", "6Hutc", "12Hutc", "1Dutc")
_HONG_KONG = 8 * _HOUR
"""OKX's days begin at midnight in Hong Kong, unless a bar's name ends with utc."""
_KEPT = 1_440


def _length(bar: str) -> int:
    plain = bar.removesuffix("utc")
    return int(plain[:-1]) * _LENGTHS[plain[-1]]


BARS = {name: (_length(name), _HONG_KONG if name in ("6H", "12H", "1D") else 0) for name in _NAMES}
"""Length and shift of each bar, in ns."""


@attrs.define
class Candle:
    """The trades of one bar. `start` is UTC ns; `value` is the sum of price × quantity."""

    start: int
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
    value: float = 0.0

    def add(self, trade: Trade) -> None:
        """Count a trade."""
        self.high, self.low = max(self.high, trade.price), min(self.low, trade.price)
        self.close = trade.price
        self.volume += trade.quantity
        self.value += trade.price * trade.quantity

    def row(self, *, ended: bool) -> list[str]:
        """As REST and channels have it."""
        sums = number(round(self.volume, 8)), number(round(self.value, 8)), number(round(self.value, 8))
        prices = [number(price) for price in (self.open, self.high, self.low, self.close)]
        return [milliseconds(self.start), *prices, *sums, "1" if ended else "0"]


class Tape:
    """What was traded in one symbol: the latest trades, and candles of every length."""

    def __init__(self) -> None:
        self.trades: deque[Trade] = deque(maxlen=500)
        self._candles: dict[str, deque[Candle]] = {bar: deque(maxlen=_KEPT) for bar in BARS}

    def add(self, trade: Trade) -> list[tuple[str, Candle]]:
        """Count a trade; returns the bars that it ended, with their names."""
        self.trades.append(trade)
        ended, at = [], trade.received
        for bar, candles in self._candles.items():
            length, shift = BARS[bar]
            start = at - (at + shift) % length
            if not candles or candles[-1].start < start:
                if candles:
                    ended.append((bar, candles[-1]))
                candles.append(Candle(start, *[trade.price] * 4))
            candles[-1].add(trade)
        return ended

    def candles(self, bar: str) -> deque[Candle]:
        """Oldest first; the last one has not ended. Raises KeyError for a bar that is not kept."""
        return self._candles[bar]

    @property
    def day(self) -> Candle | None:
        """The last 24 hours, or as much as there was; None before any trade."""
        minutes = self._candles["1m"]
        if not minutes:
            return None
        first, last = minutes[0], minutes[-1]
        high, low = max(one.high for one in minutes), min(one.low for one in minutes)
        volume, value = sum(one.volume for one in minutes), sum(one.value for one in minutes)
        return Candle(first.start, first.open, high, low, last.close, volume, value)
