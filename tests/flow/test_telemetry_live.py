"""What a live run tells of itself, its venue and its past."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import attrs
import pytest
from prometheus_client.parser import text_string_to_metric_families

from axon_quant.config import RateLimitEntry
from axon_quant.config.rollout import GateEntry, RolloutEntry
from axon_quant.events import EquityPeaked
from axon_quant.journal.reader import latest
from axon_quant.market.generated import GeneratedMarket
from axon_quant.metrics import METRICS, Kind, names
from axon_quant.runtime.live import Live, build_adapter
from axon_quant.runtime.telemetry import facts
from axon_quant.runtime.wiring import build_instruments
from axon_quant.secrets import Secret

sys.path.insert(0, str(Path(__file__).parent))
from socket_venue import SocketAdapter, Venue, configured, hurried

ONLY_IN_TROUBLE = {
    names.MALFORMED,
    names.MEMBER_FAILURES,
    names.MEMBER_DRIFTS,
    names.OPERATOR_ACTIONS,
    names.SAMPLES_DROPPED,
    names.SCRAPE_FAILURES,
}
"""What a run in which all is well does not have."""


def scrape(port: int) -> dict[tuple[str, ...], float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def config(btcusdt, tmp_path):
    """A run at Binance, with a candidate in the shadow."""
    return attrs.evolve(
        btcusdt,
        exchange=attrs.evolve(
            btcusdt.exchange,
            name="binance",
            api_key=Secret("YOUR_API_KEY"),
            api_secret=Secret("YOUR_API_SECRET"),
            testnet=False,
            rate_limit=RateLimitEntry(requests_per_second=100, orders_per_minute=1_000),
        ),
        journal=attrs.evolve(btcusdt.journal, path=tmp_path / "live.db"),
        observation=attrs.evolve(btcusdt.observation, interval_ms=20),
        metrics=attrs.evolve(btcusdt.metrics, port=0),
        rollout=RolloutEntry(
            model="flow", builtin="demo-64x128-reversion", gate=GateEntry(window_decisions=40, min_samples=20)
        ),
    )


def test_everything_that_is_exported_is_told_by_a_run_at_a_venue_and_its_loss_as_well(config, monkeypatch):
    simulator = pytest.importorskip("axon_exchange_binance.simulator").BinanceSimulator()
    made = []
    seen = {}

    async def trade():
        roots = await simulator.start()
        monkeypatch.setenv("AXON_BINANCE_REST_URL", roots["rest"])
        monkeypatch.setenv("AXON_BINANCE_WS_URL", roots["ws"])
        live = Live(config, build_adapter(config), on_progress=made.append)
        running = asyncio.create_task(live.run())
        async with asyncio.timeout(60):
            while not (simulator.truth()["accounts"]["main"]["fills"] and made and made[0].rollout.status.windows):
                assert not running.done(), running.exception()
                await asyncio.sleep(0.05)
            port = made[0].metrics.server.port
            seen["well"] = await asyncio.to_thread(scrape, port)
            seen["facts"] = json.loads(json.dumps(facts(made[0].metrics)))
            await simulator.stop()
            while True:
                seen["lost"] = await asyncio.to_thread(scrape, port)
                streams = [seen["lost"]["trading_stream_up", name] for name in ("account", "market")]
                if streams == [0, 0] and seen["lost"]["trading_market_age_seconds", "BTCUSDT"] > 1:
                    break
                await asyncio.sleep(0.1)
        live.stop()
        await running

    asyncio.run(trade())
    well, lost, told = seen["well"], seen["lost"], seen["facts"]
    assert told["streams"] == {"account": True, "market": True}
    assert told["equity_peak"] >= well["trading_equity",]
    assert 0 <= told["drawdown"] < 1
    assert set(told["slippage_bp"]) == {"BTCUSDT"}
    assert abs(told["slippage_bp"]["BTCUSDT"]) < 1_000
    assert sum(told["weights"].values()) == pytest.approx(1.0)
    assert told["unresolved_orders"] == 0
    assert told["inactive_members"] == []
    suffixes = {Kind.Histogram: "_count"}
    found = {key[0] for key in well}
    missing = {metric for metric in METRICS if metric.name + suffixes.get(metric.kind, "") not in found}
    assert missing == ONLY_IN_TROUBLE
    assert (well["trading_stream_up", "account"], well["trading_stream_up", "market"]) == (1, 1)
    assert well["trading_stream_reconnects_total", "market"] == 0
    budgets = [value for key, value in well.items() if key[0] == "trading_rate_budget_left_ratio"]
    assert len(budgets) >= 3
    assert all(0 <= left <= 1 for left in budgets)
    assert min(budgets) < 1, "orders were sent, and none was counted"
    assert well["trading_market_age_seconds", "BTCUSDT"] < 5
    assert well["trading_loop_lag_seconds",] < 5
    # The day began with the run. The mark may move between the readings of one scrape.
    assert well["trading_pnl", "BTCUSDT"] - well["trading_fees",] == pytest.approx(
        well["trading_day_pnl",], abs=1e-3 * well["trading_equity",]
    )
    assert lost["trading_journal_failed",] == 0


@pytest.fixture
def venue():
    made = Venue()
    yield made
    made.close()


def test_the_peak_of_the_equity_survives_a_kill(root, btcusdt, tmp_path, venue, durable_records):
    journal = tmp_path / "live.db"
    script = Path(__file__).with_name("socket_venue.py")
    command = [sys.executable, script, root / "examples" / "btcusdt.toml", journal, str(venue.port), "600"]
    process = subprocess.Popen(list(map(str, command)))
    try:
        durable_records(journal, 1500)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    run, event = latest(journal, EquityPeaked, mode="live")
    assert run == 1
    assert event.equity >= 100_000
    config, drawdowns = configured(btcusdt, journal), []
    market = GeneratedMarket(build_instruments(config)[0], seconds=20, price=60_000.0)
    live = Live(
        config,
        SocketAdapter(build_instruments(config), venue.port),
        feed=hurried(market),
        on_progress=lambda built: drawdowns.append((built.metrics.drawdown.peak, built.metrics.drawdown.fraction)),
    )
    asyncio.run(live.run())
    assert drawdowns
    assert all(peak >= event.equity for peak, _ in drawdowns)
