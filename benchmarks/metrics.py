"""What recording costs beside OpenTelemetry's own synchronous instruments, and what a scrape costs. Prints JSON.

    python benchmarks/metrics.py [--symbols 200] [--calls 200000]

Each figure is the best of seven rounds; the two kinds take turns, so both see the same machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from timeit import Timer

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry

from axon_quant.events import FeatureRow
from axon_quant.metrics import LatencyWindow, MetricsCollector

ROUNDS = 7
LABELS = {"side": "buy", "symbol": "BTCUSDT"}


def record_calls() -> dict[str, Callable[[], object]]:
    """One call each, ours and OpenTelemetry's for the same fact."""
    collector, window = MetricsCollector(1e6), LatencyWindow()
    row = FeatureRow(1, "BTCUSDT", 0, b"")
    meter = MeterProvider(metric_readers=[PrometheusMetricReader(registry=CollectorRegistry())]).get_meter("bench")
    orders, quantity = meter.create_counter("orders"), meter.create_counter("quantity")
    latency, pnl = meter.create_histogram("latency"), meter.create_up_down_counter("pnl")

    def otel_order() -> None:
        orders.add(1, LABELS)
        quantity.add(0.001, LABELS)

    return {
        "nothing": lambda: None,
        "record_order": lambda: collector.record_order(side="buy", symbol="BTCUSDT", quantity=0.001),
        "record_latency": lambda: collector.record_latency(operation="place_order", duration_ms=45.2),
        "record_latency_off_order_path": lambda: collector.record_latency(operation="infer", duration_ms=0.4),
        "record_pnl": lambda: collector.record_pnl(pnl=1.5, symbol="BTCUSDT"),
        "record_message": lambda: collector.record_message("BTCUSDT"),
        "on_event_feature_row": lambda: collector.on_event(row),
        "latency_window_record": lambda: window.record(45_200_000),
        "otel_order": otel_order,
        "otel_latency": lambda: latency.record(0.0452, {"operation": "place_order"}),
        "otel_pnl": lambda: pnl.add(1.5, {"symbol": "BTCUSDT"}),
    }


def measure_calls(calls: int) -> dict[str, float]:
    """Nanoseconds per call, less those of an empty call."""
    timers = {name: Timer(call) for name, call in record_calls().items()}
    best = dict.fromkeys(timers, float("inf"))
    for _ in range(ROUNDS):
        for name, timer in timers.items():
            number = max(calls // 10, 1) if name.startswith("otel") else calls
            best[name] = min(best[name], timer.timeit(number) / number * 1e9)
    floor = best.pop("nothing")
    return {name: round(ns - floor, 1) for name, ns in best.items()}


def measure_scrape(symbols: int) -> dict[str, float]:
    """Milliseconds to render every metric with `symbols` symbols, all of them trading."""
    with MetricsCollector(1e6) as collector:
        for number in range(symbols):
            symbol = f"SYMBOL{number}"
            collector.record_message(symbol)
            collector.record_order("buy", symbol, 1.0)
            collector.record_order("sell", symbol, 1.0)
            collector.record_pnl(1.0, symbol)
            collector.set_position(symbol, 1.0, 100.0)
        for operation in ("place_order", "infer", "decide", "durable", "sent", "acknowledged"):
            collector.record_latency(operation, 1.0)
        text = collector.render()
        times = []
        for _ in range(15):
            started = time.perf_counter()
            collector.render()
            times.append((time.perf_counter() - started) * 1000)
    series = sum(not line.startswith("#") for line in text.splitlines())
    return {
        "symbols": symbols,
        "series": series,
        "bytes": len(text),
        "median_ms": round(statistics.median(times), 2),
        "best_ms": round(min(times), 2),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=200)
    parser.add_argument("--calls", type=int, default=200_000)
    options = parser.parse_args()
    result = {"ns_per_call": measure_calls(options.calls), "scrape": measure_scrape(options.symbols)}
    json.dump(result, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
