"""Market streams: who has subscribed to what, and what each channel says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import parse_qs, urlsplit

from axon_exchange_binance.simulator.candles import MINUTE, Candle, Candles
from axon_exchange_binance.simulator.messages import levels, milliseconds, number
from axon_quant.exchange.simulator import SimulatedExchange, Socket
from axon_quant.market.types import BookUpdate, MarketEvent, Quote, Trade

_PARTIAL = {"depth5": 5, "depth10": 10, "depth20": 20}


class Streams:
    """Every subscription by channel name, `btcusdt@trade`. A combined connection names the stream of each message."""

    def __init__(self, exchange: SimulatedExchange) -> None:
        self._exchange = exchange
        self._subscribed: defaultdict[str, dict[Socket, bool]] = defaultdict(dict)
        self._last_ids: dict[str, int] = {}

    def opened(self, socket: Socket) -> None:
        """A socket may name its streams in its address: `/ws/a/b`, `/stream?streams=a/b`."""
        parts = urlsplit(socket.path)
        socket.data["combined"] = parts.path.startswith("/stream")
        if parts.path.startswith("/ws/"):
            names = parts.path.removeprefix("/ws/").split("/")
        else:
            names = "/".join(parse_qs(parts.query).get("streams", [])).split("/")
        for name in names:
            if name:
                self._subscribed[name][socket] = True

    def dropped(self, socket: Socket) -> None:
        """A socket is gone."""
        for sockets in self._subscribed.values():
            sockets.pop(socket, None)

    def asked(self, socket: Socket, said: Mapping[str, object]) -> dict[str, object]:
        """SUBSCRIBE, UNSUBSCRIBE and LIST_SUBSCRIPTIONS."""
        id_, method, names = said.get("id"), said.get("method"), said.get("params")
        if method == "LIST_SUBSCRIPTIONS":
            return {"result": [name for name, sockets in self._subscribed.items() if socket in sockets], "id": id_}
        if method not in ("SUBSCRIBE", "UNSUBSCRIBE") or not isinstance(names, list):
            return {"error": {"code": 2, "msg": "Invalid request: unknown variant"}, "id": id_}
        for name in map(str, names):
            if method == "SUBSCRIBE":
                self._subscribed[name][socket] = True
            else:
                self._subscribed[name].pop(socket, None)
        return {"result": None, "id": id_}

    def publish(self, event: MarketEvent, candle: Candle | None, candles: Candles) -> None:
        """Tell everybody who has subscribed."""
        symbol = event.symbol.lower()
        if isinstance(event, Trade):
            self._say(f"{symbol}@trade", lambda: _trade(event))
            self._say(f"{symbol}@aggTrade", lambda: _aggregate(event))
            if candle is not None:
                self._say(f"{symbol}@kline_1m", lambda: _kline(event, candle))
        elif isinstance(event, Quote):
            self._say(f"{symbol}@bookTicker", lambda: _book_ticker(event))
        elif isinstance(event, BookUpdate):
            for speed in ("depth@100ms", "depth"):
                self._say(f"{symbol}@{speed}", lambda: _depth(event))
            for name, depth in _PARTIAL.items():
                for suffix in ("", "@100ms"):
                    self._say(f"{symbol}@{name}{suffix}", partial(self._partial, event.symbol, depth))
            if candles.day is not None:
                self._say(f"{symbol}@miniTicker", lambda: _mini_ticker(event, candles))
                self._say(f"{symbol}@ticker", lambda: _ticker(event, candles, self._exchange.quotes.get(event.symbol)))

    def _say(self, name: str, message: Callable[[], dict[str, object]]) -> None:
        sockets = self._subscribed.get(name)
        if not sockets:
            return
        said = message()
        for socket in list(sockets):
            socket.send("stream:market", {"stream": name, "data": said} if socket.data["combined"] else said)

    def _partial(self, symbol: str, depth: int) -> dict[str, object]:
        book = self._exchange.books[symbol]
        return {
            "lastUpdateId": book.sequence,
            "bids": levels(list(zip(*book.bids(depth), strict=True))),
            "asks": levels(list(zip(*book.asks(depth), strict=True))),
        }


def _trade(trade: Trade) -> dict[str, object]:
    at = milliseconds(trade.received)
    return {
        "e": "trade",
        "E": at,
        "s": trade.symbol,
        "t": trade.trade_id,
        "p": number(trade.price),
        "q": number(trade.quantity),
        "T": at,
        "m": trade.buyer_is_maker,
        "M": True,
    }


def _aggregate(trade: Trade) -> dict[str, object]:
    return {**_trade(trade), "e": "aggTrade", "a": trade.trade_id, "f": trade.trade_id, "l": trade.trade_id}


def _book_ticker(quote: Quote) -> dict[str, object]:
    return {
        "u": quote.sequence,
        "s": quote.symbol,
        "b": number(quote.bid),
        "B": number(quote.bid_quantity),
        "a": number(quote.ask),
        "A": number(quote.ask_quantity),
    }


def _depth(update: BookUpdate) -> dict[str, object]:
    return {
        "e": "depthUpdate",
        "E": milliseconds(update.received),
        "s": update.symbol,
        "U": update.first_sequence,
        "u": update.last_sequence,
        "b": levels(update.bids),
        "a": levels(update.asks),
    }


def _kline(trade: Trade, candle: Candle) -> dict[str, object]:
    return {
        "e": "kline",
        "E": milliseconds(trade.received),
        "s": trade.symbol,
        "k": {
            "t": milliseconds(candle.start),
            "T": milliseconds(candle.start + MINUTE) - 1,
            "s": trade.symbol,
            "i": "1m",
            "f": candle.first,
            "L": candle.last,
            "o": number(candle.open),
            "c": number(candle.close),
            "h": number(candle.high),
            "l": number(candle.low),
            "v": number(candle.volume),
            "n": candle.trades,
            "x": False,
            "q": number(candle.value),
            "V": number(candle.bought),
            "Q": number(candle.bought_value),
            "B": "0",
        },
    }


def _mini_ticker(update: BookUpdate, candles: Candles) -> dict[str, object]:
    day = candles.day
    assert day is not None  # noqa: S101 - asked before
    return {
        "e": "24hrMiniTicker",
        "E": milliseconds(update.received),
        "s": update.symbol,
        "c": number(day.close),
        "o": number(day.open),
        "h": number(day.high),
        "l": number(day.low),
        "v": number(day.volume),
        "q": number(day.value),
    }


def _ticker(update: BookUpdate, candles: Candles, quote: Quote | None) -> dict[str, object]:
    day = candles.day
    assert day is not None  # noqa: S101 - asked before
    at = milliseconds(update.received)
    return {
        **_mini_ticker(update, candles),
        "e": "24hrTicker",
        "p": number(day.close - day.open),
        "P": f"{(day.close / day.open - 1) * 100:.3f}",
        "w": number(day.value / day.volume if day.volume else 0.0),
        "x": number(day.open),
        "Q": number(0.0),
        "b": number(quote.bid if quote else 0.0),
        "B": number(quote.bid_quantity if quote else 0.0),
        "a": number(quote.ask if quote else 0.0),
        "A": number(quote.ask_quantity if quote else 0.0),
        "O": at - 86_400_000,
        "C": at,
        "F": day.first,
        "L": day.last,
        "n": day.trades,
    }
