"""What holds for every order, time, code and message."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.json import encode

from axon_exchange_okx import reports, requests
from axon_exchange_okx.errors import refused
from axon_exchange_okx.payloads import ALGOS, ORDERS, PUSH
from axon_exchange_okx.signing import Signer
from axon_quant.errors import AmbiguousError, ExchangeError
from axon_quant.exchange import ExchangeConfig
from axon_quant.market import Instrument, InstrumentKind
from axon_quant.orders import Order, OrderType, Side, TimeInForce

numbers = st.decimals(min_value=Decimal("1E-18"), max_value=Decimal("1E18"), places=18).filter(lambda value: value > 0)
SPOT = Instrument(venue="okx", symbol="BTC-USDT", base="BTC", quote="USDT", tick_size="0.1", lot_size="1E-8")
SWAP = Instrument(
    venue="okx",
    symbol="BTC-USDT",
    base="BTC",
    quote="USDT",
    tick_size="0.1",
    lot_size="1",
    kind=InstrumentKind.Swap,
    contract_size="0.01",
)


@st.composite
def orders(draw: st.DrawFn) -> tuple[Order, Instrument]:
    kind = draw(st.sampled_from(OrderType))
    post_only = draw(st.booleans()) and kind is OrderType.Limit
    in_force = st.sampled_from([TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK])
    instrument = draw(st.sampled_from([SPOT, SWAP]))
    order = Order(
        "BTC-USDT",
        draw(st.sampled_from(Side)),
        kind,
        draw(numbers) if kind.has_price else None,
        draw(numbers),
        stop_price=draw(numbers) if kind.has_stop_price else None,
        time_in_force=draw(in_force) if kind is OrderType.Limit and not post_only else TimeInForce.GTC,
        post_only=post_only,
        reduce_only=draw(st.booleans()) and instrument is SWAP,
    )
    return order, instrument


@given(orders())
def test_what_is_sent_comes_back_as_the_same_order(sent):
    order, instrument = sent
    assert not requests.refusal(order, instrument)
    if requests.is_stop(order):
        body = requests.place_stop(order, instrument, "cross")
        (stop,) = ALGOS.decode(encode([{**body, "algoId": "1", "state": "live"}]))
        assert reports.stop_state(stop).order == order
    else:
        body = requests.place(order, instrument, "cross")
        (row,) = ORDERS.decode(encode([{**body, "ordId": "1", "state": "live"}]))
        assert reports.order_state(row).order == order
    assert all(isinstance(value, str) for value in body.values())
    assert "E" not in body["sz"]


@given(st.integers(min_value=0, max_value=4_102_444_800_000))
def test_timestamps_are_those_of_the_calendar(milliseconds):
    signer = Signer(ExchangeConfig(api_key="k", api_secret="s", passphrase="p"))
    expected = datetime.fromtimestamp(milliseconds // 1000, UTC).replace(microsecond=milliseconds % 1000 * 1000)
    text = signer.timestamp(milliseconds * 1_000_000)
    assert datetime.fromisoformat(text) == expected
    assert len(text) == 24


@given(st.integers(min_value=1, max_value=99_999).map(str), st.text(max_size=20), st.booleans())
def test_every_code_is_an_error_and_only_a_change_can_be_ambiguous(code, text, changes):
    error = refused(code, text, symbol="BTC-USDT", changes=changes)
    assert isinstance(error, ExchangeError)
    assert (error.code, error.text, error.venue, error.symbol) == (code, text, "okx", "BTC-USDT")
    assert code in str(error)
    assert changes or not isinstance(error, AmbiguousError)


@given(st.binary(max_size=200))
def test_noise_is_no_message(noise):
    try:
        PUSH.decode(noise)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    assert isinstance(msgspec.json.decode(noise), dict)


@pytest.mark.parametrize("code", ["50101", "50105", "50110", "50111", "50113", "50119", "50120", "60009"])
def test_what_the_user_can_repair_says_how(code):
    assert refused(code, "no").hint
