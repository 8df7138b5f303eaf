"""What can be asked about the market."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from axon_exchange_binance.simulator.candles import INTERVALS, Candle, Tape
from axon_exchange_binance.simulator.errors import BAD_INTERVAL
from axon_exchange_binance.simulator.exchange_info import exchange_info
from axon_exchange_binance.simulator.numbers import ladder, milliseconds, number
from axon_exchange_binance.simulator.parameters import Parameters
from axon_quant.exchange.exact import ZERO
from axon_quant.exchange.simulator import Limit, SimulatedExchange
from axon_quant.market.types import Trade

MarketQuery: TypeAlias = Callable[[Parameters], object]
_MOST = 1_000
_MOST_LEVELS = 5_000


class MarketQueries:
    """Answers as plain values. Raises BinanceError."""

    def __init__(self, exchange: SimulatedExchange, tapes: Mapping[str, Tape], limits: Sequence[Limit]) -> None:
        self._exchange = exchange
        self._tapes = tapes
        self._limits = limits
        self.by_name: dict[str, MarketQuery] = {
            "ping": lambda _: {},
            "time": lambda _: {"serverTime": milliseconds(exchange.now())},
            "exchangeInfo": self._exchange_info,
            "depth": self._depth,
            "trades.recent": self._recent_trades,
            "trades.historical": self._historical_trades,
            "trades.aggregate": self._aggregate_trades,
            "klines": self._klines,
            "avgPrice": self._average_price,
            "ticker.price": lambda given: self._per_symbol(given, self._price),
            "ticker.book": lambda given: self._per_symbol(given, self._best),
            "ticker.24hr": lambda given: self._per_symbol(given, self._day_of(given)),
            "margin.pairs": lambda _: [],
        }

    def _exchange_info(self, given: Parameters) -> object:
        instruments = given.several()
        if instruments is None:
            every = list(self._exchange.instruments.values())
            instruments = [given.instrument()] if "symbol" in given else every
        return exchange_info(instruments, self._limits, self._exchange.now())

    def _depth(self, given: Parameters) -> object:
        book = self._exchange.books[given.instrument().symbol]
        limit = min(given.integer("limit", 100, low=1), _MOST_LEVELS)
        return {"lastUpdateId": book.sequence, "bids": ladder(book.bids(limit)), "asks": ladder(book.asks(limit))}

    def _recent_trades(self, given: Parameters) -> object:
        trades = list(self._tapes[given.instrument().symbol].trades)
        return [_trade(trade) for trade in trades[-given.integer("limit", 500, low=1, high=_MOST) :]]

    def _historical_trades(self, given: Parameters) -> object:
        if "fromId" not in given:
            return self._recent_trades(given)
        first = given.integer("fromId")
        trades = [trade for trade in self._tapes[given.instrument().symbol].trades if trade.trade_id >= first]
        return [_trade(trade) for trade in trades[: given.integer("limit", 500, low=1, high=_MOST)]]

    def _aggregate_trades(self, given: Parameters) -> object:
        since, until = given.span()
        first, limit = given.integer("fromId"), given.integer("limit", 500, low=1, high=_MOST)
        found = [
            trade
            for trade in self._tapes[given.instrument().symbol].trades
            if trade.trade_id >= first and since <= milliseconds(trade.received) <= until
        ]
        page = found[:limit] if first or since else found[-limit:]
        return [
            {
                "a": trade.trade_id,
                "p": number(trade.price),
                "q": number(trade.quantity),
                "f": trade.trade_id,
                "l": trade.trade_id,
                "T": milliseconds(trade.received),
                "m": trade.buyer_is_maker,
                "M": True,
            }
            for trade in page
        ]

    def _klines(self, given: Parameters) -> object:
        tape = self._tapes[given.instrument().symbol]
        interval = given.choice("interval", {name: name for name in INTERVALS}, BAD_INTERVAL)
        since, until = given.span()
        limit = given.integer("limit", 500, low=1, high=_MOST)
        found = [one for one in tape.candles[interval] if since <= milliseconds(one.start) <= until]
        return [candle.row() for candle in (found[:limit] if since else found[-limit:])]

    def _average_price(self, given: Parameters) -> object:
        tape, now = self._tapes[given.instrument().symbol], self._exchange.now()
        closed = milliseconds(tape.trades[-1].received) if tape.trades else 0
        return {"mins": 5, "price": number(tape.mean(now) or ZERO), "closeTime": closed}

    def _per_symbol(self, given: Parameters, one: Callable[[str], dict[str, object]]) -> object:
        if "symbol" in given:
            return one(given.instrument().symbol)
        some = given.several()
        symbols: Iterable[str] = self._exchange.instruments if some is None else (each.symbol for each in some)
        return [one(symbol) for symbol in symbols]

    def _price(self, symbol: str) -> dict[str, object]:
        return {"symbol": symbol, "price": number(self._exchange.price(symbol) or ZERO)}

    def _best(self, symbol: str) -> dict[str, object]:
        quote = self._exchange.quotes.get(symbol)
        parts = (0.0,) * 4 if quote is None else (quote.bid, quote.bid_quantity, quote.ask, quote.ask_quantity)
        names = ("bidPrice", "bidQty", "askPrice", "askQty")
        return {"symbol": symbol, **dict(zip(names, map(number, parts), strict=True))}

    def _day_of(self, given: Parameters) -> Callable[[str], dict[str, object]]:
        return self._short_day if given.text("type") == "MINI" else self._day

    def _short_day(self, symbol: str) -> dict[str, object]:
        now, tape = milliseconds(self._exchange.now()), self._tapes[symbol]
        day = tape.day or Candle(0, 0, 0.0, 0.0, 0.0, 0.0)
        names = ("openPrice", "highPrice", "lowPrice", "lastPrice", "volume", "quoteVolume")
        parts = (day.open, day.high, day.low, day.close, day.volume, day.value)
        return {
            "symbol": symbol,
            **dict(zip(names, map(number, parts), strict=True)),
            "openTime": now - 86_400_000,
            "closeTime": now,
            "firstId": day.first if day.trades else -1,
            "lastId": day.last if day.trades else -1,
            "count": day.trades,
        }

    def _day(self, symbol: str) -> dict[str, object]:
        tape = self._tapes[symbol]
        day = tape.day or Candle(0, 0, 0.0, 0.0, 0.0, 0.0)
        return {
            **self._short_day(symbol),
            "priceChange": number(day.close - day.open),
            "priceChangePercent": f"{(day.close / day.open - 1) * 100 if day.open else 0.0:.3f}",
            "weightedAvgPrice": number(day.value / day.volume if day.volume else 0.0),
            "prevClosePrice": number(day.open),
            "lastQty": number(tape.trades[-1].quantity if tape.trades else 0.0),
            **self._best(symbol),
        }


def _trade(trade: Trade) -> dict[str, object]:
    return {
        "id": trade.trade_id,
        "price": number(trade.price),
        "qty": number(trade.quantity),
        "quoteQty": number(trade.price * trade.quantity),
        "time": milliseconds(trade.received),
        "isBuyerMaker": trade.buyer_is_maker,
        "isBestMatch": True,
    }
