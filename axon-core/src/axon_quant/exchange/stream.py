"""One reader's view of what an adapter reports."""

from __future__ import annotations

import asyncio
from collections import deque
from decimal import Decimal
from typing import Literal, TypeAlias

from msgspec import Struct

from axon_quant.errors import ExchangeError, UnavailableError
from axon_quant.market.types import MarketEvent
from axon_quant.orders.types import Order, OrderUpdate

StreamName: TypeAlias = Literal["account", "market"]


class BalanceUpdate(Struct, frozen=True):
    """What the account holds of one asset from now on: `free`, and `locked` by open orders. `at` is UTC ns."""

    asset: str
    free: Decimal
    locked: Decimal
    at: int


class StreamState(Struct, frozen=True):
    """A stream came up, or was lost for `reason`. What the account missed is repaired after every `up`."""

    stream: StreamName
    up: bool
    at: int
    reason: str = ""


class ForeignOrder(Struct, frozen=True):
    """An order on the account that is not ours; said once per order, and never under `ForeignOrders.Ignore`.

    `order` is set when it was adopted: from here on its updates come like those of our own. An order that was over
    before it could be looked up is not adopted; its updates follow all the same.
    """

    client_order_id: str
    venue_order_id: str
    symbol: str
    at: int
    order: Order | None = None


AdapterEvent: TypeAlias = OrderUpdate | MarketEvent | BalanceUpdate | StreamState | ForeignOrder


class EventStream:
    """An asynchronous iterator over everything reported since it was made; it ends when the adapter closes.

    A reader that falls `limit` events behind gets UnavailableError after the ones it has: what was missed is unknown,
    so orders must be looked up again.
    """

    def __init__(self, limit: int = 100_000) -> None:
        self._events: deque[AdapterEvent] = deque()
        self._limit = limit
        self._error: ExchangeError | None = None
        self._closed = False
        self._ready = asyncio.Event()

    def put(self, event: AdapterEvent) -> None:
        """Add an event; called by the adapter, from the loop's thread."""
        if self._closed or self._error is not None:
            return
        if len(self._events) < self._limit:
            self._events.append(event)
            self._ready.set()
        else:
            self.fail(
                UnavailableError(
                    f"a reader of events() fell {self._limit} events behind", hint="look up the open orders and fills"
                )
            )

    def fail(self, error: ExchangeError) -> None:
        """End the stream with an error after what it holds."""
        self._error = error
        self._ready.set()

    @property
    def waiting(self) -> int:
        """How many events are there and not yet read."""
        return len(self._events)

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
            if self._error is not None:
                raise self._error
            if self._closed:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return self._events.popleft()
