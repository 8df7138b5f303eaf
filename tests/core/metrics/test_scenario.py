"""What the deployment guide's metrics mean, and the two that it alerts on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from axon_quant.metrics import MetricsCollector


def test_pnl_is_an_increment(value: Callable[..., float | None]) -> None:
    with MetricsCollector() as collector:
        collector.record_pnl(pnl=150.0, symbol="BTCUSDT")
        collector.record_pnl(pnl=-30.0, symbol="BTCUSDT")
        assert value(collector, "trading_pnl", symbol="BTCUSDT") == 120.0


def test_without_an_initial_equity_there_is_no_drawdown_rather_than_a_wrong_one(
    value: Callable[..., float | None], caplog: pytest.LogCaptureFixture
) -> None:
    with MetricsCollector() as collector:
        collector.export_prometheus(port=0)
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
