"""Axes show round numbers, in order, and labels do not touch."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_quant.report.plot import dodge
from axon_quant.report.scales import LinearScale, LogScale, clock_time, duration, nice_step, padded

numbers = st.floats(-1e9, 1e9)


@given(numbers, st.floats(1e-6, 1e9), st.integers(2, 12))
def test_ticks_lie_on_the_axis_and_are_about_as_many_as_asked_for(low, span, count):
    scale = LinearScale(low, low + span, 0.0, 100.0)
    ticks = scale.ticks(count)
    assert len(ticks) <= count + 1
    slack = 1e-6 * max(abs(low), span)
    assert all(scale.low - slack <= tick <= scale.high + slack for tick in ticks)


@pytest.mark.parametrize(("span", "count", "step"), [(10, 5, 2), (100, 4, 25), (7, 7, 1), (0.3, 3, 0.1), (0, 3, 1)])
def test_steps_are_round(span, count, step):
    assert nice_step(span, count) == pytest.approx(step)


def test_a_scale_maps_its_ends_to_the_ends_of_the_page_and_survives_an_empty_interval():
    assert (LinearScale(0, 10, 50, 150)(0), LinearScale(0, 10, 50, 150)(10)) == (50, 150)
    assert LinearScale(5, 5, 0, 100)(5) == 50
    assert padded(3.0, 3.0) == (2.0, 4.0)


def test_a_logarithmic_scale_gives_every_decade_the_same_room():
    scale = LogScale(1, 1000, 0, 300)
    assert [round(scale(value)) for value in (1, 10, 100, 1000)] == [0, 100, 200, 300]
    assert LogScale(3, 2000, 0, 300).ticks() == [10, 100, 1000]


def test_times_tick_on_whole_minutes():
    assert LinearScale(0, 900, 0, 1).time_ticks(5) == [0, 180, 360, 540, 720, 900]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (449.98, "7:30"), (59.96, "1:00"), (12.3, "0:12.3"), (3600, "60:00")]
)
def test_clock_times(seconds, text):
    assert clock_time(seconds) == text


@pytest.mark.parametrize(
    ("microseconds", "text"), [(5.7, "5.7 µs"), (100, "100 µs"), (153.6, "154 µs"), (4915, "4.92 ms"), (2e6, "2 s")]
)
def test_durations_have_a_unit_and_three_digits(microseconds, text):
    assert duration(microseconds) == text


@given(st.lists(st.floats(0, 200), max_size=8))
def test_labels_stand_a_line_apart_and_in_order(places):
    moved = dodge(sorted(places), 0.0, 200.0)
    assert all(later - earlier >= 15.0 - 1e-6 for earlier, later in pairwise(moved))
    assert all(place <= 200.0 for place in moved)
