"""The whole adapter: what a strategy calls, against a venue that fails in the ways OKX does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal

import pytest
from scripted_okx import DROP, ScriptedOkx, failed, fill_row, ok, order_row

from axon_exchange_okx import OkxAdapter
from axon_quant.errors import AuthError, RateLimitedError, RejectedError
from axon_quant.exchange import BalanceUpdate, Channel, ReconnectConfig, StreamState
from axon_quant.market import Quote
from axon_quant.orders import Order, OrderStatus, OrderType, OrderUpdate, Side

ORDER = "POST /api/v5/trade/order"
LOOK_UP = "GET /api/v5/trade/order"
QUICKLY = ReconnectConfig(max_retries=10, initial_backoff_ms=10, max_backoff_ms=50)


def limit(quantity: str = "0.002") -> Order:
    return Order("BTC-USDT", Side.Buy, price="50000.1", quantity=quantity)


def ours(order: Order, **changes: object) -> dict:
    """What OKX has of an order that was placed now."""
    now = str(time.time_ns() // 1_000_000)
    given = {"clOrdId": order.client_order_id, "ordId": "77", "sz": str(order.quantity), "cTime": now, "uTime": now}
    return order_row(**{**given, **changes})


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


class Reader:
    """Everything that the adapter reports."""

    def __init__(self, adapter: OkxAdapter) -> None:
        self.events: list[object] = []
        self._task = asyncio.create_task(self._read(adapter))

    async def _read(self, adapter: OkxAdapter) -> None:
        async for event in adapter.events():
            self.events.append(event)

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]


async def test_an_order_lives_and_fills_on_the_stream(trading):
    async with trading() as (venue, adapter):
        reader = Reader(adapter)
        await until(lambda: venue.sockets["private"])
        order = limit()
        order_id = await adapter.place_order(order)
        row = ours(order, ordId=order_id)
        await venue.push("private", {"channel": "orders"}, row)
        part = {"fillSz": "0.001", "fillPx": "50000.1", "fillFee": "-0.000001", "fillFeeCcy": "BTC", "execType": "M"}
        first = {**row, **part, "state": "partially_filled", "accFillSz": "0.001", "tradeId": "1"}
        await venue.push("private", {"channel": "orders"}, first)
        await venue.push("private", {"channel": "orders"}, first)
        await venue.push(
            "private", {"channel": "orders"}, {**first, "state": "filled", "accFillSz": "0.002", "tradeId": "2"}
        )
        await until(lambda: adapter.orders.get(order.client_order_id).status is OrderStatus.Filled)
        state = adapter.orders.get(order.client_order_id)
        await until(lambda: reader.of(OrderUpdate)[-1].status is OrderStatus.Filled)
    assert state.filled_quantity == Decimal("0.002")
    fills = [update.fill.fill_id for update in reader.of(OrderUpdate) if update.fill is not None]
    assert fills == ["BTC-USDT:1", "BTC-USDT:2"]


async def test_an_order_whose_answer_is_lost_is_found_and_never_sent_again(trading):
    order = limit()

    def accept(_):
        venue.answers[LOOK_UP] = ok(ours(order))
        return DROP

    async with trading() as (venue, adapter):
        venue.answers[ORDER] = accept
        assert await adapter.place_order(order) == "77"
        assert len(venue.asked(ORDER)) == 1
        assert adapter.orders.get(order.client_order_id).status is OrderStatus.Open
        seen = venue.asked(LOOK_UP)[0]
        assert seen.query == {"instId": "BTC-USDT", "clOrdId": order.client_order_id}


async def test_an_order_that_never_arrived_is_proven_absent_once_its_validity_is_over(trading):
    async with trading() as (venue, adapter):
        venue.answers[ORDER] = DROP
        began = time.monotonic()
        with pytest.raises(RejectedError):
            await adapter.place_order(limit())
        took = time.monotonic() - began
        assert adapter.validity + adapter.engine_timeout <= took < adapter.validity + adapter.engine_timeout + 1.5
        assert len(venue.asked(ORDER)) == 1


async def test_a_stop_whose_answer_is_lost_is_found_among_the_stops(trading):
    order = Order("BTC-USDT", Side.Sell, OrderType.Stop, None, "0.002", stop_price="49000")

    def accept(seen):
        venue.answers["GET /api/v5/trade/order-algo"] = ok({**seen.body, "algoId": "5", "state": "live"})
        return {"code": "50004", "msg": "API endpoint request timeout", "data": []}

    async with trading() as (venue, adapter):
        venue.answers["POST /api/v5/trade/order-algo"] = accept
        assert await adapter.place_order(order) == "5"
        assert len(venue.asked("POST /api/v5/trade/order-algo")) == 1


async def test_a_clock_that_drifts_is_measured_and_the_order_sent_once_more(trading):
    async with trading() as (venue, adapter):
        venue.drift = 60.0
        order = limit()
        await adapter.place_order(order)
        first, second = venue.asked(ORDER)
        assert first.body == second.body
        assert abs(adapter.venue_time() - time.time_ns() - 60e9) < 1e9


async def test_a_duplicate_of_an_order_that_is_ours_is_that_order(trading):
    order = limit()
    async with trading() as (venue, adapter):
        venue.answers[ORDER] = failed("51016", "Duplicated client order ID")
        venue.answers[LOOK_UP] = ok(ours(order))
        assert await adapter.place_order(order) == "77"


async def test_too_many_requests_hold_everything_back(trading):
    async with trading() as (venue, adapter):
        venue.answers[ORDER] = [failed("50011", "Too Many Requests"), ok({"ordId": "1", "sCode": "0"})]
        with pytest.raises(RateLimitedError):
            await adapter.place_order(limit())
        began = time.monotonic()
        await adapter.place_order(limit())
        assert time.monotonic() - began > 1.5


async def test_what_was_missed_while_the_stream_was_down_is_repaired(trading):
    async with trading(reconnect=QUICKLY) as (venue, adapter):
        reader = Reader(adapter)
        await until(
            lambda: (
                any(state.stream == "account" and state.up for state in reader.of(StreamState))
                or venue.sockets["private"]
            )
        )
        order = limit()
        order_id = await adapter.place_order(order)
        row = ours(order, ordId=order_id)
        await venue.push("private", {"channel": "orders"}, row)
        now = str(time.time_ns() // 1_000_000)
        fill = {"clOrdId": order.client_order_id, "ordId": order_id, "ts": now, "fillTime": now}
        venue.answers["GET /api/v5/trade/fills"] = ok(fill_row(2, **fill), fill_row(1, **fill))
        venue.answers[LOOK_UP] = ok({**row, "state": "filled", "accFillSz": "0.002"})
        venue.answers["GET /api/v5/account/balance"] = ok(
            {"uTime": "1", "details": [{"ccy": "BTC", "availBal": "0.002", "frozenBal": "0"}]}
        )
        await venue.notify("private", {"event": "notice", "code": "64008", "msg": "The connection will soon be closed"})
        await until(lambda: adapter.orders.get(order.client_order_id).status is OrderStatus.Filled)
        await until(lambda: reader.of(BalanceUpdate))
    fills = [update.fill.fill_id for update in reader.of(OrderUpdate) if update.fill is not None]
    assert sorted(fills) == ["BTC-USDT:1", "BTC-USDT:2"]
    states = [(state.stream, state.up) for state in reader.of(StreamState) if state.stream == "account"]
    assert ("account", False) in states
    assert states[-1] == ("account", True) or ("account", True) in states[states.index(("account", False)) :]


async def test_market_data_is_subscribed_again_after_a_lost_connection(trading):
    def quote(name: str, arg: dict) -> list[dict]:
        row = {"asks": [["2.5", "1", "0", "3"]], "bids": [["2.4", "9", "0", "1"]], "ts": "1630048897898", "seqId": 8}
        return [{"arg": arg, "data": [row]}] if arg["channel"] == "bbo-tbt" else []

    async with trading(reconnect=QUICKLY) as (venue, adapter):
        venue.on_subscribe = quote
        reader = Reader(adapter)
        await asyncio.sleep(0)
        await adapter.subscribe(Channel.Quotes, "BTC-USDT")
        await until(lambda: len(reader.of(Quote)) == 1)
        await venue.drop("public")
        await until(lambda: len(reader.of(Quote)) == 2)


@pytest.mark.parametrize(("permissions", "hint"), [("read_only", "trade"), ("read_only,trade,withdraw", "withdraw")])
async def test_a_key_that_may_do_too_little_or_too_much_is_refused(trading, permissions, hint):
    def prepare(venue: ScriptedOkx) -> None:
        venue.answers["GET /api/v5/account/config"] = ok({"perm": permissions, "posMode": "net_mode"})

    with pytest.raises(AuthError, match=hint):
        async with trading(prepare):
            pass


async def test_orders_that_okx_would_refuse_never_leave(trading):
    async with trading() as (venue, adapter):
        for order in (
            Order("BTC-USDT", Side.Buy, price="50000.15", quantity="0.002"),
            Order("BTC-USDT", Side.Buy, price="50000.1", quantity="0.000001"),
            Order("BTC-USDT", Side.Buy, price="50000.1", quantity="10000000000"),
            Order("BTC-USDT-SWAP", Side.Buy, price="50000.1", quantity="0.5"),
            Order("NO-SUCH", Side.Buy, price="1", quantity="1"),
        ):
            with pytest.raises(RejectedError):
                await adapter.place_order(order)
        assert not venue.asked(ORDER)


async def test_an_amended_order_stands_as_amended(trading):
    async with trading() as (venue, adapter):
        order = limit()
        order_id = await adapter.place_order(order)
        row = ours(order, ordId=order_id, px="49000", sz="0.003")

        async def amend(seen):
            await venue.push(
                "private", {"channel": "orders"}, {**row, "reqId": seen.body["reqId"], "amendResult": "0", "code": "0"}
            )
            return ok({"ordId": order_id, "sCode": "0"})

        await until(lambda: venue.sockets["private"])
        venue.answers["POST /api/v5/trade/amend-order"] = amend
        venue.answers[LOOK_UP] = ok(row)
        began = time.monotonic()
        await adapter.amend_order(order_id, price=Decimal(49000), quantity=Decimal("0.003"))
        assert time.monotonic() - began < adapter.engine_timeout
        assert adapter.orders.get(order.client_order_id).order.price == 49000
