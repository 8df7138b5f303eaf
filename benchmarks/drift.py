"""How soon the drift detectors find a drift, how often they are wrong, and what they cost: prints JSON.

    python benchmarks/drift.py

False alarms are counted over 20 seeds of 20,000 numbers each: independent normal ones, and ones that remember their
neighbour (correlation 0.95), for which `unaware` takes them to be independent. `delay` is the median over the seeds, in
numbers, after a move by one deviation. Times are in microseconds per number, the best of many short batches.
"""

from __future__ import annotations

import json
import timeit
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from axon_quant.ensemble import Cusum, Detector, FeatureCusum, Psi

SEEDS, LENGTH, BEFORE = 20, 20_000, 5_000
FEATURES = 128


def alarms(detector: Detector, stream: Iterable[float]) -> int:
    """How often it found a drift."""
    return sum(detector.update(value) for value in stream)


def delay(detector: Detector, stream: Sequence[float]) -> float:
    """How many numbers it took to find a move by one deviation."""
    for value in stream[:BEFORE]:
        detector.update(value)
    shifted = enumerate((value + 1.0 for value in stream[BEFORE:]), 1)
    return next((float(number) for number, value in shifted if detector.update(value)), float("inf"))


def remembering(noise: Sequence[float], correlation: float) -> list[float]:
    """A stream whose numbers remember the one before."""
    found, last = [], 0.0
    for value in noise:
        last = correlation * last + value
        found.append(last)
    return found


def unaware() -> Cusum:
    """A detector that takes every stream for independent numbers."""
    detector = Cusum(warmup=1000)
    for value in np.random.default_rng(99).normal(0.0, 1.0 / np.sqrt(1.0 - 0.95**2), 1000).tolist():
        detector.update(value)
    return detector


def judged(make: Callable[[], Detector], streams: Sequence[Sequence[float]]) -> dict[str, float]:
    """Of one detector on all streams."""
    warm = make()
    for value in streams[0][:BEFORE]:
        warm.update(value)
    return {
        "false_alarms": sum(alarms(make(), stream) for stream in streams),
        "of": SEEDS * LENGTH,
        "delay": float(np.median([delay(make(), stream) for stream in streams])),
        "update_us": min(timeit.repeat(lambda: warm.update(0.3), number=2_000, repeat=30)) / 2_000 * 1e6,
    }


def main() -> None:
    """Measure and print."""
    streams = [np.random.default_rng(seed).standard_normal(LENGTH).tolist() for seed in range(SEEDS)]
    slow = [remembering(stream, 0.95) for stream in streams]
    rows = np.random.default_rng(0).standard_normal((LENGTH, FEATURES))
    features = FeatureCusum(FEATURES)
    result = {
        "cusum": judged(Cusum, streams),
        "psi": judged(Psi, streams),
        "remembering_0.95": {
            "cusum_warmup_500": sum(alarms(Cusum(), stream) for stream in slow),
            "cusum_warmup_1000": sum(alarms(Cusum(warmup=1000), stream) for stream in slow),
            "unaware": sum(alarms(unaware(), stream) for stream in slow),
            "of": SEEDS * LENGTH,
        },
        f"features_{FEATURES}": {
            "false_alarms": sum(features.update(row) for row in rows),
            "of": LENGTH,
            "update_us": min(timeit.repeat(lambda: features.update(rows[0]), number=500, repeat=30)) / 500 * 1e6,
        },
    }
    print(json.dumps(result, indent=2, default=float))


if __name__ == "__main__":
    main()
