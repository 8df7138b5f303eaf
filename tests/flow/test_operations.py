"""A running `axon run` is taken hold of from outside: real processes, real sockets, a simulated Binance."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from axon_quant.events import OperatorActed, OrderPlaced, OrderUpdated, RiskStateChanged
from axon_quant.journal import verify

sys.path.insert(0, str(Path(__file__).parent))
from venue_process import axon, resting_venue, standing


@pytest.fixture
def venue(root, tmp_path):
    venue = resting_venue(tmp_path, root)
    yield venue
    venue.close()


@pytest.fixture
def running(venue):
    process = venue.run()
    try:
        venue.wait_for(lambda: len(standing(venue)) >= 10, process, 20.0)
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_halt_cancels_what_is_open_and_a_resume_trades_again(venue, running):
    said = axon(venue, "halt", "--reason", "the desk is on fire")
    assert not standing(venue)
    assert re.search(r"10 open orders cancelled in \d+ ms", said), said
    count = len(venue.truth()["orders"])
    time.sleep(0.5)
    assert len(venue.truth()["orders"]) == count, "an order was sent after the halt"
    found = json.loads(axon(venue, "status", "--json"))
    assert (found["state"], found["reason"], found["open_orders"]) == ("halted", "the desk is on fire", 0)
    assert found["pid"] == running.pid
    assert "halted" in axon(venue, "status")

    said = axon(venue, "resume", "--reason", "put out", given="n\n", code=1)
    assert "nothing was changed" in said
    assert re.search(r", positions BTCUSDT [0-9.]+, 0 open orders", said)
    assert "Missing option '--reason'" in axon(venue, "resume", code=2)
    assert "active" in axon(venue, "resume", "--reason", "put out", given="y\n")
    venue.wait_for(lambda: len(standing(venue)) >= 10, running)
    assert "nothing was changed" in axon(venue, "resume", "--reason", "again", "--yes")

    venue.stop(running)
    acted = venue.recorded(OperatorActed)
    assert [(event.action, event.reason) for event in acted] == [("halt", "the desk is on fire"), ("resume", "put out")]
    assert all(re.fullmatch(rf".+ \(uid {os.getuid()}, pid \d+\)", event.who) for event in acted)
    assert [event.state for event in venue.recorded(RiskStateChanged)] == ["halted", "active"]
    updates = [event.update for event in venue.recorded(OrderUpdated)]
    ended = {update.client_order_id for update in updates if update.status.is_terminal}
    assert {event.order.client_order_id for event in venue.recorded(OrderPlaced)} == ended


def test_a_halt_outlives_the_process(venue, running):
    axon(venue, "halt", "--reason", "enough for today")
    venue.stop(running)
    count = len(venue.truth()["orders"])
    process = venue.run()
    try:
        venue.wait_for(lambda: (venue.journal.with_name(venue.journal.name + ".sock")).exists(), process)
        found = json.loads(axon(venue, "status", "--json"))
        assert found["state"] == "halted"
        assert found["reason"].startswith("enough for today (by ")
        time.sleep(1.0)
        assert len(venue.truth()["orders"]) == count, "a halted run has traded after its restart"
        axon(venue, "resume", "--reason", "a new day", "--yes")
        venue.wait_for(lambda: standing(venue), process)
        summary = venue.stop(process)
    finally:
        process.kill()
        process.communicate()
    assert summary["risk_state"] == "ACTIVE"


def test_reducing_takes_no_order_that_raises_a_position(venue, running):
    said = axon(venue, "reduce", "--reason", "end of the day")
    assert said.strip() == "reducing: end of the day"
    assert len(standing(venue)) == 10, "open orders stay"
    axon(venue, "halt", "--reason", "and now all")
    assert "halted, which is stricter" in axon(venue, "reduce", code=1)


def test_a_stop_by_signal_leaves_nothing_open_and_the_socket_goes(venue, running):
    running.send_signal(signal.SIGTERM)
    output, errors = running.communicate(timeout=40)
    assert running.returncode == 130, errors
    summary = json.loads(output)
    assert (summary["outcome"], summary["orders"]) == ("interrupted", len(venue.truth()["orders"]))
    assert not standing(venue)
    (report,) = verify(venue.journal)
    assert report.outcome == "interrupted"
    assert "no run is controlled" in axon(venue, "halt", code=1)
    assert not list(venue.folder.rglob("*.sock"))


def test_a_second_run_on_the_account_is_refused(venue, running):
    text = venue.config.read_text()
    venue.config.write_text(text.replace("btcusdt.db", "another.db"))
    second = venue.run()
    _, errors = second.communicate(timeout=30)
    assert second.returncode == 1
    assert f"another process (pid {running.pid}) trades on this binance account" in errors
    assert "YOUR_API_KEY" not in errors


def test_a_killed_run_is_told_from_one_that_never_was(venue, running):
    running.kill()
    running.wait()
    assert "has died" in axon(venue, "status", code=1)
    assert running.returncode == -signal.SIGKILL


def test_a_run_that_does_not_answer_is_marked_halted_all_the_same(venue, running):
    running.send_signal(signal.SIGSTOP)
    said = axon(venue, "halt", "--reason", "it hangs", "--timeout", "0.5", code=1)
    assert "marked halted" in said
    assert "nothing was cancelled" in said
    running.send_signal(signal.SIGCONT)
    venue.wait_for(lambda: not standing(venue), running)
    found = json.loads(axon(venue, "status", "--json"))
    assert found["state"] == "halted"
    assert found["reason"].startswith("it hangs")
    running.kill()
    running.wait()
    venue.journal.with_name(venue.journal.name + ".halted").unlink()
    assert "has died" in axon(venue, "halt", code=1)
    assert venue.journal.with_name(venue.journal.name + ".halted").exists()
