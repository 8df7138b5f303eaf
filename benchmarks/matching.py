"""What a market event costs in the matching engine, as JSON: nanoseconds per call, median of rounds.

    PYTHONPATH=axon-core/src python benchmarks/matching.py

`orders`: how many of ours rest. `far`: 100 to 110 ticks below the bid, so that nothing can happen to them; `near`: at
the bid, so that every quote may move their queue. `dispatch`: the same through `PaperVenue.on_market`.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from decimal import Decimal
from time import perf_counter_ns
from typing import Any

from axon_quant.exchange import PaperVenue
from axon_quant.market import Bar, BookSnapshot, BookUpdate, Instrument, OrderBook, Quote, Trade
from axon_quant.orders import ClientOrderIds, Order, Side

ROUNDS, CALLS = 15, 20_000
BTCUSDT = Instrument(
    venue="paper", symbol="BTCUSDT", base="BTC", quote="USDT", tick_size=Decimal("0.01"), lot_size=Decimal("0.00001")
)


def per_call(handler: Callable[[Any], None], event: object) -> float:
    """Median nanoseconds per call, the empty loop taken off."""
    times = []
    for _ in range(ROUNDS):
        calls = range(CALLS)
        started = perf_counter_ns()
        for _ in calls:
            pass
        empty = perf_counter_ns()
        for _ in calls:
            handler(event)
        times.append((perf_counter_ns() - empty - (empty - started)) / CALLS)
    return round(statistics.median(times), 1)


def ignore(_: object) -> None:
    """Nobody reads the updates here."""


def venue_with(orders: int, ticks_below: int) -> tuple[PaperVenue, OrderBook]:
    """A venue over a whole book of 1,000 levels a side with `orders` bids resting, one tick apart."""
    venue = PaperVenue([BTCUSDT], {"USDT": Decimal(10**9)}, on_update=ignore)
    book = OrderBook("BTCUSDT")
    venue.watch("BTCUSDT", book)
    bids = [(round(60_000 - level * 0.01, 2), 1.0) for level in range(1_000)]
    asks = [(round(60_000.01 + level * 0.01, 2), 1.0) for level in range(1_000)]
    snapshot = BookSnapshot("BTCUSDT", 1, 1, bids, asks)
    book.restore(snapshot)
    venue.on_market(snapshot)
    ids = ClientOrderIds("bench")
    step = 0 if ticks_below == 0 else 1
    for number in range(orders):
        price = Decimal("60000.00") - Decimal("0.01") * (ticks_below + step * number)
        venue.submit(Order("BTCUSDT", Side.Buy, price=price, quantity=Decimal("0.001"), client_order_id=ids.next()), 2)
    venue.advance(2)
    return venue, book


def main() -> None:
    """Print one row per number and place of orders."""
    events = {
        "trade": Trade("BTCUSDT", 3, 60_000.01, 0.5, buyer_is_maker=False),
        "quote": Quote("BTCUSDT", 3, 60_000.0, 1.0, 60_000.01, 1.0, sequence=2),
        "bar": Bar("BTCUSDT", 3, 60_000.0, 60_000.01, 60_000.0, 60_000.01, 1.0),
        "book": BookUpdate("BTCUSDT", 3, 2, 2, [], []),
    }
    results = []
    for orders in (0, 1, 10):
        for where, ticks in (("far", 100), ("near", 0)) if orders else (("none", 0),):
            venue, _ = venue_with(orders, ticks)
            engine = venue.engine("BTCUSDT")
            handlers: dict[str, Callable[[Any], None]] = {
                "trade": engine.on_trade,
                "quote": engine.on_quote,
                "bar": engine.on_bar,
                "book": engine.on_book,
            }
            row: dict[str, object] = {"orders": orders, "where": where}
            for name, event in events.items():
                row[f"{name}_ns"] = per_call(handlers[name], event)
            row["dispatch_quote_ns"] = per_call(venue.on_market, events["quote"])
            results.append(row)
    json.dump(results, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
