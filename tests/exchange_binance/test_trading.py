"""Orders, cancels and look-ups against a scripted venue that checks what it is sent."""

from __future__ import annotations

import asyncio
from collections import deque
from decimal import Decimal

import pytest
from scripted_binance import DROP, SYMBOL, Refuse, order_row, trade_row

from axon_quant.errors import (
    AmbiguousError,
    AuthError,
    ClockError,
    ConfigError,
    DuplicateOrderError,
    NotFoundError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
    UnsupportedError,
)
from axon_quant.exchange import BinanceAdapter, ExchangeConfig
from axon_quant.orders import Order, OrderStatus, OrderType, Side, TimeInForce
from axon_quant.orders.tracker import OrderState

ORDER, OPEN = "/api/v3/order", "/api/v3/openOrders"


def order(**changes) -> Order:
    given = {"symbol": "BTCUSDT", "side": Side.Buy, "price": "50000.1", "quantity": "0.002", **changes}
    return Order(**given)


async def test_the_adapter_is_a_public_name():
    import axon_quant

    assert axon_quant.BinanceAdapter is BinanceAdapter


async def test_an_order_is_sent_once_signed_with_a_short_window_and_our_name(trading):
    async with trading() as (venue, adapter):
        placed = order()
        order_id = await adapter.place_order(placed)
        (sent,) = venue.asked(f"POST {ORDER}")
        assert sent["newClientOrderId"] == placed.client_order_id
        assert sent["recvWindow"] == "2000"
        assert (sent["price"], sent["quantity"]) == ("50000.1", "0.002")
        assert adapter.orders.get(placed.client_order_id).venue_order_id == order_id


async def test_a_cancel_names_the_order_by_the_venues_id(trading):
    async with trading() as (venue, adapter):
        order_id = await adapter.place_order(order())
        await adapter.cancel_order(order_id)
        assert venue.asked(f"DELETE {ORDER}")[0]["orderId"] == order_id


async def test_cancelling_everything_is_one_request_per_symbol_with_open_orders(trading):
    async with trading() as (venue, adapter):
        await adapter.cancel_all("BTCUSDT")
        assert [sent["symbol"] for sent in venue.asked(f"DELETE {OPEN}")] == ["BTCUSDT"]
        venue.answers[f"GET {OPEN}"] = [order_row(), order_row(symbol="ETHUSDT"), order_row(orderId=29)]
        await adapter.cancel_all()
        assert [sent["symbol"] for sent in venue.asked(f"DELETE {OPEN}")] == ["BTCUSDT", "BTCUSDT", "ETHUSDT"]
        venue.answers[f"DELETE {OPEN}"] = Refuse(400, -2011, "Unknown order sent.")
        await adapter.cancel_all("BTCUSDT")  # there is nothing, which is as good


async def test_replacing_is_one_request_that_stops_when_the_cancel_fails(trading):
    async with trading() as (venue, adapter):
        old = order()
        order_id = await adapter.place_order(old)
        venue.answers[f"POST {ORDER}/cancelReplace"] = {
            "cancelResult": "SUCCESS",
            "newOrderResult": "SUCCESS",
            "cancelResponse": order_row(status="CANCELED"),
            "newOrderResponse": {"symbol": "BTCUSDT", "orderId": 77, "clientOrderId": "x"},
        }
        new = order(price="50001")
        assert await adapter.replace_order(order_id, new) == "77"
        (sent,) = venue.asked(f"POST {ORDER}/cancelReplace")
        assert (sent["cancelReplaceMode"], sent["cancelOrderId"]) == ("STOP_ON_FAILURE", order_id)
        assert (sent["price"], sent["newClientOrderId"]) == ("50001", new.client_order_id)


async def test_a_stop_asks_for_the_last_price_and_is_named_by_it(trading):
    async with trading() as (venue, adapter):
        stop = {"order_type": OrderType.Stop, "price": None, "stop_price": "49000"}
        await adapter.place_order(order(**stop))
        await adapter.place_order(order(**stop, side=Side.Sell))
        await adapter.place_order(order(order_type=OrderType.StopLimit, stop_price="51000", price="51010"))
        assert [sent["type"] for sent in venue.asked(f"POST {ORDER}")] == [
            "TAKE_PROFIT",
            "STOP_LOSS",
            "STOP_LOSS_LIMIT",
        ]


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        ({"symbol": "BTCEUR"}, RejectedError, "no such symbol"),
        ({"price": "50000.123"}, RejectedError, "tick"),
        ({"quantity": "0.0000001"}, RejectedError, "lot"),
        ({"quantity": "0.00001"}, RejectedError, "notional"),
        ({"quantity": "9001"}, RejectedError, "quantity"),
        ({"reduce_only": True}, UnsupportedError, "reduce-only"),
        ({"order_type": OrderType.Market, "price": None, "time_in_force": TimeInForce.FOK}, RejectedError, "FOK"),
        ({"order_type": OrderType.StopLimit, "stop_price": 50_000, "post_only": True}, RejectedError, "post-only"),
    ],
)
async def test_what_the_venue_would_refuse_is_refused_before_it_is_sent(trading, changes, kind, text):
    async with trading() as (venue, adapter):
        with pytest.raises(kind, match=text):
            await adapter.place_order(order(**changes))
        assert not venue.asked(f"POST {ORDER}")


async def test_a_type_that_the_symbol_does_not_take_is_refused_before_it_is_sent(trading):
    def prepare(venue):
        info = {**SYMBOL, "orderTypes": ["LIMIT", "MARKET"]}
        venue.answers["GET /api/v3/exchangeInfo"] = {"symbols": [info], "rateLimits": []}

    async with trading(prepare) as (venue, adapter):
        with pytest.raises(RejectedError, match=r"takes no LIMIT_MAKER orders \(LIMIT, MARKET\)"):
            await adapter.place_order(order(post_only=True))
        assert not venue.asked(f"POST {ORDER}")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Refuse(400, -2010, "Account has insufficient balance for requested action."), RejectedError),
        (Refuse(401, -2015, "Invalid API-key, IP, or permissions for action."), AuthError),
        (Refuse(503, -1008, "Server is currently overloaded."), UnavailableError),
        (Refuse(503, -1000, "unknown"), AmbiguousError),
        (Refuse(504, -1007, "Timeout waiting for response from backend server."), AmbiguousError),
        (DROP, AmbiguousError),
        ({"nonsense": True}, AmbiguousError),
    ],
)
async def test_what_became_of_an_order_is_told_by_the_primitive(trading, answer, kind):
    async with trading() as (venue, adapter):
        venue.answers[f"POST {ORDER}"] = answer
        with pytest.raises(kind) as caught:
            await adapter._send_order(order())
        assert type(caught.value) is kind
        assert caught.value.symbol == "BTCUSDT"
        assert len(venue.asked(f"POST {ORDER}")) == 1, "an order must never be sent twice"


async def test_an_answer_that_does_not_come_is_waited_for_no_longer_than_it_may_still_come(trading):
    async def never(_):
        await asyncio.sleep(30)

    async with trading() as (venue, adapter):
        lost = order()
        venue.answers[f"POST {ORDER}"] = never
        venue.answers[f"GET {ORDER}"] = lambda _: order_row(
            orderId=55, clientOrderId=lost.client_order_id, time=venue.now_ms()
        )
        started = asyncio.get_running_loop().time()
        assert await adapter.place_order(lost) == "55"
        took = asyncio.get_running_loop().time() - started
        assert took < adapter.validity + adapter.engine_timeout + 1.5


async def test_a_lost_answer_is_resolved_by_looking_the_order_up(trading):
    async with trading() as (venue, adapter):
        lost = order()
        venue.answers[f"POST {ORDER}"] = DROP
        venue.answers[f"GET {ORDER}"] = lambda _: order_row(
            orderId=55, clientOrderId=lost.client_order_id, time=venue.now_ms()
        )
        assert await adapter.place_order(lost) == "55"
        assert venue.asked(f"GET {ORDER}")[0]["origClientOrderId"] == lost.client_order_id
        assert len(venue.asked(f"POST {ORDER}")) == 1


async def test_an_order_that_never_arrived_is_rejected_once_it_cannot_arrive_any_more(trading):
    async with trading() as (venue, adapter):
        venue.answers[f"POST {ORDER}"] = DROP
        lost = order()
        started = asyncio.get_running_loop().time()
        with pytest.raises(RejectedError):
            await adapter.place_order(lost)
        took = asyncio.get_running_loop().time() - started
        assert adapter.validity < took < adapter.validity + adapter.engine_timeout + 1.5
        assert adapter.orders.get(lost.client_order_id).status is OrderStatus.Rejected


async def test_a_duplicate_is_told_apart_from_other_refusals(trading):
    async with trading() as (venue, adapter):
        venue.answers[f"POST {ORDER}"] = Refuse(400, -2010, "Duplicate order sent.")
        with pytest.raises(DuplicateOrderError):
            await adapter._send_order(order())


async def test_a_clock_that_is_off_is_measured_and_the_order_sent_once_more(trading):
    async with trading() as (venue, adapter):
        venue.drift_ms = 5_000
        await adapter.place_order(order())
        first, second = venue.asked(f"POST {ORDER}")
        assert first["newClientOrderId"] == second["newClientOrderId"]
        assert 4_000 < int(second["timestamp"]) - int(first["timestamp"]) < 7_000


async def test_a_refused_timestamp_is_a_clock_error(trading):
    async with trading() as (venue, adapter):
        venue.drift_ms = -60_000
        with pytest.raises(ClockError, match="NTP"):
            await adapter._send_order(order())


async def test_nothing_at_all_is_sent_during_a_ban(trading):
    async with trading() as (venue, adapter):
        order_id = await adapter.place_order(order())
        venue.answers[f"POST {ORDER}"] = Refuse(429, -1003, "Too much request weight used.", {"Retry-After": "1"})
        with pytest.raises(RateLimitedError) as caught:
            await adapter.place_order(order())
        assert caught.value.retry_after == 1
        sent = len(venue.requests)
        with pytest.raises(RateLimitedError):
            await adapter._send_order(order())
        with pytest.raises(RateLimitedError):
            await adapter._fetch_balances()
        assert len(venue.requests) == sent
        venue.answers[f"POST {ORDER}"] = venue.placed
        await asyncio.sleep(1.1)
        await adapter.cancel_order(order_id)


async def test_a_jump_of_the_venues_clock_does_not_end_a_ban(trading):
    async with trading() as (venue, adapter):
        venue.answers[f"POST {ORDER}"] = Refuse(418, -1003, "banned", {"Retry-After": "2"})
        with pytest.raises(RateLimitedError):
            await adapter._send_order(order())
        adapter._rest._venue_time = lambda: adapter.clock.now() + 60_000_000_000
        sent = len(venue.requests)
        with pytest.raises(RateLimitedError):
            await adapter._send_order(order())
        assert len(venue.requests) == sent


async def test_too_many_orders_do_not_stop_cancels_at_the_wire(trading):
    async with trading() as (venue, adapter):
        state = OrderState(order(), venue_order_id="28")
        venue.answers[f"POST {ORDER}"] = Refuse(429, -1015, "Too many new orders; current limit is 50 per 10 SECOND.")
        with pytest.raises(RateLimitedError):
            await adapter._send_order(order())
        await adapter._send_cancel(state)
        assert venue.asked(f"DELETE {ORDER}")


async def test_too_many_orders_hold_back_orders_only(trading):
    async with trading() as (venue, adapter):
        order_id = await adapter.place_order(order())
        venue.answers[f"POST {ORDER}"] = Refuse(429, -1015, "Too many new orders; current limit is 50 per 10 SECOND.")
        with pytest.raises(RateLimitedError):
            await adapter.place_order(order())
        with pytest.raises(RateLimitedError, match="budget is spent"):
            await adapter.place_order(order())
        assert len(venue.asked(f"POST {ORDER}")) == 2
        await adapter.cancel_order(order_id)
        await adapter.balances()


async def test_the_used_weight_of_every_answer_reaches_the_budget(trading):
    async with trading() as (venue, adapter):
        seen = []
        adapter.budget.observe = lambda *what: seen.append(what)
        venue.used = {"X-MBX-USED-WEIGHT-1M": "123", "X-MBX-ORDER-COUNT-10S": "4", "X-MBX-ORDER-COUNT-1D": "99"}
        await adapter.place_order(order())
        assert {("weight", 60.0, 123), ("orders", 10.0, 4), ("orders", 86_400.0, 99)} <= set(seen)


async def test_orders_are_looked_up_exactly(trading):
    async with trading() as (venue, adapter):
        placed = order()
        order_id = await adapter.place_order(placed)
        venue.answers[f"GET {ORDER}"] = order_row(
            orderId=int(order_id), clientOrderId=placed.client_order_id, status="PARTIALLY_FILLED", executedQty="0.001"
        )
        found = await adapter.fetch_order(placed.client_order_id)
        assert (found.status, found.filled_quantity) == (OrderStatus.PartiallyFilled, Decimal("0.001"))
        venue.answers[f"GET {ORDER}"] = Refuse(400, -2013, "Order does not exist.")
        with pytest.raises(NotFoundError):
            await adapter.fetch_order(placed.client_order_id)
        venue.answers[f"GET {OPEN}"] = [order_row(), order_row(orderId=29, clientOrderId="web_else where")]
        assert [state.order.client_order_id for state in await adapter.open_orders()] == ["b15", "web_else where"]


async def test_fills_are_looked_up_page_by_page_for_the_symbols_there_were_orders_of(trading):
    async with trading() as (venue, adapter):
        assert await adapter.fills() == []
        await adapter.place_order(order())
        first = [trade_row(number) for number in range(1_000)]
        venue.answers["GET /api/v3/myTrades"] = deque([first, [trade_row(1_000), trade_row(1_001)]])
        fills = await adapter.fills()
        assert len(fills) == 1_002
        assert {fill.fill_id for fill in fills} == {f"BTCUSDT:{number}" for number in range(1_002)}
        assert [sent["fromId"] for sent in venue.asked("GET /api/v3/myTrades")[-2:]] == ["0", "1000"]


async def test_fills_since_a_time_start_there(trading):
    async with trading() as (venue, adapter):
        adapter.track(OrderState(order(), OrderStatus.Open, "28"))
        venue.answers["GET /api/v3/myTrades"] = [trade_row(1), trade_row(2)]
        fills = await adapter.fills(since=1499827319561_000_000)
        assert venue.asked("GET /api/v3/myTrades")[-1]["startTime"] == "1499827319561"
        assert [fill.fill_id for fill in fills] == ["BTCUSDT:2"]


async def test_balances_keep_every_digit(trading):
    async with trading() as (_, adapter):
        balances = await adapter.balances()
        assert (balances["BTC"].free, balances["BTC"].locked) == (Decimal("1.00000001"), Decimal("0.5"))
        with pytest.raises(UnsupportedError):
            await adapter.positions()


# Connecting.


async def test_a_wrong_key_is_an_auth_error_that_says_what_to_check(trading):
    with pytest.raises(AuthError, match="check the key, the addresses it is restricted to"):
        async with trading(api_key="ANOTHER_KEY"):
            pass
    with pytest.raises(AuthError, match="the API secret does not belong to this API key"):
        async with trading(api_secret="ANOTHER_SECRET"):
            pass


async def test_without_a_network_the_error_says_what_to_check(trading):
    with pytest.raises(UnavailableError, match=r"cannot connect.*check the network, base_urls and testnet"):
        async with trading(base_urls={"rest": "http://127.0.0.1:9", "ws": "ws://127.0.0.1:9"}):
            pass


async def test_a_key_that_may_withdraw_is_refused_in_production(trading):
    def withdrawing(venue):
        venue.answers["GET /sapi/v1/account/apiRestrictions"]["enableWithdrawals"] = True

    with pytest.raises(AuthError, match="withdraw"):
        async with trading(withdrawing, testnet=False):
            pass
    async with trading(withdrawing, testnet=False, allow_withdrawals=True):
        pass


async def test_a_key_that_may_not_trade_is_refused(trading):
    def reading(venue):
        venue.answers["GET /sapi/v1/account/apiRestrictions"]["enableSpotAndMarginTrading"] = False

    with pytest.raises(AuthError, match="trade"):
        async with trading(reading, testnet=False):
            pass


async def test_the_test_network_knows_no_restrictions_of_keys(trading):
    async with trading() as (venue, _):
        assert not venue.asked("GET /sapi/v1/account/apiRestrictions")


async def test_the_environment_may_name_loopback_only(monkeypatch):
    monkeypatch.setenv("AXON_BINANCE_REST_URL", "https://api.binance.example")
    with pytest.raises(ConfigError, match="not on loopback"):
        BinanceAdapter(ExchangeConfig("key", "secret"))


def test_production_and_the_test_network_have_their_own_addresses():
    from axon_exchange_binance.addresses import Addresses

    production = Addresses.of(ExchangeConfig("key", "secret", testnet=False))
    assert production.rest == "https://api.binance.com"
    assert production.requests == "wss://ws-api.binance.com:443/ws-api/v3"
    assert production.streams == "wss://stream.binance.com:9443/stream"
    testnet = Addresses.of(ExchangeConfig("key", "secret"))
    assert testnet.rest == "https://testnet.binance.vision"
    assert testnet.requests == "wss://ws-api.testnet.binance.vision/ws-api/v3"
    local = Addresses.of(ExchangeConfig("key", "secret", base_urls={"ws": "ws://127.0.0.1:8"}))
    assert (local.requests, local.streams) == ("ws://127.0.0.1:8/ws-api/v3", "ws://127.0.0.1:8/stream")


async def test_what_is_not_written_here_is_ccxts(trading):
    pytest.importorskip("ccxt")
    async with trading() as (venue, adapter):
        venue.answers["GET /api/v3/ticker/24hr"] = {"symbol": "BTCUSDT", "lastPrice": "50000.00", "closeTime": 1}
        ticker = await adapter.client.fetch_ticker("BTC/USDT")
        assert ticker["last"] == "50000.00"  # text, so that nothing is rounded
        account = await adapter.client.private_get_account()
        assert account["canTrade"] is True
        venue.answers["GET /api/v3/account"] = Refuse(400, -1131, "recvWindow must be less than 60000.")
        with pytest.raises(RejectedError) as caught:
            await adapter._asked(None, adapter.client.private_get_account)
        assert caught.value.code == "-1131"
