"""The adapter of futures at the simulated venue, over real sockets: orders, positions, and what goes wrong."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from simulated_futures import KEY, SECRET, Client, Desk, configured, started, trading, until

from axon_exchange_binance import BinanceFuturesAdapter
from axon_quant.errors import AuthError, ConfigError, RejectedError
from axon_quant.exchange import BalanceUpdate, Channel, StreamState
from axon_quant.exchange.primitives import MarginMode
from axon_quant.exchange.simulator import Account, SwapTerms
from axon_quant.market import BookSnapshot, BookUpdate, OrderBook, Quote, Trade
from axon_quant.market.instrument import InstrumentKind
from axon_quant.orders import Liquidity, Order, OrderStatus, OrderUpdate, Side, TimeInForce

PLACE = "request:order.place"


# Orders.


async def test_every_kind_of_order_lives_as_it_should():
    async with trading() as desk:
        market, resting, maker = desk.order(None), desk.order(), desk.order("0.94", post_only=True)
        taken = desk.order("1.01", time_in_force=TimeInForce.IOC)
        killed = desk.order("0.95", time_in_force=TimeInForce.FOK)
        gone = desk.order("0.95", time_in_force=TimeInForce.IOC)
        for order in (market, resting, maker, taken, killed, gone):
            await desk.adapter.place_order(order)
        await until(lambda: desk.status(market) is desk.status(taken) is OrderStatus.Filled)
        await until(lambda: desk.status(killed) is desk.status(gone) is OrderStatus.Expired)
        found = {state.order.client_order_id: state.order for state in await desk.adapter.open_orders()}
        assert found.keys() == {resting.client_order_id, maker.client_order_id}
        assert found[maker.client_order_id].post_only
        assert not found[resting.client_order_id].post_only
        assert found[resting.client_order_id].price == resting.price


async def test_a_post_only_order_that_would_take_is_refused():
    async with trading() as desk:
        with pytest.raises(RejectedError, match="-5022") as caught:
            await desk.adapter.place_order(desk.order("1.01", post_only=True))
        assert (caught.value.venue, caught.value.code) == ("binance-futures", "-5022")
        assert not desk.account.orders


async def test_an_order_is_changed_in_place():
    async with trading() as desk:
        order = desk.order()
        order_id = await desk.adapter.place_order(order)
        price = desk.price("0.94")
        await desk.adapter.amend_order(order_id, price=price, quantity="0.03")
        (placed,) = desk.account.open_for(None)
        assert (str(placed.venue_order_id), placed.order.price, placed.order.quantity) == (
            order_id,
            price,
            Decimal("0.03"),
        )
        found = await desk.adapter.fetch_order(order_id)
        assert (found.order.price, found.order.quantity) == (price, Decimal("0.03"))
        await desk.adapter.cancel_order(order_id)
        await until(lambda: desk.status(order) is OrderStatus.Cancelled)


async def test_an_amendment_whose_answer_is_lost_is_confirmed_by_looking():
    lost = {"kind": "lose-response", "where": "request:order.modify", "every": 1, "limit": 1}
    async with trading(lost) as desk:
        order_id = await desk.adapter.place_order(desk.order())
        await desk.adapter.amend_order(order_id, quantity="0.03")
        assert desk.venue.faults.fired["lose-response"] == 1
        assert desk.account.open_for(None)[0].order.quantity == Decimal("0.03")


async def test_everything_is_cancelled_symbol_by_symbol():
    async with trading() as desk:
        orders = [desk.order("0.95"), desk.order("0.94")]
        orders.append(Order("ETHUSDT", Side.Buy, price=desk.price("0.95", "ETHUSDT"), quantity="0.02"))
        for order in orders:
            await desk.adapter.place_order(order)
        await desk.adapter.cancel_all("BTCUSDT")
        await until(lambda: desk.status(orders[0]) is desk.status(orders[1]) is OrderStatus.Cancelled)
        assert desk.status(orders[2]) is OrderStatus.Open
        await desk.adapter.cancel_all()
        await until(lambda: desk.status(orders[2]) is OrderStatus.Cancelled)
        await desk.adapter.cancel_all()  # there is nothing, which is as good


async def test_the_dead_man_switch_covers_symbols_that_come_later_and_can_be_disarmed():
    async with trading() as desk:
        first = desk.order()
        await desk.adapter.place_order(first)
        await desk.adapter.cancel_after(1.0)
        later = Order("ETHUSDT", Side.Buy, price=desk.price("0.95", "ETHUSDT"), quantity="0.02")
        await desk.adapter.place_order(later)
        await until(lambda: desk.status(first) is desk.status(later) is OrderStatus.Cancelled, 3.0)
        kept = desk.order()
        await desk.adapter.place_order(kept)
        await desk.adapter.cancel_after(0.5)
        await desk.adapter.cancel_after(0)
        await asyncio.sleep(0.8)
        assert desk.status(kept) is OrderStatus.Open


async def test_a_restarted_process_disarms_what_the_last_one_armed():
    async with trading() as desk:
        order = desk.order()
        await desk.adapter.place_order(order)
        await desk.adapter.cancel_after(1.0)
        await desk.adapter.close()
        restarted = BinanceFuturesAdapter(configured(desk.venue))
        await restarted.connect()
        await restarted.cancel_after(0)
        await asyncio.sleep(1.2)
        await restarted.close()
        assert desk.account.open_for(None)


# Positions, leverage, margin and funding.


async def test_positions_follow_fills_into_the_other_side_and_to_nothing():
    async with trading() as desk:
        assert await desk.adapter.positions() == []
        await desk.filled(desk.order(None, quantity="0.03"))
        assert await desk.position() == Decimal("0.03")
        await desk.filled(desk.order(None, Side.Sell, "0.05"))
        assert await desk.position() == Decimal("-0.02")
        await desk.filled(desk.order(None, quantity="0.02", reduce_only=True))
        assert await desk.adapter.positions() == []


async def test_a_reduce_only_order_opens_nothing():
    async with trading() as desk:
        with pytest.raises(RejectedError, match="-2022"):
            await desk.adapter.place_order(desk.order(None, Side.Sell, reduce_only=True))
        await desk.filled(desk.order(None))
        with pytest.raises(RejectedError, match="-2022"):
            await desk.adapter.place_order(desk.order(None, Side.Sell, "0.03", reduce_only=True))
        found = desk.order("1.05", Side.Sell, reduce_only=True)
        await desk.adapter.place_order(found)
        assert (await desk.adapter.fetch_order(found.client_order_id)).order.reduce_only


async def test_a_position_worth_less_than_the_smallest_order_can_still_be_closed():
    async with trading(prices={"BTCUSDT": 30_000.0}) as desk:
        await desk.filled(desk.order(None, quantity="0.003"))
        with pytest.raises(RejectedError, match="notional"):
            await desk.adapter.place_order(desk.order("0.99", Side.Sell, "0.001"))
        await desk.filled(desk.order("0.99", Side.Sell, "0.001", reduce_only=True))
        assert await desk.position() == Decimal("0.002")


async def test_what_is_locked_is_the_margin_and_leverage_moves_it():
    async with trading() as desk:
        await desk.filled(desk.order(None, quantity="0.1"))
        before = (await desk.adapter.balances())["USDT"]
        await desk.adapter.set_leverage("BTCUSDT", 5)
        after = (await desk.adapter.balances())["USDT"]
        assert after.locked == 4 * before.locked
        assert after.total == before.total == desk.account.totals["USDT"]
        with pytest.raises(RejectedError, match="-4028"):
            await desk.adapter.set_leverage("BTCUSDT", 126)


async def test_the_margin_mode_is_set_and_setting_it_again_is_no_error():
    async with trading() as desk:
        for mode in (MarginMode.Isolated, MarginMode.Isolated, MarginMode.Cross, MarginMode.Isolated):
            await desk.adapter.set_margin_mode("BTCUSDT", mode)
        assert desk.account.margin_modes["BTCUSDT"] is MarginMode.Isolated
        await desk.filled(desk.order(None))
        with pytest.raises(RejectedError, match="-4048"):
            await desk.adapter.set_margin_mode("BTCUSDT", MarginMode.Cross)
        assert await desk.position() == Decimal("0.02")
        held = (await desk.adapter.balances())["USDT"]
        assert held.locked == desk.account.locked["USDT"] > 0


async def test_an_order_beyond_the_margin_is_refused():
    async with trading() as desk:
        with pytest.raises(RejectedError, match=r"Margin is insufficient.*raise the leverage"):
            await desk.adapter.place_order(desk.order("0.95", quantity="500"))


async def test_funding_is_told_and_paid():
    async with trading() as desk:
        await desk.filled(desk.order(None, quantity="0.1"))
        desk.venue.exchange.swaps.set_rate("BTCUSDT", Decimal("0.0005"))
        told = await desk.adapter.funding_rate("BTCUSDT")
        assert (told.symbol, told.rate) == ("BTCUSDT", Decimal("0.0005"))
        assert told.next_at > desk.venue.now()
        await until(lambda: desk.of(BalanceUpdate))
        before = (await desk.adapter.balances())["USDT"].total
        desk.events.clear()
        desk.venue.exchange.swaps.pay("BTCUSDT")
        paid = desk.account.funding[-1].amount
        assert paid < 0
        await until(lambda: any(event.free + event.locked == before + paid for event in desk.of(BalanceUpdate)))


async def test_funding_that_falls_due_is_paid_by_the_venues_clock():
    async with trading(swap_terms=SwapTerms(leverage=20, funding_every=1.0, clip_reduce_only=False)) as desk:
        await desk.filled(desk.order(None, quantity="0.1"))
        await until(lambda: len(desk.account.funding) >= 2, 5.0)


async def test_fees_are_those_of_makers_and_takers():
    async with trading() as desk:
        taken = await desk.filled(desk.order(None))
        await until(lambda: any(update.fill for update in desk.of(OrderUpdate)))
        (fill,) = [update.fill for update in desk.of(OrderUpdate) if update.fill is not None]
        assert (fill.liquidity, fill.fee_asset) == (Liquidity.Taker, "USDT")
        assert fill.fee == fill.price * fill.quantity * Decimal("0.0005")
        (found,) = await desk.adapter.fills()
        assert (found.fee, found.fill_id, found.price) == (fill.fee, fill.fill_id, fill.price)
        assert fill.client_order_id == taken.client_order_id


async def test_an_account_in_hedge_mode_is_refused_and_says_what_to_do():
    async with started() as venue:
        client = Client(venue)
        await client.ask("POST", "positionSide/dual", dualSidePosition="true")
        adapter = BinanceFuturesAdapter(configured(venue))
        with pytest.raises(ConfigError, match=r"hedge mode.*one-way"):
            await adapter.connect()
        await adapter.close()
        await client.ask("POST", "positionSide/dual", dualSidePosition="false")
        await client.close()
        await adapter.connect()
        await adapter.close()


async def test_hedge_mode_that_is_set_later_refuses_the_order_and_says_what_to_do():
    async with trading() as desk:
        client = Client(desk.venue)
        await client.ask("POST", "positionSide/dual", dualSidePosition="true")
        await client.close()
        with pytest.raises(RejectedError, match=r"-4061.*one-way mode"):
            await desk.adapter.place_order(desk.order())


async def test_keys_that_may_withdraw_or_not_trade_are_refused():
    for change, text in (({"may_withdraw": True}, "may withdraw"), ({"may_trade": False}, "may not trade")):
        account = Account("main", KEY, SECRET, totals={"USDT": Decimal(1000)}, **change)
        async with started(accounts=[account]) as venue:
            adapter = BinanceFuturesAdapter(configured(venue))
            with pytest.raises(AuthError, match=text):
                await adapter.connect()
            await adapter.close()


async def test_the_demo_network_is_not_asked_what_a_key_may_do():
    async with started() as venue:
        adapter = BinanceFuturesAdapter(configured(venue, testnet=True))
        await adapter.connect()
        assert not venue.faults.places["request:apiRestrictions"]
        await adapter.close()


# What goes wrong.


@pytest.mark.parametrize("kind", ["lose-response", "unknown-accepted", "late-accept"])
async def test_an_order_whose_answer_is_lost_is_found(kind):
    fault = {"kind": kind, "where": PLACE, "every": 1, "limit": 1, **({"seconds": 0.5} if "late" in kind else {})}
    async with trading(fault) as desk:
        order = desk.order(None)
        order_id = await desk.adapter.place_order(order)
        await until(lambda: desk.status(order) is OrderStatus.Filled)
        assert [str(one) for one in desk.account.orders] == [order_id]
        assert await desk.position() == order.quantity


@pytest.mark.parametrize("kind", ["lose-request", "unknown-refused"])
async def test_an_order_that_never_arrived_is_proven_not_to_exist(kind):
    async with trading({"kind": kind, "where": PLACE, "every": 1, "limit": 1}) as desk:
        order = desk.order(None)
        with pytest.raises(RejectedError):
            await desk.adapter.place_order(order)
        assert desk.status(order) is OrderStatus.Rejected
        assert not desk.account.orders
        assert desk.venue.faults.places[PLACE] == 1


async def test_fills_of_a_lost_connection_are_repaired():
    async with trading({"kind": "disconnect", "where": "stream:account:trade", "every": 1, "limit": 1}) as desk:
        order = desk.order(None)
        await desk.adapter.place_order(order)
        await until(lambda: desk.status(order) is OrderStatus.Filled)

        def filled() -> Decimal:
            fills = [update.fill for update in desk.of(OrderUpdate) if update.fill is not None]
            return sum((fill.quantity for fill in fills), Decimal(0))

        await until(lambda: filled() == order.quantity)
        assert [event.up for event in desk.of(StreamState)].count(True) >= 2


async def test_a_stream_that_falls_silent_is_given_up():
    async with trading({"kind": "stall", "where": "stream:account:new", "every": 1, "limit": 1}) as desk:
        order = desk.order(None)
        await desk.adapter.place_order(order)
        await until(lambda: desk.status(order) is OrderStatus.Filled)


async def test_a_listen_key_that_expires_is_made_anew():
    async with trading(listen_key_life=1.0) as desk:
        await until(lambda: any(not event.up for event in desk.of(StreamState)), 4.0)
        await until(lambda: desk.of(StreamState)[-1].up, 4.0)
        await desk.filled(desk.order(None))


async def test_a_listen_key_is_kept_alive():
    async with trading(listen_key_life=1.5) as desk:
        stream = desk.adapter._user_stream
        vars(stream)["keep_every"] = stream._keep_at = 0.3
        await asyncio.sleep(3.0)
        assert all(event.up for event in desk.of(StreamState))
        assert desk.venue.faults.places["request:listenKey.keep"] >= 4


async def test_a_stream_whose_key_is_gone_without_a_word_is_given_up():
    async with trading() as desk:
        desk.venue._user_streams._keys.clear()
        desk.adapter._user_stream._keep_at = 0.0
        await until(lambda: any("key has expired" in event.reason for event in desk.of(StreamState)), 4.0)
        await until(lambda: desk.of(StreamState)[-1].up, 4.0)
        await desk.filled(desk.order(None))


async def test_a_clock_that_is_off_is_measured_and_the_order_sent_once_more():
    async with trading({"kind": "drift", "where": PLACE, "every": 1, "limit": 1, "milliseconds": 20_000}) as desk:
        await desk.filled(desk.order(None))


# Market data.


async def test_market_data_comes_on_two_connections_and_the_book_is_the_venues():
    async with trading({"kind": "drop", "where": "stream:market:depth@100ms", "every": 20, "limit": 2}) as desk:
        for channel in Channel:
            await desk.adapter.subscribe(channel, "BTCUSDT")
        await until(lambda: desk.of(Trade) and desk.of(Quote) and len(desk.of(BookSnapshot)) >= 2)
        paths = sorted(socket.path for socket in desk.venue.sockets if "private" not in socket.path)
        assert paths == ["/market/stream", "/public/stream"]
        await until(lambda: same_book(desk))
        assert {event.symbol for event in desk.of(Trade)} == {"BTCUSDT"}


async def test_a_market_connection_that_is_lost_comes_back_with_its_channels():
    async with trading({"kind": "disconnect", "where": "stream:market:aggTrade", "every": 10, "limit": 1}) as desk:
        await desk.adapter.subscribe(Channel.Trades, "BTCUSDT")
        await desk.adapter.subscribe(Channel.Quotes, "ETHUSDT")
        await until(lambda: any(not event.up for event in desk.of(StreamState) if event.stream == "market"))
        desk.events.clear()
        await until(lambda: desk.of(Trade) and desk.of(Quote))


async def test_past_trades_are_told():
    async with trading() as desk:
        trades = await desk.adapter.trades("BTCUSDT", desk.venue.now() - 10_000_000_000)
        assert trades
        assert trades == sorted(trades, key=lambda trade: trade.trade_id)


async def test_instruments_are_swaps_of_another_venue_than_spots():
    async with trading() as desk:
        instrument = (await desk.adapter.instruments())["BTCUSDT"]
        assert (instrument.key, instrument.kind) == ("BINANCE-FUTURES:BTCUSDT", InstrumentKind.Swap)
        assert instrument.contract_size == 1


def same_book(desk: Desk) -> bool:
    book = OrderBook("BTCUSDT")
    for event in desk.events:
        if isinstance(event, BookSnapshot):
            book.restore(event)
        elif isinstance(event, BookUpdate):
            book.apply(event)
    theirs = desk.venue.exchange.books["BTCUSDT"]
    return (list(book.bids(5)[0]), list(book.asks(5)[0])) == (list(theirs.bids(5)[0]), list(theirs.asks(5)[0]))
