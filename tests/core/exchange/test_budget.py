"""The rate budget on a simulated clock: nothing here sleeps."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_quant.clock import NANOSECONDS, SimClock
from axon_quant.errors import RateLimitedError
from axon_quant.exchange import RateBudget, RateLimitConfig, Request, VenueLimit

START = 1_000 * NANOSECONDS


def budget_of(clock: SimClock, venue_limits: tuple[VenueLimit, ...] = (), **options: float) -> RateBudget:
    return RateBudget(RateLimitConfig(**options), venue_limits=venue_limits, clock=clock, venue="test")


async def waits(budget: RateBudget, clock: SimClock, *requests: Request) -> list[float]:
    """Seconds from the start at which each request left."""
    left = []
    for request in requests:
        await budget.acquire(request)
        left.append((clock.now() - START) / NANOSECONDS)
    return left


async def test_requests_within_the_budget_leave_at_once() -> None:
    clock = SimClock(START)
    budget = budget_of(clock, requests_per_second=10)
    assert await waits(budget, clock, *[Request.Query] * 8) == [0.0] * 8


async def test_the_next_request_waits_until_the_window_has_passed() -> None:
    clock = SimClock(START)
    budget = budget_of(clock, requests_per_second=5, cancel_reserve=0)
    assert await waits(budget, clock, *[Request.Query] * 6) == [0.0] * 5 + [1.0]


async def test_cancels_have_a_reserve_that_orders_cannot_use() -> None:
    clock = SimClock(START)
    budget = budget_of(clock, requests_per_second=10, cancel_reserve=0.2, max_wait_ms=0)
    await waits(budget, clock, *[Request.Order] * 8)
    with pytest.raises(RateLimitedError):
        await budget.acquire(Request.Order)
    assert await waits(budget, clock, Request.Cancel, Request.Cancel) == [0.0, 0.0]
    with pytest.raises(RateLimitedError):
        await budget.acquire(Request.Cancel)


async def test_orders_count_against_the_minute_and_cancels_do_not() -> None:
    clock = SimClock(START)
    budget = budget_of(clock, requests_per_second=100, orders_per_minute=2)
    await waits(budget, clock, Request.Order, Request.Order)
    with pytest.raises(RateLimitedError, match=r"no order may leave for 60\.000 s") as raised:
        await budget.acquire(Request.Order)
    assert raised.value.retry_after == 60.0
    assert await waits(budget, clock, Request.Cancel, Request.Query) == [0.0, 0.0]


async def test_the_smaller_of_the_users_and_the_venues_limits_counts() -> None:
    clock = SimClock(START)
    venue = (VenueLimit("requests", 3, 1.0), VenueLimit("orders", 1_000, 60.0))
    budget = budget_of(clock, venue, requests_per_second=100, orders_per_minute=2, cancel_reserve=0, max_wait_ms=0)
    await waits(budget, clock, Request.Order, Request.Order, Request.Query)
    for request in (Request.Order, Request.Query):
        with pytest.raises(RateLimitedError):
            await budget.acquire(request)


async def test_a_penalty_holds_everything_back_until_it_is_over() -> None:
    clock = SimClock(START)
    budget = budget_of(clock, max_wait_ms=8_000)
    budget.penalize(7)
    budget.penalize(2)
    assert await waits(budget, clock, Request.Cancel) == [7.0]


async def test_a_penalty_longer_than_the_patience_raises_with_the_time_left() -> None:
    clock = SimClock(START)
    budget = budget_of(clock)
    budget.penalize(7)
    clock.advance(START + 2 * NANOSECONDS)
    with pytest.raises(RateLimitedError) as raised:
        await budget.acquire(Request.Cancel)
    assert raised.value.retry_after == 5.0


async def test_a_rate_below_one_per_second_is_kept() -> None:
    clock = SimClock(START)
    budget = budget_of(clock, requests_per_second=0.5, max_wait_ms=5_000)
    assert await waits(budget, clock, Request.Query, Request.Query) == [0.0, 2.0]


async def test_requests_in_flight_together_are_served_in_turn() -> None:
    clock = SimClock(START)
    budget = budget_of(clock, requests_per_second=2, cancel_reserve=0, max_wait_ms=3_000)
    times = await asyncio.gather(*(waits(budget, clock, Request.Query) for _ in range(6)))
    assert sorted(time for (time,) in times) == [0.0, 0.0, 1.0, 1.0, 2.0, 2.0]


@given(
    st.lists(st.tuples(st.sampled_from(Request), st.integers(0, 400)), min_size=1, max_size=80),
    st.integers(1, 12),
    st.floats(0, 0.9),
)
def test_no_second_ever_sees_more_than_the_limit(
    requests: list[tuple[Request, int]], per_second: int, reserve: float
) -> None:
    async def run() -> list[int]:
        clock = SimClock(START)
        budget = budget_of(clock, requests_per_second=per_second, orders_per_minute=10**6, cancel_reserve=reserve)
        left = []
        for request, pause_ms in requests:
            clock.advance(clock.now() + pause_ms * 1_000_000)
            try:
                await budget.acquire(request)
            except RateLimitedError:
                continue
            left.append(clock.now())
        return left

    left = asyncio.run(run())
    for first, later in zip(left, left[per_second:], strict=False):
        assert later - first >= NANOSECONDS


async def test_weight_is_what_a_request_costs() -> None:
    clock = SimClock(START)
    venue = (VenueLimit("weight", 100, 60.0),)
    budget = budget_of(clock, venue, requests_per_second=1_000, cancel_reserve=0, max_wait_ms=0)
    await budget.acquire(Request.Query, 60)
    await budget.acquire(Request.Query, 40)
    with pytest.raises(RateLimitedError):
        await budget.acquire(Request.Query, 1)
    clock.advance(START + 61 * NANOSECONDS)
    await budget.acquire(Request.Query, 100)


async def test_a_request_heavier_than_its_limit_waits_for_an_empty_window() -> None:
    clock = SimClock(START)
    budget = budget_of(clock, (VenueLimit("weight", 50, 1.0),), requests_per_second=1_000, max_wait_ms=5_000)
    await waits(budget, clock, Request.Query)
    await budget.acquire(Request.Query, 80)
    assert clock.now() - START >= NANOSECONDS


async def test_cancels_have_a_reserve_of_weight_and_none_is_needed_of_orders() -> None:
    clock = SimClock(START)
    venue = (VenueLimit("weight", 10, 60.0), VenueLimit("orders", 3, 10.0))
    budget = budget_of(clock, venue, requests_per_second=1_000, cancel_reserve=0.2, max_wait_ms=0)
    await waits(budget, clock, *[Request.Order] * 3)
    with pytest.raises(RateLimitedError):
        await budget.acquire(Request.Order)
    await budget.acquire(Request.Query, 5)
    with pytest.raises(RateLimitedError):
        await budget.acquire(Request.Query)
    assert await waits(budget, clock, Request.Cancel, Request.Cancel) == [0.0, 0.0]


async def test_what_the_venue_counts_beyond_our_own_is_spent() -> None:
    clock = SimClock(START)
    budget = budget_of(clock, (VenueLimit("weight", 100, 60.0),), requests_per_second=1_000, max_wait_ms=0)
    await budget.acquire(Request.Query, 10)
    budget.observe("weight", 60.0, 5)
    budget.observe("weight", 10.0, 1_000)
    await budget.acquire(Request.Query, 10)
    budget.observe("weight", 60.0, 95)
    budget.observe("weight", 60.0, 95)
    with pytest.raises(RateLimitedError):
        await budget.acquire(Request.Query, 10)
    await budget.acquire(Request.Cancel, 5)


async def test_without_limits_only_penalties_hold_anything_back() -> None:
    clock = SimClock(START)
    budget = RateBudget(None, clock=clock)
    assert await waits(budget, clock, *[Request.Order] * 1_000) == [0.0] * 1_000
    budget.penalize(0.5)
    assert budget.closed_for == 0.5
    assert await waits(budget, clock, Request.Order) == [0.5]
    assert budget.closed_for == 0.0


@pytest.mark.parametrize("limit", [VenueLimit("orders", 100, 10.0), VenueLimit("orders", 60, 2.0)])
@pytest.mark.parametrize("jitter", [0.0, 0.1])
async def test_a_burst_of_a_thousand_orders_uses_the_venues_limit_and_never_breaks_it(
    limit: VenueLimit, jitter: float
) -> None:
    clock = SimClock(START)
    generator = random.Random(1)
    budget = budget_of(
        clock, (limit,), requests_per_second=10_000, orders_per_minute=10_000, cancel_reserve=0, max_wait_ms=10**9
    )
    arrivals = []
    for _ in range(1_000):
        await budget.acquire(Request.Order)
        arrivals.append(clock.now() + round(generator.uniform(0, jitter) * NANOSECONDS))
    arrivals.sort()
    period = round(limit.period * NANOSECONDS)
    for first, later in zip(arrivals, arrivals[limit.limit :], strict=False):
        assert later - first >= period, "the venue would have answered 429"
    ideal = (1_000 / limit.limit - 1) * limit.period
    assert (arrivals[-1] - START) / NANOSECONDS <= ideal / 0.9


async def test_limits_that_the_venue_tells_later_forgive_no_penalty_and_nothing_that_was_used() -> None:
    clock = SimClock(START)
    options = {"requests_per_second": 2, "cancel_reserve": 0, "max_wait_ms": 0}
    budget = budget_of(clock, (VenueLimit("weight", 50, 60.0),), **options)
    await waits(budget, clock, Request.Query, Request.Query)
    budget.penalize(0.5)
    budget.limit((VenueLimit("weight", 60, 60.0),))
    with pytest.raises(RateLimitedError, match="asked us to wait"):
        budget.check_open()
    clock.advance(START + 600_000_000)
    budget.check_open()
    with pytest.raises(RateLimitedError, match="budget is spent"):
        await budget.acquire(Request.Query)


async def test_what_is_left_of_each_limit_is_told_and_comes_back() -> None:
    clock = SimClock(START)
    venue = (VenueLimit("weight", 100, 60.0), VenueLimit("requests", 5, 1.0))
    budget = budget_of(clock, venue, requests_per_second=10, orders_per_minute=4)
    assert budget.left() == {"weight/60s": 1.0, "requests/1s": 1.0, "orders/60s": 1.0}
    await budget.acquire(Request.Order, 20)
    await budget.acquire(Request.Query, 5)
    assert budget.left() == {"weight/60s": 0.6875, "requests/1s": 0.5, "orders/60s": 0.75}
    clock.advance(START + 70 * NANOSECONDS)
    assert set(budget.left().values()) == {1.0}
