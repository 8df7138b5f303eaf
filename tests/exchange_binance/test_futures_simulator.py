"""The futures simulator, request by request and event by event, as Binance documents them."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from simulated_futures import OTHER_KEY, OTHER_SECRET, Client, asking

WHICH = {"symbol": "BTCUSDT"}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"symbol": "BTCUSD"}, -1121),
        ({"side": "HOLD"}, -1117),
        ({"type": "LIMIT_MAKER"}, -1116),
        ({"type": "STOP_MARKET", "stopPrice": "40000"}, -4120),
        ({"timeInForce": "GTX", "side": "SELL", "price": "1.0"}, -4024),
        ({"timeInForce": "SOON"}, -1115),
        ({"timeInForce": None}, -1102),
        ({"quantity": "0.0205"}, -4023),
        ({"quantity": "0.001", "price": "45010.0"}, -4164),
        ({"quantity": "0.0001"}, -4003),
        ({"quantity": "9001"}, -4005),
        ({"quantity": "0.000000001"}, -1111),
        ({"price": "45000.05"}, -4014),
        ({"price": "90000"}, -4016),
        ({"positionSide": "LONG"}, -4061),
        ({"reduceOnly": "true"}, -2022),
        ({"quantity": "800"}, -2019),
        ({"newClientOrderId": "a b"}, -1100),
        ({"iceberg": "1"}, -1104),
    ],
)
async def test_orders_that_cannot_be_are_refused_in_the_venues_words(changes, code):
    async with asking() as client:
        assert (await client.place(**changes))["code"] == code
        assert not client.venue.exchange.accounts[client.key].orders


async def test_an_acknowledgement_is_given_before_anything_fills_and_a_result_after():
    async with asking() as client:
        early = await client.buy(newOrderRespType="ACK")
        late = await client.buy(newOrderRespType="RESULT")
        assert (early["status"], Decimal(early["executedQty"])) == ("NEW", 0)
        assert (late["status"], late["executedQty"]) == ("FILLED", "0.02000000")
        assert Decimal(late["avgPrice"]) > 0


async def test_a_client_order_id_is_used_once_while_its_order_is_open():
    async with asking() as client:
        first = await client.place(newClientOrderId="mine")
        assert (await client.place(newClientOrderId="mine"))["code"] == -4116
        await client.ask("DELETE", "order", **WHICH, origClientOrderId="mine")
        assert (await client.place(newClientOrderId="mine"))["orderId"] > first["orderId"]


async def test_an_order_is_modified_and_one_that_stands_so_is_not():
    async with asking() as client:
        order = await client.place()
        terms = {**WHICH, "orderId": order["orderId"], "side": "BUY"}
        same = await client.ask("PUT", "order", **terms, quantity=order["origQty"], price=order["price"])
        assert same["code"] == -5027
        changed = await client.ask("PUT", "order", **terms, quantity="0.05", price=client.price("0.94"))
        assert (changed["origQty"], changed["orderId"]) == ("0.05000000", order["orderId"])
        assert (await client.ask("PUT", "order", **{**terms, "orderId": 7}, quantity="1", price="1"))["code"] == -2013


async def test_open_orders_history_and_single_orders_agree():
    async with asking() as client:
        order = await client.place(newClientOrderId="mine")
        (listed,) = await client.ask("GET", "openOrders", **WHICH)
        single = await client.ask("GET", "order", **WHICH, origClientOrderId="mine")
        assert listed == single == await client.ask("GET", "openOrder", **WHICH, orderId=order["orderId"])
        await client.ask("DELETE", "allOpenOrders", **WHICH)
        assert (await client.ask("GET", "openOrder", **WHICH, orderId=order["orderId"]))["code"] == -2013
        (past,) = await client.ask("GET", "allOrders", **WHICH)
        assert past["status"] == "CANCELED"
        assert (await client.ask("DELETE", "order", **WHICH, orderId=order["orderId"]))["code"] == -2011


async def test_events_of_an_order_come_in_order_with_the_wallet_and_the_position():
    async with asking() as client, client.events() as events:
        order = await client.buy(newClientOrderId="mine")
        new = await events.event("ORDER_TRADE_UPDATE")
        assert (new["o"]["x"], new["o"]["c"], new["o"]["i"]) == ("NEW", "mine", order["orderId"])
        wallet = (await events.event("ACCOUNT_UPDATE"))["a"]
        assert (wallet["m"], wallet["P"][0]["pa"], wallet["P"][0]["ps"]) == ("ORDER", "0.02000000", "BOTH")
        traded = (await events.event("ORDER_TRADE_UPDATE"))["o"]
        assert (traded["x"], traded["X"], traded["N"]) == ("TRADE", "FILLED", "USDT")
        assert Decimal(wallet["B"][0]["wb"]) == 1_000_000 - Decimal(traded["n"])


async def test_funding_leverage_and_transfers_are_told():
    async with asking() as client, client.events() as events:
        await client.buy()
        await client.ask("POST", "leverage", **WHICH, leverage=9)
        assert (await events.event("ACCOUNT_CONFIG_UPDATE"))["ac"] == {"s": "BTCUSDT", "l": 9}
        client.venue.exchange.swaps.pay("BTCUSDT")
        paid = await events.next(lambda said: said.get("a", {}).get("m") == "FUNDING_FEE")
        (income,) = await client.ask("GET", "income", incomeType="FUNDING_FEE")
        assert paid["a"]["B"][0]["bc"] == income["income"]
        assert Decimal(income["income"]) < 0
        account = client.venue.exchange.accounts[client.key]
        client.venue.exchange.transfer(account, "USDT", Decimal(5))
        got = await events.next(lambda said: said.get("a", {}).get("m") == "DEPOSIT")
        assert got["a"]["B"][0]["bc"] == "5.00000000"


async def test_wallet_margins_and_positions_add_up():
    async with asking() as client:
        await client.ask("POST", "leverage", **WHICH, leverage=10)
        await client.buy("0.1")
        await client.place(quantity="0.1", price=client.price("0.9"))
        (row,) = [one for one in await client.ask("GET", "v3/balance") if one["asset"] == "USDT"]
        status = await client.ask("GET", "v3/account")
        (asset,) = [one for one in status["assets"] if one["asset"] == "USDT"]
        margin = Decimal(asset["positionInitialMargin"]) + Decimal(asset["openOrderInitialMargin"])
        assert margin == Decimal(asset["initialMargin"]) > 0
        assert Decimal(row["availableBalance"]) == pytest.approx(
            Decimal(row["balance"]) + Decimal(row["crossUnPnl"]) - margin, abs=Decimal(1)
        )
        (position,) = await client.ask("GET", "v3/positionRisk")
        assert Decimal(position["positionInitialMargin"]) == pytest.approx(
            Decimal(position["entryPrice"]) / 100, abs=Decimal("0.00001")
        )
        every = await client.ask("GET", "v2/positionRisk")
        assert len(every) == len(client.venue.exchange.instruments)
        assert {one["leverage"] for one in every if one["symbol"] == "BTCUSDT"} == {"10"}


async def test_a_margin_type_waits_for_orders_and_positions_to_go():
    async with asking() as client:
        change = {**WHICH, "marginType": "ISOLATED"}
        await client.place()
        assert (await client.ask("POST", "marginType", **change))["code"] == -4047
        await client.ask("DELETE", "allOpenOrders", **WHICH)
        await client.buy()
        assert (await client.ask("POST", "marginType", **change))["code"] == -4048
        await client.buy(side="SELL", reduceOnly="true")
        assert (await client.ask("POST", "marginType", **change))["code"] == 200
        assert (await client.ask("POST", "marginType", **change))["code"] == -4046


async def test_a_countdown_that_is_not_renewed_cancels_the_orders_of_its_symbol():
    async with asking() as client:
        await client.place()
        await client.place(symbol="ETHUSDT", price="2400.0")
        assert (await client.ask("POST", "countdownCancelAll", **WHICH, countdownTime=300))["countdownTime"] == "300"
        await asyncio.sleep(0.5)
        assert [one["symbol"] for one in await client.ask("GET", "openOrders")] == ["ETHUSDT"]


async def test_the_accounts_trades_are_told_a_week_at_a_time():
    async with asking() as client:
        await client.buy()
        now = client.venue.now() // 1_000_000
        week = 7 * 86_400_000
        (trade,) = await client.ask("GET", "userTrades", **WHICH)
        assert (trade["buyer"], trade["maker"], trade["marginAsset"]) == (True, False, "USDT")
        assert await client.ask("GET", "userTrades", **WHICH, startTime=now - 2 * week) == []
        too_long = await client.ask("GET", "userTrades", **WHICH, startTime=now - 2 * week, endTime=now)
        assert too_long["code"] == -4165
        assert await client.ask("GET", "userTrades", **WHICH, fromId=0) == [trade]


async def test_a_listen_key_is_one_per_account_and_ends_with_a_word():
    async with asking(listen_key_life=0.6) as client:
        first = await client.ask("POST", "listenKey", sign=False)
        assert await client.ask("POST", "listenKey", sign=False) == first
        other = Client(client.venue, OTHER_KEY, OTHER_SECRET)
        assert await other.ask("POST", "listenKey", sign=False) != first
        await other.close()
        async with client.socket(f"/private/ws?listenKey={first['listenKey']}") as events:
            assert (await events.event("listenKeyExpired"))["listenKey"] == first["listenKey"]
        assert (await client.ask("PUT", "listenKey", sign=False))["code"] == -1125
        with pytest.raises(ConnectionError):
            async with client.socket(f"/private/ws/{first['listenKey']}") as events:
                await events.next()


async def test_a_key_that_nobody_knows_gets_no_listen_key():
    async with asking() as client:
        stranger = Client(client.venue, "NOBODY", "NOTHING")
        assert (await stranger.ask("POST", "listenKey", sign=False))["code"] == -2015
        await stranger.close()


async def test_a_stream_of_the_other_route_is_acknowledged_and_silent():
    async with asking() as client, client.socket("/public/ws") as socket:
        names = ["btcusdt@aggTrade", "btcusdt@bookTicker"]
        await socket.send({"method": "SUBSCRIBE", "params": names, "id": 1})
        assert await socket.next() == {"result": None, "id": 1}
        for _ in range(20):
            assert (await socket.next())["e"] == "bookTicker"


async def test_book_updates_name_the_one_before_and_leave_numbers_out():
    async with asking() as client, client.socket("/public/ws/btcusdt@depth@100ms") as socket:
        last = (await socket.next())["u"]
        for _ in range(5):
            update = await socket.next()
            assert update["pu"] == last
            assert last + 1 < update["U"] <= update["u"]
            last = update["u"]


async def test_the_mark_price_is_told_every_second():
    async with asking() as client, client.socket("/market/stream?streams=btcusdt@markPrice@1s") as socket:
        said = await socket.next()
        assert said["stream"] == "btcusdt@markPrice@1s"
        assert (said["data"]["e"], said["data"]["r"]) == ("markPriceUpdate", "0.00010000")


async def test_orders_are_counted_in_ten_seconds_and_a_minute():
    async with asking() as client:
        await client.place()
        await client.place()
        assert client.headers["X-MBX-ORDER-COUNT-10S"] == client.headers["X-MBX-ORDER-COUNT-1M"] == "2"
        before = int(client.headers["X-MBX-USED-WEIGHT-1M"])
        await client.ask("GET", "openOrders")
        assert int(client.headers["X-MBX-USED-WEIGHT-1M"]) == before + 40


async def test_exchange_info_tells_the_limits_and_that_all_are_perpetual():
    async with asking() as client:
        info = await client.ask("GET", "exchangeInfo", sign=False)
        limits = {
            (row["rateLimitType"], row["interval"], row["intervalNum"]): row["limit"] for row in info["rateLimits"]
        }
        assert limits == {
            ("REQUEST_WEIGHT", "MINUTE", 1): 2_400,
            ("ORDERS", "SECOND", 10): 300,
            ("ORDERS", "MINUTE", 1): 1_200,
        }
        assert {symbol["contractType"] for symbol in info["symbols"]} == {"PERPETUAL"}
