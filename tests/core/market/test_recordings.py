"""Recordings are read whole; what cannot be understood is counted and named, never fatal and never silent."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_quant.errors import MarketDataError
from axon_quant.market import Bar, BookSnapshot, BookUpdate, Quote, Trade
from axon_quant.market.recordings import open_recording

T0 = 1_700_000_000_000_000_000


def line(data: dict[str, object], stream: str = "", received: int = T0) -> str:
    message = {"stream": stream, "data": data} if stream else data
    return f"{received} {json.dumps(message, separators=(',', ':'))}\n"


TICKER = {"u": 7, "s": "BTCUSDT", "b": "100.0", "B": "1.5", "a": "100.1", "A": "2"}
TRADE = {"e": "trade", "E": 5, "s": "BTCUSDT", "t": 1, "p": "100.1", "q": "0.25", "T": 4, "m": False, "M": True}
DEPTH = {"e": "depthUpdate", "E": 5, "s": "BTCUSDT", "U": 1, "u": 3, "b": [["100.0", "1"]], "a": [["100.1", "0"]]}
SNAPSHOT = {"lastUpdateId": 2, "bids": [["100.0", "1"]], "asks": [["100.1", "2"]]}


def write(tmp_path: Path, *lines: str, name: str = "session.jsonl") -> Path:
    path = tmp_path / name
    path.write_text("".join(lines))
    return path


def test_each_message_becomes_its_event(tmp_path):
    path = write(
        tmp_path,
        line(TICKER, "btcusdt@bookTicker"),
        line(TRADE, "btcusdt@trade", T0 + 1),
        line(DEPTH, "btcusdt@depth@100ms", T0 + 2),
        line(SNAPSHOT, received=T0 + 3),
    )
    quote, trade, update, snapshot = open_recording(path)
    assert quote == Quote("BTCUSDT", T0, 100.0, 1.5, 100.1, 2.0, 7)
    assert trade == Trade("BTCUSDT", T0 + 1, 100.1, 0.25, False, 1, 4_000_000)
    assert update == BookUpdate("BTCUSDT", T0 + 2, 1, 3, [(100.0, 1.0)], [(100.1, 0.0)], 5_000_000)
    assert snapshot == BookSnapshot("BTCUSDT", T0 + 3, 2, [(100.0, 1.0)], [(100.1, 2.0)])


def test_a_snapshot_before_any_update_waits_for_its_symbol(tmp_path):
    path = write(tmp_path, line(SNAPSHOT), line(DEPTH, "btcusdt@depth@100ms"))
    assert [type(event) for event in open_recording(path)] == [BookSnapshot, BookUpdate]


def test_the_order_of_keys_does_not_matter(tmp_path):
    body = json.dumps({"data": TRADE, "stream": "btcusdt@trade"})
    (event,) = open_recording(write(tmp_path, f"{T0} {body}\n"))
    assert isinstance(event, Trade)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("not a line\n", "a line is the receive time in ns, a space and the message; it begins with 'not'"),
        (f"{T0} {{oops\n", "malformed"),
        (f"{T0}\n", "truncated"),
        (line({**TICKER, "b": "-1"}, "btcusdt@bookTicker"), "> 0"),
        (line({**TICKER, "b": "NaN"}, "btcusdt@bookTicker"), "> 0"),
        (line({**TICKER, "A": "nan"}, "btcusdt@bookTicker"), ">= 0"),
        (line({**TICKER, "b": "101"}, "btcusdt@bookTicker"), "not below the best ask"),
        (line({**TRADE, "q": "-0.1"}, "btcusdt@trade"), "> 0"),
        (line({**TRADE, "p": "inf"}, "btcusdt@trade"), "< 1e+18"),
        (line({**DEPTH, "b": [["0", "1"]]}, "btcusdt@depth"), "> 0"),
        (line({**DEPTH, "b": [["NaN", "1"]]}, "btcusdt@depth"), "> 0"),
        (line({**DEPTH, "U": 9}, "btcusdt@depth"), "before it begins"),
        (line({**DEPTH, "s": ""}, "btcusdt@depth"), "length >= 1"),
        (line(TRADE, "btcusdt@trade", -5), "receive time must be positive"),
    ],
)
def test_a_malformed_line_is_counted_and_named_and_the_rest_is_read(tmp_path, broken, reason):
    path = write(tmp_path, line(TRADE, "btcusdt@trade"), broken, line(TICKER, "btcusdt@bookTicker"))
    seen = []
    recording = open_recording(path, on_malformed=seen.append)
    assert [type(event) for event in recording] == [Trade, Quote]
    assert (recording.messages, recording.malformed) == (3, 1)
    assert str(seen[0]).startswith(f"{path}:2: ")
    assert reason in seen[0].reason


def test_messages_of_other_streams_are_counted_as_ignored(tmp_path):
    recording = open_recording(write(tmp_path, line({"e": "kline"}, "btcusdt@kline_1m")))
    assert list(recording) == []
    assert (recording.messages, recording.malformed, recording.ignored) == (1, 0, 1)


def test_a_file_that_breaks_off_is_read_to_its_break(tmp_path):
    whole = gzip.compress("".join(line(TRADE, "btcusdt@trade", T0 + i) for i in range(5000)).encode())
    path = tmp_path / "cut.jsonl.gz"
    path.write_bytes(whole[: len(whole) // 2])
    seen = []
    recording = open_recording(path, on_malformed=seen.append)
    assert 0 < len(list(recording)) < 5000
    assert any("breaks off" in item.reason for item in seen)


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_no_bytes_whatever_stop_the_reader(tmp_path_factory, chunks):
    path = tmp_path_factory.mktemp("fuzz") / "any.jsonl"
    good = line(TRADE, "btcusdt@trade").encode()
    path.write_bytes(good + b"\n".join(chunks) + b"\n" + good)
    recording = open_recording(path)
    events = list(recording)
    assert events[-1] == Trade("BTCUSDT", T0, 100.1, 0.25, False, 1, 4_000_000)
    assert recording.messages >= len(events) + recording.malformed


def test_trades_are_read_from_a_table_with_the_usual_names(tmp_path):
    path = write(
        tmp_path,
        "Timestamp,Price,Qty,Side,Symbol\n",
        "1700000000000,100.5,2,sell,ETHUSDT\n",
        "2023-11-14T22:13:21Z,101,1,BUY,ETHUSDT\n",
        "1700000002,nan,1,buy,ETHUSDT\n",
        "1700000002,-3,1,buy,ETHUSDT\n",
        "yesterday,3,1,buy,ETHUSDT\n",
        name="trades.csv",
    )
    seen = []
    first, second = open_recording(path, on_malformed=seen.append)
    assert first == Trade("ETHUSDT", T0, 100.5, 2.0, True)
    assert second == Trade("ETHUSDT", T0 + 1_000_000_000, 101.0, 1.0, False)
    assert [item.line for item in seen] == [4, 5, 6]


def test_bars_are_read_from_a_gzipped_table_and_named_by_the_configured_symbol(tmp_path):
    path = tmp_path / "bars.csv.gz"
    path.write_bytes(
        gzip.compress(b"time,open,high,low,close,volume\n1700000000,1,3,0.5,2,10\n1700000060,2,1,3,2,10\n")
    )
    recording = open_recording(path, ["BTCUSDT"])
    assert list(recording) == [Bar("BTCUSDT", T0, 1.0, 3.0, 0.5, 2.0, 10.0)]
    assert recording.malformed == 1, "a bar whose high is below its low is malformed"


def test_parquet_is_read_like_csv(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "trades.parquet"
    table = {"time": [T0, T0 + 5], "price": [1.5, 2.5], "quantity": [1.0, 0.0], "is_buyer_maker": [True, False]}
    parquet.write_table(pyarrow.table(table), path)
    recording = open_recording(path, ["BTCUSDT"])
    assert list(recording) == [Trade("BTCUSDT", T0, 1.5, 1.0, True)]
    assert (recording.messages, recording.malformed) == (2, 1)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "a,b\n1,2\n", "neither trades nor bars"),
        ("x.csv", "", "neither trades nor bars"),
        ("x.csv", "time,price,quantity,side\n", "no symbol column"),
        ("x.parquet", "junk", "no Parquet file"),
        ("x.xyz", "junk", "no reader"),
    ],
)
def test_a_file_of_no_known_kind_is_a_clear_error(tmp_path, name, content, message):
    path = write(tmp_path, content, name=name)
    with pytest.raises(MarketDataError, match=message):
        list(open_recording(path))


def test_a_missing_recording_is_a_clear_error(tmp_path):
    with pytest.raises(MarketDataError, match="no such recording"):
        open_recording(tmp_path / "none.jsonl")


def test_every_line_of_the_recorded_session_is_read(btcusdt_session):
    recording = open_recording(btcusdt_session)
    kinds: dict[str, int] = {}
    for event in recording:
        kinds[type(event).__name__] = kinds.get(type(event).__name__, 0) + 1
    assert (recording.messages, recording.malformed) == (41_249, 0)
    assert kinds == {"Quote": 28_040, "Trade": 9_757, "BookUpdate": 3_451, "BookSnapshot": 1}
