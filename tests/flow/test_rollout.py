"""A candidate beside the stable model, over a whole run: the good one is promoted, the bad ones are rolled back."""

from __future__ import annotations

import heapq
import json
import time
from collections import Counter
from contextlib import contextmanager, nullcontext
from decimal import Decimal

import attrs
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from axon_quant.cli.screen import print_summary
from axon_quant.config.rollout import GateEntry, RolloutEntry
from axon_quant.errors import ConfigError, ModelCheckError, ModelError
from axon_quant.events import (
    CancelRequested,
    Decision,
    ModelLoaded,
    OrderPlaced,
    OrderRefused,
    OrderUpdated,
    RolloutChanged,
    RolloutJudged,
)
from axon_quant.inference.files import ModelFiles
from axon_quant.journal import read, verify
from axon_quant.market.generated import GeneratedMarket
from axon_quant.orders import Side
from axon_quant.runtime.replay import Replay
from axon_quant.runtime.wiring import build_instruments

GATE = GateEntry(window_decisions=60, min_samples=40, passes=3, probation=2)
SAME = "demo-64x128"
OTHER = "demo-64x128-reversion"
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT")


class Merged:
    """Generated markets of several instruments as one, in order of time."""

    def __init__(self, config, seconds):
        self.markets = [
            GeneratedMarket(instrument, seconds=seconds, seed=seed, price=60_000.0)
            for seed, instrument in enumerate(build_instruments(config))
        ]
        self.malformed = 0

    @property
    def messages(self):
        return sum(market.messages for market in self.markets)

    def __iter__(self):
        return heapq.merge(*self.markets, key=lambda event: event.received)


@pytest.fixture
def three(btcusdt):
    """The example on three symbols."""
    (instrument,) = btcusdt.market.instruments
    instruments = tuple(attrs.evolve(instrument, symbol=symbol, base=symbol[:3]) for symbol in SYMBOLS)
    risk = attrs.evolve(btcusdt.risk, messages_per_second=50, max_executions_per_minute=1_000)
    return attrs.evolve(
        btcusdt, market=attrs.evolve(btcusdt.market, symbols=SYMBOLS, instruments=instruments), risk=risk
    )


def run(config, *, seconds=45.0, around=None, rollout=True, gate=GATE, **options):
    if rollout:
        options = {"builtin": SAME, **options}
        config = attrs.evolve(config, rollout=RolloutEntry(model="flow", gate=gate, **options))
    return Replay(config, market=Merged(config, seconds), around=around or (lambda _: nullcontext())).run()


def canary(*symbols, notional=2_000, **options):
    where = {"keys": symbols} if symbols else {"share": 1.0}
    return {"mode": "canary", "max_notional": Decimal(notional), **where, **options}


def events_of(config, *kinds, run=None):
    return [event for _, event in read(config.journal.path, run=run, kinds=kinds)]


def states(config):
    return [event.state for event in events_of(config, RolloutChanged)]


class Faulty:
    """A session that turns bad after `good` calls."""

    def __init__(self, session, act, good=200):
        self._session = session
        self._act = act
        self._good = good
        self.calls = 0

    def __getattr__(self, name):
        return getattr(self._session, name)

    def run(self, x):
        self.calls += 1
        scores = self._session.run(x)
        return self._act(scores) if self.calls > self._good else scores


def turning(act, good=60):
    """Let the candidate turn bad in mid-run: the checks at load have passed."""

    @contextmanager
    def around(built):
        candidate = built.rollout.candidate
        files = ModelFiles.at(candidate.config.path)
        candidate.replace_session(Faulty(candidate.session, act, good), files=files)
        yield

    return around


def inverted(scores):
    return scores[:, [1, 0, 2]].copy()


def raising(_):
    raise RuntimeError("out of memory")


def slow(scores):
    time.sleep(0.006)
    return scores


def test_an_equal_candidate_is_promoted_from_the_shadow_and_changes_no_order(btcusdt):
    summary = run(btcusdt)
    assert states(btcusdt) == ["running", "probation", "promoted"]
    assert summary.rollout.state == "promoted"
    assert summary.rollout.disagreement == 0
    assert summary.rollout.windows == {"pass": 5}
    (loaded,) = events_of(btcusdt, ModelLoaded)
    assert (loaded.model.name, loaded.model.number) == ("flow", 2)
    assert next(model for model in summary.models if model.name == "flow").number == 2
    plain = attrs.evolve(btcusdt, journal=attrs.evolve(btcusdt.journal, path=btcusdt.journal.path.with_name("p.db")))
    run(plain, rollout=False)
    assert events_of(btcusdt, OrderPlaced, OrderUpdated) == events_of(plain, OrderPlaced, OrderUpdated) != []


def test_a_candidate_in_the_shadow_never_trades_whatever_it_says(btcusdt):
    gate = attrs.evolve(GATE, failures=5, passes=100, max_disagreement=1.0)
    summary = run(btcusdt, builtin=OTHER, gate=gate)
    assert summary.rollout.state == "running"
    assert summary.rollout.disagreement > 0.3
    assert summary.rollout.distance > 0
    names = {model.name for event in events_of(btcusdt, Decision) for model in event.models}
    assert names == {"flow", "reversion"}
    plain = attrs.evolve(btcusdt, journal=attrs.evolve(btcusdt.journal, path=btcusdt.journal.path.with_name("p.db")))
    run(plain, rollout=False)
    assert events_of(btcusdt, Decision, OrderPlaced) == events_of(plain, Decision, OrderPlaced)


def test_a_candidate_that_disagrees_is_rolled_back_and_nothing_of_it_is_left(btcusdt):
    summary = run(btcusdt, builtin=OTHER)
    assert states(btcusdt) == ["running", "rolled-back"]
    assert "3 of the last 3 windows failed, now on disagreement" in events_of(btcusdt, RolloutChanged)[-1].reason
    assert summary.rollout.windows == {"fail": 3}
    assert events_of(btcusdt, ModelLoaded) == []
    assert all(model.number == 1 for model in summary.models)


@pytest.mark.parametrize("mode", ["shadow", "canary"])
def test_a_candidate_that_raises_is_rolled_back_at_once_and_costs_no_decision(btcusdt, mode):
    options = canary() if mode == "canary" else {}
    plain = run(btcusdt, rollout=False)
    summary = run(btcusdt, around=turning(raising), **options)
    assert summary.rollout.state == "rolled-back"
    assert "hard limit" in summary.rollout.reason
    assert summary.rollout.last_error.endswith("the model failed: out of memory")
    assert summary.decisions == plain.decisions
    assert all(len(event.models) == 2 for event in events_of(btcusdt, Decision, run=2))


@pytest.mark.parametrize("mode", ["shadow", "canary"])
def test_a_slow_candidate_is_rolled_back_by_a_limit_in_milliseconds(btcusdt, mode):
    options = canary() if mode == "canary" else {}
    summary = run(btcusdt, around=turning(slow), gate=attrs.evolve(GATE, max_p99_ms=4.0), **options)
    assert summary.rollout.state == "rolled-back"
    assert {event.checks for event in events_of(btcusdt, RolloutJudged) if event.verdict == "fail"} == {("latency",)}


def test_a_candidate_that_loses_money_on_paper_is_rolled_back(btcusdt):
    gate = attrs.evolve(GATE, max_disagreement=1.0, max_drawdown=5e-6, passes=100)
    summary = run(btcusdt, seconds=120, around=turning(inverted), gate=gate, **canary())
    assert summary.rollout.state == "rolled-back"
    failed = [event for event in events_of(btcusdt, RolloutJudged) if event.verdict == "fail"]
    assert {event.checks for event in failed} == {("drawdown",)}
    assert all(event.candidate_drawdown > max(event.stable_drawdown, 5e-6) for event in failed)


def test_a_hard_drawdown_does_not_wait_for_a_window(btcusdt):
    gate = attrs.evolve(GATE, max_disagreement=1.0, max_drawdown=0.0, hard_drawdown=1e-5, window_decisions=10_000)
    summary = run(btcusdt, seconds=90, around=turning(inverted), gate=gate)
    assert summary.rollout.windows == {}
    assert summary.rollout.state == "rolled-back"
    assert "drawdown" in summary.rollout.reason


def test_a_canary_decides_for_its_symbols_and_for_no_other(three):
    gate = attrs.evolve(GATE, passes=1_000, max_disagreement=1.0)
    summary = run(three, builtin=OTHER, gate=gate, **canary("ETHUSDT"))
    assert summary.rollout.symbols == ("ETHUSDT",)
    first = Counter((event.symbol, event.models[0].name) for event in events_of(three, Decision))
    assert set(first) == {("BTCUSDT", "flow"), ("ETHUSDT", "flow:candidate"), ("SOLUSDT", "flow")}


def exposures(config):
    """At each order of a canary symbol: what its position could become with it, in the quote asset."""
    position, open_, found = Counter(), {}, []
    for event in events_of(config, OrderPlaced, OrderUpdated):
        if isinstance(event, OrderPlaced):
            order = event.order
            before = position[order.symbol] + sum(o.quantity for o in open_.values() if o.symbol == order.symbol)
            open_[order.client_order_id] = order
            if order.side is Side.Buy:
                found.append((order.symbol, (before + order.quantity) * order.price))
        else:
            update = event.update
            if update.fill is not None:
                position[update.symbol] += update.fill.quantity * update.fill.side.sign
            if update.status.is_terminal:
                open_.pop(update.client_order_id, None)
    return found


def test_what_a_canary_holds_is_bounded_and_the_others_trade_on(three):
    gate = attrs.evolve(GATE, passes=1_000, max_disagreement=1.0)
    summary = run(three, builtin=OTHER, gate=gate, seconds=60, **canary("ETHUSDT", notional=500))
    found = exposures(three)
    bounded = [value for symbol, value in found if symbol == "ETHUSDT"]
    assert bounded
    assert max(bounded) <= 500
    assert max(value for symbol, value in found if symbol != "ETHUSDT") > 500
    refused = [event for event in events_of(three, OrderRefused) if event.rejects[0].control == "canary-notional"]
    assert summary.rejects_by_control.get("canary-notional", 0) == len(refused) > 0
    assert {event.order.symbol for event in refused} == {"ETHUSDT"}


def test_steps_widen_the_canary_and_end_in_a_promotion(three):
    summary = run(three, seconds=80, mode="canary", steps=(0.0, 0.4, 0.75, 1.0), salt="c", max_notional=Decimal(2_000))
    changes = events_of(three, RolloutChanged)
    assert summary.rollout.state == "promoted"
    kept: set[str] = set()
    for event in changes:
        if event.state == "running":
            assert kept <= set(event.symbols), "who is in stays in"
            kept = set(event.symbols)
    assert changes[0].symbols == ()
    assert set(changes[-3].symbols) == set(SYMBOLS)
    assert [event.state for event in changes[-2:]] == ["probation", "promoted"]


def test_a_step_that_nobody_is_in_is_left_out_and_a_canary_of_nobody_is_refused(three):
    with pytest.raises(ConfigError, match="no symbol is in the canary at 1e-06 of keys"):
        run(three, mode="canary", share=1e-6, max_notional=Decimal(1_000))
    summary = run(three, seconds=12, mode="canary", steps=(1e-6, 1.0), max_notional=Decimal(1_000))
    assert summary.rollout.steps == 1


PATIENT = """
from axon_quant import Order, OrderType, Side, Strategy

class Patient(Strategy):
    def on_decision(self, ctx, action):
        if not ctx.open_orders(ctx.symbol):
            instrument = ctx.instrument(ctx.symbol)
            price = instrument.round_price(ctx.reference_price(ctx.symbol) * 0.97)
            yield Order(ctx.symbol, Side.Buy, OrderType.Limit, price, "0.002")
"""


def test_a_rollback_cancels_what_the_candidate_left_open_and_leaves_the_others(three, tmp_path):
    (tmp_path / "patient.py").write_text(PATIENT)
    strategy = attrs.evolve(three.strategy, name="patient.py:Patient", options={})
    config = attrs.evolve(three, strategy=strategy, folder=tmp_path)
    gate = attrs.evolve(GATE, failures=1)
    run(config, builtin=OTHER, gate=gate, seconds=20, **canary("ETHUSDT"))
    (over,) = [event for event in events_of(config, RolloutChanged) if event.state == "rolled-back"]
    cancels = [event for event in events_of(config, CancelRequested) if event.at == over.at]
    assert [event.symbol for event in cancels] == ["ETHUSDT"]


def test_a_promoted_model_that_turns_bad_in_its_probation_makes_room_for_the_one_before(btcusdt):
    gate = attrs.evolve(GATE, probation=1_000)
    good = 3 * 60 + 40  # calls until after the promotion
    summary = run(btcusdt, around=turning(inverted, good), gate=gate)
    assert states(btcusdt) == ["running", "probation", "rolled-back"]
    first, second = events_of(btcusdt, ModelLoaded)
    assert (first.model.number, second.model.number) == (2, 3)
    served = {event.models[0].number: event.models[0].sha256 for event in events_of(btcusdt, Decision)}
    assert served[3] == served[1]
    assert summary.models[0].number == 3


@pytest.mark.parametrize("options", [{}, {"builtin": OTHER}, canary(), canary("ETHUSDT", builtin=OTHER)])
def test_two_runs_with_a_rollout_end_in_one_head(three, options):
    heads = [run(three, seconds=25, **options).journal_head for _ in range(2)]
    assert heads[0] == heads[1]
    verify(three.journal.path)


def test_too_few_samples_pause_and_a_person_decides(btcusdt):
    gate = attrs.evolve(GATE, window_seconds=2.0, min_samples=30)

    @contextmanager
    def around(built):
        seen["rollout"] = built.rollout
        yield

    seen = {}
    summary = run(btcusdt, gate=gate, around=around)
    assert summary.rollout.state == "paused"
    assert summary.rollout.held
    assert "a person decides" in summary.rollout.reason
    assert set(summary.rollout.windows) == {"inconclusive"}
    assert "until a person decides" in str(summary.rollout)


@pytest.mark.parametrize(
    ("act", "end"),
    [("promote", "promoted"), ("abort", "rolled-back"), ("pause", "paused")],
)
def test_a_person_can_decide_at_any_time(btcusdt, act, end):
    gate = attrs.evolve(GATE, probation=0)

    @contextmanager
    def around(built):
        getattr(built.rollout, act)()
        yield
        if end != "paused":
            with pytest.raises(ModelError, match="is over"):
                built.rollout.pause()

    summary = run(btcusdt, gate=gate, around=around)
    assert summary.rollout.state == end
    assert "by hand" in summary.rollout.reason


def test_a_pause_by_hand_ends_by_hand(btcusdt):
    def progress(built):
        rollout = built.rollout
        if built.engine.messages > 1_500 and rollout.status.held:
            rollout.resume()

    config = attrs.evolve(btcusdt, rollout=RolloutEntry(model="flow", builtin=SAME, gate=GATE))

    @contextmanager
    def around(built):
        built.rollout.pause()
        yield

    summary = Replay(config, market=Merged(config, 60), around=around, on_progress=progress).run()
    assert states(config) == ["running", "paused", "running", "probation", "promoted"]
    assert summary.rollout.windows["pass"] > 5, "the windows that passed during the pause do not count"


def test_when_the_stable_model_is_replaced_the_comparison_begins_anew(btcusdt):
    @contextmanager
    def around(built):
        (flow,) = [backend for backend in built.backends if backend.config.name == "flow"]
        seen["flow"] = flow
        yield

    seen = {}
    counts = []

    def progress(built):
        if built.engine.messages > 2_000 and not counts:
            counts.append(built.rollout.status.streak)
            seen["flow"].serve(seen["flow"].prepared)
        elif len(counts) == 1:
            counts.append(built.rollout.status.streak)

    gate = attrs.evolve(GATE, passes=100)
    config = attrs.evolve(btcusdt, rollout=RolloutEntry(model="flow", builtin=SAME, gate=gate))
    Replay(config, market=Merged(config, 45), around=around, on_progress=progress).run()
    assert counts[0] == 3
    assert counts[1] == 1, "the window after the swap"


def test_a_candidate_that_does_not_fit_is_refused_before_anything_is_written(btcusdt, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    with pytest.raises(ModelError):
        run(btcusdt, builtin=None, path=broken)
    with pytest.raises(ModelCheckError, match="pinned"):
        run(btcusdt, sha256="0" * 64)
    assert not btcusdt.journal.path.exists()


def test_the_summary_tells_of_the_rollout_in_json_and_on_the_terminal(btcusdt):
    summary = run(btcusdt, seconds=20, **canary())
    data = json.loads(msgspec.json.encode(summary))
    assert data["rollout"]["state"] == "running"
    assert data["rollout"]["symbols"] == ["BTCUSDT"]
    console = Console(record=True, width=400)
    print_summary(summary, console)
    assert "flow: running: started; candidate" in console.export_text()
    assert json.loads(msgspec.json.encode(run(btcusdt, seconds=8, rollout=False)))["rollout"] is None


def test_a_scrape_in_mid_run_tells_where_the_rollout_stands(btcusdt):
    seen = {}

    def scrape(built):
        seen["text"] = built.metrics.render()

    gate = attrs.evolve(GATE, passes=1_000)
    config = attrs.evolve(btcusdt, rollout=RolloutEntry(model="flow", builtin=SAME, gate=gate))
    Replay(config, market=Merged(config, 30), on_progress=scrape).run()
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(seen["text"])
        for sample in family.samples
    }
    assert samples["trading_rollout_state", "flow", "running"] == 1
    assert samples["trading_rollout_windows_total", "flow", "pass"] >= 2
    assert samples["trading_rollout_disagreement_ratio", "flow"] == 0
    assert samples["trading_rollout_queue_observations", "flow"] == 0
