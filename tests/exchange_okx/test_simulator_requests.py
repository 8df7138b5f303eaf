"""What the OKX simulator answers: who may ask, what is there, and how often."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from simulated_okx import BUSINESS, LIMIT, MARKET, PRIVATE, PUBLIC, STOP, SYMBOL, Client, simulated

from axon_exchange_okx.simulator import OkxSimulator
from axon_exchange_okx.simulator.table import OPERATIONS, REST
from axon_quant.exchange.simulator import Account, Limit


class TestSignatures:
    @pytest.mark.parametrize(
        ("changed", "code"),
        [
            ({"OK-ACCESS-KEY": None}, "50103"),
            ({"OK-ACCESS-PASSPHRASE": None}, "50104"),
            ({"OK-ACCESS-SIGN": None}, "50106"),
            ({"OK-ACCESS-TIMESTAMP": None}, "50107"),
            ({"OK-ACCESS-KEY": "NOBODY"}, "50111"),
            ({"OK-ACCESS-KEY": "OTHER_API_KEY"}, "50113"),
            ({"OK-ACCESS-PASSPHRASE": "wrong"}, "50105"),
            ({"OK-ACCESS-PASSPHRASE": "wröng"}, "50105"),
            ({"OK-ACCESS-SIGN": "d3Jvbmc="}, "50113"),
            ({"OK-ACCESS-TIMESTAMP": "2020-12-08T09:08:57.715Z"}, "50102"),
            ({"OK-ACCESS-TIMESTAMP": "1597026383085"}, "50112"),
            ({"OK-ACCESS-TIMESTAMP": "2020-13-08T09:08:57.715Z"}, "50112"),
        ],
    )
    async def test_a_request_that_is_not_signed_as_it_must_be_is_refused(self, changed, code):
        async with simulated() as client:
            client.changed = changed
            said = await client.get("account/balance")
            assert (said.status, said["code"], said["data"]) == (401, code, [])

    async def test_query_and_body_are_signed_as_they_were_sent(self):
        async with simulated() as client:
            assert (await client.get("account/balance", ccy="BTC,EUR"))["code"] == "0"
            assert (await client.place(px=client.price("0.9"), tag="ü"))["data"][0]["sCode"] == "51000"
            told = client.sign
            client.sign = lambda text: told(text.replace("0.01", "9"))
            assert (await client.place(px=client.price("0.9")))["code"] == "50113"

    @pytest.mark.parametrize(("seconds", "code"), [(-29, "0"), (-31, "50102"), (29, "0"), (31, "50102")])
    async def test_a_timestamp_is_good_for_half_a_minute(self, seconds, code):
        async with simulated(drift_ms=5_000) as client:
            client.stamp = seconds
            assert (await client.get("account/balance"))["code"] == code

    @pytest.mark.parametrize(
        ("demo", "header", "code"), [(True, None, "50101"), (True, "1", "0"), (False, "1", "50101")]
    )
    async def test_a_key_belongs_to_one_environment(self, demo, header, code):
        async with simulated(demo=demo) as client:
            client.changed = {"x-simulated-trading": header}
            assert (await client.get("account/balance"))["code"] == code

    async def test_a_key_that_may_only_read_does_not_trade(self):
        account = Account.named("main", {"USDT": "1000"}, prefix="YOUR")
        account.may_trade = False
        async with simulated(accounts=[account]) as client:
            assert (await client.get("account/config")).row["perm"] == "read_only"
            assert (await client.place(px=client.price("0.9")))["code"] == "50120"

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"apiKey": "NOBODY"}, "60005"),
            ({"timestamp": "yesterday"}, "60004"),
            ({"timestamp": "inf"}, "60004"),
            ({"timestamp": "1538054050"}, "60006"),
            ({"sign": "d3Jvbmc="}, "60007"),
            ({"passphrase": "wrong"}, "60024"),
        ],
    )
    async def test_a_login_that_fails_ends_the_connection(self, change, code):
        async with simulated() as client, client.socket(PUBLIC) as socket:
            await socket.send({"op": "login", "args": [{**client.login(), **change}]})
            said = await socket.next()
            assert (said["event"], said["code"]) == ("error", code)
            with pytest.raises(ConnectionError):
                await socket.next()

    async def test_a_connection_belongs_to_one_account(self):
        async with simulated() as client, client.socket(PRIVATE) as socket:
            await socket.send({"op": "login", "args": [client.login()]})
            assert (await socket.next())["event"] == "login"
            other = Client(client.venue, "OTHER")
            await other.close()
            await socket.send({"op": "login", "args": [other.login()]})
            assert (await socket.next())["code"] == "60031"


class TestMarket:
    async def test_instruments_say_their_grid(self):
        async with simulated() as client:
            rows = (await client.ask("GET", "public/instruments", sign=False, instType="SPOT")).rows
            assert len(rows) == 10
            (row,) = [row for row in rows if row["instId"] == SYMBOL]
            assert (row["tickSz"], row["lotSz"], row["minSz"]) == ("0.01", "0.00001", "0.00001")
            assert len({row["instIdCode"] for row in rows}) == 10
            assert (await client.get("public/instruments", instType="FUTURES")).rows == []
            assert (await client.get("public/instruments", instType="SPOT", instId="NO-SUCH"))["code"] == "51001"
            assert (await client.get("public/instruments"))["code"] == "51000"

    async def test_prices_books_and_trades_agree(self):
        async with simulated(speed=1e-9) as client:
            ticker = (await client.get("market/ticker", instId=SYMBOL)).row
            book = (await client.get("market/books", instId=SYMBOL, sz=5)).row
            assert len(book["bids"]) == len(book["asks"]) == 5
            assert float(book["bids"][0][0]) < float(book["asks"][0][0])
            trades = (await client.get("market/trades", instId=SYMBOL, limit=3)).rows
            assert len(trades) == 3
            assert trades[0]["px"] == ticker["last"]
            assert int(trades[0]["tradeId"]) > int(trades[1]["tradeId"])
            assert float(ticker["low24h"]) <= float(ticker["last"]) <= float(ticker["high24h"])
            assert len((await client.get("market/tickers", instType="SPOT")).rows) == 10
            assert (await client.get("market/books", instId=SYMBOL, sz=401))["code"] == "51000"

    async def test_candles_add_the_trades_up(self):
        async with simulated(history=200.0, speed=1e-9) as client:
            rows = (await client.get("market/candles", instId=SYMBOL)).rows
            assert 4 <= len(rows) <= 5
            starts = [int(row[0]) for row in rows]
            assert all(late - early == 60_000 for late, early in pairwise(starts))
            assert [row[-1] for row in rows] == ["0", *["1"] * (len(rows) - 1)]
            for _, first, high, low, last, volume, value, *_ in [list(map(float, row)) for row in rows]:
                assert low <= min(first, last) <= max(first, last) <= high
                assert low * volume <= value * 1.0001
                assert value <= high * volume * 1.0001
            longer = (await client.get("market/candles", instId=SYMBOL, bar="1Dutc")).rows
            assert int(longer[0][0]) % 86_400_000 == 0
            assert (
                int((await client.get("market/candles", instId=SYMBOL, bar="1D")).rows[0][0]) % 86_400_000 == 57_600_000
            )
            older = (await client.get("market/candles", instId=SYMBOL, after=starts[1], limit=1)).rows
            assert [int(row[0]) for row in older] == [starts[2]]
            assert (await client.get("market/candles", instId=SYMBOL, bar="7m"))["code"] == "51000"

    async def test_the_clock_is_the_venue_s(self):
        async with simulated(drift_ms=60_000) as client:
            import time

            ahead = int((await client.get("public/time")).row["ts"]) - time.time() * 1_000
            assert 59_000 < ahead < 61_000

    async def test_what_is_not_there_is_said_to_be(self):
        async with simulated() as client:
            assert (await client.get("no/such/path")).status == 404
            wrong = await client.get("trade/batch-orders")
            assert (wrong.status, wrong["code"]) == (405, "50115")

    @pytest.mark.parametrize("body", ["{", '"text"', "[]", "7", "null", "", "[7]"])
    async def test_a_body_that_is_none_is_refused(self, body):
        async with simulated() as client:
            for path in ("trade/order", "trade/batch-orders", "trade/cancel-algos", "trade/cancel-all-after"):
                said = await client.post(path, body)
                assert (said.status, said["code"] in ("50000", "50002")) == (400, True), (path, said)


class TestLimits:
    async def test_each_endpoint_of_each_account_has_its_own(self):
        async with simulated() as client:
            other = Client(client.venue, "OTHER")
            while True:
                said = [await client.get("account/config") for _ in range(6)]
                codes = [one["code"] for one in said]
                if codes.count("0") == 5:
                    break
            late = said[-1]
            assert (late.status, late["code"], late["msg"]) == (429, "50011", "Too Many Requests")
            assert late.headers["Retry-After"] in ("1", "2")
            assert (await client.get("account/balance"))["code"] == "0"
            assert (await other.get("account/config"))["code"] == "0"
            await other.close()
            assert client.venue.truth()["refused"] >= 1
            await asyncio.sleep(2.0)
            assert (await client.get("account/config"))["code"] == "0"

    async def test_orders_count_by_instrument_on_both_ways_and_one_by_one_in_a_batch(self):
        async with simulated(speed=1e-9) as client, client.socket(PRIVATE) as socket:
            wrong = {**LIMIT, "px": "0.001"}
            await at_the_start_of_a_period(client)
            sent = [client.place(wrong) for _ in range(30)]
            sent += [client.post("trade/batch-orders", [wrong]) for _ in range(15)]
            for said in await asyncio.gather(*sent):
                assert said["code"] == "1"
            for _ in range(15):
                assert (await socket.call("order", wrong))["code"] == "1"
            assert (await client.place(wrong))["code"] == "50011"
            assert (await socket.call("order", wrong))["code"] == "50011"
            assert (await client.place({**wrong, "instId": "ETH-USDT"}))["code"] == "1"
            said = await client.post("trade/batch-orders", [wrong, wrong])
            assert said["code"] == "1"
            assert client.venue.meters[f"orders.place:{client.key}:{SYMBOL}"].used(client.venue.now())[0][1] == 2

    async def test_an_account_may_place_so_many_orders_in_all(self):
        async with simulated(limits=(Limit("orders", 4, 2.0),)) as client:
            await at_the_start_of_a_period(client)
            many = await client.post("trade/batch-orders", [LIMIT] * 5)
            assert (many.status, many["code"]) == (200, "50061")
            assert (await client.post("trade/batch-orders", [LIMIT] * 4))["code"] == "1"
            assert (await client.place())["code"] == "50061"
            assert (await client.get("account/balance"))["code"] == "0"

    async def test_a_connection_may_subscribe_so_often(self):
        async with simulated(limits=(Limit("requests", 3, 3_600.0),)) as client, client.socket(PUBLIC) as socket:
            wanted = {"channel": "tickers", "instId": SYMBOL}
            for _ in range(3):
                assert (await socket.call("subscribe", wanted))["event"] == "subscribe"
            assert (await socket.call("subscribe", wanted))["code"] == "60014"
            async with client.socket(PUBLIC, wanted):
                pass

    def test_the_published_limits_are_kept(self):
        published = {"order.place": 60, "orders.place": 300, "order.cancel": 60, "order.amend": 60, "orders.open": 60}
        published |= {"fills": 60, "fills.history": 10, "balance": 10, "config": 5, "stop.place": 20, "time": 10}
        limits = {request.name: request.limit for request in REST.values()}
        assert published.items() <= limits.items()
        assert {*OPERATIONS.values()} <= {*REST.values()}


async def at_the_start_of_a_period(client: Client) -> None:
    await asyncio.sleep(2.001 - client.now() % 2_000 / 1_000)


class TestHistory:
    async def test_fills_come_in_pages(self):
        async with simulated(speed=1e-9) as client:
            for _ in range(5):
                assert (await client.place(MARKET)).s_code == "0"
            fills = (await client.get("trade/fills")).rows
            bills = [int(fill["billId"]) for fill in fills]
            assert bills == sorted(bills, reverse=True)
            assert len(fills) == len(client.truth()["fills"]) >= 5
            seen, after = [], ""
            while rows := (await client.get("trade/fills", limit=2, **({"after": after} if after else {}))).rows:
                assert len(rows) <= 2
                seen += rows
                after = rows[-1]["billId"]
            assert seen == fills
            newer = (await client.get("trade/fills", before=bills[2])).rows
            assert newer == fills[:2]
            assert (await client.get("trade/fills", ordId=fills[0]["ordId"])).rows[0] == fills[0]
            assert (await client.get("trade/fills", instId="ETH-USDT")).rows == []
            assert (await client.get("trade/fills-history"))["code"] == "50014"
            assert (await client.get("trade/fills-history", instType="SPOT")).rows == fills
            assert (await client.get("trade/fills", after="x"))["code"] == "51000"

    async def test_fills_are_chosen_by_time(self):
        async with simulated(speed=1e-9) as client:
            await client.place(MARKET)
            await asyncio.sleep(0.02)
            between = client.now()
            await asyncio.sleep(0.02)
            await client.place(MARKET)
            fills = (await client.get("trade/fills")).rows
            late = (await client.get("trade/fills", begin=between)).rows
            early = (await client.get("trade/fills", end=between)).rows
            assert late + early == fills
            assert late
            assert early

    async def test_orders_are_open_and_then_history(self):
        async with simulated(speed=1e-9) as client:
            first = (await client.place(px=client.price("0.9"), clOrdId="first")).row["ordId"]
            second = (await client.place(px=client.price("0.9"), ordType="post_only")).row["ordId"]
            pending = (await client.get("trade/orders-pending")).rows
            assert [row["ordId"] for row in pending] == [second, first]
            assert [row["clOrdId"] for row in pending] == ["", "first"]
            assert (await client.get("trade/orders-pending", ordType="post_only,fok")).rows == pending[:1]
            assert (await client.get("trade/orders-pending", after=second)).rows == pending[1:]
            assert (await client.get("trade/orders-pending", state="partially_filled")).rows == []
            await client.post("trade/cancel-order", {"instId": SYMBOL, "ordId": first})
            (ended,) = (await client.get("trade/orders-history", instType="SPOT")).rows
            assert (ended["ordId"], ended["state"], ended["cancelSource"]) == (first, "canceled", "1")
            assert (await client.get("trade/orders-history"))["code"] == "51000"
            found = (await client.get("trade/order", instId=SYMBOL, clOrdId="first")).row
            assert found == ended
            for missing in ({"ordId": "1"}, {"clOrdId": "venue-1"}, {"ordId": "²"}):
                assert (await client.get("trade/order", instId=SYMBOL, **missing))["code"] == "51603"
            assert (await client.get("trade/order", instId="ETH-USDT", ordId=first))["code"] == "51603"
            assert (await client.get("trade/order", instId=SYMBOL))["code"] == "51003"

    async def test_the_other_account_sees_nothing_of_it(self):
        async with simulated() as client:
            other = Client(client.venue, "OTHER")
            placed = await client.place(px=client.price("0.9"), clOrdId="mine")
            assert (await other.get("trade/orders-pending")).rows == []
            assert (await other.get("trade/order", instId=SYMBOL, ordId=placed.row["ordId"]))["code"] == "51603"
            assert (await other.place(px=client.price("0.9"), clOrdId="mine")).s_code == "0"
            await other.close()

    async def test_balances_say_what_is_frozen(self):
        async with simulated() as client:
            await client.place(px="40000", sz="1")
            (row,) = (await client.get("account/balance", ccy="USDT")).row["details"]
            assert (row["cashBal"], row["availBal"], row["frozenBal"]) == ("1000000", "960000", "40000")
            assert len((await client.get("account/balance")).row["details"]) == 5
            fees = (await client.get("account/trade-fee", instType="SPOT")).row
            assert (fees["maker"], fees["taker"]) == ("-0.0008", "-0.001")


async def test_every_endpoint_answers():
    """With nothing but what the signature needs: something of OKX's, never a failure of the simulator."""
    async with simulated(limits=()) as client:
        for method, path in REST:
            said = await client.ask(method, path.removeprefix("/api/v5/"), {} if method == "POST" else None)
            assert said.status in (200, 400), path
            assert said["code"].isdigit(), path


async def test_every_operation_answers_on_its_path_alone():
    async with simulated(limits=()) as client, client.socket(PRIVATE) as private, client.socket(BUSINESS) as business:
        for operation in OPERATIONS:
            said = await private.call(operation, {})
            assert (said["op"], said["code"], said["msg"]) == (operation, "1", ""), said
            assert int(said["inTime"]) <= int(said["outTime"])
            assert (await business.call(operation, STOP))["code"] == "60028"


def test_simulators_have_their_own_state():
    first, second = OkxSimulator(), OkxSimulator()
    assert first.exchange.accounts["YOUR_API_KEY"] is not second.exchange.accounts["YOUR_API_KEY"]
