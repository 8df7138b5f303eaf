"""Books as venues send them, with lost, repeated and late messages, against the book they really have."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_quant.exchange import SequencedBook
from axon_quant.market import BookSnapshot, OrderBook


def numbers(events) -> list[tuple[str, int, int]]:
    return [
        ("snapshot", event.sequence, event.sequence)
        if isinstance(event, BookSnapshot)
        else ("update", event.first_sequence, event.last_sequence)
        for event in events
    ]


def test_changes_before_the_snapshot_are_kept_and_continue_it() -> None:
    book = SequencedBook("BTCUSDT")
    assert book.gap
    for first, last in [(1, 3), (4, 6), (7, 9)]:
        assert book.update(first, last, [], [], 1) == ()
    assert numbers(book.snapshot(5, [], [], 2)) == [("snapshot", 5, 5), ("update", 4, 6), ("update", 7, 9)]
    assert not book.gap
    assert book.sequence == 9
    assert numbers(book.update(10, 10, [], [], 3)) == [("update", 10, 10)]


def test_a_snapshot_older_than_what_was_kept_is_not_used() -> None:
    book = SequencedBook("BTCUSDT")
    book.update(10, 12, [], [], 1)
    assert book.snapshot(8, [], [], 2) == []
    assert book.gap
    assert numbers(book.snapshot(9, [], [], 2)) == [("snapshot", 9, 9), ("update", 10, 12)]


def test_a_hole_wants_a_snapshot_and_shows_itself() -> None:
    book = SequencedBook("BTCUSDT")
    book.snapshot(1, [], [], 1)
    book.update(2, 2, [], [], 2)
    assert numbers(book.update(4, 4, [], [], 3)) == [("update", 4, 4)], "whoever keeps the book must lose it"
    assert book.gap
    assert book.gaps == 1
    assert book.update(5, 5, [], [], 4) == ()
    assert numbers(book.snapshot(4, [], [], 5)) == [("snapshot", 4, 4), ("update", 5, 5)]


def test_repeated_changes_are_dropped() -> None:
    book = SequencedBook("BTCUSDT")
    book.snapshot(1, [], [], 1)
    book.update(2, 3, [], [], 2)
    assert book.update(2, 3, [], [], 3) == ()
    assert not book.gap


def test_a_venue_that_names_the_message_before_is_followed() -> None:
    book = SequencedBook("BTC-USDT")
    book.snapshot(100, [], [], 1)
    assert numbers(book.follow(100, 107, [], [], 2)) == [("update", 101, 107)]
    assert book.follow(107, 107, [], [], 3) == (), "a sign of life"
    assert numbers(book.follow(107, 120, [], [], 4)) == [("update", 108, 120)]
    book.follow(130, 140, [], [], 5)
    assert book.gap


def test_a_venue_that_starts_again_wants_a_snapshot_and_its_numbers_still_rise() -> None:
    book, kept = SequencedBook("BTC-USDT"), OrderBook("BTC-USDT")
    for event in book.snapshot(1_000, [(99.0, 1.0)], [(101.0, 1.0)], 1):
        kept.restore(event)
    book.follow(1_000, 3, [], [], 2)
    assert book.gap
    (snapshot,) = book.snapshot(3, [(98.0, 1.0)], [(102.0, 1.0)], 3)
    kept.restore(snapshot)
    assert kept.best_bid == (98.0, 1.0)
    for event in book.follow(3, 5, [(98.5, 1.0)], [], 4):
        kept.apply(event)
    assert kept.best_bid == (98.5, 1.0)
    assert kept.gaps == 0


@pytest.mark.parametrize("names_before", [False, True])
@given(seed=st.integers(0, 10**6))
def test_whatever_is_lost_a_book_that_says_it_is_whole_is_the_venues(names_before: bool, seed: int) -> None:
    generator = random.Random(seed)
    feed, kept = SequencedBook("X"), OrderBook("X")
    truth: dict[float, float] = {}
    sequence = before = generator.randrange(1, 50)
    late: list[tuple[int, int, list[tuple[float, float]]]] = []

    def take(events) -> None:
        for event in events:
            if isinstance(event, BookSnapshot):
                kept.restore(event)
            else:
                kept.apply(event)

    for received in range(120):
        price, size = float(generator.randrange(90, 100)), float(generator.randrange(4))
        before, sequence = sequence, sequence + generator.randrange(1, 4)
        truth[price] = size
        message = (before, sequence, [(price, size)])
        chance = generator.random()
        if chance < 0.05:
            continue  # lost
        if chance < 0.10:
            late.append(message)
            continue
        messages = [message, *([message] if chance < 0.15 else []), *([late.pop()] if late and chance > 0.9 else [])]
        for previous, last, bids in messages:
            if names_before:
                take(feed.follow(previous, last, bids, [], received))
            else:
                take(feed.update(previous + 1, last, bids, [], received))
        if generator.random() < 0.02:
            feed.reset()
        if feed.gap and generator.random() < 0.5:
            take(feed.snapshot(sequence, [(p, q) for p, q in truth.items() if q], [], received))
        if not feed.gap:
            assert kept.whole
            prices, sizes = kept.bids(20)
            assert dict(zip(prices, sizes, strict=True)) == {p: q for p, q in truth.items() if q}
