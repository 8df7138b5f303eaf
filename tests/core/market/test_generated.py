"""The generated market is whole, never crossed, and the same for the same seed."""

from __future__ import annotations

import itertools
from collections import Counter
from decimal import Decimal

from axon_quant.market import BookSnapshot, BookStatus, BookUpdate, Instrument, OrderBook, Quote, Trade
from axon_quant.market.generated import GeneratedMarket

INSTRUMENT = Instrument(venue="paper", symbol="BTCUSDT", base="BTC", quote="USDT", tick_size="0.01", lot_size="0.00001")


def test_the_same_seed_gives_the_same_market():
    assert list(GeneratedMarket(INSTRUMENT, seconds=5, seed=3)) == list(GeneratedMarket(INSTRUMENT, seconds=5, seed=3))
    assert list(GeneratedMarket(INSTRUMENT, seconds=5, seed=3)) != list(GeneratedMarket(INSTRUMENT, seconds=5, seed=4))


def test_iterating_again_starts_from_the_top():
    market = GeneratedMarket(INSTRUMENT, seconds=2)
    assert list(market) == list(market)


def test_its_book_stays_whole_and_its_prices_stand_on_the_grid():
    book, last = OrderBook("BTCUSDT"), 0
    for event in GeneratedMarket(INSTRUMENT, seconds=30):
        assert event.received >= last
        last = event.received
        if isinstance(event, BookSnapshot):
            assert book.restore(event) is BookStatus.APPLIED
        elif isinstance(event, BookUpdate):
            assert book.apply(event) is BookStatus.APPLIED
        elif isinstance(event, Quote):
            assert event.bid < event.ask
            assert Decimal(repr(event.bid)) % INSTRUMENT.tick_size == 0
    assert book.whole


def test_it_has_quiet_stretches_and_bursts_and_goes_somewhere():
    mids, trades = [], []
    for event in GeneratedMarket(INSTRUMENT, seconds=300, price=60_000.0, seed=1):
        if isinstance(event, Quote):
            mids.append(event.mid)
        elif isinstance(event, Trade):
            trades.append(event.received)
    seconds = mids[::50]
    moves = sorted(abs(later - earlier) for earlier, later in itertools.pairwise(seconds))
    assert moves[-1] > 4 * moves[len(moves) // 2] > 0
    assert 0.001 < (max(mids) - min(mids)) / 60_000.0 < 0.05
    per_ten_seconds = Counter(at // 10_000_000_000 for at in trades)
    assert max(per_ten_seconds.values()) > 1.4 * min(per_ten_seconds.values())
