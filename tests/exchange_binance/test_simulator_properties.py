"""Whatever is asked of the Binance simulator, it answers, and in Binance's form."""

from __future__ import annotations

import json
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from axon_exchange_binance.simulator import BinanceSimulator
from axon_exchange_binance.simulator.identity import signature
from axon_exchange_binance.simulator.order_requests import affordable
from axon_exchange_binance.simulator.table import REST
from axon_quant.clock import SimClock
from axon_quant.exchange.simulator import Asked
from axon_quant.market import BookSnapshot, OrderBook
from axon_quant.orders import Side

KEY, SECRET, NOW = "YOUR_API_KEY", "YOUR_API_SECRET", 1_700_000_000_000
VALUES = st.one_of(
    st.sampled_from(
        ["BTCUSDT", "BUY", "SELL", "LIMIT", "MARKET", "STOP_LOSS", "LIMIT_MAKER", "GTC", "IOC", "ACK", "1m", "1000"]
    ),
    st.decimals(0, 100_000, places=8).map(lambda number: f"{number:f}"),
    st.integers(-10, 10**25).map(str),
    st.text(max_size=20),
)
NAMES = sorted({name for request in REST.values() for name in request.known} - {"signature", "timestamp", "apiKey"})


@pytest.fixture(scope="module")
def venue() -> BinanceSimulator:
    made = BinanceSimulator(symbols=("BTCUSDT",), clock=SimClock(NOW * 1_000_000))
    made.feed.prepare()
    return made


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    where=st.sampled_from(sorted(REST)),
    given_=st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text(max_size=8)), VALUES, max_size=9),
    signed=st.booleans(),
)
def test_every_request_has_an_answer(venue, where, given_, signed):
    method, path = where
    parameters = {**given_, "timestamp": str(NOW)} if signed else dict(given_)
    query = urlencode(parameters)
    if signed:
        parameters["signature"] = signature(SECRET, query)
        query += f"&signature={parameters['signature']}"
    asked = venue.route(Asked(method, path, query, parameters, {"X-MBX-APIKEY": KEY}, "", entered=venue.now()))
    venue.charges(asked)
    answer = venue.answer(asked)
    assert answer.status in (200, 400, 401, 409)
    if answer.status != 200:
        assert answer.body["code"] < 0
        assert answer.body["msg"]
    json.dumps(answer.body, allow_nan=False)


@given(
    levels=st.lists(st.tuples(st.integers(1, 50), st.integers(1, 500)), min_size=1, max_size=8),
    value=st.decimals("0.01", 2_000, places=2),
)
def test_a_value_never_buys_more_than_it_pays_for(venue, levels, value):
    """And less than a lot is left of it, unless the book is empty before."""
    instrument = venue.exchange.instruments["BTCUSDT"]
    asks, price = [], 100.0
    for step, size in levels:
        price += step
        asks.append((price, size / 100))
    book = OrderBook("BTCUSDT")
    book.restore(BookSnapshot("BTCUSDT", 1, 1, [(1.0, 1.0)], asks))
    quantity = affordable(value, Side.Buy, instrument, book)
    left, spent = quantity, 0
    for price, size in asks:
        part = min(left, Decimal(str(size)))
        left, spent = left - part, spent + part * Decimal(str(price))
    assert left == 0
    assert spent <= value
    whole = sum(size for _, size in asks)
    assert float(quantity) == pytest.approx(whole) or value - spent < instrument.lot_size * 1_000
