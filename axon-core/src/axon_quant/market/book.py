"""The order book of one symbol, kept whole by sequence numbers.

A venue sends a snapshot and a stream of updates that overlap it. Updates that arrive before the snapshot are buffered;
the first one applied must span `snapshot.sequence + 1`; each later one must continue where the last ended. When one is
missing, the book says so and is not used again until a snapshot makes it whole.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from enum import Enum
from operator import neg

from axon_quant.market.types import BookSnapshot, BookUpdate, Level


class BookStatus(Enum):
    """What became of an update."""

    APPLIED = "applied"
    BUFFERED = "buffered"
    STALE = "stale"
    GAP = "gap"
    CROSSED = "crossed"


class _Side:
    """Levels of one side: a dict for quantities, a sorted list of keys whose **last** element is the best price."""

    __slots__ = ("_sign", "keys", "levels")

    def __init__(self, sign: float) -> None:
        self._sign = sign
        self.keys: list[float] = []
        self.levels: dict[float, float] = {}

    def replace(self, levels: list[Level]) -> None:
        self.levels = {price: quantity for price, quantity in levels if quantity > 0}
        self.keys = sorted(self._sign * price for price in self.levels)

    def update(self, levels: list[Level]) -> None:
        known, keys, sign = self.levels, self.keys, self._sign
        for price, quantity in levels:
            if quantity > 0.0:
                if price not in known:
                    insort(keys, sign * price)
                known[price] = quantity
            elif known.pop(price, None) is not None:
                del keys[bisect_left(keys, sign * price)]

    def top(self, depth: int) -> tuple[list[float], list[float]]:
        """The best `depth` prices and their quantities, best first."""
        keys = self.keys[: -depth - 1 : -1]
        prices = keys if self._sign > 0 else list(map(neg, keys))
        return prices, list(map(self.levels.__getitem__, prices))


class OrderBook:
    """Bids and asks of one symbol, whole or waiting for a snapshot.

    `apply` and `restore` return a `BookStatus`; nothing is raised for a gap, because a feed that lost a message goes
    on. `gaps` and `crossings` count what was seen. `buffer_limit` bounds the updates kept while waiting.
    """

    __slots__ = ("_asks", "_bids", "_buffer", "_first", "crossings", "gaps", "sequence", "symbol", "whole")

    def __init__(self, symbol: str, *, buffer_limit: int = 10_000) -> None:
        self.symbol = symbol
        self.whole = False
        self.sequence = 0
        self.gaps = 0
        self.crossings = 0
        self._bids = _Side(1.0)
        self._asks = _Side(-1.0)
        self._buffer: deque[BookUpdate] = deque(maxlen=buffer_limit)
        self._first = False

    def apply(self, update: BookUpdate) -> BookStatus:
        """Apply one update in sequence, or buffer it while the book is not whole."""
        if not self.whole:
            self._buffer.append(update)
            return BookStatus.BUFFERED
        expected = self.sequence + 1
        if update.last_sequence < expected:
            return BookStatus.STALE
        # Only the first update after a snapshot may overlap it; a later overlap means that the feed lost its order.
        if update.first_sequence > expected or (update.first_sequence < expected and not self._first):
            self._lose(update)
            return BookStatus.GAP
        self._first = False
        self._bids.update(update.bids)
        self._asks.update(update.asks)
        self.sequence = update.last_sequence
        if self._crossed():
            self.crossings += 1
            self._discard()
            return BookStatus.CROSSED
        return BookStatus.APPLIED

    def restore(self, snapshot: BookSnapshot) -> BookStatus:
        """Start from a snapshot and replay the buffered updates that reach past it.

        BUFFERED means that the snapshot is older than the buffer and the book still waits; a whole book ignores a
        snapshot that is not newer (STALE).
        """
        if self.whole and snapshot.sequence <= self.sequence:
            return BookStatus.STALE
        pending = [update for update in self._buffer if update.last_sequence > snapshot.sequence]
        if pending and pending[0].first_sequence > snapshot.sequence + 1:
            return BookStatus.BUFFERED
        self._buffer.clear()
        self._bids.replace(snapshot.bids)
        self._asks.replace(snapshot.asks)
        self.sequence = snapshot.sequence
        self._first = True
        self.whole = True
        status = BookStatus.APPLIED
        if self._crossed():
            self.crossings += 1
            self._discard()
            return BookStatus.CROSSED
        for position, update in enumerate(pending):
            status = self.apply(update)
            if not self.whole:
                self._buffer.extend(pending[position + 1 :])
                break
        return status

    @property
    def best_bid(self) -> Level | None:
        """(price, quantity) of the highest bid, or None."""
        if not self._bids.keys:
            return None
        price = self._bids.keys[-1]
        return price, self._bids.levels[price]

    @property
    def best_ask(self) -> Level | None:
        """(price, quantity) of the lowest ask, or None."""
        if not self._asks.keys:
            return None
        price = -self._asks.keys[-1]
        return price, self._asks.levels[price]

    def bids(self, depth: int) -> tuple[list[float], list[float]]:
        """Prices and quantities of the best `depth` bids, best first."""
        return self._bids.top(depth)

    def asks(self, depth: int) -> tuple[list[float], list[float]]:
        """Prices and quantities of the best `depth` asks, best first."""
        return self._asks.top(depth)

    def bid_quantity(self, price: float) -> float:
        """Displayed quantity at one bid price; 0 when there is none."""
        return self._bids.levels.get(price, 0.0)

    def ask_quantity(self, price: float) -> float:
        """Displayed quantity at one ask price; 0 when there is none."""
        return self._asks.levels.get(price, 0.0)

    def _crossed(self) -> bool:
        bids, asks = self._bids.keys, self._asks.keys
        return bool(bids and asks and bids[-1] >= -asks[-1])

    def _lose(self, update: BookUpdate) -> None:
        self.gaps += 1
        self._discard()
        self._buffer.append(update)

    def _discard(self) -> None:
        self.whole = False
        self._bids = _Side(1.0)
        self._asks = _Side(-1.0)
        self._buffer.clear()
