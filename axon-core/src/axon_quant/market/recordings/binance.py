"""Recorded Binance combined streams: `<receive time in ns> <message>` per line, plain or gzipped.

A message is what arrived on the socket (`{"stream": "btcusdt@trade", "data": {…}}`) or the body of the REST depth
snapshot. Numbers arrive as strings and become floats here; a price that is not positive, a quantity that is negative,
NaN and infinity are malformed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from axon_quant.clock import MILLISECOND
from axon_quant.market.recordings.base import Recording, read_lines
from axon_quant.market.types import BookSnapshot, BookUpdate, MarketEvent, Quote, Trade

# Meta's comparisons are false for NaN, so these types refuse it.
_Price = Annotated[float, Meta(gt=0, lt=1e18)]
_Quantity = Annotated[float, Meta(ge=0, lt=1e18)]
_TradedQuantity = Annotated[float, Meta(gt=0, lt=1e18)]
_Symbol = Annotated[str, Meta(min_length=1)]
_Levels = list[tuple[_Price, _Quantity]]


class _Depth(Struct, gc=False):
    s: _Symbol
    U: int
    u: int
    b: _Levels
    a: _Levels
    E: int = 0


class _Trade(Struct, gc=False):
    s: _Symbol
    t: int
    p: _Price
    q: _TradedQuantity
    m: bool
    T: int = 0


class _BookTicker(Struct, gc=False):
    s: _Symbol
    u: int
    b: _Price
    B: _Quantity
    a: _Price
    A: _Quantity


class _Snapshot(Struct):
    lastUpdateId: int  # noqa: N815 - the venue's name
    bids: _Levels
    asks: _Levels


class _DepthMessage(Struct):
    data: _Depth


class _TradeMessage(Struct):
    data: _Trade


class _BookTickerMessage(Struct):
    data: _BookTicker


class _AnyMessage(Struct):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw()
    lastUpdateId: int | None = None  # noqa: N815 - the venue's name


_decode_depth = msgspec.json.Decoder(_DepthMessage, strict=False).decode
_decode_trade = msgspec.json.Decoder(_TradeMessage, strict=False).decode
_decode_ticker = msgspec.json.Decoder(_BookTickerMessage, strict=False).decode
_decode_snapshot = msgspec.json.Decoder(_Snapshot, strict=False).decode
_decode_any = msgspec.json.Decoder(_AnyMessage).decode

_HEAD = b'{"stream":"'
_DEPTH = (b'depth"', b"depth@")
_TRADE = b'trade"'
_TICKER = b'bookTicker"'


class BinanceRecording(Recording):
    """A recorded Binance combined stream of one or more symbols: depth updates, trades, best quotes, one snapshot.

    The snapshot carries no symbol; it belongs to the symbol whose depth updates surround it. `ignored` counts messages
    of other streams.
    """

    ignored = 0

    def __iter__(self) -> Iterator[MarketEvent]:
        self.messages = self.malformed = self.ignored = 0
        depth_symbol = ""
        waiting: _Unplaced | None = None
        for first, lines in read_lines(self.path, self._report):
            # Decoded in one go, so that the decoder stays in the processor's caches.
            for number, event in enumerate([_read(line) for line in lines], first):
                self.messages += 1
                kind = type(event)
                if kind is Quote or kind is Trade:
                    yield event  # type: ignore[misc]  # mypy does not narrow by type()
                elif isinstance(event, BookUpdate):
                    depth_symbol = event.symbol
                    if waiting is not None:
                        yield waiting.of(depth_symbol)
                        waiting = None
                    yield event
                elif isinstance(event, _Unplaced):
                    if depth_symbol:
                        yield event.of(depth_symbol)
                    else:
                        waiting = event
                elif isinstance(event, str):
                    self._report(number, event)
                else:
                    self.ignored += 1


class _Unplaced(Struct):
    """A snapshot whose symbol is not known yet."""

    received: int
    snapshot: _Snapshot

    def of(self, symbol: str) -> BookSnapshot:
        snapshot = self.snapshot
        return BookSnapshot(symbol, self.received, snapshot.lastUpdateId, snapshot.bids, snapshot.asks)


def _read(line: bytes) -> Quote | Trade | BookUpdate | _Unplaced | str | None:
    """What one line says: None for a message of a stream that is not read, a text for why it cannot be understood."""
    try:
        stamp, _, body = line.partition(b" ")
        received = _received(stamp)
        if not received > 0:
            raise ValueError(f"the receive time must be positive, got {received}")
        if not body.startswith(_HEAD):
            body = _canonical(body)
        at = body.find(b"@", 11, 64) + 1
        if body.startswith(_TICKER, at):
            q = _decode_ticker(body).data
            if not q.b < q.a:
                raise ValueError(f"the best bid {q.b} is not below the best ask {q.a}")
            return Quote(q.s, received, q.b, q.B, q.a, q.A, q.u)
        if body.startswith(_TRADE, at):
            t = _decode_trade(body).data
            return Trade(t.s, received, t.p, t.q, t.m, t.t, t.T * MILLISECOND)
        if body.startswith(_DEPTH, at):
            d = _decode_depth(body).data
            if not d.u >= d.U:
                raise ValueError(f"the update ends at {d.u}, before it begins at {d.U}")
            return BookUpdate(d.s, received, d.U, d.u, d.b, d.a, d.E * MILLISECOND)
        snapshot = _snapshot(body)
        return None if snapshot is None else _Unplaced(received, snapshot)
    except ValueError as error:  # msgspec's errors are ValueErrors too
        return str(error)


def _received(stamp: bytes) -> int:
    try:
        return int(stamp)
    except ValueError:
        begin = stamp[:32].decode(errors="replace")
        raise ValueError(
            f"a line is the receive time in ns, a space and the message; it begins with {begin!r}"
        ) from None


def _canonical(body: bytes) -> bytes:
    """A message whose keys come in another order, in the venue's own order; a snapshot as it is."""
    message = _decode_any(body)
    return _HEAD + message.stream.encode() + b'","data":' + bytes(message.data) + b"}" if message.stream else body


def _snapshot(body: bytes) -> _Snapshot | None:
    """The REST snapshot, or None for a message of a stream that is not read."""
    return _decode_snapshot(body) if _decode_any(body).lastUpdateId is not None else None
