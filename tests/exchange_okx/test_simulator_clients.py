"""Clients that other people wrote, unmodified, trade at the simulator."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest
from tls import certificate, relay

from axon_exchange_okx.simulator import OkxSimulator

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # what others warn about is theirs
    pytest.mark.usefixtures("closed_sessions"),
]

SYMBOL = "BTC/USDT"
SWAP = "BTC/USDT:USDT"
KEYS = {"apiKey": "YOUR_API_KEY", "secret": "YOUR_API_SECRET", "password": "YOUR_PASSPHRASE"}


@pytest.fixture
def roots() -> Iterator[dict[str, str]]:
    with OkxSimulator(seed=3).running() as roots:
        yield roots


def pointed(exchange, roots: dict[str, str]):
    """ccxt's client with the addresses of the simulator and without its pauses, all else as it comes."""
    exchange.urls["api"]["rest"] = roots["rest"]
    exchange.urls["api"]["ws"] = roots["ws"] + "/ws/v5"
    exchange.rateLimit = 5
    return exchange


def test_ccxt_loads_markets_places_queries_and_cancels(roots):
    import ccxt

    exchange = pointed(ccxt.okx(KEYS), roots)
    market = exchange.load_markets()[SYMBOL]
    assert (market["precision"]["price"], market["precision"]["amount"]) == (0.01, 0.00001)
    assert market["limits"]["amount"] == {"min": 0.00001, "max": 9000.0}
    price = exchange.fetch_ticker(SYMBOL)["last"]
    assert exchange.fetch_order_book(SYMBOL)["bids"][0][0] <= price + 100
    assert exchange.fetch_ohlcv(SYMBOL, "1m")
    assert exchange.fetch_trades(SYMBOL)
    assert exchange.fetch_status()["status"] == "ok"

    order = exchange.create_order(SYMBOL, "limit", "buy", 0.01, round(price * 0.9, 2), {"clientOrderId": "mine"})
    found = exchange.fetch_order(order["id"], SYMBOL)
    assert (found["status"], found["clientOrderId"], found["filled"]) == ("open", "mine", 0.0)
    assert [each["id"] for each in exchange.fetch_open_orders(SYMBOL)] == [order["id"]]
    exchange.edit_order(order["id"], SYMBOL, "limit", "buy", 0.02, round(price * 0.91, 2))
    assert exchange.fetch_order(order["id"], SYMBOL)["amount"] == 0.02
    exchange.cancel_order(order["id"], SYMBOL)
    assert [each["status"] for each in exchange.fetch_canceled_orders(SYMBOL)] == ["canceled"]

    before = exchange.fetch_balance()["BTC"]["total"]
    bought = exchange.fetch_order(exchange.create_order(SYMBOL, "market", "buy", 0.01)["id"], SYMBOL)
    assert (bought["status"], bought["filled"], bought["fee"]) == ("closed", 0.01, {"cost": 0.00001, "currency": "BTC"})
    assert exchange.fetch_balance()["BTC"]["total"] == pytest.approx(before + 0.01 - 0.00001)
    worth = exchange.fetch_order(exchange.create_market_buy_order_with_cost(SYMBOL, 100)["id"], SYMBOL)
    assert 99 < worth["cost"] <= 100
    trades = exchange.fetch_my_trades(SYMBOL)
    assert sum(trade["amount"] for trade in trades) == pytest.approx(bought["filled"] + worth["filled"])
    assert len(exchange.fetch_closed_orders(SYMBOL)) == 2
    assert exchange.fetch_trading_fee(SYMBOL)["taker"] == 0.001


def test_ccxt_trades_a_swap(roots):
    import ccxt

    exchange = pointed(ccxt.okx(KEYS), roots)
    market = exchange.load_markets()[SWAP]
    assert (market["swap"], market["linear"], market["contractSize"], market["settle"]) == (True, True, 0.01, "USDT")
    assert exchange.fetch_ticker(SWAP)["last"] == pytest.approx(exchange.fetch_mark_price(SWAP)["markPrice"], rel=0.01)
    assert exchange.fetch_funding_rate(SWAP)["fundingRate"] == 0.0001
    exchange.set_position_mode(False)
    exchange.set_leverage(20, SWAP)
    assert exchange.fetch_leverage(SWAP)["longLeverage"] == 20
    before = exchange.fetch_balance()["USDT"]["total"]

    bought = exchange.create_order(SWAP, "market", "buy", 2)
    (position,) = exchange.fetch_positions([SWAP])
    assert (position["side"], position["contracts"], position["leverage"]) == ("long", 2, 20)
    assert position["marginMode"] == "cross"
    filled = exchange.fetch_order(bought["id"], SWAP)
    assert position["entryPrice"] == pytest.approx(filled["average"])
    assert position["initialMargin"] == pytest.approx(filled["average"] * 0.02 / 20)
    assert filled["fee"]["currency"] == "USDT"

    limit = exchange.create_order(SWAP, "limit", "sell", 5, round(filled["average"] * 1.1, 1), {"reduceOnly": True})
    found = exchange.fetch_order(limit["id"], SWAP)
    assert (found["amount"], found["reduceOnly"]) == (2, True)
    exchange.edit_order(limit["id"], SWAP, "limit", "sell", 1, round(filled["average"] * 1.09, 1))
    assert exchange.fetch_order(limit["id"], SWAP)["amount"] == 1
    exchange.cancel_order(limit["id"], SWAP)

    exchange.create_order(SWAP, "market", "sell", 9, None, {"reduceOnly": True})
    assert exchange.fetch_positions([SWAP]) == []
    trades = exchange.fetch_my_trades(SWAP)
    won = sum((1 if one["side"] == "sell" else -1) * one["amount"] * one["price"] * 0.01 for one in trades)
    paid = sum(one["fee"]["cost"] for one in trades)
    assert exchange.fetch_balance()["USDT"]["total"] == pytest.approx(before + won - paid)
    with pytest.raises(ccxt.ExchangeError, match="51169"):
        exchange.create_order(SWAP, "market", "sell", 1, None, {"reduceOnly": True})
    with pytest.raises(ccxt.ExchangeError, match="59102"):
        exchange.set_leverage(125, SWAP)
    short = exchange.create_order(SWAP, "market", "sell", 3, None, {"tdMode": "isolated"})
    assert exchange.fetch_order(short["id"], SWAP)["status"] == "closed"
    assert [(one["side"], one["marginMode"]) for one in exchange.fetch_positions()] == [("short", "isolated")]
    assert exchange.fetch_funding_history(SWAP) == []


async def test_ccxt_pro_hears_of_positions():
    import ccxt.pro

    simulator = OkxSimulator(seed=3)
    exchange = pointed(ccxt.pro.okx(KEYS), await simulator.start())
    try:
        async with asyncio.timeout(30):
            await exchange.load_markets()
            orders = asyncio.ensure_future(exchange.watch_orders(SWAP))
            assert await exchange.watch_positions([SWAP]) == []
            watching = asyncio.ensure_future(exchange.watch_positions([SWAP]))
            placed = await exchange.create_order_ws(SWAP, "market", "buy", 2, None, {"tdMode": "cross"})
            (position,) = await watching
            assert (position["symbol"], position["side"], position["contracts"]) == (SWAP, "long", 2)
            assert (await orders)[0]["id"] == placed["id"]
            assert (await exchange.watch_order_book(SWAP))["bids"]
            assert (await exchange.watch_funding_rate(SWAP))["fundingRate"] == 0.0001
            assert (await exchange.watch_mark_price(SWAP))["markPrice"] > 40_000
    finally:
        await exchange.close()
        await simulator.stop()


def test_ccxt_places_stops(roots):
    import ccxt

    exchange = pointed(ccxt.okx(KEYS), roots)
    price = exchange.fetch_ticker(SYMBOL)["last"]
    loss = {"stopLossPrice": round(price * 0.8, 2), "clientOrderId": "stop"}
    stop = exchange.create_order(SYMBOL, "market", "sell", 0.01, None, loss)
    (found,) = exchange.fetch_open_orders(SYMBOL, params={"ordType": "conditional"})
    assert (found["id"], found["stopLossPrice"]) == (stop["id"], round(price * 0.8, 2))
    trigger = {"triggerPrice": round(price * 1.2, 2)}
    waiting = exchange.create_order(SYMBOL, "limit", "buy", 0.01, round(price * 1.1, 2), trigger)
    assert [one["id"] for one in exchange.fetch_open_orders(SYMBOL, params={"trigger": True})] == [waiting["id"]]
    exchange.cancel_order(waiting["id"], SYMBOL, {"trigger": True})
    exchange.cancel_order(stop["id"], SYMBOL, {"stop": True})
    assert exchange.fetch_open_orders(SYMBOL, params={"ordType": "conditional"}) == []
    assert exchange.cancel_all_orders_after(60_000)["code"] == "0"


def test_ccxt_raises_its_own_errors_for_what_the_simulator_refuses(roots):
    import ccxt

    exchange = pointed(ccxt.okx(KEYS), roots)
    exchange.load_markets()
    with pytest.raises(ccxt.InsufficientFunds):
        exchange.create_order(SYMBOL, "limit", "sell", 21, 55_000)
    with pytest.raises(ccxt.OrderNotFound):
        exchange.fetch_order("12345", SYMBOL)
    with pytest.raises(ccxt.OrderNotFound):
        exchange.cancel_order("12345", SYMBOL)
    exchange.create_order(SYMBOL, "limit", "buy", 0.01, 45_000, {"clientOrderId": "mine"})
    with pytest.raises(ccxt.InvalidOrder):
        exchange.create_order(SYMBOL, "limit", "buy", 0.01, 45_000, {"clientOrderId": "mine"})
    for name, kind in (("password", ccxt.AuthenticationError), ("secret", ccxt.AuthenticationError)):
        with pytest.raises(kind):
            pointed(ccxt.okx({**KEYS, name: "wrong"}), roots).fetch_balance()


async def test_ccxt_pro_streams_the_market():
    import ccxt.pro

    simulator = OkxSimulator(seed=3)
    exchange = pointed(ccxt.pro.okx(KEYS), await simulator.start())
    try:
        async with asyncio.timeout(30):
            await exchange.load_markets()
            assert (await exchange.watch_ticker(SYMBOL))["last"] > 40_000
            assert await exchange.watch_trades(SYMBOL)
            assert await exchange.watch_ohlcv(SYMBOL)
            assert (await exchange.watch_bids_asks([SYMBOL]))[SYMBOL]["bid"] > 40_000
            numbers = [(await exchange.watch_order_book(SYMBOL))["nonce"] for _ in range(15)]
            assert numbers == sorted(numbers)
            assert numbers[0] < numbers[-1]
    finally:
        await exchange.close()
        await simulator.stop()


async def test_ccxt_pro_trades_and_hears_of_it():
    import ccxt.pro

    simulator = OkxSimulator(seed=3)
    exchange = pointed(ccxt.pro.okx(KEYS), await simulator.start())
    try:
        async with asyncio.timeout(30):
            await exchange.load_markets()
            watched = [
                asyncio.ensure_future(watch)
                for watch in (
                    exchange.watch_orders(),
                    exchange.watch_my_trades(SYMBOL),
                    exchange.watch_orders(params={"trigger": True}),
                )
            ]
            balance = await exchange.watch_balance()
            assert balance["BTC"]["total"] == 20
            placed = await exchange.create_order_ws(SYMBOL, "limit", "buy", 0.01, 45_000)
            (order,) = await watched[0]
            assert (order["id"], order["status"]) == (placed["id"], "open")
            await exchange.edit_order_ws(placed["id"], SYMBOL, "limit", "buy", 0.02, 44_000)
            await exchange.cancel_order_ws(placed["id"], SYMBOL)
            await exchange.create_order_ws(SYMBOL, "market", "buy", 0.01)
            (trade,) = await watched[1]
            assert (trade["amount"], trade["takerOrMaker"], trade["fee"]["currency"]) == (0.01, "taker", "BTC")
            while exchange.balance["BTC"]["total"] == 20:  # noqa: ASYNC110 - ccxt has no event for it
                await asyncio.sleep(0.01)
            assert exchange.balance["BTC"]["total"] == pytest.approx(20.00999)
            await exchange.create_order(SYMBOL, "market", "sell", 0.01, None, {"stopLossPrice": 40_000})
            (stop,) = await watched[2]
            assert stop["status"] == "open"
            with pytest.raises(ccxt.InsufficientFunds):
                await exchange.create_order_ws(SYMBOL, "limit", "buy", 30, 45_000)
            with pytest.raises(ccxt.OrderNotFound):
                await exchange.cancel_order_ws("12345", SYMBOL)
        statuses = [order["status"] for order in simulator.truth()["accounts"]["main"]["orders"]]
        assert statuses == ["cancelled", "filled"]
    finally:
        await exchange.close()
        await simulator.stop()


def test_python_okx_places_queries_and_cancels(roots):
    pytest.importorskip("okx")
    from okx.Account import AccountAPI
    from okx.MarketData import MarketAPI
    from okx.PublicData import PublicAPI
    from okx.Trade import TradeAPI

    keys = (KEYS["apiKey"], KEYS["secret"], KEYS["password"])
    where = {"flag": "0", "domain": roots["rest"]}
    public, market = PublicAPI(**where), MarketAPI(**where)
    account, trade = AccountAPI(*keys, **where), TradeAPI(*keys, **where)
    assert len(public.get_instruments("SPOT")["data"]) == 10
    price = float(market.get_ticker("BTC-USDT")["data"][0]["last"])
    assert len(market.get_orderbook("BTC-USDT", sz="5")["data"][0]["asks"]) == 5
    assert market.get_candlesticks("BTC-USDT", bar="1m")["data"]

    limit = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.01"}
    placed = trade.place_order(**limit, px=f"{price * 0.9:.2f}", clOrdId="mine")
    assert (placed["code"], placed["data"][0]["sCode"]) == ("0", "0")
    order = placed["data"][0]["ordId"]
    assert trade.get_order("BTC-USDT", clOrdId="mine")["data"][0]["ordId"] == order
    assert [one["ordId"] for one in trade.get_order_list()["data"]] == [order]
    assert trade.amend_order("BTC-USDT", ordId=order, newSz="0.02")["code"] == "0"
    assert trade.cancel_order("BTC-USDT", ordId=order)["code"] == "0"
    assert trade.cancel_order("BTC-USDT", ordId=order)["data"][0]["sCode"] == "51400"
    several = trade.place_multiple_orders([{**limit, "px": "45000"}, {**limit, "px": "45000", "sz": "30"}])
    assert (several["code"], [one["sCode"] for one in several["data"]]) == ("2", ["0", "51008"])
    assert trade.place_order("BTC-USDT", "cash", "buy", "market", "500")["code"] == "0"
    fills = trade.get_fills(instType="SPOT")["data"]
    assert sum(float(fill["fillSz"]) * float(fill["fillPx"]) for fill in fills) == pytest.approx(500, abs=1)
    stop = trade.place_algo_order(
        "BTC-USDT", "cash", "sell", "conditional", "0.01", slTriggerPx=f"{price * 0.8:.2f}", slOrdPx="-1"
    )
    algo = stop["data"][0]["algoId"]
    assert trade.order_algos_list(ordType="conditional")["data"][0]["algoId"] == algo
    assert trade.cancel_algo_order([{"instId": "BTC-USDT", "algoId": algo}])["code"] == "0"
    held = {one["ccy"]: float(one["cashBal"]) for one in account.get_account_balance()["data"][0]["details"]}
    assert held["BTC"] > 20
    assert AccountAPI(keys[0], "wrong", keys[2], **where).get_account_balance()["code"] == "50113"


async def test_python_okx_streams_the_market_and_the_account(tmp_path, monkeypatch):
    """It speaks nothing but TLS, so there is some in front of the simulator."""
    pytest.importorskip("okx")
    from okx.websocket.WsPrivateAsync import WsPrivateAsync
    from okx.websocket.WsPublicAsync import WsPublicAsync

    identity = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(identity))
    simulator = OkxSimulator(seed=3)
    await simulator.start()
    heard: list[dict] = []

    def hear(message: str) -> None:
        heard.append(json.loads(message))

    async def until(channel: str, **values: object) -> dict:
        while True:
            for said in heard:
                is_it = "data" in said and said.get("arg", {}).get("channel") == channel
                if is_it and values.items() <= said["data"][0].items():
                    return said
            await asyncio.sleep(0.01)

    try:
        async with asyncio.timeout(30), relay(simulator.port, identity) as port:
            root = f"wss://127.0.0.1:{port}/ws/v5"
            public = WsPublicAsync(url=f"{root}/public")
            private = WsPrivateAsync(KEYS["apiKey"], KEYS["password"], KEYS["secret"], url=f"{root}/private")
            reading = [await public.start(), await private.start()]
            channels = ("books", "trades", "bbo-tbt", "tickers")
            await public.subscribe([{"channel": name, "instId": "BTC-USDT"} for name in channels], hear)
            for channel in channels:
                await until(channel)
            await private.login()  # `subscribe` logs in, too, but then waits for five seconds
            wanted = [{"channel": "orders", "instType": "ANY"}, {"channel": "account"}]
            await private.send("subscribe", wanted, hear)
            await until("account")
            order = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.01"}
            await private.place_order([{**order, "px": "45000", "clOrdId": "mine"}], id="1")
            assert (await until("orders", clOrdId="mine"))["data"][0]["state"] == "live"
            await private.amend_order([{"instId": "BTC-USDT", "clOrdId": "mine", "newSz": "0.02"}], id="2")
            await until("orders", sz="0.02")
            await private.cancel_order([{"instId": "BTC-USDT", "clOrdId": "mine"}], id="3")
            await until("orders", state="canceled")
            answers = {said["id"]: said["code"] for said in heard if "id" in said}
            assert answers == {"1": "0", "2": "0", "3": "0"}
            await public.stop()
            await private.stop()
            await asyncio.gather(*reading, return_exceptions=True)
    finally:
        await simulator.stop()
