"""The market's streams: each event to whoever has subscribed, as often as Binance says it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar

from axon_exchange_binance.simulator import market_messages as messages
from axon_exchange_binance.simulator.candles import INTERVALS, Tape
from axon_exchange_binance.simulator.numbers import ladder, milliseconds, number
from axon_exchange_binance.simulator.subscriptions import EVERY, Subscriptions
from axon_quant.clock import NANOSECONDS
from axon_quant.exchange.simulator import SimulatedExchange, Socket
from axon_quant.exchange.simulator.socket import encoded
from axon_quant.market.types import BookUpdate, Level, MarketEvent, Quote, Trade

_SECOND = NANOSECONDS
_FAST = "@100ms"


class Streams:
    """Says every event of the market on the sockets that have subscribed; `tapes` have counted it before."""

    slow_every: ClassVar[int] = _SECOND
    """How often the changes of a book are told where it is not every 100 ms, ns."""

    def __init__(
        self, exchange: SimulatedExchange, tapes: Mapping[str, Tape], subscriptions: Subscriptions | None = None
    ) -> None:
        self.subscriptions = Subscriptions() if subscriptions is None else subscriptions
        self._exchange = exchange
        self._tapes = tapes
        self._said_at: dict[tuple[str, str], int] = {}
        self._slow: dict[str, _SlowBook] = {}

    def publish(self, event: MarketEvent) -> None:
        """Tell everybody who has subscribed."""
        channels = self.subscriptions.of.get(event.symbol)
        if channels:
            if isinstance(event, Trade):
                self._on_trade(event, channels)
            elif isinstance(event, Quote):
                self._say(channels, event.symbol, "bookTicker", lambda: self._best_said(event))
            elif isinstance(event, BookUpdate):
                self._on_book(event, channels)
            if "miniTicker" in channels or "ticker" in channels or "avgPrice" in channels:
                self._on_day(event.symbol, event.received, channels)
        every = self.subscriptions.of.get(EVERY)
        if every:
            self._on_every_day(event.received, every)

    def _on_trade(self, trade: Trade, channels: Mapping[str, dict[Socket, None]]) -> None:
        symbol = trade.symbol
        self._say(channels, symbol, "trade", lambda: self._trade_said(trade))
        self._say(channels, symbol, "aggTrade", lambda: messages.aggregate_message(trade))
        for channel in [channel for channel in channels if channel.startswith("kline_")]:
            self._on_candle(trade, channel.removeprefix("kline_"), channels)

    def _on_candle(self, trade: Trade, interval: str, channels: Mapping[str, dict[Socket, None]]) -> None:
        """A kline every second or two, and once more when its interval is over: at the first trade of the next."""
        candles, channel, at = self._tapes[trade.symbol].candles[interval], f"kline_{interval}", trade.received
        newest = candles[-1]
        if newest.trades == 1 and len(candles) > 1:
            ended = messages.kline_message(trade.symbol, interval, candles[-2], at, closed=True)
            self._say(channels, trade.symbol, channel, lambda: ended)
        period = _SECOND if INTERVALS[interval] == _SECOND else 2 * _SECOND
        if newest.trades == 1 or self._is_due(trade.symbol, channel, at, period):
            begun = messages.kline_message(trade.symbol, interval, newest, at, closed=False)
            self._say(channels, trade.symbol, channel, lambda: begun)

    def _on_book(self, update: BookUpdate, channels: Mapping[str, dict[Socket, None]]) -> None:
        symbol, at = update.symbol, update.received
        self._say(channels, symbol, f"depth{_FAST}", lambda: self._depth_said(update))
        if "depth" in channels:
            slow = self._slow.setdefault(symbol, _SlowBook())
            slow.add(update)
            if self._is_due(symbol, "depth", at, self.slow_every):
                whole = slow.taken(update)
                self._say(channels, symbol, "depth", lambda: self._depth_said(whole))
        else:
            self._slow.pop(symbol, None)
        for count in (5, 10, 20):
            self._say(channels, symbol, f"depth{count}{_FAST}", partial(self._partial, symbol, count))
            if f"depth{count}" in channels and self._is_due(symbol, f"depth{count}", at, self.slow_every):
                self._say(channels, symbol, f"depth{count}", partial(self._partial, symbol, count))

    def _on_day(self, symbol: str, at: int, channels: Mapping[str, dict[Socket, None]]) -> None:
        tape, day = self._tapes[symbol], self._tapes[symbol].day
        if day is None:
            return
        if "miniTicker" in channels and self._is_due(symbol, "miniTicker", at, _SECOND):
            self._say(channels, symbol, "miniTicker", lambda: messages.mini_ticker_message(symbol, day, at))
        if "ticker" in channels and self._is_due(symbol, "ticker", at, _SECOND):
            quote = self._exchange.quotes.get(symbol)
            self._say(channels, symbol, "ticker", lambda: messages.ticker_message(symbol, day, tape, quote, at))
        if "avgPrice" in channels and self._is_due(symbol, "avgPrice", at, _SECOND):
            mean, last = tape.mean(at), milliseconds(tape.trades[-1].received)
            said = {"e": "avgPrice", "E": milliseconds(at), "s": symbol, "i": "5m", "w": number(mean or 0.0), "T": last}
            self._say(channels, symbol, "avgPrice", lambda: said)

    def _on_every_day(self, at: int, channels: Mapping[str, dict[Socket, None]]) -> None:
        days = [(symbol, tape, tape.day) for symbol, tape in self._tapes.items() if tape.day is not None]
        if "!miniTicker@arr" in channels and self._is_due(EVERY, "!miniTicker@arr", at, _SECOND):
            rows = [messages.mini_ticker_message(symbol, day, at) for symbol, _, day in days]
            self._say(channels, EVERY, "!miniTicker@arr", lambda: rows)
        if "!ticker@arr" in channels and self._is_due(EVERY, "!ticker@arr", at, _SECOND):
            quotes = self._exchange.quotes
            more = [messages.ticker_message(symbol, day, tape, quotes.get(symbol), at) for symbol, tape, day in days]
            self._say(channels, EVERY, "!ticker@arr", lambda: more)

    def _trade_said(self, trade: Trade) -> dict[str, object]:
        return messages.trade_message(trade)

    def _best_said(self, quote: Quote) -> dict[str, object]:
        return messages.book_ticker_message(quote)

    def _depth_said(self, update: BookUpdate) -> dict[str, object]:
        return messages.depth_message(update)

    def _partial(self, symbol: str, count: int) -> dict[str, object]:
        book = self._exchange.books[symbol]
        return {"lastUpdateId": book.sequence, "bids": ladder(book.bids(count)), "asks": ladder(book.asks(count))}

    def _is_due(self, symbol: str, channel: str, at: int, period: int) -> bool:
        last = self._said_at.get((symbol, channel), 0)
        if abs(at - last) < period:  # a clock may be set back, too
            return False
        self._said_at[symbol, channel] = at
        return True

    def _say(
        self, channels: Mapping[str, dict[Socket, None]], symbol: str, channel: str, message: Callable[[], object]
    ) -> None:
        sockets = channels.get(channel)
        if not sockets:
            return
        name = channel if symbol == EVERY else f"{symbol.lower()}@{channel}"
        plain = encoded(message())
        combined = f'{{"stream":"{name}","data":{plain}}}'
        for socket in tuple(sockets):
            socket.send(f"stream:market:{channel}", combined if socket.data["combined"] else plain)


class _SlowBook:
    """The changes of a second, as one."""

    def __init__(self) -> None:
        self._first = 0
        self._bids: dict[float, float] = {}
        self._asks: dict[float, float] = {}

    def add(self, update: BookUpdate) -> None:
        self._first = self._first or update.first_sequence
        self._bids.update(update.bids)
        self._asks.update(update.asks)

    def taken(self, last: BookUpdate) -> BookUpdate:
        """All changes up to `last`, and begin anew."""
        bids: list[Level] = list(self._bids.items())
        asks: list[Level] = list(self._asks.items())
        whole = BookUpdate(last.symbol, last.received, self._first, last.last_sequence, bids, asks)
        self._first, self._bids, self._asks = 0, {}, {}
        return whole
