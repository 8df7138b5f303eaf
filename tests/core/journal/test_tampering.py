"""Whatever is changed in the file is found, and named."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axon_quant.errors import JournalError, JournalTamperedError
from axon_quant.events import BookGap, Decision, Event, FeatureRow, RunEnded
from axon_quant.journal import Journal, read, verify
from axon_quant.journal.chain import GENESIS, link
from axon_quant.journal.storage import record_id

Write = Callable[..., str]
RECORDS = 27 + 1  # the session and its end


@pytest.fixture
def written(path: Path, write: Write, session: list[Event]) -> Path:
    write(path, session)
    return path


@cache
def pristine() -> bytes:
    """A journal with a replay, a live run that was killed, and a live run that follows it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "journal.db"
        with Journal(path) as journal:
            for mode, outcome in (("replay", "completed"), ("live", None), ("live", "completed")):
                journal.start_run(mode=mode, continues=mode == "live")
                for number in range(8):
                    journal.append(BookGap(number, "BTCÜSDT", number, number + 2))
                if outcome is not None:
                    journal.append(RunEnded(9, outcome))
        return path.read_bytes()


@contextmanager
def edited(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path)
    connection.text_factory = bytes
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def found(path: Path) -> JournalTamperedError:
    with pytest.raises(JournalTamperedError) as caught:
        verify(path)
    return caught.value


@pytest.mark.parametrize("sequence", [1, 9, RECORDS])
def test_any_changed_byte_of_a_body_or_a_hash_is_found_and_named(written: Path, sequence: int, tmp_path: Path) -> None:
    @settings(max_examples=40, deadline=None)
    @given(st.sampled_from(["body", "hash"]), st.floats(0, 1, exclude_max=True), st.integers(1, 255))
    def check(column: str, where: float, flip: int) -> None:
        copy = tmp_path / "copy.db"
        shutil.copy(written, copy)
        identity = record_id(1, sequence)
        with edited(copy) as connection:
            (value,) = connection.execute(f"SELECT {column} FROM records WHERE id = ?", (identity,)).fetchone()
            changed = bytearray(value)
            changed[int(where * len(changed))] ^= flip
            cast = "CAST(? AS TEXT)" if column == "body" else "?"
            connection.execute(f"UPDATE records SET {column} = {cast} WHERE id = ?", (bytes(changed), identity))
        error = found(copy)
        assert (error.run, error.sequence) == (1, sequence)
        if sequence < RECORDS:
            assert f"its {column} was changed" in str(error)

    check()


@settings(max_examples=150, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_no_flipped_byte_of_the_file_changes_a_record_unseen(
    tmp_path_factory: pytest.TempPathFactory, where: float, flip: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    original, damaged = folder / "original.db", folder / "damaged.db"
    original.write_bytes(pristine())
    content = bytearray(pristine())
    content[int(where * len(content))] ^= flip
    damaged.write_bytes(content)
    try:
        reports = verify(damaged)
    except JournalError:
        return
    assert [report.head for report in reports] == [report.head for report in verify(original)]
    for run in (1, 2, 3):
        assert list(read(damaged, run=run)) == list(read(original, run=run))


@pytest.mark.parametrize("value", [None, 7, 1.5, "text", b"\xff"])
@pytest.mark.parametrize("column", ["body", "hash"])
def test_a_value_of_another_type_is_found(written: Path, column: str, value: object) -> None:
    with edited(written) as connection:
        if value is None:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute("UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '') WHERE name = 'records'")
    with edited(written) as connection:
        connection.execute(f"UPDATE records SET {column} = ? WHERE id = ?", (value, record_id(1, 5)))
    assert found(written).sequence == 5


def test_a_record_missing_in_the_middle_is_named(written: Path) -> None:
    with edited(written) as connection:
        connection.execute("DELETE FROM records WHERE id = ?", (record_id(1, 11),))
    error = found(written)
    assert (error.run, error.sequence) == (1, 11)
    assert "record 11: missing; record 12 comes next" in str(error)


def test_a_changed_sequence_leaves_its_place_empty(written: Path) -> None:
    with edited(written) as connection:
        connection.execute("UPDATE records SET id = ? WHERE id = ?", (record_id(1, 500), record_id(1, 6)))
    assert found(written).sequence == 6


@pytest.mark.parametrize("columns", ["body, hash", "body"])
def test_records_that_changed_places_are_named_as_out_of_order(written: Path, columns: str) -> None:
    with edited(written) as connection:
        query = f"SELECT {columns} FROM records WHERE id = ?"
        fourth = connection.execute(query, (record_id(1, 4),)).fetchone()
        ninth = connection.execute(query, (record_id(1, 9),)).fetchone()
        assignments = ", ".join(f"{column} = ?" for column in columns.split(", "))
        for sequence, row in ((4, ninth), (9, fourth)):
            row = (row[0].decode(), *row[1:])
            connection.execute(f"UPDATE records SET {assignments} WHERE id = ?", (*row, record_id(1, sequence)))
    error = found(written)
    assert error.sequence == 4
    assert "out of order: record 9 belongs here" in str(error)


def test_the_missing_last_record_of_a_run_that_ended_is_named(written: Path) -> None:
    with edited(written) as connection:
        connection.execute("DELETE FROM records WHERE id > ?", (record_id(1, RECORDS - 2),))
    error = found(written)
    assert error.sequence == RECORDS - 1
    assert f"the run ended with record {RECORDS}" in str(error)


def test_a_cut_tail_of_a_killed_run_shows_in_the_run_that_followed_it(
    path: Path, write: Write, session: list[Event]
) -> None:
    write(path, session, mode="live", outcome=None)
    write(path, session, mode="live")
    with edited(path) as connection:
        connection.execute("DELETE FROM records WHERE id = ?", (record_id(1, len(session)),))
    error = found(path)
    assert (error.run, error.sequence) == (2, None)
    assert "its parent is not the head of run 1" in str(error)


def test_a_cut_tail_of_the_last_killed_run_shows_against_a_logged_head(
    path: Path, write: Write, session: list[Event]
) -> None:
    head = write(path, session, mode="live", outcome=None)
    assert verify(path, logged=[head])
    with edited(path) as connection:
        connection.execute("DELETE FROM records WHERE id = ?", (record_id(1, len(session)),))
    verify(path)
    with pytest.raises(JournalTamperedError, match=f"no record here or before has the logged head {head}"):
        verify(path, logged=[head])


def test_a_changed_parent_is_named(written: Path) -> None:
    with edited(written) as connection:
        connection.execute("UPDATE runs SET parent = zeroblob(32)")
    assert "its parent is not the genesis" in str(found(written))


def test_a_run_that_was_removed_is_named(path: Path, write: Write, session: list[Event]) -> None:
    write(path, session)
    write(path, session)
    shutil.copy(path, path.with_name("second.db"))
    with edited(path) as connection:
        connection.execute("DELETE FROM runs WHERE number = 1")
    assert "run 1: the run is missing" in str(found(path))
    with edited(path.with_name("second.db")) as connection:
        connection.execute("DELETE FROM runs WHERE number = 2")
    assert "run 2: the run has records but is not listed" in str(found(path.with_name("second.db")))


def rewrite(path: Path, change: Callable[[bytes], bytes | None]) -> None:
    """What a careful forger does: change bodies and recompute the whole chain."""
    with edited(path) as connection:
        bodies = [body for (body,) in connection.execute("SELECT body FROM records ORDER BY id")]
        connection.execute("DELETE FROM records")
        head, sequence = GENESIS, 0
        for body in filter(None, map(change, bodies)):
            sequence += 1
            head = link(head, sequence, body)
            row = (record_id(1, sequence), head, body.decode())
            connection.execute("INSERT INTO records (id, hash, body) VALUES (?, ?, ?)", row)
        connection.execute("UPDATE runs SET records = ?, head = ?", (sequence, head))


def test_a_decision_over_rows_that_were_not_observed_is_named(written: Path) -> None:
    rewrite(written, lambda body: body.replace(b'"row":5,"data":"BQ', b'"row":5,"data":"CQ'))
    assert "decision 5 of BTCUSDT: feature rows 2 to 5 are not what was observed" in str(found(written))


def test_a_decision_over_a_missing_row_is_named(written: Path) -> None:
    rewrite(written, lambda body: None if b'"row":6,' in body else body)
    error = found(written)
    assert "decision 6 of BTCUSDT: feature row 6 is missing" in str(error)
    assert isinstance(dict(read(written))[error.sequence or 0], Decision)


def test_rows_belong_to_their_symbol(path: Path, write: Write, session: list[Event]) -> None:
    others = [FeatureRow(e.at, "ETHUSDT", e.row, b"\x01" * 4) for e in session if isinstance(e, FeatureRow)]
    write(path, others + session)
    assert verify(path)[0].by_kind["feature-row"] == 24


def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path: Path) -> None:
    text, other, empty = tmp_path / "text.db", tmp_path / "other.db", tmp_path / "empty.db"
    text.write_bytes(b"not a database at all" * 100)
    with edited(other) as connection:
        connection.execute("CREATE TABLE things (x)")
    empty.touch()
    for path in (text, other):
        before = path.read_bytes()
        with pytest.raises(JournalError):
            Journal(path)
        assert path.read_bytes() == before
    for path in (text, other, empty, tmp_path / "missing.db"):
        with pytest.raises(JournalError):
            verify(path)


def test_verify_reads_a_copy_in_a_folder_it_may_not_write_to(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    shutil.copy(written, folder / "journal.db")
    folder.chmod(0o555)
    try:
        assert verify(folder / "journal.db")[0].records == RECORDS
        assert [entry.name for entry in folder.iterdir()] == ["journal.db"]
    finally:
        folder.chmod(0o755)


def test_verify_works_while_a_writer_is_running(journal: Journal, session: list[Event]) -> None:
    for event in session:
        journal.append(event)
        if event.at % 4 == 0:
            journal.flush()
            assert verify(journal.path)[0].head == journal.head
