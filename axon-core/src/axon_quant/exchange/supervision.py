"""Connections are kept: made again when they are lost or silent, and what was missed is repaired."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import ClassVar

from axon_quant.clock import NANOSECONDS, Clock
from axon_quant.errors import AmbiguousError, AuthError, ClockError, ExchangeError, UnavailableError
from axon_quant.exchange.budget import Request, Sleep
from axon_quant.exchange.capabilities import Channel
from axon_quant.exchange.config import ExchangeConfig, ReconnectConfig
from axon_quant.exchange.link import Link
from axon_quant.exchange.primitives import VenuePrimitives
from axon_quant.exchange.repair import Repairs
from axon_quant.exchange.requests import logger, unavailable
from axon_quant.exchange.stream import StreamName, StreamState

_LOOKS = 4  # at a link's silence, within `stale_after`
_STEADY = 5.0  # seconds a link must have lasted for the next one to be tried without a longer wait
_FLAPPING = 3  # the most doublings of the wait for links that come up and are lost at once


class SupervisedLink:
    """What the supervisor sees of one connection."""

    __slots__ = ("_on_up", "ended", "is_up", "quiet", "task", "up_at")

    def __init__(self, on_up: Callable[[], object]) -> None:
        self._on_up = on_up
        self.is_up = False
        self.quiet = 0
        self.up_at = 0
        self.task: asyncio.Future[None] | None = None
        self.ended = ""
        """Why we have ended it ourselves."""

    def up(self) -> None:
        """Logged in and subscribed to everything."""
        self.quiet = 0
        if not self.is_up:
            self.is_up = True
            self._on_up()

    def heard(self) -> None:
        """A message arrived."""
        self.quiet = 0


class Backoff:
    """The wait before each further attempt: it doubles, and varies so that many clients do not come together."""

    def __init__(self, config: ReconnectConfig) -> None:
        self._config = config
        self.attempts = 0

    def wait(self) -> float:
        """Seconds."""
        longest = self._config.max_backoff_ms
        delay = min(self._config.initial_backoff_ms * 2.0 ** min(self.attempts, 30), longest) / 1_000
        self.attempts += 1
        return delay * random.uniform(0.5, 1.0)


class Supervision(Repairs):
    """Runs the account's and the market's connection."""

    stale_after: ClassVar[float] = 30.0
    connect_timeout: ClassVar[float] = 10.0

    def __init__(self, config: ExchangeConfig | None, clock: Clock | None, sleep: Sleep | None) -> None:
        super().__init__(config, clock, sleep)
        self.wanted: dict[tuple[Channel, str], None] = {}
        """The market's channels, in the order they were asked for."""
        self._reconnect = ReconnectConfig() if config is None else config.reconnect
        self._links: dict[StreamName, SupervisedLink] = {}
        self._changed = asyncio.Event()  # a link came up, or could not; replaced each time
        self._last_error: dict[StreamName, ExchangeError] = {}
        self._account_ready = False
        self._repair_task: asyncio.Task[None] | None = None

    @property
    def _has_market_link(self) -> bool:
        return type(self)._run_market is not VenuePrimitives._run_market  # noqa: SLF001 - our own

    def _supervise_new(self, stream: StreamName, run: Callable[[Link], Awaitable[None]]) -> None:
        self._links[stream] = SupervisedLink(lambda: None)
        self._start_task(self._supervise(stream, run))

    async def _wait_for(self, stream: StreamName, is_ready: Callable[[], bool]) -> None:
        """Wait until a stream is ready. Raises AuthError at once, any other reason after `connect_timeout`."""
        try:
            async with asyncio.timeout(self.connect_timeout):
                while not is_ready():
                    error = self._last_error.get(stream)
                    if isinstance(error, AuthError):
                        raise error
                    await self._changed.wait()
        except TimeoutError:
            reason = self._last_error.get(stream)
            if reason is not None:
                raise reason from None
            raise UnavailableError(
                f"the {stream} stream did not come up within {self.connect_timeout:g} s", venue=self.name
            ) from None

    async def _supervise(self, stream: StreamName, run: Callable[[Link], Awaitable[None]]) -> None:
        backoff, failures = Backoff(self._reconnect), 0
        while True:
            await self._sleep_out_penalty()
            link = self._links[stream] = SupervisedLink(partial(self._came_up, stream))
            error = await self._live_through(link, run)
            lasted = (self.clock.now() - link.up_at) / NANOSECONDS
            failures = 0 if link.is_up else failures + 1
            self._went_down(stream, link, error)
            if failures > self._reconnect.max_retries:
                self._give_up(stream, error)
                return
            if isinstance(error, ClockError):
                await self._try_to_set_clock()
            if failures == 0:
                backoff.attempts = 0 if lasted >= _STEADY else min(backoff.attempts, _FLAPPING)
            await self._sleep(backoff.wait())

    async def _live_through(self, link: SupervisedLink, run: Callable[[Link], Awaitable[None]]) -> ExchangeError:
        """One connection's life; why it ended."""
        task = link.task = asyncio.ensure_future(self._run_noting(link, run))
        try:
            while not (await asyncio.wait({task}, timeout=self.stale_after / _LOOKS))[0]:
                link.quiet += 1
                if link.quiet > _LOOKS:
                    return UnavailableError(f"nothing was heard for {self.stale_after:g} s", venue=self.name)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=1.0)
        if link.ended:
            return UnavailableError(link.ended, venue=self.name)
        failure = None if task.cancelled() else task.exception()
        if failure is None:
            return UnavailableError("the venue closed the connection", venue=self.name)
        if isinstance(failure, AmbiguousError):
            return unavailable(failure)
        if isinstance(failure, ExchangeError):
            return failure
        if not isinstance(failure, OSError | TimeoutError):
            logger.error("%s: a connection failed: %r", self.name, failure, exc_info=failure)
        return UnavailableError(f"the connection was lost: {failure!r}", venue=self.name)

    async def _run_noting(self, link: SupervisedLink, run: Callable[[Link], Awaitable[None]]) -> None:
        """Run a connection, and note a penalty before anything else is sent."""
        try:
            await self._sleep_out_penalty()
            await run(link)
        except ExchangeError as error:
            self._note_penalty(error)
            raise

    def _came_up(self, stream: StreamName) -> None:
        self._links[stream].up_at = self.clock.now()
        self._last_error.pop(stream, None)
        self._emit_event(StreamState(stream, up=True, at=self.clock.now()))
        if stream == "account":
            self._stop_repair()
            self._repair_task = self._start_task(self._repair_account())
        self._tell_change()

    def _went_down(self, stream: StreamName, link: SupervisedLink, error: ExchangeError) -> None:
        if link.is_up:
            logger.warning("%s: the %s stream was lost: %s", self.name, stream, error)
            link.is_up = False
            self._emit_event(StreamState(stream, up=False, at=self.clock.now(), reason=error.message))
        else:
            logger.warning("%s: the %s stream could not be opened: %s", self.name, stream, error)
        self._last_error[stream] = error
        if stream == "account":
            self._seen_all = self._account_ready = False
            self._stop_repair()
        self._tell_change()

    def _renew(self, stream: StreamName, reason: str) -> None:
        """End a connection, so that another is made."""
        link = self._links.get(stream)
        if link is not None and link.task is not None:
            link.ended = reason
            link.task.cancel()

    def _give_up(self, stream: StreamName, error: ExchangeError) -> None:
        logger.error("%s: gave the %s stream up after %s attempts", self.name, stream, self._reconnect.max_retries)
        for reader in self._streams:
            reader.fail(error)

    async def _repair_account(self) -> None:
        await self._repair_until_done()
        self._seen_all = self._account_ready = True
        self._tell_change()

    def _stop_repair(self) -> None:
        if self._repair_task is not None:
            self._repair_task.cancel()
            self._repair_task = None

    async def _sleep_out_penalty(self) -> None:
        while wait := self.budget.closed_for:
            await self._sleep(wait)

    async def _try_to_set_clock(self) -> None:
        try:
            await self._set_clock()
        except ExchangeError as error:
            logger.warning("%s: the venue's clock could not be measured: %s", self.name, error)

    def _tell_change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    # The market.

    async def _want_channel(self, channel: Channel, symbol: str) -> None:
        """Have a channel on the market's connection, now and after every reconnect."""
        self.wanted[channel, symbol] = None
        before = self._links.get("market")
        if before is None:
            self._supervise_new("market", self._run_market)
        await self._wait_for("market", lambda: self._links["market"].is_up)
        if self._links["market"] is before:  # it may have read `wanted` before
            try:
                await self._call_primitive(Request.Query, self._subscribe, channel, symbol)
            except ExchangeError:
                del self.wanted[channel, symbol]
                raise
