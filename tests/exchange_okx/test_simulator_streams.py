"""The OKX simulator's channels."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest
from simulated_okx import BUSINESS, LIMIT, MARKET, PRIVATE, PUBLIC, STOP, SYMBOL, Client, simulated

from axon_exchange_okx.simulator.streams import CHANNELS
from axon_quant.market.types import BookSnapshot, BookUpdate

ORDERS = {"channel": "orders", "instType": "SPOT"}
ACCOUNT = {"channel": "account"}
STOPS = {"channel": "orders-algo", "instType": "ANY"}


def of(channel: str) -> dict[str, str]:
    return {"channel": channel, "instId": SYMBOL}


class TestConversation:
    async def test_a_ping_is_a_word(self):
        async with simulated() as client, client.socket(PUBLIC) as socket:
            await socket.send("ping")
            assert await socket.next() == "pong"

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("hello", "60012"),
            ("[]", "60012"),
            ('{"op": "subscribe"}', "60012"),
            ('{"op": "subscribe", "args": []}', "60013"),
            ('{"op": "subscribe", "args": {}}', "60013"),
            ('{"op": "subscribe", "args": ["books"]}', "60013"),
            ('{"op": "subscribe", "args": [{}]}', "60018"),
            ('{"op": "subscribe", "args": [{"channel": {}}]}', "60018"),
            ('{"op": "subscribe", "args": [{"channel": "books", "instId": []}]}', "60018"),
            ('{"op": "sing", "args": [{}]}', "60019"),
            ('{"op": "order", "args": [{}]}', "60028"),
        ],
    )
    async def test_what_makes_no_sense_is_refused(self, text, code):
        async with simulated() as client, client.socket(PUBLIC) as socket:
            await socket.send(text)
            said = await socket.next()
            assert (said["event"], said["code"], len(said["connId"])) == ("error", code, 8)
            await socket.send("ping")
            assert await socket.next() == "pong"

    @pytest.mark.parametrize(
        ("path", "argument", "code"),
        [
            (PUBLIC, of("candle1m"), "60018"),
            (PUBLIC, of("trades-all"), "60018"),
            (PUBLIC, ORDERS, "60018"),
            (PUBLIC, {"channel": "books", "instId": "NO-SUCH"}, "60018"),
            (PUBLIC, {"channel": "books"}, "60018"),
            (PUBLIC, of("books-l2-tbt"), "64003"),
            (BUSINESS, of("books"), "60018"),
            (PRIVATE, STOPS, "60018"),
            (PRIVATE, {"channel": "orders"}, "60018"),
            (PRIVATE, {"channel": "orders", "instType": "STOCKS"}, "60018"),
        ],
    )
    async def test_channels_are_where_they_belong(self, path, argument, code):
        async with simulated() as client, client.socket(path) as socket:
            said = await socket.call("subscribe", argument)
            assert (said["event"], said["code"]) == ("error", code)

    async def test_private_channels_need_a_login(self):
        async with simulated() as client, client._session.ws_connect(client.venue.roots["ws"] + PRIVATE) as connection:
            for message in ({"op": "subscribe", "args": [ORDERS]}, {"op": "order", "args": [LIMIT]}):
                await connection.send_json(message)
                assert (await connection.receive_json())["code"] == "60011"

    async def test_there_are_three_paths(self):
        assert {*CHANNELS} == {PUBLIC, PRIVATE, BUSINESS}
        async with simulated() as client, client.socket(f"{PUBLIC}?brokerId=9999", of("trades")) as socket:
            await socket.push("trades")
        with pytest.raises(ConnectionError):
            async with simulated() as client, client.socket("/ws/v5/elsewhere"):
                pass

    async def test_confirmations_have_the_id_of_the_request(self):
        async with simulated() as client, client.socket(PUBLIC) as socket:
            said = await socket.call("subscribe", of("trades"))
            assert (said["event"], said["arg"], said["id"]) == ("subscribe", of("trades"), "1")
            assert (await socket.call("unsubscribe", of("trades")))["event"] == "unsubscribe"
            with pytest.raises(TimeoutError):
                await socket.push("trades", within=0.5)

    async def test_a_connection_on_which_nothing_is_said_is_closed(self):
        async with simulated() as client:
            client.venue.silence_limit = 0.5
            async with client.socket(PUBLIC) as idle, client.socket(PUBLIC, of("bbo-tbt")) as fed:
                with pytest.raises(ConnectionError):
                    await idle.next(within=2)
                for _ in range(5):
                    await fed.push("bbo-tbt")
            async with client.socket(PUBLIC) as awake:
                for _ in range(4):
                    await asyncio.sleep(0.25)
                    await awake.send("ping")
                    assert await awake.next() == "pong"


class TestBooks:
    async def test_changes_continue_where_the_snapshot_ends(self):
        async with simulated(speed=3.0) as client, client.socket(PUBLIC, of("books")) as socket:
            first = await socket.push("books")
            assert (first["action"], first["data"][0]["prevSeqId"]) == ("snapshot", -1)
            sides = {side: {price: size for price, size, *_ in first["data"][0][side]} for side in ("bids", "asks")}
            last = first["data"][0]["seqId"]
            for _ in range(20):
                said = await socket.push("books")
                (row,) = said["data"]
                assert (said["action"], row["prevSeqId"], row["checksum"]) == ("update", last, 0)
                assert row["seqId"] > last
                last = row["seqId"]
                for side, levels in sides.items():
                    levels |= {price: size for price, size, *_ in row[side]}
                    for price in [price for price, size in levels.items() if size == "0"]:
                        del levels[price]
            client.venue.feed._next = None  # the market stands still, and what was on its way arrives
            while True:
                try:
                    (row,) = (await socket.push("books", within=0.5))["data"]
                except TimeoutError:
                    break
                for side, levels in sides.items():
                    levels |= {price: size for price, size, *_ in row[side]}
                    for price in [price for price, size in levels.items() if size == "0"]:
                        del levels[price]
            whole = (await client.get("market/books", instId=SYMBOL, sz=400)).row
            for side, levels in sides.items():
                assert {price: size for price, size, *_ in whole[side]} == levels

    async def test_all_connections_get_the_same_numbers(self):
        async with (
            simulated() as client,
            client.socket(PUBLIC, of("books")) as one,
            client.socket(PUBLIC, of("books")) as other,
        ):
            seen = [(await one.row("books"))["seqId"] for _ in range(8)]
            also = [(await other.row("books"))["seqId"] for _ in range(8)]
            assert len({*seen} & {*also}) >= 6

    async def test_old_news_are_not_told_and_another_snapshot_is(self):
        async with simulated(speed=1e-9) as client, client.socket(PUBLIC, of("books")) as socket:
            exchange, at = client.venue.exchange, client.venue.now()
            last = (await socket.row("books"))["seqId"]
            exchange.on_market(BookUpdate(SYMBOL, at, last - 5, last - 1, [(1.0, 1.0)], []))
            exchange.on_market(BookUpdate(SYMBOL, at, last + 1, last + 3, [(2.0, 1.0)], []))
            update = await socket.row("books")
            assert (update["prevSeqId"], update["seqId"], update["bids"]) == (last, last + 3, [["2", "1", "0", "1"]])
            exchange.on_market(BookUpdate(SYMBOL, at, last + 9, last + 9, [(3.0, 1.0)], []))  # the feed lost something
            exchange.on_market(BookSnapshot(SYMBOL, at, last + 20, [(4.0, 1.0)], [(5.0, 1.0)]))
            said = await socket.push("books")
            assert (said["action"], said["data"][0]["seqId"], said["data"][0]["bids"]) == (
                "snapshot",
                last + 20,
                [["4", "1", "0", "1"]],
            )
            exchange.on_market(BookUpdate(SYMBOL, at, last + 21, last + 22, [], [(5.0, 0.0), (6.0, 1.0)]))
            update = await socket.row("books")
            assert (update["prevSeqId"], update["asks"]) == (last + 20, [["5", "0", "0", "1"], ["6", "1", "0", "1"]])

    async def test_a_recording_is_told_without_gaps(self, btcusdt_session: Path):
        options = {"recording": btcusdt_session, "symbols": (SYMBOL,), "speed": 5.0}
        async with simulated(**options) as client, client.socket(PUBLIC, of("books"), of("bbo-tbt")) as socket:
            last = (await socket.row("books"))["seqId"]
            for _ in range(20):
                row = await socket.row("books")
                assert row["prevSeqId"] == last
                last = row["seqId"]
            assert (await socket.row("bbo-tbt"))["seqId"] > 0

    async def test_the_best_levels_come_first_and_then_whenever_they_change(self):
        async with simulated() as client, client.socket(PUBLIC, of("books5"), of("bbo-tbt")) as socket:
            five = await socket.row("books5")
            assert (len(five["bids"]), len(five["asks"]), five["instId"]) == (5, 5, SYMBOL)
            for _ in range(5):
                best = await socket.row("bbo-tbt")
                assert Decimal(best["bids"][0][0]) < Decimal(best["asks"][0][0])
            assert (await socket.row("books5"))["seqId"] > five["seqId"]


class TestMarket:
    async def test_trades_are_numbered(self):
        async with simulated(speed=5.0) as client, client.socket(PUBLIC, of("trades"), of("tickers")) as socket:
            rows = [await socket.row("trades") for _ in range(5)]
            numbers = [int(row["tradeId"]) for row in rows]
            assert numbers == list(range(numbers[0], numbers[0] + 5))
            assert {row["side"] for row in rows} <= {"buy", "sell"}
            assert (await socket.row("tickers"))["instId"] == SYMBOL

    async def test_candles_end_and_begin(self):
        async with simulated(speed=3.0) as client, client.socket(BUSINESS, of("candle1m"), of("trades-all")) as socket:
            first = await socket.row("candle1m")
            client.venue.drift_ms += 60_000
            while first[-1] == "0":
                before, first = first, await socket.row("candle1m")
            assert first == [*before[:-1], "1"]
            following = await socket.row("candle1m")
            assert (following[-1], int(following[0]) > int(first[0])) == ("0", True)
            trade = await socket.row("trades-all")
            assert float(trade["sz"]) > 0


class TestOrders:
    async def test_every_change_of_an_order_is_told(self):
        async with simulated(speed=1e-9) as client, client.socket(PRIVATE, ORDERS) as socket:
            order = (await client.place(px="45000", clOrdId="mine")).row["ordId"]
            said = await socket.push("orders")
            assert said["arg"] == {**ORDERS, "uid": "1"}
            (live,) = said["data"]
            assert (live["ordId"], live["clOrdId"], live["state"], live["tradeId"]) == (order, "mine", "live", "")
            assert (live["avgPx"], live["accFillSz"], live["amendResult"], live["reqId"]) == ("0", "0", "", "")
            body = {"instId": SYMBOL, "ordId": order, "newPx": "44000", "reqId": "r1"}
            await client.post("trade/amend-order", body)
            amended = await socket.row("orders")
            assert (amended["px"], amended["amendResult"], amended["reqId"]) == ("44000", "0", "r1")
            assert (amended["amendSource"], amended["state"]) == ("1", "live")
            await client.post("trade/amend-order", {**body, "newPx": "43000", "reqId": ""})
            assert (await socket.row("orders"))["reqId"] == ""
            await client.post("trade/cancel-order", {"instId": SYMBOL, "ordId": order})
            ended = await socket.row("orders")
            assert (ended["state"], ended["cancelSource"], ended["amendResult"]) == ("canceled", "1", "")

    async def test_every_execution_is_told_by_itself(self):
        async with simulated(speed=1e-9) as client, client.socket(PRIVATE, ORDERS) as socket:
            await client.place(MARKET, sz="6", clOrdId="mine")
            assert (await socket.row("orders"))["state"] == "live"
            fills = client.truth()["fills"]
            assert len(fills) > 2
            told = [await socket.row("orders") for _ in fills]
            assert [row["tradeId"] for row in told] == [str(fill["trade_id"]) for fill in fills]
            assert [Decimal(row["fillSz"]) for row in told] == [Decimal(fill["quantity"]) for fill in fills]
            assert [-Decimal(row["fillFee"]) for row in told] == [Decimal(fill["fee"]) for fill in fills]
            assert {row["fillFeeCcy"] for row in told} == {"BTC"}
            assert [row["state"] for row in told] == ["partially_filled"] * (len(fills) - 1) + ["filled"]
            assert Decimal(told[-1]["accFillSz"]) == 6
            assert -Decimal(told[-1]["fee"]) == sum(Decimal(fill["fee"]) for fill in fills)

    async def test_a_channel_may_be_for_one_instrument_or_kind(self):
        eth = {"channel": "orders", "instType": "ANY", "instId": "ETH-USDT"}
        swaps = {"channel": "orders", "instType": "SWAP"}
        async with (
            simulated(speed=1e-9) as client,
            client.socket(PRIVATE, eth, swaps) as some,
            client.socket(PRIVATE, ORDERS) as every,
        ):
            await client.place(px="45000")
            await client.place(px="2000", instId="ETH-USDT")
            said = await some.push("orders")
            assert (said["arg"], said["data"][0]["instId"]) == ({**eth, "uid": "1"}, "ETH-USDT")
            assert [(await every.row("orders"))["instId"] for _ in range(2)] == [SYMBOL, "ETH-USDT"]

    async def test_nothing_is_told_of_the_other_account(self):
        async with simulated(speed=1e-9) as client, client.socket(PRIVATE, ORDERS, ACCOUNT) as socket:
            other = Client(client.venue, "OTHER")
            async with other.socket(PRIVATE, ORDERS) as theirs:
                await other.place(MARKET)
                assert (await theirs.push("orders"))["arg"]["uid"] == "2"
            await other.close()
            await socket.push("account")
            with pytest.raises(TimeoutError):
                await socket.next(within=0.3)


class TestBalances:
    async def test_the_account_is_told_at_first_and_what_changes_then(self):
        async with simulated(speed=1e-9) as client, client.socket(PRIVATE, ACCOUNT) as socket:
            first = await socket.push("account")
            assert (first["eventType"], len(first["data"][0]["details"])) == ("snapshot", 5)
            await client.place(px="45000", sz="1")
            said = await socket.push("account")
            (detail,) = said["data"][0]["details"]
            assert said["eventType"] == "event_update"
            assert (detail["ccy"], detail["cashBal"], detail["availBal"]) == ("USDT", "1000000", "955000")
            await client.place(MARKET)
            row = await socket.row("account")
            while len(row["details"]) == 1:  # what the order locks
                row = await socket.row("account")
            held = {detail["ccy"]: detail["cashBal"] for detail in row["details"]}
            balances = client.truth()["balances"]
            assert held["BTC"] == "20.00999"
            assert Decimal(held["USDT"]) == Decimal(balances["USDT"]["free"]) + Decimal(balances["USDT"]["locked"])

    async def test_one_asset_may_be_asked_for(self):
        wanted = {"channel": "account", "ccy": "BTC"}
        async with simulated(speed=1e-9) as client, client.socket(PRIVATE, wanted) as socket:
            assert [row["ccy"] for row in (await socket.row("account"))["details"]] == ["BTC"]
            await client.place(px="45000", sz="1")
            await client.place(px="55000", sz="1", side="sell")
            (detail,) = (await socket.row("account"))["details"]
            assert (detail["ccy"], detail["frozenBal"]) == ("BTC", "1")

    async def test_balances_and_positions_tell_of_fills_and_transfers(self):
        wanted = {"channel": "balance_and_position"}
        async with simulated(speed=1e-9) as client, client.socket(PRIVATE, wanted) as socket:
            assert (await socket.row("balance_and_position"))["eventType"] == "snapshot"
            await client.place(px="45000", sz="1")
            exchange = client.venue.exchange
            exchange.transfer(exchange.accounts[client.key], "EUR", Decimal(5))
            told = await socket.row("balance_and_position")
            assert (told["eventType"], told["balData"][0]["cashBal"]) == ("transferred", "100005")
            await client.place(MARKET)
            told = await socket.row("balance_and_position")
            assert (told["eventType"], [row["ccy"] for row in told["balData"]]) == ("filled", ["BTC", "USDT"])


class TestStops:
    async def test_a_stop_and_the_order_that_it_places_are_told(self):
        async with (
            simulated(speed=1e-9) as client,
            client.socket(BUSINESS, STOPS) as stops,
            client.socket(PRIVATE, ORDERS) as orders,
        ):
            algo = (await client.post("trade/order-algo", {**STOP, "slTriggerPx": "45000", "algoClOrdId": "s"})).row[
                "algoId"
            ]
            live = await stops.row("orders-algo")
            assert (live["algoId"], live["algoClOrdId"], live["state"]) == (algo, "s", "live")
            client.trade("0.89")
            told = await stops.row("orders-algo")
            assert (told["state"], told["triggerTime"] != "") == ("effective", True)
            placed = await orders.row("orders")
            assert (placed["algoId"], placed["algoClOrdId"], placed["clOrdId"]) == (algo, "s", "")
            assert placed["ordId"] == told["ordId"]
            other = (await client.post("trade/order-algo", {**STOP, "slTriggerPx": "40000"})).row["algoId"]
            await client.post("trade/cancel-algos", [{"instId": SYMBOL, "algoId": other}])
            assert [(await stops.row("orders-algo"))["state"] for _ in range(2)] == ["live", "canceled"]
