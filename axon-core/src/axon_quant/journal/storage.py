"""The SQLite file: its schema, how it is opened, and the one statement that writes a batch.

runs      one row per run: bookkeeping outside the chain (wall times, paths, pid), and the head of a run that ended
records   the chain: hash and body; run, sequence and kind are computed from them
notes     facts outside the chain
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from msgspec import Struct, field, json

from axon_quant.clock import LiveClock
from axon_quant.errors import JournalError, JournalTamperedError
from axon_quant.journal.chain import GENESIS

APPLICATION_ID = 0x61786F6E
VERSION = 1
SEQUENCE_BITS = 40  # a record's rowid is its run and its sequence, so the table is the order and needs no index

_SCHEMA = f"""
BEGIN;
CREATE TABLE runs (
    number INTEGER PRIMARY KEY, mode TEXT NOT NULL, continues INTEGER NOT NULL, parent BLOB NOT NULL,
    pid INTEGER NOT NULL, started INTEGER NOT NULL, recording TEXT, config TEXT,
    ended INTEGER, outcome TEXT, records INTEGER, head BLOB);
CREATE TABLE records (
    id INTEGER PRIMARY KEY, hash BLOB NOT NULL, body TEXT NOT NULL,
    run INTEGER AS (id >> {SEQUENCE_BITS}), sequence INTEGER AS (id & {(1 << SEQUENCE_BITS) - 1}),
    kind TEXT AS (substr(body, 10, instr(substr(body, 10), '"') - 1)));
CREATE TABLE notes (id INTEGER PRIMARY KEY, run INTEGER NOT NULL, body TEXT NOT NULL);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
COMMIT;
"""

# One statement per batch, because sqlite3 lets go of the GIL at every step and beside a busy thread waits up to 5 ms
# to get it back. Bodies travel in one blob and are cut out of it, so they are stored byte for byte; a cut is an
# integer, start << 32 | length.
_CUT = "CAST(substr(?2, 1 + (value >> 32), value & 0xffffffff) AS TEXT) FROM json_each(?3)"
_INSERT_RECORDS = f"INSERT INTO records (id, hash, body) SELECT ?1 + key, substr(?4, 1 + 32 * key, 32), {_CUT}"
_INSERT_NOTES = f"INSERT INTO notes (run, body) SELECT ?1, {_CUT}"


class PreviousRun(Struct, frozen=True):
    """The run before this one. `outcome` is None when it was killed; `head` is the hash of its last record, in hex."""

    number: int
    mode: str
    outcome: str | None
    head: str


class RunInfo(Struct, frozen=True):
    """The run that began, and the one before it in the same file, if any."""

    number: int
    previous: PreviousRun | None


class Batch(Struct):
    """What one transaction writes: consecutive records from `first` on, notes, and the outcome if the run ended."""

    run: int
    first: int
    hashes: bytearray = field(default_factory=bytearray)
    bodies: list[bytes] = field(default_factory=list)
    notes: list[bytes] = field(default_factory=list)
    outcome: str | None = None


def record_id(run: int, sequence: int) -> int:
    """The rowid of a record."""
    return (run << SEQUENCE_BITS) | sequence


def check_format(connection: sqlite3.Connection, path: Path) -> bool:
    """True for a journal, False for an empty file. Raises JournalError for anything else, without touching it."""
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter when SQLite quotes a damaged schema
        raise JournalError(f"not a journal: {error}", file=path) from error
    if application == 0 and tables == 0:
        return False
    if application != APPLICATION_ID:
        raise JournalError("an SQLite file, but not a journal", file=path)
    if version != VERSION:
        raise JournalError(
            f"written in journal format {version}; this axon reads {VERSION}",
            file=path,
            hint="use the axon that wrote it",
        )
    return True


class Storage:
    """The file as its one writer sees it. Methods may be called from any thread, one at a time through `lock`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = Lock()
        self.unchecked = 0  # bytes written since the last checkpoint
        self._clock = LiveClock()
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise JournalError(f"cannot be opened: {error}", file=path) from error
        try:
            self._open()
        except sqlite3.Error as error:
            self._connection.close()
            raise JournalError(f"cannot be opened: {error}", file=path) from error
        except JournalError:
            self._connection.close()
            raise

    def _open(self) -> None:
        exists = check_format(self._connection, self.path)
        (mode,) = self._connection.execute("PRAGMA journal_mode = WAL").fetchone()
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA wal_autocheckpoint = 0")  # the writer checkpoints when it has nothing to do
        if (mode, self.synchronous) != ("wal", 2):
            raise JournalError(
                f"SQLite gave journal_mode={mode}, synchronous={self.synchronous} instead of wal, 2 (FULL)",
                file=self.path,
                hint="put the journal on a local disk",
            )
        if not exists:
            self._connection.executescript(_SCHEMA)
            _sync_folder(self.path.parent)

    @property
    def synchronous(self) -> int:
        """`PRAGMA synchronous` as read back; 2 is FULL."""
        (level,) = self._connection.execute("PRAGMA synchronous").fetchone()
        return int(level)

    def previous_run(self) -> PreviousRun | None:
        """The last run of the file. Raises JournalTamperedError when its end is not what it recorded."""
        row = self._connection.execute(
            "SELECT number, mode, outcome, parent, head, records FROM runs ORDER BY number DESC LIMIT 1"
        ).fetchone()
        if row is None:
            return None
        number, mode, outcome, parent, recorded, records = row
        last = self._connection.execute(
            "SELECT hash FROM records WHERE id > ? AND id < ? ORDER BY id DESC LIMIT 1",
            (record_id(number, 0), record_id(number + 1, 0)),
        ).fetchone()
        head = parent if last is None else last[0]
        if outcome is not None and head != recorded:
            raise JournalTamperedError(
                f"run {number} ended with record {records}, which is not its last record now",
                file=self.path,
                run=number,
                sequence=records,
            )
        return PreviousRun(number, mode, outcome, head.hex())

    def begin_run(
        self, *, mode: str, continues: bool, recording: Path | None, config: Path | None
    ) -> tuple[RunInfo, bytes]:
        """Add the run's row, durably; returns it with the hash that its first record follows."""
        previous = self.previous_run()
        number = 1 if previous is None else previous.number + 1
        parent = bytes.fromhex(previous.head) if continues and previous is not None else GENESIS
        self._connection.execute(
            "INSERT INTO runs (number, mode, continues, parent, pid, started, recording, config)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number,
                mode,
                continues,
                parent,
                os.getpid(),
                self._clock.now(),
                None if recording is None else str(recording),
                None if config is None else str(config),
            ),
        )
        return RunInfo(number, previous), parent

    def write(self, batch: Batch) -> None:
        """Write a batch durably, all of it or nothing. Raises sqlite3.Error."""
        single = bool(batch.bodies) and not batch.notes and batch.outcome is None
        if not single:
            self._connection.execute("BEGIN IMMEDIATE")
        try:
            if batch.bodies:
                blob, cuts = _pack(batch.bodies)
                first = record_id(batch.run, batch.first)
                self._connection.execute(_INSERT_RECORDS, (first, blob, cuts, batch.hashes))
            if batch.notes:
                self._connection.execute(_INSERT_NOTES, (batch.run, *_pack(batch.notes)))
            if batch.outcome is not None:
                self._connection.execute(
                    "UPDATE runs SET ended = ?, outcome = ?, records = ?, head = ? WHERE number = ?",
                    (
                        self._clock.now(),
                        batch.outcome,
                        batch.first + len(batch.bodies) - 1,
                        bytes(batch.hashes[-32:]),
                        batch.run,
                    ),
                )
            if not single:
                self._connection.execute("COMMIT")
        except sqlite3.Error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self.unchecked += sum(map(len, batch.bodies)) + sum(map(len, batch.notes)) + 8192

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file, as far as readers allow. Raises sqlite3.Error."""
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        self.unchecked = 0

    def close(self) -> None:
        """Checkpoint and close; the file can then be copied on its own."""
        self._connection.close()


def _pack(bodies: Sequence[bytes]) -> tuple[bytes, str]:
    cuts, start = [], 0
    for body in bodies:
        cuts.append(start << 32 | len(body))
        start += len(body)
    return b"".join(bodies), json.encode(cuts).decode()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
