"""A burst of orders against the venue's limits: no 429, and how much of what the venue allows is used.

python benchmarks/burst.py [--venue binance|okx]… [--orders N] prints a JSON object.

The simulator counts as the venue does (Binance: 100 orders in each 10 s; OKX: 60 in 2 s for an instrument). All orders
are handed over at once, and the user sets no limit of his own. `share` is the orders that were placed over those that
the venue would have taken in the same time, counted by its own windows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from math import ceil

from axon_quant import Order, Side
from axon_quant.errors import ExchangeError
from axon_quant.exchange import ExchangeConfig, RateLimitConfig
from axon_quant.plugins import load_exchange
from axon_quant.plugins.simulators import load_simulator

VENUES = {"binance": ("BTCUSDT", 100, 10.0), "okx": ("BTC-USDT", 60, 2.0)}
UNLIMITED = RateLimitConfig(requests_per_second=9_999, orders_per_minute=99_999, max_wait_ms=600_000)


async def burst(venue: str, count: int) -> dict[str, object]:
    """Place `count` orders at once, far from the market."""
    symbol, allowed, period = VENUES[venue]
    simulator = load_simulator(venue)(symbols=(symbol,))
    config = ExchangeConfig(
        "YOUR_API_KEY",
        "YOUR_API_SECRET",
        "YOUR_PASSPHRASE",
        base_urls=await simulator.start(),
        rate_limit=UNLIMITED,
    )
    adapter = load_exchange(venue)(config)
    await adapter.connect()
    began, placed_at = time.monotonic(), list[float]()

    async def place() -> str:
        order = Order(symbol, Side.Buy, price="40000", quantity="0.0002")
        try:
            await adapter.place_order(order)
        except ExchangeError as error:
            return f"{type(error).__name__}: {error.code}"
        placed_at.append(time.monotonic())
        await adapter.cancel_order(order.client_order_id)  # a venue lets only so many stand
        return "placed"

    outcomes = await asyncio.gather(*(place() for _ in range(count)))
    took = max(placed_at) - began
    truth = simulator.truth()
    await adapter.close()
    await simulator.stop()
    placed = outcomes.count("placed")
    return {
        "orders": count,
        "placed": placed,
        "failed": {name: outcomes.count(name) for name in {*outcomes} - {"placed"}},
        "seconds": round(took, 2),
        "share": round(placed / (allowed * ceil(took / period)), 3),
        "refused_by_the_venue": truth["refused"],
        "during_ban": truth["during_ban"],
    }


def main() -> None:
    """Parse the arguments and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--venue", action="append", choices=sorted(VENUES), help="default: both")
    parser.add_argument("--orders", type=int, default=1_000)
    arguments = parser.parse_args()
    venues = arguments.venue or sorted(VENUES)
    print(json.dumps({venue: asyncio.run(burst(venue, arguments.orders)) for venue in venues}, indent=2))


if __name__ == "__main__":
    main()
