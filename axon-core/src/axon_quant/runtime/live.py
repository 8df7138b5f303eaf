"""A live run: settle with the venue what earlier runs left, trade, and leave nothing open.

One event loop owns strategy, risk and portfolio; orders leave through `router`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from time import perf_counter

from axon_quant.clock import NANOSECONDS, LiveClock
from axon_quant.config import Config
from axon_quant.errors import ExchangeError, JournalError
from axon_quant.events import StreamChanged
from axon_quant.exchange import (
    BalanceUpdate,
    Capability,
    Channel,
    EventStream,
    ExchangeAdapter,
    ForeignOrder,
    ForeignOrders,
    StreamState,
)
from axon_quant.inference.collector import quiet_collector
from axon_quant.market import Instrument, MarketEvent
from axon_quant.orders import OrderStatus, OrderUpdate
from axon_quant.runtime import telemetry
from axon_quant.runtime.account_lock import lock_account
from axon_quant.runtime.backfill import backfill
from axon_quant.runtime.connecting import build_adapter as build_adapter
from axon_quant.runtime.operations import Operations
from axon_quant.runtime.past import Past, read_past
from axon_quant.runtime.reconciliation import Account, adopt, deposited, describe, read_account, settle, track_past
from axon_quant.runtime.rollout import LabelStore
from axon_quant.runtime.router import AdapterRouter
from axon_quant.runtime.summary import RunSummary, killed_before, summarise
from axon_quant.runtime.wiring import Pipeline, Surroundings, as_traded, build_instruments, pipeline

logger = logging.getLogger("axon_quant.live")
_AUDIT_EVERY = 60.0
_LAST_ANSWERS = 5.0  # seconds that a stop waits for them, while an order is open: one in doubt takes four
_TICK = 0.02  # seconds between two looks at the clock while the market is quiet


class Live:
    """A run against a venue outside the process: construct, `await run()`, read the summary.

    The market comes from the adapter, or from `feed` (see `paced`). `max_events` ends the run; `stop()` ends it after
    the event at hand. At the end open orders are cancelled and everything is durable. `labels` is told when a rollout
    has promoted its candidate. Every `audit_every` seconds orders, fills and balances are compared with the venue's,
    because a stream may lose a message without breaking. `read_config` reads the configuration again, for its keys.
    """

    def __init__(
        self,
        config: Config,
        adapter: ExchangeAdapter,
        *,
        feed: AsyncIterator[MarketEvent] | None = None,
        recording: Path | None = None,
        max_events: int | None = None,
        on_progress: Callable[[Pipeline], None] | None = None,
        labels: LabelStore | None = None,
        audit_every: float = _AUDIT_EVERY,
        read_config: Callable[[], Config] | None = None,
    ) -> None:
        self._config = config
        self._read_config = read_config
        self.adapter = adapter
        self._audit_every = audit_every
        self._labels = labels
        self._feed = feed
        self._recording = recording
        self._max_events = max_events
        self._on_progress = on_progress
        self._stop = asyncio.Event()
        self._ended = asyncio.Event()  # the market, for us
        self._foreign = ForeignOrders.Ignore if adapter.config is None else adapter.config.foreign_orders
        self._settled: frozenset[str] = frozenset()
        self.messages = 0
        self.malformed = 0
        self.built: Pipeline | None = None
        """The pipeline, once there is one."""
        self.summary: RunSummary | None = None
        """What the run did, once it has ended; also when its journal or its strategy failed and `run` raises."""
        self.operations: Operations | None = None
        """How the run is halted and resumed from within the process, once it can be."""

    def stop(self) -> None:
        """End after the event at hand."""
        self._stop.set()

    async def run(self) -> RunSummary:
        """Settle with the venue what earlier runs left, trade until the market ends or `stop()`, and disconnect."""
        instruments = build_instruments(self._config)
        with lock_account(self.adapter):
            past = read_past(self._config.journal.path, instruments)
            track_past(self.adapter, past)
            stream = self.adapter.events()
            await self.adapter.connect()
            try:
                instruments = as_traded(instruments, await self.adapter.instruments())
                account = await read_account(self.adapter, past, stream, instruments)
                return await self._run_connected(past, account, stream, instruments)
            finally:
                await self.adapter.close()

    async def _run_connected(
        self, past: Past, account: Account, stream: EventStream, instruments: tuple[Instrument, ...]
    ) -> RunSummary:
        self._settled = account.fill_ids

        def make_router(surroundings: Surroundings) -> AdapterRouter:
            return AdapterRouter(self.adapter, surroundings.journal, surroundings.stages)

        with pipeline(
            self._config,
            make_router,
            mode="live",
            recording=self._recording,
            balances=account.balances if Capability.Balances in self.adapter.capabilities else None,
            labels=self._labels,
            instruments=instruments,
            positions={held.symbol: (held.quantity, held.entry_price) for held in account.positions},
        ) as built:
            started = perf_counter()
            notices = [*killed_before(built.info), *describe(past, account)]
            self.built = built
            built.peak.resume(built.journal.path, deposited(built, account))
            telemetry.watch_venue(built, self.adapter, stream, own_time=self._feed is None)
            try:
                with built.ending():
                    await self._settle_and_trade(built, past, account, stream, notices)
                    failed = built.engine.failed
                    outcome = "failed" if failed else "interrupted" if self._stop.is_set() else "completed"
                    built.end(outcome)
            except JournalError as error:
                # It cannot be journaled, so it is told here or nowhere.
                notices += [error.message, *self._told()]
                self.summary = summarise(built, self, "failed", perf_counter() - started, notices)
                raise
            notices += [*([] if failed is None else [str(failed)]), *self._told()]
            self.summary = summarise(built, self, outcome, perf_counter() - started, notices)
            if failed is not None:
                raise failed
            return self.summary

    def _told(self) -> list[str]:
        return [] if self.operations is None else self.operations.notices()

    async def _settle_and_trade(
        self, built: Pipeline, past: Past, account: Account, stream: EventStream, notices: list[str]
    ) -> None:
        if self._feed is None:  # a feed brings its own time
            if self._config.observation.backfill:
                played = await backfill(built, self.adapter)
                notices.append(f"the windows were filled with {played} past trades")
            built.clock.advance(self.adapter.clock.now())
        operations = Operations(
            self, built, self.adapter, watch_market=self._feed is None, read_config=self._read_config
        )
        operations.remember(deposited(built, account))
        async with operations:
            self.operations = operations
            settle(built, past, account, self._foreign)
            operations.take_standing()
            with quiet_collector(), built.reload:
                await self._trade(built, stream, operations)

    async def _trade(self, built: Pipeline, stream: EventStream, operations: Operations) -> None:
        engine, router = built.engine, built.engine.router
        assert isinstance(router, AdapterRouter)  # noqa: S101 - `make_router` made it
        router.may_send = operations.may_send
        engine.on_failure = lambda _: self._ended.set()
        engine.start()
        if self._feed is None:
            await self._subscribe()
        operations.market_is_up()
        updates = asyncio.create_task(self._take_stream(stream, built))
        work = asyncio.create_task(
            self._tick(built) if self._feed is None else self._take_feed(self._feed, built, router, operations)
        )
        stopped = asyncio.create_task(self._stop.wait())
        ended = asyncio.create_task(self._ended.wait())
        failed = asyncio.create_task(operations.journal_failed.wait())
        audits = asyncio.create_task(self._audit())
        try:
            await asyncio.wait({work, updates, stopped, ended, failed}, return_when=asyncio.FIRST_COMPLETED)
            await self._wind_down(built, router, operations)
        finally:
            for task in (work, stopped, ended, failed, updates, audits):
                task.cancel()
        for task in (work, updates, audits):
            with suppress(asyncio.CancelledError):
                await task

    async def _wind_down(self, built: Pipeline, router: AdapterRouter, operations: Operations) -> None:
        """Cancel what is open, and take in what the venue says to it. The market goes on, but nothing is decided."""
        built.engine.deciding = False
        if built.journal.failed is not None:
            operations.on_journal_failure(built.journal.failed)  # if nobody has told it yet
            await operations.settled()
            raise built.journal.failed
        built.engine.stop()
        await router.drain()
        await operations.settled()
        await operations.cancel_own()
        for _ in range(round(_LAST_ANSWERS / _TICK)):
            await asyncio.sleep(_TICK)  # the answers to the last cancels
            if not built.engine.tracker.open:
                break

    async def _subscribe(self) -> None:
        for symbol in self._config.market.symbols:
            for channel in Channel:
                if channel.capability in self.adapter.capabilities:
                    await self.adapter.subscribe(channel, symbol)

    async def _audit(self) -> None:
        """Now and then, bring in what the streams have lost without a word; it arrives with the other updates."""
        while True:
            await asyncio.sleep(self._audit_every)
            try:
                await self.adapter.repair()
            except ExchangeError as error:
                logger.warning("the account could not be compared with the venue's: %s", error)

    async def _tick(self, built: Pipeline) -> None:
        """Rows and decisions fall due while the market is quiet, too."""
        while True:
            await asyncio.sleep(_TICK)
            built.reload.drain()
            built.engine.advance(self.adapter.clock.now())

    async def _take_stream(self, stream: EventStream, built: Pipeline) -> None:
        """Order updates, and the market unless a feed brings it; the former also after the market has ended for us."""
        own = self._feed is None
        async for event in stream:
            if isinstance(event, OrderUpdate):
                self._take_update(event, built)
            elif isinstance(event, StreamState):
                built.bus.record(StreamChanged(event.at, event.stream, event.up, event.reason))
            elif isinstance(event, ForeignOrder):
                self._meet(event, built)
            elif own and not (isinstance(event, BalanceUpdate) or self._ended.is_set() or self._take(event, built)):
                self._ended.set()

    def _take_update(self, update: OrderUpdate, built: Pipeline) -> None:
        """A change of an order of ours, or of one that the adapter has adopted just now."""
        if built.engine.tracker.get(update.client_order_id) is not None:
            built.engine.on_update(update)
            if update.status is OrderStatus.Rejected:
                built.risk.on_venue_reject(update)
            return
        state = self.adapter.orders.get(update.client_order_id)
        if state is None:
            return
        adopt(built, state)
        if update.fill is not None and update.fill.fill_id not in self._settled:
            built.engine.on_foreign(update)

    def _meet(self, event: ForeignOrder, built: Pipeline) -> None:
        if self._foreign is ForeignOrders.Halt:
            built.risk.halt(f"order {event.client_order_id or event.venue_order_id} on the account is not ours")

    async def _take_feed(
        self, feed: AsyncIterator[MarketEvent], built: Pipeline, router: AdapterRouter, operations: Operations
    ) -> None:
        async for event in feed:
            if not self._take(event, built):
                return
            if router.busy or operations.cancelling:
                await asyncio.sleep(0)

    def _take(self, event: MarketEvent, built: Pipeline) -> bool:
        built.reload.drain()
        built.engine.on_event(event)
        self.messages += 1
        if self.messages % 512 == 0 and self._on_progress is not None:
            self._on_progress(built)
        return not (self._stop.is_set() or self.messages == self._max_events)


async def paced(market: Iterable[MarketEvent], *, speed: float = 1.0) -> AsyncIterator[MarketEvent]:
    """A recorded market as if it arrived now, `speed` times as fast as it was received."""
    clock, first = LiveClock(), 0
    began = clock.now()
    for event in market:
        first = first or event.received
        due = began + int((event.received - first) / speed)
        wait = (due - clock.now()) / NANOSECONDS
        await asyncio.sleep(max(wait, 0.0))
        yield event
