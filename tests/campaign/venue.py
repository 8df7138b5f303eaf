"""The simulator's process: limits that do not bind, faults that do, a market that moves fast."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal

from plan import rules

from axon_quant.exchange.simulator import FaultPlan, Limit, SwapTerms
from axon_quant.plugins import load_simulator

SYMBOLS = {
    "binance": ("BTCUSDT", "ETHUSDT"),
    "binance-futures": ("BTCUSDT", "ETHUSDT"),
    "okx": ("BTC-USDT", "ETH-USDT"),
    "okx-swaps": ("BTC-USDT-SWAP", "ETH-USDT-SWAP"),
}
"""What is traded in the campaign of each name."""
_VENUES = {"okx-swaps": "okx"}
"""The venue of a campaign, where it has another name."""
_MORE = {
    "okx-swaps": {"swap_terms": SwapTerms(leverage=20, funding_every=10.0)},
    "binance-futures": {"swap_terms": SwapTerms(leverage=20, funding_every=10.0, clip_reduce_only=False)},
}
_LIMITS = {
    "binance": (Limit("weight", 10**9, 60.0),),
    "binance-futures": (Limit("weight", 10**9, 60.0),),
    "okx": (Limit("requests", 10**9, 2.0),),
}


async def serve(venue: str, orders: int, seed: int, speed: float) -> None:
    """Serve until SIGTERM; prints the roots."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    faults = FaultPlan.of(rules(orders), seed=seed)
    name = _VENUES.get(venue, venue)
    more = _MORE.get(venue, {})
    simulator = load_simulator(name)(
        faults=faults, seed=seed, speed=speed, limits=_LIMITS[name], symbols=SYMBOLS[venue], **more
    )
    if name.startswith("binance"):
        # Who does not stay away is counted, but not banned for two minutes, four, eight: nothing would happen then.
        simulator.meter("address")._patience = 10**9
    print(json.dumps(await simulator.start()), flush=True)
    await stopped.wait()
    await simulator.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("venue", choices=sorted(SYMBOLS))
    parser.add_argument("--orders", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--speed", type=float, default=4.0)
    given = parser.parse_args()
    asyncio.run(serve(given.venue, given.orders, given.seed, given.speed))
