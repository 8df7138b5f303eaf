"""ccxt, unmodified, trades at the futures simulator."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from axon_exchange_binance.simulator.futures import BinanceFuturesSimulator

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # what others warn about is theirs
    pytest.mark.usefixtures("closed_sessions"),
]

OPTIONS = {"apiKey": "YOUR_API_KEY", "secret": "YOUR_API_SECRET"}
BTC = "BTC/USDT:USDT"


@pytest.fixture
def roots() -> Iterator[dict[str, str]]:
    with BinanceFuturesSimulator(seed=3).running() as roots:
        yield roots


def pointed(exchange, roots: dict[str, str]):
    """ccxt's client with the addresses of the simulator, all else as it comes."""

    def moved(value):
        if isinstance(value, dict):
            return {name: moved(each) for name, each in value.items()}
        parts = urlsplit(value)
        return roots["ws" if parts.scheme in ("ws", "wss") else "rest"] + parts.path

    exchange.urls["api"] = moved(exchange.urls["api"])
    return exchange


def test_ccxt_asks_about_the_market(roots):
    import ccxt

    exchange = pointed(ccxt.binanceusdm(OPTIONS), roots)
    market = exchange.load_markets()[BTC]
    assert (market["swap"], market["linear"], market["contractSize"]) == (True, True, 1)
    assert (market["precision"]["price"], market["precision"]["amount"]) == (0.1, 0.001)
    book = exchange.fetch_order_book(BTC)
    assert book["bids"][0][0] < book["asks"][0][0]
    assert exchange.fetch_ticker(BTC)["last"] > 0
    assert exchange.fetch_trades(BTC)
    assert exchange.fetch_ohlcv(BTC, "1m")
    funding = exchange.fetch_funding_rate(BTC)
    assert (funding["fundingRate"], funding["markPrice"] > 0) == (0.0001, True)


def test_ccxt_places_changes_queries_and_cancels(roots):
    import ccxt

    exchange = pointed(ccxt.binanceusdm(OPTIONS), roots)
    exchange.load_markets()
    price = exchange.fetch_ticker(BTC)["last"]
    low = round(price * 0.95, 1)
    order = exchange.create_order(BTC, "limit", "buy", 0.01, low, {"newClientOrderId": "mine", "postOnly": True})
    found = exchange.fetch_order(order["id"], BTC)
    assert (found["status"], found["clientOrderId"], found["price"]) == ("open", "mine", low)
    assert [one["id"] for one in exchange.fetch_open_orders(BTC)] == [order["id"]]
    changed = exchange.edit_order(order["id"], BTC, "limit", "buy", 0.02, round(price * 0.94, 1))
    assert (changed["id"], changed["amount"]) == (order["id"], 0.02)
    assert exchange.cancel_order(order["id"], BTC)["status"] == "canceled"
    assert exchange.fetch_open_orders(BTC) == []


def test_ccxt_holds_positions_and_sets_how_they_are_margined(roots):
    import ccxt

    exchange = pointed(ccxt.binanceusdm(OPTIONS), roots)
    exchange.load_markets()
    exchange.set_leverage(8, BTC)
    exchange.set_margin_mode("isolated", BTC)
    with pytest.raises(ccxt.MarginModeAlreadySet):
        exchange.set_margin_mode("isolated", BTC)
    exchange.create_order(BTC, "market", "sell", 0.02)
    (position,) = exchange.fetch_positions([BTC])
    assert (position["side"], position["contracts"], position["marginMode"]) == ("short", 0.02, "isolated")
    assert exchange.fetch_leverage(BTC)["shortLeverage"] == 8
    trade = exchange.fetch_my_trades(BTC)[-1]
    assert (trade["side"], trade["fee"]["currency"]) == ("sell", "USDT")
    balance = exchange.fetch_balance()["USDT"]
    assert balance["used"] == pytest.approx(position["entryPrice"] * 0.02 / 8, rel=1e-3)
    exchange.create_order(BTC, "market", "buy", 0.02, None, {"reduceOnly": True})
    assert exchange.fetch_positions([BTC]) == []


def test_ccxt_raises_its_own_errors_for_what_the_simulator_refuses(roots):
    import ccxt

    exchange = pointed(ccxt.binanceusdm(OPTIONS), roots)
    exchange.load_markets()
    high = round(exchange.fetch_ticker(BTC)["last"] * 1.01, 1)
    with pytest.raises(ccxt.ExchangeError, match="-2019"):  # ccxt knows its own errors at Binance's addresses only
        exchange.create_order(BTC, "limit", "buy", 500, high)
    with pytest.raises(ccxt.InvalidOrder, match="-5022"):
        exchange.create_order(BTC, "limit", "buy", 0.01, high, {"postOnly": True})
    with pytest.raises(ccxt.ExchangeError, match="-2022"):
        exchange.create_order(BTC, "market", "sell", 0.01, None, {"reduceOnly": True})
    with pytest.raises(ccxt.OrderNotFound):
        exchange.cancel_order("1", BTC)
    stranger = pointed(ccxt.binanceusdm({**OPTIONS, "secret": "WRONG"}), roots)
    stranger.load_markets = exchange.load_markets
    with pytest.raises(ccxt.AuthenticationError):
        stranger.fapiPrivateV3GetBalance()


async def first_positions(exchange) -> list:
    while not (found := await exchange.watch_positions([BTC])):
        pass  # it begins with those that there are
    return found


async def test_ccxt_pro_streams_market_and_account(roots):
    import ccxt.pro

    exchange = pointed(ccxt.pro.binanceusdm(OPTIONS), roots)
    try:
        await exchange.load_markets()
        async with asyncio.timeout(30):
            book = await exchange.watch_order_book(BTC)
            assert book["bids"][0][0] < book["asks"][0][0]
            assert (await exchange.watch_trades(BTC))[0]["symbol"] == BTC
            ticker = await exchange.watch_ticker(BTC)
            assert await exchange.watch_bids_asks([BTC])
            assert await exchange.watch_ohlcv(BTC, "1m")
            assert (await exchange.watch_mark_price(BTC))["markPrice"] > 0
            watched = asyncio.create_task(exchange.watch_orders(BTC))
            await asyncio.sleep(0.5)
            low = round(ticker["last"] * 0.95, 1)
            await exchange.create_order(BTC, "limit", "buy", 0.01, low, {"newClientOrderId": "told"})
            assert [order["clientOrderId"] for order in await watched] == ["told"]
            traded = asyncio.create_task(exchange.watch_my_trades(BTC))
            held = asyncio.create_task(first_positions(exchange))
            await asyncio.sleep(0.5)
            await exchange.create_order(BTC, "market", "buy", 0.02)
            assert (await traded)[0]["amount"] > 0
            assert (await held)[0]["contracts"] == 0.02
    finally:
        await exchange.close()
