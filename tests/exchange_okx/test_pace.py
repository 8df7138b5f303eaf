"""The pace of each endpoint, on a clock of its own."""

from __future__ import annotations

from axon_exchange_okx.pace import LIMITS, PERIOD, Pace
from axon_exchange_okx.rest import ORDER
from axon_quant.clock import NANOSECONDS, SimClock
from axon_quant.exchange.budget import sleeper


async def test_no_two_seconds_see_more_than_okx_allows():
    clock = SimClock(10**18)
    pace = Pace(LIMITS, clock, sleeper(clock))
    for endpoint, limit in LIMITS.items():
        left: list[int] = []
        for number in range(limit * 3):
            await pace.wait(endpoint)
            left.append(clock.now())
            clock.advance(clock.now() + number * 1_000_000)
        spans = [later - earlier for earlier, later in zip(left, left[limit:], strict=False)]
        assert min(spans) >= 2 * NANOSECONDS, endpoint
    assert clock.now() > 10**18 + len(LIMITS) * 2 * NANOSECONDS


async def test_one_endpoint_does_not_wait_for_another_and_orders_never_do():
    clock = SimClock(10**18)
    pace = Pace(LIMITS, clock, sleeper(clock))
    for _ in range(LIMITS["GET /api/v5/account/balance"]):
        await pace.wait("GET /api/v5/account/balance")
    await pace.wait("GET /api/v5/trade/fills")
    for _ in range(1000):
        await pace.wait(f"POST {ORDER}")
    assert clock.now() == 10**18
    for symbol in ("BTC-USDT", "ETH-USDT"):
        for _ in range(60):
            await pace.wait("POST /api/v5/trade/cancel-order", symbol)
    assert clock.now() == 10**18
    await pace.wait("GET /api/v5/account/balance")
    assert clock.now() == 10**18 + round(PERIOD * NANOSECONDS)
