"""Everything the engine keeps for one symbol: its book, its best quote, its observation."""

from __future__ import annotations

from axon_quant.events import BookGap, BookWhole, Emit
from axon_quant.market import Bar, BookSnapshot, BookStatus, BookUpdate, Instrument, OrderBook, Quote, Trade
from axon_quant.observation import Observation


class Lane:
    """The market of one symbol as the engine sees it.

    `quote` is the last best quote or None, `last_price` the last trade or bar close or 0.0, `received` when anything
    was last received (UTC ns).
    """

    __slots__ = ("_emit", "book", "features", "instrument", "last_price", "observation", "quote", "received", "symbol")

    def __init__(self, instrument: Instrument, book: OrderBook, observation: Observation, emit: Emit) -> None:
        self.symbol = instrument.symbol
        self.instrument = instrument
        self.book = book
        self.observation = observation
        self.features = observation.features
        self.quote: Quote | None = None
        self.last_price = 0.0
        self.received = 0
        self._emit = emit

    @property
    def price(self) -> float:
        """The mid of the best quote, or the last price where there are no quotes; 0.0 before either."""
        quote = self.quote
        return (quote.bid + quote.ask) / 2.0 if quote is not None else self.last_price

    def on_quote(self, quote: Quote) -> None:
        self.quote = quote
        self.features.on_quote(quote)

    def on_trade(self, trade: Trade) -> None:
        self.last_price = trade.price
        self.features.on_trade(trade)

    def on_bar(self, bar: Bar) -> None:
        self.last_price = bar.close
        self.features.on_bar(bar)

    def on_book_update(self, update: BookUpdate) -> None:
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

    def on_book_snapshot(self, snapshot: BookSnapshot) -> None:
        book = self.book
        was_whole, gaps, crossings = book.whole, book.gaps, book.crossings
        book.restore(snapshot)
        if book.gaps > gaps:
            self._emit(BookGap(snapshot.received, self.symbol, snapshot.sequence + 1, book.sequence))
        elif book.crossings > crossings:
            self._emit(BookGap(snapshot.received, self.symbol, 0, 0))
        elif book.whole and not was_whole:
            self._emit(BookWhole(snapshot.received, self.symbol, book.sequence))
