"""What a head depends on, and how runs follow each other."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from axon_quant.errors import JournalTamperedError
from axon_quant.events import Event, RunEnded
from axon_quant.journal import Journal, read, runs, verify
from axon_quant.journal.chain import GENESIS, link
from axon_quant.journal.codec import encode

Write = Callable[..., str]


def test_two_replays_end_in_the_same_head_whatever_else_the_files_hold(
    tmp_path: Path, write: Write, session: list[Event]
) -> None:
    alone = write(tmp_path / "alone.db", session)
    write(tmp_path / "shared.db", session[:5], mode="live")
    with Journal(tmp_path / "shared.db", linger=0) as journal:
        journal.start_run(mode="replay", continues=False, recording=Path("other.gz"), config=Path("other.toml"))
        for event in session:
            journal.append(event)
            journal.note("wall", {"at": 1})
        journal.append(RunEnded(10**9, "completed")).wait(5)
        assert journal.head == alone
    assert [report.head for report in verify(tmp_path / "shared.db")][1] == alone


def test_another_event_gives_another_head(tmp_path: Path, write: Write, session: list[Event]) -> None:
    assert write(tmp_path / "a.db", session) != write(tmp_path / "b.db", session[::-1])


@pytest.mark.parametrize("size", [0, 1, 2006, 2007, 2008, 5000, 100_000])
def test_a_link_hashes_the_whole_body_whatever_its_size(size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert link(GENESIS, 7, body) == sha256(GENESIS + (7).to_bytes(8, "big") + body).digest()


def test_a_live_run_follows_the_run_before_it(path: Path, write: Write, session: list[Event]) -> None:
    first = write(path, session, mode="live", outcome=None)
    with Journal(path) as journal:
        info = journal.start_run(mode="live", continues=True)
        assert info.number == 2
        assert info.previous is not None
        assert (info.previous.number, info.previous.mode, info.previous.outcome) == (1, "live", None)
        assert info.previous.head == journal.head == first
        journal.append(session[0]).wait(5)
        assert journal.head == link(bytes.fromhex(first), 1, encode(session[0])).hex()
    assert [report.outcome for report in verify(path)] == [None, None]


def test_the_next_run_is_told_how_the_last_one_ended(path: Path, write: Write, session: list[Event]) -> None:
    head = write(path, session, outcome="interrupted")
    with Journal(path) as journal:
        info = journal.start_run(mode="replay", continues=False, recording=Path("session.gz"))
    assert info.previous is not None
    assert (info.previous.outcome, info.previous.head) == ("interrupted", head)
    assert [(row.outcome, row.recording) for row in runs(path)] == [("interrupted", None), (None, "session.gz")]


def test_verify_counts_what_each_run_holds(path: Path, write: Write, session: list[Event]) -> None:
    write(path, session)
    (report,) = verify(path)
    assert (report.number, report.mode, report.outcome) == (1, "replay", "completed")
    assert report.records == len(session) + 1 == sum(report.by_kind.values())
    assert report.by_kind == {
        "feature-row": 12,
        "decision": 9,
        "order-placed": 3,
        "order-updated": 3,
        "run-ended": 1,
    }
    assert [sequence for sequence, _ in read(path)] == list(range(1, report.records + 1))


def test_no_run_begins_on_a_journal_that_lost_the_end_of_its_last_one(
    path: Path, write: Write, session: list[Event]
) -> None:
    write(path, session)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("DELETE FROM records WHERE id = (SELECT max(id) FROM records)")
    connection.close()
    with Journal(path) as journal, pytest.raises(JournalTamperedError, match="run 1 ended with record"):
        journal.start_run(mode="live", continues=True)
