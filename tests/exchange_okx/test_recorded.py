"""Instruments and messages that OKX really sent, recorded by others."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path

import pytest

from axon_exchange_okx.instruments import instruments
from axon_exchange_okx.market_stream import MarketStream
from axon_exchange_okx.payloads import BOOKS, INSTRUMENT_ANSWER, PUSH
from axon_quant.exchange.filters import refusal
from axon_quant.market import Instrument, InstrumentKind, Trade
from axon_quant.orders import Order, Side


def recorded(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.exists():
        pytest.skip(f"no recording at {path}")
    return path


def parsed(folder: Path, name: str) -> dict[str, Instrument]:
    answer = INSTRUMENT_ANSWER.decode(gzip.decompress(recorded(folder, name).read_bytes()))
    return {instrument.symbol: instrument for instrument in instruments(answer.data)}


def test_every_spot_instrument_is_read(recorded_sessions):
    found = parsed(recorded_sessions, "okx_instruments_SPOT_2022.json.gz")
    assert len(found) == 513
    btc = found["BTC-USDT"]
    assert (btc.base, btc.quote, btc.kind, btc.key) == ("BTC", "USDT", InstrumentKind.Spot, "OKX:BTC-USDT")
    assert (btc.tick_size, btc.lot_size, btc.min_quantity) == (Decimal("0.1"), Decimal("1E-8"), Decimal("0.00001"))
    assert btc.market_max_quantity is None, "OKX gives it in USDT"
    assert not refusal(Order("BTC-USDT", Side.Buy, price="30000.1", quantity="0.00001"), btc)
    assert refusal(Order("BTC-USDT", Side.Buy, price="30000.15", quantity="1"), btc)


def test_linear_swaps_are_read_and_inverse_ones_left_out(recorded_sessions):
    found = parsed(recorded_sessions, "okx_instruments_SWAP_2022.json.gz")
    assert found
    assert all(symbol.endswith("-SWAP") and swap.quote != "USD" for symbol, swap in found.items())
    btc = found["BTC-USDT-SWAP"]
    assert (btc.base, btc.quote, btc.kind) == ("BTC", "USDT", InstrumentKind.Swap)
    assert (btc.contract_size, btc.lot_size) == (Decimal("0.01"), 1)


def test_every_recorded_push_is_read(recorded_sessions):
    path = recorded(recorded_sessions, "okx_public_ws_20220513.txt")
    events: list[object] = []
    stream = MarketStream(lambda: 5, events.append)
    books = 0
    for line in path.read_text().splitlines():
        if line.startswith("wss:"):
            continue
        push = PUSH.decode(line.partition(": ")[2])
        if push.arg is None or push.event:
            continue
        if push.arg.channel == "books":  # recorded before OKX numbered them
            (row,) = BOOKS.decode(push.data)
            assert all(price > 0 and quantity >= 0 for price, quantity, *_ in (*row.bids, *row.asks))
            books += 1
        else:
            stream._on_push(push.arg, push)
    assert books > 200
    assert len(events) > 50
    assert {type(event) for event in events} == {Trade}
    assert len({(trade.symbol, trade.trade_id) for trade in events}) == len(events)
    assert all(20_000 < trade.price < 40_000 for trade in events if trade.symbol == "BTC-USDT")
