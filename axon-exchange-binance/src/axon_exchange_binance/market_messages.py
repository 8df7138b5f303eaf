"""Market data from Binance's combined streams, decoded in one pass. Numbers are floats: they feed statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Struct

from axon_quant.clock import MILLISECOND
from axon_quant.errors import MalformedMessageError
from axon_quant.market.types import Bar, Quote, Trade

# Meta's comparisons are false for NaN, so these types refuse it.
_Price = Annotated[float, Meta(gt=0, lt=1e18)]
_Quantity = Annotated[float, Meta(ge=0, lt=1e18)]
_Levels: TypeAlias = list[tuple[_Price, _Quantity]]


class Depth(Struct, gc=False):
    """Changed levels, covering the numbers `U … u`. `E` is UTC milliseconds.

    Futures leave numbers out, and say in `pu` which one came before: then `U` follows it.
    """

    s: str
    U: int
    u: int
    b: _Levels
    a: _Levels
    E: int = 0
    pu: int = -1


class _Trade(Struct, gc=False):
    s: str
    t: int
    p: _Price
    q: _Quantity
    m: bool
    T: int = 0


class _AggregateTrade(Struct, gc=False):
    s: str
    a: int
    p: _Price
    q: _Quantity
    m: bool
    T: int = 0


class _BookTicker(Struct, gc=False):
    s: str
    u: int
    b: _Price
    B: _Quantity
    a: _Price
    A: _Quantity


class _Kline(Struct, gc=False):
    s: str
    T: int
    o: _Price
    h: _Price
    l: _Price  # noqa: E741 - the venue's name
    c: _Price
    v: _Quantity
    x: bool


class _KlineEvent(Struct):
    k: _Kline


class _DepthMessage(Struct):
    data: Depth


class _TradeMessage(Struct):
    data: _Trade


class _AggregateTradeMessage(Struct):
    data: _AggregateTrade


class _BookTickerMessage(Struct):
    data: _BookTicker


class _KlineMessage(Struct):
    data: _KlineEvent


class Failure(Struct):
    """Why a request was refused."""

    code: int = 0
    msg: str = ""


class Control(Struct):
    """Anything else: the answer to a request (`id`), or an event of the connection itself."""

    id: int | None = None
    error: Failure | None = None
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw()
    e: str = ""


MarketMessage: TypeAlias = Depth | Trade | Quote | Bar | Control | None

_decode_depth = msgspec.json.Decoder(_DepthMessage, strict=False).decode
_decode_trade = msgspec.json.Decoder(_TradeMessage, strict=False).decode
_decode_aggregate = msgspec.json.Decoder(_AggregateTradeMessage, strict=False).decode
_decode_ticker = msgspec.json.Decoder(_BookTickerMessage, strict=False).decode
_decode_kline = msgspec.json.Decoder(_KlineMessage, strict=False).decode
_decode_control = msgspec.json.Decoder(Control, strict=False).decode

_HEAD = '{"stream":"'


def read(text: str, received: int) -> MarketMessage:
    """What a message says; None for a bar that is not closed yet. Raises MalformedMessageError."""
    try:
        if not text.startswith(_HEAD):
            control = _decode_control(text)
            if not control.stream:
                return control
            # The same in another order of keys.
            text = f'{_HEAD}{control.stream}","data":{bytes(control.data).decode()}}}'
        at = text.find("@", 11, 80) + 1
        for name, reader in _READERS:
            if text.startswith(name, at):
                return reader(text, received)
        return _decode_control(text)
    except ValueError as error:  # msgspec's errors are ValueErrors too
        raise MalformedMessageError(f"binance: {error}") from None


def _depth(text: str, _: int) -> Depth:
    depth = _decode_depth(text).data
    if not depth.u >= depth.U:
        raise ValueError(f"the update ends at {depth.u}, before it begins at {depth.U}")
    if depth.pu >= 0:
        depth.U = depth.pu + 1
    return depth


def _trade(text: str, received: int) -> Trade:
    trade = _decode_trade(text).data
    return Trade(trade.s, received, trade.p, trade.q, trade.m, trade.t, trade.T * MILLISECOND)


def _aggregate(text: str, received: int) -> Trade:
    trade = _decode_aggregate(text).data
    return Trade(trade.s, received, trade.p, trade.q, trade.m, trade.a, trade.T * MILLISECOND)


def _quote(text: str, received: int) -> Quote:
    quote = _decode_ticker(text).data
    return Quote(quote.s, received, quote.b, quote.B, quote.a, quote.A, quote.u)


def _bar(text: str, _: int) -> Bar | None:
    bar = _decode_kline(text).data.k
    if not bar.x:
        return None
    return Bar(bar.s, (bar.T + 1) * MILLISECOND, bar.o, bar.h, bar.l, bar.c, bar.v)


_READERS: tuple[tuple[str, Callable[[str, int], MarketMessage]], ...] = (
    ("depth", _depth),
    ("bookTicker", _quote),
    ("trade", _trade),
    ("aggTrade", _aggregate),
    ("kline_", _bar),
)
