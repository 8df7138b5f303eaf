"""The generated market of the demo, which stands still for a moment at half time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from axon_quant.clock import NANOSECONDS
from axon_quant.market import Instrument, MarketEvent
from axon_quant.market.generated import GeneratedMarket

SECONDS = 900.0
PRICE = 60_000.0
START = 1_700_000_000 * NANOSECONDS
HALF_TIME = START + int(SECONDS / 2 * NANOSECONDS)


def generated(instrument: Instrument, seed: int) -> GeneratedMarket:
    """A quarter of an hour of made-up market, the same for the same seed."""
    return GeneratedMarket(instrument, seconds=SECONDS, seed=seed, price=PRICE, start=START)


class PausingMarket:
    """A market that calls `pause` before it yields the first event at or after `at` (UTC ns).

    Whoever plays it is stopped at that moment of market time for as long as `pause` takes, so what happens in the pause
    falls on the same event in every run.
    """

    def __init__(self, market: GeneratedMarket, at: int, pause: Callable[[], object]) -> None:
        self._market = market
        self._at = at
        self._pause = pause

    @property
    def messages(self) -> int:
        return self._market.messages

    @property
    def malformed(self) -> int:
        return self._market.malformed

    def __iter__(self) -> Iterator[MarketEvent]:
        events = iter(self._market)
        for event in events:
            if event.received >= self._at:
                self._pause()
                yield event
                break
            yield event
        yield from events
