"""The market's streams of futures, on the two routes that there are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import ClassVar

from axon_exchange_binance.simulator.candles import INTERVALS, Tape
from axon_exchange_binance.simulator.futures import market_messages as messages
from axon_exchange_binance.simulator.numbers import ladder
from axon_exchange_binance.simulator.streams import Streams
from axon_exchange_binance.simulator.subscriptions import Subscriptions
from axon_quant.clock import MILLISECOND, NANOSECONDS
from axon_quant.exchange.simulator import SimulatedExchange, Socket
from axon_quant.market.types import BookUpdate, MarketEvent, Quote, Trade

_SPEEDS = ("", "@100ms")
_PUBLIC = frozenset(
    {"bookTicker", "trade"} | {f"depth{levels}{speed}" for levels in ("", 5, 10, 20) for speed in _SPEEDS}
)
_MARKET = frozenset(
    {"aggTrade", "miniTicker", "ticker", "markPrice", "markPrice@1s"} | {f"kline_{interval}" for interval in INTERVALS}
)
ROUTES = {"public": _PUBLIC, "market": _MARKET}
_MARKS = {"markPrice": 3 * NANOSECONDS, "markPrice@1s": NANOSECONDS}


class FuturesSubscriptions(Subscriptions):
    """A subscription on the wrong route is taken, and nothing comes of it, as at Binance."""

    channels: ClassVar[Collection[str]] = _PUBLIC | _MARKET

    def _named(self, socket: Socket, path: str, query: str) -> None:
        route, _, rest = path.removeprefix("/").partition("/")
        socket.data["route"] = ROUTES[route]
        super()._named(socket, f"/{rest}", query)

    def _add(self, socket: Socket, names: Iterable[str]) -> None:
        asked = list(names)
        socket.data["names"].update(dict.fromkeys(asked))
        served = socket.data["route"]
        super()._add(socket, (name for name in asked if (place := self.split(name)) and _is_served(place[1], served)))


class FuturesStreams(Streams):
    """Says every event of the market; `premium` is what `premiumIndex` says of a symbol."""

    slow_every: ClassVar[int] = 250 * MILLISECOND

    def __init__(
        self,
        exchange: SimulatedExchange,
        tapes: Mapping[str, Tape],
        premium: Callable[[str], dict[str, object]],
    ) -> None:
        super().__init__(exchange, tapes, FuturesSubscriptions())
        self._premium = premium

    def publish(self, event: MarketEvent) -> None:
        super().publish(event)
        symbol = event.symbol
        channels = self.subscriptions.of.get(symbol, {})
        for channel, period in _MARKS.items():
            if channel in channels and self._is_due(symbol, channel, event.received, period):
                self._say(channels, symbol, channel, lambda: messages.mark_price_message(self._premium(symbol)))

    def _trade_said(self, trade: Trade) -> dict[str, object]:
        return messages.trade_message(trade)

    def _best_said(self, quote: Quote) -> dict[str, object]:
        return messages.book_ticker_message(quote)

    def _depth_said(self, update: BookUpdate) -> dict[str, object]:
        return messages.depth_message(update)

    def _partial(self, symbol: str, count: int) -> dict[str, object]:
        book = self._exchange.books[symbol]
        bids, asks = ladder(book.bids(count)), ladder(book.asks(count))
        return messages.partial_message(symbol, self._exchange.now(), book.sequence, bids, asks)


def _is_served(channel: str, served: frozenset[str]) -> bool:
    return channel in served or (channel.startswith("!") and served is _MARKET)
