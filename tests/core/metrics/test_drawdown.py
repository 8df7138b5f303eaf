from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from axon_quant.errors import MetricsError
from axon_quant.metrics import Drawdown, MetricsCollector

equities = st.lists(st.floats(1.0, 1e9), min_size=1, max_size=50)


def after(values: list[float], drawdown: Drawdown) -> Drawdown:
    for each in values:
        drawdown.update(each)
    return drawdown


@given(equities)
def test_the_drawdown_is_the_fall_from_the_highest_equity(values: list[float]) -> None:
    drawdown = after(values, Drawdown(values[0]))
    assert drawdown.peak == max(values)
    assert drawdown.fraction == pytest.approx((max(values) - values[-1]) / max(values), abs=1e-15)
    assert 0.0 <= drawdown.fraction < 1.0


@given(equities, st.integers(0, 50))
def test_a_restart_with_the_restored_peak_changes_nothing(values: list[float], cut: int) -> None:
    cut = min(cut, len(values) - 1)
    whole = after(values, Drawdown(values[0]))
    first = after(values[: cut + 1], Drawdown(values[0]))
    second = Drawdown(first.equity)
    second.restore_peak(first.peak)
    assert after(values[cut + 1 :], second).fraction == whole.fraction


@given(equities, st.floats(1.0, 1e9))
@example([999998716.9999999, 1.916261374950409], 999998725.0)  # one unit in the last place less, once
def test_restoring_never_lowers_the_peak(values: list[float], peak: float) -> None:
    drawdown = after(values, Drawdown(values[0]))
    before = drawdown.fraction
    drawdown.restore_peak(peak)
    assert drawdown.fraction >= before
    assert drawdown.peak == max(peak, *values)


@given(equities, st.floats(0.1, 100.0))
def test_the_drawdown_does_not_depend_on_the_currency(values: list[float], rate: float) -> None:
    scaled = [each * rate for each in values]
    fraction = after(values, Drawdown(values[0])).fraction
    assert after(scaled, Drawdown(scaled[0])).fraction == pytest.approx(fraction, abs=1e-9)


def test_a_negative_equity_is_a_drawdown_beyond_1() -> None:
    assert after([-50.0], Drawdown(100.0)).fraction == 1.5


@pytest.mark.parametrize("equity", [0.0, -1.0, math.nan, math.inf])
def test_an_impossible_initial_equity_or_peak_is_refused(equity: float) -> None:
    with pytest.raises(MetricsError, match="positive finite"):
        MetricsCollector(initial_equity=equity)
    with pytest.raises(MetricsError, match="positive finite"):
        MetricsCollector(100.0).restore_peak(equity)


def test_pnl_moves_the_equity_until_the_runtime_sets_it(
    collector: MetricsCollector, value: Callable[..., float | None]
) -> None:
    collector.record_pnl(10_000.0, "BTCUSDT")
    collector.record_pnl(-22_000.0, "ETHUSDT")
    assert value(collector, "trading_equity") == 88_000
    assert value(collector, "trading_equity_peak") == 110_000
    assert value(collector, "trading_max_drawdown") == pytest.approx(0.2)
    collector.set_equity(99_000)
    collector.record_pnl(-50_000.0, "ETHUSDT")
    assert value(collector, "trading_equity") == 99_000
    assert value(collector, "trading_max_drawdown") == pytest.approx(0.1)


def test_a_restored_peak_counts_against_the_equity_of_today(
    collector: MetricsCollector, value: Callable[..., float | None]
) -> None:
    collector.restore_peak(125_000)
    assert value(collector, "trading_max_drawdown") == pytest.approx(0.2)
