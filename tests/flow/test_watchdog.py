"""A run that stops answering has its orders cancelled by another process: real signals, a simulated Binance."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from axon_quant.events import RiskStateChanged

sys.path.insert(0, str(Path(__file__).parent))
from venue_process import AXON, axon, resting_venue, standing

pytestmark = pytest.mark.slow


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
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()


class Watch:
    """`axon watchdog`, and what it has said."""

    def __init__(self, venue, folder, *options):
        self.log = folder / "watchdog.log"
        command = [*AXON, "watchdog", "-c", str(venue.config), *options]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, env=venue.environment, stdout=log, stderr=log)

    def says(self, text, seconds=20.0):
        deadline = time.monotonic() + seconds
        while text not in self.log.read_text():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def end(self):
        self.process.terminate()
        self.process.wait(10)
        assert "Traceback" not in self.log.read_text(), self.log.read_text()
        assert "YOUR_API" not in self.log.read_text()


@pytest.fixture
def watched(venue, running, tmp_path):
    watch = Watch(venue, tmp_path)
    try:
        watch.says("the run answers")
        time.sleep(1.0)
        yield watch
    finally:
        watch.end()


def until_none_is_open(venue, seconds):
    began = time.monotonic()
    while standing(venue):
        assert time.monotonic() - began < seconds, f"{len(standing(venue))} orders are open after {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - began


def test_a_stopped_run_has_nothing_open_within_three_seconds_and_is_halted_when_it_goes_on(venue, running, watched):
    running.send_signal(signal.SIGSTOP)
    took = until_none_is_open(venue, 10.0)
    assert took < 3.0
    watched.says("open orders were cancelled at the venue")
    count = len(venue.truth()["orders"])

    running.send_signal(signal.SIGCONT)
    watched.says("the run answers again")
    time.sleep(1.0)
    assert len(venue.truth()["orders"]) <= count + 1, "it went on trading"
    assert not standing(venue)
    found = json.loads(axon(venue, "status", "--json"))
    assert found["state"] == "halted"
    assert "the watchdog gave the run up" in found["reason"]

    axon(venue, "resume", "--reason", "it was a debugger", "--yes")
    venue.wait_for(lambda: len(standing(venue)) >= 10, running)
    venue.stop(running)
    watched.says("ended in an orderly way")
    assert [event.state for event in venue.recorded(RiskStateChanged)] == ["halted", "active"]


def test_a_killed_run_has_nothing_open_and_its_restart_is_halted(venue, running, watched):
    running.kill()
    assert until_none_is_open(venue, 10.0) < 3.0
    watched.says("its next start is halted")
    count = len(venue.truth()["orders"])
    process = venue.run()
    try:
        venue.wait_for(lambda: venue.recorded(RiskStateChanged), process)
        time.sleep(1.0)
        found = json.loads(axon(venue, "status", "--json"))
        assert found["state"] == "halted"
        assert len(venue.truth()["orders"]) == count
        summary = venue.stop(process)
    finally:
        process.kill()
        process.communicate()
    assert any("the watchdog gave the run up" in notice for notice in summary["notices"])


def test_a_watchdog_that_a_run_has_started_ends_with_it_and_outlives_a_kill(venue):
    command = [*AXON, "run", "-c", str(venue.config), "--json", "--watchdog"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=venue.environment, **pipes)
    try:
        venue.wait_for(lambda: len(standing(venue)) >= 10, process, 20.0)
        time.sleep(1.5)
        process.kill()
        until_none_is_open(venue, 10.0)
        _, errors = process.communicate(timeout=20.0)  # its end is that of the watchdog, which holds the pipe
    finally:
        process.kill()
    assert "the run is given up" in errors
    assert re.search(r"\d+ open orders were cancelled at the venue", errors)

    venue.journal.with_name(venue.journal.name + ".halted").unlink()
    process = subprocess.Popen(command, env=venue.environment, **pipes)
    try:
        venue.wait_for(lambda: standing(venue), process, 20.0)
        venue.stop(process)  # which waits until nobody holds its pipes
    finally:
        process.kill()
