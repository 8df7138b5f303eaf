"""Times calls side by side: blocks of each take turns, so that a busy machine is busy for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns
from typing import NamedTuple, TypeAlias

import numpy as np

Calls: TypeAlias = Mapping[str, Callable[[], object]]

BLOCK = 50
WARM_CALLS = 20
ROUNDS = 5


class Quantiles(NamedTuple):
    """Median and 99th percentile of what a call took, in µs."""

    p50: float
    p99: float


Round: TypeAlias = dict[str, Quantiles]
"""What one round found, by the name of the call."""


def warm_up(calls: Calls, count: int = WARM_CALLS) -> float:
    """Run each call so often that later ones are all alike. Returns seconds that one of each takes then."""
    for _ in range(count):
        for call in calls.values():
            call()
    started = perf_counter_ns()
    for call in calls.values():
        call()
    return (perf_counter_ns() - started) / 1e9


def one_round(calls: Calls, count: int, *, block: int = BLOCK) -> Round:
    """Time `count` calls of each kind, `block` of one after `block` of another."""
    taken: dict[str, list[int]] = {name: [] for name in calls}
    for done in range(0, count, block):
        for name, call in calls.items():
            times = taken[name]
            for _ in range(min(block, count - done)):
                started = perf_counter_ns()
                call()
                times.append(perf_counter_ns() - started)
    return {name: Quantiles(*(np.percentile(times, [50, 99]) / 1e3).tolist()) for name, times in taken.items()}


def median_round(rounds: Sequence[Round]) -> Round:
    """The median over rounds of each figure: one bad moment of the machine decides nothing."""
    return {name: Quantiles(*np.median([found[name] for found in rounds], axis=0).tolist()) for name in rounds[0]}


def median_ratio(rounds: Sequence[Round], name: str, to: str) -> float:
    """The median over rounds of p50 of `name` ÷ p50 of `to` within the round."""
    return float(np.median([found[name].p50 / found[to].p50 for found in rounds]))
