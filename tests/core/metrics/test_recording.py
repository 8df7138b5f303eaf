from __future__ import annotations

import logging
import math
from collections.abc import Callable
from threading import Event as Flag
from threading import Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from axon_quant.errors import MetricsError
from axon_quant.metrics import LatencyWindow, MetricsCollector, names
from axon_quant.metrics import collector as module
from axon_quant.metrics.cells import BOUNDS
from axon_quant.orders import Side

Value = Callable[..., float | None]
HISTOGRAM = "trading_operation_duration_seconds"


def test_a_side_is_one_label_however_it_is_written(collector: MetricsCollector, value: Value) -> None:
    for side in ("buy", "BUY", "Buy", Side.Buy):
        collector.record_order(side=side, symbol="BTCUSDT", quantity=0.5)
    assert value(collector, "trading_orders_total", side="buy", symbol="BTCUSDT") == 4
    assert value(collector, "trading_order_quantity_total", side="buy", symbol="BTCUSDT") == 2.0


def test_a_side_that_is_none_is_refused(collector: MetricsCollector) -> None:
    with pytest.raises(MetricsError, match="buy or sell, got 'hold'"):
        collector.record_order(side="hold", symbol="BTCUSDT", quantity=1.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_one_bad_value_does_not_poison_a_series(collector: MetricsCollector, value: Value, bad: float) -> None:
    collector.record_pnl(bad, "BTCUSDT")
    collector.record_pnl(5.0, "BTCUSDT")
    collector.record_order("buy", "BTCUSDT", bad)
    collector.record_order("buy", "BTCUSDT", 1.0)
    collector.record_latency("place_order", bad)
    collector.record_latency("place_order", 1.0)
    collector.set_equity(bad)
    collector.set_cash(bad)
    assert value(collector, "trading_pnl", symbol="BTCUSDT") == 5.0
    assert value(collector, "trading_orders_total", side="buy", symbol="BTCUSDT") == 2
    assert value(collector, "trading_order_quantity_total", side="buy", symbol="BTCUSDT") == 1.0
    assert value(collector, f"{HISTOGRAM}_count", operation="place_order") == 1
    assert value(collector, "trading_equity") == 100_005
    assert value(collector, "trading_cash") is None
    for metric in ("trading_pnl", "trading_order_quantity_total", HISTOGRAM, "trading_equity", "trading_cash"):
        assert value(collector, "trading_samples_dropped_total", metric=metric) == 1


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(0.0, 20_000.0) | st.sampled_from([bound * 1000 for bound in BOUNDS]), min_size=1, max_size=60)
)
def test_buckets_are_cumulative_and_sum_and_count_are_right(milliseconds: list[float]) -> None:
    with MetricsCollector() as collector:
        for each in milliseconds:
            collector.record_latency("infer", each)
        families = {family.name: family for family in text_string_to_metric_families(collector.render())}
    samples = {(sample.name, sample.labels.get("le")): sample.value for sample in families[HISTOGRAM].samples}
    seconds = [each / 1000.0 for each in milliseconds]
    expected: dict[tuple[str, str | None], object] = {
        (f"{HISTOGRAM}_bucket", "+Inf" if bound == math.inf else str(bound)): sum(each <= bound for each in seconds)
        for bound in (*BOUNDS, math.inf)
    }
    expected[(f"{HISTOGRAM}_count", None)] = len(seconds)
    expected[(f"{HISTOGRAM}_sum", None)] = pytest.approx(sum(seconds), rel=1e-12)
    assert samples == expected


def test_operations_that_never_end_fold_into_other(collector: MetricsCollector, value: Value) -> None:
    for number in range(70):
        collector.record_latency(f"operation-{number}", 1.0)
    assert value(collector, f"{HISTOGRAM}_count", operation="operation-63") == 1
    assert value(collector, f"{HISTOGRAM}_count", operation="operation-64") is None
    assert value(collector, f"{HISTOGRAM}_count", operation="other") == 6


def test_the_latency_gauge_is_the_p99_of_order_operations_alone(collector: MetricsCollector, value: Value) -> None:
    assert value(collector, "trading_order_latency_seconds") is None
    for _ in range(985):
        collector.record_latency("place_order", 10.0)
    for _ in range(15):
        collector.record_latency("cancel_order", 800.0)
    collector.record_latency("infer", 9_000.0)
    assert value(collector, "trading_order_latency_seconds") == pytest.approx(0.8, rel=0.016)
    for _ in range(1000):
        collector.record_latency("place_order", 10.0)
    assert value(collector, "trading_order_latency_seconds") == pytest.approx(0.01, rel=0.016)


def test_a_few_slow_orders_show_in_the_gauge_at_once(collector: MetricsCollector, value: Value) -> None:
    collector.record_latency("place_order", 600.0)
    assert value(collector, "trading_order_latency_seconds") == 0.6


def test_the_latency_gauge_outlives_silence_and_forgets_after_two_windows_with_orders(
    collector: MetricsCollector, value: Value, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ROTATE_SECONDS", 0.0)
    collector.record_latency("place_order", 600.0)
    for _ in range(3):
        assert value(collector, "trading_order_latency_seconds") == 0.6
    collector.record_latency("place_order", 10.0)
    assert value(collector, "trading_order_latency_seconds") == 0.6
    assert value(collector, "trading_order_latency_seconds") == 0.01


def test_a_metric_that_cannot_be_read_is_the_only_one_lost_and_is_logged_once(
    collector: MetricsCollector, value: Value, caplog: pytest.LogCaptureFixture
) -> None:
    def lag() -> float:
        raise OSError("journal is gone")

    collector.set_cash(5.0)
    collector.watch(names.JOURNAL_LAG, lag)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert value(collector, "trading_journal_lag_seconds") is None
            assert value(collector, "trading_cash") == 5.0
    assert [record.getMessage() for record in caplog.records] == [
        "trading_journal_lag_seconds cannot be read and is missing from the scrape"
    ]
    assert "journal is gone" in caplog.text
    assert value(collector, "trading_scrape_failures_total", metric="trading_journal_lag_seconds") >= 3  # type: ignore[operator]


def test_a_gauge_can_be_read_at_scrape(collector: MetricsCollector, value: Value) -> None:
    positions = {"BTCUSDT": 0.5}
    collector.watch(names.POSITION, lambda: positions)
    collector.watch(names.JOURNAL_LAG, lambda: 0.004)
    assert value(collector, "trading_journal_lag_seconds") == 0.004
    positions["BTCUSDT"] = -1.0
    assert value(collector, "trading_position", symbol="BTCUSDT") == -1.0


@pytest.mark.parametrize("metric", [names.ORDERS, names.MODEL_INFO, names.MAX_DRAWDOWN, names.OPERATION_DURATION])
def test_several_labels_histograms_and_computed_metrics_cannot_be_watched(
    collector: MetricsCollector, metric: names.Metric
) -> None:
    with pytest.raises(MetricsError, match="cannot be watched"):
        collector.watch(metric, lambda: 1.0)


def test_thousands_of_symbols_keep_their_own_series(collector: MetricsCollector) -> None:
    for number in range(2100):
        collector.record_message(f"S{number}")
    text = collector.render()
    assert text.count("trading_messages_total{") == 2100


def test_two_collectors_share_nothing(collector: MetricsCollector, value: Value) -> None:
    collector.record_message("BTCUSDT")
    with MetricsCollector() as other:
        other.record_message("ETHUSDT")
        assert value(other, "trading_messages_total", symbol="BTCUSDT") is None
        assert value(other, "trading_messages_total", symbol="ETHUSDT") == 1


def test_scrapes_while_new_series_appear_are_whole_and_lose_nothing(collector: MetricsCollector, value: Value) -> None:
    done = Flag()
    problems: list[BaseException] = []

    def scrape() -> None:
        try:
            while not done.is_set():
                assert "trading_scrape_failures_total{" not in collector.render()
        except BaseException as error:  # noqa: BLE001 (handed to the test's own thread)
            problems.append(error)

    scrapers = [Thread(target=scrape) for _ in range(2)]
    for scraper in scrapers:
        scraper.start()
    for number in range(30_000):
        symbol = f"S{number % 300}"
        collector.record_message(symbol)
        collector.record_order("buy", symbol, 1.0)
        collector.record_latency(f"operation-{number % 40}", 1.0)
    done.set()
    for scraper in scrapers:
        scraper.join()
    assert problems == []
    assert sum(collector.series["trading_messages_total"].values()) == 30_000
    assert value(collector, "trading_orders_total", side="buy", symbol="S7") == 100
    assert sum(sum(cell.counts) for cell in collector.durations.values()) == 30_000


@pytest.mark.parametrize(
    ("side", "price", "worse", "better"),
    [("buy", 101.0, 2.0, 0.0), ("buy", 99.0, 0.0, 2.0), (Side.Sell, 99.0, 2.0, 0.0), ("SELL", 101.0, 0.0, 2.0)],
)
def test_slippage_is_what_a_fill_costs_more_than_the_mid_its_order_was_placed_at(
    collector: MetricsCollector,
    value: Callable[..., float | None],
    side: str | Side,
    price: float,
    worse: float,
    better: float,
) -> None:
    collector.record_slippage("ETHUSDT", side, price, 2.0, 100.0)
    assert value(collector, "trading_slippage_total", symbol="ETHUSDT", direction="worse") == worse
    assert value(collector, "trading_slippage_total", symbol="ETHUSDT", direction="better") == better
    assert value(collector, "trading_filled_notional_total", symbol="ETHUSDT") == 2 * price


@pytest.mark.parametrize("bad", [float("nan"), 0.0, -1.0, float("inf")])
def test_a_fill_or_an_arrival_price_that_cannot_be_is_dropped_and_counted(
    collector: MetricsCollector, value: Callable[..., float | None], bad: float
) -> None:
    collector.record_slippage("ETHUSDT", "buy", bad, 1.0, 100.0)
    collector.record_slippage("ETHUSDT", "buy", 100.0, 1.0, bad)
    assert value(collector, "trading_filled_notional_total", symbol="ETHUSDT") is None
    assert value(collector, "trading_samples_dropped_total", metric="trading_slippage_total") == 2


def test_a_window_that_others_record_is_a_histogram_like_any_other(
    collector: MetricsCollector, value: Callable[..., float | None]
) -> None:
    window = LatencyWindow()
    collector.watch_latency("inference", window)
    for ns in (900, 40_000, 40_000, 20_000_000_000):
        window.record(ns)
    name = "trading_operation_duration_seconds"
    assert value(collector, f"{name}_bucket", operation="inference", le="5e-06") == 1
    assert value(collector, f"{name}_bucket", operation="inference", le="5e-05") == 3
    assert value(collector, f"{name}_bucket", operation="inference", le="10.0") == 3
    assert value(collector, f"{name}_count", operation="inference") == 4
    assert value(collector, f"{name}_sum", operation="inference") == pytest.approx(20.0000809, rel=0.016)
