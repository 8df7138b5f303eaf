"""What the Binance simulator answers to requests, by REST and over the WebSocket API."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from simulated import LIMIT, MARKET, OTHER_KEY, OTHER_SECRET, Client, simulated

from axon_exchange_binance.simulator.identity import identified, signature, signed_parameters, signed_text
from axon_quant.exchange.simulator import Account, Limit

STOP = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_LOSS", "quantity": "0.01"}


def code(said) -> tuple[int, str]:
    return said["code"], said["msg"]


class TestSignatures:
    @pytest.fixture
    def vectors(self, recorded_sessions: Path) -> list[dict[str, str]]:
        path = recorded_sessions / "binance_signing_vectors.json"
        if not path.exists():
            pytest.skip(f"no signing vectors at {path}")
        return json.loads(path.read_text())["hmac"]

    def test_they_are_what_binance_publishes(self, vectors):
        for vector in vectors:
            assert signature(vector["secretKey"], vector["payload"]) == vector["signature"], vector["source"]

    def test_published_requests_are_identified(self, vectors):
        """As they would come: by query, and as the parameters of the WebSocket API."""
        for vector in vectors:
            given = dict(part.split("=", 1) for part in vector["payload"].split("&"))
            account = Account("main", vector["apiKey"], vector["secretKey"])
            entered = int(given["timestamp"]) * 1_000_000
            payload = signed_text(f"{vector['payload']}&signature={vector['signature']}", "")
            if "apiKey" in given:
                payload = signed_parameters({**given, "signature": vector["signature"]})
            found = identified(
                {account.key: account}, {**given, "signature": vector["signature"]}, account.key, payload, entered
            )
            assert found is account

    def test_query_and_body_are_signed_as_they_were_sent(self):
        assert signed_text("a=1&b=2", "c=3&signature=00") == "a=1&b=2c=3"
        assert signed_text("signature=00&a=1", "") == "&a=1"

    async def test_a_wrong_one_is_refused(self):
        async with simulated() as client:
            client.secret = "WRONG"
            said = await client.ask("GET", "account")
            assert (said.status, *code(said)) == (400, -1022, "Signature for this request is not valid.")

    async def test_keys_are_checked_first(self):
        async with simulated() as client:
            client.key = "NOBODY"
            said = await client.ask("GET", "account")
            assert (said.status, *code(said)) == (401, -2015, "Invalid API-key, IP, or permissions for action.")
            client.key = "no/key"
            assert code(await client.ask("GET", "account")) == (-2014, "API-key format invalid.")
            assert (await client.get("account"))["code"] == -2014


class TestTime:
    async def test_a_request_is_valid_for_its_window(self):
        async with simulated() as client:
            client.stamp = -6_000
            late = await client.ask("GET", "account")
            assert code(late) == (-1021, "Timestamp for this request is outside of the recvWindow.")
            assert (await client.ask("GET", "account", recvWindow=7_000)).status == 200
            client.stamp = 1_500
            early = await client.ask("GET", "account")
            assert code(early) == (-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
            client.stamp = 0
            assert code(await client.ask("GET", "account", recvWindow=60_001))[0] == -1131
            assert code(await client.ask("GET", "account", recvWindow="abc"))[0] == -1100

    async def test_microseconds_do_as_well(self):
        async with simulated() as client:
            assert (await client.ask("GET", "account", timestamp=client.venue.now() // 1_000)).status == 200

    async def test_the_venue_s_clock_may_be_ahead(self):
        async with simulated(drift_ms=5_000) as client:
            client.stamp = -5_100  # a client with the right time
            assert code(await client.ask("GET", "account"))[0] == -1021
            server = (await client.get("time"))["serverTime"]
            assert abs(server - client.now() - 5_100) < 1_000


class TestParameters:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"symbol": "NOPE"}, (-1121, "Invalid symbol.")),
            ({"side": "HOLD"}, (-1117, "Invalid side.")),
            ({"type": "MAYBE"}, (-1116, "Invalid orderType.")),
            ({"timeInForce": "DAY"}, (-1115, "Invalid timeInForce.")),
            ({"quantity": "ten"}, (-1100, "Illegal characters found in parameter 'quantity'")),
            ({"quantity": "-1"}, (-1100, "Illegal characters found in parameter 'quantity'")),
            ({"quantity": "0"}, (-1013, "Invalid quantity.")),
            ({"price": "1e5"}, (-1100, "Illegal characters found in parameter 'price'")),
            ({"price": "0.0"}, (-1013, "Invalid price.")),
            ({"quantity": "0.123456789"}, (-1111, "Parameter 'quantity' has too much precision.")),
            ({"newClientOrderId": "a b"}, (-1100, "Illegal characters found in parameter 'newClientOrderId'")),
            ({"newClientOrderId": "x" * 37}, (-1100, "Illegal characters found in parameter 'newClientOrderId'")),
            ({"newClientOrderId": ""}, (-1105, "Parameter 'newClientOrderId' was empty.")),
            ({"colour": "red"}, (-1104, "Not all sent parameters were read; read '8' parameter(s) but was sent '9'.")),
            ({"stopPrice": "1"}, (-1106, "Parameter 'stopPrice' sent when not required.")),
            ({"icebergQty": "1"}, (-2010, "Iceberg orders are not supported for this symbol.")),
            ({"newOrderRespType": "LONG"}, (-1130, "Data sent for parameter 'newOrderRespType' is not valid.")),
        ],
    )
    async def test_each_mistake_has_its_code(self, changes, expected):
        async with simulated() as client:
            said = await client.place(**{"price": client.price("0.9"), **changes})
            assert said.status == 400
            assert said["code"] == expected[0]
            assert said["msg"].startswith(expected[1])
            assert client.venue.exchange.accounts[client.key].orders == {}

    @pytest.mark.parametrize("name", ["symbol", "side", "type", "timeInForce", "quantity", "price"])
    async def test_what_is_missing_is_named(self, name):
        async with simulated() as client:
            terms = {**LIMIT, "price": client.price("0.9")}
            del terms[name]
            expected = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
            assert code(await client.place(terms)) == (-1102, expected)

    async def test_a_market_order_has_no_price(self):
        async with simulated() as client:
            assert code(await client.place(MARKET, price="1"))[0] == -1106
            assert code(await client.place(MARKET, timeInForce="GTC"))[0] == -1106

    async def test_a_path_that_is_none_is_not_found(self):
        async with simulated() as client:
            assert (await client.get("nothing")).status == 404


class TestFilters:
    @pytest.mark.parametrize(
        ("changes", "name"),
        [
            ({"price": "45000.001"}, "PRICE_FILTER"),
            ({"price": "1000000.01"}, "PRICE_FILTER"),
            ({"quantity": "0.000015"}, "LOT_SIZE"),
            ({"quantity": "9000.1"}, "LOT_SIZE"),
            ({"price": "9000"}, "PERCENT_PRICE_BY_SIDE"),
            ({"price": "300000"}, "PERCENT_PRICE_BY_SIDE"),
            ({"quantity": "0.00001"}, "NOTIONAL"),
            ({"quantity": "300"}, "NOTIONAL"),
        ],
    )
    async def test_each_says_its_name(self, changes, name):
        async with simulated() as client:
            said = await client.place(**{"price": "45000.00", **changes})
            assert (said.status, *code(said)) == (400, -1013, f"Filter failure: {name}")

    async def test_market_orders_have_their_own(self):
        async with simulated() as client:
            assert code(await client.place(MARKET, quantity="0.00005"))[1] == "Filter failure: NOTIONAL"
            assert code(await client.place(MARKET, quantity="200"))[1] == "Filter failure: MARKET_LOT_SIZE"

    async def test_so_many_orders_may_stand_and_no_more(self):
        async with simulated(limits=(Limit("weight", 10**6, 60.0),)) as client:
            for _ in range(200):
                assert (await client.place(price="40000")).status == 200
            assert code(await client.place(price="40000"))[1] == "Filter failure: MAX_NUM_ORDERS"
            await client.ask("DELETE", "openOrders", symbol="BTCUSDT")
            for _ in range(5):
                assert (await client.place(STOP, stopPrice="40000")).status == 200
            assert code(await client.place(STOP, stopPrice="40000"))[1] == "Filter failure: MAX_NUM_ALGO_ORDERS"
            assert (await client.place(price="40000")).status == 200

    async def test_a_test_order_goes_through_them_and_is_not_placed(self):
        async with simulated() as client:
            assert (await client.ask("POST", "order/test", **{**LIMIT, "price": "45000"})).body == {}
            said = await client.ask("POST", "order/test", **{**LIMIT, "price": "45000.001"})
            assert code(said)[1] == "Filter failure: PRICE_FILTER"
            assert (await client.ask("GET", "openOrders")).body == []

    async def test_they_stand_in_exchange_info(self):
        async with simulated() as client:
            (row,) = (await client.get("exchangeInfo", symbol="BTCUSDT"))["symbols"]
            kinds = [entry["filterType"] for entry in row["filters"]]
            assert kinds[:5] == ["PRICE_FILTER", "LOT_SIZE", "MARKET_LOT_SIZE", "PERCENT_PRICE_BY_SIDE", "NOTIONAL"]
            several = await client.get("exchangeInfo", symbols='["BTCUSDT","ETHUSDT"]')
            assert [each["symbol"] for each in several["symbols"]] == ["BTCUSDT", "ETHUSDT"]
            assert len((await client.get("exchangeInfo"))["symbols"]) == 10
            assert code(await client.get("exchangeInfo", symbol="NOPE"))[0] == -1121


class TestOrders:
    async def test_an_order_lives_and_is_cancelled(self):
        async with simulated() as client:
            placed = await client.place(price="45000", newClientOrderId="mine")
            assert (placed["status"], placed["fills"]) == ("NEW", [])
            for which in ({"orderId": placed["orderId"]}, {"origClientOrderId": "mine"}):
                found = await client.ask("GET", "order", symbol="BTCUSDT", **which)
                assert (found["orderId"], found["clientOrderId"], found["price"]) == (
                    placed["orderId"],
                    "mine",
                    "45000.00000000",
                )
            cancelled = await client.ask("DELETE", "order", symbol="BTCUSDT", origClientOrderId="mine")
            assert (cancelled["status"], cancelled["origClientOrderId"]) == ("CANCELED", "mine")
            again = await client.ask("DELETE", "order", symbol="BTCUSDT", origClientOrderId="mine")
            assert (again.status, *code(again)) == (400, -2011, "Unknown order sent.")
            assert (await client.ask("GET", "order", symbol="BTCUSDT", origClientOrderId="mine"))[
                "status"
            ] == "CANCELED"

    async def test_answers_are_as_long_as_was_asked_for(self):
        async with simulated() as client:
            lengths = [
                len(await client.place(price="45000", newOrderRespType=kind)) for kind in ("ACK", "RESULT", "FULL")
            ]
            assert lengths == sorted(lengths)
            assert "fills" in await client.place(MARKET)
            assert "status" not in await client.place(STOP, stopPrice="40000")

    async def test_a_market_order_fills_and_its_trades_add_up(self):
        async with simulated() as client:
            bought = await client.place(MARKET, quantity="3")
            assert bought["status"] == "FILLED"
            assert sum(Decimal(fill["qty"]) for fill in bought["fills"]) == 3
            value = sum(Decimal(fill["qty"]) * Decimal(fill["price"]) for fill in bought["fills"])
            assert Decimal(bought["cummulativeQuoteQty"]) == value
            trades = (await client.ask("GET", "myTrades", symbol="BTCUSDT")).body
            assert [trade["id"] for trade in trades] == [fill["tradeId"] for fill in bought["fills"]]
            assert {trade["commissionAsset"] for trade in trades} == {"BTC"}
            page = (await client.ask("GET", "myTrades", symbol="BTCUSDT", fromId=trades[-1]["id"])).body
            assert page == trades[-1:]
            assert code(await client.ask("GET", "myTrades", symbol="BTCUSDT", fromId=1, startTime=1))[0] == -1128
            balances = {row["asset"]: row for row in (await client.ask("GET", "account"))["balances"]}
            assert Decimal(balances["BTC"]["free"]) == 20 + 3 - Decimal("0.003")
            assert Decimal(balances["USDT"]["free"]) == 1_000_000 - value

    async def test_a_market_order_may_be_by_value(self):
        async with simulated() as client:
            terms = {name: text for name, text in MARKET.items() if name != "quantity"}
            bought = await client.place(terms, quoteOrderQty="1000")
            assert 999 < Decimal(bought["cummulativeQuoteQty"]) <= 1000
            assert bought["origQuoteOrderQty"] == "1000.00000000"
            assert code(await client.place(MARKET, quoteOrderQty="1000"))[0] == -1106

    async def test_a_client_order_id_is_free_once_its_order_is_finished(self):
        """So a market order that is sent again fills again: this is what makes blind resending dangerous."""
        async with simulated() as client:
            first = await client.place(MARKET, newClientOrderId="same")
            second = await client.place(MARKET, newClientOrderId="same")
            assert first["status"] == second["status"] == "FILLED"
            assert (await client.place(price="45000", newClientOrderId="open")).status == 200
            again = await client.place(price="45000", newClientOrderId="open")
            assert code(again) == (-2010, "Duplicate order sent.")
            found = await client.ask("GET", "order", symbol="BTCUSDT", origClientOrderId="same")
            assert found["orderId"] == second["orderId"]

    async def test_orders_of_another_account_are_not_visible(self):
        async with simulated() as client:
            placed = await client.place(price="45000", newClientOrderId="mine")
            other = Client(client.venue, OTHER_KEY, OTHER_SECRET)
            try:
                assert (await other.ask("GET", "openOrders")).body == []
                for which in ({"orderId": placed["orderId"]}, {"origClientOrderId": "mine"}):
                    seen = await other.ask("GET", "order", symbol="BTCUSDT", **which)
                    assert code(seen) == (-2013, "Order does not exist.")
                    assert code(await other.ask("DELETE", "order", symbol="BTCUSDT", **which))[0] == -2011
                assert (await other.place(price="45000", newClientOrderId="mine")).status == 200
            finally:
                await other.close()

    @pytest.mark.parametrize(
        ("terms", "message"),
        [
            ({"quantity": "25", "price": "45000"}, "Account has insufficient balance for requested action."),
            ({"type": "LIMIT_MAKER", "price": "60000"}, "Order would immediately match and take."),
            (
                {"side": "SELL", "type": "STOP_LOSS", "stopPrice": "60000"},
                "Order would trigger immediately.",
            ),
        ],
    )
    async def test_the_engine_refuses_in_binance_s_words(self, terms, message):
        async with simulated() as client:
            wanted = {**LIMIT, **terms}
            if wanted["type"] != "LIMIT":
                del wanted["timeInForce"]
            assert code(await client.place(wanted)) == (-2010, message)

    async def test_ioc_and_fok(self):
        async with simulated() as client:
            ioc = await client.place(price="45000", timeInForce="IOC")
            fok = await client.place(price=client.price("1.1"), timeInForce="FOK", quantity="0.5")
            assert (ioc["status"], fok["status"]) == ("EXPIRED", "FILLED")

    async def test_all_orders_of_a_symbol_are_cancelled(self):
        async with simulated() as client:
            for price in ("45000", "45001"):
                await client.place(price=price)
            cancelled = (await client.ask("DELETE", "openOrders", symbol="BTCUSDT")).body
            assert [row["status"] for row in cancelled] == ["CANCELED", "CANCELED"]
            assert code(await client.ask("DELETE", "openOrders", symbol="BTCUSDT"))[0] == -2011

    async def test_history_is_in_pages(self):
        async with simulated() as client:
            ids = [(await client.place(price="45000"))["orderId"] for _ in range(5)]
            page = (await client.ask("GET", "allOrders", symbol="BTCUSDT", orderId=ids[1], limit=2)).body
            assert [row["orderId"] for row in page] == ids[1:3]
            newest = (await client.ask("GET", "allOrders", symbol="BTCUSDT", limit=2)).body
            assert [row["orderId"] for row in newest] == ids[3:]

    async def test_cancel_restrictions(self):
        async with simulated() as client:
            placed = await client.place(price="45000")
            which = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
            kept = await client.ask("DELETE", "order", **which, cancelRestrictions="ONLY_PARTIALLY_FILLED")
            assert code(kept) == (-2011, "Order was not canceled due to cancel restrictions.")
            wrong = await client.ask("DELETE", "order", **which, cancelRestrictions="SOMETIMES")
            assert code(wrong) == (-1145, "Invalid cancelRestrictions")
            assert (await client.ask("DELETE", "order", **which, cancelRestrictions="ONLY_NEW")).status == 200

    async def test_a_quantity_may_be_amended_downwards(self):
        async with simulated() as client:
            placed = await client.place(price="45000", newClientOrderId="old")
            which = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
            amended = await client.ask(
                "PUT", "order/amend/keepPriority", **which, newQty="0.004", newClientOrderId="new"
            )
            order = amended["amendedOrder"]
            assert (order["qty"], order["origClientOrderId"], order["clientOrderId"]) == ("0.00400000", "old", "new")
            more = await client.ask("PUT", "order/amend/keepPriority", **which, newQty="0.008")
            assert code(more)[0] == -2038
            assert (await client.ask("GET", "order", symbol="BTCUSDT", origClientOrderId="new")).status == 200

    async def test_a_take_profit_waits_on_the_other_side(self):
        async with simulated() as client:
            terms = {"symbol": "BTCUSDT", "side": "SELL", "type": "TAKE_PROFIT_LIMIT", "timeInForce": "GTC"}
            terms |= {"quantity": "0.01", "price": client.price("1.1"), "stopPrice": client.price("1.1")}
            placed = await client.place(terms)
            found = await client.ask("GET", "order", symbol="BTCUSDT", orderId=placed["orderId"])
            assert (found["status"], found["isWorking"], found["type"]) == ("NEW", False, "TAKE_PROFIT_LIMIT")
            assert code(await client.place({**terms, "type": "STOP_LOSS_LIMIT"}))[0] == -2010

    async def test_an_order_expires_for_one_of_the_same_account(self):
        async with simulated(speed=1e-9) as client:
            async with client.events() as events:
                bid = Decimal((await client.get("ticker/bookTicker", symbol="BTCUSDT"))["bidPrice"])
                maker = await client.place(price=f"{bid + Decimal('0.01')}")
                await client.place({**LIMIT, "side": "SELL"}, price=f"{bid}")
                report = await events.report("TRADE_PREVENTION")
                assert (report["i"], report["X"]) == (maker["orderId"], "EXPIRED_IN_MATCH")
            found = await client.ask("GET", "order", symbol="BTCUSDT", orderId=maker["orderId"])
            assert found["status"] == "EXPIRED_IN_MATCH"


class TestReplacements:
    async def replace(self, client: Client, old: int, *, mode: str = "STOP_ON_FAILURE", **changes: object):
        terms = {**LIMIT, "price": "45000", **changes, "cancelReplaceMode": mode, "cancelOrderId": old}
        return await client.ask("POST", "order/cancelReplace", **terms)

    async def test_both_halves(self):
        async with simulated() as client:
            old = await client.place(price="45000")
            said = await self.replace(client, old["orderId"], quantity="0.02")
            assert (said["cancelResult"], said["newOrderResult"]) == ("SUCCESS", "SUCCESS")
            (left,) = (await client.ask("GET", "openOrders", symbol="BTCUSDT")).body
            assert left["origQty"] == "0.02000000"

    async def test_nothing_happens_when_the_old_one_is_gone(self):
        async with simulated() as client:
            said = await self.replace(client, 12345)
            assert (said.status, said["code"], said["data"]["newOrderResult"]) == (400, -2022, "NOT_ATTEMPTED")
            assert said["data"]["cancelResponse"] == {"code": -2011, "msg": "Unknown order sent."}
            assert (await client.ask("GET", "openOrders")).body == []

    async def test_the_new_one_comes_anyway_if_it_may(self):
        async with simulated() as client:
            said = await self.replace(client, 12345, mode="ALLOW_FAILURE")
            assert (said.status, said["code"]) == (409, -2021)
            assert (said["data"]["cancelResult"], said["data"]["newOrderResult"]) == ("FAILURE", "SUCCESS")

    async def test_the_old_one_is_gone_when_the_new_one_is_refused(self):
        async with simulated() as client:
            old = await client.place(price="45000")
            said = await self.replace(client, old["orderId"], quantity="100")
            assert (said.status, said["code"], said["data"]["cancelResult"]) == (409, -2021, "SUCCESS")
            assert said["data"]["newOrderResponse"]["code"] == -2010

    async def test_a_filter_stops_all_of_it(self):
        async with simulated() as client:
            old = await client.place(price="45000")
            assert code(await self.replace(client, old["orderId"], price="45000.001"))[0] == -1013
            assert len((await client.ask("GET", "openOrders")).body) == 1


class TestLimits:
    async def test_every_answer_says_what_is_used(self):
        async with simulated() as client:
            first = await client.get("ping")
            assert first.headers["X-MBX-USED-WEIGHT-1M"] == "1"
            assert (await client.get("exchangeInfo")).headers["X-MBX-USED-WEIGHT-1M"] == "21"
            placed = await client.place(price="45000")
            assert placed.headers["X-MBX-ORDER-COUNT-10S"] == placed.headers["X-MBX-ORDER-COUNT-1D"] == "1"
            counts = (await client.ask("GET", "rateLimit/order")).body
            assert [(row["interval"], row["intervalNum"], row["count"]) for row in counts] == [
                ("SECOND", 10, 1),
                ("DAY", 1, 1),
            ]

    @pytest.mark.parametrize(
        ("path", "given", "weight"),
        [
            ("depth", {"symbol": "BTCUSDT"}, 5),
            ("depth", {"symbol": "BTCUSDT", "limit": 500}, 25),
            ("depth", {"symbol": "BTCUSDT", "limit": 1000}, 50),
            ("depth", {"symbol": "BTCUSDT", "limit": 5000}, 250),
            ("trades", {"symbol": "BTCUSDT"}, 25),
            ("klines", {"symbol": "BTCUSDT", "interval": "1m"}, 2),
            ("ticker/24hr", {"symbol": "BTCUSDT"}, 2),
            ("ticker/24hr", {}, 80),
            ("ticker/price", {}, 4),
            ("ticker/bookTicker", {"symbol": "BTCUSDT"}, 2),
        ],
    )
    async def test_weights_are_the_documented_ones(self, path, given, weight):
        async with simulated() as client:
            assert (await client.get(path, **given)).headers["X-MBX-USED-WEIGHT-1M"] == str(weight)

    @pytest.mark.parametrize(
        ("path", "given", "weight"),
        [
            ("account", {}, 20),
            ("openOrders", {"symbol": "BTCUSDT"}, 6),
            ("openOrders", {}, 80),
            ("allOrders", {"symbol": "BTCUSDT"}, 20),
            ("myTrades", {"symbol": "BTCUSDT"}, 20),
            ("myTrades", {"symbol": "BTCUSDT", "orderId": 1}, 5),
            ("order", {"symbol": "BTCUSDT", "orderId": 1}, 4),
            ("rateLimit/order", {}, 40),
        ],
    )
    async def test_and_those_of_an_account(self, path, given, weight):
        async with simulated() as client:
            assert (await client.ask("GET", path, **given)).headers["X-MBX-USED-WEIGHT-1M"] == str(weight)

    async def test_too_much_is_a_429_and_who_goes_on_is_banned(self):
        async with simulated(limits=(Limit("weight", 10, 60.0),)) as client:
            client.venue.grace = 0.0
            for _ in range(10):
                assert (await client.get("ping")).status == 200
            said = await client.get("ping")
            assert (said.status, said["code"]) == (429, -1003)
            assert said["msg"].startswith(
                "Too much request weight used; current limit is 10 request weight per 1 MINUTE."
            )
            assert 1 <= int(said.headers["Retry-After"]) <= 60
            for _ in range(11):
                said = await client.get("ping")
            assert (said.status, said["code"], said.headers["Retry-After"]) == (418, -1003, "120")
            assert said["msg"].startswith("Way too much request weight used; IP banned until ")
            await client.get("ping")
            truth = client.venue.truth()
            assert (truth["refused"], truth["during_wait"], truth["during_ban"]) == (1, 11, 1)

    async def test_too_many_orders_stop_orders_only(self):
        async with simulated(limits=(Limit("weight", 1000, 60.0), Limit("orders", 2, 10.0))) as client:
            placed = [await client.place(price="45000") for _ in range(3)]
            assert code(placed[2]) == (-1015, "Too many new orders; current limit is 2 orders per 10 SECOND.")
            assert placed[2].status == 429
            cancelled = await client.ask("DELETE", "order", symbol="BTCUSDT", orderId=placed[0]["orderId"])
            assert cancelled.status == 200

    async def test_sapi_has_a_budget_of_its_own(self):
        async with simulated() as client:
            said = await client.ask("GET", "/sapi/v1/account/apiRestrictions")
            assert said["enableSpotAndMarginTrading"] is True
            assert said["enableWithdrawals"] is False
            assert said.headers["X-SAPI-USED-IP-WEIGHT-1M"] == "1"
            assert (await client.get("ping")).headers["X-MBX-USED-WEIGHT-1M"] == "1"


class TestWebSocketApi:
    async def test_orders_are_placed_queried_replaced_and_cancelled(self):
        async with simulated() as client, client.socket("/ws-api/v3") as socket:
            placed = await socket.call("order.place", **client.signed(**LIMIT, price="45000", newClientOrderId="mine"))
            assert (placed["status"], placed["result"]["clientOrderId"]) == (200, "mine")
            assert [row["rateLimitType"] for row in placed["rateLimits"]] == ["ORDERS", "ORDERS", "REQUEST_WEIGHT"]
            which = {"symbol": "BTCUSDT", "origClientOrderId": "mine"}
            assert (await socket.call("order.status", **client.signed(**which)))["result"]["status"] == "NEW"
            terms = {**LIMIT, "price": "44000", "cancelReplaceMode": "STOP_ON_FAILURE", "newClientOrderId": "next"}
            replaced = await socket.call(
                "order.cancelReplace", **client.signed(**terms, cancelOrigClientOrderId="mine")
            )
            assert replaced["result"]["newOrderResult"] == "SUCCESS"
            which["origClientOrderId"] = "next"
            assert (await socket.call("order.cancel", **client.signed(**which)))["result"]["status"] == "CANCELED"
            none = await socket.call("openOrders.cancelAll", **client.signed(symbol="BTCUSDT"))
            assert (none["status"], none["error"]["code"]) == (400, -2011)

    async def test_numbers_are_signed_as_they_were_sent(self):
        async with simulated() as client, client.socket("/ws-api/v3") as socket:
            said = await socket.call("order.place", **client.signed(**{**LIMIT, "quantity": 0.010, "price": 45000.10}))
            assert said["status"] == 200, said

    async def test_public_requests_and_mistakes(self):
        async with simulated() as client, client.socket("/ws-api/v3?returnRateLimits=false") as socket:
            assert (await socket.call("ping")) == {"id": 1, "status": 200, "result": {}}
            assert (await socket.call("depth", symbol="BTCUSDT", limit=5))["result"]["bids"]
            assert (await socket.call("no.such"))["error"]["code"] == -1000
            assert (await socket.call("ticker.price", symbol="NOPE"))["error"]["code"] == -1121
            await socket.send("{")
            assert (await socket.next())["error"]["code"] == 3

    async def test_a_ban_says_when_to_come_back(self):
        fault = {"kind": "ban", "where": "request:time", "every": 1, "seconds": 30}
        async with simulated(fault) as client, client.socket("/ws-api/v3") as socket:
            said = await socket.call("time")
            assert (said["status"], said["error"]["code"]) == (418, -1003)
            wait = said["error"]["data"]["retryAfter"] - said["error"]["data"]["serverTime"]
            assert 29_000 <= wait <= 30_000


class TestDocumentedShapes:
    """Every field that Binance's examples show is there, and of the same JSON type."""

    @pytest.fixture
    def documented(self, recorded_sessions: Path):
        path = recorded_sessions / "binance_docs_examples.json"
        if not path.exists():
            pytest.skip(f"no examples at {path}")
        rows = json.loads(path.read_text())

        def example(section: str, wanted) -> dict:
            found = [row["json"] for row in rows if row["section"].endswith(section) and row["json"] is not None]
            flat = [one for each in found for one in (each if isinstance(each, list) else [each])]
            return next(one for one in flat if isinstance(one, dict) and wanted(one))

        return example

    @staticmethod
    def assert_like(ours, theirs, *, but: frozenset[str] = frozenset(), at: str = "") -> None:
        if isinstance(theirs, dict):
            missing = set(theirs) - set(ours) - but
            assert not missing, f"{at}: {missing}"
            for name in set(theirs) & set(ours) - but:
                TestDocumentedShapes.assert_like(ours[name], theirs[name], at=f"{at}.{name}")
        elif isinstance(theirs, list):
            assert isinstance(ours, list), at
            if theirs and ours:
                TestDocumentedShapes.assert_like(ours[0], theirs[0], at=f"{at}[]")
        elif theirs is not None and ours is not None:
            assert type(ours) is type(theirs), f"{at}: {ours!r} is not like {theirs!r}"

    async def test_orders_and_accounts(self, documented):
        async with simulated() as client:
            full = await client.place(MARKET)
            self.assert_like(full, documented("New order (TRADE)", lambda one: "fills" in one))
            placed = await client.place(price="45000")
            which = {"symbol": "BTCUSDT", "orderId": placed["orderId"]}
            row = await client.ask("GET", "order", **which)
            self.assert_like(row, documented("Query order (USER_DATA)", lambda one: "orderId" in one))
            amended = await client.ask("PUT", "order/amend/keepPriority", **which, newQty="0.009")
            self.assert_like(
                amended,
                documented(
                    "Order Amend Keep Priority (TRADE)",
                    lambda one: "amendedOrder" in one and "listStatus" not in one,
                ),
            )
            cancelled = await client.ask("DELETE", "order", **which)
            self.assert_like(cancelled, documented("Cancel order (TRADE)", lambda one: "transactTime" in one))
            self.assert_like(
                await client.ask("GET", "account"),
                documented("Account information (USER_DATA)", lambda one: "balances" in one),
            )
            trades = (await client.ask("GET", "myTrades", symbol="BTCUSDT")).body
            self.assert_like(trades[0], documented("Account trade list (USER_DATA)", lambda one: "isMaker" in one))
            commission = await client.ask("GET", "account/commission", symbol="BTCUSDT")
            self.assert_like(
                commission, documented("Query Commission Rates (USER_DATA)", lambda one: "discount" in one)
            )

    async def test_market_data(self, documented):
        async with simulated() as client:
            given = {"symbol": "BTCUSDT"}
            info = await client.get("exchangeInfo", **given)
            self.assert_like(
                info, documented("Exchange information", lambda one: "symbols" in one), but=frozenset({"sors"})
            )
            self.assert_like(
                await client.get("ticker/24hr", **given),
                documented("24hr ticker price change statistics", lambda one: "lastQty" in one),
            )
            self.assert_like(
                (await client.get("aggTrades", **given)).body[0],
                documented("Compressed/Aggregate trades list", lambda one: "a" in one),
            )
            self.assert_like(
                (await client.get("trades", **given)).body[0],
                documented("Recent trades list", lambda one: "isBuyerMaker" in one),
            )
            self.assert_like(
                await client.get("depth", **given), documented("Order book", lambda one: "lastUpdateId" in one)
            )
            self.assert_like(
                await client.get("avgPrice", **given), documented("Current average price", lambda one: "mins" in one)
            )


async def test_real_filters_are_taken(recorded_sessions: Path):
    """Instruments out of a real `exchangeInfo` trade, and come out of ours as they went in."""
    import gzip

    from axon_exchange_binance.answers import decoded
    from axon_exchange_binance.instruments import ExchangeInfo, instrument_of

    path = recorded_sessions / "binance_exchangeInfo_2021.json.gz"
    if not path.exists():
        pytest.skip(f"no symbols at {path}")
    info = decoded(gzip.decompress(path.read_bytes()), ExchangeInfo)
    real = [instrument_of(one) for one in info.symbols if one.symbol in ("BTCUSDT", "ETHUSDT", "DOGEUSDT", "ETHBTC")]
    async with simulated(instruments=real, symbols=("BTCUSDT",)) as client:
        said = await client.get("exchangeInfo")
        ours = {one.symbol: instrument_of(one) for one in decoded(json.dumps(said.body), ExchangeInfo).symbols}
        for instrument in real:
            same = ours[instrument.symbol]
            assert (same.tick_size, same.lot_size, same.min_notional) == (
                instrument.tick_size,
                instrument.lot_size,
                instrument.min_notional,
            )
        assert (await client.place(price=client.price("0.9"))).status == 200
