"""An order is on disk before it leaves the process, whatever happens to the process."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import attrs
import pytest

from axon_quant.errors import JournalError
from axon_quant.events import FeatureRow, OrderPlaced, OrderUpdated, RiskStateChanged
from axon_quant.journal import Journal, read, runs, verify
from axon_quant.market.generated import GeneratedMarket
from axon_quant.orders import OrderStatus
from axon_quant.risk import RiskState
from axon_quant.runtime.live import Live
from axon_quant.runtime.wiring import build_instruments

sys.path.insert(0, str(Path(__file__).parent))
from socket_venue import SocketAdapter, Venue, configured, hurried
from venue_process import RESTING

TRADER = Path(__file__).with_name("socket_venue.py")


@pytest.fixture
def venue():
    venue = Venue()
    yield venue
    venue.close()


def placed(path: Path) -> set[str]:
    return {
        event.order.client_order_id
        for row in runs(path)
        for _, event in read(path, run=row.number, kinds=[OrderPlaced])
    }


def trader(root: Path, journal: Path, venue: Venue, seconds: float, *prefix: str) -> subprocess.Popen[str]:
    arguments = [str(root / "examples" / "btcusdt.toml"), str(journal), str(venue.port), str(seconds)]
    return subprocess.Popen([*prefix, sys.executable, str(TRADER), *arguments], stdout=subprocess.PIPE, text=True)


def test_no_order_that_left_is_missing_after_twenty_kills(root, tmp_path, venue):
    journal = tmp_path / "live.db"
    rng = random.Random(5)
    for _ in range(20):
        before = len(venue.acknowledged)
        process = trader(root, journal, venue, 3_600)
        deadline = time.monotonic() + 30
        while len(venue.acknowledged) == before and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(rng.uniform(0.0, 0.25))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert len(venue.acknowledged) > before
    known = placed(journal)
    assert set(venue.received) <= known, "an order reached the venue without being on disk"
    assert len(venue.acknowledged) >= 20
    assert len(set(venue.received)) == len(venue.received), "no order was sent twice"
    reports = verify(journal)
    assert len(reports) == 20
    assert all(report.outcome is None for report in reports)

    last = trader(root, journal, venue, 12)
    output, _ = last.communicate(timeout=60)
    notices = json.loads(output)["notices"]
    assert any("was killed before it ended" in notice for notice in notices)
    assert verify(journal)[-1].outcome == "completed"


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_trace_shows_the_disk_before_the_send(root, tmp_path, venue):
    trace = tmp_path / "trace"
    calls = "pwrite64,write,fdatasync,fsync,sendto"
    process = trader(
        root,
        tmp_path / "live.db",
        venue,
        12,
        "strace",
        "-f",
        "-y",
        "-s",
        "200000",
        "-e",
        f"trace={calls}",
        "-o",
        str(trace),
    )
    output, _ = process.communicate(timeout=120)
    assert json.loads(output)["orders"] > 3
    written: dict[str, int] = {}
    synced: dict[str, int] = {}
    sent: dict[str, int] = {}
    unsynced: set[str] = set()
    pending: dict[str, set[str]] = {}
    for number, line in enumerate(trace.read_text(errors="replace").splitlines()):
        thread = line.split()[0]
        if "live.db" in line and re.search(r"\b(pwrite64|write)\(", line):
            for identifier in venue.received:
                if identifier in line and identifier not in written:
                    written[identifier] = number
                    unsynced.add(identifier)
        elif "fdatasync(" in line and "live.db" in line:
            if "unfinished" in line:
                pending[thread] = set(unsynced)
            else:
                synced |= dict.fromkeys(unsynced, number)
            unsynced.clear()
        elif "fdatasync resumed" in line:
            synced |= dict.fromkeys(pending.pop(thread, set()), number)
        elif "sendto(" in line:
            for identifier in venue.received:
                if f'place\\": \\"{identifier}' in line:
                    sent.setdefault(identifier, number)
    assert set(sent) == set(venue.received)
    for identifier, at in sent.items():
        assert written[identifier] < synced[identifier] < at, identifier


def live(btcusdt, journal: Path, venue: Venue, seconds: float = 12.0) -> Live:
    config = configured(btcusdt, journal)
    instruments = build_instruments(config)
    market = GeneratedMarket(instruments[0], seconds=seconds, price=60_000.0)
    return Live(config, SocketAdapter(instruments, venue.port), feed=hurried(market))


def test_a_venue_outside_the_process_is_traded_and_its_answers_are_journaled(btcusdt, tmp_path, venue):
    summary = asyncio.run(live(btcusdt, tmp_path / "live.db", venue).run())
    assert summary.outcome == "completed"
    assert summary.mode == "live"
    assert summary.orders == len(venue.received) > 0
    assert summary.fills > 0
    assert "durable" in summary.latency_us
    updates = [event.update for _, event in read(tmp_path / "live.db", kinds=[OrderUpdated])]
    last = {update.client_order_id: update.status for update in updates}
    assert all(status.is_terminal for status in last.values()), "nothing is left open"
    (report,) = verify(tmp_path / "live.db")
    assert report.outcome == "completed"


def test_a_second_live_run_continues_the_chain(btcusdt, tmp_path, venue):
    first = asyncio.run(live(btcusdt, tmp_path / "live.db", venue).run())
    second = asyncio.run(live(btcusdt, tmp_path / "live.db", venue).run())
    assert second.run == first.run + 1
    assert first.journal_head != second.journal_head
    assert [report.outcome for report in verify(tmp_path / "live.db")] == ["completed", "completed"]


def test_when_the_journal_fails_nothing_more_is_sent(btcusdt, tmp_path, venue, monkeypatch):
    original = Journal.durable

    async def failing(self, ticket):
        if len(venue.received) >= 2:
            raise JournalError("the disk is gone")
        await original(self, ticket)

    monkeypatch.setattr(Journal, "durable", failing)
    summary = asyncio.run(live(btcusdt, tmp_path / "live.db", venue, 30.0).run())
    assert len(venue.received) == 2
    assert summary.risk_state == "HALTED"
    events = [event for _, event in read(tmp_path / "live.db", kinds=[OrderUpdated, RiskStateChanged])]
    refused = [e.update for e in events if isinstance(e, OrderUpdated) and e.update.status is OrderStatus.Rejected]
    assert "never sent" in refused[0].reason


def test_a_killed_replay_starts_a_new_run_and_says_so(root, btcusdt_session, tmp_path, durable_records):
    text = (root / "examples" / "btcusdt.toml").read_text()
    (tmp_path / "run.toml").write_text(text)
    command = [sys.executable, "-m", "axon_quant.cli", "run", "-c", str(tmp_path / "run.toml")]
    command += ["--replay", str(btcusdt_session), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    journal = tmp_path / "journal" / "btcusdt.db"
    durable_records(journal, 50)
    process.kill()
    process.wait()
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    summary = json.loads(finished.stdout)
    assert summary["run"] == 2
    assert any("run 1 (replay) was killed" in notice for notice in summary["notices"])
    first, second = verify(journal)
    assert (first.outcome, second.outcome) == (None, "completed")
    assert second.head == summary["journal_head"]


def test_a_halt_is_carried_out_while_a_feed_goes_on_without_a_pause(btcusdt, tmp_path, venue):
    (tmp_path / "resting.py").write_text(RESTING)
    config = configured(btcusdt, tmp_path / "live.db")
    strategy = attrs.evolve(config.strategy, name="resting.py:Resting", options={"most": 5})
    config = attrs.evolve(config, folder=tmp_path, strategy=strategy)
    instruments = build_instruments(config)

    async def unbroken():
        for event in GeneratedMarket(instruments[0], seconds=60.0, price=60_000.0):
            engine, risk = live.built.engine, live.built.risk
            if len(engine.tracker.open) >= 3 and not engine.router.busy and risk.state is RiskState.ACTIVE:
                risk.halt("now")
            yield event

    live = Live(config, SocketAdapter(instruments, venue.port), feed=unbroken())
    assert asyncio.run(live.run()).risk_state == "HALTED"
    kinds = [FeatureRow, OrderUpdated, RiskStateChanged]
    events = [event for _, event in read(tmp_path / "live.db", kinds=kinds)]
    halted = next(number for number, event in enumerate(events) if isinstance(event, RiskStateChanged))
    last = max(number for number, event in enumerate(events) if isinstance(event, OrderUpdated))
    assert last > halted, "nothing was open"
    rows = [isinstance(event, FeatureRow) for event in events]
    assert sum(rows[halted:last]) < sum(rows[halted:]) / 2, "the orders were cancelled when the feed was over"
