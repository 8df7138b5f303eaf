"""What a venue counts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from axon_quant.clock import NANOSECONDS
from axon_quant.exchange.simulator import Limit, Meter

START = 1_700_000_040 * NANOSECONDS  # a minute begins
WEIGHT = Limit("weight", 10, 60.0)


def test_a_window_begins_anew():
    meter = Meter([WEIGHT])
    assert meter.take(START, {"weight": 10}).allowed
    verdict = meter.take(START + 15 * NANOSECONDS, {"weight": 1})
    assert (verdict.allowed, verdict.retry_after, verdict.limit) == (False, 45.0, WEIGHT)
    assert meter.take(START + 60 * NANOSECONDS, {"weight": 10}).allowed
    assert meter.used(START + 60 * NANOSECONDS) == [(WEIGHT, 10)]


def test_a_request_that_is_over_one_limit_counts_against_none():
    tight = Limit("orders", 1, 10.0)
    meter = Meter([WEIGHT, tight], bans=False)
    meter.take(START, {"weight": 1, "orders": 1})
    assert not meter.take(START, {"weight": 1, "orders": 1}).allowed
    assert meter.used(START) == [(WEIGHT, 1), (tight, 1)]


def test_who_does_not_stay_away_is_banned_and_longer_each_time():
    meter = Meter([WEIGHT], patience=3, ban_seconds=120)
    meter.take(START, {"weight": 11})
    verdicts = [meter.take(START + second * NANOSECONDS, {"weight": 1}) for second in range(1, 6)]
    assert [verdict.banned for verdict in verdicts] == [False, False, False, True, True]
    assert (meter.refused, meter.during_wait, meter.during_ban) == (1, 4, 1)
    assert verdicts[3].retry_after == 120
    later = START + 130 * NANOSECONDS
    assert meter.take(later, {"weight": 1}).allowed
    meter.take(later, {"weight": 11})
    assert [meter.take(later + second * NANOSECONDS, {"weight": 1}).retry_after for second in range(1, 5)][-1] == 240


def test_without_bans_what_is_not_counted_goes_on():
    meter = Meter([Limit("orders", 1, 10.0)], bans=False)
    meter.take(START, {"orders": 1})
    assert not meter.take(START, {"orders": 1}).allowed
    assert meter.take(START, {"weight": 1}).allowed


def test_a_venue_may_close_by_itself():
    meter = Meter([WEIGHT])
    meter.close(START, 5.0, banned=True)
    assert meter.take(START + NANOSECONDS, {"weight": 1}).banned
    assert meter.take(START + 5 * NANOSECONDS, {"weight": 1}).allowed
    assert (meter.during_ban, meter.in_flight) == (1, 0)


def test_what_was_on_its_way_when_the_venue_closed_is_counted_apart_and_is_no_strike():
    meter = Meter([WEIGHT], patience=3, grace=0.25)
    meter.close(START, 5.0, banned=False)
    for _ in range(20):
        late = meter.take(START + NANOSECONDS, {"weight": 1}, arrived=START + NANOSECONDS // 10)
        assert not late.allowed
        assert not late.banned
    assert (meter.during_wait, meter.in_flight) == (0, 20)
    meter.take(START + NANOSECONDS, {"weight": 1})
    assert (meter.during_wait, meter.in_flight, len(meter.late)) == (1, 20, 1)


def test_what_may_have_been_on_its_way_is_refused_and_held_against_nobody():
    meter = Meter([WEIGHT], patience=1, grace=0.25)
    meter.take(START, {"weight": 11})
    early = [meter.take(START + tenth * NANOSECONDS // 10, {"weight": 1}) for tenth in (1, 2)]
    assert [verdict.allowed for verdict in early] == [False, False]
    assert meter.during_wait == 0
    meter.take(START + NANOSECONDS, {"weight": 1})
    assert (meter.during_wait, meter.during_ban) == (1, 0)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 6)), max_size=60))
def test_no_window_ever_holds_more_than_its_limit(steps):
    meter, now, windows = Meter([WEIGHT], bans=False), START, {}
    for wait, amount in steps:
        now += wait * NANOSECONDS
        if meter.take(now, {"weight": amount}).allowed:
            window = now // (60 * NANOSECONDS)
            windows[window] = windows.get(window, 0) + amount
    assert all(used <= 10 for used in windows.values())
