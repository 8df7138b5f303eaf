"""The adapter against OKX's simulator: every kind of order, and a burst of faults with the venue's ledger as truth."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from decimal import Decimal

import pytest
from simulated_desk import SYMBOL, Desk, desk, until

from axon_quant.errors import ExchangeError, NotFoundError, RejectedError
from axon_quant.exchange import BalanceUpdate, Channel
from axon_quant.exchange.simulator import FaultPlan, FaultRule
from axon_quant.market import BookSnapshot, BookUpdate, OrderBook, Trade
from axon_quant.orders import Order, OrderStatus, OrderType, OrderUpdate, Side, TimeInForce

OVER = (OrderStatus.Filled, OrderStatus.Cancelled, OrderStatus.Expired, OrderStatus.Rejected)


async def test_every_kind_of_order_lives_as_it_should():
    async with desk() as here:
        adapter = here.adapter
        resting = Order(SYMBOL, Side.Buy, price=here.price(0.9), quantity="0.01")
        await adapter.place_order(resting)
        await here.until(resting, OrderStatus.Open)
        higher = here.price(0.91)
        await adapter.amend_order(resting.client_order_id, price=higher, quantity=Decimal("0.02"))
        (found,) = await adapter.open_orders(SYMBOL)
        assert (found.order.price, found.order.quantity) == (higher, Decimal("0.02"))
        await adapter.cancel_order(resting.client_order_id)
        await here.until(resting, OrderStatus.Cancelled)

        market = Order(SYMBOL, Side.Buy, OrderType.Market, quantity="0.001")
        await adapter.place_order(market)
        await here.until(market, OrderStatus.Filled)

        taker = Order(SYMBOL, Side.Buy, price=here.price(1.001), quantity="0.001", time_in_force=TimeInForce.IOC)
        await adapter.place_order(taker)
        await here.until(taker, OrderStatus.Filled, OrderStatus.Expired)

        far = Order(SYMBOL, Side.Buy, price=here.price(0.9), quantity="0.001", time_in_force=TimeInForce.IOC)
        await adapter.place_order(far)
        await here.until(far, OrderStatus.Expired)

        fill_or_kill = Order(SYMBOL, Side.Buy, price=here.price(0.9), quantity="1", time_in_force=TimeInForce.FOK)
        await adapter.place_order(fill_or_kill)
        await here.until(fill_or_kill, OrderStatus.Expired)

        maker = Order(SYMBOL, Side.Buy, price=here.price(1.01), quantity="0.001", post_only=True)
        with suppress(RejectedError):  # OKX accepts it first and then cancels it
            await adapter.place_order(maker)
        await here.until(maker, OrderStatus.Rejected)

        with pytest.raises(RejectedError) as caught:
            await adapter.place_order(Order(SYMBOL, Side.Buy, price=here.price(0.99), quantity="50"))
        assert caught.value.code == "51008"
        with pytest.raises(NotFoundError):
            await adapter.cancel_order(maker.client_order_id)
        await until(lambda: here.of(BalanceUpdate))


async def test_stops_trigger_under_their_own_names():
    async with desk() as here:
        adapter = here.adapter
        waiting = Order(SYMBOL, Side.Sell, OrderType.Stop, None, "0.001", stop_price=here.price(0.8))
        order_id = await adapter.place_order(waiting)
        (found,) = await adapter.open_orders(SYMBOL)
        assert (found.order.client_order_id, found.venue_order_id) == (waiting.client_order_id, order_id)
        assert found.order.stop_price == waiting.stop_price
        await adapter.cancel_order(order_id)
        await here.until(waiting, OrderStatus.Cancelled)

        near = await triggered(here, OrderType.Stop, None)
        await here.until(near, OrderStatus.Filled)
        fills = {fill.client_order_id for fill in await adapter.fills()}
        assert near.client_order_id in fills

        resting = await triggered(here, OrderType.StopLimit, 0.9)
        order_id = adapter.orders.get(resting.client_order_id).venue_order_id
        (found,) = await adapter.open_orders(SYMBOL)
        assert (found.order.client_order_id, found.venue_order_id) == (resting.client_order_id, order_id)
        await adapter.cancel_order(order_id)
        await here.until(resting, OrderStatus.Cancelled)


async def triggered(here: Desk, kind: OrderType, factor: float | None) -> Order:
    """A buy stop just above the market that has placed its order: another one until the market came by."""
    for _ in range(50):
        price = None if factor is None else here.price(factor)
        order = Order(SYMBOL, Side.Buy, kind, price, "0.001", stop_price=here.price(1.00004))
        try:
            await here.adapter.place_order(order)
        except RejectedError:  # the market was faster
            continue
        with suppress(TimeoutError):
            await until(lambda order=order: here.adapter._placed.order(order.client_order_id), 2)
            return order
        with suppress(NotFoundError):
            await here.adapter.cancel_order(order.client_order_id)
    raise AssertionError("no stop was triggered")


async def test_everything_is_cancelled_at_once_and_by_the_dead_man_switch():
    async with desk() as here:
        adapter = here.adapter
        orders = [Order(SYMBOL, Side.Buy, price=here.price(0.9), quantity="0.001") for _ in range(30)]
        orders.append(Order(SYMBOL, Side.Sell, OrderType.Stop, None, "0.001", stop_price=here.price(0.8)))
        await asyncio.gather(*map(adapter.place_order, orders))
        await adapter.cancel_all()
        await until(lambda: all(here.status(order) is OrderStatus.Cancelled for order in orders))
        assert not await adapter.open_orders()
        await adapter.cancel_after(60)
        await adapter.cancel_after(0)


async def test_market_data_makes_whole_books():
    async with desk() as here:
        for channel in (Channel.Book, Channel.Trades):
            await here.adapter.subscribe(channel, SYMBOL)
        await until(lambda: len(here.of(BookUpdate)) > 5 and here.of(Trade), 30)
        book = OrderBook(SYMBOL)
        for event in here.events:
            if isinstance(event, BookSnapshot):
                book.restore(event)
            elif isinstance(event, BookUpdate):
                book.apply(event)
        assert book.whole
        assert (book.gaps, book.crossings) == (0, 0)


RULES = (
    FaultRule("lose-response", "request:order.place", every=9),
    FaultRule("lose-request", "request:order.place", every=11),
    FaultRule("unknown-accepted", "request:order.place", every=13),
    FaultRule("unknown-refused", "request:order.place", every=17),
    FaultRule("refuse", "request:order.place", every=19),
    FaultRule("lose-response", "request:order.cancel", every=7),
    FaultRule("duplicate", "stream:account:*", every=5),
    FaultRule("reorder", "stream:account:*", every=8),
    FaultRule("disconnect", "stream:account:*", every=40),
    FaultRule("stall", "stream:account:*", every=150, limit=1),
    FaultRule("drift", "request:order.place", every=60, milliseconds=40_000, limit=1),
)


async def test_no_order_is_lost_doubled_or_believed_dead_while_everything_fails():
    faults = FaultPlan(RULES, seed=3)
    async with desk(faults) as here:
        adapter, dice = here.adapter, random.Random(3)
        faults.paused = False
        placed: list[Order] = []

        async def trade(number: int) -> None:
            await asyncio.sleep(number * 0.02)
            side = dice.choice([Side.Buy, Side.Sell])
            away = 1.0005 if dice.random() < 0.4 else dice.uniform(0.995, 0.99999)
            price = here.price(away if side is Side.Buy else 2 - away)
            order = Order(SYMBOL, side, price=price, quantity=f"{dice.randrange(1, 20) / 10_000}")
            placed.append(order)
            try:
                await adapter.place_order(order)
                if dice.random() < 0.5:
                    await adapter.cancel_order(order.client_order_id)
            except ExchangeError:
                pass

        await asyncio.gather(*(trade(number) for number in range(150)))
        faults.paused = True
        await until(lambda: not any(state.status is OrderStatus.Unknown for state in adapter.orders.open.values()))
        for _ in range(5):
            try:
                await adapter.cancel_all()
                break
            except ExchangeError:
                await asyncio.sleep(0.5)
        await until(lambda: not adapter.orders.open, 30)
        await adapter.repair()
        truth = here.simulator.truth()["accounts"]["main"]
        balances = await adapter.balances()
    theirs = {order["client_order_id"]: order for order in truth["orders"]}
    assert len(theirs) == len(truth["orders"]), "no order is there twice"
    filled = {
        order.client_order_id: adapter.orders.get(order.client_order_id).filled_quantity
        for order in placed
        if adapter.orders.get(order.client_order_id) is not None
    }
    for order in placed:
        state, there = adapter.orders.get(order.client_order_id), theirs.get(order.client_order_id)
        if there is None:
            assert state is None or state.status is OrderStatus.Rejected
        else:
            assert state.status in OVER
            assert Decimal(there["filled"]) == filled[order.client_order_id]
    counted = [update.fill.fill_id for update in here.of(OrderUpdate) if update.fill is not None]
    assert len(counted) == len(set(counted))
    assert sum(filled.values()) == sum(Decimal(fill["quantity"]) for fill in truth["fills"])
    for asset, there in truth["balances"].items():
        if asset in balances:
            assert (balances[asset].free, balances[asset].locked) == (Decimal(there["free"]), Decimal(there["locked"]))
    assert set(faults.fired) >= {"lose-response", "lose-request", "unknown-accepted", "refuse", "disconnect", "drift"}
