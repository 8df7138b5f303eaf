"""The market of a simulator, in real time: made up, or a recording played at some speed."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from axon_quant.clock import NANOSECONDS
from axon_quant.exchange.simulator.exchange import SimulatedExchange
from axon_quant.exchange.simulator.instruments import START_PRICES
from axon_quant.market.generated import GeneratedMarket
from axon_quant.market.recordings import open_recording
from axon_quant.market.types import MarketEvent

_FOREVER = 10 * 366 * 86_400.0
_STEP = 0.02


class MarketFeed:
    """Plays events into an exchange, stamped with the exchange's clock as they are played.

    Without a `recording` each symbol has a generated market that begins at its start price (`prices` by symbol without
    its separator). `speed` is how fast market time passes; a recording that ends stays as it is.
    """

    def __init__(
        self,
        exchange: SimulatedExchange,
        symbols: Iterable[str],
        *,
        recording: str | Path | None = None,
        prices: Mapping[str, float] | None = None,
        seed: int = 0,
        speed: float = 1.0,
    ) -> None:
        self._exchange = exchange
        self._speed = speed
        symbols = tuple(symbols)
        self._events: Iterator[MarketEvent]
        if recording is None:
            starts = {**START_PRICES, **(prices or {})}
            self._events = heapq.merge(
                *(
                    iter(
                        GeneratedMarket(
                            exchange.instruments[symbol],
                            seconds=_FOREVER,
                            seed=seed + index,
                            price=starts[symbol.replace("-", "")],
                        )
                    )
                    for index, symbol in enumerate(symbols)
                ),
                key=lambda event: event.received,
            )
        else:
            self._events = iter(open_recording(recording, symbols))
        self._next = next(self._events, None)
        self._first = 0 if self._next is None else self._next.received
        self.played = 0

    def play(self, elapsed: float) -> None:
        """Play everything that is due `elapsed` real seconds after the start."""
        due = self._first + int(elapsed * self._speed * NANOSECONDS)
        while self._next is not None and self._next.received <= due:
            event = self._next
            now = self._exchange.now()
            self._exchange.on_market(msgspec.structs.replace(event, received=now, **_venue_time(event, now)))
            self.played += 1
            self._next = next(self._events, None)

    async def run(self) -> None:
        """Play for ever, in real time."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while self._next is not None:
            self.play(loop.time() - began)
            await asyncio.sleep(_STEP)


def _venue_time(event: MarketEvent, now: int) -> dict[str, int]:
    return {"venue_time": now} if hasattr(event, "venue_time") else {}
