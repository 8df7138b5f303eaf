"""The order book stays whole by sequence numbers, or says that it is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_quant.market import BookSnapshot, BookStatus, BookUpdate, OrderBook, Quote
from axon_quant.market.recordings import open_recording


def update(first: int, last: int, bids: list = (), asks: list = ()) -> BookUpdate:  # type: ignore[assignment,type-arg]
    return BookUpdate("X", 1, first, last, list(bids), list(asks))


def snapshot(sequence: int, bids: list = ((99.0, 1.0),), asks: list = ((101.0, 1.0),)) -> BookSnapshot:  # type: ignore[assignment,type-arg]
    return BookSnapshot("X", 1, sequence, list(bids), list(asks))


def whole_book(sequence: int = 10) -> OrderBook:
    book = OrderBook("X")
    assert book.restore(snapshot(sequence)) is BookStatus.APPLIED
    return book


def test_updates_before_the_snapshot_are_buffered_and_then_applied():
    book = OrderBook("X")
    assert book.apply(update(5, 8, bids=[(98.0, 9.0)])) is BookStatus.BUFFERED
    assert book.apply(update(9, 12, bids=[(100.0, 2.0)])) is BookStatus.BUFFERED
    assert book.apply(update(13, 14, bids=[(100.0, 3.0)])) is BookStatus.BUFFERED
    assert not book.whole
    assert book.restore(snapshot(10)) is BookStatus.APPLIED
    assert book.whole
    assert book.sequence == 14
    assert book.best_bid == (100.0, 3.0)
    assert book.bid_quantity(98.0) == 0.0, "an update that ends before the snapshot is part of it already"


def test_the_first_update_after_a_snapshot_must_span_it():
    book = whole_book(10)
    assert book.apply(update(12, 13)) is BookStatus.GAP
    assert not book.whole
    assert book.gaps == 1


def test_a_snapshot_older_than_the_buffer_leaves_the_book_waiting():
    book = OrderBook("X")
    book.apply(update(20, 22))
    assert book.restore(snapshot(10)) is BookStatus.BUFFERED
    assert not book.whole
    assert book.restore(snapshot(21)) is BookStatus.APPLIED
    assert book.sequence == 22


def test_an_update_that_was_seen_already_is_stale_and_changes_nothing():
    book = whole_book(10)
    assert book.apply(update(3, 10, bids=[(99.0, 7.0)])) is BookStatus.STALE
    assert book.best_bid == (99.0, 1.0)


def test_an_overlap_in_mid_stream_is_a_gap():
    book = whole_book(10)
    assert book.apply(update(9, 11)) is BookStatus.APPLIED
    assert book.apply(update(11, 13)) is BookStatus.GAP


def test_a_lost_book_shows_nothing_until_a_snapshot_makes_it_whole():
    book = whole_book(10)
    book.apply(update(15, 16, bids=[(97.0, 1.0)]))
    assert book.best_bid is None
    assert book.best_ask is None
    assert book.apply(update(17, 18, bids=[(98.0, 4.0)])) is BookStatus.BUFFERED
    assert book.restore(snapshot(16)) is BookStatus.APPLIED
    assert book.bid_quantity(98.0) == 4.0


def test_a_crossed_book_is_discarded_and_counted():
    book = whole_book(10)
    assert book.apply(update(11, 11, bids=[(101.0, 1.0)])) is BookStatus.CROSSED
    assert book.crossings == 1
    assert not book.whole
    assert OrderBook("X").restore(snapshot(1, bids=[(5.0, 1.0)], asks=[(5.0, 1.0)])) is BookStatus.CROSSED


def test_an_old_snapshot_does_not_turn_a_whole_book_back():
    book = whole_book(10)
    book.apply(update(11, 15, bids=[(100.0, 1.0)]))
    assert book.restore(snapshot(12)) is BookStatus.STALE
    assert book.best_bid == (100.0, 1.0)


def test_levels_come_best_first():
    book = OrderBook("X")
    book.restore(snapshot(1, bids=[(97.0, 1.0), (99.0, 2.0), (98.0, 3.0)], asks=[(103.0, 1.0), (101.0, 2.0)]))
    assert book.bids(2) == ([99.0, 98.0], [2.0, 3.0])
    assert book.asks(5) == ([101.0, 103.0], [2.0, 1.0])


levels = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 3)), max_size=12)


@given(st.lists(st.tuples(levels, levels), max_size=20))
def test_a_book_holds_what_a_plain_dictionary_would(steps):
    book = OrderBook("X")
    book.restore(BookSnapshot("X", 1, 0, [], []))
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    for number, (bid_levels, ask_levels) in enumerate(steps, 1):
        bid_changes = [(float(price), float(quantity)) for price, quantity in bid_levels]
        ask_changes = [(float(price + 60), float(quantity)) for price, quantity in ask_levels]
        assert book.apply(BookUpdate("X", 1, number, number, bid_changes, ask_changes)) is BookStatus.APPLIED
        for side, changes in ((bids, bid_changes), (asks, ask_changes)):
            for price, quantity in changes:
                side[price] = quantity
                if not quantity:
                    del side[price]
        prices, quantities = book.bids(100)
        assert list(zip(prices, quantities, strict=True)) == sorted(bids.items(), reverse=True)
        prices, quantities = book.asks(100)
        assert list(zip(prices, quantities, strict=True)) == sorted(asks.items())
        assert (book.best_bid or (None,))[0] == max(bids, default=None)
        assert (book.best_ask or (None,))[0] == min(asks, default=None)


@pytest.mark.parametrize("session", ["btcusdt_session", "ethusdt_session"])
def test_the_book_of_a_recorded_session_is_never_crossed_and_agrees_with_the_quotes(session, request):
    book, quote, checked, agreed = OrderBook("X"), None, 0, 0
    for event in open_recording(request.getfixturevalue(session)):
        if isinstance(event, Quote):
            quote = event
        elif isinstance(event, BookSnapshot):
            book.restore(event)
        elif isinstance(event, BookUpdate):
            book.apply(event)
            if book.whole and quote.sequence <= event.last_sequence:
                checked += 1
                agreed += book.best_bid == (quote.bid, quote.bid_quantity)
                agreed += book.best_ask == (quote.ask, quote.ask_quantity)
        if book.whole:
            assert book.best_bid[0] < book.best_ask[0]
    assert book.whole
    assert (book.gaps, book.crossings) == (0, 0)
    assert agreed == 2 * checked > 2000
