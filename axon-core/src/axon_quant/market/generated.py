"""A market made up by a seeded generator: for demos and tests that need one without a recording.

It is no model of any real market. A latent pressure moves the price, shows in the book's imbalance and in the side of
the trades, and decays; so a model that reads the imbalance has something to find.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from axon_quant.clock import MILLISECOND
from axon_quant.market.instrument import Instrument
from axon_quant.market.types import BookSnapshot, BookUpdate, Level, MarketEvent, Quote, Trade

_LEVELS = 25


class GeneratedMarket:
    """Quotes, trades and a book of one instrument, the same for the same seed.

    Every 20 ms of market time one quote, now and then a trade, and every 100 ms a book update. Starts at `start` (UTC
    ns) with a snapshot and runs for `seconds`.
    """

    def __init__(
        self,
        instrument: Instrument,
        *,
        seconds: float = 60.0,
        seed: int = 0,
        price: float = 50_000.0,
        start: int = 1_700_000_000_000_000_000,
    ) -> None:
        self.instrument = instrument
        self.messages = 0
        self.malformed = 0
        self._steps = int(seconds * 50)
        self._random = random.Random(seed)
        self._seed = seed
        self._mid_ticks = round(price / float(instrument.tick_size))
        self._start = start

    def __iter__(self) -> Iterator[MarketEvent]:
        self.messages = 0
        self._random = random.Random(self._seed)
        for event in self._events():
            self.messages += 1
            yield event

    def _events(self) -> Iterator[MarketEvent]:
        rng, symbol = self._random, self.instrument.symbol
        tick = float(self.instrument.tick_size)
        pressure, position, sequence = 0.0, float(self._mid_ticks), 1
        bids, asks = self._book(int(position), pressure)
        yield BookSnapshot(symbol, self._start, sequence, _levels(bids, tick), _levels(asks, tick))
        for step in range(self._steps):
            at = self._start + step * 20 * MILLISECOND
            pressure = 0.97 * pressure + 0.08 * rng.gauss(0.0, 1.0)
            position += 0.6 * pressure + 0.5 * rng.gauss(0.0, 1.0)
            new_bids, new_asks = self._book(int(position), pressure)
            best_bid, best_ask = max(new_bids), min(new_asks)
            if rng.random() < 0.35:
                sells = rng.random() > 0.5 + 0.4 * max(-1.0, min(1.0, pressure))
                at_price = best_bid if sells else best_ask
                yield Trade(symbol, at, round(at_price * tick, 8), round(rng.expovariate(4.0) + 0.001, 5), sells, step)
            yield Quote(
                symbol,
                at,
                round(best_bid * tick, 8),
                new_bids[best_bid],
                round(best_ask * tick, 8),
                new_asks[best_ask],
                sequence,
            )
            if step % 5 == 4:
                first, sequence = sequence + 1, sequence + 3
                yield BookUpdate(
                    symbol, at, first, sequence, _changes(bids, new_bids, tick), _changes(asks, new_asks, tick)
                )
                bids, asks = new_bids, new_asks

    def _book(self, mid: int, pressure: float) -> tuple[dict[int, float], dict[int, float]]:
        rng = self._random
        tilt = max(-0.9, min(0.9, pressure))
        bids = {mid - level: round((1 + tilt) * rng.uniform(0.2, 2.0), 5) for level in range(1, _LEVELS + 1)}
        asks = {mid + level: round((1 - tilt) * rng.uniform(0.2, 2.0), 5) for level in range(1, _LEVELS + 1)}
        return bids, asks


def _levels(side: dict[int, float], tick: float) -> list[Level]:
    return [(round(ticks * tick, 8), quantity) for ticks, quantity in side.items()]


def _changes(old: dict[int, float], new: dict[int, float], tick: float) -> list[Level]:
    removed = [(round(ticks * tick, 8), 0.0) for ticks in old if ticks not in new]
    return removed + _levels(new, tick)
