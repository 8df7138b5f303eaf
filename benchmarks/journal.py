"""What the journal costs: prints one JSON object. `python benchmarks/journal.py [--folder DIR]`.

enqueue_ns            one append, over batches of 100 every 2 ms
busy                  11,000 events (4,000 decisions with 4,000 feature rows, 3,000 order updates) appended evenly by
                      a thread that computes all the time: how much longer it takes than without a journal
                          (the best of nine rounds of each, because machines are noisy)
burst_records_per_s   50,000 decisions appended at once, until durable
durable_ms            append + wait of one order at a time
fsync_ms              what the disk takes for a 4 KiB append with fdatasync
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from statistics import median

from axon_quant.events import Decision, Event, FeatureRow, MemberVote, ModelIdentity, OrderPlaced, OrderUpdated
from axon_quant.journal import Journal
from axon_quant.orders import Order, OrderStatus, OrderUpdate, Side

ROW = bytes(range(256))
MODELS = tuple(ModelIdentity(name, 1, "ab" * 32) for name in ("first", "second"))
VOTES = tuple(MemberVote(name, 0.5, (0.1234567, 0.2345678, 0.6419755)) for name in ("first", "second"))
ORDER = Order("BTCUSDT", Side.Buy, price=Decimal("50000.1"), quantity=Decimal("0.01"), client_order_id="bench000001")


def decision(number: int) -> Decision:
    """A decision of two models, about 620 bytes of JSON."""
    scores = (0.1234567, 0.2345678, 0.6419755)
    return Decision(number, "BTCUSDT", number, number, number + 127, "cd" * 32, "hold", 0.64, scores, VOTES, MODELS)


def row(number: int) -> FeatureRow:
    """A row of 64 features."""
    return FeatureRow(number, "BTCUSDT", number, ROW)


def order(number: int) -> OrderPlaced:
    """A limit order."""
    return OrderPlaced(number, ORDER, number)


def update(number: int) -> OrderUpdated:
    """A venue's word that an order is open."""
    return OrderUpdated(number, OrderUpdate("bench000001", OrderStatus.Open, number, "BTCUSDT", str(number)))


def percentiles(samples: list[float]) -> dict[str, float]:
    """p50 and p99."""
    ordered = sorted(samples)
    return {"p50": round(median(ordered), 3), "p99": round(ordered[int(len(ordered) * 0.99)], 3)}


def fsync_ms(folder: Path, count: int = 200) -> dict[str, float]:
    """The disk's own fdatasync, beside which the rest must be read."""
    samples = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(count):
            file.write(ROW * 16)
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            samples.append((time.perf_counter() - start) * 1e3)
    return percentiles(samples)


def busy_ms(append: Callable[[Event], object], steps: int, work: int) -> tuple[float, float]:
    """Wall time of `steps` rounds of pure Python, each emitting two or three events, and the longest round."""
    longest, start = 0.0, time.perf_counter()
    for step in range(steps):
        begun = time.perf_counter()
        total = 0
        for number in range(work):
            total += number * number % 7
        append(row(step))
        append(decision(step))
        if step % 4:
            append(update(step))
        longest = max(longest, time.perf_counter() - begun)
    return (time.perf_counter() - start) * 1e3, longest * 1e3


def busy(folder: Path, rounds: int = 9) -> dict[str, float]:
    """A computing thread with and without a journal."""
    steps, work = 4_000, 3_500
    without, beside, longest, lags, flushes = [], [], [], [], []
    writer: list[float] = []
    for number in range(rounds):
        without.append(busy_ms(lambda _: None, steps, work)[0])
        with Journal(folder / f"busy-{number}.db") as journal:
            journal.start_run(mode="replay", continues=False)
            others = time.process_time() - time.thread_time()
            wall, worst = busy_ms(journal.append, steps, work)
            writer.append((time.process_time() - time.thread_time() - others) * 1e3)
            lags.append(journal.lag)
            begun = time.perf_counter()
            journal.flush()
            flushes.append((time.perf_counter() - begun) * 1e3)
            beside.append(wall)
            longest.append(worst)
    return {
        "events": 11_000,
        "without_ms": round(min(without), 1),
        "with_ms": round(min(beside), 1),
        "slowdown": round(min(beside) / min(without) - 1, 4),
        "writer_cpu_ms": round(median(writer), 1),
        "longest_round_ms": round(median(longest), 2),
        "lag_at_end": int(median(lags)),
        "flush_at_end_ms": round(median(flushes), 1),
    }


def enqueue_ns(journal: Journal) -> dict[str, float]:
    """What one append takes from the thread that calls it."""
    event, append, samples = decision(1), journal.append, []
    for _ in range(500):
        start = time.perf_counter_ns()
        for _ in range(100):
            append(event)
        samples.append((time.perf_counter_ns() - start) / 100)
        time.sleep(0.002)
    journal.flush()
    return percentiles(samples)


def burst(journal: Journal, count: int = 50_000) -> dict[str, float]:
    """How fast the writer alone gets through a full queue."""
    events = [decision(number) for number in range(count)]
    start = time.perf_counter()
    for event in events:
        journal.append(event)
    journal.flush()
    return {"records": count, "per_s": round(count / (time.perf_counter() - start))}


def durable_ms(journal: Journal, count: int = 500) -> dict[str, float]:
    """How long an order waits before it may be sent."""
    samples = []
    for number in range(count):
        start = time.perf_counter()
        journal.append(order(number)).wait()
        samples.append((time.perf_counter() - start) * 1e3)
    return percentiles(samples)


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir()), help="a folder on the disk to measure"
    )
    with tempfile.TemporaryDirectory(dir=parser.parse_args().folder) as name:
        folder = Path(name)
        results: dict[str, object] = {"fsync_ms": fsync_ms(folder), "busy": busy(folder)}
        with Journal(folder / "journal.db") as journal:
            journal.start_run(mode="live", continues=True)
            results["durable_ms"] = durable_ms(journal)
            results["enqueue_ns"] = enqueue_ns(journal)
            results["burst"] = burst(journal)
            results["stalls"] = journal.stalls
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
