"""Market data of futures: books and quotes come on one connection, trades and bars on another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from aiohttp import ClientSession

from axon_exchange_binance.addresses import FuturesAddresses
from axon_exchange_binance.answers import DepthSnapshot
from axon_exchange_binance.market_stream import MarketStream
from axon_quant.clock import Clock
from axon_quant.exchange.capabilities import Channel
from axon_quant.exchange.link import Link
from axon_quant.market.types import MarketEvent

PUBLIC: Mapping[Channel, str] = {Channel.Quotes: "bookTicker", Channel.Book: "depth@100ms"}
MARKET: Mapping[Channel, str] = {Channel.Trades: "aggTrade", Channel.Bars: "kline_1m"}
"""What each connection carries; one that is asked for another's says yes and then nothing."""


class FuturesMarket:
    """Both connections as one: up when both are, lost when one is."""

    def __init__(
        self,
        session: ClientSession,
        addresses: FuturesAddresses,
        *,
        venue: str,
        clock: Clock,
        publish: Callable[[MarketEvent], None],
        snapshot: Callable[[str], Awaitable[DepthSnapshot]],
    ) -> None:
        self._streams = [
            (
                suffixes,
                MarketStream(
                    session, url, venue=venue, suffixes=suffixes, clock=clock, publish=publish, snapshot=snapshot
                ),
            )
            for suffixes, url in ((PUBLIC, addresses.public), (MARKET, addresses.market))
        ]

    async def subscribe(self, channel: Channel, symbol: str) -> None:
        """Add a channel to the running connection it belongs to. Raises as `MarketStream.subscribe` does."""
        for suffixes, stream in self._streams:
            if channel in suffixes:
                await stream.subscribe(channel, symbol)

    async def run(self, link: Link, wanted: Iterable[tuple[Channel, str]]) -> None:
        """Live until one of the connections ends. Raises ExchangeErrors."""
        both, asked = _Both(link, len(self._streams)), list(wanted)
        tasks = [
            asyncio.ensure_future(stream.run(both, [one for one in asked if one[0] in suffixes]))
            for suffixes, stream in self._streams
        ]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in ended:
            task.result()


class _Both:
    """The link as each connection sees it: it is up once all are."""

    def __init__(self, link: Link, missing: int) -> None:
        self._link = link
        self._missing = missing

    def up(self) -> None:
        self._missing -= 1
        if not self._missing:
            self._link.up()

    def heard(self) -> None:
        self._link.heard()
