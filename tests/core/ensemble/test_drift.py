"""Drift detectors find what has changed, soon, and cry wolf next to never."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axon_quant.ensemble import Cusum, FeatureCusum, Psi
from axon_quant.errors import EnsembleError


def normal(seed, count):
    return np.random.default_rng(seed).standard_normal(count)


def alarms(detector, stream):
    return [number for number, value in enumerate(stream, 1) if detector.update(value)]


@pytest.mark.parametrize("make", [Cusum, Psi])
@pytest.mark.parametrize("seed", range(3))
def test_a_stream_that_stays_the_same_never_drifts(make, seed):
    assert alarms(make(), normal(seed, 20_000).tolist()) == []


@pytest.mark.parametrize("shift", [1.0, -1.0])
def test_a_move_by_one_deviation_is_found_after_about_forty_numbers(shift):
    delays = []
    for seed in range(11):
        stream = normal(seed, 3_000)
        stream[1_000:] += shift
        delays.append(alarms(Cusum(), (5.0 + 0.1 * stream).tolist())[0] - 1_000)
    assert min(delays) > 0
    assert 25 <= np.median(delays) <= 60
    assert max(delays) <= 200


def test_a_stream_that_remembers_is_not_taken_for_one_that_drifts():
    noise, stream, last = normal(1, 20_000), [], 0.0
    for value in noise:
        last = 0.95 * last + value
        stream.append(last)
    assert alarms(Cusum(warmup=1_000), stream) == []
    moved = [value + 10.0 * (number >= 5_000) for number, value in enumerate(stream)]
    assert 5_000 < alarms(Cusum(warmup=1_000), moved)[0] < 6_000


def test_an_outlier_is_no_drift_and_one_value_for_ever_is():
    stream = normal(2, 2_000)
    stream[1_000] = 1e6
    assert alarms(Cusum(), stream.tolist()) == []
    assert alarms(Cusum(), [1.0] * 1_000) == []
    assert len(alarms(Cusum(), [1.0] * 600 + [0.9] * 100)) == 1


def test_a_drift_is_told_once_and_again_only_after_it_was_over():
    stream = normal(3, 6_000)
    stream[1_000:2_000] += 3.0
    stream[4_000:5_000] -= 3.0
    first, second = alarms(Cusum(), stream.tolist())
    assert 1_000 < first < 1_100
    assert 4_000 < second < 4_100


def test_after_a_reset_a_drift_that_lasts_is_found_anew():
    detector = Cusum()
    alarms(detector, normal(4, 1_000).tolist())
    assert len(alarms(detector, (normal(5, 300) + 2.0).tolist())) == 1
    assert detector.drifting
    detector.reset()
    assert not detector.drifting
    assert len(alarms(detector, (normal(6, 300) + 2.0).tolist())) == 1


def test_psi_finds_a_change_that_leaves_the_mean_alone():
    stream = normal(7, 6_000)
    stream[3_000:] *= 2.5
    (found,) = alarms(Psi(), stream.tolist())
    assert 3_000 < found < 3_300


def test_psi_is_what_its_formula_says():
    reference, window = normal(8, 1_000), normal(9, 200) + 0.5
    detector = Psi(threshold=100.0)
    alarms(detector, [*reference.tolist(), *window.tolist()])
    cuts = [sorted(reference)[100 * number] for number in range(1, 10)]
    p, q = (
        (np.bincount(np.searchsorted(cuts, values), minlength=10) + 0.5) / (len(values) + 5)
        for values in (reference, window)
    )
    assert detector.index == pytest.approx(float(((q - p) * np.log(q / p)).sum()))


def test_psi_sees_that_a_constant_stream_has_moved():
    assert alarms(Psi(), [1.0] * 3_000) == []
    for moved in (0.999, 1.001):
        assert len(alarms(Psi(), [1.0] * 2_000 + [moved] * 300)) == 1
    mostly = [1.0, 1.0, 0.5] * 1_000
    assert alarms(Psi(), mostly) == []
    assert len(alarms(Psi(), mostly + [1.0, 0.5, 0.5] * 200)) == 1


def test_psi_tells_once_and_can_be_reset():
    detector = Psi()
    stream = [*normal(10, 1_000).tolist(), *(normal(11, 1_000) + 2.0).tolist()]
    assert len(alarms(detector, stream)) == 1
    detector.reset()
    assert not detector.drifting
    assert alarms(detector, normal(12, 1_000).tolist()) == []


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    features=st.integers(1, 5),
    shift=st.floats(-4, 4),
    constant=st.booleans(),
)
def test_watching_features_is_watching_each_of_them(seed, features, shift, constant):
    rows = np.random.default_rng(seed).standard_normal((120, features)).cumsum(axis=0) * 0.3
    rows[60:, 0] += shift
    if constant:
        rows[:, -1] = 1.0
    together = FeatureCusum(features, warmup=30, threshold=5.0)
    alone = [Cusum(warmup=30, threshold=5.0) for _ in range(features)]
    for row in rows:
        found = [detector.update(value) for detector, value in zip(alone, row.tolist(), strict=True)]
        assert together.update(row) == any(found)
        assert together.drifting == tuple(index for index, detector in enumerate(alone) if detector.drifting)
    together.reset()
    assert together.drifting == ()


def test_features_are_watched_in_the_newest_row_of_a_window():
    detector = FeatureCusum(3, warmup=20)
    windows = np.random.default_rng(0).standard_normal((400, 4, 3)).astype(np.float32)
    windows[200:, -1, 1] += 5.0
    windows[200:, 0, 2] += 50.0
    found = [number for number, window in enumerate(windows) if detector.update(window[None])]
    assert len(found) == 1
    assert detector.drifting == (1,)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused(value):
    for detector in (Cusum(), Psi()):
        with pytest.raises(EnsembleError, match="expected a finite number"):
            detector.update(value)
    with pytest.raises(EnsembleError, match="not finite"):
        FeatureCusum(2).update([0.0, value])
    with pytest.raises(EnsembleError, match="of 2 features"):
        FeatureCusum(2).update([0.0, 0.0, 0.0])


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (Cusum, {"warmup": 9}, "warmup is 9"),
        (Cusum, {"slack": -0.1}, r"slack is -0\.1"),
        (Cusum, {"threshold": math.nan}, "threshold is nan"),
        (Cusum, {"clip": 0.5}, r"clip is 0\.5"),
        (Psi, {"bins": 1}, "bins is 1"),
        (Psi, {"reference": 99}, "reference is 99"),
        (Psi, {"window": 49}, "window is 49"),
        (Psi, {"threshold": 0.0}, r"threshold is 0\.0"),
        (lambda **o: FeatureCusum(0, **o), {}, "features is 0"),
    ],
)
def test_settings_out_of_range_are_refused(make, options, message):
    with pytest.raises(EnsembleError, match=message):
        make(**options)


@settings(max_examples=30, deadline=None)
@given(
    make=st.sampled_from([lambda: Cusum(warmup=20, threshold=4.0), lambda: Psi(bins=3, reference=30, window=15)]),
    cut=st.integers(0, 150),
    seed=st.integers(0, 99),
)
def test_a_restored_detector_goes_on_where_it_was(make, cut, seed):
    stream = (normal(seed, 150).cumsum() * 0.4).tolist()
    first, second = make(), make()
    alarms(first, stream[:cut])
    second.restore(first.state())
    assert alarms(second, stream[cut:]) == alarms(first, stream[cut:])
    assert second.state() == first.state()
