"""128 microstructure features of one symbol: the book's shape, returns, trade flow and order-flow imbalance.

Every feature is free of the price level: offsets and returns are in basis points, quantities are relative to their own
slow average, imbalances lie in [-1, 1]. Values are clipped to ±10. What is missing (no book yet, no trade in the
interval) is 0, and `book_whole` says whether the depth features mean anything. Order-flow imbalance follows Cont,
Kukanov and Stoikov, "The Price Impact of Order Book Events" (2014), equation 5.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from itertools import accumulate
from math import exp, log1p, sqrt
from struct import Struct

from axon_quant.market.book import OrderBook
from axon_quant.market.types import Bar, Quote, Trade

DEPTH = 20
_IMBALANCE_DEPTHS = (1, 2, 3, 5, 10, 20)
_RETURN_ROWS = (1, 2, 3, 5, 8, 10, 16, 20, 32, 50)
_HALF_LIVES_S = (1, 3, 10)
_DEPTH_BPS = (1, 3, 10)
_CLIP = 10.0
NORMALISER = "scale-free, clip 10"

FEATURES: tuple[str, ...] = (
    *(f"bid_offset_{level}" for level in range(1, DEPTH + 1)),
    *(f"ask_offset_{level}" for level in range(1, DEPTH + 1)),
    *(f"bid_size_{level}" for level in range(1, DEPTH + 1)),
    *(f"ask_size_{level}" for level in range(1, DEPTH + 1)),
    *(f"imbalance_{depth}" for depth in _IMBALANCE_DEPTHS),
    *(f"bid_depth_{bps}" for bps in _DEPTH_BPS),
    *(f"ask_depth_{bps}" for bps in _DEPTH_BPS),
    *(f"return_{rows}" for rows in _RETURN_ROWS),
    *("spread", "microprice_offset", "quote_imbalance", "book_whole"),
    *("buy_volume", "sell_volume", "signed_volume", "buy_count", "sell_count", "vwap_offset", "last_offset"),
    *(f"signed_volume_{seconds}s" for seconds in _HALF_LIVES_S),
    *(f"volume_{seconds}s" for seconds in _HALF_LIVES_S),
    *(f"volatility_{seconds}s" for seconds in _HALF_LIVES_S),
    *("quote_count", "book_count", "ofi"),
    *(f"ofi_{seconds}s" for seconds in _HALF_LIVES_S),
)
_DEPTH_FEATURES = 4 * DEPTH + len(_IMBALANCE_DEPTHS) + 2 * len(_DEPTH_BPS)
_PACK = Struct(f"<{len(FEATURES)}f").pack


class MicrostructureFeatures:
    """Takes the market events of one symbol and writes a row of `FEATURES` when asked.

    The handlers only accumulate; the work is in `row`, once per interval. It is plain Python on purpose: twenty levels
    are too few for numpy, whose calls cost more than the sums.
    """

    def __init__(self, book: OrderBook, interval_ms: int) -> None:
        self.quote: Quote | None = None
        self._book = book
        self._mids: deque[float] = deque(maxlen=max(_RETURN_ROWS) + 1)
        self._decays = [exp(-interval_ms / 1000.0 / seconds) for seconds in _HALF_LIVES_S]
        self._slow = exp(-interval_ms / 1000.0 / 60.0)
        self._slow_size = self._slow_volume = 0.0
        self._signed = [0.0] * len(_HALF_LIVES_S)
        self._volumes = [0.0] * len(_HALF_LIVES_S)
        self._squares = [0.0] * len(_HALF_LIVES_S)
        self._ofis = [0.0] * len(_HALF_LIVES_S)
        self._last = 0.0
        self._clear()

    def _clear(self) -> None:
        self._buy_volume = self._sell_volume = self._turnover = self._ofi = 0.0
        self._buy_count = self._sell_count = self._quotes = self._books = 0

    def on_quote(self, quote: Quote) -> None:
        old = self.quote
        if old is not None:
            bid, old_bid, ask, old_ask = quote.bid, old.bid, quote.ask, old.ask
            flow = 0.0
            if bid >= old_bid:
                flow += quote.bid_quantity
            if bid <= old_bid:
                flow -= old.bid_quantity
            if ask <= old_ask:
                flow -= quote.ask_quantity
            if ask >= old_ask:
                flow += old.ask_quantity
            self._ofi += flow
        self.quote = quote
        self._quotes += 1

    def on_trade(self, trade: Trade) -> None:
        quantity = trade.quantity
        if trade.buyer_is_maker:
            self._sell_volume += quantity
            self._sell_count += 1
        else:
            self._buy_volume += quantity
            self._buy_count += 1
        self._turnover += quantity * trade.price
        self._last = trade.price

    def on_bar(self, bar: Bar) -> None:
        """A bar counts as one trade at its close, bought when it closed above its open."""
        if bar.volume:
            self.on_trade(Trade(bar.symbol, bar.received, bar.close, bar.volume, bar.close < bar.open))
        self._last = bar.close

    def on_book(self) -> None:
        self._books += 1

    @property
    def price(self) -> float:
        """The mid of the best quote, or the last price where there are no quotes; 0.0 before either."""
        quote = self.quote
        return (quote.bid + quote.ask) / 2.0 if quote is not None else self._last

    def row(self) -> bytes:
        """The row of this interval as little-endian float32, and start the next one. There must be a `price`."""
        mid = self.price
        values = self._depth(mid) if self._book.whole else [0.0] * _DEPTH_FEATURES
        values += self._returns(mid)
        values += self._touch(mid)
        values += self._trades(mid)
        self._clear()
        ordered = sorted(values)  # cheaper than max and min: it compares floats without asking their type each time
        if ordered[-1] > _CLIP or ordered[0] < -_CLIP:
            values = [min(max(value, -_CLIP), _CLIP) for value in values]
        return _PACK(*values)

    def _depth(self, mid: float) -> list[float]:
        bid_prices, bid_sizes = self._book.bids(DEPTH)
        ask_prices, ask_sizes = self._book.asks(DEPTH)
        if len(bid_prices) < DEPTH or len(ask_prices) < DEPTH:
            for prices, sizes in ((bid_prices, bid_sizes), (ask_prices, ask_sizes)):
                missing = DEPTH - len(prices)
                prices += [prices[-1] if prices else mid] * missing
                sizes += [0.0] * missing
        bid_sums, ask_sums = list(accumulate(bid_sizes)), list(accumulate(ask_sizes))
        total = (bid_sums[-1] + ask_sums[-1]) / (2 * DEPTH)
        self._slow_size = slow = self._slow * self._slow_size + (1 - self._slow) * total if self._slow_size else total
        scale = 1.0 / slow if slow > 0 else 0.0
        bps = 1e4 / mid
        values = [(mid - price) * bps for price in bid_prices]
        values += [(price - mid) * bps for price in ask_prices]
        values += [log1p(size * scale) for size in bid_sizes + ask_sizes]
        for depth in _IMBALANCE_DEPTHS:
            bid, ask = bid_sums[depth - 1], ask_sums[depth - 1]
            values.append((bid - ask) / (bid + ask) if bid + ask > 0 else 0.0)
        bid_prices.reverse()
        for within in _DEPTH_BPS:
            shown = DEPTH - bisect_left(bid_prices, mid * (1.0 - within * 1e-4))
            values.append(log1p(bid_sums[shown - 1] * scale) if shown else 0.0)
        for within in _DEPTH_BPS:
            shown = bisect_right(ask_prices, mid * (1.0 + within * 1e-4))
            values.append(log1p(ask_sums[shown - 1] * scale) if shown else 0.0)
        return values

    def _returns(self, mid: float) -> list[float]:
        mids = self._mids
        change = (mid / mids[-1] - 1.0) * 1e4 if mids else 0.0
        squares = self._squares
        for index, decay in enumerate(self._decays):
            squares[index] = decay * squares[index] + (1.0 - decay) * change * change
        mids.append(mid)
        known = len(mids)
        return [(mid / mids[-rows - 1] - 1.0) * 1e4 if rows < known else 0.0 for rows in _RETURN_ROWS]

    def _touch(self, mid: float) -> tuple[float, float, float, float]:
        whole = 1.0 if self._book.whole else 0.0
        quote = self.quote
        if quote is None or not (top := quote.bid_quantity + quote.ask_quantity) > 0:
            return (0.0, 0.0, 0.0, whole)
        bid, ask = quote.bid, quote.ask
        microprice = (bid * quote.ask_quantity + ask * quote.bid_quantity) / top
        imbalance = (quote.bid_quantity - quote.ask_quantity) / top
        return ((ask - bid) / mid * 1e4, (microprice / mid - 1.0) * 1e4, imbalance, whole)

    def _trades(self, mid: float) -> list[float]:
        buy, sell = self._buy_volume, self._sell_volume
        volume, signed = buy + sell, buy - sell
        self._slow_volume = slow = self._slow * self._slow_volume + (1 - self._slow) * volume
        scale = 1.0 / slow if slow > 0 else 0.0
        quote = self.quote
        top = 0.0 if quote is None else quote.bid_quantity + quote.ask_quantity
        ofi = self._ofi / top if top > 0 else 0.0
        signeds, volumes, ofis = self._signed, self._volumes, self._ofis
        for index, decay in enumerate(self._decays):
            fresh = 1.0 - decay
            signeds[index] = decay * signeds[index] + fresh * signed
            volumes[index] = decay * volumes[index] + fresh * volume
            ofis[index] = decay * ofis[index] + fresh * ofi
        values = [
            log1p(buy * scale),
            log1p(sell * scale),
            signed / volume if volume > 0 else 0.0,
            log1p(self._buy_count),
            log1p(self._sell_count),
            (self._turnover / volume / mid - 1.0) * 1e4 if volume > 0 else 0.0,
            (self._last / mid - 1.0) * 1e4 if self._last else 0.0,
        ]
        values += [part / whole if whole > 0 else 0.0 for part, whole in zip(signeds, volumes, strict=True)]
        values += [log1p(value * scale) for value in volumes]
        values += [sqrt(value) for value in self._squares]
        values += (log1p(self._quotes), log1p(self._books), ofi)
        values += ofis
        return values
