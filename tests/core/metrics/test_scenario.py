"""§6.1 of the scenario, word for word, and the metrics that §6.2 alerts on."""

from __future__ import annotations

import socket
from collections.abc import Callable
from urllib.request import urlopen

import pytest

from axon_quant.metrics import MetricsCollector

BLOCK = """
from axon_quant.metrics import MetricsCollector

collector = MetricsCollector()

# Record trading metrics
collector.record_order(side="buy", symbol="BTCUSDT", quantity=0.001)
collector.record_latency(operation="place_order", duration_ms=45.2)
collector.record_pnl(pnl=150.0, symbol="BTCUSDT")

# Export to Prometheus
collector.export_prometheus(port=9100)
"""


def run_block(block: str) -> MetricsCollector:
    namespace: dict[str, object] = {}
    exec(block, namespace)
    collector = namespace["collector"]
    assert isinstance(collector, MetricsCollector)
    return collector


def test_the_block_runs_as_written_and_serves_what_it_recorded() -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", 9100))
        except OSError:
            pytest.skip("port 9100 is taken on this machine")
    with run_block(BLOCK), urlopen("http://127.0.0.1:9100/metrics", timeout=5) as answer:
        text = answer.read().decode()
    assert 'trading_orders_total{side="buy",symbol="BTCUSDT"} 1.0' in text
    assert "trading_order_latency_seconds 0.0452" in text
    assert 'trading_pnl{symbol="BTCUSDT"} 150.0' in text


def test_pnl_is_an_increment(value: Callable[..., float | None]) -> None:
    with run_block(BLOCK.replace("9100", "0")) as collector:
        collector.record_pnl(pnl=-30.0, symbol="BTCUSDT")
        assert value(collector, "trading_pnl", symbol="BTCUSDT") == 120.0


def test_without_an_initial_equity_there_is_no_drawdown_rather_than_a_wrong_one(
    value: Callable[..., float | None], caplog: pytest.LogCaptureFixture
) -> None:
    with run_block(BLOCK.replace("9100", "0")) as collector:
        collector.record_pnl(pnl=-5000.0, symbol="BTCUSDT")
        assert value(collector, "trading_max_drawdown") is None
        assert "trading_max_drawdown is absent" in caplog.text
        collector.set_equity(1000.0)
        collector.set_equity(900.0)
        assert value(collector, "trading_max_drawdown") == pytest.approx(0.1)


def test_a_loss_of_fifteen_percent_exceeds_the_alert_threshold(
    collector: MetricsCollector, value: Callable[..., float | None]
) -> None:
    collector.record_pnl(pnl=-15_000.0, symbol="BTCUSDT")
    assert value(collector, "trading_max_drawdown") == pytest.approx(0.15)
