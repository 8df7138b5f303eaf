"""The adapter's swaps against OKX's simulator, over real sockets."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from decimal import Decimal

import pytest
from simulated_desk import Desk, desk, until

from axon_quant.errors import ExchangeError, RejectedError
from axon_quant.exchange import BalanceUpdate, Channel
from axon_quant.exchange.primitives import MarginMode, Position
from axon_quant.exchange.simulator import FaultPlan, SwapTerms
from axon_quant.market import Quote
from axon_quant.orders import Order, OrderStatus, OrderType, OrderUpdate, Side, TimeInForce

SWAP = "BTC-USDT-SWAP"
OVER = (OrderStatus.Filled, OrderStatus.Cancelled, OrderStatus.Expired, OrderStatus.Rejected)


def truth(here: Desk) -> dict:
    return here.simulator.truth()["accounts"]["main"]


def held(here: Desk, mode: str = "cross") -> Decimal:
    return sum((Decimal(one["quantity"]) for one in truth(here)["positions"] if one["mode"] == mode), Decimal(0))


async def trade(here: Desk, side: Side, quantity: str, **more: object) -> Order:
    order = Order(SWAP, side, OrderType.Market, quantity=quantity, **more)
    await here.adapter.place_order(order)
    await here.until(order, *OVER)
    return order


async def test_a_swap_is_opened_amended_and_closed():
    async with desk(symbol=SWAP) as here:
        adapter = here.adapter
        instrument = (await adapter.instruments())[SWAP]
        assert (instrument.contract_size, instrument.lot_size) == (Decimal("0.01"), Decimal("0.01"))
        resting = Order(SWAP, Side.Buy, price=here.price(0.9), quantity="2")
        await adapter.place_order(resting)
        await here.until(resting, OrderStatus.Open)
        higher = here.price(0.91)
        await adapter.amend_order(resting.client_order_id, price=higher, quantity=3)
        (found,) = await adapter.open_orders(SWAP)
        assert (found.order.price, found.order.quantity) == (higher, 3)
        await adapter.cancel_order(resting.client_order_id)
        await here.until(resting, OrderStatus.Cancelled)

        await trade(here, Side.Buy, "1.5")
        assert await adapter.positions() == [Position(SWAP, Decimal("0.015"))]
        await trade(here, Side.Sell, "4")
        assert await adapter.positions() == [Position(SWAP, Decimal("-0.025"))]
        taker = Order(SWAP, Side.Buy, price=here.price(1.001), quantity="2.5", time_in_force=TimeInForce.IOC)
        await adapter.place_order(taker)
        await here.until(taker, OrderStatus.Filled)
        assert await adapter.positions() == []
        fills = await adapter.fills()
        assert {fill.fee_asset for fill in fills} == {"USDT"}
        assert [fill.quantity for fill in fills] == [Decimal("1.5"), 4, Decimal("2.5")]


async def test_realised_pnl_and_fees_reach_the_balance():
    async with desk(symbol=SWAP) as here:
        before = (await here.adapter.balances())["USDT"]
        bought = await trade(here, Side.Buy, "10")
        sold = await trade(here, Side.Sell, "10")
        value = Decimal(0)
        fees = Decimal(0)
        for fill in await here.adapter.fills():
            value -= fill.side.sign * fill.price * fill.quantity * Decimal("0.01")
            fees += fill.fee
        after = (await here.adapter.balances())["USDT"]
        assert after.total == before.total + value - fees
        assert after.locked == 0
        assert sum(Decimal(row["realised"]) for row in truth(here)["fills"]) == value
        assert {bought.client_order_id, sold.client_order_id} == {
            update.client_order_id for update in here.of(OrderUpdate) if update.fill is not None
        }
        # The account's stream said it, too, and what the position held as margin in between.
        await until(lambda: here.of(BalanceUpdate)[-1].free == after.free)
        assert any(update.locked > 0 for update in here.of(BalanceUpdate) if update.asset == "USDT")


async def test_a_reduce_only_order_without_a_position_is_refused():
    async with desk(symbol=SWAP) as here:
        with pytest.raises(RejectedError) as caught:
            await here.adapter.place_order(Order(SWAP, Side.Sell, OrderType.Market, quantity=1, reduce_only=True))
        assert caught.value.code == "51169"
        assert truth(here)["orders"] == []


async def test_a_reduce_only_order_is_known_as_small_as_okx_made_it():
    async with desk(symbol=SWAP) as here:
        await trade(here, Side.Buy, "3")
        resting = Order(SWAP, Side.Sell, price=here.price(1.1), quantity=5, reduce_only=True)
        await here.adapter.place_order(resting)
        state = here.adapter.orders.get(resting.client_order_id)
        await until(lambda: state.order.quantity == 3)
        await trade(here, Side.Sell, "1")
        await until(lambda: state.order.quantity == 2)
        assert state.remaining == 2
        await trade(here, Side.Sell, "2")
        await here.until(resting, OrderStatus.Cancelled)
        assert "reduce-only" in state.reason
        closing = await closing_order(here)
        assert here.adapter.orders.get(closing.client_order_id).filled_quantity == 1
        assert held(here) == 0


async def test_an_amendment_beyond_the_position_is_refused_with_what_okx_made_of_it():
    async with desk(symbol=SWAP) as here:
        await trade(here, Side.Buy, "3")
        resting = Order(SWAP, Side.Sell, price=here.price(1.1), quantity=1, reduce_only=True)
        await here.adapter.place_order(resting)
        await here.until(resting, OrderStatus.Open)
        with pytest.raises(RejectedError, match="it stands at"):
            await here.adapter.amend_order(resting.client_order_id, quantity=5)
        (found,) = await here.adapter.open_orders(SWAP)
        assert found.order.quantity == 3
        assert here.adapter.orders.get(resting.client_order_id).order.quantity == 3


async def closing_order(here: Desk) -> Order:
    """One for more than there is."""
    await trade(here, Side.Buy, "1")
    closing = await trade(here, Side.Sell, "7", reduce_only=True)
    assert here.status(closing) is OrderStatus.Filled
    return closing


async def test_a_reduce_only_order_that_shrank_while_the_stream_was_down_is_repaired():
    async with desk(symbol=SWAP) as here:
        await trade(here, Side.Buy, "3")
        resting = Order(SWAP, Side.Sell, price=here.price(1.1), quantity=3, reduce_only=True)
        await here.adapter.place_order(resting)
        await here.until(resting, OrderStatus.Open)
        state = here.adapter.orders.get(resting.client_order_id)
        exchange = here.simulator.exchange
        account = next(iter(exchange.accounts.values()))
        for socket in list(here.simulator.sockets):
            socket.close()
        # Somebody else on the account closes a part.
        exchange.place(account, Order(SWAP, Side.Sell, OrderType.Market, quantity=1))
        await until(lambda: state.order.quantity == 2)
        assert here.status(resting) is OrderStatus.Open
        assert (await here.adapter.positions()) == [Position(SWAP, Decimal("0.02"))]


async def test_leverage_and_margin_mode_reach_the_venue():
    async with desk(symbol=SWAP) as here:
        adapter = here.adapter
        await adapter.set_leverage(SWAP, 10)
        await trade(here, Side.Buy, "1")
        await adapter.set_margin_mode(SWAP, MarginMode.Isolated)
        await adapter.set_leverage(SWAP, 25)
        await trade(here, Side.Sell, "3")
        assert (held(here), held(here, "isolated")) == (1, -3)
        assert {(one["mode"], one["leverage"]) for one in truth(here)["positions"]} == {("cross", 10), ("isolated", 25)}
        assert await adapter.positions() == [Position(SWAP, Decimal("-0.02"))]
        with pytest.raises(RejectedError) as caught:
            await adapter.set_leverage(SWAP, 101)
        assert caught.value.code == "59102"
        with pytest.raises(RejectedError) as caught:
            await adapter.place_order(Order(SWAP, Side.Buy, price=here.price(0.99), quantity="90000"))
        assert caught.value.code in ("51008", "51185")


async def test_a_stop_closes_a_swap_and_opens_nothing():
    async with desk(symbol=SWAP) as here:
        await trade(here, Side.Buy, "2")
        price = here.simulator.exchange.price(SWAP)
        stop = Order(
            SWAP, Side.Sell, OrderType.Stop, quantity=5, stop_price=round(price * Decimal("0.99"), 1), reduce_only=True
        )
        await here.adapter.place_order(stop)
        await here.until(stop, OrderStatus.Open)
        from axon_quant.market import Trade

        low = float(round(price * Decimal("0.985"), 1))
        here.simulator.exchange.on_market(Trade(SWAP, here.simulator.now(), low, 0.01, True, 1))
        await here.until(stop, OrderStatus.Filled)
        assert here.adapter.orders.get(stop.client_order_id).filled_quantity == 2
        assert held(here) == 0


async def test_funding_is_announced_and_paid():
    async with desk(symbol=SWAP, swap_terms=SwapTerms(funding_rate=Decimal("0.001"), funding_every=1.0)) as here:
        rate = await here.adapter.funding_rate(SWAP)
        assert (rate.symbol, rate.rate) == (SWAP, Decimal("0.001"))
        assert 0 < rate.next_at - here.simulator.now() <= 1_000_000_000
        await trade(here, Side.Buy, "10")
        await until(lambda: truth(here)["funding"])
        paid = truth(here)["funding"][0]
        assert Decimal(paid["amount"]) < 0
        await trade(here, Side.Sell, "10")
        total = sum(Decimal(value) for value in truth(here)["balances"]["USDT"].values())
        await until(lambda: [one for one in here.of(BalanceUpdate) if one.asset == "USDT"][-1].free == total)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_positions_fills_and_balances_end_as_the_venue_has_them_whatever_fails(seed):
    """Fifty orders of a swap in a storm of faults, with the ledger as truth."""
    faults = FaultPlan.of(
        [
            {"kind": "lose-request", "where": "request:order.*", "probability": 0.05},
            {"kind": "lose-response", "where": "request:order.*", "probability": 0.08},
            {"kind": "unknown-accepted", "where": "request:order.*", "probability": 0.04},
            {"kind": "refuse", "where": "request:*", "probability": 0.03},
            {"kind": "duplicate", "where": "stream:account:*", "probability": 0.1},
            {"kind": "reorder", "where": "stream:account:*", "probability": 0.05},
            {"kind": "drop", "where": "stream:account:*", "probability": 0.01},
            {"kind": "disconnect", "where": "stream:account:trade", "every": 9},
            {"kind": "disconnect", "where": "stream:account:reduced", "every": 2},
        ],
        seed=seed,
    )
    draw = random.Random(seed)
    async with desk(faults, symbol=SWAP, seed=seed, speed=4.0) as here:
        before = sum(Decimal(value) for value in truth(here)["balances"]["USDT"].values())
        faults.paused = False

        async def sit() -> None:
            for _ in range(5):
                order = intended(here, draw)
                with suppress(ExchangeError):
                    await here.adapter.place_order(order)
                await asyncio.sleep(draw.uniform(0.0, 0.2))
                with suppress(ExchangeError):
                    if order.client_order_id in here.adapter.orders.open and draw.random() < 0.5:
                        if draw.random() < 0.5:
                            await here.adapter.cancel_order(order.client_order_id)
                        elif order.price is not None:
                            await here.adapter.amend_order(
                                order.client_order_id, price=round(order.price * Decimal("0.999"), 1)
                            )

        await asyncio.gather(*(sit() for _ in range(10)))
        faults.paused = True
        await settled(here)
        ledger = truth(here)
        mine = {fill.fill_id: fill for update in here.of(OrderUpdate) if (fill := update.fill) is not None}
        assert len(mine) == sum(update.fill is not None for update in here.of(OrderUpdate))
        assert mine.keys() == {f"{row['symbol']}:{row['trade_id']}" for row in ledger["fills"]}
        by_fills = sum((fill.side.sign * fill.quantity for fill in mine.values()), Decimal(0))
        assert by_fills == held(here)
        positions = {one.symbol: one.quantity for one in await here.adapter.positions()}
        assert positions.get(SWAP, Decimal(0)) == by_fills * Decimal("0.01")
        realised = sum((Decimal(row["realised"]) for row in ledger["fills"]), Decimal(0))
        fees = sum((fill.fee for fill in mine.values()), Decimal(0))
        usdt = ledger["balances"]["USDT"]
        assert Decimal(usdt["free"]) + Decimal(usdt["locked"]) == before + realised - fees
        told = [one for one in here.of(BalanceUpdate) if one.asset == "USDT"][-1]
        assert (told.free, told.locked) == (Decimal(usdt["free"]), Decimal(usdt["locked"]))
        names = [row["client_order_id"] for row in ledger["orders"]]
        assert len(names) == len({*names})
        for row in ledger["orders"]:
            state = here.adapter.orders.get(row["client_order_id"])
            assert (state.status is OrderStatus.Filled) == (row["status"] == "filled"), (row, state)
            assert state.filled_quantity == Decimal(row["filled"])
        assert faults.fired


def intended(here: Desk, draw: random.Random) -> Order:
    side, quantity = draw.choice(list(Side)), str(Decimal(draw.randrange(1, 300)) / 100)
    kind, reduces = draw.random(), draw.random() < 0.35
    if kind < 0.5:
        return Order(SWAP, side, OrderType.Market, quantity=quantity, reduce_only=reduces)
    away = draw.choice((0.0, 0.0002, 0.01))
    return Order(SWAP, side, price=here.price(1 - side.sign * away), quantity=quantity, reduce_only=reduces)


async def settled(here: Desk) -> None:
    """No order is open or in doubt, and everything was said."""
    async with asyncio.timeout(30):
        while here.adapter.orders.open:
            for state in list(here.adapter.orders.open.values()):
                if state.status in (OrderStatus.Open, OrderStatus.PartiallyFilled):
                    with suppress(ExchangeError):
                        await here.adapter.cancel_order(state.order.client_order_id)
            await asyncio.sleep(0.1)
    await here.adapter.repair()
    await asyncio.sleep(0.2)


async def test_market_data_of_a_swap_streams_in_contracts():
    async with desk(symbol=SWAP) as here:
        await here.adapter.subscribe(Channel.Book, SWAP)
        quotes = here.of(Quote)
        assert {quote.symbol for quote in quotes} == {SWAP}
        assert quotes[-1].bid_quantity > 1


@pytest.mark.parametrize("mark", ["1.2", "0.9"])
async def test_what_a_position_has_won_or_lost_is_in_no_balance(mark):
    async with desk(symbol=SWAP) as here:
        await trade(here, Side.Sell, "2")
        (position,) = await here.adapter.positions()
        assert position.entry_price == Decimal(truth(here)["positions"][0]["entry_price"])
        swaps = here.simulator.exchange.swaps
        swaps.set_mark(SWAP, swaps.mark(SWAP) * Decimal(mark))
        balance, row = (await here.adapter.balances())["USDT"], truth(here)["balances"]["USDT"]
        assert (balance.free, balance.locked) == (Decimal(row["free"]), Decimal(row["locked"]))
