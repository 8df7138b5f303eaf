"""What the ensemble has learnt outlives a live run, by way of the journal."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import attrs
import pytest

from axon_quant.clock import SimClock
from axon_quant.ensemble import DynamicWeightedEnsemble
from axon_quant.events import EnsembleSaved, MemberDrifted, MemberFailed, RunEnded, WeightsChanged
from axon_quant.journal import Journal, read, runs
from axon_quant.journal.reader import latest
from axon_quant.market.generated import GeneratedMarket
from axon_quant.runtime.live import Live
from axon_quant.runtime.memory import EnsembleMemory
from axon_quant.runtime.replay import Replay
from axon_quant.runtime.wiring import build_ensemble, build_instruments

sys.path.insert(0, str(Path(__file__).parent))
from socket_venue import SocketAdapter, Venue, configured, hurried

SECONDS = 40.0


@pytest.fixture
def venue():
    made = Venue()
    yield made
    made.close()


@pytest.fixture
def config(btcusdt, tmp_path):
    """Two members that are judged by the next row, so that a short run learns something."""
    config = configured(btcusdt, tmp_path / "live.db")
    return attrs.evolve(
        config, ensemble=attrs.evolve(config.ensemble, performance_window=20, horizon_rows=1, save_every_rounds=7)
    )


@pytest.fixture
def trade(config, venue):
    def run(config=config, seconds=SECONDS):
        instruments = build_instruments(config)
        market = GeneratedMarket(instruments[0], seconds=seconds, price=60_000.0)
        return asyncio.run(Live(config, SocketAdapter(instruments, venue.port), feed=hurried(market)).run())

    return run


def saved(path, run):
    return [event for _, event in read(path, run=run, kinds=[EnsembleSaved])]


def test_the_next_live_run_goes_on_from_what_the_last_one_had_learnt(trade, config):
    first = trade()
    path = config.journal.path
    (*_, last) = saved(path, 1)
    learnt = dict(zip((m.name for m in last.state.members), last.state.weights, strict=True))
    assert learnt == first.weights
    assert len(set(first.weights.values())) > 1, "it has learnt nothing"
    second = trade(seconds=1.0)  # too short for a decision
    assert second.weights == first.weights
    assert "the ensemble goes on from what it had learnt in run 1" in second.notices
    assert saved(path, 2)[-1].state == last.state
    (told, *_) = [event for _, event in read(path, run=2, kinds=[WeightsChanged])]
    assert told.weights == last.state.weights


def test_it_is_saved_every_few_rounds_and_once_more_at_the_end(trade, config):
    trade()
    events = [event for _, event in read(config.journal.path, kinds=[EnsembleSaved, RunEnded])]
    assert len(events) > 5
    assert [type(event) for event in events[-2:]] == [EnsembleSaved, RunEnded]
    assert all(len(m.returns.values) == 20 for m in events[-2].state.members)


def test_a_replay_neither_saves_nor_resumes(trade, config, btcusdt):
    first = trade()
    offline = attrs.evolve(btcusdt, journal=config.journal, ensemble=config.ensemble)
    market = GeneratedMarket(build_instruments(offline)[0], seconds=1.0, price=60_000.0)
    summary = Replay(offline, market=market).run()
    assert set(summary.weights.values()) == {0.5}
    assert summary.notices == ()
    assert saved(config.journal.path, 2) == []
    assert trade(seconds=1.0).weights == first.weights, "the replay in between is no live run"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"performance_window": 21}, "the performance_window 20, not 21"),
        ({"strategy": "hedge"}, "the strategy softmax-sharpe, not hedge"),
    ],
)
def test_a_changed_ensemble_starts_afresh_and_says_why(trade, config, change, reason):
    trade()
    summary = trade(attrs.evolve(config, ensemble=attrs.evolve(config.ensemble, **change)), seconds=1.0)
    assert set(summary.weights.values()) == {0.5}
    (notice,) = [notice for notice in summary.notices if "afresh" in notice]
    assert reason in notice


def test_resuming_can_be_turned_off(trade, config):
    trade()
    summary = trade(attrs.evolve(config, ensemble=attrs.evolve(config.ensemble, resume=False)), seconds=1.0)
    assert set(summary.weights.values()) == {0.5}
    assert not any("ensemble" in notice for notice in summary.notices)


def test_a_run_that_was_killed_leaves_what_it_saved_last(root, tmp_path, venue, durable_records, trade, config):
    text = (root / "examples" / "btcusdt.toml").read_text()
    for before, after in (
        ("performance_window = 100", "performance_window = 20\nsave_every_rounds = 7"),
        ("horizon_rows = 10", "horizon_rows = 1"),
    ):
        assert before in text
        text = text.replace(before, after)
    (tmp_path / "c.toml").write_text(text)
    script = Path(__file__).with_name("socket_venue.py")
    command = [sys.executable, script, tmp_path / "c.toml", config.journal.path, str(venue.port), "600"]
    process = subprocess.Popen(list(map(str, command)))
    try:
        durable_records(config.journal.path, 1500)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert runs(config.journal.path)[0].outcome is None
    run, event = latest(config.journal.path, EnsembleSaved, mode="live")
    assert run == 1
    summary = trade(seconds=1.0)
    assert tuple(summary.weights.values()) == event.state.weights


def test_drift_and_trials_are_set_by_the_configuration(config):
    events = []
    bus = SimpleNamespace(record=events.append)
    entry = attrs.evolve(
        config.ensemble,
        drift="cusum",
        on_drift="deactivate",
        retry_after_decisions=5,
        trial_decisions=2,
        max_failures=1,
    )
    answer = {"scores": [0.6, 0.3, 0.1]}

    def member(_):
        if isinstance(answer["scores"], Exception):
            raise answer["scores"]
        return answer["scores"]

    models = [member, lambda _: [0.1, 0.8, 0.1]]
    ensemble = build_ensemble(attrs.evolve(config, ensemble=entry), models, {}, bus, SimClock())
    for number in range(560):
        answer["scores"] = [0.6 + 0.001 * (number % 5), 0.3 - 0.001 * (number % 5), 0.1]
        ensemble.predict(None)
    assert not events
    for number in range(20):
        answer["scores"] = [0.9 + 0.001 * (number % 5), 0.1 - 0.001 * (number % 5), 0.0]
        ensemble.predict(None)
        if not ensemble.weights[0]:
            break
    drifted = [event for event in events if isinstance(event, MemberDrifted)]
    assert [(event.member, event.stream, event.deactivated) for event in drifted] == [("flow", "confidence", True)]
    answer["scores"] = [0.602, 0.298, 0.1]
    for _ in range(8):
        ensemble.predict(None)
    assert ensemble.weights[0] == pytest.approx(0.5)
    answer["scores"] = ValueError("no luck")
    ensemble.predict(None)
    assert [event.deactivated for event in events if isinstance(event, MemberFailed)] == [True]


def test_a_saved_state_that_this_version_cannot_read_is_no_reason_not_to_trade(tmp_path):
    ensemble = DynamicWeightedEnsemble([lambda _: [1.0, 0.0, 0.0]])
    with Journal(tmp_path / "j.db") as journal:
        journal.start_run(mode="live", continues=True)
        memory = EnsembleMemory(ensemble, journal.append, SimClock(), 1)
        memory.save()
        journal.flush()
        with journal._storage.lock:
            journal._storage._connection.execute(
                "UPDATE records SET body = replace(body, '\"window\":100', '\"wind\":1')"
            )
        memory.resume(journal.path)
    assert "starts afresh" in memory.notice
