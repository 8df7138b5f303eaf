"""The journal as the runtime sees it: begin a run, append events, wait for the ones that must be durable."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from axon_quant.errors import JournalError
from axon_quant.events import Event
from axon_quant.journal.codec import Note
from axon_quant.journal.lock import lock_journal
from axon_quant.journal.storage import RunInfo, Storage
from axon_quant.journal.writer import FailureCallback, Ticket, Writer

_WRITABLE = "its user must be allowed to write to the file and its folder; is the disk full?"


class Journal:
    """An append-only, hash-chained record of runs in one SQLite file.

    Events gather for `linger` seconds before they are written together. At most `queue_limit` wait; a further append
    blocks until there is room, for `full_timeout` seconds at most. Folders are created. Raises JournalLockedError when
    another process writes to the file, and JournalError when it is not a journal or SQLite does not give
    write-ahead logging with synchronous=FULL.

    A run has ended cleanly when its last event is a RunEnded. `close` writes what is queued but ends no run.
    """

    def __init__(
        self, path: str | Path, *, linger: float = 0.05, queue_limit: int = 100_000, full_timeout: float = 5.0
    ) -> None:
        if not 0 <= linger <= 10:
            raise JournalError(f"linger must lie in [0, 10] seconds, got {linger}")
        if not queue_limit >= 1:
            raise JournalError(f"queue_limit must be at least 1, got {queue_limit}")
        self.path = Path(path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = lock_journal(self.path)
        except OSError as error:
            raise JournalError(
                f"cannot be opened: {error.filename or self.path}: {error.strerror}", file=self.path, hint=_WRITABLE
            ) from error
        try:
            self._storage = Storage(self.path)
        except JournalError:
            self._lock.release()
            raise
        self._writer = Writer(self._storage, linger=linger, queue_limit=queue_limit, full_timeout=full_timeout)
        self._put = self._writer.put
        self._closed = False

    def start_run(
        self,
        *,
        mode: str,
        continues: bool,
        chain_notes: bool = False,
        recording: Path | None = None,
        config: Path | None = None,
    ) -> RunInfo:
        """Begin a run; what was appended before is made durable first.

        A run that `continues` (live) takes the head of the run before it as its parent; any other (replay) starts a
        fresh chain, so that its head depends on its events alone. With `chain_notes` notes are part of the chain.
        Raises JournalTamperedError when the run before lost the end it recorded.
        """
        if self._writer.lag:
            self.flush()
        try:
            with self._storage.lock:
                info, parent = self._storage.begin_run(
                    mode=mode, continues=continues, recording=recording, config=config
                )
        except sqlite3.Error as error:
            raise JournalError(f"no run can begin: {error}", file=self.path, hint=_WRITABLE) from error
        self._writer.open_run(info.number, parent, chain_notes=chain_notes)
        return info

    def append(self, event: Event) -> Ticket:
        """Take an event. It is durable when the ticket says so. Raises JournalError when the journal has failed."""
        return self._put(event)

    def note(self, name: str, body: Mapping[str, object], *, at: int = 0) -> Ticket:
        """Keep a fact beside the chain: a wall time, a latency, a path. `body` must not change afterwards."""
        return self._put(Note(at, name, body))

    async def durable(self, ticket: Ticket) -> None:
        """`ticket.wait()` without blocking the running event loop."""
        if not ticket.done:
            await self._writer.durable(ticket)

    def flush(self, timeout: float | None = None) -> None:
        """Return when everything appended so far is durable. Raises JournalError like `Ticket.wait`."""
        self._put(None).wait(timeout)

    @property
    def head(self) -> str:
        """The hash of the run's last durable record, in hex; its parent's before the first."""
        return self._writer.head.hex()

    @property
    def durable_sequence(self) -> int:
        """The sequence of the run's last durable record; 0 before the first."""
        return self._writer.durable_sequence

    @property
    def lag(self) -> int:
        """How many events were appended and are not durable yet."""
        return self._writer.lag

    @property
    def lag_seconds(self) -> float:
        """The age of the oldest event that is not durable yet, too high by one batch at most; 0.0 without one."""
        return self._writer.lag_seconds

    @property
    def stalls(self) -> int:
        """How often an append found the queue full."""
        return self._writer.stalls

    @property
    def failed(self) -> JournalError | None:
        """Why nothing more can be written, or None."""
        return self._writer.failed

    @property
    def synchronous(self) -> int:
        """`PRAGMA synchronous` as SQLite reports it; 2 is FULL."""
        with self._storage.lock:
            return self._storage.synchronous

    def on_failure(self, callback: FailureCallback) -> None:
        """Call `callback(error)`, from the writer's thread, when writing fails; at once when it has failed before."""
        self._writer.on_failure(callback)

    def close(self) -> None:
        """Make everything durable and let the next process in. Raises JournalError when something was lost."""
        if self._closed:
            return
        self._closed = True
        try:
            self._writer.close()
        finally:
            self._storage.close()
            self._lock.release()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.close()
        except JournalError:
            if not isinstance(error, JournalError):
                raise
