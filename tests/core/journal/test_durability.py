"""What survives: kills at any moment, full disks, second writers. An outside process is the witness."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from axon_quant.errors import JournalLockedError
from axon_quant.events import BookGap
from axon_quant.journal import Journal, read, verify

Spawn = Callable[..., "subprocess.Popen[str]"]

APPENDS = """
import os, sys
from axon_quant.events import BookGap
from axon_quant.journal import Journal

with Journal(sys.argv[1], linger=0.001) as journal:
    journal.start_run(mode="live", continues=True)
    number = 0
    while number < int(sys.argv[2]):
        for _ in range(5):
            number += 1
            ticket = journal.append(BookGap(number, "BTCUSDT", number, 0))
        ticket.wait()
        os.write(1, b"%d\\n" % ticket.sequence)
"""

HOLDS = """
import signal, sys
from axon_quant.journal import Journal

with Journal(sys.argv[1]):
    print("held", flush=True)
    signal.pause()  # until it is killed
"""

FILLS = """
import resource, signal, sys
from axon_quant.errors import JournalError
from axon_quant.events import BookGap
from axon_quant.journal import Journal

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
told = []
journal = Journal(sys.argv[1], linger=0.001)
journal.start_run(mode="live", continues=True)
journal.on_failure(told.append)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
durable = 0
try:
    for number in range(1, 100_000):
        ticket = journal.append(BookGap(number, "B" * 500, number, 0))
        if number % 10 == 0:
            ticket.wait(20)
            durable = ticket.sequence
except JournalError as error:
    try:
        journal.append(BookGap(0, "B", 0, 0))
    except JournalError:
        print(durable, error)
    try:
        journal.close()
    except JournalError:
        assert told == [journal.failed], told
"""


def test_kill_9_at_twenty_random_points_loses_nothing_acknowledged(path: Path, spawn: Spawn) -> None:
    seed = random.randrange(2**32)
    generator = random.Random(seed)
    acknowledged: list[int] = []
    for _ in range(20):
        process = spawn(APPENDS, path, 10**9)
        assert process.stdout is not None
        lines = [process.stdout.readline()]  # from the first acknowledgement on
        time.sleep(generator.uniform(0, 0.04))
        process.kill()
        lines += process.stdout.readlines()
        process.wait()
        acknowledged.append(max(int(line) for line in lines if line.endswith("\n")))
    reports = verify(path)
    assert len(reports) == 20
    for report, last in zip(reports, acknowledged, strict=True):
        assert (report.outcome, report.records >= last > 0) == (None, True), f"seed {seed}"
        found = [event.at for _, event in read(path, run=report.number)]
        assert found == list(range(1, report.records + 1))


def test_a_second_process_is_locked_out_until_the_first_is_gone(path: Path, spawn: Spawn) -> None:
    process = spawn(HOLDS, path)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(JournalLockedError, match=rf"pid {process.pid}\b"):
        Journal(path)
    process.kill()
    process.wait()
    Journal(path).close()


def test_a_full_disk_stops_appends_and_leaves_what_was_acknowledged(path: Path, spawn: Spawn) -> None:
    process = spawn(FILLS, path)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    durable, _, text = output.partition(" ")
    assert "events are not durable" in text
    (report,) = verify(path)
    assert report.records >= int(durable) > 100


def test_the_journal_goes_on_after_the_disk_was_full(path: Path, spawn: Spawn) -> None:
    spawn(FILLS, path).communicate(timeout=60)
    with Journal(path) as journal:
        assert journal.start_run(mode="live", continues=True).previous is not None
        journal.append(BookGap(1, "BTCUSDT", 1, 0)).wait(5)
    assert [report.number for report in verify(path)] == [1, 2]


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_disk_is_synchronised_before_each_acknowledgement(path: Path, tmp_path: Path, spawn: Spawn) -> None:
    trace = tmp_path / "trace"
    strace = (str(shutil.which("strace")), "-f", "-y", "-e", "trace=fdatasync,fsync,write,pwrite64", "-o", str(trace))
    process = spawn(APPENDS, path, 25, under=strace)
    output, errors = process.communicate(timeout=60)
    if process.returncode != 0 and "ptrace" in errors.lower():
        pytest.skip(f"strace may not trace here: {errors.strip().splitlines()[-1]}")
    assert output.split() == ["5", "10", "15", "20", "25"]
    log, synchronised, acknowledged = f"{os.path.realpath(path)}-wal", False, 0
    for line in trace.read_text().splitlines():
        if "pwrite64(" in line and log in line:
            synchronised = False
        elif ("sync(" in line and log in line) or "sync resumed" in line:
            synchronised = " = 0" in line or synchronised
        elif "write(1<" in line:
            acknowledged += 1
            assert synchronised, f"acknowledgement {acknowledged} left before the log was on disk"
    assert acknowledged == 5
