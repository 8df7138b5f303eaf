"""The writer thread: takes what was appended, a batch at a time, and makes it durable with one fsync per batch.

Appending is a deque append, without a lock. The writer lets events gather for `linger` seconds, unless somebody waits
for one of them. It assigns sequences in the order of the queue.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from msgspec import Struct

from axon_quant.errors import JournalError
from axon_quant.events import Event, RunEnded
from axon_quant.journal.chain import link
from axon_quant.journal.codec import Note, encode
from axon_quant.journal.storage import Batch, Storage

logger = logging.getLogger("axon_quant.journal")

_BATCH = 2_000
_HEAD_LOGGED_EVERY = 60.0  # seconds
_CHECKPOINT_IDLE = 4 << 20  # bytes in the write-ahead log before an idle writer moves them into the file
_CHECKPOINT_BUSY = 64 << 20  # ... and before a writer that is never idle does

FailureCallback = Callable[[JournalError], object]


class Ticket(Struct, eq=False, gc=False):
    """The receipt for one appended event. `sequence` is its place in the run once it is `done`, that is durable."""

    event: Event | None
    writer: Writer
    done: bool = False
    sequence: int = 0

    def wait(self, timeout: float | None = None) -> None:
        """Return when the event is durable, demanding a commit at once.

        Raises JournalError when it will never be, or is not after `timeout` seconds.
        """
        if not self.done:
            self.writer.wait(self, timeout)


class Writer:
    """One thread that owns the chain. `put` may be called from any thread; `close` stops the thread."""

    def __init__(self, storage: Storage, *, linger: float, queue_limit: int, full_timeout: float) -> None:
        self.failed: JournalError | None = None
        self.stalls = 0
        self.durable_sequence = 0
        self.head = b""
        self._storage = storage
        self._linger = linger
        self._queue_limit = queue_limit
        self._full_timeout = full_timeout
        self._queue: deque[Ticket] = deque()
        self._room = 0  # queue_limit while a run is open; 0 sends every put to the slow path, which says why
        self._in_flight = 0
        self._oldest = time.monotonic()
        self._run = 0
        self._chain_notes = False
        self._ended = False
        self._idle = False
        self._urgent = False
        self._closing = False
        self._wake = threading.Event()
        self._changed = threading.Condition()
        self._futures: list[tuple[Ticket, asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._callbacks: list[FailureCallback] = []
        self._head_due = time.monotonic() + _HEAD_LOGGED_EVERY
        self._thread = threading.Thread(target=self._work, name="axon-journal", daemon=True)
        self._thread.start()

    # The caller's side

    def put(self, event: Event | None) -> Ticket:
        """Queue an event (None: only a place in the queue). Raises JournalError when it cannot be taken."""
        if len(self._queue) >= self._room:
            self._wait_for_room()
        ticket = Ticket(event, self)
        self._queue.append(ticket)
        if self._idle:
            self._wake.set()
        return ticket

    @property
    def lag(self) -> int:
        """Events taken and not durable yet."""
        return self._in_flight + len(self._queue)

    @property
    def lag_seconds(self) -> float:
        """How old the oldest event that is not durable is at most: it came after the last batch was begun."""
        return time.monotonic() - self._oldest if self.lag and not self._idle else 0.0

    def open_run(self, run: int, parent: bytes, *, chain_notes: bool) -> None:
        """Accept events for `run`; its first record follows `parent`. Nothing may be queued."""
        with self._changed:
            self._check()
            self._run, self.head, self.durable_sequence = run, parent, 0
            self._chain_notes, self._ended = chain_notes, False
            self._room = self._queue_limit

    def wait(self, ticket: Ticket, timeout: float | None) -> None:
        """`Ticket.wait`."""
        self._demand()
        with self._changed:
            self._changed.wait_for(lambda: ticket.done or self.failed is not None, timeout)
            if not ticket.done:
                self._check()
                raise JournalError(f"not durable within {timeout} s; {self.lag} events wait", file=self._storage.path)

    async def durable(self, ticket: Ticket) -> None:
        """`Ticket.wait` without blocking the running event loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._changed:  # held for microseconds by anybody
            if ticket.done:
                return
            self._check()
            self._futures.append((ticket, loop, future))
        self._demand()
        await future

    def on_failure(self, callback: FailureCallback) -> None:
        """Call `callback(error)` from the writer's thread when it fails, or now when it has."""
        with self._changed:
            self._callbacks.append(callback)
            failed = self.failed
        if failed is not None:
            callback(failed)

    def close(self) -> None:
        """Write what is queued and stop the thread. Raises JournalError when events were lost."""
        with self._changed:
            self._closing = True
            self._room = 0
            self._changed.notify_all()
        self._wake.set()
        self._thread.join()
        if self._queue and self.failed is None:
            self._fail(JournalError("another thread appended while the journal was being closed"))
        if self.failed is not None:
            raise self._failure(self.failed)

    def _demand(self) -> None:
        self._urgent = True
        self._wake.set()

    def _check(self) -> None:
        if self.failed is not None:
            raise self._failure(self.failed)
        if self._closing:
            raise JournalError("the journal is closed", file=self._storage.path)

    def _failure(self, failed: JournalError) -> JournalError:
        error = JournalError(failed.message, file=failed.file, hint=failed.hint)
        error.__cause__ = failed.__cause__
        return error

    def _wait_for_room(self) -> None:
        with self._changed:
            self._check()
            if self._run == 0:
                raise JournalError("no run has begun", file=self._storage.path, hint="call start_run first")
            self.stalls += 1
            self._demand()
            has_room = self._changed.wait_for(
                lambda: self._closing or self.failed is not None or len(self._queue) < self._room, self._full_timeout
            )
            self._check()
            if not has_room:
                raise JournalError(
                    f"{self.lag} events wait and none became durable within {self._full_timeout} s",
                    file=self._storage.path,
                    hint="the disk is too slow or hangs",
                )

    # The writer's side

    def _work(self) -> None:
        try:
            while self._pause():
                self._drain()
        except Exception as error:  # noqa: BLE001 - becomes `failed`, and every caller is told
            self._fail(error)

    def _pause(self) -> bool:
        """Sleep until a batch is due; False when closing and nothing is left."""
        if not self._queue:
            if self._storage.unchecked > _CHECKPOINT_IDLE:
                self._checkpoint()
            self._idle = True  # before the queue is looked at: a put sees it, or its event is seen
            while not (self._queue or self._closing):
                self._wake.wait()
                self._wake.clear()
            self._oldest = time.monotonic()  # before `_idle` is cleared, for `lag_seconds`
            self._idle = False
        deadline = time.monotonic() + self._linger
        while not (self._urgent or self._closing) and (remaining := deadline - time.monotonic()) > 0:
            self._wake.wait(remaining)
            self._wake.clear()
        return bool(self._queue)

    def _drain(self) -> None:
        """Write what is queued now, not what arrives meanwhile: those events gather for the next batch."""
        self._urgent = False
        began = time.monotonic()
        waiting = len(self._queue)
        while waiting:
            size = min(waiting, _BATCH)
            waiting -= size
            self._in_flight = size
            self._write([self._queue.popleft() for _ in range(size)])
            self._in_flight = 0
        self._oldest = began  # whatever waits now came after that
        if self._storage.unchecked > _CHECKPOINT_BUSY:
            self._checkpoint()
        if time.monotonic() >= self._head_due:
            self._log_head()

    def _write(self, tickets: list[Ticket]) -> None:
        batch = Batch(self._run, self.durable_sequence + 1)
        written, head, error = self._chain(batch, tickets)
        if batch.bodies or batch.notes:
            with self._storage.lock:
                self._storage.write(batch)
            self.head = head
            self.durable_sequence += len(batch.bodies)
        self._announce(tickets[:written])
        if error is not None:
            self._in_flight -= written
            raise error
        if batch.outcome is not None:
            self._log_head()

    def _chain(self, batch: Batch, tickets: list[Ticket]) -> tuple[int, bytes, JournalError | None]:
        """Fill the batch; returns how many tickets are in it, the chain's head, and why the next one is not."""
        head, sequence, written = self.head, batch.first, 0
        bodies, hashes, beside = batch.bodies, batch.hashes, not self._chain_notes
        try:
            for ticket in tickets:
                event = ticket.event
                if event is not None:
                    body = encode(event)
                    if beside and type(event) is Note:
                        batch.notes.append(body)
                    else:
                        if self._ended:
                            raise JournalError(f"{type(event).__name__} after the run ended: {event!r}")
                        head = link(head, sequence, body)
                        bodies.append(body)
                        hashes += head
                        ticket.sequence = sequence
                        sequence += 1
                        if type(event) is RunEnded:
                            self._ended = True
                            batch.outcome = event.outcome
                written += 1
        except JournalError as refused:
            return written, head, refused
        return written, head, None

    def _announce(self, tickets: list[Ticket]) -> None:
        for ticket in tickets:
            ticket.done = True
        with self._changed:
            self._changed.notify_all()
            if self._futures:
                ready = [waiter for waiter in self._futures if waiter[0].done]
                self._futures = [waiter for waiter in self._futures if not waiter[0].done]
            else:
                ready = []
        for _, loop, future in ready:
            _settle(loop, future, None)

    def _checkpoint(self) -> None:
        with self._storage.lock:
            self._storage.checkpoint()

    def _log_head(self) -> None:
        self._head_due = time.monotonic() + _HEAD_LOGGED_EVERY
        logger.info("journal run %d sequence %d head %s", self._run, self.durable_sequence, self.head.hex())

    def _fail(self, error: Exception) -> None:
        cause = error.message if isinstance(error, JournalError) else f"{type(error).__name__}: {error}"
        lost = f"; {self.lag} events are not durable" if self.lag else ""  # a checkpoint that fails loses none
        failed = JournalError(
            f"the journal failed after record {self.durable_sequence} of run {self._run}{lost}: {cause}",
            file=self._storage.path,
            hint="no order may be sent; repair the disk and restart",
        )
        failed.__cause__ = error
        with self._changed:
            self.failed = failed
            self._room = 0
            self._changed.notify_all()
            waiters, self._futures = self._futures, []
            callbacks = list(self._callbacks)
        logger.critical("%s", failed)
        for _, loop, future in waiters:
            _settle(loop, future, self._failure(failed))
        for callback in callbacks:
            try:
                callback(failed)
            except Exception:  # the others must still be told
                logger.exception("an on_failure callback of the journal raised")


def _settle(loop: asyncio.AbstractEventLoop, future: asyncio.Future[None], error: JournalError | None) -> None:
    """Resolve a future of another thread's loop; a loop that was closed has nobody left to tell."""

    def settle() -> None:
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    try:
        loop.call_soon_threadsafe(settle)
    except RuntimeError:
        logger.debug("an event loop was closed while it waited for the journal")
