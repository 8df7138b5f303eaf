"""The market of a simulator: made up, or a recording, played in real time at some speed."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from msgspec import structs

from axon_quant.clock import NANOSECONDS
from axon_quant.errors import MarketDataError, UnknownSymbolError
from axon_quant.exchange.simulator.exchange import SimulatedExchange
from axon_quant.exchange.simulator.instruments import LEVEL_SIZES, START_PRICES
from axon_quant.exchange.simulator.numbering import Numbered
from axon_quant.market.book import OrderBook
from axon_quant.market.generated import GeneratedMarket
from axon_quant.market.instrument import Instrument, InstrumentKind
from axon_quant.market.recordings import open_recording
from axon_quant.market.types import Bar, BookSnapshot, BookUpdate, MarketEvent

_FOREVER = 10 * 366 * 86_400.0
_STEP = 0.02
_LONGEST_STEP = 0.5
_FIRST_BOOK_WITHIN = 60.0


class MarketFeed:
    """Plays events into an exchange, stamped with the exchange's clock as they are played.

    Without a `recording` each symbol has a generated market that begins at its start price (`prices` by symbol, with
    or without its separator; a swap's is that of its base and quote), the same for the same `seed`; spot and swap of
    one base and quote move together. `speed` is how fast market time passes. The market has
    been open for `history` seconds when the simulator starts; a recording begins where its symbols have a book,
    whichever venue it is of (BTCUSDT is played as BTC-USDT where that is what the exchange calls it), and
    stays as it is when it ends. Raises MarketDataError for one without any event, and UnknownSymbolError.
    """

    def __init__(
        self,
        exchange: SimulatedExchange,
        symbols: Iterable[str],
        *,
        recording: str | Path | None = None,
        prices: Mapping[str, float] | None = None,
        seed: int = 0,
        speed: float = 1.0,
        history: float = 0.0,
    ) -> None:
        self._exchange = exchange
        self._speed = speed
        self._history = round(history * NANOSECONDS)
        self._started = False
        self.symbols = tuple(symbols)
        strange = [symbol for symbol in self.symbols if symbol not in exchange.instruments]
        if strange:
            hint = f"it knows {', '.join(exchange.instruments)}"
            raise UnknownSymbolError("the simulator has no such instrument", symbol=strange[0], hint=hint)
        self.played = 0
        starts = {**START_PRICES, **(prices or {})}
        pairs = [_pair(exchange.instruments[symbol]) for symbol in self.symbols]
        markets = (
            self._generated(symbol, starts, seed + pairs.index(pair))
            for symbol, pair in zip(self.symbols, pairs, strict=True)
        )
        self._events: Iterator[MarketEvent] = (
            heapq.merge(*markets, key=lambda event: event.received)
            if recording is None
            else _recorded(recording, self.symbols, exchange.instruments)
        )
        self._next = next(self._events, None)
        if self._next is None and self.symbols:
            raise MarketDataError("the recording has no event of these instruments", file=recording)
        self._position = 0 if self._next is None else self._next.received

    def prepare(self) -> None:
        """Play what has been when the simulator starts: `history`, and what comes before there is a whole book."""
        if self._started:
            return
        self._started = True
        first, now = self._position, self._exchange.now()
        books: dict[str, OrderBook] = {}
        latest = first + max(self._history, round(_FIRST_BOOK_WITHIN * NANOSECONDS))
        while self._next is not None and self._next.received <= latest:
            past = self._history - (self._next.received - first)
            if past < 0 and books and all(book.whole for book in books.values()):
                break
            if isinstance(self._next, (BookSnapshot, BookUpdate)):
                books[self._next.symbol] = self._exchange.books[self._next.symbol]
            self._position = self._next.received
            self._play(now - max(0, past))

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass and play what is due."""
        self._position += round(seconds * self._speed * NANOSECONDS)
        while self._next is not None and self._next.received <= self._position:
            self._play(self._exchange.now())

    async def run(self) -> None:
        """Play in real time, until there is no more."""
        self.prepare()
        loop = asyncio.get_running_loop()
        last = loop.time()
        while self._next is not None:
            await asyncio.sleep(_STEP)
            now = loop.time()
            self.advance(min(now - last, _LONGEST_STEP))
            last = now

    def _play(self, now: int) -> None:
        event = self._next
        if event is None:
            return
        stamped = (
            structs.replace(event, received=now)
            if isinstance(event, Bar)
            else structs.replace(event, received=now, venue_time=now)
        )
        self._exchange.on_market(stamped)
        self.played += 1
        self._next = next(self._events, None)

    def _generated(self, symbol: str, starts: Mapping[str, float], seed: int) -> Iterator[MarketEvent]:
        instrument = self._exchange.instruments[symbol]
        pair = _pair(instrument)
        start = starts.get(symbol) or starts.get(pair)
        if start is None:
            raise MarketDataError("nobody knows where its market begins", symbol=symbol, hint="give its price")
        market = GeneratedMarket(instrument, seconds=_FOREVER, seed=seed, price=start)
        size = LEVEL_SIZES.get(pair, 50_000.0 / start) / float(instrument.contract_size)
        return iter(Numbered(market, instrument, size))


def _pair(instrument: Instrument) -> str:
    swap = instrument.kind is InstrumentKind.Swap
    return f"{instrument.base}{instrument.quote}" if swap else instrument.symbol.replace("-", "")


def _recorded(path: str | Path, symbols: tuple[str, ...], known: Iterable[str]) -> Iterator[MarketEvent]:
    """What a recording has of `known` symbols, under the names they have here."""
    plain = {symbol.replace("-", ""): symbol for symbol in known}
    for event in open_recording(path, symbols):
        symbol = plain.get(event.symbol.replace("-", ""))
        if symbol is not None:
            yield event if symbol == event.symbol else structs.replace(event, symbol=symbol)
