"""Market data: trades, best bid and ask and books on the public WebSocket, bars on the business one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

import aiohttp

from axon_exchange_okx.account_stream import BUSINESS
from axon_exchange_okx.payloads import BOOKS, CANDLES, TRADES, Arg, BookRow, Push
from axon_exchange_okx.socket import Argument, Socket, Sockets
from axon_quant.clock import MILLISECOND, NANOSECONDS
from axon_quant.errors import ExchangeError
from axon_quant.exchange.capabilities import Channel
from axon_quant.exchange.link import Link
from axon_quant.exchange.sequenced import SequencedBook
from axon_quant.market.types import Bar, Level, MarketEvent, Quote, Trade

PUBLIC = "/ws/v5/public"
_NAMES = {Channel.Trades: "trades", Channel.Quotes: "bbo-tbt", Channel.Book: "books", Channel.Bars: "candle1m"}
_BAR = 60 * NANOSECONDS
_PATIENCE = 2.0
"""Seconds to wait for a book's snapshot before asking again."""


class MarketStream:
    """Reads public channels and publishes their events.

    Sizes of swaps are contracts. A book that misses a message is subscribed to again, for a new snapshot.
    """

    def __init__(self, now: Callable[[], int], publish: Callable[[MarketEvent], None]) -> None:
        self._now = now
        self._publish = publish
        self._books: dict[str, SequencedBook] = {}
        self._renewals: dict[str, asyncio.Task[None]] = {}
        self._whole: dict[str, asyncio.Event] = {}
        self._open: dict[str, Socket] = {}
        self._sockets: Sockets | None = None

    async def run(
        self, session: aiohttp.ClientSession, root: str, wanted: Iterable[tuple[Channel, str]], link: Link
    ) -> None:
        """One connection's life. Returns when it is lost, or raises why."""
        try:
            async with Sockets(session, root, link.heard, self._on_push) as sockets:
                self._sockets = sockets
                first: dict[str, list[Argument]] = {}
                for channel, symbol in wanted:
                    first.setdefault(_path(channel), []).append(_argument(channel, symbol))
                for path, arguments in first.items():
                    self._open[path] = await sockets.open(path)
                    await sockets.until(self._open[path].subscribe(arguments))
                link.up()
                await asyncio.shield(sockets.ended)  # others wait for it, too, when this is cancelled
        finally:
            self._sockets = None
            self._open.clear()
            for book in self._books.values():
                book.reset()
            renewals = list(self._renewals.values())
            for renewal in renewals:
                renewal.cancel()
            await asyncio.gather(*renewals, return_exceptions=True)

    async def subscribe(self, channel: Channel, symbol: str) -> None:
        """Add a channel to the connection there is, and wait for it; nothing when there is none."""
        sockets, path = self._sockets, _path(channel)
        if sockets is None:
            return
        socket = self._open.get(path)
        if socket is None:
            socket = self._open[path] = await sockets.open(path)
        await sockets.until(socket.subscribe([_argument(channel, symbol)]))

    def _on_push(self, arg: Arg, push: Push) -> None:
        received, channel = self._now(), arg.channel
        if channel == "books":
            snapshot = push.action == "snapshot"
            for row in BOOKS.decode(push.data):
                self._on_book(arg.inst_id, row, received, snapshot=snapshot)
        elif channel == "trades":
            for trade in TRADES.decode(push.data):
                self._publish(
                    Trade(
                        arg.inst_id,
                        received,
                        trade.px,
                        trade.sz,
                        trade.side == "sell",
                        trade.trade_id,
                        trade.ts * MILLISECOND,
                    )
                )
        elif channel == "bbo-tbt":
            for row in BOOKS.decode(push.data):
                if row.bids and row.asks:
                    bid, ask = row.bids[0], row.asks[0]
                    self._publish(
                        Quote(arg.inst_id, received, bid[0], bid[1], ask[0], ask[1], row.seq_id, row.ts * MILLISECOND)
                    )
        elif channel == "candle1m":
            for candle in CANDLES.decode(push.data):
                if candle[-1] == "1":  # the interval is over
                    closed = int(candle[0]) * MILLISECOND + _BAR
                    self._publish(Bar(arg.inst_id, closed, *map(float, candle[1:6])))

    def _on_book(self, symbol: str, row: BookRow, received: int, *, snapshot: bool) -> None:
        book = self._books.get(symbol)
        if book is None:
            book = self._books[symbol] = SequencedBook(symbol)
        bids, asks, venue_time = _levels(row.bids), _levels(row.asks), row.ts * MILLISECOND
        if snapshot:
            for event in book.snapshot(row.seq_id, bids, asks, received, venue_time):
                self._publish(event)
        else:
            for update in book.follow(row.prev_seq_id, row.seq_id, bids, asks, received, venue_time):
                self._publish(update)
        if not book.gap:
            if symbol in self._whole:
                self._whole[symbol].set()
        elif symbol not in self._renewals:
            self._renewals[symbol] = asyncio.create_task(self._renew(book))

    async def _renew(self, book: SequencedBook) -> None:
        """Subscribe to a book again, which brings a snapshot, until it is whole."""
        sockets, socket = self._sockets, self._open.get(PUBLIC)
        if sockets is None or socket is None:
            return  # the connection is lost, and the next one begins with a snapshot
        argument = [_argument(Channel.Book, book.symbol)]
        whole = self._whole[book.symbol] = asyncio.Event()
        try:
            while book.gap:
                await socket.unsubscribe(argument)
                await sockets.until(socket.subscribe(argument))
                with suppress(TimeoutError):
                    await asyncio.wait_for(whole.wait(), _PATIENCE)
        except ExchangeError as error:
            sockets.fail(error)
        finally:
            del self._renewals[book.symbol], self._whole[book.symbol]


def _path(channel: Channel) -> str:
    return BUSINESS if channel is Channel.Bars else PUBLIC


def _argument(channel: Channel, symbol: str) -> Argument:
    return {"channel": _NAMES[channel], "instId": symbol}


def _levels(levels: list[tuple[float, float, str, str]]) -> list[Level]:
    return [(level[0], level[1]) for level in levels]
