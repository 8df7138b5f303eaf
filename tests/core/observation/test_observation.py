"""Windows are contiguous views of the last rows; rows stand on the grid; a hole empties the window."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_quant.clock import NEVER
from axon_quant.errors import SchemaMismatchError
from axon_quant.events import FeatureRow, WindowReset
from axon_quant.market import Bar, BookSnapshot, Instrument, OrderBook, Quote, Trade
from axon_quant.market.generated import GeneratedMarket
from axon_quant.observation import FEATURES, FeatureSchema, Observation, ObservationWindow

MS = 1_000_000
T0 = 1_700_000_000_000_000_000
INSTRUMENT = Instrument(venue="paper", symbol="BTCUSDT", base="BTC", quote="USDT", tick_size="0.01", lot_size="0.00001")


@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 40))
def test_the_view_is_the_last_rows_oldest_first(window_rows, features, pushes):
    window = ObservationWindow(window_rows, features)
    history = []
    for number in range(pushes):
        row = np.full(features, number, dtype=np.float32)
        history.append(row)
        window.push(row.tobytes())
        assert window.whole == (number + 1 >= window_rows)
        if window.whole:
            expected = np.stack(history[-window_rows:])[None]
            np.testing.assert_array_equal(window.view, expected)
            assert (window.first_row, window.last_row) == (number + 1 - window_rows, number)
            digests = b"".join(hashlib.sha256(row.tobytes()).digest() for row in history[-window_rows:])
            assert window.sha256() == hashlib.sha256(digests).hexdigest()


def test_the_view_is_no_copy_and_cannot_be_written():
    window = ObservationWindow(4, 3)
    for _ in range(7):
        window.push(np.ones(3, dtype=np.float32).tobytes())
    view = window.view
    assert view.shape == (1, 4, 3)
    assert view.dtype == np.float32
    assert view.flags.c_contiguous
    assert view.base is not None
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0, 0] = 2.0


def test_a_reset_window_is_not_whole_until_it_is_filled_again_and_row_numbers_go_on():
    window = ObservationWindow(2, 1)
    row = bytes(4)
    window.push(row)
    window.push(row)
    window.reset()
    assert not window.whole
    window.push(row)
    assert not window.whole
    window.push(row)
    assert (window.whole, window.first_row) == (True, 2)


def test_a_schema_is_its_content():
    one = FeatureSchema("a", ("x", "y"), "n", 100, 64)
    assert one.sha256 == FeatureSchema("a", ("x", "y"), "n", 100, 64).sha256
    assert one.sha256 != FeatureSchema("a", ("y", "x"), "n", 100, 64).sha256
    assert one.sha256 != FeatureSchema("a", ("x", "y"), "n", 200, 64).sha256


@pytest.mark.parametrize("shape", [(1, 64, 127), (1, 32, 128), (64, 128), (1, 1, 64, 128)])
def test_a_model_of_another_shape_is_refused_with_both_shapes(shape):
    schema = Observation.schema(64, 100)
    with pytest.raises(SchemaMismatchError, match=r"model m takes .*, the observation is \[1, 64, 128\]"):
        schema.require(shape, model="m")
    schema.require((-1, 64, 128), model="m")


def observe(events, **options):
    emitted: list[object] = []
    book = OrderBook("BTCUSDT")
    settings = {"window": 8, "interval_ms": 100, "max_silence_ms": 1000, **options}
    observation = Observation("BTCUSDT", book, emit=emitted.append, **settings)
    last = 0
    for event in events:
        while event.received >= observation.due:
            if observation.due - last > observation.max_silence:
                observation.lapse(observation.due - last)
            else:
                observation.sample()
        if observation.due == NEVER:
            observation.start(event.received)
        last = event.received
        match event:
            case Quote():
                observation.features.on_quote(event)
            case Trade():
                observation.features.on_trade(event)
            case Bar():
                observation.features.on_bar(event)
            case BookSnapshot():
                book.restore(event)
            case _:
                book.apply(event)
                observation.features.on_book()
    return observation, emitted


def rows_of(emitted) -> np.ndarray:
    return np.stack([np.frombuffer(event.data, dtype="<f4") for event in emitted if isinstance(event, FeatureRow)])


def test_there_are_128_features_with_distinct_names():
    assert len(FEATURES) == len(set(FEATURES)) == 128


def test_rows_stand_on_multiples_of_the_interval_and_are_finite_and_bounded():
    _, emitted = observe(GeneratedMarket(INSTRUMENT, seconds=20))
    rows = rows_of(emitted)
    assert len(rows) in (198, 199, 200)
    assert all(event.at % (100 * MS) == 0 for event in emitted)
    assert np.isfinite(rows).all()
    assert np.abs(rows).max() <= 10.0


def test_features_mean_what_their_names_say():
    quote = Quote("BTCUSDT", T0, 100.0, 3.0, 100.02, 1.0)
    events = [
        BookSnapshot("BTCUSDT", T0, 1, [(100.0, 3.0), (99.99, 1.0)], [(100.02, 1.0)]),
        quote,
        Trade("BTCUSDT", T0, 100.02, 2.0, False),
        Trade("BTCUSDT", T0, 100.0, 1.0, True),
        Quote("BTCUSDT", T0 + 150 * MS, 100.0, 3.0, 100.02, 1.0),
    ]
    _, emitted = observe(events)
    row = dict(zip(FEATURES, rows_of(emitted)[0].tolist(), strict=True))
    assert row["spread"] == pytest.approx(0.02 / 100.01 * 1e4, rel=1e-5)
    assert row["quote_imbalance"] == pytest.approx(0.5)
    assert row["imbalance_1"] == pytest.approx(0.5)
    assert row["imbalance_2"] == pytest.approx(3 / 5)
    assert row["bid_offset_2"] == pytest.approx(0.02 / 100.01 * 1e4, rel=1e-4)
    assert row["signed_volume"] == pytest.approx(1 / 3)
    assert row["buy_count"] == pytest.approx(np.log1p(1), rel=1e-6)
    assert row["book_whole"] == 1.0


def test_order_flow_imbalance_follows_its_definition():
    events = [
        Quote("BTCUSDT", T0, 100.0, 3.0, 101.0, 1.0),
        Quote("BTCUSDT", T0 + MS, 100.0, 5.0, 101.0, 1.0),  # bid grew by 2: +2
        Quote("BTCUSDT", T0 + 2 * MS, 100.5, 1.0, 101.0, 1.0),  # a better bid of 1: +1
        Quote("BTCUSDT", T0 + 3 * MS, 100.5, 1.0, 100.8, 4.0),  # a better ask of 4: -4
        Quote("BTCUSDT", T0 + 150 * MS, 100.5, 1.0, 100.8, 4.0),
    ]
    _, emitted = observe(events)
    row = dict(zip(FEATURES, rows_of(emitted)[0].tolist(), strict=True))
    assert row["ofi"] == pytest.approx((2 + 1 - 4) / (1.0 + 4.0))


def test_without_a_book_the_depth_features_are_zero_and_say_so():
    events = [event for event in GeneratedMarket(INSTRUMENT, seconds=3) if not isinstance(event, BookSnapshot)]
    _, emitted = observe(events)
    rows = rows_of(emitted)
    assert not rows[:, FEATURES.index("book_whole")].any()
    assert not rows[:, : FEATURES.index("return_1")].any()
    assert rows[:, FEATURES.index("spread")].any()


def test_bars_alone_make_rows():
    bars = [Bar("BTCUSDT", T0 + i * 100 * MS, 100 + i, 101 + i, 99 + i, 100.5 + i, 2.0) for i in range(12)]
    observation, emitted = observe(bars)
    rows = rows_of(emitted)
    assert rows[-1, FEATURES.index("return_1")] > 0
    assert observation.window.whole


def test_a_long_silence_empties_the_window_and_is_reported():
    events = list(GeneratedMarket(INSTRUMENT, seconds=3))
    late = [Quote("BTCUSDT", events[-1].received + 1500 * MS, 100.0, 1.0, 100.01, 1.0)]
    observation, emitted = observe([*events, *late])
    resets = [event for event in emitted if isinstance(event, WindowReset)]
    assert len(resets) == 1
    assert 1000 * MS < resets[0].silence <= 1100 * MS
    assert not observation.window.whole
