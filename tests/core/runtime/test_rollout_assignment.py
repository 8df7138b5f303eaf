"""Who is in the canary."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from axon_quant.runtime.rollout import Assignment

KEYS = tuple(f"SYM{number}USDT" for number in range(2_000))
names = st.lists(st.text(min_size=1, max_size=12), max_size=30, unique=True)
shares = st.floats(0.0, 1.0)


@given(names, shares, shares, st.text(max_size=5))
def test_a_larger_share_keeps_every_key_of_a_smaller_one_in_the_order_of_the_keys(keys, one, other, salt):
    assignment = Assignment(salt=salt)
    small, large = (assignment.chosen(keys, share) for share in sorted((one, other)))
    assert set(small) <= set(large) <= set(keys)
    assert list(large) == [key for key in keys if key in large]


@given(names, st.text(max_size=5))
def test_a_share_of_nothing_is_nobody_and_of_all_is_everybody(keys, salt):
    assignment = Assignment(salt=salt)
    assert assignment.chosen(keys, 0.0) == ()
    assert assignment.chosen(keys, 1.0) == tuple(keys)
    assert all(0.0 <= assignment.place(key) < 1.0 for key in keys)


@given(st.sampled_from([0.05, 0.25, 0.5, 0.9]), st.integers(0, 40))
def test_of_many_keys_the_share_is_nearly_the_one_that_was_asked_for(share, salt):
    chosen = Assignment(salt=str(salt)).chosen(KEYS, share)
    assert abs(len(chosen) / len(KEYS) - share) < 6 * (share * (1 - share) / len(KEYS)) ** 0.5


@given(names, st.sets(st.text(min_size=1, max_size=12)), shares)
def test_listed_keys_are_in_and_no_others(keys, listed, share):
    chosen = Assignment(keys=listed).chosen(keys, share)
    assert chosen == (tuple(key for key in keys if key in listed) if share else ())


def test_another_process_assigns_alike_and_another_salt_does_not():
    code = (
        "from axon_quant.runtime.rollout import Assignment as A; print(*A(salt='flow').chosen(['A','B','C','D'], 0.5))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert found == list(Assignment(salt="flow").chosen("ABCD", 0.5)) == ["B", "C"]
    assert Assignment(salt="flow").chosen(KEYS, 0.5) != Assignment(salt="reversion").chosen(KEYS, 0.5)
