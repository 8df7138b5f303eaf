"""The messages of a load test and when each is to come."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import attrgetter
from pathlib import Path

from axon_quant.clock import NANOSECONDS
from axon_quant.config import Config
from axon_quant.demo.market import PRICE, START
from axon_quant.errors import MarketDataError
from axon_quant.market import MarketEvent
from axon_quant.market.generated import GeneratedMarket
from axon_quant.market.recordings import open_recording
from axon_quant.runtime.wiring import build_instruments

MOST_MESSAGES = 5_000_000
"""All are made before the first is sent, so that making them delays none."""
_LEAST_A_SECOND = 50  # a generated market has a quote every 20 ms, and more


def traffic(
    config: Config, *, rate: float | None, speed: float | None, duration: float, recording: Path | None = None
) -> tuple[list[MarketEvent], list[int]]:
    """Messages for `duration` seconds, and the offset in ns at which each is to come.

    Either `rate` messages a second, evenly, or as they were received, `speed` times as fast. The market is the
    recording or a generated one. Raises MarketDataError for a recording that has nothing in it.
    """
    if rate is not None:
        count = int(rate * duration)
        events = list(islice(_market(config, recording, count / _LEAST_A_SECOND + 60), count))
        offsets = [int(index * NANOSECONDS / rate) for index in range(len(events))]
    else:
        events, offsets = _paced(_market(config, recording, duration * (speed or 1.0) + 1), speed or 1.0, duration)
    if not events:
        raise MarketDataError("there is no market to play", file=recording, hint="is it of the configured symbols?")
    return events, offsets


def _paced(market: Iterable[MarketEvent], speed: float, duration: float) -> tuple[list[MarketEvent], list[int]]:
    events: list[MarketEvent] = []
    offsets: list[int] = []
    for event in islice(market, MOST_MESSAGES):
        offset = int((event.received - (events[0].received if events else event.received)) / speed)
        if offset > duration * NANOSECONDS:
            break
        events.append(event)
        offsets.append(max(offset, offsets[-1] if offsets else 0))
    return events, offsets


def _market(config: Config, recording: Path | None, seconds: float) -> Iterator[MarketEvent]:
    if recording is not None:
        return iter(open_recording(recording, config.market.symbols))
    markets = [
        GeneratedMarket(instrument, seconds=seconds, seed=config.run.seed + index, price=PRICE, start=START)
        for index, instrument in enumerate(build_instruments(config))
    ]
    return heapq.merge(*markets, key=attrgetter("received"))
