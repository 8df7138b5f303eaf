"""What recording costs beside OpenTelemetry's own synchronous instruments, what a scrape costs, and what it holds up.

    python benchmarks/metrics.py [--symbols 200] [--calls 200000] [--interval 5] [--seconds 15]

Prints JSON. Each figure per call is the best of seven rounds; the two kinds take turns, so both see the same machine.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from timeit import Timer

import numpy as np
from numpy.typing import NDArray
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry, generate_latest

from axon_quant import ModelConfig, OnnxBackend
from axon_quant.events import FeatureRow
from axon_quant.inference.collector import quiet_collector
from axon_quant.metrics import METRICS, Kind, LatencyWindow, MetricsCollector

ROUNDS = 7
ALLOWED = 1.2  # how much the p99 of decisions may grow while somebody scrapes
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


def filled(symbols: int) -> MetricsCollector:
    """A collector in which every metric has its series for `symbols` symbols, two models and everything else once."""
    collector = MetricsCollector(1e6)
    every = [f"SYMBOL{number}" for number in range(symbols)]
    values = {
        "symbol": every,
        "side": ["buy", "sell"],
        "action": ["buy", "sell", "hold"],
        "direction": ["worse", "better"],
        "control": [f"control-{number}" for number in range(20)],
        "status": ["open", "partially_filled", "filled", "cancelled", "rejected"],
        "model": ["first", "second"],
        "member": ["first", "second"],
        "limit": ["requests/1s", "orders/60s", "weight/60s"],
    }
    for metric in METRICS:
        if metric.kind is Kind.Histogram:
            continue
        for labels in itertools.product(*(values.get(label, ["one"]) for label in metric.labels)):
            collector.series[metric.name][labels[0] if len(labels) == 1 else labels] = 1.0
    for symbol in every:
        collector.record_order("buy", symbol, 1.0)
        collector.record_order("sell", symbol, 1.0)
    collector.record_latency("place_order", 1.0)
    for stage in ("observation", "inference", "strategy", "risk", "decision", "durable"):
        window = LatencyWindow()
        for ns in range(1_000, 2_000_000, 1_000):
            window.record(ns)
        collector.watch_latency(stage, window)
    return collector


def measure_scrape(symbols: int) -> dict[str, float]:
    """Milliseconds to render every metric with `symbols` symbols, beside OpenTelemetry's exporter of the same."""
    registry = CollectorRegistry()
    provider = MeterProvider(metric_readers=[PrometheusMetricReader(registry=registry)])
    with filled(symbols) as collector:
        collector.instrument(provider.get_meter("bench"))
        text = collector.render()
        generate_latest(registry)
        times, exporter = [], []
        for _ in range(15):
            started = time.perf_counter()
            collector.render()
            times.append((time.perf_counter() - started) * 1000)
            started = time.perf_counter()
            generate_latest(registry)
            exporter.append((time.perf_counter() - started) * 1000)
    provider.shutdown()
    series = sum(not line.startswith("#") for line in text.splitlines())
    return {
        "symbols": symbols,
        "series": series,
        "bytes": len(text),
        "median_ms": round(statistics.median(times), 2),
        "best_ms": round(min(times), 2),
        "otel_median_ms": round(statistics.median(exporter), 2),
        "otel_best_ms": round(min(exporter), 2),
    }


SCRAPER = """
import sys, time, urllib.request
url, interval = sys.argv[1], float(sys.argv[2])
print("ready", flush=True)
for line in sys.stdin:  # one block: scrape until its seconds are over
    end, times = time.monotonic() + float(line), []
    time.sleep(interval / 2)
    while time.monotonic() < end - 0.1:
        began = time.perf_counter()
        urllib.request.urlopen(url).read()
        times.append(round((time.perf_counter() - began) * 1000, 2))
        time.sleep(max(0.0, interval - (time.perf_counter() - began)))
    print(*times, flush=True)
"""


def measure_decisions(symbols: int, interval: float, seconds: float) -> dict[str, object]:
    """The p99 of decisions, from when each is due, while another process scrapes every `interval` seconds and not.

    A decision is the built-in 64×128 model, 500 a second. Blocks with and without scrapes take turns, `ROUNDS` of each;
    the ratio is the median over pairs of neighbours. Where blocks without scrapes differ by as much as is allowed, the
    machine is too loud to tell.
    """
    backend = OnnxBackend(ModelConfig(OnnxBackend.builtin("demo-64x128"), "onnx"))
    backend.load()
    window = np.zeros((1, 64, 128), np.float32)
    p99: dict[bool, list[float]] = {False: [], True: []}
    scrapes: list[float] = []
    with filled(symbols) as collector, quiet_collector():
        url = f"{collector.export_prometheus(port=0).url}/metrics"
        command = [sys.executable, "-c", SCRAPER, url, str(interval)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as scraper:
            assert scraper.stdin is not None
            assert scraper.stdout is not None
            scraper.stdout.readline()
            block(backend, window, 1.0)
            for number in range(2 * ROUNDS):
                scraping = bool(number % 2)
                if scraping:
                    scraper.stdin.write(f"{seconds}\n")
                p99[scraping].append(block(backend, window, seconds))
                if scraping:
                    scrapes += map(float, scraper.stdout.readline().split())
            scraper.stdin.close()
    without, during = p99[False], p99[True]
    # neighbours in time, so that a machine that gets louder or quieter moves both
    ratio = statistics.median(busy / quiet for quiet, busy in zip(without, during, strict=True))
    noise = statistics.median(max(a, b) / min(a, b) for a, b in itertools.pairwise(without))
    loud = noise > ALLOWED
    return {
        "scrape_interval_s": interval,
        "scrapes": len(scrapes),
        "scrape_median_ms": round(statistics.median(scrapes), 2),
        "p99_us_without": round(statistics.median(without), 1),
        "p99_us_with": round(statistics.median(during), 1),
        "best_p99_us_without": round(min(without), 1),
        "best_p99_us_with": round(min(during), 1),
        "ratio": round(ratio, 3),
        "ratio_of_quiet_neighbours": round(noise, 3),
        "verdict": "inconclusive" if loud else "pass" if ratio <= ALLOWED else "fail",
    }


def block(backend: OnnxBackend, window: NDArray[np.float32], seconds: float) -> float:
    """The p99 in microseconds of decisions that are due every 2 ms, for some seconds."""
    taken = []
    due = time.perf_counter()
    for _ in range(int(seconds * 500)):
        due += 0.002
        while (wait := due - time.perf_counter()) > 0:
            time.sleep(wait)
        backend.predict(window)
        taken.append((time.perf_counter() - due) * 1e6)
    return statistics.quantiles(taken, n=100)[98]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=200)
    parser.add_argument("--calls", type=int, default=200_000)
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between two scrapes")
    parser.add_argument("--seconds", type=float, default=15.0, help="length of one of the 14 blocks of decisions")
    options = parser.parse_args()
    result = {
        "ns_per_call": measure_calls(options.calls),
        "scrape": measure_scrape(options.symbols),
        "decisions": measure_decisions(options.symbols, options.interval, options.seconds),
    }
    json.dump(result, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
