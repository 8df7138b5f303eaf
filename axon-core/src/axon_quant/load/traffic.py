"""The messages of a load test and when each is to come."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter
from pathlib import Path

from msgspec import Struct

from axon_quant.clock import NANOSECONDS
from axon_quant.config import Config
from axon_quant.demo.market import PRICE, START
from axon_quant.errors import ConfigError, MarketDataError
from axon_quant.market import MarketEvent
from axon_quant.market.generated import GeneratedMarket
from axon_quant.market.recordings import Malformed, open_recording
from axon_quant.runtime.wiring import build_instruments

MOST_MESSAGES = 5_000_000
"""All are made before the first is sent, so that making them delays none."""
_LEAST_A_SECOND = 50  # a generated market has a quote every 20 ms, and more
_MOST_TOLD = 20
_NEARLY = 0.99  # of the duration: a recording that ends so late is as long as was asked for


class Traffic(Struct, frozen=True):
    """Messages, the offset in ns at which each is to come, and what of the market asked for they are not."""

    events: list[MarketEvent]
    offsets: list[int]
    notices: tuple[str, ...]


def traffic(
    config: Config, *, rate: float | None, speed: float | None, duration: float, recording: Path | None = None
) -> Traffic:
    """Messages for `duration` seconds.

    Either `rate` messages a second, evenly, or as they were received, `speed` times as fast. The market is the
    recording or a generated one. Raises MarketDataError for a recording that has nothing in it,
    ConfigError for a rate and a duration that make no message.
    """
    malformed: list[Malformed] = []
    if rate is not None:
        count = int(rate * duration)
        if not count:
            raise ConfigError(
                f"{rate:g} messages a second for {duration:g} s are not one message", hint="make it faster or longer"
            )
        market = _market(config, recording, count / _LEAST_A_SECOND + 60, malformed.append)
        events = list(islice(market, count))
        offsets = [int(index * NANOSECONDS / rate) for index in range(len(events))]
        ended = len(events) < count
    else:
        times = speed or 1.0
        market = _market(config, recording, duration * times + 1, malformed.append)
        events, offsets, ended = _paced(market, times, duration)
    if not events:
        raise MarketDataError("there is no market to play", file=recording, hint="is it of the configured symbols?")
    notices = [*_left_out(malformed)]
    if ended and len(events) >= MOST_MESSAGES:
        notices.append(f"the market was cut off after {MOST_MESSAGES:,} messages, the most that a test holds")
    elif ended and offsets[-1] < _NEARLY * duration * NANOSECONDS:
        notices.append(f"the market lasts {offsets[-1] / NANOSECONDS:.1f} s of the {duration:g} s asked for")
    return Traffic(events, offsets, tuple(notices))


def _left_out(malformed: Sequence[Malformed]) -> Iterator[str]:
    yield from (f"left out {each}" for each in malformed[:_MOST_TOLD])
    if len(malformed) > _MOST_TOLD:
        yield f"left out {len(malformed) - _MOST_TOLD:,} more"


def _paced(market: Iterable[MarketEvent], speed: float, duration: float) -> tuple[list[MarketEvent], list[int], bool]:
    """Messages, offsets, and whether the market had no more of them within the duration."""
    events: list[MarketEvent] = []
    offsets: list[int] = []
    for event in islice(market, MOST_MESSAGES):
        offset = int((event.received - (events[0].received if events else event.received)) / speed)
        if offset > duration * NANOSECONDS:
            return events, offsets, False
        events.append(event)
        offsets.append(max(offset, offsets[-1] if offsets else 0))
    return events, offsets, True


def _market(
    config: Config, recording: Path | None, seconds: float, on_malformed: Callable[[Malformed], None]
) -> Iterator[MarketEvent]:
    if recording is not None:
        return iter(open_recording(recording, config.market.symbols, on_malformed=on_malformed))
    markets = [
        GeneratedMarket(instrument, seconds=seconds, seed=config.run.seed + index, price=PRICE, start=START)
        for index, instrument in enumerate(build_instruments(config))
    ]
    return heapq.merge(*markets, key=attrgetter("received"))
