"""ccxt.pro's watch methods as streams. Its clients hide their connections: a lost one shows as an error of a watch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

from axon_quant.clock import MILLISECOND, NANOSECONDS, Clock
from axon_quant.exchange.capabilities import Channel
from axon_quant.exchange.link import Link
from axon_quant.market.types import Bar, BookSnapshot, MarketEvent, Quote, Trade

Watch: TypeAlias = Callable[[], Awaitable[object]]
Report: TypeAlias = Callable[[Any], None]

_LOOK_EVERY = 0.05
_SUBSCRIBED_WITHIN = 0.5
"""ccxt does not say when a subscription is confirmed; connected for this long, it is taken to be."""
_DEPTH = 100
_MINUTE = 60_000


class Watches:
    """Everything that is watched through one client; the first watch that fails ends them all."""

    def __init__(self, client: Any, link: Link) -> None:
        self._client = client
        self._link = link
        self._tasks: set[asyncio.Task[None]] = set()
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def add(self, watch: Watch, report: Report) -> None:
        """Watch one thing more; each finding goes to `report`."""
        self._start(self._repeat(watch, report))

    async def run(self) -> None:
        """Say that the link is up once there is a connection, and wait until a watch fails with ccxt's exception."""
        self._start(self._say_up())
        try:
            await self._over
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._over.done():
            self._over.set_exception(error)

    async def _repeat(self, watch: Watch, report: Report) -> None:
        while True:
            found = await watch()
            self._link.heard()
            report(found)

    async def _say_up(self) -> None:
        # Without anything to watch there is no connection, and nothing to miss.
        while len(self._tasks) > 1 and not self._is_connected():  # noqa: ASYNC110 - ccxt has no event for it
            await asyncio.sleep(_LOOK_EVERY)
        await asyncio.sleep(_SUBSCRIBED_WITHIN)
        self._link.up()

    def _is_connected(self) -> bool:
        return any(other.connected.done() for other in self._client.clients.values())


class MarketWatch:
    """The watch of one channel of one symbol, and what its findings mean. `symbol` is the venue's, `unified` ccxt's."""

    def __init__(
        self,
        client: Any,
        channel: Channel,
        symbol: str,
        unified: str,
        clock: Clock,
        publish: Callable[[MarketEvent], None],
    ) -> None:
        self._client = client
        self._channel = channel
        self._symbol = symbol
        self._unified = unified
        self._clock = clock
        self._publish = publish
        self._sequence = 0
        self._bar: list[Any] | None = None

    def pair(self) -> tuple[Watch, Report]:
        """What `run` takes."""
        client, unified = self._client, self._unified
        watches: dict[Channel, tuple[Watch, Report]] = {
            Channel.Trades: (lambda: client.watch_trades(unified), self._trades),
            Channel.Quotes: (lambda: client.watch_order_book(unified), self._quote),
            Channel.Book: (lambda: client.watch_order_book(unified), self._book),
            Channel.Bars: (lambda: client.watch_ohlcv(unified, "1m"), self._bars),
        }
        return watches[self._channel]

    def _trades(self, found: list[Any]) -> None:
        received = self._clock.now()
        for trade in found:
            maker = trade["side"] == "sell"  # ccxt gives the taker's side
            at = int(trade["timestamp"] or 0) * MILLISECOND
            number = str(trade.get("id") or "")
            self._publish(
                Trade(
                    self._symbol,
                    received,
                    float(trade["price"]),
                    float(trade["amount"]),
                    maker,
                    int(number) if number.isdecimal() else 0,
                    at,
                )
            )

    def _quote(self, found: Any) -> None:
        bids, asks = found["bids"], found["asks"]
        if bids and asks:
            received, self._sequence = self._clock.now(), self._sequence + 1
            bid, ask = bids[0], asks[0]
            self._publish(
                Quote(
                    self._symbol, received, float(bid[0]), float(bid[1]), float(ask[0]), float(ask[1]), self._sequence
                )
            )

    def _book(self, found: Any) -> None:
        """ccxt keeps the book itself and shows no sequence numbers, so each state of it is a snapshot."""
        self._sequence += 1
        bids, asks = (
            [(float(level[0]), float(level[1])) for level in found[side][:_DEPTH]] for side in ("bids", "asks")
        )
        self._publish(BookSnapshot(self._symbol, self._clock.now(), self._sequence, bids, asks))

    def _bars(self, found: list[Any]) -> None:
        for bar in found:
            last, self._bar = self._bar, bar
            if last is not None and last[0] < bar[0]:  # a bar is closed when the next one begins
                closed = (int(last[0]) + _MINUTE) * (NANOSECONDS // 1000)
                self._publish(Bar(self._symbol, closed, *map(float, last[1:6])))
