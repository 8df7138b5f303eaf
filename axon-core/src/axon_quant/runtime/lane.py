"""Everything the engine keeps for one symbol: its book, its best quote, its observation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from axon_quant.events import BookGap, BookWhole, Emit
from axon_quant.inference.action import Action
from axon_quant.market import Bar, BookSnapshot, BookStatus, BookUpdate, Instrument, OrderBook, Quote, Trade
from axon_quant.observation import Observation


class Lane:
    """The market of one symbol as the engine sees it.

    `quote` is the last best quote or None, `received` when anything was last received (UTC ns), `messages` how often,
    `asleep` whether nothing is, `handlers` who is told of which event. `predict` is who decides for it: the engine's
    model, unless a rollout lets a candidate.
    """

    __slots__ = (
        "_emit",
        "asleep",
        "book",
        "features",
        "handlers",
        "instrument",
        "messages",
        "observation",
        "predict",
        "received",
        "symbol",
    )
    predict: Callable[[object], Action]

    def __init__(self, instrument: Instrument, book: OrderBook, observation: Observation, emit: Emit) -> None:
        self.symbol = instrument.symbol
        self.instrument = instrument
        self.book = book
        self.observation = observation
        self.features = observation.features
        self.received = self.messages = 0
        self.asleep = True
        self._emit = emit
        features = self.features
        self.handlers: dict[type, tuple[Callable[[Any], None], ...]] = {
            Quote: (features.on_quote,),
            Trade: (features.on_trade,),
            Bar: (features.on_bar,),
            BookUpdate: (self._on_book_update,),
            BookSnapshot: (self._on_book_snapshot,),
        }

    @property
    def price(self) -> float:
        """The mid of the best quote, or the last price where there are no quotes; 0.0 before either."""
        return self.features.price

    @property
    def quote(self) -> Quote | None:
        return self.features.quote

    def _on_book_update(self, update: BookUpdate) -> None:
        book = self.book
        was_whole, expected = book.whole, book.sequence + 1
        status = book.apply(update)
        self.features.on_book()
        if status is BookStatus.GAP:
            self._emit(BookGap(update.received, self.symbol, expected, update.first_sequence))
        elif status is BookStatus.CROSSED:
            self._emit(BookGap(update.received, self.symbol, 0, 0))
        elif book.whole and not was_whole:
            self._emit(BookWhole(update.received, self.symbol, book.sequence))

    def _on_book_snapshot(self, snapshot: BookSnapshot) -> None:
        book = self.book
        was_whole, gaps, crossings = book.whole, book.gaps, book.crossings
        book.restore(snapshot)
        if book.gaps > gaps:
            self._emit(BookGap(snapshot.received, self.symbol, snapshot.sequence + 1, book.sequence))
        elif book.crossings > crossings:
            self._emit(BookGap(snapshot.received, self.symbol, 0, 0))
        elif book.whole and not was_whole:
            self._emit(BookWhole(snapshot.received, self.symbol, book.sequence))
