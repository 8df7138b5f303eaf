"""One reader's view of what an adapter reports."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TypeAlias

from axon_quant.errors import UnavailableError
from axon_quant.market.types import MarketEvent
from axon_quant.orders.types import OrderUpdate

AdapterEvent: TypeAlias = OrderUpdate | MarketEvent


class EventStream:
    """An asynchronous iterator over everything reported since it was made; it ends when the adapter closes.

    A reader that falls `limit` events behind gets UnavailableError after the ones it has: what was missed is unknown,
    so orders must be looked up again.
    """

    def __init__(self, limit: int = 100_000) -> None:
        self._events: deque[AdapterEvent] = deque()
        self._limit = limit
        self._overflowed = False
        self._closed = False
        self._ready = asyncio.Event()

    def put(self, event: AdapterEvent) -> None:
        """Add an event; called by the adapter, from the loop's thread."""
        if self._closed or self._overflowed:
            return
        if len(self._events) < self._limit:
            self._events.append(event)
        else:
            self._overflowed = True
        self._ready.set()

    def take(self) -> list[AdapterEvent]:
        """What was reported until now and not yet read; the stream goes on after it."""
        taken = list(self._events)
        self._events.clear()
        return taken

    def close(self) -> None:
        """End the stream after what it holds."""
        self._closed = True
        self._ready.set()

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> AdapterEvent:
        while not self._events:
            if self._overflowed:
                raise UnavailableError(
                    f"a reader of events() fell {self._limit} events behind", hint="look up the open orders and fills"
                )
            if self._closed:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return self._events.popleft()
