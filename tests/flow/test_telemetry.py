"""While a run goes on, its metrics can be scraped and tell what the summary will."""

from __future__ import annotations

import json
import urllib.request
from urllib.error import HTTPError

import attrs
import pytest
from prometheus_client.parser import text_string_to_metric_families

from axon_quant.market.generated import GeneratedMarket
from axon_quant.runtime.replay import Replay
from axon_quant.runtime.wiring import build_instruments


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def test_a_scrape_in_mid_run_tells_of_the_account_and_of_the_models(btcusdt):
    seen: dict[str, object] = {}

    def scrape(built) -> None:
        if built.engine.fills and "text" not in seen:
            port = built.metrics._server.port
            seen["text"] = get(port, "/metrics")[1]
            seen["ready"] = get(port, "/readyz")
            seen["position"] = float(built.portfolio.position("BTCUSDT"))
            seen["orders"] = built.engine.orders
            seen["decisions"] = built.engine.decisions

    config = attrs.evolve(btcusdt, metrics=attrs.evolve(btcusdt.metrics, port=0))
    market = GeneratedMarket(build_instruments(config)[0], seconds=60, price=60_000.0)
    Replay(config, market=market, on_progress=scrape).run()
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(seen["text"])
        for sample in family.samples
    }
    assert samples["trading_filled_notional_total", "BTCUSDT"] > 0
    assert samples["trading_slippage_total", "worse", "BTCUSDT"] >= 0
    assert samples["trading_pnl", "BTCUSDT"] - samples["trading_fees",] == pytest.approx(
        samples["trading_equity",] - 100_000.0, abs=1.0
    )
    assert samples["trading_member_active", "flow"] == 1
    assert samples["trading_journal_failed",] == 0
    assert 0 <= samples["trading_journal_lag_seconds",] < 5
    assert 0 <= samples["trading_market_age_seconds", "BTCUSDT"] < 1
    assert samples["trading_operation_duration_seconds_count", "inference"] == seen["decisions"]
    assert samples["trading_position", "BTCUSDT"] == pytest.approx(seen["position"])
    orders = sum(value for key, value in samples.items() if key[0] == "trading_orders_total")
    assert orders == seen["orders"] > 0
    assert 90_000 < samples["trading_equity",] < 110_000
    assert 0 <= samples["trading_max_drawdown",] < 0.1
    weights = [value for key, value in samples.items() if key[0] == "trading_ensemble_weight"]
    assert sum(weights) == pytest.approx(1.0)
    status, body = seen["ready"]
    assert status == 200, body
    assert json.loads(body)["checks"]


def test_nothing_is_served_unless_a_port_is_configured(btcusdt):
    ports = []
    market = GeneratedMarket(build_instruments(btcusdt)[0], seconds=10)
    Replay(btcusdt, market=market, on_progress=lambda built: ports.append(built.metrics._server)).run()
    assert set(ports) == {None}
