"""Bounds, steps and features that stay."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_explain.constraints import Constraints, Names
from axon_quant.errors import ExplainError

FLAT = Names((3,), ("a", "b", "spread"), np.arange(3), ("a", "b", "spread"))
WINDOW = Names((4, 2), ("a", "b"), np.tile(np.arange(2), (4, 1)), ("a", "b"))


def limits(names=FLAT, dtype=np.float32, *, bounds=None, immutable=(), steps=None):
    return Constraints.of(names, np.dtype(dtype), bounds, immutable, steps)


finite = st.floats(-1e4, 1e4)


@given(st.lists(finite, min_size=3, max_size=3), finite, st.floats(0, 100), st.sampled_from([0.0, 0.01, 0.1, 0.3, 7.0]))
def test_what_is_changed_lies_within_its_bounds_and_on_its_grid(values, low, width, step):
    high = low + width
    try:
        made = limits(bounds={"a": (low, high)}, steps={"a": step} if step else None)
    except ExplainError:
        empty = np.nextafter(np.float32(low), np.float32(np.inf)) >= high
        assert empty or np.ceil(low / step - 1e-9) > np.floor(high / step + 1e-9)
        return
    origin = np.zeros(3, np.float32)
    (row,) = made.applied(np.array([values], np.float32), origin)
    assert row.dtype == np.float32
    if row[0] != origin[0]:
        assert low <= float(row[0]) <= high
        if step:
            number = float(row[0]) / step
            assert abs(number - round(number)) <= 1e-6 * max(1.0, abs(number))


def test_a_bound_that_the_dtype_cannot_hold_is_never_passed():
    made = limits(bounds={"a": (None, 0.1)})
    (row,) = made.applied(np.array([[5.0, 1.0, 1.0]], np.float32), np.zeros(3, np.float32))
    assert 0.0999999 < float(row[0]) <= 0.1
    assert row[1] == 1.0


def test_a_step_that_ends_at_a_bound_gets_there():
    made = limits(bounds={"a": (0.1, 0.3)}, steps={"a": 0.1})
    (row,) = made.applied(np.array([[5.0, 1.0, 1.0]], np.float32), np.zeros(3, np.float32))
    assert float(row[0]) == pytest.approx(0.3, abs=1e-7)


def test_an_unchanged_value_may_lie_outside_of_its_bounds():
    made = limits(bounds={"a": (0.0, 1.0)}, steps={"a": 0.5})
    origin = np.array([7.3, 0.0, 0.0], np.float32)
    rows = made.applied(np.array([[7.3, 1.0, 0.0], [6.0, 0.0, 0.0]], np.float32), origin)
    assert rows[:, 0].tolist() == [np.float32(7.3), 1.0]


def test_arrays_give_bounds_and_steps_to_every_cell():
    made = limits(WINDOW, bounds=(-1.0, np.array([1.0, 2.0])), steps=0.5)
    rows = made.applied(np.full((1, 8), 9.9, np.float32), np.zeros(8, np.float32))
    assert rows.reshape(4, 2).tolist() == [[1.0, 2.0]] * 4


def test_cells_are_named_by_channel_and_age():
    cells = np.arange(8).reshape(4, 2)
    assert np.flatnonzero(WINDOW.cells("b")).tolist() == cells[:, 1].tolist()
    assert np.flatnonzero(WINDOW.cells("b[t]")).tolist() == [7]
    assert np.flatnonzero(WINDOW.cells("a[t-3]")).tolist() == [0]
    assert np.flatnonzero(WINDOW.cells((1, 1))).tolist() == [3]
    assert np.flatnonzero(WINDOW.cells(1)).tolist() == cells[:, 1].tolist()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"immutable": ["spraed"]}, "did you mean 'spread'"),
        ({"immutable": [3]}, "no feature 3"),
        ({"immutable": [(0, 0)]}, "no cell"),
        ({"immutable": ["a[t-9]"]}, "no feature"),
        ({"bounds": {"a": (1.0, 0.0)}}, "a: no float32 lies between 1.0 and 0.0"),
        ({"bounds": {"a": (4096.05295, 4096.05297)}}, "no float32 lies between 4096.05295"),
        ({"bounds": {"a": (np.nan, 0.0)}}, "a: no float32 lies between"),
        ({"bounds": {"a": (0.1, 0.4)}, "steps": {"a": 0.5}}, "on a grid of 0.5"),
        ({"immutable": [1.5]}, "no feature 1.5"),
        ({"bounds": {"a": 3}}, "bounds are a pair (low, high), found 3"),
        ({"bounds": (1, 2, 3)}, "bounds are a pair"),
        ({"bounds": (np.zeros(5), np.ones(5))}, "do not fit"),
        ({"steps": {"a": 0.0}}, "a step is positive"),
        ({"steps": {"a": np.nan}}, "a step is positive"),
        ({"steps": [1.0, -1.0, 0.0]}, "steps must be finite"),
    ],
)
def test_mistakes_are_told(options, message):
    with pytest.raises(ExplainError) as caught:
        limits(**options)
    assert message in str(caught.value)
