"""Market data from the wire, as it is documented and as it was recorded."""

from __future__ import annotations

import gzip
import json

import pytest
from scripted_binance import SHARED

from axon_exchange_binance.market_messages import Control, Depth, read
from axon_quant.errors import MalformedMessageError
from axon_quant.market import Bar, Quote, Trade
from axon_quant.market.recordings import BinanceRecording

TRADE = {"e": "trade", "E": 2, "s": "BNBBTC", "t": 12345, "p": "0.001", "q": "100", "T": 1672515782136, "m": True}
TICKER = {"u": 400900217, "s": "BNBUSDT", "b": "25.3519", "B": "31.21", "a": "25.3652", "A": "40.66"}
DEPTH = {"e": "depthUpdate", "E": 7, "s": "BNBBTC", "U": 157, "u": 160, "b": [["0.0024", "10"]], "a": [["0.0026", "0"]]}
KLINE = {
    "e": "kline",
    "s": "BNBBTC",
    "k": {
        "t": 1672515780000,
        "T": 1672515839999,
        "s": "BNBBTC",
        "i": "1m",
        "o": "0.0010",
        "c": "0.0020",
        "h": "0.0025",
        "l": "0.0015",
        "v": "1000",
        "x": True,
    },
}


def combined(stream: str, data: dict) -> str:
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":"))


def test_the_documented_messages():
    assert read(combined("bnbbtc@trade", TRADE), 9) == Trade(
        "BNBBTC", 9, 0.001, 100.0, True, 12345, 1672515782136_000_000
    )
    assert read(combined("bnbusdt@bookTicker", TICKER), 9) == Quote(
        "BNBUSDT", 9, 25.3519, 31.21, 25.3652, 40.66, 400900217
    )
    depth = read(combined("bnbbtc@depth@100ms", DEPTH), 9)
    assert isinstance(depth, Depth)
    assert (depth.U, depth.u, depth.b, depth.a, depth.E) == (157, 160, [(0.0024, 10.0)], [(0.0026, 0.0)], 7)
    assert read(combined("bnbbtc@kline_1m", KLINE), 9) == Bar(
        "BNBBTC", 1672515840_000_000_000, 0.001, 0.0025, 0.0015, 0.002, 1000.0
    )


def test_a_bar_that_is_not_closed_is_no_bar():
    assert read(combined("bnbbtc@kline_1m", {**KLINE, "k": {**KLINE["k"], "x": False}}), 9) is None


def test_the_order_of_keys_and_spaces_do_not_matter():
    swapped = json.dumps({"data": TRADE, "stream": "bnbbtc@trade"})
    assert read(swapped, 9) == read(combined("bnbbtc@trade", TRADE), 9)


def test_answers_and_events_of_the_connection_are_told_apart():
    answer = read('{"result":null,"id":3}', 9)
    assert isinstance(answer, Control)
    assert (answer.id, answer.error) == (3, None)
    refused = read('{"error":{"code":2,"msg":"Invalid request"},"id":4}', 9)
    assert isinstance(refused, Control)
    assert (refused.id, refused.error.code) == (4, 2)
    farewell = read('{"e":"serverShutdown","E":1770123456789}', 9)
    assert isinstance(farewell, Control)
    assert farewell.e == "serverShutdown"
    wrapped = read('{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}', 9)
    assert isinstance(wrapped, Control)
    assert wrapped.stream == "!serverShutdown"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1",
        combined("bnbbtc@trade", {**TRADE, "p": "nan"}),
        combined("bnbbtc@trade", {**TRADE, "p": "-1"}),
        combined("bnbbtc@depth@100ms", {**DEPTH, "b": [["inf", "1"]]}),
        combined("bnbbtc@depth@100ms", {**DEPTH, "U": 170}),
        combined("bnbusdt@bookTicker", {"s": "BNBUSDT"}),
    ],
)
def test_what_is_not_documented_is_malformed(text):
    with pytest.raises(MalformedMessageError):
        read(text, 9)


def test_a_recorded_session_reads_as_the_recordings_reader_reads_it():
    path = SHARED / "binance_spot_btcusdt_20240808.jsonl.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    expected = [event for event in BinanceRecording(path) if isinstance(event, (Trade, Quote))]
    found = []
    with gzip.open(path, "rt") as lines:
        for line in lines:
            stamp, _, text = line.rstrip("\n").partition(" ")
            event = read(text, int(stamp))
            if isinstance(event, (Trade, Quote)):
                found.append(event)
    assert found == expected
    assert len(found) > 30_000
