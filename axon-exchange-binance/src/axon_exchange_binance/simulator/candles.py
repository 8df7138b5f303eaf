"""The public trades of a symbol, and what they add up to: klines, the day, the mean price."""

from __future__ import annotations

from collections import deque
from decimal import Decimal

import attrs

from axon_exchange_binance.simulator.numbers import milliseconds, number
from axon_quant.clock import NANOSECONDS
from axon_quant.exchange.exact import from_float
from axon_quant.market.types import Trade

_LENGTHS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_MONDAY = 4 * 86_400 * NANOSECONDS
"""The weeks of 1970 begin at its fifth day."""
INTERVALS = {
    name: int(name[:-1]) * _LENGTHS[name[-1]] * NANOSECONDS
    for name in ["1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w"]
}
"""Names and lengths in ns. Months have no fixed length and are left out."""
DAY = INTERVALS["1d"]
_MINUTES_OF_MEAN = 5
_KEPT = 1_000


@attrs.define
class Candle:
    """The trades of one interval. Times are UTC ns; `value` is the sum of price × quantity."""

    start: int
    length: int
    open: float
    high: float
    low: float
    close: float
    volume: float = 0.0
    value: float = 0.0
    trades: int = 0
    first: int = 0
    last: int = 0
    bought: float = 0.0
    bought_value: float = 0.0

    @classmethod
    def begun(cls, trade: Trade, start: int, length: int) -> Candle:
        """With its first trade, which is not counted yet."""
        price = trade.price
        return cls(start, length, price, price, price, price, first=trade.trade_id)

    def add(self, trade: Trade) -> None:
        """Count a trade."""
        price, quantity = trade.price, trade.quantity
        if price > self.high:
            self.high = price
        elif price < self.low:
            self.low = price
        self.close = price
        self.volume += quantity
        self.value += price * quantity
        self.trades += 1
        self.last = trade.trade_id
        if not trade.buyer_is_maker:
            self.bought += quantity
            self.bought_value += price * quantity

    def row(self) -> list[object]:
        """As `klines` returns it."""
        return [
            milliseconds(self.start),
            *map(number, (self.open, self.high, self.low, self.close, self.volume)),
            milliseconds(self.start + self.length) - 1,
            number(self.value),
            self.trades,
            number(self.bought),
            number(self.bought_value),
            "0",
        ]


class Tape:
    """What was traded in one symbol: the latest trades, candles of every interval, and the day so far."""

    def __init__(self, *, kept: int = 10_000) -> None:
        self.trades: deque[Trade] = deque(maxlen=kept)
        self.candles: dict[str, deque[Candle]] = {name: deque(maxlen=_KEPT) for name in INTERVALS}
        self.day: Candle | None = None

    def add(self, trade: Trade) -> None:
        """Count a trade."""
        at = trade.received
        self.trades.append(trade)
        if self.day is None:
            self.day = Candle.begun(trade, at, DAY)
        self.day.add(trade)
        for name, length in INTERVALS.items():
            candles = self.candles[name]
            shift = _MONDAY if name == "1w" else 0
            start = at - (at - shift) % length
            if not candles or candles[-1].start < start:
                candles.append(Candle.begun(trade, start, length))
            candles[-1].add(trade)

    def mean(self, now: int) -> Decimal | None:
        """The mean price of the last minutes, weighted by quantity; else the last price; None before any trade."""
        since = now - _MINUTES_OF_MEAN * INTERVALS["1m"]
        recent = [candle for candle in list(self.candles["1m"])[-_MINUTES_OF_MEAN - 1 :] if candle.start >= since]
        volume = sum(candle.volume for candle in recent)
        if volume > 0:
            return from_float(round(sum(candle.value for candle in recent) / volume, 8))
        return from_float(self.trades[-1].price) if self.trades else None
