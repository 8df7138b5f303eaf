"""A watch channel: one latest value, published from any thread, awaited in any event loop."""

from __future__ import annotations

import asyncio
import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class WatchChannel(Generic[T]):
    """Holds the latest value and wakes whoever waits for a change. Values in between may be missed, the last never."""

    def __init__(self, value: T) -> None:
        self._lock = threading.Lock()
        self._value = value
        self._number = 0
        self._closed = False
        self._waiters: set[asyncio.Future[None]] = set()  # strong: a loop itself only keeps weak references

    @property
    def latest(self) -> tuple[int, T]:
        """The value and how many were published before it."""
        with self._lock:
            return self._number, self._value

    def subscribe(self) -> Receiver[T]:
        """A receiver for which the present value counts as seen."""
        return Receiver(self)

    def publish(self, value: T) -> None:
        """Replace the value and wake every waiter."""
        with self._lock:
            self._value = value
            self._number += 1
            waiters, self._waiters = self._waiters, set()
        _each(waiters, cancel=False)

    def close(self) -> None:
        """Cancel every pending `changed()`, and those that would wait from now on."""
        with self._lock:
            self._closed = True
            waiters, self._waiters = self._waiters, set()
        _each(waiters, cancel=True)

    async def wait_beyond(self, seen: int) -> int:
        """Return the number of the latest value once it is above `seen`."""
        with self._lock:
            if self._number > seen:
                return self._number
            if self._closed:
                raise asyncio.CancelledError("the channel is closed")
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
        try:
            await waiter
        finally:
            with self._lock:
                self._waiters.discard(waiter)
        return self.latest[0]


class Receiver(Generic[T]):
    """One subscriber's view of a watch channel."""

    def __init__(self, channel: WatchChannel[T]) -> None:
        self._channel = channel
        self._seen = channel.latest[0]

    async def changed(self) -> None:
        """Return when there is a value this receiver has not waited for yet, and count it as seen.

        Returns at once if one is there already; several count as one. Cancelled when the channel closes.
        """
        self._seen = await self._channel.wait_beyond(self._seen)

    def borrow(self) -> T:
        """The latest value. It stays unseen: the next `changed()` still returns for it."""
        return self._channel.latest[1]


def _each(waiters: set[asyncio.Future[None]], *, cancel: bool) -> None:
    for waiter in waiters:
        try:
            waiter.get_loop().call_soon_threadsafe(_settle, waiter, cancel)
        except RuntimeError:
            continue  # its loop is closed, so nobody waits any more


def _settle(waiter: asyncio.Future[None], cancel: bool) -> None:
    if not waiter.done():
        if cancel:
            waiter.cancel("the channel is closed")
        else:
            waiter.set_result(None)
