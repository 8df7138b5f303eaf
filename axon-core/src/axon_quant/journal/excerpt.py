"""Single records of a run with their links in the chain, from one state of the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct, json

from axon_quant.errors import JournalError, JournalTamperedError
from axon_quant.events import Event
from axon_quant.journal.chain import link
from axon_quant.journal.codec import Note, decode, kind_of
from axon_quant.journal.reader import LISTS_RUNS, opened
from axon_quant.journal.storage import SEQUENCE_BITS, record_id

END = (1 << SEQUENCE_BITS) - 1
"""A sequence after every other."""

# Casts, because whoever changes a value may change its type. What is read is one state of the file, and few records.
_RECORD = "SELECT CAST(coalesce(hash, '') AS BLOB), CAST(coalesce(body, '') AS BLOB) FROM records WHERE id = ?"
_AFTER = """
    SELECT sequence FROM records WHERE id > ? AND id < ? AND kind IN (SELECT value FROM json_each(?)) ORDER BY id"""
_BEFORE = f"{_AFTER} DESC"
_HOLDING = "SELECT sequence FROM records WHERE id > ? AND id < ? AND kind = ? AND instr(body, ?) ORDER BY id"
_HASH = "SELECT CAST(coalesce(hash, '') AS BLOB) FROM records WHERE id = ?"


class Record(Struct, frozen=True):
    """An event in its place: its hash covers `previous`, the hash of the record before it (the run's parent, before
    the first)."""

    sequence: int
    event: Event
    hash: bytes
    previous: bytes


class RunRecords:
    """One run of an open journal. Every record that is read is held to its hash.

    Raises JournalTamperedError for a record that does not follow the one before it, and JournalError for one that
    cannot be decoded. The whole chain is walked by `verify`, not here.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, number: int) -> None:
        self.number = number
        self._connection = connection
        self._path = path
        row = connection.execute(
            "SELECT CAST(mode AS TEXT), CAST(outcome AS TEXT), CAST(started AS INTEGER), CAST(parent AS BLOB) FROM runs"
            " WHERE number = ?",
            (number,),
        ).fetchone()
        if row is None:
            raise JournalError(f"has no run {number}", file=path, hint=LISTS_RUNS)
        self.mode: str = row[0].decode()
        self.outcome: str | None = None if row[1] is None else row[1].decode()
        self.started: int = row[2]
        """In UTC nanoseconds of wall time."""
        self._parent: bytes = row[3]

    def holding(self, kind: type[Event], text: str) -> Iterator[Record]:
        """The records of a kind whose JSON holds `text`, in order."""
        span = (record_id(self.number, 0), record_id(self.number + 1, 0))
        for (sequence,) in self._connection.execute(_HOLDING, (*span, kind_of(kind), text)).fetchall():
            yield self._record(sequence)

    def before(self, sequence: int, kinds: Collection[type[Event]]) -> Iterator[Record]:
        """The records of these kinds before `sequence`, backwards."""
        return self._read(_BEFORE, record_id(self.number, 0), record_id(self.number, sequence), kinds)

    def after(self, sequence: int, kinds: Collection[type[Event]], *, last: int | None = None) -> Iterator[Record]:
        """The records of these kinds after `sequence`, up to `last` or the run's end."""
        end = record_id(self.number + 1, 0) if last is None else record_id(self.number, last + 1)
        return self._read(_AFTER, record_id(self.number, sequence), end, kinds)

    def notes(self, text: str) -> list[Note]:
        """The notes whose JSON holds `text`, beside the chain or, where they are part of it, in it."""
        found = [record.event for record in self.holding(Note, text)]
        beside = self._connection.execute(
            "SELECT body FROM notes WHERE run = ? AND instr(body, ?) ORDER BY id", (self.number, text)
        )
        found += [decode(body) for (body,) in beside]
        return [note for note in found if isinstance(note, Note)]

    def _read(self, query: str, start: int, end: int, kinds: Collection[type[Event]]) -> Iterator[Record]:
        names = json.encode([kind_of(kind) for kind in kinds]).decode()
        for (sequence,) in self._connection.execute(query, (start, end, names)):
            yield self._record(sequence)

    def _record(self, sequence: int) -> Record:
        where = f"run {self.number}: record {sequence}"
        stored, body = self._connection.execute(_RECORD, (record_id(self.number, sequence),)).fetchone()
        previous = self._hash_before(sequence)
        if previous is None or link(previous, sequence, body) != stored:
            raise JournalTamperedError(
                f"{where} is not what was recorded", file=self._path, run=self.number, sequence=sequence
            )
        try:
            return Record(sequence, decode(body), stored, previous)
        except JournalError as error:
            raise JournalError(f"{where}: {error.message}", file=self._path, hint=error.hint) from error

    def _hash_before(self, sequence: int) -> bytes | None:
        if sequence == 1:
            return self._parent
        row = self._connection.execute(_HASH, (record_id(self.number, sequence - 1),)).fetchone()
        return None if row is None else bytes(row[0])


@contextmanager
def run_records(path: str | Path, run: int | None = None) -> Iterator[RunRecords]:
    """A run of a journal, the last one by default. Raises JournalError if it is not there."""
    path = Path(path)
    with opened(path) as connection:
        if run is None:
            (run,) = connection.execute("SELECT max(number) FROM runs").fetchone()
        if run is None:
            raise JournalError("has no run", file=path)
        yield RunRecords(connection, path, run)
