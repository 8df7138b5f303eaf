"""Calls are timed side by side."""

from __future__ import annotations

import time

import pytest

from axon_quant.inference.timing import Quantiles, median_ratio, median_round, one_round, warm_up


def test_blocks_take_turns_and_every_call_is_counted():
    order: list[str] = []
    calls = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    assert set(one_round(calls, 7, block=3)) == {"a", "b"}
    assert "".join(order) == "aaabbbaaabbbab"


def test_a_slower_call_takes_longer_and_the_tail_shows_the_one_that_was_slow():
    pauses = iter([0.001] * 19 + [0.03])
    found = one_round({"quick": lambda: None, "slow": lambda: time.sleep(next(pauses))}, 20, block=5)
    assert found["quick"].p50 < 1000 <= found["slow"].p50 < found["slow"].p99
    assert found["slow"].p99 > 10_000


def test_the_warm_up_runs_each_call_and_says_how_long_one_of_each_takes():
    count = {"n": 0}

    def call():
        count["n"] += 1
        time.sleep(0.002)

    assert 0.002 <= warm_up({"call": call}, 5) < 1
    assert count["n"] == 6


def test_one_bad_round_decides_nothing():
    rounds = [{"a": Quantiles(a, 2 * a), "b": Quantiles(b, 2 * b)} for a, b in ((1, 2), (900, 3), (2, 4))]
    assert median_round(rounds) == {"a": Quantiles(2, 4), "b": Quantiles(3, 6)}
    assert median_ratio(rounds, "a", "b") == pytest.approx(0.5)
