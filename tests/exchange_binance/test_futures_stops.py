"""Stops of futures wait at a service of their own, and keep their ids when they become orders."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from simulated_futures import Desk, asking, configured, trading, until

from axon_exchange_binance import BinanceFuturesAdapter
from axon_quant.errors import NotFoundError, RejectedError
from axon_quant.market import Trade
from axon_quant.orders import Fill, Order, OrderStatus, OrderType, OrderUpdate, Side, TimeInForce

PLACE = "request:order.place.algo"


def stop(desk: Desk, part: str, side: Side = Side.Sell, **more) -> Order:
    """A stop at so many times the price; a stop-limit when it has a price."""
    kind = OrderType.StopLimit if "price" in more else OrderType.Stop
    return Order("BTCUSDT", side, kind, quantity="0.02", stop_price=desk.price(part), **more)


def move(desk: Desk, part: str) -> None:
    """The market trades once at so many times its price."""
    now = desk.venue.now()
    price = float(desk.price(part))
    desk.venue.exchange.on_market(Trade("BTCUSDT", now, price, 0.001, True, 900_000_000, now))


def sold(desk: Desk) -> list[Fill]:
    """What was reported as sold."""
    fills = [update.fill for update in desk.of(OrderUpdate) if update.fill is not None]
    return [fill for fill in fills if fill.side is Side.Sell]


async def test_a_stop_is_named_by_the_side_it_is_reached_from():
    async with trading() as desk:
        wanted = {
            "STOP_MARKET": stop(desk, "0.97"),
            "TAKE_PROFIT_MARKET": stop(desk, "1.03"),
            "STOP": stop(desk, "1.03", Side.Buy, price=desk.price("1.04")),
            "TAKE_PROFIT": stop(desk, "0.97", Side.Buy, price=desk.price("0.96")),
        }
        for order in wanted.values():
            assert (await desk.adapter.place_order(order)).startswith("algo:")
        waiting = {one.order.client_order_id: one.tag["origin"] for one in desk.account.open_for(None)}
        assert waiting == {order.client_order_id: name for name, order in wanted.items()}
        assert all(desk.status(order) is OrderStatus.Open for order in wanted.values())
        found = {state.order.client_order_id: state.order for state in await desk.adapter.open_orders()}
        for order in wanted.values():
            seen = found[order.client_order_id]
            assert (seen.order_type, seen.stop_price, seen.price) == (order.order_type, order.stop_price, order.price)


async def test_a_stop_that_triggers_fills_under_its_own_name():
    async with trading() as desk:
        await desk.filled(desk.order(None))
        order = stop(desk, "0.97", reduce_only=True)
        stop_id = await desk.adapter.place_order(order)
        move(desk, "0.96")
        await until(lambda: desk.status(order) is OrderStatus.Filled)
        assert await desk.position() == 0
        assert desk.adapter.orders.get(order.client_order_id).venue_order_id == stop_id
        (fill,) = [one for one in await desk.adapter.fills() if one.side is Side.Sell]
        assert fill.quantity == order.quantity
        assert (await desk.adapter.fetch_order(stop_id)).status is OrderStatus.Filled
        told = [update.fill for update in desk.of(OrderUpdate) if update.fill is not None]
        assert {one.client_order_id for one in told[1:]} == {order.client_order_id}


async def test_a_stop_limit_rests_once_it_has_triggered_and_is_changed_and_cancelled_then():
    async with trading() as desk:
        order = stop(desk, "0.97", price=desk.price("1.05"))
        stop_id = await desk.adapter.place_order(order)
        with pytest.raises(RejectedError, match="waits cannot be changed"):
            await desk.adapter.amend_order(stop_id, quantity="0.03")
        move(desk, "0.96")
        await until(lambda: desk.adapter._placed.of(desk.adapter.orders.get(order.client_order_id)))
        found = await desk.adapter.fetch_order(order.client_order_id)
        assert (found.status, found.order.stop_price) == (OrderStatus.Open, order.stop_price)
        assert [one.order.client_order_id for one in await desk.adapter.open_orders()] == [order.client_order_id]
        await desk.adapter.cancel_order(stop_id)
        await until(lambda: desk.status(order) is OrderStatus.Cancelled)


async def test_a_waiting_stop_is_cancelled_and_not_twice():
    async with trading() as desk:
        order = stop(desk, "0.97")
        await desk.adapter.place_order(order)
        await desk.adapter.cancel_order(order.client_order_id)
        await until(lambda: desk.status(order) is OrderStatus.Cancelled)
        with pytest.raises(NotFoundError):
            await desk.adapter.cancel_order(order.client_order_id)


async def test_cancelling_everything_cancels_stops_too():
    async with trading() as desk:
        orders = [stop(desk, "0.97"), desk.order()]
        for order in orders:
            await desk.adapter.place_order(order)
        await desk.adapter.cancel_all()
        await until(lambda: all(desk.status(order) is OrderStatus.Cancelled for order in orders))


async def test_a_stop_that_would_trigger_at_once_or_finds_no_position_is_refused():
    async with trading() as desk:
        desk.adapter._last_price = lambda _: asyncio.sleep(0, Decimal(1))
        with pytest.raises(RejectedError, match="-2021"):
            await desk.adapter.place_order(stop(desk, "0.97", Side.Buy))
    async with trading() as desk:
        order = stop(desk, "0.97", reduce_only=True)
        await desk.adapter.place_order(order)
        move(desk, "0.96")
        await until(lambda: desk.status(order) is OrderStatus.Rejected)
        await until(lambda: "position" in desk.of(OrderUpdate)[-1].reason)


@pytest.mark.parametrize("kind", ["lose-response", "unknown-accepted"])
async def test_a_stop_whose_answer_is_lost_is_found(kind):
    async with trading({"kind": kind, "where": PLACE, "every": 1, "limit": 1}) as desk:
        order = stop(desk, "0.97")
        stop_id = await desk.adapter.place_order(order)
        (placed,) = desk.account.open_for(None)
        assert stop_id == f"algo:{placed.tag['algo']}"


async def test_a_stop_that_never_arrived_is_proven_not_to_exist():
    async with trading({"kind": "lose-request", "where": PLACE, "every": 1, "limit": 1}) as desk:
        order = stop(desk, "0.97")
        with pytest.raises(RejectedError):
            await desk.adapter.place_order(order)
        assert desk.venue.faults.places[PLACE] == 1


async def test_a_stop_that_triggered_while_the_stream_was_lost_is_repaired():
    async with trading({"kind": "disconnect", "where": "stream:account:triggered", "every": 1, "limit": 1}) as desk:
        await desk.filled(desk.order(None))
        order = stop(desk, "0.97")
        await desk.adapter.place_order(order)
        move(desk, "0.96")
        await until(lambda: desk.status(order) is OrderStatus.Filled)
        await until(lambda: sum(fill.quantity for fill in sold(desk)) == order.quantity)
        assert {fill.client_order_id for fill in sold(desk)} == {order.client_order_id}


async def test_a_stop_of_a_process_that_is_gone_is_taken_up_though_it_triggered_meanwhile():
    async with trading() as desk:
        order = stop(desk, "0.97")
        await desk.adapter.place_order(order)
        state = desk.adapter.orders.get(order.client_order_id)
        await desk.adapter.close()
        move(desk, "0.96")
        restarted = BinanceFuturesAdapter(configured(desk.venue))
        restarted.track(state)
        await restarted.connect()
        await until(lambda: restarted.orders.get(order.client_order_id).status is OrderStatus.Filled)
        assert restarted.orders.get(order.client_order_id).filled_quantity == order.quantity
        await restarted.close()


async def test_the_service_tells_what_becomes_of_a_stop():
    terms = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "side": "SELL", "quantity": "0.02", "clientAlgoId": "s"}
    async with asking() as client, client.events() as events:
        placed = await client.ask("POST", "algoOrder", **terms, type="STOP_MARKET", triggerPrice=client.price("0.97"))
        assert (placed["algoStatus"], placed["actualOrderId"]) == ("NEW", "")
        assert (await events.event("ALGO_UPDATE"))["o"]["X"] == "NEW"
        assert await client.ask("GET", "openOrders") == []
        assert [one["algoId"] for one in await client.ask("GET", "openAlgoOrders")] == [placed["algoId"]]
        missing = await client.ask("GET", "order", symbol="BTCUSDT", origClientOrderId="s")
        assert missing["code"] == -2013
        now = client.venue.now()
        client.venue.exchange.on_market(Trade("BTCUSDT", now, float(client.price("0.96")), 0.001, True, 9**9, now))
        triggered = (await events.event("ALGO_UPDATE"))["o"]
        new = (await events.event("ORDER_TRADE_UPDATE"))["o"]
        assert (triggered["X"], triggered["ai"]) == ("TRIGGERED", str(new["i"]))
        assert (new["c"], new["o"], new["ot"]) == ("s", "MARKET", "STOP_MARKET")
        assert (await events.event("ALGO_UPDATE"))["o"]["X"] == "FINISHED"
        seen = await client.ask("GET", "algoOrder", clientAlgoId="s")
        assert (seen["algoStatus"], seen["actualOrderId"]) == ("FINISHED", triggered["ai"])
        assert (await client.ask("DELETE", "algoOrder", clientAlgoId="s"))["code"] == -2011


@pytest.mark.parametrize("kind", [TimeInForce.IOC, TimeInForce.FOK])
async def test_a_stop_limit_may_be_immediate_once_it_triggers(kind):
    async with trading() as desk:
        order = stop(desk, "0.97", price=desk.price("1.05"), time_in_force=kind)
        await desk.adapter.place_order(order)
        move(desk, "0.96")
        await until(lambda: desk.status(order) is OrderStatus.Expired)
