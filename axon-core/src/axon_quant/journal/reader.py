"""Reading a journal back, while it is being written or from a copy."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from axon_quant.errors import JournalError
from axon_quant.events import Event
from axon_quant.journal.codec import Note, decode, kind_in, kind_of
from axon_quant.journal.storage import check_format, record_id

_E = TypeVar("_E", bound=Event)
LISTS_RUNS = "axon journal verify lists its runs"


class RunRow(Struct, frozen=True):
    """What the file says about a run outside its chain. `started` and `ended` are UTC nanoseconds of wall time."""

    number: int
    mode: str
    outcome: str | None
    pid: int
    started: int
    ended: int | None
    recording: str | None
    config: str | None


@contextmanager
def opened(path: str | Path) -> Iterator[sqlite3.Connection]:
    """A read-only connection that sees one state of the file; text comes as bytes.

    Raises JournalError for a missing file, one that is no journal, and one that SQLite finds damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise JournalError("no such file", file=path, hint="a run writes it: give the path that its configuration has")
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro{_immutable(path)}", uri=True, isolation_level=None
    )
    try:
        connection.text_factory = bytes
        if not check_format(connection, path):
            raise JournalError("an empty file, not a journal", file=path)
        connection.execute("BEGIN")
        yield connection
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter when SQLite quotes a damaged schema
        raise JournalError(f"cannot be read: {error}", file=path) from error
    finally:
        connection.close()


def _immutable(path: Path) -> str:
    """A file nobody writes to has no log beside it; saying so lets it be read where nothing can be created."""
    return "" if path.with_name(path.name + "-wal").exists() else "&immutable=1"


def runs(path: str | Path) -> list[RunRow]:
    """The runs of a journal, oldest first."""
    with opened(path) as connection:
        connection.text_factory = str
        rows = connection.execute(
            "SELECT number, mode, outcome, pid, started, ended, recording, config FROM runs ORDER BY number"
        )
        return [RunRow(*row) for row in rows]


def read(
    path: str | Path, *, run: int | None = None, kinds: Collection[type[Event]] | None = None
) -> Iterator[tuple[int, Event]]:
    """The events of a run (the last one by default) with their sequences, in order; only those of `kinds` if given.

    Hashes are not checked; that is `verify`. Raises JournalError for a run the file does not have, and for a record
    that cannot be decoded.
    """
    with opened(path) as connection:
        number = _existing(connection, run, Path(path))
        wanted = None if kinds is None else {kind_of(kind) for kind in kinds}
        rows = connection.execute(
            "SELECT sequence, body FROM records WHERE id > ? AND id < ? ORDER BY id",
            (record_id(number, 0), record_id(number + 1, 0)),
        )
        for sequence, body in rows:
            if wanted is None or kind_in(body) in wanted:
                try:
                    yield sequence, decode(body)
                except JournalError as error:
                    raise JournalError(
                        f"run {number}: record {sequence}: {error.message}", file=path, hint=error.hint
                    ) from error


def latest(path: str | Path, kind: type[_E], *, mode: str) -> tuple[int, _E] | None:
    """The last event of this type in runs of this mode, and the number of its run; None if there is none.

    Reads backwards, so that what was recorded often is found soon.
    """
    with opened(path) as connection:
        row = connection.execute(
            "SELECT run, body FROM records WHERE kind = ? AND run IN (SELECT number FROM runs WHERE mode = ?)"
            " ORDER BY id DESC LIMIT 1",
            (kind_of(kind), mode),
        ).fetchone()
        if row is None:
            return None
        event = decode(row[1])
        return (row[0], event) if isinstance(event, kind) else None


def notes(path: str | Path, *, run: int | None = None) -> Iterator[Note]:
    """The notes beside the chain of a run (the last one by default), in order."""
    with opened(path) as connection:
        number = _existing(connection, run, Path(path))
        for (body,) in connection.execute("SELECT body FROM notes WHERE run = ? ORDER BY id", (number,)):
            note = decode(body)
            if isinstance(note, Note):
                yield note


def _existing(connection: sqlite3.Connection, run: int | None, path: Path) -> int:
    (last,) = connection.execute("SELECT max(number) FROM runs WHERE number = coalesce(?, number)", (run,)).fetchone()
    if last is None:
        raise JournalError("has no run" if run is None else f"has no run {run}", file=path, hint=LISTS_RUNS)
    return int(last)
