"""The generated market is whole, never crossed, and the same for the same seed."""

from __future__ import annotations

from decimal import Decimal

from axon_quant.market import BookSnapshot, BookStatus, BookUpdate, Instrument, OrderBook, Quote
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
