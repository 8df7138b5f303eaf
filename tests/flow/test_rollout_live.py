"""A rollout beside a venue in another process: the shadow is a thread, and what was decided outlives the run."""

from __future__ import annotations

import asyncio
import sys
import threading
from decimal import Decimal
from pathlib import Path

import attrs
import pytest

from axon_quant.config.rollout import GateEntry, RolloutEntry
from axon_quant.errors import ConfigError
from axon_quant.events import Decision, ModelLoaded, RolloutChanged
from axon_quant.inference.files import ModelFiles
from axon_quant.journal import read, runs
from axon_quant.market.generated import GeneratedMarket
from axon_quant.runtime.live import Live
from axon_quant.runtime.wiring import build_instruments

sys.path.insert(0, str(Path(__file__).parent))
from socket_venue import SocketAdapter, Venue, configured, hurried

# A machine that is busy with something else must not decide about the ratio of two latencies.
GATE = GateEntry(window_decisions=40, min_samples=20, passes=2, probation=1, max_p99_ratio=1e6)
CANARY = {"mode": "canary", "share": 1.0, "max_notional": Decimal(2_000)}


class Labels:
    """A store that only remembers what it was told."""

    def __init__(self, error=None):
        self.promoted = []
        self.error = error

    def promote(self, name, sha256):
        if self.error is not None:
            raise self.error
        self.promoted.append((name, sha256, threading.current_thread() is threading.main_thread()))


@pytest.fixture
def venue():
    made = Venue()
    yield made
    made.close()


@pytest.fixture
def trade(btcusdt, tmp_path, venue):
    """One live run with a rollout."""

    def run(*, seconds=25.0, gate=GATE, labels=None, on_progress=None, **options):
        entry = RolloutEntry(model="flow", gate=gate, **{"builtin": "demo-64x128", **options})
        config = attrs.evolve(configured(btcusdt, tmp_path / "live.db"), rollout=entry)
        instruments = build_instruments(config)
        market = GeneratedMarket(instruments[0], seconds=seconds, price=60_000.0)
        adapter = SocketAdapter(instruments, venue.port)
        live = Live(config, adapter, feed=hurried(market), on_progress=on_progress, labels=labels)
        return asyncio.run(live.run())

    return run


def changes(tmp_path, run):
    return [event for _, event in read(tmp_path / "live.db", run=run, kinds=[RolloutChanged])]


def test_a_candidate_is_promoted_live_its_label_moves_and_the_next_run_begins_with_it(trade, tmp_path):
    labels = Labels()
    first = trade(labels=labels)
    status = first.rollout
    assert (status.state, status.errors) == ("promoted", 0)
    assert status.disagreement == 0
    assert labels.promoted == [("flow", status.candidate_sha256, False)], "once, and not on the loop's thread"
    second = trade(seconds=10.0)
    assert [event.state for event in changes(tmp_path, 2)] == ["promoted"]
    assert second.models[0].number == 2
    assert second.rollout.windows == {}


def test_a_candidate_that_was_rolled_back_is_not_tried_again_but_another_one_is(trade, tmp_path):
    first = trade(builtin="demo-64x128-reversion", **CANARY)
    assert first.rollout.state == "rolled-back"
    second = trade(builtin="demo-64x128-reversion", seconds=10.0, **CANARY)
    assert second.rollout.state == "rolled-back"
    assert second.rollout.offered == 0
    names = {model.name for _, event in read(tmp_path / "live.db", run=2, kinds=[Decision]) for model in event.models}
    assert names == {"flow", "reversion"}
    assert trade(seconds=10.0, **CANARY).rollout.state == "running"


def test_a_restart_goes_on_with_the_step_it_was_in_and_with_the_same_keys(trade, tmp_path):
    steps = {"mode": "canary", "steps": (0.0, 0.9, 1.0), "salt": "a", "max_notional": Decimal(2_000)}
    gate = attrs.evolve(GATE, passes=3)
    first = trade(seconds=22.0, gate=gate, **steps)
    assert (first.rollout.state, first.rollout.step) == ("running", 2)
    second = trade(seconds=8.0, gate=gate, **steps)
    assert changes(tmp_path, 2)[0].step == 2
    assert second.rollout.symbols == first.rollout.symbols


def test_a_memory_that_cannot_be_read_is_an_error_and_not_a_fresh_start(trade, tmp_path):
    (tmp_path / "live.db.rollout.json").write_text("{")
    with pytest.raises(ConfigError, match="delete the file"):
        trade(seconds=1.0)


def test_a_label_that_cannot_be_moved_is_logged_and_the_model_serves_all_the_same(trade, caplog):
    summary = trade(labels=Labels(OSError("disk full")))
    assert summary.rollout.state == "promoted"
    assert summary.models[0].number == 2
    assert "could not move the label of flow: disk full" in caplog.text


def test_a_candidate_that_hangs_in_the_shadow_stops_no_order_and_is_rolled_back(trade, tmp_path, venue):
    release = threading.Event()

    class Hanging:
        def __init__(self, session):
            self._session = session
            self.hangs = False

        def __getattr__(self, name):
            return getattr(self._session, name)

        def run(self, x):
            if self.hangs:
                release.wait(60)
            return self._session.run(x)

    def hang(built):
        candidate = built.rollout.candidate
        if candidate is not None and not isinstance(candidate.session, Hanging):
            session = Hanging(candidate.session)
            candidate.replace_session(session, files=ModelFiles.at(candidate.config.path))
            session.hangs = True

    gate = attrs.evolve(GATE, passes=1_000)
    summary = trade(seconds=40.0, gate=gate, on_progress=hang, queue=8)
    release.set()
    assert summary.outcome == "completed"
    assert summary.rollout.state == "rolled-back"
    assert "now on answers" in summary.rollout.reason
    assert summary.rollout.dropped > 0
    over = changes(tmp_path, 1)[-1].at
    decisions = [event for _, event in read(tmp_path / "live.db", kinds=[Decision])]
    assert sum(event.at > over for event in decisions) > 0
    assert len(decisions) == summary.decisions
    assert summary.orders == len(venue.received) > 0
    assert not [event for _, event in read(tmp_path / "live.db", kinds=[ModelLoaded])]
    assert runs(tmp_path / "live.db")[-1].outcome == "completed"
