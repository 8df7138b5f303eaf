"""What anybody may ask: instruments, prices, books, trades."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from axon_exchange_okx.simulator import errors
from axon_exchange_okx.simulator.candles import BARS, Tape
from axon_exchange_okx.simulator.errors import OkxError
from axon_exchange_okx.simulator.instruments import inst_type
from axon_exchange_okx.simulator.market_messages import book_row, instrument_row, ticker_row, trade_row
from axon_exchange_okx.simulator.numbers import milliseconds
from axon_exchange_okx.simulator.positions import funding_row, mark_row
from axon_exchange_okx.simulator.terms import Given, Terms, text, whole
from axon_quant.clock import MILLISECOND
from axon_quant.exchange.simulator import SimulatedExchange

_KINDS = ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION")


class MarketQueries:
    """Answers by the request's name: lists for `data`. Raises OkxError for the whole request."""

    def __init__(self, exchange: SimulatedExchange, tapes: Mapping[str, Tape], terms: Terms) -> None:
        self._exchange = exchange
        self._tapes = tapes
        self._terms = terms
        self.by_name: dict[str, Callable[[Given], list[Any]]] = {
            "time": lambda _: [{"ts": milliseconds(exchange.now())}],
            "status": lambda _: [],
            "instruments": self._instruments,
            "ticker": lambda given: [self.ticker(terms.instrument(given).symbol)],
            "tickers": self._tickers,
            "books": self._book,
            "trades": self._trades,
            "trades.history": self._trades,
            "candles": self._candles,
            "candles.history": self._candles,
            "funding": self._funding,
            "mark": self._marks,
        }

    def ticker(self, symbol: str) -> dict[str, object]:
        """One of `/market/tickers`."""
        exchange = self._exchange
        return ticker_row(
            symbol, exchange.now(), exchange.quotes.get(symbol), exchange.last.get(symbol), self._tapes[symbol].day
        )

    def book(self, symbol: str, depth: int) -> dict[str, object]:
        """The best levels of a book."""
        return book_row(self._exchange.books[symbol], depth, self._exchange.now())

    def _instruments(self, given: Given) -> list[Any]:
        kind, symbol = text(given, "instType"), text(given, "instId")
        if kind not in _KINDS:
            raise errors.parameter("instType")
        of_kind = [one for one in self._exchange.instruments.values() if inst_type(one.symbol) == kind]
        chosen = [one for one in of_kind if symbol in ("", one.symbol)]
        if of_kind and not chosen:
            raise OkxError(errors.NO_INSTRUMENT)
        return [instrument_row(one, self._terms.codes[one.symbol]) for one in chosen]

    def _tickers(self, given: Given) -> list[Any]:
        if text(given, "instType") not in _KINDS:
            raise errors.parameter("instType")
        return [self.ticker(symbol) for symbol in self._exchange.instruments if inst_type(symbol) == given["instType"]]

    def _funding(self, given: Given) -> list[Any]:
        swaps, wanted = self._exchange.swaps.instruments, text(given, "instId")
        if wanted not in {*swaps, "ANY"}:
            raise errors.parameter("instId") if wanted else errors.missing("instId")
        return [funding_row(self._exchange, symbol) for symbol in swaps if wanted in ("ANY", symbol)]

    def _marks(self, given: Given) -> list[Any]:
        kind, wanted = text(given, "instType"), text(given, "instId")
        if kind not in _KINDS and not wanted:
            raise errors.parameter("instType")
        swaps = self._exchange.swaps.instruments if kind in ("", "SWAP") else ()
        return [mark_row(self._exchange, one) for one in swaps if wanted in ("", one)]

    def _book(self, given: Given) -> list[Any]:
        depth = whole(given, "sz", 1)
        if not 1 <= depth <= 400:
            raise errors.parameter("sz")
        return [self.book(self._terms.instrument(given).symbol, depth)]

    def _trades(self, given: Given) -> list[Any]:
        trades = self._tapes[self._terms.instrument(given).symbol].trades
        after = whole(given, "after", 1 << 60)
        older = (trade for trade in reversed(trades) if trade.trade_id < after)
        return [trade_row(trade) for trade in islice(older, min(whole(given, "limit", 100), 500))]

    def _candles(self, given: Given) -> list[Any]:
        tape, bar = self._tapes[self._terms.instrument(given).symbol], text(given, "bar") or "1m"
        if bar not in BARS:
            raise errors.parameter("bar")
        after = whole(given, "after", 1 << 60) * MILLISECOND
        before, most = whole(given, "before", 0) * MILLISECOND, min(whole(given, "limit", 100), 300)
        candles = [*tape.candles(bar)]
        chosen = [one for one in reversed(candles) if before < one.start < after][:most]
        return [one.row(ended=one is not candles[-1]) for one in chosen]
