"""The adapter on the simulated venue: every kind of order, and at the end both agree to the last digit."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from decimal import Decimal

from axon_exchange_binance import BinanceAdapter
from axon_exchange_binance.simulator import BinanceSimulator
from axon_quant.exchange import BalanceUpdate, Channel, ExchangeConfig, RateLimitConfig
from axon_quant.market import OrderBook, Quote
from axon_quant.market.types import BookSnapshot, BookUpdate
from axon_quant.orders import Order, OrderStatus, OrderType, OrderUpdate, Side, TimeInForce


@asynccontextmanager
async def venue_and_adapter(**changes):
    venue = BinanceSimulator(seed=5)
    roots = await venue.start()
    given = {"testnet": False, "rate_limit": RateLimitConfig(1_000, 10_000), "base_urls": roots}
    adapter = BinanceAdapter(ExchangeConfig("YOUR_API_KEY", "YOUR_API_SECRET", **{**given, **changes}))
    events: list = []
    try:
        await adapter.connect()
        stream = adapter.events()

        async def read() -> None:
            async for event in stream:
                events.append(event)  # noqa: PERF401 - the test looks at them meanwhile

        reader = asyncio.create_task(read())
        await adapter.subscribe(Channel.Quotes, "BTCUSDT")
        await until(lambda: any(isinstance(event, Quote) for event in events))
        yield venue, adapter, events
        reader.cancel()
        with suppress(asyncio.CancelledError):
            await reader
    finally:
        await adapter.close()
        await venue.stop()


async def until(condition, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - some conditions have no event
            await asyncio.sleep(0.01)


def order(kind=OrderType.Limit, side=Side.Buy, price=None, quantity="0.01", **more) -> Order:
    return Order("BTCUSDT", side, kind, price, quantity, **more)


async def test_every_kind_of_order_lives_as_it_should():
    async with venue_and_adapter() as (_, adapter, events):
        mid = next(event for event in reversed(events) if isinstance(event, Quote)).mid
        below, above = round(mid * 0.95, 2), round(mid * 1.05, 2)

        def status(which: Order) -> OrderStatus:
            return adapter.orders.get(which.client_order_id).status

        market = order(OrderType.Market)
        resting = order(price=below)
        maker = order(price=below, post_only=True)
        killed = order(price=below, time_in_force=TimeInForce.FOK)
        taken = order(price=above, time_in_force=TimeInForce.IOC)
        stop_loss = order(OrderType.Stop, Side.Sell, stop_price=below)
        take_profit = order(OrderType.StopLimit, Side.Sell, price=above, stop_price=above)
        every = [market, resting, maker, killed, taken, stop_loss, take_profit]
        for which in every:
            await adapter.place_order(which)
        await until(lambda: status(market) is status(taken) is OrderStatus.Filled)
        await until(lambda: status(killed) is OrderStatus.Expired)
        standing = [resting, maker, stop_loss, take_profit]
        assert {status(which) for which in standing} == {OrderStatus.Open}
        found = {state.order.client_order_id: state.order for state in await adapter.open_orders()}
        assert {name: each.order_type for name, each in found.items()} == {
            which.client_order_id: which.order_type for which in standing
        }
        replacement = order(price=round(mid * 0.94, 2))
        await adapter.replace_order(resting.client_order_id, replacement)
        await until(lambda: status(resting) is OrderStatus.Cancelled)
        await adapter.cancel_order(maker.client_order_id)
        await until(lambda: status(maker) is OrderStatus.Cancelled)
        await adapter.cancel_all()
        await until(lambda: status(stop_loss) is status(take_profit) is OrderStatus.Cancelled)
        assert await adapter.open_orders() == []


async def test_fills_and_balances_agree_with_the_venue_to_the_last_digit():
    async with venue_and_adapter() as (_, adapter, events):
        for number in range(20):
            await adapter.place_order(
                order(OrderType.Market, Side.Sell if number % 3 == 0 else Side.Buy, quantity="0.013")
            )
        await until(lambda: len(adapter.orders.open) == 0)
        reported = {event.fill.fill_id: event.fill for event in events if isinstance(event, OrderUpdate) and event.fill}
        looked_up = {fill.fill_id: fill for fill in await adapter.fills()}
        assert reported.keys() == looked_up.keys()
        for fill_id, fill in reported.items():
            other = looked_up[fill_id]
            assert (fill.price, fill.quantity, fill.side) == (other.price, other.quantity, other.side)
            assert (fill.fee, fill.fee_asset) == (other.fee, other.fee_asset)
            assert abs(fill.at - other.at) < 10_000_000
        assert sum(fill.quantity for fill in reported.values()) == 20 * Decimal("0.013")
        balances = await adapter.balances()
        told = {event.asset: event for event in events if isinstance(event, BalanceUpdate)}
        for asset in ("BTC", "USDT"):
            assert (told[asset].free, told[asset].locked) == (balances[asset].free, balances[asset].locked)


async def test_a_book_from_the_stream_is_the_venues_book():
    async with venue_and_adapter() as (venue, adapter, events):
        await adapter.subscribe(Channel.Book, "BTCUSDT")
        book = OrderBook("BTCUSDT")
        position = 0
        for _ in range(100):
            await asyncio.sleep(0.02)
            for event in events[position:]:
                if isinstance(event, BookSnapshot):
                    book.restore(event)
                elif isinstance(event, BookUpdate):
                    book.apply(event)
            position = len(events)
        assert book.whole
        assert book.gaps == 0
        theirs = venue.exchange.books["BTCUSDT"]
        if book.sequence == theirs.sequence:
            assert book.bids(20) == theirs.bids(20)
            assert book.asks(20) == theirs.asks(20)
        assert book.sequence > 0
