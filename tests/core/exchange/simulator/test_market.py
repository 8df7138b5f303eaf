"""The markets that a simulator plays."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from axon_quant.clock import NANOSECONDS, SimClock
from axon_quant.errors import MarketDataError
from axon_quant.exchange.simulator import MarketFeed, SimulatedExchange
from axon_quant.exchange.simulator.instruments import instruments
from axon_quant.market import BookSnapshot, BookStatus, BookUpdate, OrderBook, Quote, Trade

START = 1_700_000_000 * NANOSECONDS


def played(seconds: float, *symbols: str, **options: object) -> tuple[SimulatedExchange, list]:
    """An exchange whose market has run so long, and what it told its listeners."""
    exchange = SimulatedExchange(instruments("x"), [])
    clock = SimClock(START)
    exchange.now = clock.now
    events: list = []
    exchange.listeners.append(events.append)
    feed = MarketFeed(exchange, symbols or ("BTCUSDT",), **options)
    feed.prepare()
    for _ in range(round(seconds * 50)):
        clock.advance(clock.now() + 20_000_000)
        feed.advance(0.02)
    return exchange, events


def test_the_same_seed_is_the_same_market():
    first, same, other = (played(3, seed=seed)[1] for seed in (1, 1, 2))
    assert first == same != other


def test_bitcoin_begins_near_fifty_thousand():
    exchange, _ = played(1)
    assert 49_000 < exchange.price("BTCUSDT") < 51_000


def test_every_hand_written_instrument_has_a_market_that_fills_orders_of_its_size():
    symbols = [instrument.symbol for instrument in instruments("x")]
    exchange, _ = played(0.2, *symbols)
    for instrument in exchange.instruments.values():
        price, size = exchange.books[instrument.symbol].best_ask
        assert price * size > 100 * float(instrument.min_notional)


def test_updates_have_no_gap_and_a_quote_says_which_of_the_two_is_fresher():
    _, events = played(5)
    book, covered = OrderBook("BTCUSDT"), 0
    for event in events:
        if isinstance(event, BookSnapshot):
            assert book.restore(event) is BookStatus.APPLIED
            covered = event.sequence
        elif isinstance(event, BookUpdate):
            assert event.first_sequence == covered + 1
            covered = event.last_sequence
            assert book.apply(event) is BookStatus.APPLIED
        elif isinstance(event, Quote):
            assert event.sequence > book.sequence
    assert book.gaps == book.crossings == 0


def test_trades_are_numbered_and_stamped_by_the_venue_s_clock():
    _, events = played(5)
    trades = [event for event in events if isinstance(event, Trade)]
    assert [trade.trade_id for trade in trades] == list(range(1, len(trades) + 1))
    assert all(START <= trade.received == trade.venue_time <= START + 5 * NANOSECONDS for trade in trades)


def test_a_market_may_have_been_open_for_a_while():
    exchange, events = played(0, history=10.0)
    assert events[0].received == START - 10 * NANOSECONDS
    assert all(early.received <= late.received for early, late in pairwise(events))
    assert events[-1].received <= START
    assert exchange.books["BTCUSDT"].whole


def test_time_may_pass_faster():
    slow, fast = played(2)[1], played(2, speed=5.0)[1]
    assert 4 < len(fast) / len(slow) < 6


def test_a_recording_is_played_from_where_it_has_a_book(btcusdt_session: Path):
    exchange, events = played(2, recording=btcusdt_session)
    assert exchange.books["BTCUSDT"].whole
    assert exchange.books["BTCUSDT"].best_bid[0] > 50_000
    assert {type(event) for event in events} >= {Trade, Quote, BookUpdate, BookSnapshot}


def test_a_recording_of_other_symbols_is_refused(btcusdt_session: Path):
    exchange = SimulatedExchange([one for one in instruments("x") if one.symbol == "ETHUSDT"], [])
    with pytest.raises(MarketDataError, match="no event"):
        MarketFeed(exchange, ["ETHUSDT"], recording=btcusdt_session)


def test_a_symbol_without_a_price_is_refused():
    (instrument, *_) = instruments("x", "_")
    exchange = SimulatedExchange([instrument], [])
    with pytest.raises(MarketDataError, match="BTC_USDT"):
        MarketFeed(exchange, ["BTC_USDT"])
    MarketFeed(exchange, ["BTC_USDT"], prices={"BTC_USDT": 10.0})
