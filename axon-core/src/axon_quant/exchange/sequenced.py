"""One symbol's book as a venue sends it, made into events that follow each other without a hole."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from axon_quant.market.types import BookSnapshot, BookUpdate, Level


class SequencedBook:
    """Numbers in order or not at all.

    Pass every change to `update` (a venue that numbers each change, such as Binance with `U` and `u`) or `follow` (one
    that names the message before, such as OKX with `prevSeqId`) and every snapshot to `snapshot`; publish what they
    return. While `gap` is true a snapshot is wanted: take or subscribe to one, again if `gap` stays true. Changes that
    arrive before it are kept, at most `buffer_limit`; those that the book holds already are dropped.

    The change that shows a hole is returned, so that whoever keeps the book loses it, too. The numbers of what is
    returned always rise, even when the venue starts again from a lower one.
    """

    __slots__ = ("_buffer", "_first", "_last", "_shift", "gap", "gaps", "sequence", "symbol")

    def __init__(self, symbol: str, *, buffer_limit: int = 10_000) -> None:
        self.symbol = symbol
        self.gap = True
        self.gaps = 0
        self.sequence = 0
        """The venue's number of the last change that was returned."""
        self._buffer: deque[BookUpdate] = deque(maxlen=buffer_limit)  # with the venue's numbers
        self._first = False
        self._last = 0  # the last number returned, ours
        self._shift = 0  # ours less the venue's

    def snapshot(
        self, sequence: int, bids: list[Level], asks: list[Level], received: int, venue_time: int = 0
    ) -> list[BookSnapshot | BookUpdate]:
        """The whole book as of `sequence`, and the kept changes that continue it; nothing if it is too old."""
        if not self.gap and sequence < self.sequence:
            return []
        pending = [update for update in self._buffer if update.last_sequence > sequence]
        if pending and pending[0].first_sequence > sequence + 1:
            return []
        self._buffer.clear()
        if sequence + self._shift < self._last:
            self._shift = self._last + 1 - sequence
        self.gap, self._first = False, True
        self.sequence, self._last = sequence, sequence + self._shift
        events: list[BookSnapshot | BookUpdate] = [
            BookSnapshot(self.symbol, received, self._last, bids, asks, venue_time)
        ]
        for update in pending:
            events += self._apply(update)
        return events

    def update(
        self, first: int, last: int, bids: list[Level], asks: list[Level], received: int, venue_time: int = 0
    ) -> Sequence[BookUpdate]:
        """Changes that cover the numbers `first … last`."""
        return self._apply(BookUpdate(self.symbol, received, first, last, bids, asks, venue_time))

    def follow(
        self, previous: int, sequence: int, bids: list[Level], asks: list[Level], received: int, venue_time: int = 0
    ) -> Sequence[BookUpdate]:
        """Changes from the message numbered `previous` to `sequence`.

        A message that repeats the number is a sign of life. One that goes back to a lower number (the venue starts
        again) shows a hole, unless it is a late one.
        """
        if sequence == previous:
            if not self.gap and sequence > self.sequence:
                self._lose()
            return ()
        if sequence < previous:
            if not self.gap and previous == self.sequence:
                self._lose()
            return ()
        return self._apply(BookUpdate(self.symbol, received, previous + 1, sequence, bids, asks, venue_time))

    def reset(self) -> None:
        """The connection was lost: wait for a snapshot."""
        self.gap = True
        self._buffer.clear()

    def _apply(self, update: BookUpdate) -> Sequence[BookUpdate]:
        if self.gap:
            self._buffer.append(update)
            return ()
        expected = self.sequence + 1
        if update.last_sequence < expected:
            return ()
        # Only the first change after a snapshot may overlap it.
        if update.first_sequence == expected or (self._first and update.first_sequence < expected):
            self._first = False
            self.sequence = update.last_sequence
            return (self._numbered(update),)
        self._lose()
        self._buffer.append(update)
        return (self._numbered(update),)

    def _numbered(self, update: BookUpdate) -> BookUpdate:
        shift = self._shift
        last = update.last_sequence + shift
        if not self.gap:
            self._last = last
        if not shift:
            return update
        return BookUpdate(
            update.symbol,
            update.received,
            update.first_sequence + shift,
            last,
            update.bids,
            update.asks,
            update.venue_time,
        )

    def _lose(self) -> None:
        self.gaps += 1
        self.gap = True
        self._buffer.clear()
