from __future__ import annotations

import math
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_quant.metrics import LatencyWindow, latency, samples_needed

durations = st.lists(st.integers(0, 10**12), min_size=1, max_size=200)
quantiles = st.sampled_from([0.01, 0.5, 0.9, 0.99, 0.999])


def filled(values: list[int]) -> LatencyWindow:
    window = LatencyWindow()
    for each in values:
        window.record(each)
    return window


@given(durations, quantiles)
def test_an_estimate_is_at_most_one_bucket_above_the_nearest_rank(values: list[int], q: float) -> None:
    exact = sorted(values)[math.ceil(q * len(values)) - 1]
    assert exact <= filled(values).estimate(q) <= exact * (1 + 1 / 64)


@given(durations)
def test_the_slowest_sample_is_exact(values: list[int]) -> None:
    assert filled(values).estimate(1 - 1e-9) == max(values)


@given(durations, durations, durations)
def test_two_rotations_forget(first: list[int], second: list[int], third: list[int]) -> None:
    window = filled(first)
    for later in (second, third):
        window.rotate()
        for each in later:
            window.record(each)
    expected = filled(second + third)
    assert window.count == expected.count == len(second + third)
    assert window.fresh == len(third)
    assert window.estimate(0.9) == expected.estimate(0.9)


def test_a_p99_is_claimed_from_299_samples_and_a_p50_from_5() -> None:
    assert (samples_needed(0.99), samples_needed(0.5)) == (299, 5)
    window = filled([1000] * 298)
    assert math.isnan(window.quantile(0.99))
    assert window.quantile(0.5) == 1000
    window.record(1000)
    assert window.quantile(0.99) == 1000


def test_an_empty_window_knows_nothing() -> None:
    assert math.isnan(LatencyWindow().quantile(0.5))
    assert math.isnan(LatencyWindow().estimate(0.5))


@pytest.mark.parametrize(("ns", "counted"), [(-5, 0.0), (2**42, 2.0**42 - 1), (2**80, 2.0**42 - 1)])
def test_durations_out_of_range_count_at_the_edge(ns: int, counted: float) -> None:
    assert filled([ns, ns]).estimate(0.5) == counted


@pytest.mark.parametrize("q", [0.0, 1.0, -1.0, math.nan])
def test_a_quantile_outside_0_and_1_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        filled([1]).estimate(q)
    with pytest.raises(ValueError, match="between 0 and 1"):
        filled([1]).quantile(q)


def test_recording_does_not_grow() -> None:
    window = filled(list(range(0, 10_000_000, 997)))
    here = [tracemalloc.Filter(True, name) for name in (__file__, latency.__file__)]  # threads of others allocate, too
    tracemalloc.start()
    try:
        for each in range(0, 10_000_000, 997):
            window.record(each)
        grown = sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces(here).traces)
    finally:
        tracemalloc.stop()
    assert grown < 2000  # the last few int objects, not one per record
