"""What OKX knows, as axon's types."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest
from msgspec.json import encode
from scripted_okx import NOW, ScriptedOkx, configured, fill_row, ok, order_row, stop_row

from axon_exchange_okx import OkxAdapter, reports
from axon_exchange_okx.payloads import ORDERS
from axon_quant.errors import AuthError, ClockError, UnavailableError
from axon_quant.exchange import Balance, FundingRate, KeyPermissions, Position
from axon_quant.market import InstrumentKind
from axon_quant.orders import Fill, Liquidity, Order, OrderState, OrderStatus, OrderType, Side, TimeInForce

MS = 1_000_000


def limit(client_order_id: str = "b15") -> Order:
    return Order("BTC-USDT", Side.Buy, price="50000.1", quantity="0.002", client_order_id=client_order_id)


def stop() -> Order:
    return Order("BTC-USDT", Side.Sell, OrderType.Stop, None, "0.002", stop_price="49000", client_order_id="s1")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, OrderStatus.Open),
        ({"state": "partially_filled", "accFillSz": "0.001"}, OrderStatus.PartiallyFilled),
        ({"state": "filled", "accFillSz": "0.002"}, OrderStatus.Filled),
        ({"state": "canceled", "cancelSource": "1"}, OrderStatus.Cancelled),
        ({"state": "canceled", "cancelSource": "20"}, OrderStatus.Cancelled),
        ({"state": "canceled", "ordType": "ioc", "cancelSource": "14"}, OrderStatus.Expired),
        ({"state": "canceled", "ordType": "fok"}, OrderStatus.Expired),
        ({"state": "canceled", "ordType": "post_only", "cancelSource": "31"}, OrderStatus.Rejected),
        ({"state": "canceled", "ordType": "post_only", "cancelSource": "1"}, OrderStatus.Cancelled),
        ({"state": "something_new"}, OrderStatus.Unknown),
    ],
)
async def test_an_order_is_looked_up_by_our_name_for_it(trading, changes, status):
    async with trading() as (venue, adapter):
        venue.answers["GET /api/v5/trade/order"] = ok(order_row(**changes))
        found = await adapter._fetch_order(OrderState(limit()))
        (seen,) = venue.asked("GET /api/v5/trade/order")
    assert seen.query == {"instId": "BTC-USDT", "clOrdId": "b15"}
    assert found.status is status
    assert found.venue_order_id == "312269865356374016"
    assert found.filled_quantity == Decimal(changes.get("accFillSz", "0"))
    assert found.order == limit()


async def test_an_order_that_okx_does_not_know_is_none(trading):
    async with trading() as (_, adapter):
        assert await adapter._fetch_order(OrderState(limit())) is None
        assert await adapter._fetch_order(OrderState(stop())) is None


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({}, OrderStatus.Open, ""),
        ({"state": "canceled"}, OrderStatus.Cancelled, ""),
        ({"state": "order_failed", "failCode": "51008"}, OrderStatus.Rejected, "51008"),
    ],
)
async def test_a_stop_that_placed_nothing_is_looked_up_among_the_stops(trading, changes, status, reason):
    async with trading() as (venue, adapter):
        venue.answers["GET /api/v5/trade/order-algo"] = ok(stop_row(**changes))
        found = await adapter._fetch_order(OrderState(stop()))
        (seen,) = venue.asked("GET /api/v5/trade/order-algo")
    assert seen.query == {"algoClOrdId": "s1"}
    assert (found.status, found.venue_order_id, reason in found.reason) == (status, "555", True)


async def test_a_stop_that_triggered_is_the_order_it_placed_under_its_own_name(trading):
    placed = order_row(ordId="99", clOrdId="", algoClOrdId="s1", algoId="555", ordType="market", px="", side="sell")
    async with trading() as (venue, adapter):
        venue.answers["GET /api/v5/trade/order-algo"] = ok(stop_row(state="effective", ordIdList=["99"]))
        venue.answers["GET /api/v5/trade/order"] = ok({**placed, "state": "filled", "accFillSz": "0.002"})
        found = await adapter._fetch_order(OrderState(stop()))
        assert (found.status, found.venue_order_id, found.filled_quantity) == (
            OrderStatus.Filled,
            "555",
            Decimal("0.002"),
        )
        venue.answers["GET /api/v5/trade/fills"] = ok(fill_row(1, ordId="99", clOrdId="", side="sell"))
        since = time.time_ns() - 1_000 * MS
        (fill,) = await adapter._fetch_fills(since)
        assert fill.client_order_id == "s1"


async def test_a_fill_of_a_stop_that_triggered_unseen_is_given_its_name(trading):
    placed = order_row(ordId="99", clOrdId="", algoClOrdId="s1", algoId="555", ordType="market", px="", side="sell")
    async with trading() as (venue, adapter):
        adapter.orders.add(stop(), 0)
        venue.answers["GET /api/v5/trade/order"] = ok(placed)
        rows = [fill_row(n, ordId="99", clOrdId="", side="sell") for n in (2, 1)]
        venue.answers["GET /api/v5/trade/fills"] = ok(*rows)
        fills = await adapter._fetch_fills(time.time_ns())
        assert [fill.client_order_id for fill in fills] == ["s1", "s1"]
        assert len(venue.asked("GET /api/v5/trade/order")) == 1


async def test_open_orders_come_from_both_lists_page_by_page(trading):
    rows = [order_row(ordId=str(n), clOrdId=f"c{n}") for n in range(150)]
    foreign = order_row(ordId="7", clOrdId="", ordType="post_only")
    option = order_row(instId="BTC-USD-231229-40000-C", px="")

    def pending(seen):
        after = seen.query.get("after")
        return ok(*rows[:100]) if after is None else ok(*rows[int(after) + 1 :], foreign, option)

    async with trading() as (venue, adapter):
        venue.answers["GET /api/v5/trade/orders-pending"] = pending
        venue.answers["GET /api/v5/trade/orders-algo-pending"] = ok(
            stop_row(), stop_row(algoId="556", algoClOrdId="", slOrdPx="48500"), stop_row(slTriggerPx="")
        )
        found = await adapter._fetch_open_orders(None)
    assert len(found) == 153
    assert found[0].order == Order("BTC-USDT", Side.Buy, price="50000.1", quantity="0.002", client_order_id="c0")
    assert found[0].created_at == NOW * MS
    assert found[150].order.client_order_id == "7", "a foreign order without a name goes by OKX's id"
    assert found[150].order.post_only
    assert found[151].order == stop()
    assert found[152].order.order_type is OrderType.StopLimit
    assert (found[152].order.price, found[152].order.client_order_id) == (Decimal(48500), "556")


async def test_fills_are_exact_and_named_uniquely(trading):
    async with trading() as (venue, adapter):
        venue.answers["GET /api/v5/trade/fills"] = ok(
            fill_row(2, clOrdId="", execType="T", fee="0.0000001"), fill_row(1), fill_row(0, tradeId="")
        )
        since = time.time_ns() - 3_600_000 * MS
        foreign, ours = await adapter._fetch_fills(since)
        (seen,) = venue.asked("GET /api/v5/trade/fills")
    assert seen.query == {"begin": str(since // MS), "limit": "100"}
    assert ours == Fill(
        "b15",
        "BTC-USDT",
        Side.Buy,
        Decimal("50000.1"),
        Decimal("0.001"),
        Decimal("0.000001"),
        "BTC",
        Liquidity.Maker,
        "BTC-USDT:1",
        (NOW + 1) * MS,
    )
    assert foreign.client_order_id == "312269865356374016"
    assert (foreign.fee, foreign.liquidity) == (Decimal("-0.0000001"), Liquidity.Taker)


async def test_fills_of_older_days_come_from_the_history_of_each_kind(trading):
    rows = [fill_row(n) for n in range(250, 0, -1)]

    def history(seen):
        if seen.query["instType"] == "SWAP":
            return ok()
        after = seen.query.get("after")
        older = [row for row in rows if after is None or int(row["billId"]) < int(after)]
        return ok(*older[:100])

    async with trading() as (venue, adapter):
        venue.answers["GET /api/v5/trade/fills-history"] = history
        fills = await adapter._fetch_fills(0)
        assert len({fill.fill_id for fill in fills}) == 250
        assert not venue.asked("GET /api/v5/trade/fills")


async def test_balances_positions_and_funding(trading):
    usdt = {"ccy": "USDT", "availBal": "900.5", "frozenBal": "99.5", "cashBal": "1000"}
    async with trading() as (venue, adapter):
        venue.answers["GET /api/v5/account/balance"] = ok({"uTime": "1", "details": [usdt]})
        venue.answers["GET /api/v5/account/positions"] = ok(
            {"instId": "BTC-USDT-SWAP", "pos": "-3", "posSide": "net"},
            {"instId": "BTC-USD-SWAP", "pos": "4", "posSide": "net"},
        )
        venue.answers["GET /api/v5/public/funding-rate"] = ok(
            {"instId": "BTC-USDT-SWAP", "fundingRate": "-0.00015", "fundingTime": str(NOW)}
        )
        assert await adapter._fetch_balances() == {"USDT": Balance("USDT", Decimal("900.5"), Decimal("99.5"))}
        assert await adapter._fetch_positions() == [
            Position("BTC-USDT-SWAP", Decimal("-0.03")),
        ]
        venue.answers["GET /api/v5/account/positions"] = ok({"instId": "BTC-USDT-SWAP", "pos": "4", "posSide": "short"})
        assert await adapter._fetch_positions() == [Position("BTC-USDT-SWAP", Decimal("-0.04"))]
        rate = await adapter._fetch_funding_rate("BTC-USDT-SWAP")
        assert rate == FundingRate("BTC-USDT-SWAP", Decimal("-0.00015"), NOW * MS)


async def test_permissions_and_time(trading):
    async with trading() as (venue, adapter):
        assert await adapter._fetch_permissions() == KeyPermissions(trade=True, withdraw=False)
        venue.answers["GET /api/v5/account/config"] = ok({"perm": "read_only,withdraw", "posMode": "net_mode"})
        assert await adapter._fetch_permissions() == KeyPermissions(trade=False, withdraw=True)
        venue.drift = 100
        assert 99 < (await adapter._fetch_time() - time.time_ns()) / 1e9 < 101


async def test_instruments_of_one_kind_only(trading):
    async with ScriptedOkx() as venue:
        adapter = OkxAdapter(configured(venue), kinds=[InstrumentKind.Spot])
        await adapter.connect()
        assert list(await adapter.instruments()) == ["BTC-USDT"]
        await adapter.close()


@pytest.mark.parametrize(
    ("changes", "code", "hint"),
    [
        ({"api_key": "WRONG"}, "50111", "check api_key"),
        ({"passphrase": "WRONG"}, "50105", "chosen when the API key was made"),
        ({"api_secret": "WRONG"}, "50113", "check api_secret"),
    ],
)
async def test_wrong_credentials_say_which_and_never_what(changes, code, hint):
    async with ScriptedOkx() as venue:
        adapter = OkxAdapter(configured(venue, **changes))
        await adapter._connect()
        with pytest.raises(AuthError, match=hint) as caught:
            await adapter._fetch_permissions()
        await adapter.close()
    assert caught.value.code == code
    assert "WRONG" not in str(caught.value)


async def test_a_configuration_without_a_passphrase_is_refused_at_once():
    async with ScriptedOkx() as venue:
        with pytest.raises(AuthError, match="no passphrase"):
            OkxAdapter(configured(venue, passphrase=None))


async def test_a_clock_that_is_wrong_is_a_clock_error(trading):
    async with trading() as (venue, adapter):
        venue.drift = 120
        with pytest.raises(ClockError):
            await adapter._fetch_balances()


async def test_a_question_that_fails_behind_the_gateway_is_unavailable_and_not_ambiguous(trading):
    async with trading() as (venue, adapter):
        venue.answers["GET /api/v5/account/balance"] = {"code": "50004", "msg": "timeout", "data": []}
        with pytest.raises(UnavailableError):
            await adapter._fetch_balances()
        venue.answers["GET /api/v5/account/balance"] = {"code": "50026", "msg": "system error", "data": []}
        with pytest.raises(UnavailableError):
            await adapter._fetch_balances()


async def test_without_a_network_connecting_says_so():
    async with ScriptedOkx() as venue:
        adapter = OkxAdapter(configured(venue, base_urls={"rest": "http://127.0.0.1:1", "ws": "ws://127.0.0.1:1"}))
        with pytest.raises(UnavailableError, match=r"cannot connect to 127\.0\.0\.1"):
            await adapter.connect()
        await adapter.close()


def test_immediate_orders_keep_their_time_in_force():
    (row,) = ORDERS.decode(encode([order_row(ordType="fok")]))
    assert reports.order_state(row).order.time_in_force is TimeInForce.FOK
