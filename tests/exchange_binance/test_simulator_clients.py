"""Clients that other people wrote, unmodified, trade at the simulator."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from axon_exchange_binance.simulator import BinanceSimulator

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # what others warn about is theirs
    pytest.mark.usefixtures("closed_sessions"),
]

KEY, SECRET = "YOUR_API_KEY", "YOUR_API_SECRET"


@pytest.fixture
def roots() -> Iterator[dict[str, str]]:
    with BinanceSimulator(seed=3).running() as roots:
        yield roots


def pointed(exchange, roots: dict[str, str]):
    """ccxt's client with the addresses of the simulator, all else as it comes."""
    api = exchange.urls["api"]
    for name, url in api.items():
        if isinstance(url, str) and url.startswith("https://"):
            api[name] = roots["rest"] + "/" + url.split("/", 3)[3]
    if "ws" in api:
        api["ws"]["spot"] = roots["ws"] + "/stream/ws"
        api["ws"]["ws-api"]["spot"] = roots["ws"] + "/ws-api/v3"
    return exchange


def options() -> dict[str, object]:
    return {"apiKey": KEY, "secret": SECRET, "options": {"fetchMarkets": {"types": ["spot"]}}}


def test_ccxt_loads_markets_places_queries_and_cancels(roots):
    import ccxt

    exchange = pointed(ccxt.binance(options()), roots)
    markets = exchange.load_markets()
    assert markets["BTC/USDT"]["precision"]["price"] == 0.01
    assert markets["BTC/USDT"]["limits"]["cost"]["min"] == 5.0
    price = exchange.fetch_ticker("BTC/USDT")["last"]
    assert exchange.fetch_order_book("BTC/USDT")["bids"][0][0] <= price + 100
    assert exchange.fetch_ohlcv("BTC/USDT", "1m")
    assert exchange.fetch_trades("BTC/USDT")

    order = exchange.create_order("BTC/USDT", "limit", "buy", 0.01, round(price * 0.9, 2), {"newClientOrderId": "mine"})
    assert order["status"] == "open"
    assert exchange.fetch_order(order["id"], "BTC/USDT")["clientOrderId"] == "mine"
    assert [each["id"] for each in exchange.fetch_open_orders("BTC/USDT")] == [order["id"]]
    edited = exchange.edit_order(order["id"], "BTC/USDT", "limit", "buy", 0.02, round(price * 0.91, 2))
    assert exchange.fetch_order(order["id"], "BTC/USDT")["status"] == "canceled"
    assert exchange.cancel_order(edited["id"], "BTC/USDT")["status"] == "canceled"

    before = exchange.fetch_balance()["BTC"]["total"]
    bought = exchange.create_order("BTC/USDT", "market", "buy", 0.01)
    assert bought["status"] == "closed"
    assert bought["filled"] == 0.01
    trades = exchange.fetch_my_trades("BTC/USDT")
    assert sum(trade["amount"] for trade in trades) == pytest.approx(0.01)
    assert exchange.fetch_balance()["BTC"]["total"] == pytest.approx(before + 0.01 - 0.00001)
    exchange.create_order("BTC/USDT", "limit", "sell", 0.01, round(price * 1.1, 2))
    assert len(exchange.cancel_all_orders("BTC/USDT")) == 1


def test_ccxt_raises_its_own_errors_for_what_the_simulator_refuses(roots):
    import ccxt

    exchange = pointed(ccxt.binance(options()), roots)
    exchange.load_markets()
    with pytest.raises(ccxt.InsufficientFunds):
        exchange.create_order("BTC/USDT", "market", "sell", 21)
    with pytest.raises(ccxt.OrderNotFound):
        exchange.fetch_order("12345", "BTC/USDT")
    with pytest.raises(ccxt.OrderNotFound):
        exchange.cancel_order("12345", "BTC/USDT")
    stranger = pointed(ccxt.binance({**options(), "secret": "WRONG"}), roots)
    stranger.load_markets = exchange.load_markets
    stranger.markets = exchange.markets
    with pytest.raises(ccxt.AuthenticationError):
        stranger.fetch_balance()


async def test_ccxt_pro_streams_market_and_account_and_trades_by_socket(roots):
    import ccxt.pro

    exchange = pointed(ccxt.pro.binance(options()), roots)
    try:
        await exchange.load_markets()
        async with asyncio.timeout(30):
            book = await exchange.watch_order_book("BTC/USDT")
            assert book["bids"][0][0] < book["asks"][0][0]
            ticker = await exchange.watch_ticker("BTC/USDT")
            assert (await exchange.watch_trades("BTC/USDT"))[0]["symbol"] == "BTC/USDT"
            assert await exchange.watch_bids_asks(["BTC/USDT"])
            assert await exchange.watch_ohlcv("BTC/USDT", "1m")
            watched = asyncio.create_task(exchange.watch_orders("BTC/USDT"))
            await asyncio.sleep(0.5)
            placed = await exchange.create_order_ws(
                "BTC/USDT", "limit", "buy", 0.01, round(ticker["last"] * 0.9, 2), {"newClientOrderId": "by-socket"}
            )
            seen = await watched
            assert [order["clientOrderId"] for order in seen] == ["by-socket"]
            cancelled = await exchange.cancel_order_ws(placed["id"], "BTC/USDT")
            assert cancelled["status"] == "canceled"
            traded = asyncio.create_task(exchange.watch_my_trades("BTC/USDT"))
            await asyncio.sleep(0.3)
            await exchange.create_order_ws("BTC/USDT", "market", "sell", 0.01)
            assert (await traded)[0]["amount"] > 0
    finally:
        await exchange.close()


@pytest.fixture
def binance_urls(roots, monkeypatch):
    """python-binance with the addresses of the simulator, all else as it comes."""
    from binance import AsyncClient, BinanceSocketManager, Client
    from binance.ws.reconnecting_websocket import ReconnectingWebsocket

    for client in (AsyncClient, Client):
        monkeypatch.setattr(client, "API_URL", roots["rest"] + "/api")
        monkeypatch.setattr(client, "MARGIN_API_URL", roots["rest"] + "/sapi")
        monkeypatch.setattr(client, "WS_API_URL", roots["ws"] + "/ws-api/v3")
    monkeypatch.setattr(BinanceSocketManager, "STREAM_URL", roots["ws"] + "/")
    monkeypatch.setattr(ReconnectingWebsocket, "TIMEOUT", 1)  # it waits for so long when it ends


def test_python_binance_places_queries_and_cancels(binance_urls):
    from binance import Client
    from binance.exceptions import BinanceAPIException

    client = Client(KEY, SECRET)
    client.loop.close()  # it makes one that it does not need
    assert client.get_symbol_info("BTCUSDT")["quoteAsset"] == "USDT"
    price = float(client.get_symbol_ticker(symbol="BTCUSDT")["price"])
    assert client.get_klines(symbol="BTCUSDT", interval="1m")
    low = f"{price * 0.9:.2f}"
    order = client.order_limit_buy(symbol="BTCUSDT", quantity="0.01", price=low, newClientOrderId="mine")
    assert client.get_order(symbol="BTCUSDT", orderId=order["orderId"])["status"] == "NEW"
    assert [each["orderId"] for each in client.get_open_orders(symbol="BTCUSDT")] == [order["orderId"]]
    assert client.cancel_order(symbol="BTCUSDT", orderId=order["orderId"])["status"] == "CANCELED"
    sold = client.order_market_sell(symbol="BTCUSDT", quoteOrderQty="500")
    assert sold["status"] == "FILLED"
    assert 490 < float(sold["cummulativeQuoteQty"]) <= 500
    assert client.get_my_trades(symbol="BTCUSDT")[0]["orderId"] == sold["orderId"]
    assert float(client.get_asset_balance("BTC")["free"]) < 20
    assert client.get_all_orders(symbol="BTCUSDT")[-1]["orderId"] == sold["orderId"]
    with pytest.raises(BinanceAPIException) as refused:
        client.order_limit_buy(symbol="BTCUSDT", quantity="0.000001", price=low)
    assert (refused.value.code, refused.value.message) == (-1013, "Filter failure: LOT_SIZE")


async def test_python_binance_streams_and_trades_by_socket(binance_urls):
    from binance import AsyncClient, BinanceSocketManager

    client = await AsyncClient.create(KEY, SECRET)
    try:
        sockets = BinanceSocketManager(client)
        async with asyncio.timeout(30):
            async with sockets.trade_socket("BTCUSDT") as stream:
                assert (await stream.recv())["e"] == "trade"
            async with sockets.depth_socket("BTCUSDT") as stream:
                assert (await stream.recv())["e"] == "depthUpdate"
            async with sockets.multiplex_socket(["btcusdt@bookTicker", "ethusdt@bookTicker"]) as stream:
                assert (await stream.recv())["stream"].endswith("@bookTicker")
            async with sockets.user_socket() as stream:
                await client.ws_order_market_buy(symbol="BTCUSDT", quantity="0.01", newClientOrderId="by-socket")
                while (event := await stream.recv())["e"] != "executionReport" or event["x"] != "TRADE":
                    pass
                assert event["c"] == "by-socket"
    finally:
        await client.close_connection()


def test_a_simulator_that_has_stopped_leaves_no_thread():
    with BinanceSimulator().running():
        assert any(thread.name == "binance-simulator" for thread in threading.enumerate())
    assert not any(thread.name == "binance-simulator" for thread in threading.enumerate())
