"""Exchanges: connections that are lost, silent or confused, and what becomes of orders and books meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from axon_quant.exchange import Channel, StreamState
from axon_quant.market import BookSnapshot, BookUpdate, OrderBook, Quote, Trade
from axon_quant.market.types import Bar
from axon_quant.orders import OrderStatus, Side
from axon_quant.plugins import Capability
from axon_quant.testing.cases import case
from axon_quant.testing.venue import Desk, Venue, subscribed

_ACCOUNT = "stream:account*"
_MARKET = "stream:market*"
_STALE_AFTER = 2.0
"""Seconds of silence, so that nobody waits half a minute for a plugin's own."""
_REPAIRED_WITHIN = 3.0
"""Seconds from the moment the account's stream is up again."""


class Streams:
    """Of the suite of exchanges."""

    @case("X-060", capability=Capability.AccountStream)
    def test_x060_a_disconnect_is_repaired(self, venue: Venue) -> None:
        """The account's stream breaks before a fill is told: nothing is missing seconds later, and both are told."""

        async def body(desk: Desk) -> None:
            if not await _trade_through(desk, "disconnect", every=2):
                return
            await desk.until(lambda: _told(desk, up=False), "the loss is told")
            await desk.until(lambda: _told(desk, up=True), "the return is told")

        venue.run(body)

    @case("X-061")
    def test_x061_a_frozen_stream_is_given_up(self, venue: Venue) -> None:
        """The account's stream says nothing any more: orders and fills are brought up to date all the same."""

        async def body(desk: Desk) -> None:
            vars(desk.adapter)["stale_after"] = _STALE_AFTER
            await desk.adapter.connect()
            await _trade_through(desk, "freeze", within=10.0)

        venue.run(body, connect=False)

    @case("X-062")
    def test_x062_a_stalled_stream_loses_nothing(self, venue: Venue) -> None:
        """Pings are answered and nothing is told: orders and fills are brought up to date all the same."""

        async def body(desk: Desk) -> None:
            vars(desk.adapter)["stale_after"] = _STALE_AFTER
            await desk.adapter.connect()
            await _trade_through(desk, "stall", within=10.0)

        venue.run(body, connect=False)

    @case("X-063")
    def test_x063_what_is_told_twice_counts_once(self, venue: Venue) -> None:
        """Every message of the account's stream comes twice: fills are counted once."""

        async def body(desk: Desk) -> None:
            await _trade_through(desk, "duplicate", limit=None)

        venue.run(body)

    @case("X-064")
    def test_x064_the_order_of_messages_does_not_matter(self, venue: Venue) -> None:
        """Messages of the account's stream change places: no order goes backwards, no fill is lost."""

        async def body(desk: Desk) -> None:
            await _trade_through(desk, "reorder", every=2, limit=None)

        venue.run(body)

    @case("X-065")
    def test_x065_what_was_never_told_is_repaired(self, venue: Venue) -> None:
        """Messages of the account's stream never come: `repair()` brings the orders' ends and fills all the same."""

        async def body(desk: Desk) -> None:
            await _trade_through(desk, "drop", repair=True, every=2, limit=3)

        venue.run(body)

    @case("X-066")
    def test_x066_an_announced_shutdown_is_survived(self, venue: Venue) -> None:
        """The venue announces that it goes down and ends every connection: trading goes on on new ones."""

        async def body(desk: Desk) -> None:
            if not await _trade_through(desk, "shutdown", seconds=0.2):
                return
            await asyncio.sleep(0.3)
            await _trade_through(desk, None)

        venue.run(body)

    # Market data

    @case("X-070", capability=Capability.TradeStream)
    def test_x070_trades_flow(self, venue: Venue) -> None:
        """Subscribed trades arrive with symbol, price and quantity, and again after the connection was lost."""
        venue.run(lambda desk: _flows(desk, Channel.Trades, Trade))

    @case("X-071", capability=Capability.QuoteStream)
    def test_x071_quotes_flow(self, venue: Venue) -> None:
        """Subscribed quotes arrive, the bid below the ask, and again after the connection was lost."""
        venue.run(lambda desk: _flows(desk, Channel.Quotes, Quote))

    @case("X-072", capability=Capability.BookStream)
    def test_x072_the_book_is_whole_and_heals_a_gap(self, venue: Venue) -> None:
        """The book is the venue's; after a message of it was lost it is the venue's again within seconds."""

        async def body(desk: Desk) -> None:
            await desk.ask(Capability.BookStream, lambda: subscribed(desk, Channel.Book))
            if not desk.declares(Capability.BookStream):
                return
            await desk.until(lambda: _is_the_venues(desk), "the book is the venue's")
            desk.arm("drop", _MARKET)
            await desk.until(lambda: desk.fired("drop"), "a message of the book is lost")
            lost_at = len(desk.events)
            await desk.until(
                lambda: any(isinstance(event, BookSnapshot) for event in desk.events[lost_at:]),
                "a new snapshot is told after the gap",
            )
            await desk.until(lambda: _is_the_venues(desk), "the book is the venue's again")

        venue.run(body)

    @case("X-073", capability=Capability.BarStream)
    def test_x073_bars_can_be_subscribed(self, venue: Venue) -> None:
        """Bars can be asked for; one that arrives has its low below its high."""

        async def body(desk: Desk) -> None:
            await desk.ask(Capability.BarStream, lambda: subscribed(desk, Channel.Bars))
            await asyncio.sleep(0.3)
            assert all(bar.low <= bar.high for bar in desk.of(Bar))

        venue.run(body)


async def _trade_through(
    desk: Desk, kind: str | None, *, within: float = _REPAIRED_WITHIN, repair: bool = False, **more: Any
) -> bool:
    """Buy and sell across the spread and cancel one while something goes wrong; then everything agrees."""
    if not desk.declares(Capability.AccountStream):
        pytest.skip("account-stream is not declared")
    if kind is not None:
        desk.arm(kind, _ACCOUNT, **more)
    resting = desk.order()
    orders = [desk.order("1.01"), desk.order("0.99", Side.Sell), desk.order("1.01"), resting]
    for order in orders:
        await desk.adapter.place_order(order)
    await desk.adapter.cancel_order(resting.client_order_id)
    if repair:
        await asyncio.sleep(0.2)
        await desk.adapter.repair()
    for order in orders[:-1]:
        await desk.until_status(order, OrderStatus.Filled, within=within)
    await desk.until_status(resting, OrderStatus.Cancelled, within=within)
    assert kind is None or desk.fired(kind), f"{kind} did not happen: the simulator tells the account's stream nothing"
    await desk.agrees(*orders, within=within)
    return True


def _told(desk: Desk, *, up: bool) -> bool:
    states = [state for state in desk.of(StreamState) if state.stream == "account"]
    return any(state.up is up for state in states[1 if up else 0 :])


async def _flows(desk: Desk, channel: Channel, kind: type[Any]) -> None:
    await desk.ask(channel.capability, lambda: subscribed(desk, channel))
    if not desk.declares(channel.capability):
        return
    await desk.until(lambda: len(desk.of(kind)) > 2, f"{channel.value} arrive")
    desk.arm("disconnect", _MARKET)
    await desk.until(lambda: desk.fired("disconnect"), "the connection breaks")
    there = len(desk.of(kind))
    await desk.until(lambda: len(desk.of(kind)) > there + 2, f"{channel.value} arrive again")
    for event in desk.of(kind):
        assert event.symbol == desk.symbol
        assert event.bid < event.ask if isinstance(event, Quote) else event.price > 0 < event.quantity


def _is_the_venues(desk: Desk) -> bool:
    """Whether the book that was told has the venue's ten best levels now."""
    book = OrderBook(desk.symbol)
    for event in desk.events:
        if isinstance(event, BookSnapshot):
            book.restore(event)
        elif isinstance(event, BookUpdate):
            book.apply(event)
    theirs = desk.simulator.exchange.books[desk.symbol]
    if not (desk.of(BookSnapshot) and theirs.best_bid):
        return False
    return all(
        [list(map(float, part)) for part in ours(5)] == [list(map(float, part)) for part in other(5)]
        for ours, other in ((book.bids, theirs.bids), (book.asks, theirs.asks))
    )
