"""How an adapter asks its venue for anything: within the rate budget, with the venue's time, and never for ever."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import ContextVar
from typing import ClassVar, ParamSpec, TypeVar

import attrs

from axon_quant.clock import NANOSECONDS, Clock, LiveClock
from axon_quant.errors import AmbiguousError, ClockError, ExchangeError, RateLimitedError, UnavailableError
from axon_quant.exchange.budget import RateBudget, Request, Sleep, VenueLimit, sleeper
from axon_quant.exchange.capabilities import Capabilities, Capability
from axon_quant.exchange.config import ExchangeConfig
from axon_quant.exchange.patience import Patience
from axon_quant.exchange.primitives import VenuePrimitives
from axon_quant.exchange.venue_clock import VenueClock

logger = logging.getLogger("axon_quant.exchange")

_P = ParamSpec("_P")
_T = TypeVar("_T")
_SYNC_EVERY = 180.0


@attrs.define(eq=False)
class Stamp:
    """When a request was signed, on the venue's clock as we knew it and on ours; 0 while it has not been."""

    at: int = 0
    local: int = 0


@attrs.frozen
class Horizon:
    """From when on a request is accepted or never will be, on both clocks: either may be set meanwhile."""

    venue: int
    local: int


SIGNED: ContextVar[Stamp | None] = ContextVar("axon_signed", default=None)
"""Where `venue_time` notes what a request of this task is signed with."""


def unavailable(error: AmbiguousError) -> UnavailableError:
    """A question that was not answered: nothing about its outcome is open."""
    return UnavailableError(
        error.message, venue=error.venue, symbol=error.symbol, code=error.code, text=error.text, hint=error.hint
    )


class Requests(VenuePrimitives):
    """The budget, the clocks and the background tasks of one adapter."""

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities] = frozenset()
    venue_limits: tuple[VenueLimit, ...] = ()
    costs: ClassVar[Mapping[str, int]] = {}
    validity: ClassVar[float] = 2.0
    engine_timeout: ClassVar[float] = 1.0
    query_timeout: ClassVar[float] = 10.0

    def __init__(self, config: ExchangeConfig | None, clock: Clock | None, sleep: Sleep | None) -> None:
        self.config = config
        self.clock: Clock = LiveClock() if clock is None else clock
        self._sleep = sleeper(self.clock) if sleep is None else sleep
        self.budget = RateBudget(
            None if config is None else config.rate_limit,
            venue_limits=self.venue_limits,
            clock=self.clock,
            sleep=self._sleep,
            venue=self.name,
        )
        self._venue_clock = VenueClock(self.clock)
        self._measuring = asyncio.Lock()
        self._patience = Patience()
        self._background: set[asyncio.Task[object]] = set()

    @property
    def clock_offset(self) -> tuple[int, int] | None:
        """How far the venue's clock is ahead of ours, and how wrong that may be, in ns; None before it was measured."""
        clock = self._venue_clock
        return (clock.offset, clock.error) if clock.measured_at else None

    def venue_time(self) -> int:
        """The venue's clock as well as we know it, UTC ns; a request's timestamp is taken from it."""
        now = self._venue_clock.now()
        stamp = SIGNED.get()
        if stamp is not None:
            stamp.at = now
            stamp.local = now - self._venue_clock.offset
        return now

    async def _call_primitive(
        self, request: Request, primitive: Callable[_P, Awaitable[_T]], *args: _P.args, **kwargs: _P.kwargs
    ) -> _T:
        """Call a primitive within the budget; once more, with the clock set right, when the venue refuses our time."""
        for last in (False, True):
            await self._spend(request, primitive.__name__)
            asked = self.clock.now()
            try:
                async with asyncio.timeout(self.query_timeout):
                    return await primitive(*args, **kwargs)
            except ClockError:
                if last or not await self._set_clock(asked):
                    raise
            except TimeoutError:
                raise UnavailableError(
                    f"{primitive.__name__} had no answer within {self.query_timeout:g} s", venue=self.name
                ) from None
            except ExchangeError as error:
                self._note_penalty(error)
                if isinstance(error, AmbiguousError) and request is Request.Query:
                    raise unavailable(error) from error
                raise
        raise AssertionError  # the loop returns or raises

    async def _patiently(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """Ask again for as long as the budget is spent: for what must be done, however late."""
        while True:
            try:
                return await ask()
            except RateLimitedError as error:
                await self._sleep(max(error.retry_after, 0.05))

    async def _spend(self, request: Request, primitive: str) -> None:
        """Wait for the budget of one request; plugins call it for requests of their own."""
        await self.budget.acquire(request, self.costs.get(primitive, 1))

    def _note_penalty(self, error: ExchangeError) -> None:
        if isinstance(error, RateLimitedError):
            self.budget.penalize(error.retry_after)

    async def _set_clock(self, asked: int = 0) -> bool:
        """Measure the venue's clock, unless that was done since `asked`; whether it is known now."""
        if Capability.VenueClock not in self.capabilities:
            return False
        async with self._measuring:
            if asked and self._venue_clock.measured_at > asked:
                return True
            before = self._venue_clock.offset
            await self._venue_clock.measure(self._time_of_venue)
            self._clock_was_set(self._venue_clock.offset - before)
            return True

    def _clock_was_set(self, step: int) -> None:
        """The venue's clock is found to be `step` ns from where it was thought to be."""

    async def _time_of_venue(self) -> int:
        await self._spend(Request.Query, "_fetch_time")
        try:
            async with asyncio.timeout(self.query_timeout):
                return await self._fetch_time()
        except TimeoutError:
            raise UnavailableError(
                f"the venue did not tell its time within {self.query_timeout:g} s", venue=self.name
            ) from None
        except ExchangeError as error:
            self._note_penalty(error)
            raise

    async def _keep_time(self) -> None:
        while True:
            await self._sleep(_SYNC_EVERY)
            try:
                await self._set_clock()
            except ExchangeError as error:
                logger.warning("%s: the venue's clock could not be measured: %s", self.name, error)

    def _horizon_of(self, stamp: Stamp | None = None) -> Horizon:
        """The horizon of a request signed at `stamp`; of any that is on its way now, without one."""
        allowance = round((self.validity + self.engine_timeout) * NANOSECONDS)
        local = self.clock.now() if stamp is None or not stamp.local else stamp.local
        venue = local + self._venue_clock.offset if stamp is None or not stamp.at else stamp.at
        return Horizon(venue + allowance + self._venue_clock.error, local + allowance)

    def _left_until(self, horizon: Horizon) -> float:
        """Seconds until a horizon is past on both clocks; not above 0 when it is."""
        now = self.clock.now()
        return max(horizon.local - now, horizon.venue - now - self._venue_clock.offset) / NANOSECONDS

    # Background work.

    def _start_task(self, work: Coroutine[object, object, _T]) -> asyncio.Task[_T]:
        """Run `work` beside everything else until it ends or the adapter is closed; what it raises is logged."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._task_ended)
        return task

    def _task_ended(self, task: asyncio.Task[object]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s: background work failed: %r", self.name, error, exc_info=error)

    async def _stop_tasks(self) -> None:
        current = asyncio.current_task()
        tasks = [task for task in self._background if task is not current]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=2.0)
