"""The running day and minute of each symbol, for tickers and klines."""

from __future__ import annotations

from collections import deque

import attrs

from axon_exchange_binance.simulator.messages import milliseconds, number
from axon_quant.clock import NANOSECONDS
from axon_quant.market.types import Trade

MINUTE = 60 * NANOSECONDS


@attrs.define
class Candle:
    """One interval of trades."""

    start: int
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

    def add(self, trade: Trade) -> None:
        """Count a trade."""
        price, quantity = trade.price, trade.quantity
        self.high, self.low, self.close = max(self.high, price), min(self.low, price), price
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
            milliseconds(self.start + MINUTE) - 1,
            number(self.value),
            self.trades,
            number(self.bought),
            number(self.bought_value),
            "0",
        ]


class Candles:
    """Minutes of one symbol, and its day so far."""

    def __init__(self) -> None:
        self.minutes: deque[Candle] = deque(maxlen=1500)
        self.day: Candle | None = None
        self.trades: deque[Trade] = deque(maxlen=1000)

    def add(self, trade: Trade) -> Candle:
        """Count a trade; returns its minute."""
        start = trade.received - trade.received % MINUTE
        if not self.minutes or self.minutes[-1].start < start:
            self.minutes.append(_begin(trade, start))
        if self.day is None:
            self.day = _begin(trade, trade.received)
        self.minutes[-1].add(trade)
        self.day.add(trade)
        self.trades.append(trade)
        return self.minutes[-1]


def _begin(trade: Trade, start: int) -> Candle:
    price = trade.price
    return Candle(start, price, price, price, price, first=trade.trade_id)
