"""A market made up by a seeded generator: for demos and tests that need one without a recording.

It is no model of any real market, but moves like one: trends come and go, quiet stretches are broken by bursts in which
everything moves faster. A latent pressure pulls towards the trend, moves the price, and shows in the book's imbalance
and in the side of the trades; so a model that reads the imbalance has something to find.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from axon_quant.clock import MILLISECOND
from axon_quant.market.instrument import Instrument
from axon_quant.market.types import BookSnapshot, BookUpdate, Level, MarketEvent, Quote, Trade

_LEVELS = 25
_SPACING = 1e-5
"""Distance of two price levels, as a fraction of the first price."""


class _Mood:
    """What changes slowly: `trend`, the mean of the pressure, and `heat`, how fast everything moves (1 on average)."""

    __slots__ = ("_rng", "_steps_left", "heat", "trend")

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._steps_left = 0
        self.trend = 0.0
        self.heat = 1.0

    def step(self) -> None:
        """Twenty milliseconds pass: a trend lasts half a minute or so, a burst comes as often and fades within 10 s."""
        rng = self._rng
        if self._steps_left == 0:
            self._steps_left = rng.randrange(500, 3_000)
            self.trend = rng.choice((-1.0, 0.0, 1.0)) * rng.uniform(0.06, 0.16)
        self._steps_left -= 1
        self.heat += 0.006 * (0.8 - self.heat)
        if rng.random() < 1 / 1_500:
            self.heat += rng.uniform(0.8, 2.8)


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
        tick = float(instrument.tick_size)
        self._unit = max(round(price * _SPACING / tick), 1) * tick
        self._first_level = round(price / self._unit)
        self._start = start

    def __iter__(self) -> Iterator[MarketEvent]:
        self.messages = 0
        self._random = random.Random(self._seed)
        for event in self._events():
            self.messages += 1
            yield event

    def _events(self) -> Iterator[MarketEvent]:
        rng, symbol, unit = self._random, self.instrument.symbol, self._unit
        mood, pressure, position, sequence = _Mood(rng), 0.0, float(self._first_level), 1
        bids, asks = self._book(int(position), pressure)
        yield BookSnapshot(symbol, self._start, sequence, _levels(bids, unit), _levels(asks, unit))
        for step in range(self._steps):
            at = self._start + step * 20 * MILLISECOND
            mood.step()
            pressure = 0.97 * pressure + 0.03 * mood.trend + 0.08 * rng.gauss(0.0, 1.0)
            position += mood.heat * (0.6 * pressure + 0.5 * rng.gauss(0.0, 1.0))
            mid = int(position)
            bid, ask = round((mid - 1) * unit, 8), round((mid + 1) * unit, 8)
            if rng.random() < 0.35 * mood.heat:
                sells = rng.random() > 0.5 + 0.4 * max(-1.0, min(1.0, pressure))
                quantity = round(rng.expovariate(4.0) + 0.001, 5)
                yield Trade(symbol, at, bid if sells else ask, quantity, sells, step)
            if step % 5 < 4:
                buyers, sellers = self._sizes(pressure)
                yield Quote(symbol, at, bid, buyers, ask, sellers, sequence)
                continue
            new_bids, new_asks = self._book(mid, pressure)
            yield Quote(symbol, at, bid, new_bids[mid - 1], ask, new_asks[mid + 1], sequence)
            first, sequence = sequence + 1, sequence + 3
            yield BookUpdate(
                symbol, at, first, sequence, _changes(bids, new_bids, unit), _changes(asks, new_asks, unit)
            )
            bids, asks = new_bids, new_asks

    def _book(self, mid: int, pressure: float) -> tuple[dict[int, float], dict[int, float]]:
        bids, asks = {}, {}
        for level in range(1, _LEVELS + 1):
            bids[mid - level], asks[mid + level] = self._sizes(pressure)
        return bids, asks

    def _sizes(self, pressure: float) -> tuple[float, float]:
        """How much is bid and asked at one distance from the mid."""
        random, tilt = self._random.random, max(-0.9, min(0.9, pressure))
        return round((1 + tilt) * (0.2 + 1.8 * random()), 5), round((1 - tilt) * (0.2 + 1.8 * random()), 5)


def _levels(side: dict[int, float], unit: float) -> list[Level]:
    return [(round(level * unit, 8), quantity) for level, quantity in side.items()]


def _changes(old: dict[int, float], new: dict[int, float], unit: float) -> list[Level]:
    removed = [(round(level * unit, 8), 0.0) for level in old if level not in new]
    return removed + _levels(new, unit)
