"""Perpetual swaps as the OKX simulator speaks of them."""

from __future__ import annotations

from decimal import Decimal

import aiohttp
import pytest
from simulated_okx import MARKET, PRIVATE, PUBLIC, simulated

from axon_quant.exchange.simulator import SwapTerms
from axon_quant.market.types import Trade

SWAP = "BTC-USDT-SWAP"
BUY = {"instId": SWAP, "tdMode": "cross", "side": "buy", "ordType": "market", "sz": "2"}
SELL = {**BUY, "side": "sell"}
REST = {**BUY, "ordType": "limit", "px": "45000"}


async def test_instruments_tickers_and_books_are_in_contracts():
    async with simulated() as client:
        rows = (await client.ask("GET", "public/instruments", sign=False, instType="SWAP")).rows
        assert [row["instId"] for row in rows] == [SWAP, "ETH-USDT-SWAP"]
        row = rows[0]
        assert (row["ctVal"], row["ctValCcy"], row["ctType"], row["settleCcy"]) == ("0.01", "BTC", "linear", "USDT")
        assert (row["tickSz"], row["lotSz"], row["minSz"], row["uly"]) == ("0.1", "0.01", "0.01", "BTC-USDT")
        assert (row["baseCcy"], row["quoteCcy"], row["instFamily"]) == ("", "", "BTC-USDT")
        tickers = (await client.ask("GET", "market/tickers", sign=False, instType="SWAP")).rows
        assert {ticker["instType"] for ticker in tickers} == {"SWAP"}
        mark = (await client.ask("GET", "public/mark-price", sign=False, instType="SWAP", instId=SWAP)).row
        assert Decimal(mark["markPx"]) == pytest.approx(Decimal(tickers[0]["last"]), rel=Decimal("0.01"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"tdMode": "cash"}, "51000"),
        ({"tdMode": ""}, "51000"),
        ({"posSide": "long"}, "51000"),
        ({"sz": "0.001"}, "51020"),
        ({"sz": "1.001"}, "51121"),
        ({"px": "45000.05"}, "51006"),
        ({"sz": "50000"}, "51185"),
        ({"ordType": "market", "sz": "12000.01"}, "51202"),
        ({"ordType": "market", "sz": "11000"}, "51008"),
        ({"reduceOnly": True}, "51169"),
        ({"instId": "BTC-USD-SWAP"}, "51001"),
    ],
)
async def test_what_okx_would_not_take_is_refused(change, code):
    async with simulated(speed=1e-9) as client:
        said = await client.place({**REST, **change})
        assert (said["code"], said.s_code) == ("1", code)
        assert client.truth()["orders"] == []


async def test_a_position_is_told_over_rest_and_on_its_channel():
    wanted = {"channel": "positions", "instType": "SWAP"}
    async with simulated(speed=1e-9) as client, client.socket(PRIVATE, wanted) as private:
        assert (await private.push("positions"))["data"] == []
        assert (await client.place(BUY)).s_code == "0"
        told = await private.row("positions")
        assert (told["instId"], told["pos"], told["mgnMode"], told["posSide"]) == (SWAP, "2", "cross", "net")
        (row,) = (await client.get("account/positions", instType="SWAP")).rows
        assert (row["pos"], row["avgPx"], row["lever"], row["ccy"]) == ("2", told["avgPx"], "3", "USDT")
        mark = Decimal(row["markPx"])
        assert Decimal(row["upl"]) == (mark - Decimal(row["avgPx"])) * Decimal("0.02")
        assert Decimal(row["fee"]) < 0
        fill = (await client.get("trade/fills", instType="SWAP")).row
        assert (fill["instType"], fill["fillSz"], fill["feeCcy"], fill["fillPnl"]) == ("SWAP", "2", "USDT", "0")
        assert (await client.get("trade/fills", instType="SPOT")).rows == []
        closed = await client.place({**SELL, "sz": "5", "reduceOnly": "true"})
        order = (await client.get("trade/order", instId=SWAP, ordId=closed.row["ordId"])).row
        assert (order["sz"], order["accFillSz"], order["state"], order["reduceOnly"]) == ("2", "2", "filled", "true")
        assert (order["instType"], order["tdMode"], order["lever"]) == ("SWAP", "cross", "3")
        assert Decimal(order["pnl"]) == Decimal((await client.get("trade/fills", instType="SWAP")).row["fillPnl"])
        assert (await private.row("positions"))["pos"] == "0"
        assert (await client.get("account/positions")).rows == []


async def test_reduce_only_orders_say_why_they_became_smaller_and_ended():
    wanted = {"channel": "orders", "instType": "SWAP"}
    async with simulated(speed=1e-9) as client, client.socket(PRIVATE, wanted) as private:
        await client.place(BUY)
        resting = {**REST, "side": "sell", "px": "60000", "sz": "3", "reduceOnly": True, "clOrdId": "mine"}
        await client.place(resting)

        async def mine() -> dict:
            return (await private.next(lambda said: said.get("data", [{}])[0].get("clOrdId") == "mine"))["data"][0]

        said = await mine()
        assert (said["state"], said["sz"], said["amendSource"]) == ("live", "2", "3")
        await client.place({**SELL, "sz": "0.5"})
        said = await mine()
        assert (said["state"], said["sz"], said["amendSource"], said["amendResult"]) == ("live", "1.5", "4", "")
        await client.place({**SELL, "sz": "1.5"})
        said = await mine()
        assert (said["state"], said["cancelSource"]) == ("canceled", "22")


async def test_leverage_is_set_for_each_margin_mode():
    async with simulated() as client:
        assert (await client.get("account/config")).row["posMode"] == "net_mode"
        body = {"instId": SWAP, "lever": "20", "mgnMode": "isolated"}
        assert (await client.post("account/set-leverage", body)).row == {**body, "posSide": "net"}
        for mode, lever in (("isolated", "20"), ("cross", "3")):
            said = await client.get("account/leverage-info", instId=SWAP, mgnMode=mode)
            assert [row["lever"] for row in said.rows] == [lever]
        for change, code in (
            ({"lever": "101"}, "59102"),
            ({"lever": "0"}, "59102"),
            ({"lever": "x"}, "51000"),
            ({"lever": ""}, "50014"),
            ({"mgnMode": "cash"}, "51000"),
            ({"posSide": "long"}, "51000"),
            ({"instId": "BTC-USDT"}, "51000"),
            ({"instId": "X-Y-SWAP"}, "51001"),
        ):
            assert (await client.post("account/set-leverage", {**body, **change}))["code"] == code
        assert (await client.post("account/set-position-mode", {"posMode": "long_short_mode"}))["code"] == "51000"
        assert (await client.post("account/set-position-mode", {"posMode": "net_mode"})).row["posMode"] == "net_mode"


async def test_a_leverage_that_there_is_no_margin_for_is_refused():
    async with simulated(speed=1e-9) as client:
        await client.post("account/set-leverage", {"instId": SWAP, "lever": "50", "mgnMode": "cross"})
        assert (await client.place({**BUY, "sz": "5000"})).s_code == "0"
        said = await client.post("account/set-leverage", {"instId": SWAP, "lever": "1", "mgnMode": "cross"})
        assert said["code"] == "59108"
        assert (await client.get("account/positions")).row["lever"] == "50"


async def test_margin_is_frozen_and_an_unrealised_loss_is_not_available():
    async with simulated(speed=1e-9) as client:
        await client.place(BUY)
        (position,) = (await client.get("account/positions")).rows
        usdt = (await client.get("account/balance", ccy="USDT")).row["details"][0]
        assert usdt["frozenBal"] == position["imr"]
        assert usdt["ordFrozen"] == "0"
        client.venue.exchange.swaps.set_mark(SWAP, Decimal(40_000))
        lost = Decimal((await client.get("account/positions")).row["upl"])
        usdt = (await client.get("account/balance", ccy="USDT")).row["details"][0]
        assert lost < -100
        assert usdt["availEq"] == usdt["availBal"]
        assert Decimal(usdt["availBal"]) + Decimal(usdt["frozenBal"]) == Decimal(usdt["eq"])
        assert Decimal(usdt["eq"]) == Decimal(usdt["cashBal"]) + lost


async def test_funding_is_told_paid_and_listed():
    terms = SwapTerms(funding_rate=Decimal("0.002"), funding_every=0.5)
    wanted = ({"channel": "balance_and_position"}, {"channel": "positions", "instType": "ANY"})
    async with simulated(swap_terms=terms) as client, client.socket(PRIVATE, *wanted) as private:
        funding = (await client.ask("GET", "public/funding-rate", sign=False, instId=SWAP)).row
        assert funding["fundingRate"] == "0.002"
        assert int(funding["nextFundingTime"]) - int(funding["fundingTime"]) == 500
        await client.place(SELL)
        paid = await private.next(lambda said: (said.get("data") or [{}])[0].get("eventType") == "funding_fee")
        (row,) = paid["data"]
        assert (row["posData"][0]["pos"], row["balData"][0]["ccy"]) == ("-2", "USDT")
        bill = (await client.get("account/bills", type="8")).rows[-1]
        assert Decimal(bill["balChg"]) > 0  # shorts receive
        assert (bill["subType"], bill["instId"]) == ("174", SWAP)
        await private.next(lambda said: (said.get("data") or [{}])[0].get("fundingFee", "0") != "0")
        assert (await client.ask("GET", "public/funding-rate", sign=False, instId="BTC-USDT"))["code"] == "51000"


async def test_another_process_can_set_the_mark_and_have_funding_paid():
    async with simulated(speed=1e-9) as client, aiohttp.ClientSession() as session:
        url = client.venue.roots["rest"] + "/simulator/swap"
        await client.place(BUY)
        body = {"symbol": SWAP, "mark": "40000", "rate": "0.01", "pay": True}
        async with session.post(url, json=body) as answer:
            assert await answer.json() == {"mark": "40000", "rate": "0.01"}
        assert [row["amount"] for row in client.truth()["funding"]] == ["-8.00000000"]
        for wrong in ({"symbol": "BTC-USDT"}, {"symbol": SWAP, "mark": "x"}, {"symbol": SWAP, "rate": "2"}):
            async with session.post(url, json=wrong) as answer:
                assert answer.status == 400


async def test_marks_and_funding_rates_stream():
    channels = [{"channel": name, "instId": SWAP} for name in ("mark-price", "funding-rate")]
    async with simulated() as client, client.socket(PUBLIC, *channels) as public:
        assert Decimal((await public.row("mark-price"))["markPx"]) > 40_000
        async with client.socket(PUBLIC) as other:
            await other.send({"op": "subscribe", "args": [{"channel": "mark-price", "instId": "BTC-USDT"}]})
            assert (await other.next())["code"] == "60018"


async def test_algo_orders_of_a_swap_keep_their_margin_mode_and_reduce_only():
    async with simulated(speed=1e-9) as client:
        await client.place({**BUY, "tdMode": "isolated"})
        price = client.price("0.99", SWAP)
        stop = {**SELL, "tdMode": "isolated", "ordType": "conditional", "sz": "5", "slTriggerPx": price}
        said = await client.post("trade/order-algo", {**stop, "slOrdPx": "-1", "reduceOnly": True})
        assert said.s_code == "0"
        row = (await client.get("trade/orders-algo-pending", ordType="conditional")).row
        assert (row["instType"], row["tdMode"], row["reduceOnly"], row["sz"]) == ("SWAP", "isolated", "true", "5")
        exchange = client.venue.exchange
        exchange.on_market(Trade(SWAP, client.venue.now(), float(price) - 10, 1.0, True, 1))
        row = (await client.get("trade/order-algo", algoId=row["algoId"])).row
        order = (await client.get("trade/order", instId=SWAP, ordId=row["ordId"])).row
        assert (row["state"], order["accFillSz"], order["tdMode"]) == ("effective", "2", "isolated")
        assert (await client.get("account/positions")).rows == []


async def test_spot_and_swaps_share_the_account_and_not_the_lists():
    async with simulated(speed=1e-9) as client:
        await client.place(MARKET)
        await client.place(REST)
        assert [row["instId"] for row in (await client.get("trade/orders-pending", instType="SWAP")).rows] == [SWAP]
        assert (await client.get("trade/orders-pending", instType="SPOT")).rows == []
        assert [row["instType"] for row in (await client.get("trade/orders-history", instType="SPOT")).rows] == ["SPOT"]
