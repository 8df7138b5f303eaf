"""Orders, answers and events of futures in Binance's own words; the payloads are of its documentation."""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec
import pytest

from axon_exchange_binance.addresses import FuturesAddresses
from axon_exchange_binance.answers import OrderRecord, decoded
from axon_exchange_binance.errors import refused
from axon_exchange_binance.futures.answers import AssetRow, FuturesTrade, OrderEvent, PositionRow, Premium
from axon_exchange_binance.futures.countdown import Countdown
from axon_exchange_binance.futures.orders import KINDS, amendment, parameters
from axon_exchange_binance.instruments import ExchangeInfo, instrument_of
from axon_exchange_binance.market_messages import Depth, read
from axon_exchange_binance.orders import fill_of, state_of, update_of
from axon_quant.errors import (
    AmbiguousError,
    AuthError,
    ClockError,
    ConfigError,
    DuplicateOrderError,
    NotFoundError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
)
from axon_quant.exchange import ExchangeConfig
from axon_quant.exchange.ledger import Balance
from axon_quant.exchange.sequenced import SequencedBook
from axon_quant.market import BookSnapshot, Quote, Trade
from axon_quant.market.instrument import InstrumentKind
from axon_quant.orders import Liquidity, Order, OrderStatus, OrderType, Side, TimeInForce
from axon_quant.orders.tracker import OrderState

ORDER = {
    "avgPrice": "0.00000",
    "clientOrderId": "abc",
    "cumQuote": "0",
    "executedQty": "0",
    "orderId": 1917641,
    "origQty": "0.40",
    "origType": "LIMIT",
    "price": "9100.1",
    "reduceOnly": True,
    "side": "BUY",
    "positionSide": "BOTH",
    "status": "NEW",
    "stopPrice": "0",
    "closePosition": False,
    "symbol": "BTCUSDT",
    "time": 1579276756075,
    "timeInForce": "GTX",
    "type": "LIMIT",
    "updateTime": 1579276756075,
    "workingType": "CONTRACT_PRICE",
    "priceProtect": False,
}
UPDATE = {
    "e": "ORDER_TRADE_UPDATE",
    "E": 1568879465651,
    "T": 1568879465650,
    "o": {
        "s": "BTCUSDT",
        "c": "TEST",
        "S": "SELL",
        "o": "LIMIT",
        "f": "GTC",
        "q": "0.003",
        "p": "7103.04",
        "ap": "7103.04",
        "sp": "0",
        "x": "TRADE",
        "X": "PARTIALLY_FILLED",
        "i": 8886774,
        "l": "0.001",
        "z": "0.001",
        "L": "7103.04",
        "N": "USDT",
        "n": "0.00355152",
        "T": 1568879465650,
        "t": 12,
        "b": "0",
        "a": "9.91",
        "m": True,
        "R": False,
        "wt": "CONTRACT_PRICE",
        "ot": "LIMIT",
        "ps": "BOTH",
        "cp": False,
        "rp": "0",
        "pP": False,
        "si": 0,
        "ss": 0,
        "V": "EXPIRE_TAKER",
        "pm": "NONE",
        "gtd": 0,
    },
}
SYMBOL = {
    "symbol": "BLZUSDT",
    "pair": "BLZUSDT",
    "contractType": "PERPETUAL",
    "status": "TRADING",
    "baseAsset": "BLZ",
    "quoteAsset": "USDT",
    "marginAsset": "USDT",
    "pricePrecision": 5,
    "quantityPrecision": 0,
    "baseAssetPrecision": 8,
    "quotePrecision": 8,
    "filters": [
        {"filterType": "PRICE_FILTER", "maxPrice": "300", "minPrice": "0.0001", "tickSize": "0.0001"},
        {"filterType": "LOT_SIZE", "maxQty": "10000000", "minQty": "1", "stepSize": "1"},
        {"filterType": "MARKET_LOT_SIZE", "maxQty": "590119", "minQty": "1", "stepSize": "1"},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": "5.0"},
        {"filterType": "PERCENT_PRICE", "multiplierUp": "1.15", "multiplierDown": "0.85", "multiplierDecimal": "4"},
    ],
    "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET"],
    "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
}


def order(**changes) -> Order:
    given = {"symbol": "BTCUSDT", "side": Side.Buy, "price": "50000.1", "quantity": "0.002", "client_order_id": "mine"}
    return Order(**{**given, **changes})


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "type=LIMIT&quantity=0.002&price=50000.1&timeInForce=GTC&newClientOrderId"),
        ({"post_only": True}, "price=50000.1&timeInForce=GTX&"),
        ({"time_in_force": TimeInForce.FOK}, "timeInForce=FOK&"),
        ({"reduce_only": True}, "&reduceOnly=true&"),
        ({"order_type": OrderType.Market, "price": None}, "type=MARKET&quantity=0.002&newClientOrderId=mine"),
        ({"side": Side.Sell}, "symbol=BTCUSDT&side=SELL&"),
    ],
)
def test_an_order_is_written_in_the_venues_terms(changes, text):
    assert text in parameters(order(**changes))


def test_an_amendment_names_both_numbers_and_the_order_by_the_venues_id():
    state = OrderState(order(), OrderStatus.Open, "28")
    assert amendment(state, Decimal(50001), None) == ("symbol=BTCUSDT&orderId=28&side=BUY&quantity=0.002&price=50001")
    assert amendment(state, None, Decimal("0.003")).endswith("quantity=0.003&price=50000.1")


def test_an_order_is_read_with_what_it_may_do():
    found = state_of(decoded(json.dumps(ORDER), OrderRecord), KINDS)
    assert (found.status, found.venue_order_id, found.order.price) == (OrderStatus.Open, "1917641", Decimal("9100.1"))
    assert (found.order.post_only, found.order.reduce_only, found.order.order_type) == (True, True, OrderType.Limit)


def test_a_triggered_conditional_order_of_somebody_else_is_read_as_what_it_became():
    foreign = {**ORDER, "type": "TAKE_PROFIT", "stopPrice": "9000", "timeInForce": "GTC"}
    assert state_of(decoded(json.dumps(foreign), OrderRecord), KINDS).order.order_type is OrderType.Limit


def test_a_fill_is_told_with_its_fee():
    update = update_of(decoded(json.dumps(UPDATE), OrderEvent).order, 5)
    assert (update.client_order_id, update.venue_order_id, update.status) == (
        "TEST",
        "8886774",
        OrderStatus.PartiallyFilled,
    )
    fill = update.fill
    assert (fill.fill_id, fill.fee, fill.fee_asset) == ("BTCUSDT:12", Decimal("0.00355152"), "USDT")
    assert (fill.side, fill.liquidity, fill.quantity) == (Side.Sell, Liquidity.Maker, Decimal("0.001"))


@pytest.mark.parametrize(
    ("execution", "status", "wanted", "fills"),
    [
        ("NEW", "NEW", OrderStatus.Open, False),
        ("CANCELED", "CANCELED", OrderStatus.Cancelled, False),
        ("EXPIRED", "EXPIRED_IN_MATCH", OrderStatus.Expired, False),
        ("AMENDMENT", "PARTIALLY_FILLED", OrderStatus.PartiallyFilled, False),
        ("CALCULATED", "FILLED", OrderStatus.Filled, True),
    ],
)
def test_what_else_happens_to_an_order_is_told(execution, status, wanted, fills):
    said = {**UPDATE, "o": {**UPDATE["o"], "x": execution, "X": status}}
    update = update_of(decoded(json.dumps(said), OrderEvent).order, 5)
    assert (update.status, update.fill is not None) == (wanted, fills)


def test_answers_about_the_account_are_read():
    trade = {
        "buyer": False,
        "commission": "-0.07819010",
        "commissionAsset": "USDT",
        "id": 698759,
        "maker": True,
        "orderId": 25851813,
        "price": "7819.01",
        "qty": "0.002",
        "quoteQty": "15.63802",
        "realizedPnl": "-0.91",
        "side": "SELL",
        "positionSide": "SHORT",
        "symbol": "BTCUSDT",
        "time": 1569514978020,
    }
    fill = fill_of(decoded(json.dumps(trade), FuturesTrade), "mine")
    assert (fill.side, fill.fee, fill.liquidity) == (Side.Sell, Decimal("-0.07819010"), Liquidity.Maker)
    row = decoded('{"symbol":"ADAUSDT","positionSide":"BOTH","positionAmt":"-30","entryPrice":"0.385"}', PositionRow)
    assert row.position_amt == -30
    premium = decoded(
        '{"symbol":"BTCUSDT","markPrice":"11793.6","lastFundingRate":"-0.00038246","nextFundingTime":1597392000000}',
        Premium,
    )
    assert premium.last_funding_rate == Decimal("-0.00038246")


@pytest.mark.parametrize(("unrealised", "available"), [("0", "23.0"), ("2.5", "25.5"), ("-3", "20.0")])
def test_what_is_free_leaves_out_what_is_not_realised(unrealised, available):
    from axon_exchange_binance.futures.adapter import _balance

    row = AssetRow("USDT", Decimal("30.0"), Decimal(available), Decimal(unrealised))
    assert _balance(row) == Balance("USDT", Decimal("23.0"), Decimal("7.0"))


def test_a_symbol_becomes_a_swap_whose_band_is_for_the_venue_to_judge():
    info = msgspec.convert({"symbols": [SYMBOL]}, ExchangeInfo, strict=False)
    instrument = instrument_of(info.symbols[0], "binance-futures", InstrumentKind.Swap)
    assert (instrument.kind, instrument.key) == (InstrumentKind.Swap, "BINANCE-FUTURES:BLZUSDT")
    assert (instrument.tick_size, instrument.lot_size) == (Decimal("0.0001"), Decimal(1))
    assert (instrument.min_notional, instrument.market_max_quantity) == (Decimal("5.0"), Decimal(590119))
    assert instrument.percent_price is None


@pytest.mark.parametrize(
    ("status", "code", "text", "kind"),
    [
        (400, -1021, "Timestamp for this request is outside of the recvWindow.", ClockError),
        (400, -2011, "Unknown order sent.", NotFoundError),
        (400, -2013, "Order does not exist.", NotFoundError),
        (400, -2019, "Margin is insufficient.", RejectedError),
        (400, -2022, "ReduceOnly Order is rejected.", RejectedError),
        (400, -4061, "Order's position side does not match user's setting.", RejectedError),
        (400, -4116, "ClientOrderId is duplicated.", DuplicateOrderError),
        (400, -4164, "Order's notional must be no smaller than 5.0 (unless you choose reduce only)", RejectedError),
        (400, -5022, "Due to the order could not be executed as maker, …", RejectedError),
        (400, -5028, "Timestamp for this request is outside of the ME recvWindow.", RejectedError),
        (401, -2015, "Invalid API-key, IP, or permissions for action.", AuthError),
        (429, -1003, "Too many requests queued.", RateLimitedError),
        (429, -1015, "Too many new orders; current limit is 300 orders per 10 SECOND.", RateLimitedError),
        (503, -1008, "Server is currently overloaded with other requests.", UnavailableError),
        (503, -1000, "Unknown error, please check your request or try again later.", AmbiguousError),
        (408, -1007, "Timeout waiting for response from backend server.", AmbiguousError),
    ],
)  # fmt: skip
def test_a_refusal_is_told_for_what_it_is(status, code, text, kind):
    body = json.dumps({"code": code, "msg": text}).encode()
    error = refused(status, body, {}, symbol="BTCUSDT", changes=True, now_ms=0, venue="binance-futures")
    assert type(error) is kind
    assert (error.venue, error.code, error.text) == ("binance-futures", str(code), text)


def test_trades_and_quotes_are_read():
    trade = {"e": "aggTrade", "E": 9, "s": "BTCUSDT", "a": 5933014, "p": "0.5", "q": "100", "f": 1, "l": 2, "T": 7}
    text = json.dumps({"stream": "btcusdt@aggTrade", "data": {**trade, "m": True}}, separators=(",", ":"))
    assert read(text, 3) == Trade("BTCUSDT", 3, 0.5, 100.0, True, 5933014, 7_000_000)
    best = {
        "e": "bookTicker",
        "u": 4,
        "E": 1,
        "T": 1,
        "s": "BNBUSDT",
        "b": "25.35",
        "B": "31.2",
        "a": "25.36",
        "A": "40",
    }
    text = json.dumps({"stream": "bnbusdt@bookTicker", "data": best}, separators=(",", ":"))
    assert read(text, 3) == Quote("BNBUSDT", 3, 25.35, 31.2, 25.36, 40.0, 4)


def depth(first: int, last: int, before: int, price: str = "1") -> Depth:
    said = {"e": "depthUpdate", "E": 1, "T": 1, "s": "BTCUSDT", "U": first, "u": last, "pu": before}
    said |= {"b": [[price, "10"]], "a": []}
    found = read(json.dumps({"stream": "btcusdt@depth@100ms", "data": said}, separators=(",", ":")), 3)
    assert isinstance(found, Depth)
    return found


def test_a_book_follows_updates_whose_numbers_have_holes_and_notices_one_that_is_missing():
    book = SequencedBook("BTCUSDT")

    def applied(update: Depth) -> list:
        return list(book.update(update.U, update.u, update.b, update.a, 3))

    assert applied(depth(157, 160, 149)) == []
    assert isinstance(book.snapshot(158, [(1.0, 1.0)], [(2.0, 1.0)], 3)[0], BookSnapshot)
    assert not book.gap
    assert applied(depth(170, 175, 160))
    assert not book.gap
    applied(depth(190, 195, 180))  # the one that ended at 180 never came
    assert book.gap


def test_the_addresses_are_three_routes_and_keys_are_asked_for_elsewhere(monkeypatch):
    config = ExchangeConfig("KEY", "SECRET", testnet=False)
    found = FuturesAddresses.of("binance-futures", config)
    assert (found.rest, found.keys) == ("https://fapi.binance.com", "https://api.binance.com")
    assert found.public == "wss://fstream.binance.com/public/stream"
    assert found.private == "wss://fstream.binance.com/private/ws"
    monkeypatch.setenv("AXON_BINANCE_FUTURES_REST_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AXON_BINANCE_FUTURES_WS_URL", "ws://127.0.0.1:1")
    found = FuturesAddresses.of("binance-futures", config)
    assert found.rest == found.keys == "http://127.0.0.1:1"
    assert found.market == "ws://127.0.0.1:1/market/stream"
    monkeypatch.setenv("AXON_BINANCE_FUTURES_REST_URL", "https://fapi.example.com")
    with pytest.raises(ConfigError, match=r"AXON_BINANCE_FUTURES_REST_URL.*loopback"):
        FuturesAddresses.of("binance-futures", config)


async def test_a_countdown_gives_a_symbol_that_comes_later_what_is_left():
    sent, now = [], [100.0]

    async def send(symbol: str, seconds: float) -> None:
        sent.append((symbol, seconds))

    countdown = Countdown(send, lambda: now[0])
    await countdown.cover("BTCUSDT")
    await countdown.arm(10.0, ["BTCUSDT"])
    now[0] = 104.0
    await countdown.cover("ETHUSDT")
    await countdown.cover("ETHUSDT")
    assert sent == [("BTCUSDT", 10.0), ("ETHUSDT", 6.0)]
    now[0] = 120.0
    await countdown.cover("BNBUSDT")  # it is over
    await countdown.arm(0, [])
    assert sent[2:] == [("BTCUSDT", 0), ("ETHUSDT", 0)]


def test_both_adapters_are_public_names():
    import axon_quant
    from axon_exchange_binance import BinanceAdapter, BinanceFuturesAdapter
    from axon_quant import exchange

    assert axon_quant.BinanceFuturesAdapter is exchange.BinanceFuturesAdapter is BinanceFuturesAdapter
    assert BinanceFuturesAdapter is not BinanceAdapter
