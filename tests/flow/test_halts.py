"""Whatever halts a live run, nothing stays open at the venue: a whole run, a simulated Binance, real sockets."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace

import attrs
import pytest

from axon_quant.config import OperationsConfig, RateLimitEntry
from axon_quant.control import HaltFile
from axon_quant.errors import ConfigError, ControlError, ExchangeError, JournalError, StrategyError
from axon_quant.events import CancelRequested, OrderPlaced, OrderUpdated, RiskSaved, RiskStateChanged
from axon_quant.exchange.simulator import FaultPlan, FaultRule
from axon_quant.journal import read
from axon_quant.journal.storage import Storage
from axon_quant.plugins import load_simulator
from axon_quant.risk import RiskSnapshot
from axon_quant.runtime.live import Live, build_adapter
from axon_quant.runtime.wiring import pipeline
from axon_quant.secrets import Secret

sys.path.insert(0, str(Path(__file__).parent))
from venue_process import RESTING

pytest.importorskip("axon_exchange_binance")
pytest.importorskip("axon_exchange_okx")
OPEN = ("open", "partially-filled")


class Desk:
    """A run and its venue on one loop."""

    def __init__(self, live, simulator, task):
        self.live, self.simulator, self.task = live, simulator, task

    @property
    def orders(self):
        return self.simulator.truth()["accounts"]["main"]["orders"]

    @property
    def standing(self):
        return [order for order in self.orders if order["status"] in OPEN]

    async def until(self, condition, seconds=20.0):
        async with asyncio.timeout(seconds):
            while not condition():
                assert not self.task.done() or self.task.result() is None
                await asyncio.sleep(0.005)

    async def resting(self, count=10):
        await self.until(lambda: len(self.standing) >= count and self.live.operations is not None)
        await self.until(lambda: len(self.live.built.engine.tracker.open) >= count)

    @property
    def risk(self):
        return self.live.built.risk


@pytest.fixture
def trading(btcusdt, tmp_path, monkeypatch):
    @asynccontextmanager
    async def start(
        *, venue="binance", symbol="BTCUSDT", most=10, requests_per_second=500, operations=None, code=RESTING, **limits
    ):
        (tmp_path / "resting.py").write_text(code)
        simulator = load_simulator(venue)(symbols=(symbol,), history=3.0, engine_timeout=0.2)
        roots = await simulator.start()
        monkeypatch.setenv(f"AXON_{venue.upper()}_REST_URL", roots["rest"])
        monkeypatch.setenv(f"AXON_{venue.upper()}_WS_URL", roots["ws"])
        instruments = tuple(attrs.evolve(one, symbol=symbol) for one in btcusdt.market.instruments)
        config = attrs.evolve(
            btcusdt,
            folder=tmp_path,
            market=attrs.evolve(btcusdt.market, symbols=(symbol,), instruments=instruments),
            operations=operations or btcusdt.operations,
            exchange=attrs.evolve(
                btcusdt.exchange,
                name=venue,
                passphrase=Secret("YOUR_PASSPHRASE"),
                api_key=Secret("YOUR_API_KEY"),
                api_secret=Secret("YOUR_API_SECRET"),
                testnet=False,
                rate_limit=RateLimitEntry(requests_per_second=requests_per_second, orders_per_minute=5_000),
            ),
            strategy=attrs.evolve(btcusdt.strategy, name="resting.py:Resting", options={"most": most}),
            risk=attrs.evolve(btcusdt.risk, max_position="1", messages_per_second=1e4, message_burst=1e4, **limits),
            observation=attrs.evolve(btcusdt.observation, interval_ms=20, backfill=True),
        )
        live = Live(config, build_adapter(config))
        task = asyncio.create_task(live.run())
        desk = Desk(live, simulator, task)
        try:
            yield desk
        finally:
            live.stop()
            await asyncio.wait([task])
            await simulator.stop()

    return start


async def halted(desk, seconds=20.0):
    await desk.until(lambda: desk.live.operations is not None)
    await desk.until(lambda: desk.risk.state.value == "halted", seconds)
    await desk.live.operations.settled()


def journaled(desk, *kinds):
    return [event for _, event in read(desk.live.built.journal.path, kinds=kinds)]


async def test_a_drawdown_cancels_everything_at_once_and_lasts(trading):
    async with trading() as desk:
        await desk.resting()
        began = perf_counter()
        desk.risk.on_equity(Decimal(1), desk.live.built.clock.time)
        await desk.until(lambda: not desk.live.built.engine.tracker.open)
        assert perf_counter() - began < 2.0  # the benchmark says what it is: some 20 ms for 50 orders
        assert not desk.standing
        await desk.live.operations.settled()
        assert desk.live.operations.cancelled.left == 0
        assert HaltFile(desk.live.built.config.control.halt_file).read().reason.startswith("daily-loss")
    summary = desk.task.result()
    assert summary.risk_state == "HALTED"
    assert any(notice.startswith("halted: daily-loss") for notice in summary.notices)
    asked = {event.client_order_id for event in journaled(desk, CancelRequested)}
    ended = {e.update.client_order_id for e in journaled(desk, OrderUpdated) if e.update.status.is_terminal}
    assert asked == ended


async def test_a_journal_that_fails_halts_and_ends_the_run_with_nothing_open(trading, monkeypatch):
    def full(self, batch):
        raise sqlite3.OperationalError("database or disk is full")

    async with trading() as desk:
        await desk.resting()
        monkeypatch.setattr(Storage, "write", full)
        await asyncio.wait([desk.task], timeout=20.0)
        assert not desk.standing
    with pytest.raises(JournalError, match="disk is full"):
        desk.task.result()
    standing = HaltFile(desk.live.built.config.control.halt_file).read()
    assert "disk is full" in standing.reason
    summary = desk.live.summary
    assert summary.outcome == "failed"
    assert any(notice.startswith("halted: the journal failed") for notice in summary.notices)
    assert any("open orders were cancelled in" in notice for notice in summary.notices)


async def test_a_silent_market_halts(trading):
    async with trading(max_market_silence_ms=700) as desk:
        await desk.resting()
        desk.simulator.faults = FaultPlan([FaultRule("stall", where="stream:market:*", every=1)])
        await halted(desk)
        assert "nothing was received for 0.7 s" in desk.risk.reason
        assert not desk.standing


async def test_orders_that_the_venue_rejects_one_after_the_other_halt(trading):
    async with trading(max_rejects=5) as desk:
        await desk.resting()
        desk.simulator.faults = FaultPlan([FaultRule("refuse", where="request:order.place", every=1)])
        await desk.live.adapter.cancel_all("BTCUSDT")  # so that the strategy places more
        await halted(desk)
        assert "the venue rejected 5 orders within 10 s" in desk.risk.reason
        assert not desk.standing


@pytest.mark.parametrize("kind", ["slow", "late-accept", "lose-response"])
async def test_orders_in_doubt_are_cancelled_too(trading, kind):
    async with trading(most=3) as desk:
        await desk.until(lambda: desk.live.operations is not None)
        desk.simulator.faults = FaultPlan([FaultRule(kind, where="request:order.place", every=1, seconds=0.4)])
        await desk.until(lambda: len(desk.live.adapter.orders.open) >= 3)
        desk.risk.halt("now")
        await desk.live.operations.settled()
        await asyncio.sleep(1.0)
        assert not desk.standing
        assert not desk.live.adapter.orders.open
        assert desk.live.operations.cancelled.left == 0


async def test_an_order_that_waits_for_the_rate_budget_does_not_leave_after_a_halt(trading):
    async with trading(most=40, requests_per_second=10) as desk:
        await desk.until(lambda: len(desk.orders) >= 6)
        desk.risk.halt("now")
        count = len(desk.orders)
        await desk.live.operations.settled()
        await asyncio.sleep(1.5)
        assert len(desk.orders) - count <= 2, "only what was on its way"
        assert not desk.standing


async def test_cancels_that_the_venue_refuses_are_sent_again(trading):
    async with trading() as desk:
        await desk.resting()
        desk.simulator.faults = FaultPlan([FaultRule("refuse", where="request:*cancel*", every=1, limit=3)])
        answer = await desk.live.operations.halt("now", "a test")
        assert (answer["orders"], answer["left"], answer["was"]) == (10, 0, "active")
        assert not desk.standing


async def test_a_halt_file_that_somebody_left_is_obeyed_before_the_next_order(trading):
    async with trading() as desk:
        await desk.resting()
        desk.live.built.config.control.halt_file.touch()
        await halted(desk, 2.0)
        assert "does not say why" in desk.risk.reason
        assert not desk.standing
        with pytest.raises(ControlError, match="halted, which is stricter"):
            desk.live.operations.reduce("less", "a test")
        await desk.live.operations.resume("a test", "a test")
        await desk.resting()
    assert [event.state for event in journaled(desk, RiskStateChanged)] == ["halted", "active"]


async def test_a_halt_at_a_venue_of_another_kind(trading):
    async with trading(venue="okx", symbol="BTC-USDT") as desk:
        await desk.resting()
        answer = await desk.live.operations.halt("now", "a test")
        assert (answer["orders"], answer["left"]) == (10, 0)
        assert not desk.standing


async def test_the_venues_own_switch_is_armed_while_the_run_lives_and_disarmed_at_its_end(trading):
    options = {"venue": "okx", "symbol": "BTC-USDT", "operations": OperationsConfig(cancel_after_s=10)}
    async with trading(**options) as desk:
        await desk.resting()
        (first,) = desk.simulator._deadlines.values()
        await desk.until(lambda: [*desk.simulator._deadlines.values()] != [first])  # armed again
    assert not desk.simulator._deadlines
    assert not desk.standing


@pytest.mark.parametrize(("venue", "seconds", "error"), [("binance", 10, ConfigError), ("okx", 5, ExchangeError)])
async def test_a_switch_that_the_venue_does_not_have_is_known_at_once(trading, venue, seconds, error):
    symbol = {"binance": "BTCUSDT", "okx": "BTC-USDT"}[venue]
    operations = OperationsConfig(cancel_after_s=seconds)
    async with trading(venue=venue, symbol=symbol, operations=operations) as desk:
        await asyncio.wait([desk.task], timeout=20.0)
        assert not desk.orders
    with pytest.raises(error, match="dead-man switch"):
        desk.task.result()


async def test_a_restart_forgives_no_loss(trading):
    async with trading() as desk:
        await desk.resting()
        equity = desk.live.built.portfolio.equity
        desk.risk.on_equity(equity * Decimal("1.05"), desk.live.built.clock.time)  # it was better before
        desk.live.stop()
        await desk.task
        assert desk.risk.state.value == "active"
    assert journaled(desk, RiskSaved)[-1].peak == equity * Decimal("1.05")
    async with trading(max_drawdown="0.04") as desk:
        await halted(desk)
        assert desk.risk.reason.startswith("drawdown")
        assert not desk.standing
        await desk.live.operations.resume("it is known", "a test")
        await desk.resting()
    async with trading(max_drawdown="0.04") as desk:
        await desk.resting()
        assert desk.risk.state.value == "active", "what was forgiven stays forgiven"


RAISING = {
    "on_decision": "        if standing >= 10:\n            raise ValueError('no idea')\n",
    "on_stop": "\n    def on_stop(self, ctx):\n        raise ValueError('no idea')\n",
    "on_fill": "            yield Order(ctx.symbol, Side.Buy, price=quote.ask, quantity='0.001')\n"
    "\n    def on_fill(self, ctx, fill):\n        raise ValueError('no idea')\n",
}


@pytest.mark.parametrize("method", list(RAISING))
async def test_a_strategy_that_raises_ends_the_run_with_nothing_open_and_says_where(trading, method, tmp_path):
    code = RESTING + RAISING[method]
    line = code[: code.index("raise ValueError")].count("\n") + 1
    async with trading(code=code) as desk:
        if method == "on_stop":
            await desk.resting()
            desk.live.stop()
        await asyncio.wait([desk.task], timeout=20.0)
        with pytest.raises(StrategyError) as raised:
            desk.task.result()
        assert not desk.standing
    assert (raised.value.file, raised.value.line) == (str(tmp_path / "resting.py"), line)
    assert raised.value.message == f"Resting.{method} raised ValueError: no idea"
    assert isinstance(raised.value.__cause__, ValueError)
    assert desk.live.summary.outcome == "failed"
    assert str(raised.value) in desk.live.summary.notices
    placed = {event.order.client_order_id for event in journaled(desk, OrderPlaced)}
    ended = {e.update.client_order_id for e in journaled(desk, OrderUpdated) if e.update.status.is_terminal}
    assert placed
    assert placed == ended


def test_no_loss_is_seen_before_everything_that_is_held_has_a_price(btcusdt):
    (one,) = btcusdt.market.instruments
    ether = attrs.evolve(one, symbol="ETHUSDT", base="ETH")
    market = attrs.evolve(btcusdt.market, symbols=("BTCUSDT", "ETHUSDT"), instruments=(one, ether))
    config, held = attrs.evolve(btcusdt, market=market), {"USDT": Decimal(50_000), "ETH": Decimal(20)}
    router = SimpleNamespace(handlers=lambda _: {}, bind=lambda _: None)
    with pipeline(config, lambda _: router, mode="replay", balances=held) as built:
        engine, risk = built.engine, built.risk
        risk.restore(RiskSnapshot("active", "", 0, Decimal(100_000), Decimal(100_000), []))
        engine._value("BTCUSDT", 60_000.0, 1)
        assert risk.state.value == "active", "what has no price yet looked like a loss"
        engine._value("ETHUSDT", 2_500.0, 2)
        assert risk.state.value == "active"
        engine._value("ETHUSDT", 2_300.0, 3)
        assert risk.reason.startswith("daily-loss: equity 96000")


async def test_a_stop_journals_the_end_of_every_order_however_busy_the_market(trading):
    async with trading(most=30) as desk:
        await desk.resting(30)
        handle, live = desk.live._take, desk.live

        def slowly(event, built):
            if live._stop.is_set():
                time.sleep(0.01)
            return handle(event, built)

        live._take = slowly
        live.stop()
        await desk.task
        assert not desk.standing
    placed = {event.order.client_order_id for event in journaled(desk, OrderPlaced)}
    assert placed == {e.update.client_order_id for e in journaled(desk, OrderUpdated) if e.update.status.is_terminal}


@pytest.mark.slow
def test_the_benchmark_measures_both_ways(root):
    command = [sys.executable, str(root / "benchmarks" / "halt.py"), "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["cancel_all"]["orders"] == found["one_by_one"]["orders"] == 50
    assert 0 < found["cancel_all"]["worst_ms"] < 3_000  # 100 is what a machine of its own keeps
