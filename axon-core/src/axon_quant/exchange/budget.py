"""The rate budget: how many requests and orders may leave, what they weigh, and who waits.

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
LimitKind: TypeAlias = Literal["weight", "orders", "requests"]

_SLACK = 0.05
_MOST_SLACK = 0.25


class Request(Enum):
    """What a request does, which decides the limits it counts against."""

    Order = "order"
    Cancel = "cancel"
    Query = "query"

    __hash__ = object.__hash__  # members are looked up on the way of every order; Enum's own is a Python function


@attrs.frozen
class VenueLimit:
    """At most `limit` in any `period` seconds: of request weight, of orders, or of requests whatever they weigh."""

    kind: LimitKind
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
    """At most `limit` in any `length` nanoseconds, the last `reserve` of it for cancels only."""

    __slots__ = ("kind", "length", "limit", "period", "reserve", "taken", "used")

    def __init__(self, kind: LimitKind, limit: int, period: float, *, slack: float = 0.0, reserve: int = 0) -> None:
        self.kind = kind
        self.limit = limit
        self.period = period
        self.length = round((period + slack) * NANOSECONDS)
        self.reserve = reserve
        self.taken: deque[tuple[int, int]] = deque()
        self.used = 0

    @property
    def terms(self) -> tuple[LimitKind, int, int, int]:
        """What is allowed, whatever is used of it."""
        return self.kind, self.limit, self.length, self.reserve

    def earliest(self, now: int, weight: int, *, reserved: bool) -> int:
        """When `weight` more fits in; one that is more than the whole limit waits for an empty window."""
        taken = self.taken
        while taken and taken[0][0] + self.length <= now:
            self.used -= taken.popleft()[1]
        limit = self.limit if reserved else self.limit - self.reserve
        excess = self.used + (weight if weight < limit else limit) - limit
        if excess <= 0:
            return now
        for at, part in taken:
            excess -= part
            if excess <= 0:
                return at + self.length
        return now

    def left(self, now: int) -> float:
        """The share that is free for all but cancels, 0 to 1. Changes nothing, so that another thread may ask."""
        spent = sum(part for at, part in self.taken.copy() if at + self.length > now)
        return max(0.0, 1.0 - spent / (self.limit - self.reserve))

    def take(self, now: int, weight: int) -> None:
        self.taken.append((now, weight))
        self.used += weight


class RateBudget:
    """The smaller of the user's limits and the venue's, shared by everything an adapter sends.

    A share of every limit on requests and weight, `cancel_reserve`, is left to cancels, so that a flood of orders never
    delays one. Only orders count against limits on orders. A penalty (the venue's Retry-After) holds everything back,
    cancels included. Each kind of request is served first come, first served. `limits` may be None: no limits but the
    venue's.

    A venue counts what arrives, not what leaves: requests that leave a little too far apart may arrive together. So a
    venue's windows are taken to be 5 % longer (at most 0.25 s).
    """

    def __init__(
        self,
        limits: RateLimitConfig | None,
        *,
        venue_limits: tuple[VenueLimit, ...] = (),
        clock: Clock,
        sleep: Sleep | None = None,
        venue: str | None = None,
    ) -> None:
        self._limits = limits
        limited = RateLimitConfig() if limits is None else limits
        self._max_wait = round(limited.max_wait_ms * MILLISECOND)
        self._clock = clock
        self._sleep = sleeper(clock) if sleep is None else sleep
        self._venue = venue
        self._closed_until = 0
        self._turns = {request: asyncio.Lock() for request in Request}
        self._windows: dict[Request, list[_Window]] = {}
        self.limit(venue_limits)

    def limit(self, venue_limits: tuple[VenueLimit, ...]) -> None:
        """The venue's limits are these from here on. A penalty goes on, and so does the use of limits that stay."""
        limits = self._limits
        share = (RateLimitConfig() if limits is None else limits).cancel_reserve
        windows = [
            _Window(
                limit.kind,
                limit.limit,
                limit.period,
                slack=min(_SLACK * limit.period, _MOST_SLACK),
                reserve=_reserve(limit.kind, limit.limit, share),
            )
            for limit in venue_limits
        ]
        if limits is not None:
            windows += [
                _user_window("requests", limits.requests_per_second, 1.0, share),
                _user_window("orders", limits.orders_per_minute, 60.0, share),
            ]
        before = {window.terms: window for window in self._windows.get(Request.Order, ())}
        windows = [before.get(window.terms, window) for window in windows]
        self._windows = {
            request: [window for window in windows if window.kind != "orders" or request is Request.Order]
            for request in Request
        }

    @property
    def closed_for(self) -> float:
        """Seconds until the present penalty is over; 0 when there is none."""
        if not self._closed_until:
            return 0.0
        return max(0.0, (self._closed_until - self._clock.now()) / NANOSECONDS)

    def left(self) -> dict[str, float]:
        """The share of each limit that is free, 0 to 1, by name, such as `requests/1s`; the smaller of two alike.

        What is reserved for cancels is not counted. May be called from any thread.
        """
        now, shares = self._clock.now(), dict[str, float]()
        for window in self._windows[Request.Order]:
            name = f"{window.kind}/{window.period:g}s"
            shares[name] = min(window.left(now), shares.get(name, 1.0))
        return shares

    async def acquire(self, request: Request, weight: int = 1) -> None:
        """Wait until a request of `weight` may leave. Raises RateLimitedError rather than wait beyond `max_wait_ms`."""
        turn = self._turns[request]
        if not turn.locked():
            now = self._clock.now()
            if self._earliest(request, weight, now) <= now:
                self._take(request, weight, now)
                return
        deadline = self._clock.now() + self._max_wait
        async with turn:
            while True:
                now = self._clock.now()
                at = self._earliest(request, weight, now)
                if at <= now:
                    self._take(request, weight, now)
                    return
                if at > deadline:
                    raise self._spent(request, at - now)
                await self._sleep((at - now) / NANOSECONDS)

    def penalize(self, seconds: float) -> None:
        """Send nothing for `seconds`: the venue said so. A shorter penalty does not end a longer one."""
        if seconds > 0:
            self._closed_until = max(self._closed_until, self._clock.now() + round(seconds * NANOSECONDS))

    def check_open(self) -> None:
        """Raises RateLimitedError while a penalty lasts: for what has been let through before it began."""
        if self._closed_until and (left := self.closed_for):
            raise RateLimitedError(
                f"the venue asked us to wait {left:.1f} s more: too much was asked of it",
                venue=self._venue,
                retry_after=left,
                hint="lower RateLimitConfig; others may use the same address or key",
            )

    def observe(self, kind: LimitKind, period: float, used: int) -> None:
        """The venue counts `used` of a limit: more than we do when others spend it, too, from the same address say."""
        now = self._clock.now()
        for window in self._windows[Request.Order]:
            if window.kind == kind and window.period == period:
                window.earliest(now, 0, reserved=True)
                if used > window.used:
                    window.take(now, used - window.used)

    def _earliest(self, request: Request, weight: int, now: int) -> int:
        at = self._closed_until if self._closed_until > now else now
        reserved = request is Request.Cancel
        for window in self._windows[request]:
            fits = window.earliest(now, weight if window.kind == "weight" else 1, reserved=reserved)
            if fits > at:
                at = fits
        return at

    def _take(self, request: Request, weight: int, now: int) -> None:
        for window in self._windows[request]:
            window.take(now, weight if window.kind == "weight" else 1)

    def _spent(self, request: Request, wait: int) -> RateLimitedError:
        retry_after = wait / NANOSECONDS
        why = "the venue asked us to wait" if self.closed_for else "the rate budget is spent"
        return RateLimitedError(
            f"no {request.value} may leave for {retry_after:.3f} s: {why}", venue=self._venue, retry_after=retry_after
        )


def _user_window(kind: LimitKind, rate: float, period: float, share: float) -> _Window:
    """`rate` per `period`; fewer than one per period is one in a longer period."""
    limit = max(1, int(rate))
    return _Window(kind, limit, period if rate >= 1 else period / rate, reserve=_reserve(kind, rate, share))


def _reserve(kind: LimitKind, limit: float, share: float) -> int:
    return max(1, int(limit * share)) if kind != "orders" and limit >= 2 and share else 0
