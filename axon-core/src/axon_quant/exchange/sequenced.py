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
    arrive before it are kept, at most `buffer_limit`; those it holds already are dropped.

    The numbers of what is returned always rise, even when the venue starts again from a lower one.
    """

    __slots__ = ("_buffer", "_first", "_shift", "gap", "gaps", "sequence", "symbol")

    def __init__(self, symbol: str, *, buffer_limit: int = 10_000) -> None:
        self.symbol = symbol
        self.gap = True
        self.gaps = 0
        self.sequence = 0
        self._buffer: deque[BookUpdate] = deque(maxlen=buffer_limit)
        self._first = False
        self._shift = 0

    def snapshot(
        self, sequence: int, bids: list[Level], asks: list[Level], received: int, venue_time: int = 0
    ) -> list[BookSnapshot | BookUpdate]:
        """The whole book as of `sequence`, and the kept changes that continue it; nothing if it is too old."""
        if not self.gap and sequence <= self.sequence:
            return []
        raise NotImplementedError

    def update(
        self, first: int, last: int, bids: list[Level], asks: list[Level], received: int, venue_time: int = 0
    ) -> Sequence[BookUpdate]:
        """Changes that cover the numbers `first … last`."""
        raise NotImplementedError

    def follow(
        self, previous: int, sequence: int, bids: list[Level], asks: list[Level], received: int, venue_time: int = 0
    ) -> Sequence[BookUpdate]:
        """Changes from the message numbered `previous` to `sequence`."""
        raise NotImplementedError

    def reset(self) -> None:
        """The connection was lost: wait for a snapshot."""
        self.gap = True
        self._buffer.clear()
