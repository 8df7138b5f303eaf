"""Tickets, the queue and failure, within one process."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from axon_quant.errors import JournalError
from axon_quant.events import BookGap, RunEnded
from axon_quant.journal import Journal, read, verify
from axon_quant.journal import writer as writer_module
from axon_quant.journal.storage import Batch, Storage


def gap(number: int) -> BookGap:
    return BookGap(number, "BTCUSDT", number, number + 1)


def append_many(journal: Journal, count: int) -> None:
    for number in range(count):
        journal.append(gap(number))


class Disk:
    """Holds up or fails what the journal writes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = threading.Event()
        self.open.set()
        self.error: Exception | None = None
        self.batches: list[int] = []
        write = Storage.write

        def controlled(storage: Storage, batch: Batch) -> None:
            self.open.wait(20)
            if self.error is not None:
                raise self.error
            self.batches.append(len(batch.bodies))
            write(storage, batch)

        monkeypatch.setattr(Storage, "write", controlled)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def test_sqlite_reports_synchronous_full(journal: Journal) -> None:
    assert journal.synchronous == 2


def test_a_folder_that_takes_no_journal_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        JournalError, match=r"cannot be opened: \S+/file: (Not a directory|File exists) \(its user must"
    ):
        Journal(tmp_path / "file" / "run.db")


def test_a_file_that_cannot_be_written_says_what_to_do(path: Path) -> None:
    with Journal(path) as journal:
        journal._storage._connection.execute("PRAGMA query_only = ON")  # root may write to any file
        with pytest.raises(JournalError, match=r"no run can begin: .*readonly database \(its user must"):
            journal.start_run(mode="replay", continues=False)


def test_a_journal_without_full_synchronisation_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Storage, "synchronous", property(lambda _: 1))
    with pytest.raises(JournalError, match=r"synchronous=1 instead of wal, 2 \(FULL\)"):
        Journal(path)
    monkeypatch.undo()
    Journal(path).close()


def test_a_waited_for_ticket_is_durable_at_once_and_knows_its_sequence(path: Path) -> None:
    with Journal(path, linger=10) as journal:
        journal.start_run(mode="replay", continues=False)
        first, second = journal.append(gap(1)), journal.append(gap(2))
        begun = time.monotonic()
        second.wait(5)
        assert time.monotonic() - begun < 5
        assert (first.done, first.sequence, second.sequence) == (True, 1, 2)
        assert (journal.durable_sequence, journal.lag) == (2, 0)
        assert [event for _, event in read(path)] == [gap(1), gap(2)]


def test_events_that_nobody_waits_for_are_written_together(path: Path, disk: Disk) -> None:
    with Journal(path, linger=0.2) as journal:
        journal.start_run(mode="replay", continues=False)
        for number in range(500):
            journal.append(gap(number))
        while journal.lag:
            time.sleep(0.01)
    assert disk.batches[0] > 400
    assert sum(disk.batches) == 500


def test_the_event_loop_runs_on_while_a_ticket_is_awaited(journal: Journal, disk: Disk) -> None:
    async def scenario() -> list[str]:
        order: list[str] = []
        disk.open.clear()
        ticket = journal.append(gap(1))

        async def elsewhere() -> None:
            await asyncio.sleep(0.02)
            order.append(f"elsewhere, done={ticket.done}")
            disk.open.set()

        task = asyncio.create_task(elsewhere())
        await asyncio.wait_for(journal.durable(ticket), 10)
        order.append(f"durable, done={ticket.done}")
        await journal.durable(ticket)
        await task
        return order

    assert asyncio.run(scenario()) == ["elsewhere, done=False", "durable, done=True"]


def test_a_cancelled_wait_and_a_closed_loop_do_not_hurt_the_journal(journal: Journal, disk: Disk) -> None:
    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(journal.durable(journal.append(gap(1))), 0.01)

    disk.open.clear()
    asyncio.run(give_up())
    disk.open.set()
    journal.append(gap(2)).wait(5)
    assert journal.failed is None


def test_a_full_queue_blocks_the_caller_and_counts_it(path: Path, disk: Disk) -> None:
    with Journal(path, linger=0, queue_limit=5) as journal:
        journal.start_run(mode="replay", continues=False)
        disk.open.clear()
        threading.Timer(0.1, disk.open.set).start()
        begun = time.monotonic()
        for number in range(20):
            journal.append(gap(number))
        assert time.monotonic() - begun > 0.05
        assert journal.stalls >= 1
    assert [event.at for _, event in read(path)] == list(range(20))


def test_a_disk_that_hangs_bounds_how_long_an_append_blocks(path: Path, disk: Disk) -> None:
    with Journal(path, linger=0, queue_limit=2, full_timeout=0.05) as journal:
        journal.start_run(mode="replay", continues=False)
        disk.open.clear()
        ticket = journal.append(gap(0))
        with pytest.raises(JournalError, match=r"none became durable within 0\.05 s"):
            append_many(journal, 20)
        with pytest.raises(JournalError, match=r"not durable within 0\.01 s"):
            ticket.wait(0.01)
        disk.open.set()


def test_a_failed_write_is_told_to_everybody(path: Path, disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    told: list[JournalError] = []
    journal = Journal(path)
    journal.start_run(mode="replay", continues=False)
    journal.on_failure(lambda _: 1 / 0)
    journal.on_failure(told.append)
    journal.append(gap(1)).wait(5)
    disk.error = sqlite3.OperationalError("database or disk is full")

    async def awaited() -> None:
        await journal.durable(journal.append(gap(2)))

    with pytest.raises(JournalError, match="database or disk is full") as caught:
        asyncio.run(awaited())
    assert caught.value.__cause__ is disk.error
    with pytest.raises(JournalError, match="after record 1 of run 1; 1 events are not durable"):
        journal.append(gap(3))
    with pytest.raises(JournalError):
        journal.flush()
    journal.on_failure(told.append)
    with pytest.raises(JournalError):
        journal.close()
    assert told == [journal.failed, journal.failed]
    assert "an on_failure callback of the journal raised" in caplog.text
    assert verify(path)[0].records == 1


def test_the_error_that_ended_a_block_is_not_replaced_by_the_journals(path: Path, disk: Disk) -> None:
    def block() -> None:
        with Journal(path) as journal:
            journal.start_run(mode="replay", continues=False)
            disk.error = sqlite3.OperationalError("disk I/O error")
            journal.append(gap(1)).wait(5)

    with pytest.raises(JournalError) as caught:
        block()
    assert caught.value.__context__ is None or caught.value.__cause__ is disk.error


def test_an_event_after_the_run_ended_fails_the_journal_but_not_the_run(path: Path) -> None:
    journal = Journal(path, linger=0.2)
    journal.start_run(mode="replay", continues=False)
    journal.append(RunEnded(1, "completed"))
    late = journal.append(gap(2))
    with pytest.raises(JournalError, match="BookGap after the run ended"):
        late.wait(5)
    with pytest.raises(JournalError):
        journal.close()
    assert verify(path)[0].outcome == "completed"


def test_nothing_is_taken_before_a_run_or_after_closing(path: Path) -> None:
    journal = Journal(path)
    with pytest.raises(JournalError, match="call start_run first"):
        journal.append(gap(1))
    journal.start_run(mode="replay", continues=False)
    journal.append(gap(1))
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match="the journal is closed"):
        journal.append(gap(2))
    assert len(list(read(path))) == 1


def test_appends_of_several_threads_keep_each_threads_order(path: Path) -> None:
    with Journal(path, linger=0.001) as journal:
        journal.start_run(mode="live", continues=True)

        def work(name: int) -> None:
            for number in range(300):
                ticket = journal.append(BookGap(number, f"T{name}", 0, 0))
            ticket.wait(10)

        threads = [threading.Thread(target=work, args=(name,)) for name in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = [event for _, event in read(path) if isinstance(event, BookGap)]
    for name in range(3):
        assert [event.at for event in found if event.symbol == f"T{name}"] == list(range(300))


def test_the_log_is_moved_into_the_file_when_the_writer_has_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_CHECKPOINT_IDLE", 1)
    with Journal(path, linger=0) as journal:
        journal.start_run(mode="replay", continues=False)
        for number in range(50):
            journal.append(gap(number)).wait(5)
        deadline = time.monotonic() + 5
        while b"book-gap" not in path.read_bytes():
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_the_head_is_logged(path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_HEAD_LOGGED_EVERY", 0.0)
    caplog.set_level(logging.INFO, "axon_quant.journal")
    with Journal(path, linger=0) as journal:
        journal.start_run(mode="replay", continues=False)
        journal.append(gap(1)).wait(5)
        head = journal.head
    assert f"sequence 1 head {head}" in caplog.text
    assert verify(path, logged=[head])


def test_folders_are_created_and_hopeless_paths_refused(tmp_path: Path) -> None:
    Journal(tmp_path / "a" / "b" / "journal.db").close()
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "journal.db", tmp_path):
        with pytest.raises(JournalError):
            Journal(path)
    with pytest.raises(JournalError, match="linger"):
        Journal(tmp_path / "journal.db", linger=float("nan"))


def test_the_lag_is_the_age_of_the_oldest_event_that_waits(path: Path, disk: Disk) -> None:
    with Journal(path, linger=0.0) as journal:
        journal.start_run(mode="replay", continues=False)
        time.sleep(0.3)
        assert journal.lag_seconds == 0.0, "nothing waits"
        disk.open.clear()
        journal.append(gap(1))
        assert journal.lag_seconds < 0.25, "it began when the event came, not when the writer fell idle"
        time.sleep(0.3)
        journal.append(gap(2))
        assert 0.3 <= journal.lag_seconds < 5
        disk.open.set()
        journal.flush()
        assert journal.lag_seconds == 0.0


def test_the_lag_of_a_journal_that_failed_goes_on_growing(path: Path, disk: Disk) -> None:
    journal = Journal(path, linger=0.0)
    journal.start_run(mode="replay", continues=False)
    disk.error = sqlite3.OperationalError("disk I/O error")
    with pytest.raises(JournalError):
        journal.append(gap(1)).wait(5)
    before = journal.lag_seconds
    time.sleep(0.05)
    assert journal.lag_seconds > before
    with pytest.raises(JournalError):
        journal.close()
