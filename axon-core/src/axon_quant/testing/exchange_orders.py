"""Exchanges: every kind of order lives as it should, and what cannot be is refused before it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from decimal import Decimal

import pytest

from axon_quant.errors import DuplicateOrderError, NotFoundError, RejectedError
from axon_quant.exchange.capabilities import needed_by
from axon_quant.orders import Order, OrderStatus, OrderType, OrderUpdate, Side, TimeInForce
from axon_quant.plugins import Capability
from axon_quant.testing.cases import case
from axon_quant.testing.venue import Desk, Venue

_OVER = (OrderStatus.Cancelled, OrderStatus.Expired, OrderStatus.Rejected)


class Orders:
    """Of the suite of exchanges."""

    @case("X-020")
    def test_x020_a_limit_order_stands_until_cancelled(self, venue: Venue) -> None:
        """It is open under our client order id, both names work, and once cancelled it cannot be cancelled again."""

        async def body(desk: Desk) -> None:
            first, second = desk.order(), desk.order("1.1", Side.Sell)
            ids = [await desk.adapter.place_order(order) for order in (first, second)]
            for order, id_ in zip((first, second), ids, strict=True):
                await desk.until_status(order, OrderStatus.Open)
                (placed,) = desk.at_venue(order)
                assert (placed.order.price, placed.order.quantity) == (order.price, order.quantity)
                assert placed.order.side is order.side
                assert id_ == desk.state(order).venue_order_id
            await desk.adapter.cancel_order(first.client_order_id)
            await desk.adapter.cancel_order(ids[1])
            for order in (first, second):
                await desk.until_status(order, OrderStatus.Cancelled)
                with pytest.raises(NotFoundError):
                    await desk.adapter.cancel_order(order.client_order_id)
            await desk.agrees(first, second)

        venue.run(body)

    @case("X-021", capability=Capability.MarketOrders)
    def test_x021_market_orders_fill_and_every_fill_is_counted_once(self, venue: Venue) -> None:
        """Bought and sold: quantities, fees and balances are the venue's to the last digit."""

        async def body(desk: Desk) -> None:
            orders = [desk.order(None, side) for side in (Side.Buy, Side.Buy, Side.Sell)]
            if not all([await desk.place(order) for order in orders]):
                return
            for order in orders:
                await desk.until_status(order, OrderStatus.Filled)
            await desk.agrees(*orders)
            assert sum(fill.quantity for fill in desk.fills()) == sum(order.quantity for order in orders)

        venue.run(body)

    @case("X-022")
    def test_x022_a_limit_order_across_the_spread_fills(self, venue: Venue) -> None:
        """At its price or better; its fills and fees are the venue's."""

        async def body(desk: Desk) -> None:
            order = desk.order("1.01")
            await desk.adapter.place_order(order)
            await desk.until_status(order, OrderStatus.Filled)
            assert order.price is not None
            assert all(fill.price <= order.price and fill.side is Side.Buy for fill in desk.fills(order))
            await desk.agrees(order)

        venue.run(body)

    @case("X-023", capability=Capability.PostOnly)
    def test_x023_a_post_only_order_never_takes(self, venue: Venue) -> None:
        """Away from the market it stands; across the spread it is refused, and nothing fills."""

        async def body(desk: Desk) -> None:
            maker, taker = desk.order(post_only=True), desk.order("1.01", post_only=True)
            if not await desk.place(maker):
                return
            await desk.until_status(maker, OrderStatus.Open)
            with suppress(RejectedError):  # some venues accept it first
                await desk.adapter.place_order(taker)
            await desk.until_status(taker, *_OVER)
            assert not desk.fills(taker)
            await desk.agrees(maker)

        venue.run(body)

    @case("X-024", capability=Capability.ImmediateOrCancel)
    def test_x024_immediate_or_cancel_does_not_stand(self, venue: Venue) -> None:
        """It fills across the spread; away from the market it is over at once, without a fill."""
        venue.run(lambda desk: _at_once(desk, TimeInForce.IOC))

    @case("X-025", capability=Capability.FillOrKill)
    def test_x025_fill_or_kill_does_not_stand(self, venue: Venue) -> None:
        """It fills across the spread; away from the market it is over at once, without a fill."""
        venue.run(lambda desk: _at_once(desk, TimeInForce.FOK))

    @case("X-026", capability=Capability.StopOrders)
    def test_x026_a_stop_order_waits_and_is_cancelled(self, venue: Venue) -> None:
        """It waits for its stop price without a fill, under our client order id, and can be cancelled."""

        async def body(desk: Desk) -> None:
            await _waits(desk, desk.order(None, Side.Sell, order_type=OrderType.Stop, stop_price=desk.price("0.9")))

        venue.run(body)

    @case("X-027", capability=Capability.StopLimitOrders)
    def test_x027_a_stop_limit_order_waits_and_is_cancelled(self, venue: Venue) -> None:
        """It waits for its stop price without a fill, under our client order id, and can be cancelled."""

        async def body(desk: Desk) -> None:
            stop = desk.price("0.9")
            await _waits(desk, desk.order("0.89", Side.Sell, order_type=OrderType.StopLimit, stop_price=stop))

        venue.run(body)

    @case("X-028", capability=Capability.AmendOrders)
    def test_x028_an_order_is_amended_in_place(self, venue: Venue) -> None:
        """Price and quantity are the new ones at the venue, and the order keeps its names."""

        async def body(desk: Desk) -> None:
            order, price, quantity = desk.order(), desk.price("0.91"), desk.quantity(2)
            id_ = await desk.adapter.place_order(order)
            await desk.ask(
                Capability.AmendOrders,
                lambda: desk.adapter.amend_order(order.client_order_id, price=price, quantity=quantity),
            )
            if desk.declares(Capability.AmendOrders):
                (placed,) = desk.at_venue(order)
                assert (placed.order.price, placed.order.quantity) == (price, quantity)
                assert desk.state(order).order.price == price
            await desk.adapter.cancel_order(id_)
            await desk.until_status(order, OrderStatus.Cancelled)

        venue.run(body)

    @case("X-029", capability=Capability.ReplaceOrders)
    def test_x029_an_order_is_replaced(self, venue: Venue) -> None:
        """The old one is cancelled and the new one stands; replacing what is over raises NotFoundError."""

        async def body(desk: Desk) -> None:
            old, new = desk.order(), desk.order("0.91")
            await desk.adapter.place_order(old)
            await desk.ask(Capability.ReplaceOrders, lambda: desk.adapter.replace_order(old.client_order_id, new))
            if not desk.declares(Capability.ReplaceOrders):
                return
            await desk.until_status(old, OrderStatus.Cancelled)
            await desk.until_status(new, OrderStatus.Open)
            await desk.agrees(old, new)
            with pytest.raises(NotFoundError):
                await desk.adapter.replace_order(old.client_order_id, desk.order())

        venue.run(body)

    @case("X-030", capability=Capability.CancelAll)
    def test_x030_cancel_all_leaves_none(self, venue: Venue) -> None:
        """Every open order of the symbol is cancelled, declared (one request) or not (one by one)."""

        async def body(desk: Desk) -> None:
            orders = [desk.order(), desk.order("0.91"), desk.order("1.1", Side.Sell)]
            for order in orders:
                await desk.adapter.place_order(order)
            await desk.adapter.cancel_all(desk.symbol)
            for order in orders:
                await desk.until_status(order, OrderStatus.Cancelled)
            assert not desk.account.open
            await desk.agrees(*orders)

        venue.run(body)

    @case("X-031", capability=Capability.CancelAfter)
    def test_x031_the_dead_man_switch_cancels(self, venue: Venue) -> None:
        """Once the time is over every open order is cancelled; a switch that was disarmed cancels nothing."""

        async def body(desk: Desk) -> None:
            seconds = float(str(venue.options.get("shortest_deadline", 1.0)))
            order = desk.order()
            await desk.adapter.place_order(order)
            await desk.ask(Capability.CancelAfter, lambda: desk.adapter.cancel_after(seconds))
            if not desk.declares(Capability.CancelAfter):
                return
            await desk.adapter.cancel_after(0)
            await desk.adapter.cancel_after(seconds)
            assert desk.at_venue(order)[0].is_open
            await desk.until_status(order, OrderStatus.Cancelled, within=seconds + 3)
            kept = desk.order()
            await desk.adapter.place_order(kept)
            await desk.adapter.cancel_after(0)
            assert desk.at_venue(kept)[0].is_open

        venue.run(body)

    @case("X-032", capability=Capability.ReduceOnly)
    def test_x032_a_reduce_only_order_opens_nothing(self, venue: Venue) -> None:
        """It is refused, by the plugin or the venue, where there is no position to reduce, or sells what is held."""

        async def body(desk: Desk) -> None:
            order = desk.order(None, Side.Sell, reduce_only=True)
            with suppress(RejectedError):
                await desk.place(order)
            held = desk.instrument.base
            assert desk.account.totals.get(held, Decimal(0)) >= 0

        venue.run(body)

    # Refusals

    @case("X-040")
    def test_x040_an_unknown_symbol_is_refused_before_it_is_sent(self, venue: Venue) -> None:
        """RejectedError, with venue and symbol, and no request."""

        async def body(desk: Desk) -> None:
            order = Order("NO-SUCH-SYMBOL", Side.Buy, price=1, quantity=1)
            error = await _refused_unsent(desk, lambda: desk.adapter.place_order(order))
            assert error.symbol == "NO-SUCH-SYMBOL"

        venue.run(body)

    @case("X-041")
    def test_x041_what_breaks_a_filter_is_refused_before_it_is_sent(self, venue: Venue) -> None:
        """A price off the tick, a quantity off the lot, too little money: RejectedError and no request."""

        async def body(desk: Desk) -> None:
            instrument, good = desk.instrument, desk.order()
            assert good.price is not None
            for order in (
                Order(desk.symbol, Side.Buy, price=good.price + instrument.tick_size / 2, quantity=good.quantity),
                Order(desk.symbol, Side.Buy, price=good.price, quantity=good.quantity + instrument.lot_size / 2),
                *_too_small(desk),
            ):
                error = await _refused_unsent(desk, lambda order=order: desk.adapter.place_order(order))  # type: ignore[misc]
                assert error.symbol == desk.symbol
                assert not desk.at_venue(order)

        venue.run(body)

    @case("X-042")
    def test_x042_what_is_not_declared_is_refused_before_it_is_sent(self, venue: Venue) -> None:
        """Every kind of order that the plugin does not declare raises UnsupportedError, and no request is made."""

        async def body(desk: Desk) -> None:
            stop = desk.price("0.9")
            for order in (
                desk.order(None),
                desk.order(None, Side.Sell, order_type=OrderType.Stop, stop_price=stop),
                desk.order("0.89", Side.Sell, order_type=OrderType.StopLimit, stop_price=stop),
                desk.order(post_only=True),
                desk.order(reduce_only=True),
                desk.order(time_in_force=TimeInForce.IOC),
                desk.order(time_in_force=TimeInForce.FOK),
            ):
                if not needed_by(order) <= venue.descriptor.capabilities:
                    await desk.place(order)

        venue.run(body)

    @case("X-043")
    def test_x043_the_venues_refusal_keeps_its_words(self, venue: Venue) -> None:
        """More than the account holds: RejectedError with venue, symbol and the venue's code; the order is Rejected."""

        async def body(desk: Desk) -> None:
            instrument = desk.instrument
            quantity = instrument.round_quantity(desk.affordable(Side.Sell) * 2) + instrument.lot_size
            order = desk.order("1.1", Side.Sell, quantity=quantity)
            with pytest.raises(RejectedError) as caught:
                await desk.adapter.place_order(order)
            assert (caught.value.venue, caught.value.symbol) == (venue.descriptor.name, desk.symbol)
            assert caught.value.code
            await desk.until_status(order, OrderStatus.Rejected)
            assert not desk.account.open

        venue.run(body)

    @case("X-044")
    def test_x044_a_client_order_id_is_used_once(self, venue: Venue) -> None:
        """The same id again raises DuplicateOrderError without a request; the venue has one order."""

        async def body(desk: Desk) -> None:
            order = desk.order()
            await desk.adapter.place_order(order)
            before = desk.sent()
            with pytest.raises(DuplicateOrderError):
                await desk.adapter.place_order(order)
            assert desk.sent() == before
            assert len(desk.at_venue(order)) == 1

        venue.run(body)


async def _at_once(desk: Desk, time_in_force: TimeInForce) -> None:
    far, across = (desk.order(times, time_in_force=time_in_force) for times in ("0.9", "1.01"))
    if not await desk.place(far):
        return
    await desk.until_status(far, *_OVER)
    await desk.adapter.place_order(across)
    await desk.until_status(across, OrderStatus.Filled)
    assert not desk.fills(far)
    await desk.agrees(across)


async def _waits(desk: Desk, order: Order) -> None:
    if not await desk.place(order):
        return
    await desk.until_status(order, OrderStatus.Open)
    if desk.declares(Capability.OpenOrders):
        found = {state.order.client_order_id: state.order for state in await desk.adapter.open_orders(desk.symbol)}
        assert found[order.client_order_id].stop_price == order.stop_price
        assert found[order.client_order_id].order_type is order.order_type
    await desk.adapter.cancel_order(order.client_order_id)
    await desk.until_status(order, OrderStatus.Cancelled)
    assert not desk.fills(order)
    assert not [update for update in desk.of(OrderUpdate) if update.client_order_id != order.client_order_id]


async def _refused_unsent(desk: Desk, call: Callable[[], Awaitable[object]]) -> RejectedError:
    await asyncio.sleep(0)
    before = desk.sent()
    with pytest.raises(RejectedError) as caught:
        await call()
    assert desk.sent() == before, "it was sent all the same"
    assert caught.value.venue == desk.venue.descriptor.name
    return caught.value


def _too_small(desk: Desk) -> list[Order]:
    """An order for less money than the venue takes, where one lot is so little."""
    order = desk.order(quantity=desk.instrument.lot_size)
    assert order.price is not None
    return [order] if order.price * order.quantity < desk.instrument.min_notional else []
