"""Walking the chain: is every record of every run what was written, where it was written?

The end of a run that was killed can be cut off unseen, because nothing follows it; a run that ended cleanly has its
head in `runs`, and a logged head that is passed as `logged` must be found in some chain.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection
from hashlib import sha256
from pathlib import Path
from typing import NoReturn

from msgspec import Struct

from axon_quant.errors import JournalError, JournalTamperedError
from axon_quant.events import Decision, FeatureRow
from axon_quant.journal.chain import GENESIS, link
from axon_quant.journal.codec import decode, kind_in
from axon_quant.journal.reader import opened
from axon_quant.journal.storage import record_id

_ROWS_KEPT = 100_000  # feature rows per symbol that a decision may reach back to
# Casts, because whoever changes a value may change its type.
_RECORDS = """
    SELECT sequence, CAST(coalesce(hash, '') AS BLOB), CAST(coalesce(body, '') AS BLOB)
    FROM records WHERE id >= ? AND id < ? ORDER BY id"""
_RUNS = """
    SELECT number, CAST(coalesce(mode, '') AS TEXT), continues, parent, CAST(outcome AS TEXT), CAST(records AS INTEGER),
    head FROM runs ORDER BY number"""
_DECISION, _FEATURE_ROW = b'{"kind":"decision",', b'{"kind":"feature-row",'


class RunReport(Struct, frozen=True):
    """A run whose chain holds. `outcome` is None for one that was killed; `by_kind` counts its records."""

    number: int
    mode: str
    outcome: str | None
    records: int
    head: str
    by_kind: dict[str, int]


def verify(path: str | Path, *, logged: Collection[str] = ()) -> list[RunReport]:
    """Check every run of a journal, also while it is written or on a copy.

    `logged` are heads, in hex, that logs have of this journal. Raises JournalTamperedError naming the run, the first
    bad record and what is wrong with it, and JournalError for a file that is no journal.
    """
    path = Path(path)
    with opened(path) as connection:
        try:
            missing = {bytes.fromhex(head) for head in logged}
        except ValueError as error:
            raise JournalError(f"a logged head is 64 hexadecimal digits: {error}") from None
        reports, parent = [], GENESIS
        for expected, row in enumerate(_runs(connection), start=1):
            if row.number != expected:
                _tampered(path, expected, None, "the run is missing")
            report = _Walk(connection, path, row, parent, missing).report()
            reports.append(report)
            parent = bytes.fromhex(report.head)
        beyond = connection.execute(
            "SELECT run FROM records WHERE id < ? OR id >= ?", (record_id(1, 0), record_id(len(reports) + 1, 0))
        ).fetchone()
        if beyond is not None:
            _tampered(path, beyond[0], None, "the run has records but is not listed")
        if missing:
            _tampered(path, len(reports), None, f"no record here or before has the logged head {min(missing).hex()}")
        return reports


class _Run(Struct):
    number: int
    mode: bytes
    continues: int
    parent: bytes
    outcome: bytes | None
    records: int | None
    head: bytes | None


def _runs(connection: sqlite3.Connection) -> list[_Run]:
    return [_Run(*row) for row in connection.execute(_RUNS)]


def _tampered(path: Path, run: int, sequence: int | None, what: str) -> NoReturn:
    where = f"run {run}" if sequence is None else f"run {run}: record {sequence}"
    raise JournalTamperedError(f"{where}: {what}", file=path, run=run, sequence=sequence)


class _Walk:
    """One run, record by record."""

    def __init__(
        self, connection: sqlite3.Connection, path: Path, run: _Run, before: bytes, missing: set[bytes]
    ) -> None:
        self._connection = connection
        self._path = path
        self._run = run
        self._missing = missing
        self._span = (record_id(run.number, 0), record_id(run.number + 1, 0))
        self._rows: dict[str, dict[int, bytes]] = {}
        if run.parent != (before if run.continues else GENESIS):
            what = f"the head of run {run.number - 1}" if run.continues else "the genesis"
            _tampered(path, run.number, None, f"its parent is not {what}; a record before it may be missing")

    def report(self) -> RunReport:
        head, sequence, kinds = self._run.parent, 0, Counter[str]()
        records = self._connection.execute(_RECORDS, self._span)
        for found, stored, body in records:
            sequence += 1
            if found != sequence:
                _tampered(self._path, self._run.number, sequence, f"missing; record {found} comes next")
            expected = link(head, sequence, body)
            if stored != expected:
                _tampered(self._path, self._run.number, sequence, self._diagnose(head, sequence, stored, body))
            head = expected
            self._missing.discard(head)
            kinds[kind_in(body)] += 1
            if body.startswith((_DECISION, _FEATURE_ROW)):
                self._check_observation(sequence, body)
        self._check_end(sequence, head)
        outcome = None if self._run.outcome is None else self._run.outcome.decode()
        return RunReport(self._run.number, self._run.mode.decode(), outcome, sequence, head.hex(), dict(kinds))

    def _check_end(self, sequence: int, head: bytes) -> None:
        run = self._run
        if run.outcome is None or (run.records, run.head) == (sequence, head):
            return
        if run.records is not None and run.records > sequence:
            _tampered(self._path, run.number, sequence + 1, f"missing; the run ended with record {run.records}")
        _tampered(
            self._path, run.number, run.records, f"the run ended here, but has {sequence} records or another head"
        )

    def _diagnose(self, head: bytes, sequence: int, stored: bytes, body: bytes) -> str:
        """Why `stored` is not the hash of `body`: which of the two the rest of the chain bears out."""
        right = link(head, sequence, body)
        following = ""
        for other, other_stored, other_body in self._connection.execute(_RECORDS, self._span):
            if other == sequence:
                continue
            if link(head, sequence, other_body) in (stored, other_stored):
                return f"out of order: record {other} belongs here"
            if other == sequence + 1 and link(right, other, other_body) == other_stored:
                following = "its hash was changed"
            elif other == sequence + 1 and link(stored, other, other_body) == other_stored:
                following = "its body was changed"
        return following or "its hash does not match its body"

    def _check_observation(self, sequence: int, body: bytes) -> None:
        try:
            event = decode(body)
        except JournalError as error:
            _tampered(self._path, self._run.number, sequence, error.message)
        if isinstance(event, FeatureRow):
            rows = self._rows.setdefault(event.symbol, {})
            rows.pop(event.row, None)
            rows[event.row] = sha256(event.data).digest()
            if len(rows) > 2 * _ROWS_KEPT:
                self._rows[event.symbol] = dict(list(rows.items())[-_ROWS_KEPT:])
        elif isinstance(event, Decision):
            rows = self._rows.get(event.symbol, {})
            digest = sha256()
            for row in range(event.first_row, event.last_row + 1):
                if row not in rows:
                    self._observation(sequence, event, f"feature row {row} is missing")
                digest.update(rows[row])
            if digest.hexdigest() != event.observation_sha256:
                rows_named = f"feature rows {event.first_row} to {event.last_row}"
                self._observation(sequence, event, f"{rows_named} are not what was observed")

    def _observation(self, sequence: int, decision: Decision, what: str) -> NoReturn:
        _tampered(self._path, self._run.number, sequence, f"decision {decision.number} of {decision.symbol}: {what}")
