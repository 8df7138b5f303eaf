"""A run compares its account with the venue's now and then, and finds what a stream has lost without breaking."""

from __future__ import annotations

import asyncio

import attrs
import pytest

from axon_quant.config import RateLimitEntry
from axon_quant.exchange.simulator import FaultPlan, FaultRule
from axon_quant.runtime.live import Live, build_adapter
from axon_quant.secrets import Secret


def test_fills_that_the_stream_never_told_are_found(btcusdt, tmp_path, monkeypatch):
    simulator = pytest.importorskip("axon_exchange_binance.simulator").BinanceSimulator(
        faults=FaultPlan([FaultRule("drop", where="stream:account:trade", every=1)])
    )
    exchange = attrs.evolve(
        btcusdt.exchange,
        name="binance",
        api_key=Secret("YOUR_API_KEY"),
        api_secret=Secret("YOUR_API_SECRET"),
        testnet=False,
        rate_limit=RateLimitEntry(requests_per_second=100, orders_per_minute=1_000),
    )
    config = attrs.evolve(
        btcusdt,
        exchange=exchange,
        journal=attrs.evolve(btcusdt.journal, path=tmp_path / "live.db"),
        observation=attrs.evolve(btcusdt.observation, interval_ms=20),
    )

    async def trade():
        roots = await simulator.start()
        monkeypatch.setenv("AXON_BINANCE_REST_URL", roots["rest"])
        monkeypatch.setenv("AXON_BINANCE_WS_URL", roots["ws"])
        live = Live(config, build_adapter(config), audit_every=0.5)
        running = asyncio.create_task(live.run())
        async with asyncio.timeout(60):
            while not simulator.truth()["accounts"]["main"]["fills"] and not running.done():  # noqa: ASYNC110 - the ledger has no event
                await asyncio.sleep(0.05)
        await asyncio.sleep(2.0)
        live.stop()
        summary = await running
        await simulator.stop()
        return summary

    summary = asyncio.run(trade())
    fills = simulator.truth()["accounts"]["main"]["fills"]
    assert simulator.faults.fired["drop"] >= len(fills) > 0
    assert 0 < summary.fills <= len(fills)
