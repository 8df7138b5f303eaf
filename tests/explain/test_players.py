"""Who shares the credit: cells, channels, time steps, or groups of the user's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_explain.players import players
from axon_quant.errors import ExplainError


def test_features_are_numbered_or_have_the_names_they_are_given():
    assert players((3,)).names == ("f0", "f1", "f2")
    assert players((3,), feature_names=["bid", "ask", "spread"]).names == ("bid", "ask", "spread")


def test_cells_of_a_window_are_named_by_channel_and_distance_from_the_newest_row():
    found = players((3, 2), feature_names=["bid", "ask"])
    assert found.names == ("bid[t-2]", "ask[t-2]", "bid[t-1]", "ask[t-1]", "bid[t]", "ask[t]")
    assert players((2, 2, 2)).names[3] == "f1[0,1]"
    assert players((2, 2), feature_names=list("abcd")).names == tuple("abcd")


def test_channels_and_time_steps_are_groups_over_the_other_axes():
    channels = players((3, 2), "channel", ["bid", "ask"])
    assert (channels.names, channels.index.tolist(), channels.grouping) == (
        ("bid", "ask"),
        [[0, 1], [0, 1], [0, 1]],
        "channel",
    )
    steps = players((3, 2), "time")
    assert (steps.names, steps.index.tolist()) == (("t-2", "t-1", "t"), [[0, 0], [1, 1], [2, 2]])
    assert players((4,), "channel").names == ("f0", "f1", "f2", "f3")


@pytest.mark.parametrize(
    "cells",
    [
        [0, 1, 3, 4],
        (slice(None), slice(0, 2)),
        np.array([[True, True, False], [True, True, False]]),
        np.s_[..., :2],
        ["bid", "ask"],
        ["bid[t-1]", "bid[t]", "ask"],
        np.array([[0, 1], [3, 4]]),
        {0, 1, 3, 4},
    ],
)
def test_a_group_is_given_in_many_ways(cells):
    found = players((2, 3), {"prices": cells}, ["bid", "ask", "size"])
    assert found.index.tolist() == [[0, 0, 1], [0, 0, 2]]
    assert found.names == ("prices", "size[t-1]", "size[t]")


@pytest.mark.parametrize(("cells", "members"), [(2, [2]), (range(1, 3), [1, 2]), (slice(3, None), [3, 4]), (-1, [4])])
def test_numbers_ranges_and_slices_count_cells(cells, members):
    found = players((5,), {"group": cells})
    assert np.flatnonzero(found.index == 0).tolist() == members


@given(st.data())
def test_every_cell_has_one_player_and_every_player_a_cell(data):
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
    cells = data.draw(st.permutations(range(int(np.prod(shape)))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(cells)), max_size=4)))
    parts = [cells[a:b] for a, b in zip([0, *cuts], cuts, strict=False) if b > a]
    found = players(shape, {f"group {number}": part for number, part in enumerate(parts)})
    assert found.index.shape == shape
    assert found.sizes.min() >= 1
    assert found.sizes.sum() == len(cells)
    for number, part in enumerate(parts):
        assert set(np.flatnonzero(found.index.ravel() == number)) == set(part)


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ("rows", "groups 'rows' mean nothing"),
        ({"a": [0, 1], "b": [1]}, "cell 1 is in the groups 'a' and 'b'"),
        ({"a": []}, "'a' has no cells"),
        ({"a": [6]}, "does not fit an observation of shape"),
        ({"a": [0.5]}, "are no numbers of cells"),
        ({"a": np.array([True, False])}, "expected a mask of shape"),
        ({"a": ["bid"]}, "there is no feature 'bid'"),
        ({"a": None}, "does not fit"),
        ({"f0[t]": [0, 1]}, "the same name"),
    ],
)
def test_groups_that_make_no_sense_are_refused(groups, said):
    with pytest.raises(ExplainError, match=said.replace("[", r"\[")):
        players((2, 3), groups)


def test_names_that_do_not_fit_are_refused():
    with pytest.raises(ExplainError, match="4 feature names for an observation of shape"):
        players((2, 3), feature_names=list("abcd"))
    with pytest.raises(ExplainError, match="not distinct"):
        players((2,), feature_names=["a", "a"])
    with pytest.raises(ExplainError, match="no time steps"):
        players((3,), "time")


def test_values_are_the_observation_s_or_unknown_for_a_group():
    found = players((2, 2), {"both": [0, 3]}).values(np.array([[1.0, 2.0], [3.0, 4.0]]))
    np.testing.assert_array_equal(found, [np.nan, 2.0, 3.0])
