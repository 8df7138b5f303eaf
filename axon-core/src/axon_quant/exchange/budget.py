"""The rate budget: how many requests and orders may leave, and who waits.

Each limit is a sliding window, so that no interval of its length ever sees more than the limit (a token bucket of the
same size lets through almost twice as many around a quiet moment, and venues ban for that). Time comes from the clock.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Literal, TypeAlias

import attrs

from axon_quant.clock import MILLISECOND, NANOSECONDS, Clock, SimClock
from axon_quant.errors import RateLimitedError
from axon_quant.exchange.config import RateLimitConfig

Sleep: TypeAlias = Callable[[float], Awaitable[object]]
"""Waits for some seconds of the clock in use."""


class Request(Enum):
    """What a request does, which decides the limits it counts against."""

    Order = "order"
    Cancel = "cancel"
    Query = "query"


@attrs.frozen
class VenueLimit:
    """At most `limit` in any `period` seconds: of request weight, of orders, or of requests whatever they weigh."""

    kind: Literal["weight", "orders", "requests"]
    limit: int
    period: float


def sleeper(clock: Clock) -> Sleep:
    """How to wait on `clock`: a simulated one moves on at once, any other waits in real time."""
    if not isinstance(clock, SimClock):
        return asyncio.sleep

    async def sleep(seconds: float) -> None:
        clock.advance(clock.now() + round(seconds * NANOSECONDS))
        await asyncio.sleep(0)

    return sleep


class _Window:
    """At most `limit` events in any `period` nanoseconds."""

    def __init__(self, rate: float, period: int) -> None:
        # Fewer than one per period: one in a longer period.
        self.limit = max(1, int(rate))
        self._period = period if rate >= 1 else round(period / rate)
        self._taken: deque[int] = deque(maxlen=self.limit)

    def earliest(self, now: int) -> int:
        return now if len(self._taken) < self.limit else max(now, self._taken[0] + self._period)

    def take(self, now: int) -> None:
        self._taken.append(now)


class RateBudget:
    """The smaller of the user's limits and the venue's, shared by everything an adapter sends.

    Orders and queries share the requests per second less a reserve; cancels use those or, when they are spent, the
    reserve, so that a flood of orders never delays a cancel. Orders count against the orders per minute too. A penalty
    (the venue's Retry-After) holds everything back, cancels included. Each kind is served first come, first served.
    """

    def __init__(
        self,
        limits: RateLimitConfig,
        *,
        venue_limits: tuple[VenueLimit, ...] = (),
        clock: Clock,
        sleep: Sleep | None = None,
        venue: str | None = None,
    ) -> None:
        per_second, per_minute = limits.requests_per_second, limits.orders_per_minute
        reserve = max(1, int(per_second * limits.cancel_reserve)) if per_second >= 2 and limits.cancel_reserve else 0
        self._requests = _Window(per_second - reserve, NANOSECONDS)
        self._reserve = _Window(reserve, NANOSECONDS) if reserve else self._requests
        self._orders = _Window(per_minute, 60 * NANOSECONDS)
        self._max_wait = round(limits.max_wait_ms * MILLISECOND)
        self._clock = clock
        self._sleep = sleeper(clock) if sleep is None else sleep
        self._venue = venue
        self._closed_until = 0
        self._turns = {request: asyncio.Lock() for request in Request}

    async def acquire(self, request: Request) -> None:
        """Wait until one request may leave. Raises RateLimitedError rather than wait beyond `max_wait_ms`."""
        deadline = self._clock.now() + self._max_wait
        async with self._turns[request]:
            while True:
                now = self._clock.now()
                windows = self._windows(request, now)
                at = max(self._closed_until, *(window.earliest(now) for window in windows))
                if at <= now:
                    for window in windows:
                        window.take(now)
                    return
                if at > deadline:
                    retry_after = (at - now) / NANOSECONDS
                    raise RateLimitedError(
                        f"no {request.value} may leave for {retry_after:.3f} s: the rate budget is spent",
                        venue=self._venue,
                        retry_after=retry_after,
                    )
                await self._sleep((at - now) / NANOSECONDS)

    def penalize(self, seconds: float) -> None:
        """Send nothing for `seconds`: the venue said so. A shorter penalty does not end a longer one."""
        self._closed_until = max(self._closed_until, self._clock.now() + round(seconds * NANOSECONDS))

    def observe(self, kind: Literal["weight", "orders", "requests"], period: float, used: int) -> None:
        """The venue counts `used` of a limit: others spend it too, from the same address or account say."""

    def _windows(self, request: Request, now: int) -> tuple[_Window, ...]:
        if request is Request.Order:
            return self._requests, self._orders
        if request is Request.Cancel and self._reserve.earliest(now) < self._requests.earliest(now):
            return (self._reserve,)
        return (self._requests,)
