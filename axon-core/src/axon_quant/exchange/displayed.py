"""What an order that arrives now would meet: the book, the last quote and what is left after our own takes.

Which source speaks, best first:

1. A whole `OrderBook`, corrected by the last quote when that is fresher (bookTicker runs ahead of depth@100ms). A
   quote is fresher when its `sequence` is beyond the book's or, for a venue that numbers quotes otherwise (sequence 0),
   when it was received no earlier than the last book message. A fresher quote *is* the top of the book: its size
   replaces the level's, levels better than it are gone, levels behind it are the book's. A quote that is not fresher
   says nothing.
2. While the book is not whole: the last quote, one level a side.
3. Without any quote: the last trade price or bar close, at which any size is available on both sides.

Size that one of our orders took stays taken until the venue reports another size for that level (or none): a feed that
repeats a size tells nothing new. Sizes are integer lots, rounded down.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from math import isinf, isnan

from axon_quant.exchange.exact import from_float
from axon_quant.market.book import OrderBook
from axon_quant.market.instrument import Instrument
from axon_quant.market.types import Quote
from axon_quant.orders.types import Side

UNLIMITED = 1 << 62
"""More lots than anyone has: the size at a last trade price, and a queue of unknown length."""

_UNKNOWN = -1.0
_FIRST_CHUNK = 16
_HALF = Decimal("0.5")
_INFINITY = float("inf")


class _Taken:
    """What we took of one level: `size` was displayed, `lots` of it are ours, `quote` displayed it (None: the book)."""

    __slots__ = ("lots", "quote", "size")

    def __init__(self, size: float, quote: Quote | None) -> None:
        self.size = size
        self.quote = quote
        self.lots = 0


class DisplayedBook:
    """The displayed levels of one symbol, net of what our own orders took.

    The owner stores `quote`, `last` (NaN while unknown) and `book_at` (receive time of the last book message) directly,
    because they change with every market event; `refresh` must follow when `has_taken`.
    """

    __slots__ = ("_taken_asks", "_taken_bids", "book", "book_at", "last", "per_lot", "quote")

    def __init__(self, instrument: Instrument, book: OrderBook) -> None:
        self.book = book
        self.quote: Quote | None = None
        self.last = float("nan")
        self.book_at = 0
        self.per_lot = 1.0 / float(instrument.lot_size)
        self._taken_bids: dict[float, _Taken] = {}
        self._taken_asks: dict[float, _Taken] = {}

    @property
    def has_taken(self) -> bool:
        """Whether any level is taken in part."""
        return bool(self._taken_bids or self._taken_asks)

    def lots(self, quantity: float) -> int:
        """Whole lots in `quantity`; a tolerance of 1e-6 lots absorbs binary fractions."""
        return int(quantity * self.per_lot + 1e-6)

    def levels(self, side: Side) -> Iterator[tuple[float, int]]:
        """(price, lots) of the bids (`Side.Buy`) or asks (`Side.Sell`) that are left, best first."""
        book, quote = self.book, self._leading_quote()
        sign, top = side.sign, 0.0
        if quote is not None:
            top, size = _top(quote, side)
            yield from self._left(side, top, size)
        if not book.whole:
            if quote is None and not isnan(self.last):
                yield self.last, UNLIMITED
            return
        seen, depth = 0, _FIRST_CHUNK
        while True:
            prices, sizes = book.bids(depth) if side is Side.Buy else book.asks(depth)
            for price, size in zip(prices[seen:], sizes[seen:], strict=True):
                if quote is None or (price - top) * sign < 0:
                    yield from self._left(side, price, size)
            if len(prices) < depth:
                return
            seen, depth = depth, depth * 4

    def walk(self, side: Side, lots: int, limit: float | None) -> list[tuple[float, int]]:
        """What an order for `lots` would take from `side`, best first, no further than `limit`."""
        plan: list[tuple[float, int]] = []
        sign = side.sign
        for price, available in self.levels(side):
            if lots == 0 or (limit is not None and (price - limit) * sign < 0):
                break
            plan.append((price, min(available, lots)))
            lots -= plan[-1][1]
        return plan

    def take(self, side: Side, price: float, lots: int) -> None:
        """Remember that `lots` of a level are ours. The last trade price is no level and is never used up."""
        quote = self._leading_quote()
        if quote is None and not self.book.whole:
            return
        taken = self._taken(side)
        record = taken.get(price)
        if record is None:
            at_top = quote is not None and _top(quote, side)[0] == price
            record = taken[price] = _Taken(self._size(side, price), quote if at_top else None)
        record.lots += lots

    def refresh(self) -> None:
        """Forget what was taken of levels that the venue has updated since."""
        for side in (Side.Buy, Side.Sell):
            taken = self._taken(side)
            for price in [price for price, record in taken.items() if self._updated(side, price, record)]:
                del taken[price]

    def size_at(self, side: Side, price: float) -> int | None:
        """Lots left at one price; 0 when none are displayed, None when this source cannot see that far."""
        size = self._size(side, price)
        if size == _UNKNOWN:
            return None
        record = self._taken(side).get(price)
        return self.lots(size if record is None else record.size) - (0 if record is None else record.lots)

    def queue_at(self, side: Side, price: float) -> int:
        """Lots ahead of an order that joins `price` now; UNLIMITED when that price is beyond what is displayed."""
        size = self.size_at(side, price)
        if size is None:
            return UNLIMITED
        if size == 0 and self.is_behind(side, price):
            prices, _ = self.book.bids(UNLIMITED) if side is Side.Buy else self.book.asks(UNLIMITED)
            if not prices or (price - prices[-1]) * side.sign < 0:
                return UNLIMITED
        return size

    def is_behind(self, side: Side, price: float) -> bool:
        """Whether a better price than `price` is displayed on its own side."""
        best = self.best(side)
        return best is not None and (price - best) * side.sign < 0

    def touch(self) -> tuple[float, float]:
        """The best displayed bid and ask, taken or not; an infinity where there is none."""
        quote = self._leading_quote()
        if quote is not None:
            return quote.bid, quote.ask
        if self.book.whole:
            bid, ask = self.book.best_bid, self.book.best_ask
            return -_INFINITY if bid is None else bid[0], _INFINITY if ask is None else ask[0]
        return (-_INFINITY, _INFINITY) if isnan(self.last) else (self.last, self.last)

    def best(self, side: Side) -> float | None:
        """The best displayed price of a side, taken or not; None while there is none."""
        price = self.touch()[0 if side is Side.Buy else 1]
        return None if isinf(price) else price

    def mid(self) -> Decimal | None:
        """Half way between the best displayed bid and ask, exactly; None while either is unknown."""
        bid, ask = self.touch()
        if isinf(bid) or isinf(ask):
            return None
        return (from_float(bid) + from_float(ask)) * _HALF

    def sees(self, quote: Quote) -> bool:
        """Whether the whole book is at least as fresh as `quote`."""
        book = self.book
        if not book.whole:
            return False
        return book.sequence >= quote.sequence if quote.sequence else self.book_at > quote.received

    def _leading_quote(self) -> Quote | None:
        quote = self.quote
        return None if quote is None or self.sees(quote) else quote

    def _taken(self, side: Side) -> dict[float, _Taken]:
        return self._taken_bids if side is Side.Buy else self._taken_asks

    def _left(self, side: Side, price: float, size: float) -> Iterator[tuple[float, int]]:
        record = self._taken(side).get(price)
        left = self.lots(size) if record is None else self.lots(record.size) - record.lots
        if left > 0:
            yield price, left

    def _size(self, side: Side, price: float) -> float:
        """The displayed quantity at `price`, taken or not; `_UNKNOWN` when the source cannot see that far."""
        quote, book = self._leading_quote(), self.book
        if quote is not None:
            top, size = _top(quote, side)
            if price == top:
                return size
            if (price - top) * side.sign > 0:
                return 0.0
        if not book.whole:
            return _UNKNOWN
        return book.bid_quantity(price) if side is Side.Buy else book.ask_quantity(price)

    def _updated(self, side: Side, price: float, record: _Taken) -> bool:
        size = self._size(side, price)
        source = record.quote
        if size == _UNKNOWN:
            # A quote's level that quotes no longer show is forgotten, or quotes alone would pile them up for ever; the
            # book's are kept until it is whole again.
            return source is not None
        if size == record.size:
            return False
        # A quote showed this level and has moved off it, and the book has yet to catch up: its size there is old news.
        old_news = source is not None and not self.sees(source) and self.is_behind(side, price)
        return not old_news


def _top(quote: Quote, side: Side) -> tuple[float, float]:
    return (quote.bid, quote.bid_quantity) if side is Side.Buy else (quote.ask, quote.ask_quantity)
