"""A generated market as a venue would send it: every change of the top has a number, and updates cover all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from axon_quant.market.instrument import Instrument
from axon_quant.market.types import BookSnapshot, BookUpdate, Level, MarketEvent, Quote, Trade

_FIRST = 1_000_000


class Numbered:
    """`events` of one instrument with sequence numbers, trade ids and sizes of its own.

    A generated book has one unit or so on each level; here a level has some `size` units of the base asset, in whole
    lots. A quote has the number of the change that made it, and the next update of the book covers that number, so
    that whoever keeps a book can tell which of the two is fresher.
    """

    def __init__(self, events: Iterable[MarketEvent], instrument: Instrument, size: float) -> None:
        self._events = events
        self._lot = float(instrument.lot_size)
        self._digits = max(0, -int(instrument.lot_size.normalize().as_tuple().exponent))
        self._size = size

    def __iter__(self) -> Iterator[MarketEvent]:
        number, covered, trades = _FIRST, _FIRST, 0
        for event in self._events:
            if isinstance(event, Quote):
                number += 1
                yield Quote(
                    event.symbol,
                    event.received,
                    event.bid,
                    self._scaled(event.bid_quantity),
                    event.ask,
                    self._scaled(event.ask_quantity),
                    number,
                )
            elif isinstance(event, Trade):
                trades += 1
                quantity = self._scaled(event.quantity)
                yield Trade(event.symbol, event.received, event.price, quantity, event.buyer_is_maker, trades)
            elif isinstance(event, BookUpdate):
                first, covered = covered + 1, number + 1
                number = covered
                bids, asks = self._levels(event.bids), self._levels(event.asks)
                yield BookUpdate(event.symbol, event.received, first, covered, bids, asks)
            elif isinstance(event, BookSnapshot):
                covered = number
                bids, asks = self._levels(event.bids), self._levels(event.asks)
                yield BookSnapshot(event.symbol, event.received, number, bids, asks)
            else:
                yield event

    def _scaled(self, quantity: float) -> float:
        return max(round(quantity * self._size, self._digits), self._lot) if quantity else 0.0

    def _levels(self, levels: list[Level]) -> list[Level]:
        scaled = self._scaled
        return [(price, scaled(quantity)) for price, quantity in levels]
