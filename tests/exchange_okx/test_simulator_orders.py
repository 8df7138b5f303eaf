"""Orders at the OKX simulator: what is taken, what is refused, and what becomes of it."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from simulated_okx import LIMIT, MARKET, PRIVATE, STOP, SYMBOL, simulated

from axon_quant.market.types import BookSnapshot


class TestTerms:
    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"sz": "0.000001"}, "51020"),
            ({"sz": "0.000015"}, "51121"),
            ({"sz": "0"}, "51000"),
            ({"sz": "-1"}, "51000"),
            ({"sz": "nan"}, "51000"),
            ({"sz": "1e3"}, "51000"),
            ({"sz": ""}, "50014"),
            ({"sz": "9001", "px": "1000"}, "51203"),
            ({"sz": "501"}, "51185"),
            ({"px": ""}, "51204"),
            ({"px": "45000.001"}, "51006"),
            ({"px": "300000"}, "51006"),
            ({"side": "sell", "px": "5000"}, "51006"),
            ({"side": "hold"}, "51000"),
            ({"ordType": "iceberg"}, "51000"),
            ({"tdMode": "cross"}, "51010"),
            ({"tdMode": ""}, "51010"),
            ({"clOrdId": "a-b"}, "51000"),
            ({"clOrdId": "a" * 33}, "51000"),
            ({"tag": "a" * 17}, "51000"),
            ({"stpMode": "cancel_both"}, "51000"),
            ({"attachAlgoOrds": [{"slTriggerPx": "1"}]}, "51000"),
            ({"instId": "BTC-GBP"}, "51001"),
            ({"instId": ""}, "51001"),
            ({"instId": {}}, "51001"),
            ({"sz": "30"}, "51008"),
            ({"side": "sell", "sz": "21", "px": "55000"}, "51008"),
        ],
    )
    async def test_what_okx_would_not_take_is_refused(self, change, code):
        async with simulated(speed=1e-9) as client:
            said = await client.place(**{"px": "45000", **change})
            assert (said.status, said["code"], said.s_code) == (200, "1", code)
            assert said.row["sMsg"]
            assert client.truth()["orders"] == []
            assert all(balance["locked"] == "0" for balance in client.truth()["balances"].values())

    async def test_amounts_may_be_numbers_and_instruments_codes(self):
        async with simulated() as client:
            code = (await client.get("public/instruments", instType="SPOT", instId=SYMBOL)).row["instIdCode"]
            terms = {key: value for key, value in LIMIT.items() if key != "instId"}
            said = await client.post("trade/order", {**terms, "instIdCode": code, "px": 45000, "sz": 0.01, "tag": "t"})
            assert (said.s_code, said.row["tag"], said.row["clOrdId"]) == ("0", "t", "")
            found = (await client.get("trade/order", instId=SYMBOL, ordId=said.row["ordId"])).row
            assert (found["px"], found["sz"], found["tag"], found["clOrdId"]) == ("45000", "0.01", "t", "")

    async def test_a_client_order_id_is_never_taken_twice(self):
        async with simulated() as client:
            placed = await client.place(px="45000", clOrdId="mine")
            assert (await client.place(px="45000", clOrdId="mine")).s_code == "51016"
            await client.post("trade/cancel-order", {"instId": SYMBOL, "ordId": placed.row["ordId"]})
            assert (await client.place(px="45000", clOrdId="mine")).s_code == "51016"
            assert (await client.place({**MARKET, "instId": "ETH-USDT"}, clOrdId="mine")).s_code == "51016"
            assert len(client.truth()["orders"]) == 1

    async def test_what_was_refused_leaves_its_name_free(self):
        async with simulated() as client:
            assert (await client.place(px="45000", sz="30", clOrdId="mine")).s_code == "51008"
            assert (await client.place(px="45000", clOrdId="mine")).s_code == "0"


class TestLives:
    """What becomes of an order, and the source of its cancellation."""

    @pytest.mark.parametrize(
        ("kind", "part", "state", "source"),
        [
            ("limit", "0.9", "live", ""),
            ("limit", "1.01", "filled", ""),
            ("post_only", "0.9", "live", ""),
            ("post_only", "1.01", "canceled", "31"),
            ("ioc", "0.9", "canceled", "14"),
            ("ioc", "1.01", "filled", ""),
            ("fok", "0.9", "canceled", "13"),
            ("fok", "1.01", "filled", ""),
        ],
    )
    async def test_each_type_lives_as_it_should(self, kind, part, state, source):
        async with simulated(speed=1e-9) as client:
            said = await client.place(ordType=kind, px=client.price(part), clOrdId="mine")
            assert said.s_code == "0"
            found = (await client.get("trade/order", instId=SYMBOL, clOrdId="mine")).row
            assert (found["state"], found["cancelSource"], found["ordType"]) == (state, source, kind)
            assert (found["accFillSz"] == "0.01") is (state == "filled")
            assert bool(found["cancelSourceReason"]) is (source != "")

    async def test_a_market_order_that_finds_too_little_is_cancelled_for_the_rest(self):
        async with simulated(speed=1e-9, history=0.0) as client:
            exchange = client.venue.exchange
            sequence = exchange.books[SYMBOL].sequence + 1
            exchange.on_market(BookSnapshot(SYMBOL, client.venue.now(), sequence, [(49_000.0, 1.0)], [(51_000.0, 0.5)]))
            await client.place(MARKET, sz="0.7", clOrdId="mine")
            found = (await client.get("trade/order", instId=SYMBOL, clOrdId="mine")).row
            assert (found["state"], found["accFillSz"], found["cancelSource"]) == ("canceled", "0.5", "0")
            assert (found["avgPx"], found["fee"], found["feeCcy"]) == ("51000", "-0.0005", "BTC")

    async def test_an_order_that_meets_one_of_its_own_makes_that_one_end(self):
        async with simulated(speed=1e-9) as client:
            quote = client.venue.exchange.quotes[SYMBOL]
            between = str(Decimal(repr(quote.bid)) + Decimal("0.01"))
            maker = (await client.place(px=between)).row["ordId"]
            assert (await client.place(px=between, side="sell")).s_code == "0"
            found = (await client.get("trade/order", instId=SYMBOL, ordId=maker)).row
            assert (found["state"], found["cancelSource"]) == ("canceled", "32")

    async def test_fees_are_taken_from_what_comes_in(self):
        async with simulated(speed=1e-9) as client:
            bought, sold = [(await client.place(MARKET, side=side)).row["ordId"] for side in ("buy", "sell")]
            (buy,), (sell,) = [(await client.get("trade/fills", ordId=one)).rows for one in (bought, sold)]
            assert (buy["feeCcy"], buy["fee"], buy["feeRate"]) == ("BTC", "-0.00001", "-0.001")
            worth = Decimal(sell["fillPx"]) * Decimal(sell["fillSz"]) / 1000
            assert (sell["feeCcy"], Decimal(sell["fee"])) == ("USDT", -worth)
            assert (buy["execType"], buy["subType"], sell["subType"]) == ("T", "1", "2")

    async def test_a_maker_pays_less(self):
        async with simulated() as client:
            order = (await client.place(px=client.price("0.9999"), side="buy", sz="0.001")).row["ordId"]
            client.trade("0.9998")
            (fill,) = (await client.get("trade/fills", ordId=order)).rows
            assert (fill["execType"], fill["feeRate"]) == ("M", "-0.0008")


class TestAmountsInTheQuoteAsset:
    async def test_a_market_buy_spends_so_much_unless_told_otherwise(self):
        async with simulated(speed=1e-9) as client:
            terms = {key: value for key, value in MARKET.items() if key != "tgtCcy"}
            await client.place(terms, sz="200000", clOrdId="mine")
            found = (await client.get("trade/order", instId=SYMBOL, clOrdId="mine")).row
            assert (found["sz"], found["tgtCcy"], found["state"]) == ("200000", "quote_ccy", "filled")
            spent = 1_000_000 - Decimal(client.truth()["balances"]["USDT"]["free"])
            assert 0 <= 200_000 - spent < Decimal("0.6")  # the price of one lot is half a dollar
            assert Decimal(found["accFillSz"]) * Decimal(found["avgPx"]) == pytest.approx(spent)

    async def test_a_market_sell_sells_so_much_unless_told_otherwise(self):
        async with simulated(speed=1e-9) as client:
            terms = {key: value for key, value in MARKET.items() if key != "tgtCcy"}
            await client.place(terms, side="sell", sz="0.5", clOrdId="base")
            await client.place(terms, side="sell", sz="10000", tgtCcy="quote_ccy", clOrdId="quote")
            base = (await client.get("trade/order", instId=SYMBOL, clOrdId="base")).row
            quote = (await client.get("trade/order", instId=SYMBOL, clOrdId="quote")).row
            assert (base["accFillSz"], base["tgtCcy"]) == ("0.5", "base_ccy")
            assert 9_999 < Decimal(quote["accFillSz"]) * Decimal(quote["avgPx"]) <= 10_000

    async def test_all_there_is_can_be_spent(self):
        async with simulated(speed=1e-9) as client:
            assert (await client.place(MARKET, tgtCcy="quote_ccy", sz="1000000")).s_code == "0"
            assert Decimal(client.truth()["balances"]["USDT"]["free"]) < 1
            assert (await client.place(MARKET, tgtCcy="quote_ccy", sz="1000")).s_code == "51008"

    @pytest.mark.parametrize(("change", "code"), [({"sz": "0.1"}, "51020"), ({"tgtCcy": "both"}, "51000")])
    async def test_what_buys_nothing_is_refused(self, change, code):
        async with simulated(speed=1e-9) as client:
            assert (await client.place(MARKET, **{"tgtCcy": "quote_ccy", **change})).s_code == code

    async def test_a_market_order_has_a_largest_value(self):
        async with simulated(speed=1e-9) as client:
            assert (await client.place(MARKET, side="sell", sz="21")).s_code == "51201"


class TestCancels:
    async def test_what_is_not_open_cannot_be_cancelled(self):
        async with simulated(speed=1e-9) as client:
            order = (await client.place(px="45000", clOrdId="mine")).row["ordId"]
            assert (await client.post("trade/cancel-order", {"instId": "ETH-USDT", "ordId": order})).s_code == "51400"
            assert (await client.post("trade/cancel-order", {"instId": SYMBOL, "clOrdId": "mine"})).s_code == "0"
            await client.place(MARKET, clOrdId="filled")
            for name in ("mine", "filled", "never"):
                said = await client.post("trade/cancel-order", {"instId": SYMBOL, "clOrdId": name})
                assert (said["code"], said.s_code, said.row["clOrdId"]) == ("1", "51400", name)
            assert (await client.post("trade/cancel-order", {"instId": SYMBOL})).s_code == "51407"
            assert (await client.post("trade/cancel-order", {"ordId": order})).s_code == "51001"


class TestAmendments:
    async def test_price_and_quantity_change_and_what_has_filled_stays(self):
        async with simulated(speed=1e-9, history=0.0) as client:
            exchange = client.venue.exchange
            sequence = exchange.books[SYMBOL].sequence + 1
            exchange.on_market(BookSnapshot(SYMBOL, client.venue.now(), sequence, [(49_000.0, 1.0)], [(51_000.0, 0.5)]))
            order = (await client.place(px="51000", sz="0.7")).row["ordId"]
            amended = await client.post("trade/amend-order", {"instId": SYMBOL, "ordId": order, "newSz": "0.9"})
            assert (amended.s_code, amended.row["ordId"]) == ("0", order)
            found = (await client.get("trade/order", instId=SYMBOL, ordId=order)).row
            assert (found["sz"], found["accFillSz"], found["state"]) == ("0.9", "0.5", "partially_filled")
            assert Decimal(client.truth()["balances"]["USDT"]["locked"]) == 20_400
            body = {"instId": SYMBOL, "ordId": order, "newPx": "50500", "reqId": "r1"}
            assert (await client.post("trade/amend-order", body)).row["reqId"] == "r1"
            found = (await client.get("trade/order", instId=SYMBOL, ordId=order)).row
            assert (found["px"], found["sz"], found["accFillSz"]) == ("50500", "0.9", "0.5")
            small = await client.post("trade/amend-order", {"instId": SYMBOL, "ordId": order, "newSz": "0.5"})
            assert small.s_code == "51000"

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({}, "51500"),
            ({"newSz": "0.000015"}, "51121"),
            ({"newSz": "0.000001"}, "51020"),
            ({"newPx": "45000.001"}, "51006"),
            ({"newPx": "-1"}, "51000"),
            ({"newSz": "30"}, "51502"),
        ],
    )
    async def test_what_is_refused_leaves_the_order_as_it_was(self, change, code):
        async with simulated(speed=1e-9) as client:
            order = (await client.place(px="45000")).row["ordId"]
            said = await client.post("trade/amend-order", {"instId": SYMBOL, "ordId": order, **change})
            assert said.s_code == code
            found = (await client.get("trade/order", instId=SYMBOL, ordId=order)).row
            assert (found["px"], found["sz"], found["state"]) == ("45000", "0.01", "live")
            assert Decimal(client.truth()["balances"]["USDT"]["locked"]) == 450

    async def test_a_post_only_order_is_not_amended_to_take(self):
        async with simulated(speed=1e-9) as client:
            order = (await client.place(px="45000", ordType="post_only")).row["ordId"]
            body = {"instId": SYMBOL, "ordId": order, "newPx": client.price("1.01")}
            assert (await client.post("trade/amend-order", body)).s_code == "51511"
            assert (await client.get("trade/order", instId=SYMBOL, ordId=order)).row["state"] == "live"
            assert (await client.post("trade/amend-order", {**body, "cxlOnFail": "true"})).s_code == "51511"
            assert (await client.get("trade/order", instId=SYMBOL, ordId=order)).row["state"] == "canceled"

    async def test_what_is_not_open_cannot_be_amended(self):
        async with simulated(speed=1e-9) as client:
            await client.place(MARKET, clOrdId="mine")
            for name in ("mine", "never"):
                body = {"instId": SYMBOL, "clOrdId": name, "newSz": "1"}
                assert (await client.post("trade/amend-order", body)).s_code == "51503"
            assert (await client.post("trade/amend-order", {"instId": SYMBOL, "newSz": "1"})).s_code == "51003"


class TestBatches:
    async def test_a_batch_may_succeed_in_part(self):
        async with simulated(speed=1e-9) as client:
            good, bad = {**LIMIT, "px": "45000", "clOrdId": "good"}, {**LIMIT, "px": "45000", "clOrdId": "good"}
            said = await client.post("trade/batch-orders", [good, bad, {**MARKET, "side": "sell"}])
            assert (said.status, said["code"], said["msg"]) == (200, "2", "Bulk operation partially succeeded.")
            assert [row["sCode"] for row in said.rows] == ["0", "51016", "0"]
            assert said.rows[1]["clOrdId"] == "good"
            assert len(client.truth()["orders"]) == 2
            names = [{"instId": SYMBOL, "clOrdId": name} for name in ("good", "never")]
            amended = await client.post("trade/amend-batch-orders", [{**one, "newPx": "44000"} for one in names])
            assert ([row["sCode"] for row in amended.rows], amended["code"]) == (["0", "51503"], "2")
            cancelled = await client.post("trade/cancel-batch-orders", names)
            assert ([row["sCode"] for row in cancelled.rows], cancelled["code"]) == (["0", "51400"], "2")
            again = await client.post("trade/cancel-batch-orders", names)
            assert (again["code"], again["msg"]) == ("1", "All operations failed")

    async def test_a_batch_has_a_largest_size(self):
        async with simulated(limits=()) as client:
            for path, most, code in (
                ("trade/batch-orders", 20, "51111"),
                ("trade/cancel-batch-orders", 20, "51406"),
                ("trade/amend-batch-orders", 20, "51501"),
                ("trade/cancel-algos", 10, "51406"),
            ):
                bodies = [{**LIMIT, "ordId": str(number)} for number in range(most + 1)]
                assert (await client.post(path, bodies))["code"] == code
                assert (await client.post(path, bodies[:-1]))["code"] == "1"

    async def test_an_order_is_amended_once_in_a_batch(self):
        async with simulated() as client:
            order = (await client.place(px="45000")).row["ordId"]
            body = {"instId": SYMBOL, "ordId": order, "newPx": "44000"}
            assert (await client.post("trade/amend-batch-orders", [body, body]))["code"] == "51512"

    async def test_over_the_socket_the_parts_say_why(self):
        async with simulated() as client, client.socket(PRIVATE) as socket:
            good, bad = {**LIMIT, "px": "45000", "clOrdId": "good"}, {**LIMIT, "px": "45000", "sz": "30"}
            said = await socket.call("batch-orders", good, bad)
            assert (said["code"], said["msg"], [row["sCode"] for row in said["data"]]) == ("2", "", ["0", "51008"])
            name = {"instId": SYMBOL, "clOrdId": "good"}
            assert (await socket.call("amend-order", {**name, "newPx": "44000"}))["data"][0]["sCode"] == "0"
            assert (await socket.call("batch-amend-orders", {**name, "newPx": "43000"}))["code"] == "0"
            assert (await socket.call("cancel-order", name))["code"] == "0"
            assert (await socket.call("batch-cancel-orders", name))["data"][0]["sCode"] == "51400"
            assert (await socket.call("order", good, bad))["data"][0]["sCode"] == "51016"


class TestExpiry:
    async def test_a_request_is_not_carried_out_after_its_time(self):
        async with simulated() as client, client.socket(PRIVATE) as socket:
            client.changed = {"expTime": str(client.now() - 1)}
            assert (await client.place(px="45000"))["code"] == "50036"
            assert (await client.post("trade/batch-orders", [LIMIT]))["code"] == "50036"
            assert (await client.post("trade/cancel-order", {"instId": SYMBOL, "ordId": "1"})).s_code == "51400"
            terms = {**LIMIT, "px": "45000"}
            assert (await socket.call("order", terms, expTime=str(client.now() - 1)))["code"] == "50036"
            assert (await socket.call("order", terms, expTime=str(client.now() + 1_000)))["code"] == "0"
            client.changed = {"expTime": str(client.now() + 1_000)}
            assert (await client.place(px="45000")).s_code == "0"
            client.changed = {"expTime": "tomorrow"}
            assert (await client.place(px="45000"))["code"] == "51000"

    @pytest.mark.parametrize(("seconds", "accepted"), [(0.6, 1), (1.2, 0)])
    async def test_the_time_is_checked_again_when_a_request_comes_to_the_engine(self, seconds, accepted):
        """A request that is late waits in the engine for as long as that may take, and on its way before that."""
        late = {"kind": "late-accept", "where": "request:order.place", "every": 1, "limit": 1, "seconds": seconds}
        async with simulated(late, engine_timeout=0.3) as client:
            client.changed = {"expTime": str(client.now() + 500)}
            said = await client.place(px="45000", clOrdId="late")
            assert (said.status, said["code"]) == (400, "50004")
            assert (await client.get("trade/order", instId=SYMBOL, clOrdId="late"))["code"] == "51603"
            await asyncio.sleep(seconds + 0.2)
            found = await client.get("trade/order", instId=SYMBOL, clOrdId="late")
            assert (len(client.truth()["orders"]), found["code"]) == (accepted, "0" if accepted else "51603")


class TestStops:
    async def test_a_stop_loss_waits_and_places_an_order_under_its_own_name(self):
        async with simulated(speed=1e-9) as client:
            said = await client.post("trade/order-algo", {**STOP, "slTriggerPx": "45000", "algoClOrdId": "stop"})
            assert said.s_code == "0"
            algo = said.row["algoId"]
            assert client.truth()["orders"] == []
            assert client.truth()["balances"]["BTC"]["locked"] == "0"
            (waiting,) = (await client.get("trade/orders-algo-pending", ordType="conditional")).rows
            assert (waiting["algoId"], waiting["state"], waiting["slTriggerPx"]) == (algo, "live", "45000")
            assert (waiting["slOrdPx"], waiting["tpTriggerPx"], waiting["ordId"]) == ("-1", "", "")
            client.trade("0.95")
            assert (await client.get("trade/order-algo", algoId=algo)).row["state"] == "live"
            client.trade("0.9")
            found = (await client.get("trade/order-algo", algoClOrdId="stop")).row
            assert (found["state"], found["actualSide"], found["ordIdList"]) == ("effective", "sl", [found["ordId"]])
            order = (await client.get("trade/order", instId=SYMBOL, ordId=found["ordId"])).row
            assert (order["algoId"], order["algoClOrdId"], order["clOrdId"]) == (algo, "stop", "")
            assert (order["state"], order["source"], order["ordType"]) == ("filled", "7", "market")
            assert (await client.get("trade/orders-algo-pending", ordType="conditional")).rows == []
            history = await client.get("trade/orders-algo-history", ordType="conditional", state="effective")
            assert history.rows == [found]
            (fill,) = (await client.get("trade/fills", ordId=found["ordId"])).rows
            assert fill["clOrdId"] == ""

    @pytest.mark.parametrize(
        ("terms", "reached"),
        [
            ({"side": "buy", "slTriggerPx": "1.1"}, "1.11"),
            ({"side": "sell", "tpTriggerPx": "1.1", "tpOrdPx": "-1"}, "1.11"),
            ({"side": "buy", "tpTriggerPx": "0.9", "tpOrdPx": "-1"}, "0.89"),
            ({"ordType": "trigger", "triggerPx": "1.1", "orderPx": "-1"}, "1.11"),
            ({"ordType": "trigger", "triggerPx": "0.9", "orderPx": "-1"}, "0.89"),
        ],
    )
    async def test_each_kind_waits_for_its_own_side(self, terms, reached):
        async with simulated(speed=1e-9) as client:
            prices = {name: client.price(value) for name, value in terms.items() if name.endswith("TriggerPx")}
            prices |= {"triggerPx": client.price(terms["triggerPx"])} if "triggerPx" in terms else {}
            given = {**STOP, **terms, **prices}
            algo = (await client.post("trade/order-algo", given)).row["algoId"]
            client.trade("2" if reached.startswith("0") else "0.5")
            assert (await client.get("trade/order-algo", algoId=algo)).row["state"] == "live"
            start = Decimal(client.price("1")) / (2 if reached.startswith("0") else Decimal("0.5"))
            client.trade(str(start * Decimal(reached) / Decimal(client.price("1"))))
            assert (await client.get("trade/order-algo", algoId=algo)).row["state"] == "effective"

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"slTriggerPx": "60000"}, "51280"),
            ({"slTriggerPx": "40000", "side": "buy"}, "51278"),
            ({"tpTriggerPx": "40000", "tpOrdPx": "-1"}, "51279"),
            ({"tpTriggerPx": "60000", "tpOrdPx": "-1", "side": "buy"}, "51277"),
            ({"slTriggerPx": "45000.001"}, "51000"),
            ({"slTriggerPx": ""}, "50014"),
            ({"slTriggerPx": "45000", "slOrdPx": ""}, "51204"),
            ({"slTriggerPx": "45000", "slOrdPx": "44000.001"}, "51006"),
            ({"slTriggerPx": "45000", "sz": "0.000015"}, "51121"),
            ({"slTriggerPx": "45000", "ordType": "oco"}, "51000"),
            ({"slTriggerPx": "45000", "tpTriggerPx": "55000"}, "51000"),
            ({"slTriggerPx": "45000", "algoClOrdId": "a-b"}, "51000"),
            ({"slTriggerPx": "45000", "algoClOrdId": "taken"}, "51065"),
        ],
    )
    async def test_what_okx_would_not_take_is_refused(self, change, code):
        async with simulated(speed=1e-9) as client:
            assert (
                await client.post("trade/order-algo", {**STOP, "slTriggerPx": "1", "algoClOrdId": "taken"})
            ).s_code == "0"
            assert (await client.post("trade/order-algo", {**STOP, **change})).s_code == code

    async def test_a_stop_is_amended_and_cancelled(self):
        async with simulated(speed=1e-9) as client:
            given = {**STOP, "slTriggerPx": "45000", "slOrdPx": "44000", "algoClOrdId": "stop"}
            algo = (await client.post("trade/order-algo", given)).row["algoId"]
            body = {"instId": SYMBOL, "algoId": algo}
            changed = {**body, "newSz": "0.02", "newSlTriggerPx": "46000", "newSlOrdPx": "45500", "reqId": "r"}
            assert (await client.post("trade/amend-algos", changed)).row["reqId"] == "r"
            found = (await client.get("trade/order-algo", algoClOrdId="stop")).row
            assert (found["sz"], found["slTriggerPx"], found["slOrdPx"]) == ("0.02", "46000", "45500")
            assert (await client.post("trade/amend-algos", {**body, "newSlOrdPx": "-1"})).s_code == "0"
            assert (await client.get("trade/order-algo", algoId=algo)).row["slOrdPx"] == "-1"
            assert (await client.post("trade/amend-algos", {**body, "newSlTriggerPx": "60000"})).s_code == "51280"
            assert (await client.post("trade/amend-algos", body)).s_code == "51500"
            said = await client.post("trade/cancel-algos", [body, {**body, "algoId": "1"}])
            assert ([row["sCode"] for row in said.rows], said["code"]) == (["0", "51400"], "2")
            assert (await client.post("trade/amend-algos", {**body, "newSz": "1"})).s_code == "51503"
            assert (await client.get("trade/order-algo", algoId=algo)).row["state"] == "canceled"
            assert (await client.get("trade/order-algo", algoId="1"))["code"] == "51603"
            assert (await client.get("trade/order-algo"))["code"] == "51003"
            client.trade("0.8")
            assert client.truth()["orders"] == []

    async def test_an_order_that_cannot_be_placed_says_why(self):
        async with simulated(speed=1e-9) as client:
            algo = (await client.post("trade/order-algo", {**STOP, "sz": "19", "slTriggerPx": "45000"})).row["algoId"]
            await client.place(px="60000", side="sell", sz="5")
            client.trade("0.89")
            found = (await client.get("trade/order-algo", algoId=algo)).row
            assert (found["state"], found["failCode"], found["ordId"]) == ("order_failed", "51008", "")

    async def test_kinds_must_be_named(self):
        async with simulated() as client:
            assert (await client.get("trade/orders-algo-pending"))["code"] == "51000"
            assert (await client.get("trade/orders-algo-pending", ordType="oco")).rows == []
            assert (await client.get("trade/orders-algo-history", ordType="conditional"))["code"] == "50014"


class TestDeadManSwitch:
    async def test_everything_is_cancelled_but_algo_orders(self, monkeypatch):
        waited = []
        sleep = asyncio.sleep

        async def soon(seconds: float) -> None:
            waited.append(seconds)
            await sleep(seconds / 100)

        async with simulated(speed=1e-9) as client:
            await client.place(px="45000", clOrdId="one")
            await client.place(px="44000", instId="BTC-EUR", clOrdId="two")
            await client.post("trade/order-algo", {**STOP, "slTriggerPx": "45000"})
            monkeypatch.setattr("axon_exchange_okx.simulator.simulator.asyncio.sleep", soon)
            armed = await client.post("trade/cancel-all-after", {"timeOut": "60", "tag": "t"})
            assert 59_900 < int(armed.row["triggerTime"]) - int(armed.row["ts"]) <= 60_000
            armed = await client.post("trade/cancel-all-after", {"timeOut": "30"})
            await sleep(0.2)
            assert len((await client.get("trade/orders-pending")).rows) == 2
            await sleep(0.3)
            monkeypatch.undo()
            assert 30 in waited
            ended = (await client.get("trade/orders-history", instType="SPOT")).rows
            assert [(row["state"], row["cancelSource"]) for row in ended] == [("canceled", "20")] * 2
            assert len((await client.get("trade/orders-algo-pending", ordType="conditional")).rows) == 1

    async def test_it_is_disarmed(self):
        async with simulated(limits=()) as client:
            await client.post("trade/cancel-all-after", {"timeOut": "10"})
            assert (await client.post("trade/cancel-all-after", {"timeOut": "0"})).row["triggerTime"] == "0"
            assert client.venue._deadlines == {}
            for seconds in ("9", "121", "-1", "ten", ""):
                said = await client.post("trade/cancel-all-after", {"timeOut": seconds})
                assert said["code"] in ("51000", "50014")
