"""Market data: one connection for every subscribed channel, with books that start from REST snapshots."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress

import msgspec
from aiohttp import ClientSession

from axon_exchange_binance.answers import DepthSnapshot
from axon_exchange_binance.market_messages import Control, Depth, MarketMessage, read
from axon_exchange_binance.sockets import Connection, connected
from axon_quant.clock import MILLISECOND, Clock
from axon_quant.errors import ExchangeError, RateLimitedError, RejectedError, UnavailableError
from axon_quant.exchange.capabilities import Channel
from axon_quant.exchange.link import Link
from axon_quant.exchange.sequenced import SequencedBook
from axon_quant.market.types import MarketEvent

SUFFIXES: Mapping[Channel, str] = {
    Channel.Trades: "trade",
    Channel.Quotes: "bookTicker",
    Channel.Book: "depth@100ms",
    Channel.Bars: "kline_1m",
}
_STREAMS_A_REQUEST = 200
_REQUEST_EVERY = 0.25
"""Binance cuts off whoever sends more than five messages a second."""
_ANSWER_WITHIN = 10.0
_SNAPSHOT_AGAIN = 0.5


class MarketStream:
    """Lives through one connection at a time; see `run`. It serves the channels that `suffixes` name.

    `snapshot` asks for a symbol's whole book.
    """

    def __init__(
        self,
        session: ClientSession,
        url: str,
        *,
        venue: str,
        suffixes: Mapping[Channel, str],
        clock: Clock,
        publish: Callable[[MarketEvent], None],
        snapshot: Callable[[str], Awaitable[DepthSnapshot]],
    ) -> None:
        self._session = session
        self._url = url
        self._venue = venue
        self._suffixes = suffixes
        self._clock = clock
        self._publish = publish
        self._snapshot = snapshot
        self._books: dict[str, SequencedBook] = {}
        self._snapshots: dict[str, asyncio.Task[None]] = {}
        self._connection: Connection | None = None
        self._asked: set[str] = set()
        self._wanted: dict[str, list[asyncio.Future[None]]] = {}
        self._pending: dict[int, list[asyncio.Future[None]]] = {}
        self._sender: asyncio.Task[None] | None = None
        self._requests = 0

    async def subscribe(self, channel: Channel, symbol: str) -> None:
        """Add a channel to the running connection; nothing without one. Raises RejectedError or UnavailableError."""
        name = self._name(channel, symbol)
        if self._connection is None or name in self._asked:
            return
        await self._asked_for([name])

    async def run(self, link: Link, wanted: Iterable[tuple[Channel, str]]) -> None:
        """Connect, subscribe to `wanted` and publish until the connection ends. Raises ExchangeErrors."""
        for book in self._books.values():
            book.reset()
        async with connected(self._session, self._url, link.heard, self._venue) as connection:
            self._connection = connection
            reader = asyncio.create_task(self._read(connection))
            try:
                names = [self._name(channel, symbol) for channel, symbol in wanted]
                subscribing = asyncio.create_task(self._asked_for(names))
                await asyncio.wait({reader, subscribing}, return_when=asyncio.FIRST_COMPLETED)
                if not subscribing.done():
                    subscribing.cancel()
                    await reader
                await subscribing
                link.up()
                await reader
            finally:
                await self._end(connection, reader)

    async def _end(self, connection: Connection, reader: asyncio.Task[None]) -> None:
        self._connection = None
        self._asked.clear()
        waiting = [*self._wanted.values(), *self._pending.values()]
        self._wanted.clear()
        self._pending.clear()
        for future in (future for futures in waiting for future in futures):
            if not future.done():
                future.set_exception(connection.lost())
                future.exception()  # whoever waits sees it; nobody may
        tasks = [reader, *self._snapshots.values()]
        if self._sender is not None:
            tasks.append(self._sender)
        self._snapshots.clear()
        self._sender = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _name(self, channel: Channel, symbol: str) -> str:
        """What Binance calls a channel of a symbol."""
        return f"{symbol.lower()}@{self._suffixes[channel]}"

    # Requests.

    async def _asked_for(self, names: list[str]) -> None:
        if not names:
            return
        loop = asyncio.get_running_loop()
        futures = []
        for name in names:
            self._asked.add(name)
            future: asyncio.Future[None] = loop.create_future()
            self._wanted.setdefault(name, []).append(future)
            futures.append(future)
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send_wanted())
        try:
            async with asyncio.timeout(_ANSWER_WITHIN + _REQUEST_EVERY * (len(names) // _STREAMS_A_REQUEST)):
                await asyncio.gather(*futures)
        except TimeoutError:
            self._asked.difference_update(names)
            raise UnavailableError(f"no answer to the subscription of {names[0]}", venue=self._venue) from None
        except ExchangeError:
            self._asked.difference_update(names)
            raise

    async def _send_wanted(self) -> None:
        while self._wanted and self._connection is not None:
            names = list(self._wanted)[:_STREAMS_A_REQUEST]
            self._requests += 1
            self._pending[self._requests] = [future for name in names for future in self._wanted.pop(name)]
            request = {"method": "SUBSCRIBE", "params": names, "id": self._requests}
            with suppress(ConnectionError):  # the reader notices, too
                await self._connection.send(msgspec.json.encode(request).decode())
            await asyncio.sleep(_REQUEST_EVERY)

    def _answered(self, control: Control) -> None:
        for future in self._pending.pop(control.id or 0, []):
            if future.done():
                continue
            if control.error is None:
                future.set_result(None)
            else:
                error = control.error
                future.set_exception(
                    RejectedError(
                        f"{error.msg} [{error.code}]", venue=self._venue, code=str(error.code), text=error.msg
                    )
                )

    # Data.

    async def _read(self, connection: Connection) -> None:
        now, publish = self._clock.now, self._publish
        while True:
            text = await connection.receive()
            if text is None:
                raise connection.lost()
            received = now()
            message: MarketMessage = read(text, received)
            if isinstance(message, Depth):
                self._on_depth(message, received)
            elif isinstance(message, Control):
                if message.id is not None or message.error is not None:
                    self._answered(message)
                elif "serverShutdown" in (message.e, message.stream.removeprefix("!")):
                    raise UnavailableError("the venue ends the stream: serverShutdown", venue=self._venue)
            elif message is not None:
                publish(message)

    def _on_depth(self, depth: Depth, received: int) -> None:
        book = self._books.get(depth.s)
        if book is None:
            book = self._books[depth.s] = SequencedBook(depth.s)
        for event in book.update(depth.U, depth.u, depth.b, depth.a, received, depth.E * MILLISECOND):
            self._publish(event)
        if book.gap and depth.s not in self._snapshots:
            self._snapshots[depth.s] = asyncio.create_task(self._fill(book))

    async def _fill(self, book: SequencedBook) -> None:
        """Take snapshots until one reaches the changes that are kept."""
        try:
            while book.gap:
                try:
                    snapshot = await self._snapshot(book.symbol)
                except RateLimitedError as error:
                    await asyncio.sleep(error.retry_after)
                    continue
                except ExchangeError:
                    await asyncio.sleep(_SNAPSHOT_AGAIN)  # until the connection ends, which ends this task
                    continue
                for event in book.snapshot(snapshot.last_update_id, snapshot.bids, snapshot.asks, self._clock.now()):
                    self._publish(event)
                if book.gap:
                    await asyncio.sleep(_SNAPSHOT_AGAIN)
        finally:
            self._snapshots.pop(book.symbol, None)
