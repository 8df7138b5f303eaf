"""Which of several sessions of one model serves: the fastest of those that compute the same bits."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from axon_quant.inference.checks import probe
from axon_quant.inference.pausing import pause
from axon_quant.inference.session import Session

_MARGIN = 0.95
_ROUNDS = 30
_PROBES = 8
_S = TypeVar("_S", bound=Session)


def fastest_equal(sessions: Sequence[_S], shape: tuple[int, ...]) -> _S:
    """The first session, unless another one gives the same bits on seeded noise of `shape` in 5 % less time."""
    first, *others = sessions
    if not others:
        return first
    inputs = [probe(shape, seed) for seed in range(1, 1 + _PROBES)]
    expected = [first.run(x).tobytes() for x in inputs]
    candidates = [first, *(other for other in others if [other.run(x).tobytes() for x in inputs] == expected)]
    times = [float("inf")] * len(candidates)
    for _ in range(_ROUNDS):  # in turns, so that a busy machine is busy for all of them
        for index, candidate in enumerate(candidates):
            started = time.perf_counter_ns()
            candidate.run(inputs[0])
            times[index] = min(times[index], time.perf_counter_ns() - started)
        pause()
    best = int(np.argmin(times))
    return candidates[best] if times[best] < _MARGIN * times[0] else first
