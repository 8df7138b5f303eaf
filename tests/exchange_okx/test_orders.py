"""Orders as they leave for OKX, and what its answers come to."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import datetime
from decimal import Decimal

import pytest
from aiohttp import web
from scripted_okx import DROP, failed, ok

from axon_quant.errors import (
    AmbiguousError,
    AuthError,
    ClockError,
    DuplicateOrderError,
    NotFoundError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
)
from axon_quant.exchange import MarginMode
from axon_quant.orders import Order, OrderState, OrderStatus, OrderType, Side, TimeInForce

ORDER = "POST /api/v5/trade/order"
ALGO = "POST /api/v5/trade/order-algo"


def limit(**changes: object) -> Order:
    settings = {"symbol": "BTC-USDT", "side": Side.Buy, "price": "50000.1", "quantity": "0.001"}
    return Order(**{**settings, **changes})


def accepted(order: Order, order_id: str = "1") -> OrderState:
    return OrderState(order, OrderStatus.Open, order_id)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"ordType": "limit", "px": "50000.1", "sz": "0.001"}),
        ({"side": Side.Sell, "quantity": "1E+2"}, {"side": "sell", "sz": "100"}),
        ({"quantity": 0.00000123}, {"sz": "0.00000123"}),
        ({"post_only": True}, {"ordType": "post_only"}),
        ({"time_in_force": TimeInForce.IOC}, {"ordType": "ioc"}),
        ({"time_in_force": TimeInForce.FOK}, {"ordType": "fok"}),
        ({"order_type": OrderType.Market, "price": None}, {"ordType": "market", "tgtCcy": "base_ccy", "px": None}),
    ],
    ids=["limit", "exponent", "tiny", "post-only", "ioc", "fok", "market"],
)
async def test_a_spot_order_leaves_as_okx_documents_it(trading, changes, expected):
    order = limit(**changes)
    async with trading() as (venue, adapter):
        order_id = await adapter._send_order(order)
    (seen,) = venue.asked(ORDER)
    body = {"tdMode": "cash", "instId": "BTC-USDT", "side": "buy", "clOrdId": order.client_order_id, **expected}
    assert {name: seen.body.get(name) for name in body} == body
    assert "reduceOnly" not in seen.body
    assert order_id == str(venue._ids)


async def test_an_order_names_its_validity_window_and_demo_trading_its_header(trading):
    async with trading() as (venue, adapter):
        await adapter._send_order(limit())
        (seen,) = venue.asked(ORDER)
    assert 1_000 < int(seen.headers["expTime"]) - time.time() * 1000 <= 2_000
    assert seen.headers["x-simulated-trading"] == "1"


async def test_live_trading_sends_no_header_of_the_demo(trading):
    async with trading(testnet=False) as (venue, adapter):
        await adapter._send_order(limit())
        assert not [seen for seen in venue.requests if "x-simulated-trading" in seen.headers]


@pytest.mark.parametrize(("price", "placed_at"), [(None, "-1"), ("48000", "48000")], ids=["stop", "stop-limit"])
async def test_a_stop_is_a_conditional_order_whose_timestamp_ages_within_its_validity(trading, price, placed_at):
    order_type = OrderType.Stop if price is None else OrderType.StopLimit
    order = limit(side=Side.Sell, order_type=order_type, price=price, stop_price="49000")
    async with trading() as (venue, adapter):
        order_id = await adapter._send_order(order)
        (seen,) = venue.asked(ALGO)
    assert order_id == str(venue._ids)
    assert seen.body == {
        "instId": "BTC-USDT",
        "tdMode": "cash",
        "algoClOrdId": order.client_order_id,
        "side": "sell",
        "ordType": "conditional",
        "sz": "0.001",
        "slTriggerPx": "49000",
        "slTriggerPxType": "last",
        "slOrdPx": placed_at,
        "tgtCcy": "base_ccy",
    }
    age = time.time() - datetime.fromisoformat(seen.headers["OK-ACCESS-TIMESTAMP"]).timestamp()
    assert 27.9 < age < 29, "OKX refuses timestamps 30 s old, so this request dies two seconds from when it was made"


@pytest.mark.parametrize(
    "changes",
    [
        {"order_type": OrderType.Stop, "price": None, "stop_price": "49000", "time_in_force": TimeInForce.IOC},
        {"order_type": OrderType.StopLimit, "stop_price": "49000", "post_only": True},
        {"order_type": OrderType.Market, "price": None, "time_in_force": TimeInForce.FOK},
        {"reduce_only": True},
    ],
)
async def test_what_okx_does_not_have_is_refused_before_it_is_sent(trading, changes):
    async with trading() as (venue, adapter):
        with pytest.raises(RejectedError, match="OKX's"):
            await adapter._send_order(limit(**changes))
        assert not venue.asked(ORDER)
        assert not venue.asked(ALGO)


async def test_a_swap_order_carries_its_margin_mode_and_counts_contracts(trading):
    async with trading() as (venue, adapter):
        instrument = (await adapter.instruments())["BTC-USDT-SWAP"]
        assert (instrument.contract_size, instrument.lot_size) == (Decimal("0.01"), 1)
        order = limit(symbol="BTC-USDT-SWAP", quantity=3, reduce_only=True)
        await adapter._send_order(order)
        await adapter._send_margin_mode("BTC-USDT-SWAP", MarginMode.Isolated)
        await adapter._send_order(limit(symbol="BTC-USDT-SWAP", quantity=3, order_type=OrderType.Market, price=None))
        first, second = (seen.body for seen in venue.asked(ORDER))
    assert (first["tdMode"], first["sz"], first["reduceOnly"]) == ("cross", "3", "true")
    assert second["tdMode"] == "isolated"
    assert "tgtCcy" not in second


async def test_swaps_need_net_positions(trading):
    def prepare(venue):
        venue.answers["GET /api/v5/account/config"] = ok({"perm": "trade", "posMode": "long_short_mode"})

    async with trading(prepare) as (venue, adapter):
        await adapter._fetch_permissions()
        with pytest.raises(RejectedError, match="net mode"):
            await adapter._send_order(limit(symbol="BTC-USDT-SWAP", quantity=3))
        assert not venue.asked(ORDER)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (failed("51008", "Insufficient balance"), RejectedError),
        (failed("51121"), RejectedError),
        (failed("51016"), DuplicateOrderError),
        (failed("50037"), RejectedError),
        (failed("59999"), RejectedError),
        (failed("51149"), AmbiguousError),
        ({"code": "50004", "msg": "timeout", "data": []}, AmbiguousError),
        ({"code": "50001", "msg": "unavailable", "data": []}, AmbiguousError),
        ({"code": "50026", "msg": "system error", "data": []}, AmbiguousError),
        ({"code": "50013", "msg": "busy", "data": []}, AmbiguousError),
        ({"code": "50011", "msg": "too many", "data": []}, RateLimitedError),
        ({"code": "50061", "msg": "too many", "data": []}, RateLimitedError),
        ({"code": "50102", "msg": "expired", "data": []}, ClockError),
        ({"code": "50036", "msg": "expTime", "data": []}, ClockError),
        ({"code": "50105", "msg": "passphrase", "data": []}, AuthError),
        ({"code": "50101", "msg": "environment", "data": []}, AuthError),
        ({"code": "50113", "msg": "sign", "data": []}, AuthError),
        ({"code": "0", "msg": "", "data": []}, AmbiguousError),
        (DROP, AmbiguousError),
        (lambda _: web.Response(status=502, text="<html>"), AmbiguousError),
        (lambda _: web.Response(status=200, text="<html>"), AmbiguousError),
        (lambda _: web.Response(status=403, text="<html>"), UnavailableError),
    ],
)
async def test_every_refusal_is_the_error_that_says_whether_the_order_may_exist(trading, answer, kind):
    async with trading() as (venue, adapter):
        venue.answers[ORDER] = answer
        with pytest.raises(kind) as caught:
            await adapter._send_order(limit())
        assert type(caught.value) is kind
        assert len(venue.asked(ORDER)) == 1, "an order is never sent again by itself"
        assert (caught.value.venue, caught.value.symbol) == ("okx", "BTC-USDT")
        if isinstance(answer, dict) and answer["code"] != "0":
            assert caught.value.code == (answer["data"][0]["sCode"] if answer["data"] else answer["code"])
            assert caught.value.text


async def test_the_venues_retry_after_is_kept(trading):
    async with trading() as (venue, adapter):
        venue.answers[ORDER] = lambda _: web.json_response(
            {"code": "50011", "msg": "Too Many Requests", "data": []}, status=429, headers={"Retry-After": "7"}
        )
        with pytest.raises(RateLimitedError) as caught:
            await adapter._send_order(limit())
        assert caught.value.retry_after == 7


async def test_a_jump_of_the_venues_clock_does_not_end_a_ban(trading):
    async with trading() as (venue, adapter):
        venue.answers[ORDER] = lambda _: web.json_response(
            {"code": "50011", "msg": "Too Many Requests", "data": []}, status=429, headers={"Retry-After": "7"}
        )
        with pytest.raises(RateLimitedError):
            await adapter._send_order(limit())
        sent = len(venue.requests)
        adapter._rest._now = lambda: adapter.clock.now() + 60_000_000_000
        for ask in (lambda: adapter._send_order(limit()), adapter._fetch_balances):
            with pytest.raises(RateLimitedError):
                await ask()
        assert len(venue.requests) == sent


async def test_an_order_that_never_left_is_not_ambiguous(trading):
    async with trading() as (venue, adapter):
        await venue._runner.cleanup()
        with suppress(AmbiguousError, UnavailableError):
            await adapter._send_order(limit())  # on a connection that was kept, it may have left
        with pytest.raises(UnavailableError, match="cannot connect"):
            await adapter._send_order(limit())


@pytest.mark.parametrize("code", ["51400", "51401", "51402"])
async def test_a_cancel_of_nothing_says_so(trading, code):
    async with trading() as (venue, adapter):
        venue.answers["POST /api/v5/trade/cancel-order"] = failed(code)
        with pytest.raises(NotFoundError):
            await adapter._send_cancel(accepted(limit()))


async def test_a_cancel_names_the_order_by_okxs_id_or_else_by_ours(trading):
    order = limit()
    async with trading() as (venue, adapter):
        venue.answers["POST /api/v5/trade/cancel-order"] = [ok({"sCode": "0"}), failed("51410")]
        await adapter._send_cancel(accepted(order, "77"))
        await adapter._send_cancel(accepted(order, ""))  # one that is being cancelled is as good as cancelled
        bodies = [seen.body for seen in venue.asked("POST /api/v5/trade/cancel-order")]
    assert bodies == [
        {"instId": "BTC-USDT", "ordId": "77"},
        {"instId": "BTC-USDT", "clOrdId": order.client_order_id},
    ]


async def test_a_stop_that_triggered_before_its_cancel_is_cancelled_by_the_order_it_placed(trading):
    order = limit(order_type=OrderType.StopLimit, side=Side.Sell, stop_price="49000")
    row = {
        "instId": "BTC-USDT",
        "algoId": "5",
        "algoClOrdId": order.client_order_id,
        "side": "sell",
        "ordType": "conditional",
        "state": "effective",
        "ordIdList": ["99"],
    }
    async with trading() as (venue, adapter):
        venue.answers["POST /api/v5/trade/cancel-algos"] = failed("51400")
        venue.answers["GET /api/v5/trade/order-algo"] = ok(row)
        venue.answers["POST /api/v5/trade/cancel-order"] = ok({"sCode": "0"})
        await adapter._send_cancel(accepted(order, "5"))
        (seen,) = venue.asked("POST /api/v5/trade/cancel-order")
        assert seen.body == {"instId": "BTC-USDT", "ordId": "99"}
        await adapter._send_cancel(accepted(order, "5"))
        assert len(venue.asked("POST /api/v5/trade/cancel-algos")) == 1, "the second time it is known"


async def test_cancel_all_takes_everything_in_batches_and_looks_again(trading):
    open_orders = [
        {
            "instId": "BTC-USDT",
            "ordId": str(n),
            "side": "buy",
            "ordType": "limit",
            "sz": "1",
            "px": "1",
            "state": "live",
        }
        for n in range(130)
    ]
    stop = {
        "instId": "BTC-USDT",
        "algoId": "7",
        "side": "sell",
        "ordType": "conditional",
        "state": "live",
        "sz": "1",
        "slTriggerPx": "1",
    }
    stops = [stop]

    def pending(seen):
        after = seen.query.get("after")
        start = 0 if after is None else next(i for i, row in enumerate(open_orders) if row["ordId"] == after) + 1
        return ok(*open_orders[start : start + 100])

    def cancel(seen):
        gone = {row["ordId"] for row in seen.body}
        open_orders[:] = [row for row in open_orders if row["ordId"] not in gone]
        return DROP if len(open_orders) == 70 else ok(*({"sCode": "0"} for _ in seen.body))

    def cancel_stops(seen):
        stops.clear()
        return ok({"sCode": "0"})

    async with trading() as (venue, adapter):
        venue.answers["GET /api/v5/trade/orders-pending"] = pending
        venue.answers["GET /api/v5/trade/orders-algo-pending"] = lambda _: ok(*stops)
        venue.answers["POST /api/v5/trade/cancel-batch-orders"] = cancel
        venue.answers["POST /api/v5/trade/cancel-algos"] = cancel_stops
        await adapter._send_cancel_all("BTC-USDT")
        assert not open_orders
        assert not stops
        batches = [len(seen.body) for seen in venue.asked("POST /api/v5/trade/cancel-batch-orders")]
        assert max(batches) == 20
        assert all(seen.query["instId"] == "BTC-USDT" for seen in venue.asked("GET /api/v5/trade/orders-pending"))


def amended(**changes: object) -> dict:
    return {
        "instId": "BTC-USDT",
        "ordId": "8",
        "side": "buy",
        "ordType": "limit",
        "sz": "0.002",
        "px": "49999",
        "state": "live",
        **changes,
    }


async def test_an_amendment_returns_once_the_order_stands_as_asked(trading):
    async with trading() as (venue, adapter):
        venue.answers["POST /api/v5/trade/amend-order"] = ok({"ordId": "8", "sCode": "0"})
        venue.answers["GET /api/v5/trade/order"] = [ok(amended()), ok(amended(px="50000"))]
        adapter.engine_timeout = 0.05
        await adapter._send_amend(accepted(limit(), "8"), Decimal("49999"), Decimal("0.002"))
        (seen,) = venue.asked("POST /api/v5/trade/amend-order")
        assert {name: seen.body[name] for name in ("ordId", "newPx", "newSz")} == {
            "ordId": "8",
            "newPx": "49999",
            "newSz": "0.002",
        }
        assert "expTime" in seen.headers
        with pytest.raises(RejectedError, match="stands at 50000"):
            await adapter._send_amend(accepted(limit(), "8"), Decimal("49999"), None)


async def test_a_stop_that_waits_is_amended_by_its_own_endpoint(trading):
    order = limit(order_type=OrderType.StopLimit, side=Side.Sell, stop_price="49000")
    async with trading() as (venue, adapter):
        venue.answers["POST /api/v5/trade/amend-algos"] = ok({"algoId": "8", "sCode": "0"})
        await adapter._send_amend(accepted(order, "8"), Decimal("48500"), None)
        (seen,) = venue.asked("POST /api/v5/trade/amend-algos")
        assert seen.body == {"instId": "BTC-USDT", "algoId": "8", "newSlOrdPx": "48500"}


async def test_the_dead_man_switch_takes_okxs_range(trading):
    async with trading() as (venue, adapter):
        venue.answers["POST /api/v5/trade/cancel-all-after"] = ok({"triggerTime": "1"})
        await adapter._send_cancel_after(30)
        await adapter._send_cancel_after(0)
        for seconds in (5, 121, float("nan")):
            with pytest.raises(RejectedError, match="10 to 120"):
                await adapter._send_cancel_after(seconds)
        bodies = [seen.body for seen in venue.asked("POST /api/v5/trade/cancel-all-after")]
        assert bodies == [{"timeOut": "30"}, {"timeOut": "0"}]


async def test_leverage_is_set_for_the_margin_mode_in_use(trading):
    async with trading() as (venue, adapter):
        venue.answers["POST /api/v5/account/set-leverage"] = ok({"lever": "5", "mgnMode": "isolated"})
        await adapter._send_margin_mode("BTC-USDT-SWAP", MarginMode.Isolated)
        await adapter._send_leverage("BTC-USDT-SWAP", 5)
        (seen,) = venue.asked("POST /api/v5/account/set-leverage")
        assert seen.body == {"instId": "BTC-USDT-SWAP", "lever": "5", "mgnMode": "isolated"}
