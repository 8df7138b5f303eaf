"""Exchanges: what can be looked up."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from axon_quant.errors import NotFoundError, RejectedError
from axon_quant.exchange import Channel
from axon_quant.exchange.primitives import MarginMode
from axon_quant.orders import OrderStatus, OrderUpdate
from axon_quant.plugins import Capability
from axon_quant.testing.cases import case
from axon_quant.testing.venue import Desk, Venue


class Queries:
    """Of the suite of exchanges."""

    @case("X-090", capability=Capability.FetchOrder)
    def test_x090_an_order_is_looked_up_by_either_name(self, venue: Venue) -> None:
        """It has our client order id, the venue's id, its price and status; what is not ours raises NotFoundError."""

        async def body(desk: Desk) -> None:
            order = desk.order()
            id_ = await desk.adapter.place_order(order)
            for name in (order.client_order_id, id_):
                found = await desk.ask(Capability.FetchOrder, lambda name=name: desk.adapter.fetch_order(name))  # type: ignore[misc]
                if found is None:
                    return
                assert (found.order.client_order_id, found.venue_order_id) == (order.client_order_id, id_)
                assert (found.order.price, found.order.quantity) == (order.price, order.quantity)
                assert (found.order.side, found.status) == (order.side, OrderStatus.Open)
            with pytest.raises(NotFoundError):
                await desk.adapter.fetch_order("nosuchorder")

        venue.run(body)

    @case("X-091", capability=Capability.OpenOrders)
    def test_x091_open_orders_are_listed(self, venue: Venue) -> None:
        """Those of the symbol and of the account, under our client order ids; a cancelled one is not among them."""

        async def body(desk: Desk) -> None:
            kept, gone = desk.order(), desk.order("0.91")
            for order in (kept, gone):
                await desk.adapter.place_order(order)
            await desk.adapter.cancel_order(gone.client_order_id)
            await desk.until_status(gone, OrderStatus.Cancelled)
            for symbol in (desk.symbol, None):
                found = await desk.ask(
                    Capability.OpenOrders,
                    lambda symbol=symbol: desk.adapter.open_orders(symbol),  # type: ignore[misc]
                )
                if found is not None:
                    assert [state.order.client_order_id for state in found] == [kept.client_order_id]

        venue.run(body)

    @case("X-092", capability=Capability.Fills)
    def test_x092_fills_looked_up_are_those_that_were_told(self, venue: Venue) -> None:
        """Same ids, prices, quantities and fees; `since` leaves out what was before."""

        async def body(desk: Desk) -> None:
            order = desk.order("1.01")
            await desk.adapter.place_order(order)
            await desk.until_status(order, OrderStatus.Filled)
            await desk.agrees(order)
            found = await desk.ask(Capability.Fills, desk.adapter.fills)
            if found is None:
                return
            key = {fill.fill_id: (fill.price, fill.quantity, fill.fee, fill.fee_asset, fill.side) for fill in found}
            assert key == {
                fill.fill_id: (fill.price, fill.quantity, fill.fee, fill.fee_asset, fill.side) for fill in desk.fills()
            }
            later = max(fill.at for fill in found) + 3_600_000_000_000
            assert await desk.adapter.fills(later) == []

        venue.run(body)

    @case("X-093", capability=Capability.Balances)
    def test_x093_balances_are_the_venues(self, venue: Venue) -> None:
        """Free and locked, to the last digit, with an order open."""

        async def body(desk: Desk) -> None:
            order = desk.order()
            await desk.adapter.place_order(order)
            held = await desk.ask(Capability.Balances, desk.adapter.balances)
            if held is not None:
                assert held[desk.instrument.quote].locked == desk.account.locked[desk.instrument.quote] > 0
                await desk.agrees(order)

        venue.run(body)

    @case("X-094", capability=Capability.Positions)
    def test_x094_positions_are_listed(self, venue: Venue) -> None:
        """None of them is zero."""

        async def body(desk: Desk) -> None:
            found = await desk.ask(Capability.Positions, desk.adapter.positions)
            assert all(position.quantity for position in found or ())

        venue.run(body)

    @case("X-095", capability=Capability.Leverage)
    def test_x095_leverage_is_checked(self, venue: Venue) -> None:
        """Less than 1 raises ValueError."""

        async def body(desk: Desk) -> None:
            await desk.must_refuse(Capability.Leverage, ValueError, lambda: desk.adapter.set_leverage(desk.symbol, 0))

        venue.run(body)

    @case("X-096", capability=Capability.MarginMode)
    def test_x096_a_margin_mode_is_of_a_known_symbol(self, venue: Venue) -> None:
        """An unknown symbol raises RejectedError."""

        async def body(desk: Desk) -> None:
            await desk.must_refuse(
                Capability.MarginMode, RejectedError, lambda: desk.adapter.set_margin_mode("NO-SUCH", MarginMode.Cross)
            )

        venue.run(body)

    @case("X-097", capability=Capability.Funding)
    def test_x097_funding_is_of_a_known_symbol(self, venue: Venue) -> None:
        """An unknown symbol raises RejectedError."""

        async def body(desk: Desk) -> None:
            await desk.must_refuse(Capability.Funding, RejectedError, lambda: desk.adapter.funding_rate("NO-SUCH"))

        venue.run(body)

    @case("X-098")
    def test_x098_two_accounts_do_not_see_each_other(self, venue: Venue) -> None:
        """An order of one is neither told nor listed to the other, and the other's cancel-all leaves it alone."""

        async def body(desk: Desk) -> None:
            async with venue.desk(desk.simulator, "OTHER") as other:
                order = desk.order()
                await desk.adapter.place_order(order)
                await desk.until_status(order, OrderStatus.Open)
                await asyncio.sleep(0.1)
                assert not other.of(OrderUpdate)
                if other.declares(Capability.OpenOrders):
                    assert await other.adapter.open_orders(desk.symbol) == []
                await other.adapter.cancel_all(desk.symbol)
                assert desk.at_venue(order)[0].is_open
                with pytest.raises(NotFoundError):
                    await other.adapter.cancel_order(order.client_order_id)

        venue.run(body)

    @case("X-099")
    def test_x099_an_unknown_symbol_cannot_be_subscribed(self, venue: Venue) -> None:
        """RejectedError with the symbol, for every channel that is declared; UnsupportedError for the others."""

        async def body(desk: Desk) -> None:
            for channel in Channel:
                call = partial(desk.adapter.subscribe, channel, "NO-SUCH")
                if desk.declares(channel.capability):
                    with pytest.raises(RejectedError) as caught:
                        await call()
                    assert caught.value.symbol == "NO-SUCH"
                else:
                    await desk.must_be_unsupported(channel.value, call)

        venue.run(body)

    @case("X-100", capability=Capability.TradeHistory)
    def test_x100_past_trades_are_told(self, venue: Venue) -> None:
        """Public trades since a time, oldest first, none before it."""

        async def body(desk: Desk) -> None:
            since = desk.simulator.now()
            await asyncio.sleep(1.0)
            found = await desk.ask(Capability.TradeHistory, lambda: desk.adapter.trades(desk.symbol, since))
            if found is not None:
                times = [trade.venue_time for trade in found]
                assert times == sorted(times)
                assert all(time >= since - 1_000_000 for time in times)  # venues tell milliseconds

        venue.run(body)
