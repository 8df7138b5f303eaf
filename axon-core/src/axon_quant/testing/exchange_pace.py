"""Exchanges: limits, bans and clocks."""

from __future__ import annotations

import asyncio

import pytest

from axon_quant.errors import ExchangeError, RateLimitedError
from axon_quant.orders import OrderStatus
from axon_quant.plugins import Capability
from axon_quant.testing.cases import case
from axon_quant.testing.venue import Desk, Venue


class Pace:
    """Of the suite of exchanges."""

    @case("X-080")
    def test_x080_a_rate_limit_is_kept(self, venue: Venue) -> None:
        """Told to wait, it sends nothing before the time is over, and then goes on."""
        venue.run(lambda desk: _kept(desk, "rate-limit"))

    @case("X-081")
    def test_x081_a_ban_is_kept(self, venue: Venue) -> None:
        """Banned, it sends nothing before the ban is over, and then goes on."""
        venue.run(lambda desk: _kept(desk, "ban"))

    @case("X-082", capability=Capability.VenueClock)
    def test_x082_clocks_that_differ_are_healed(self, venue: Venue) -> None:
        """The venue's clock is minutes ahead, then jumps behind ours: orders go on, each sent once."""

        async def body(desk: Desk) -> None:
            if not desk.declares(Capability.VenueClock):
                desk.simulator.drift_ms = 0.0
                await desk.must_be_unsupported("venue-clock", desk.adapter.venue_clock)  # type: ignore[attr-defined]
                return
            desk.simulator.drift_ms = 60_000.0
            await desk.adapter.connect()
            for drift_ms in (60_000.0, -60_000.0, 0.0):
                desk.simulator.drift_ms = drift_ms
                order = desk.order()
                await desk.adapter.place_order(order)
                await desk.until_status(order, OrderStatus.Open)
                assert len(desk.at_venue(order)) == 1

        venue.run(body, connect=False)


async def _kept(desk: Desk, kind: str) -> None:
    """Nothing comes while the venue is closed, whatever is asked for."""
    first = desk.order()
    desk.arm(kind, seconds=1.0)
    error = await desk.outcome(first)
    assert desk.fired(kind)
    if error is not None:
        assert isinstance(error, RateLimitedError), f"the venue asked to wait, and that became {error!r}"
        assert error.retry_after > 0, "how long to wait is lost"
        assert not desk.at_venue(first)

    async def insist() -> None:
        try:
            await desk.adapter.place_order(desk.order())
        except ExchangeError as refused:
            if not isinstance(refused, RateLimitedError):
                pytest.fail(f"the venue asked to wait, and that became {refused!r}", pytrace=False)

    await asyncio.gather(*(insist() for _ in range(5)))
    truth = desk.simulator.truth()
    early = {name: truth[name] for name in ("during_wait", "during_ban")}
    assert not any(early.values()), f"requests came while the venue had asked for none: {early}"
    later = desk.order()
    await asyncio.sleep(1.1)
    await desk.adapter.place_order(later)
    await desk.until_status(later, OrderStatus.Open)
