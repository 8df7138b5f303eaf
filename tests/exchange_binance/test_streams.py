"""The account's events and market data over real sockets, and what happens when they are lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from decimal import Decimal

import pytest
from scripted_binance import Refuse, order_row, report, trade_row, traded

from axon_exchange_binance import sockets, user_stream
from axon_quant.errors import RejectedError
from axon_quant.exchange import BalanceUpdate, Channel, ForeignOrders, StreamState
from axon_quant.exchange.expected import ExpectedReports
from axon_quant.market import Bar, OrderBook, Quote, Trade
from axon_quant.market.types import BookSnapshot, BookUpdate
from axon_quant.orders import Order, OrderStatus, OrderUpdate, Side


def order(**changes) -> Order:
    given = {"symbol": "BTCUSDT", "side": Side.Buy, "price": "50000.1", "quantity": "0.002", **changes}
    return Order(**given)


async def until(condition, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - some conditions have no event
            await asyncio.sleep(0.01)


class Reader:
    """Collects what an adapter reports."""

    def __init__(self, adapter) -> None:
        self.events: list = []
        self._stream = adapter.events()
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for event in self._stream:
            self.events.append(event)

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]

    async def stop(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


@pytest.fixture
def live(trading):
    """A venue and an adapter whose account stream is up, and a reader."""
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def session(*args, **changes):
        async with trading(*args, **changes) as (venue, adapter):
            reader = Reader(adapter)
            await until(lambda: venue.user_sockets)
            yield venue, adapter, reader
            await reader.stop()

    return session


async def test_fills_arrive_exactly_once_with_their_fees(live):
    async with live() as (venue, adapter, reader):
        placed = order()
        await adapter.place_order(placed)
        name = placed.client_order_id
        first = traded(name, 1, "0.00100000", "PARTIALLY_FILLED", i=101)
        for event in (first, first, traded(name, 2, "0.00200000", "FILLED", i=101)):
            await venue.event(event)
        await until(lambda: adapter.orders.get(name).status is OrderStatus.Filled)
        fills = [update.fill for update in reader.of(OrderUpdate) if update.fill is not None]
        assert [fill.fill_id for fill in fills] == ["BTCUSDT:1", "BTCUSDT:2"]
        assert {(fill.fee, fill.fee_asset) for fill in fills} == {(Decimal("0.00000123"), "BNB")}
        assert adapter.orders.get(name).filled_quantity == Decimal("0.002")


async def test_a_cancel_is_reported_under_our_name(live):
    async with live() as (venue, adapter, _):
        placed = order()
        await adapter.place_order(placed)
        await venue.event(report("random1", C=placed.client_order_id, x="CANCELED", X="CANCELED", i=101))
        await until(lambda: adapter.orders.get(placed.client_order_id).status is OrderStatus.Cancelled)


async def test_balances_are_reported_as_they_change(live):
    async with live() as (venue, _, reader):
        await venue.event(
            {"e": "outboundAccountPosition", "E": 1, "u": 1, "B": [{"a": "ETH", "f": "10000.000001", "l": "0.5"}]}
        )
        await until(lambda: any(update.asset == "ETH" for update in reader.of(BalanceUpdate)))
        (eth,) = [update for update in reader.of(BalanceUpdate) if update.asset == "ETH"]
        assert (eth.free, eth.locked) == (Decimal("10000.000001"), Decimal("0.5"))


async def test_events_nobody_knows_are_passed_over(live):
    async with live() as (venue, adapter, _):
        await venue.event({"e": "somethingNew", "E": 1, "x": {"y": []}})
        await venue.event({"e": "balanceUpdate", "E": 1, "a": "BTC", "d": "1", "T": 1})
        placed = order()
        await adapter.place_order(placed)
        await venue.event(traded(placed.client_order_id, 1, "0.00200000", "FILLED", l="0.00200000"))
        await until(lambda: adapter.orders.get(placed.client_order_id).status is OrderStatus.Filled)
        assert len(venue.subscriptions) == 1


@pytest.mark.parametrize("how", ["closed", "serverShutdown", "eventStreamTerminated", "malformed"])
async def test_a_stream_that_ends_comes_back_and_what_it_missed_is_repaired(live, how):
    async with live() as (venue, adapter, reader):
        placed = order()
        order_id = await adapter.place_order(placed)
        venue.answers["GET /api/v3/order"] = lambda _: order_row(
            orderId=int(order_id), clientOrderId=placed.client_order_id, status="FILLED", executedQty="0.002"
        )
        venue.answers["GET /api/v3/myTrades"] = [trade_row(4, orderId=int(order_id), qty="0.002", time=venue.now_ms())]
        if how == "closed":
            await venue.hang_up()
        elif how == "malformed":
            await venue.event({"e": "executionReport", "s": "BTCUSDT"})
        else:
            await venue.event({"e": how, "E": 1})
        await until(lambda: adapter.orders.get(placed.client_order_id).status is OrderStatus.Filled)
        assert len(venue.subscriptions) >= 2
        assert adapter.orders.get(placed.client_order_id).fill_ids == {"BTCUSDT:4"}
        states = [event.up for event in reader.of(StreamState) if event.stream == "account"]
        assert False in states
        assert states[-1]


async def test_a_connection_that_answers_no_pings_is_given_up(live, monkeypatch):
    monkeypatch.setattr(sockets, "_PING_EVERY", 0.1)
    async with live() as (venue, _, _reader):
        venue.answers_pings = False
        await until(lambda: len(venue.subscriptions) >= 2)


async def test_a_service_that_answers_pings_of_the_socket_only_is_given_up(live, monkeypatch):
    monkeypatch.setattr(user_stream, "_ASK_EVERY", 0.2)
    monkeypatch.setattr(ExpectedReports, "look_every", 0.05)
    async with live() as (venue, _, _reader):
        await asyncio.sleep(0.6)
        assert len(venue.subscriptions) == 1
        venue.answers_questions = False
        await until(lambda: len(venue.subscriptions) >= 2)


async def test_a_stream_that_does_not_report_what_was_acknowledged_is_given_up(live, monkeypatch):
    monkeypatch.setattr(ExpectedReports, "within", 0.2)
    monkeypatch.setattr(ExpectedReports, "look_every", 0.05)
    async with live() as (venue, adapter, _):
        await adapter.place_order(order())
        await asyncio.sleep(0.4)
        assert len(venue.subscriptions) == 1  # it was reported
        venue.reports = False
        await adapter.place_order(order())
        await until(lambda: len(venue.subscriptions) >= 2)


async def test_the_subscription_is_renewed_before_the_venue_ends_it(live, monkeypatch):
    monkeypatch.setattr(user_stream, "_RENEW_AFTER", 0.2)
    async with live() as (venue, _, _reader):
        await asyncio.sleep(0.3)
        await venue.event({"e": "balanceUpdate", "E": 1, "a": "BTC", "d": "1", "T": 1})
        await until(lambda: len(venue.subscriptions) >= 2)


async def test_orders_of_others_pass_through_when_they_are_adopted(live):
    async with live(foreign_orders=ForeignOrders.Adopt) as (venue, adapter, _reader):
        venue.answers["GET /api/v3/openOrders"] = [order_row(clientOrderId="web_1", orderId=900)]
        await venue.event(report("web_1", i=900))
        await until(lambda: adapter.orders.get("web_1") is not None)
        await venue.event(traded("web_1", 5, "0.00100000", "PARTIALLY_FILLED", i=900))
        await until(lambda: adapter.orders.get("web_1").filled_quantity == Decimal("0.001"))


# Market data.

DEPTH = {"e": "depthUpdate", "E": 7, "s": "BTCUSDT"}


async def depth(venue, first: int, last: int, bids=(), asks=()) -> None:
    await venue.publish("btcusdt@depth@100ms", {**DEPTH, "U": first, "u": last, "b": list(bids), "a": list(asks)})


async def test_trades_quotes_and_closed_bars(live):
    async with live() as (venue, adapter, reader):
        for channel in (Channel.Trades, Channel.Quotes, Channel.Bars):
            await adapter.subscribe(channel, "BTCUSDT")
        names = {name for names in venue.streams for name in names}
        assert names == {"btcusdt@trade", "btcusdt@bookTicker", "btcusdt@kline_1m"}
        await venue.publish("btcusdt@trade", {"s": "BTCUSDT", "t": 5, "p": "50000.1", "q": "0.1", "T": 3, "m": True})
        await venue.publish(
            "btcusdt@bookTicker", {"u": 4, "s": "BTCUSDT", "b": "50000", "B": "1", "a": "50001", "A": "2"}
        )
        bar = {"T": 59_999, "s": "BTCUSDT", "o": "1", "c": "2", "h": "3", "l": "0.5", "v": "9", "x": True}
        await venue.publish("btcusdt@kline_1m", {"e": "kline", "s": "BTCUSDT", "k": {**bar, "x": False}})
        await venue.publish("btcusdt@kline_1m", {"e": "kline", "s": "BTCUSDT", "k": bar})
        await until(lambda: reader.of(Bar))
        assert [trade.trade_id for trade in reader.of(Trade)] == [5]
        assert [(quote.bid, quote.ask) for quote in reader.of(Quote)] == [(50_000.0, 50_001.0)]
        assert [bar.received for bar in reader.of(Bar)] == [60_000_000_000]


async def test_a_book_begins_with_a_snapshot_and_is_taken_again_after_a_gap(live):
    snapshots = iter([100, 200])

    def snapshot(_):
        return {"lastUpdateId": next(snapshots), "bids": [["50000", "1"]], "asks": [["50001", "1"]]}

    async with live() as (venue, adapter, reader):
        venue.answers["GET /api/v3/depth"] = snapshot
        await adapter.subscribe(Channel.Book, "BTCUSDT")
        await depth(venue, 90, 99, bids=[["1", "1"]])
        await depth(venue, 100, 102, bids=[["49999", "5"]])
        await until(lambda: len(reader.of(BookUpdate)) == 1)
        await depth(venue, 103, 104, asks=[["50002", "3"]])
        await depth(venue, 110, 111)  # 105 … 109 are missing
        await depth(venue, 112, 205, bids=[["49998", "7"]])
        await until(lambda: len(reader.of(BookSnapshot)) == 2)
        book = OrderBook("BTCUSDT")
        for event in reader.events:
            if isinstance(event, BookSnapshot):
                book.restore(event)
            elif isinstance(event, BookUpdate):
                book.apply(event)
        await asyncio.sleep(0)
        assert book.whole
        assert book.bid_quantity(49_998.0) == 7.0
        assert venue.asked("GET /api/v3/depth")[0]["symbol"] == "BTCUSDT"


async def test_market_data_comes_back_with_every_channel(live):
    async with live() as (venue, adapter, reader):
        await adapter.subscribe(Channel.Trades, "BTCUSDT")
        await adapter.subscribe(Channel.Quotes, "BTCUSDT")
        await venue.publish("!serverShutdown", {"e": "serverShutdown", "E": 1})
        await until(lambda: any(set(names) == {"btcusdt@trade", "btcusdt@bookTicker"} for names in venue.streams))
        await until(
            lambda: [event.up for event in reader.of(StreamState) if event.stream == "market"][-2:] == [False, True]
        )


async def test_many_channels_asked_for_at_once_share_a_request(live):
    async with live() as (venue, adapter, _):
        await adapter.subscribe(Channel.Trades, "BTCUSDT")
        asked = [adapter.subscribe(channel, "BTCUSDT") for channel in (Channel.Quotes, Channel.Bars)]
        await asyncio.gather(*asked)
        assert len(venue.streams) == 2
        assert sorted(venue.streams[1]) == ["btcusdt@bookTicker", "btcusdt@kline_1m"]


async def test_a_channel_that_the_venue_refuses_is_an_error(live):
    def prepare(venue):
        from scripted_binance import SYMBOL

        info = {**SYMBOL, "symbol": "NONSENSE"}
        venue.answers["GET /api/v3/exchangeInfo"] = {"symbols": [info, SYMBOL], "rateLimits": []}

    async with live(prepare) as (_, adapter, _reader):
        await adapter.subscribe(Channel.Trades, "BTCUSDT")
        with pytest.raises(RejectedError, match="Invalid request"):
            await adapter.subscribe(Channel.Trades, "NONSENSE")


async def test_a_snapshot_that_is_refused_is_asked_for_again(live):
    from collections import deque

    async with live() as (venue, adapter, reader):
        whole = {"lastUpdateId": 100, "bids": [["50000", "1"]], "asks": [["50001", "1"]]}
        venue.answers["GET /api/v3/depth"] = deque([Refuse(503, -1000, "busy"), whole])
        await adapter.subscribe(Channel.Book, "BTCUSDT")
        await depth(venue, 99, 101)
        await until(lambda: reader.of(BookSnapshot))
        assert isinstance(reader.of(BookSnapshot)[0], BookSnapshot)
