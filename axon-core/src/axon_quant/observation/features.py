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

import numpy as np
from numpy.typing import NDArray

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


class MicrostructureFeatures:
    """Takes the market events of one symbol and writes a row of `FEATURES` when asked.

    The handlers only accumulate; the work is in `write`, once per interval.
    """

    __slots__ = (
        "_ask",
        "_ask_quantity",
        "_bid",
        "_bid_quantity",
        "_book",
        "_books",
        "_buy_count",
        "_buy_volume",
        "_decays",
        "_last",
        "_mids",
        "_ofi",
        "_offsets",
        "_ofis",
        "_quantities",
        "_quotes",
        "_sell_count",
        "_sell_volume",
        "_signed",
        "_slow",
        "_slow_size",
        "_slow_volume",
        "_square",
        "_turnover",
        "_values",
        "_volumes",
    )

    def __init__(self, book: OrderBook, interval_ms: int) -> None:
        self._book = book
        self._values = np.zeros(len(FEATURES))
        self._offsets = self._values[: 2 * DEPTH]
        self._quantities = self._values[2 * DEPTH : 4 * DEPTH]
        self._mids: deque[float] = deque(maxlen=max(_RETURN_ROWS) + 1)
        self._decays = [exp(-interval_ms / 1000.0 / seconds) for seconds in _HALF_LIVES_S]
        self._slow = exp(-interval_ms / 1000.0 / 60.0)
        self._slow_size = self._slow_volume = 0.0
        self._signed = [0.0] * len(_HALF_LIVES_S)
        self._volumes = [0.0] * len(_HALF_LIVES_S)
        self._square = [0.0] * len(_HALF_LIVES_S)
        self._ofis = [0.0] * len(_HALF_LIVES_S)
        self._bid = self._ask = self._bid_quantity = self._ask_quantity = self._last = 0.0
        self._clear()

    def _clear(self) -> None:
        self._buy_volume = self._sell_volume = self._turnover = self._ofi = 0.0
        self._buy_count = self._sell_count = self._quotes = self._books = 0

    def on_quote(self, quote: Quote) -> None:
        bid, ask, bid_quantity, ask_quantity = quote.bid, quote.ask, quote.bid_quantity, quote.ask_quantity
        old_bid, old_ask = self._bid, self._ask
        if old_bid:
            flow = 0.0
            if bid >= old_bid:
                flow += bid_quantity
            if bid <= old_bid:
                flow -= self._bid_quantity
            if ask <= old_ask:
                flow -= ask_quantity
            if ask >= old_ask:
                flow += self._ask_quantity
            self._ofi += flow
        self._bid, self._ask, self._bid_quantity, self._ask_quantity = bid, ask, bid_quantity, ask_quantity
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
    def ready(self) -> bool:
        """Whether there is a price to write a row from."""
        return self._bid > 0 or self._last > 0

    def write(self, row: NDArray[np.float32]) -> None:
        """Write one row and start the next interval. `row` is float32 of `len(FEATURES)`; `ready` must hold."""
        mid = (self._bid + self._ask) / 2.0 if self._bid else self._last
        values = self._values
        scalars = self._depth(mid) if self._book.whole else self._no_depth()
        scalars += self._scalars(mid)
        values[4 * DEPTH :] = scalars
        np.minimum(values, _CLIP, out=values)
        np.maximum(values, -_CLIP, out=values)
        row[:] = values
        self._clear()

    def _no_depth(self) -> list[float]:
        self._values[: 4 * DEPTH] = 0.0
        return [0.0] * (len(_IMBALANCE_DEPTHS) + 2 * len(_DEPTH_BPS))

    def _depth(self, mid: float) -> list[float]:
        """Write the levels; return imbalances and depths, summed in Python because 20 numbers are too few for numpy."""
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

        self._values[: 4 * DEPTH] = bid_prices + ask_prices + bid_sizes + ask_sizes
        offsets, quantities = self._offsets, self._quantities
        offsets -= mid
        np.abs(offsets, out=offsets)
        offsets *= 1e4 / mid
        quantities *= scale
        np.log1p(quantities, out=quantities)

        depths = []
        for depth in _IMBALANCE_DEPTHS:
            bid, ask = bid_sums[depth - 1], ask_sums[depth - 1]
            depths.append((bid - ask) / (bid + ask) if bid + ask > 0 else 0.0)
        bid_prices.reverse()
        for bps in _DEPTH_BPS:
            shown = DEPTH - bisect_left(bid_prices, mid * (1.0 - bps * 1e-4))
            depths.append(log1p(bid_sums[shown - 1] * scale) if shown else 0.0)
        for bps in _DEPTH_BPS:
            shown = bisect_right(ask_prices, mid * (1.0 + bps * 1e-4))
            depths.append(log1p(ask_sums[shown - 1] * scale) if shown else 0.0)
        return depths

    def _scalars(self, mid: float) -> list[float]:
        mids = self._mids
        previous = mids[-1] if mids else mid
        mids.append(mid)
        known = len(mids)
        values = [(mid / mids[-rows - 1] - 1.0) * 1e4 if rows < known else 0.0 for rows in _RETURN_ROWS]
        values += self._quote_scalars(mid)
        buy, sell = self._buy_volume, self._sell_volume
        volume, signed = buy + sell, buy - sell
        self._slow_volume = slow = self._slow * self._slow_volume + (1 - self._slow) * volume
        scale = 1.0 / slow if slow > 0 else 0.0
        values += (
            log1p(buy * scale),
            log1p(sell * scale),
            signed / volume if volume > 0 else 0.0,
            log1p(self._buy_count),
            log1p(self._sell_count),
            (self._turnover / volume / mid - 1.0) * 1e4 if volume > 0 else 0.0,
            (self._last / mid - 1.0) * 1e4 if self._last else 0.0,
        )
        change = (mid / previous - 1.0) * 1e4
        ofi = self._ofi
        top = self._bid_quantity + self._ask_quantity
        relative_ofi = ofi / top if top > 0 else 0.0
        signeds, volumes, squares, ofis = self._signed, self._volumes, self._square, self._ofis
        for index, decay in enumerate(self._decays):
            fresh = 1.0 - decay
            signeds[index] = decay * signeds[index] + fresh * signed
            volumes[index] = decay * volumes[index] + fresh * volume
            squares[index] = decay * squares[index] + fresh * change * change
            ofis[index] = decay * ofis[index] + fresh * relative_ofi
        values += [part / whole if whole > 0 else 0.0 for part, whole in zip(signeds, volumes, strict=True)]
        values += [log1p(value * scale) for value in volumes]
        values += [sqrt(value) for value in squares]
        values += (log1p(self._quotes), log1p(self._books), relative_ofi)
        values += ofis
        return values

    def _quote_scalars(self, mid: float) -> tuple[float, float, float, float]:
        whole = 1.0 if self._book.whole else 0.0
        bid, ask, bid_quantity, ask_quantity = self._bid, self._ask, self._bid_quantity, self._ask_quantity
        top = bid_quantity + ask_quantity
        if not (bid and top > 0):
            return (0.0, 0.0, 0.0, whole)
        microprice = (bid * ask_quantity + ask * bid_quantity) / top
        imbalance = (bid_quantity - ask_quantity) / top
        return ((ask - bid) / mid * 1e4, (microprice / mid - 1.0) * 1e4, imbalance, whole)
