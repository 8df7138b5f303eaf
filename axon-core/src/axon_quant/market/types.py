"""What a venue reports, one type per message. Prices and quantities are float64: they feed statistics, not ledgers.

`received` is our clock (UTC ns) when the message arrived and the only time that decisions use; `venue_time` is the
venue's own stamp (UTC ns, 0 when it sends none). The two clocks are never compared: a recording may have been received
before it was sent.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

Level: TypeAlias = tuple[float, float]
"""(price, quantity); quantity 0 removes the level."""


class Trade(Struct, frozen=True, gc=False):
    """One public trade."""

    symbol: str
    received: int
    price: float
    quantity: float
    buyer_is_maker: bool
    trade_id: int = 0
    venue_time: int = 0


class Quote(Struct, frozen=True, gc=False):
    """The best bid and ask."""

    symbol: str
    received: int
    bid: float
    bid_quantity: float
    ask: float
    ask_quantity: float
    sequence: int = 0
    venue_time: int = 0

    @property
    def mid(self) -> float:
        return (self.bid + self.ask) / 2.0


class Bar(Struct, frozen=True, gc=False):
    """One closed interval of trades; `received` is the close time."""

    symbol: str
    received: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class BookUpdate(Struct, frozen=True):
    """Changed levels, covering the venue's sequence numbers `first_sequence … last_sequence`."""

    symbol: str
    received: int
    first_sequence: int
    last_sequence: int
    bids: list[Level]
    asks: list[Level]
    venue_time: int = 0


class BookSnapshot(Struct, frozen=True):
    """The whole book as of `sequence`."""

    symbol: str
    received: int
    sequence: int
    bids: list[Level]
    asks: list[Level]
    venue_time: int = 0


MarketEvent: TypeAlias = Trade | Quote | Bar | BookUpdate | BookSnapshot
