"""From a breach to no open order: 50 orders on 5 symbols, at the Binance simulator.

python benchmarks/halt.py [--rounds N] [--orders N] prints a JSON object.

The run is a whole one (`Live`): its own journal, streams and control. In each round the strategy rests the orders, then
the account is made to have been worth more, so that the next valuation breaches the drawdown, and the time is taken
from there until the last order's cancel has come back over the account's stream. Venue and run share one process and
one loop, so the venue's own work counts, too. There is rate budget for all of it. `one_by_one` is the same with one
cancel for each order instead of one for each symbol.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import statistics
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec

from axon_quant.config import parse_config
from axon_quant.exchange import Capability
from axon_quant.market import Instrument
from axon_quant.orders import OrderStatus
from axon_quant.plugins.simulators import load_simulator
from axon_quant.runtime.live import Live, build_adapter

SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT")
STRATEGY = """
from axon_quant import Order, Side, Strategy


class Resting(Strategy):
    def __init__(self, most: int = 10) -> None:
        self.most = most

    def on_decision(self, ctx, action):
        standing, quote = len(ctx.open_orders(ctx.symbol)), ctx.quote(ctx.symbol)
        if standing < self.most and quote is not None:
            instrument = ctx.instrument(ctx.symbol)
            price = instrument.round_price(quote.bid * (0.96 + 0.0005 * standing))
            yield Order(ctx.symbol, Side.Buy, price=price, quantity=instrument.round_quantity(50.0 / quote.bid))
"""
EXCHANGE = """
[exchange]
name = "binance"
api_key = "env:AXON_BENCHMARK_KEY"
api_secret = "env:AXON_BENCHMARK_SECRET"
testnet = false
rate_limit = { requests_per_second = 1000, orders_per_minute = 6000 }
"""


def configuration(folder: Path, instruments: Mapping[str, Instrument], each: int) -> str:
    """A run that rests `each` orders on every symbol."""
    parts = [f"[market]\nsymbols = {json.dumps(SYMBOLS)}\n"]
    for symbol in SYMBOLS:
        one = instruments[symbol]
        parts.append(
            f'[[market.instruments]]\nsymbol = "{symbol}"\nbase = "{one.base}"\nquote = "{one.quote}"\n'
            f'tick_size = "{one.tick_size}"\nlot_size = "{one.lot_size}"\nmin_notional = "{one.min_notional}"\n'
        )
    parts.append("[observation]\nwindow = 64\ninterval_ms = 20\nbackfill = true\n")
    parts.append('[[models]]\nname = "flow"\nbuiltin = "demo-64x128"\n')
    parts.append(f'[strategy]\nname = "resting.py:Resting"\noptions = {{ most = {each} }}\n')
    parts.append('[risk]\nmessages_per_second = 1000\nmessage_burst = 1000\nmax_position = "1"\n')
    parts.append(EXCHANGE + f'\n[journal]\npath = "{folder / "run.db"}"\n')
    (folder / "resting.py").write_text(STRATEGY)
    return "\n".join(parts)


@asynccontextmanager
async def running(each: int, *, at_once: bool) -> AsyncIterator[tuple[Live, Any]]:
    """A venue, and a run that trades there."""
    simulator = load_simulator("binance")(symbols=SYMBOLS, history=3.0)
    roots = await simulator.start()
    os.environ |= {"AXON_BINANCE_REST_URL": roots["rest"], "AXON_BINANCE_WS_URL": roots["ws"]}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = configuration(folder, simulator.exchange.instruments, each)
        config = parse_config(text, folder / "run.toml")
        adapter = build_adapter(config)
        if not at_once:
            adapter.capabilities = adapter.capabilities - {Capability.CancelAll}
        live = Live(config, adapter)
        task = asyncio.create_task(live.run())
        try:
            yield live, simulator
        finally:
            live.stop()
            await task
            await simulator.stop()


async def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for it to hold."""
    async with asyncio.timeout(seconds):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)


def still_open(simulator: Any) -> int:
    """How many orders the venue's own ledger calls open."""
    orders = simulator.truth()["accounts"]["main"]["orders"]
    return sum(order["status"] in ("open", "partially-filled") for order in orders)


async def breach(live: Live, simulator: Any, orders: int) -> float:
    """Wait until `orders` rest, let there be a drawdown, and take the time from then until none is open, in ms."""
    await until(lambda: live.operations is not None)
    assert live.built is not None
    assert live.operations is not None
    adapter, built = live.adapter, live.built

    def rests() -> bool:
        standing = [state for state in adapter.orders.open.values() if state.status is OrderStatus.Open]
        return len(standing) == len(built.engine.tracker.open) == still_open(simulator) == orders

    await until(rests)
    halt, began = built.risk.on_halt, [0.0]

    def stamped(reason: str) -> None:
        began.append(perf_counter())
        halt(reason)

    built.risk.on_halt = stamped
    better = msgspec.structs.replace(built.risk.snapshot(), peak=built.portfolio.equity * 2)
    built.risk.restore(better)  # the next valuation is a drawdown of half
    await until(lambda: not built.engine.tracker.open)
    took = (perf_counter() - began[-1]) * 1e3
    built.risk.on_halt = halt
    if still_open(simulator):
        raise AssertionError("the venue has something open that the run does not know of")
    await live.operations.resume("the next round", "benchmark")
    return took


async def measure(rounds: int, orders: int, *, at_once: bool) -> dict[str, object]:
    """`rounds` breaches, each with `orders` open."""
    async with running(orders // len(SYMBOLS), at_once=at_once) as (live, simulator):
        took = [await breach(live, simulator, orders) for _ in range(rounds)]
    median, worst = statistics.median(took), max(took)
    return {"rounds": rounds, "orders": orders, "median_ms": round(median, 1), "worst_ms": round(worst, 1)}


async def benchmark(rounds: int, orders: int) -> dict[str, object]:
    """Both ways of cancelling, one after the other."""
    return {
        "cancel_all": await measure(rounds, orders, at_once=True),
        "one_by_one": await measure(rounds, orders, at_once=False),
    }


def main() -> None:
    """Parse the arguments and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--orders", type=int, default=50)
    arguments = parser.parse_args()
    logging.disable()
    os.environ |= {"AXON_BENCHMARK_KEY": "YOUR_API_KEY", "AXON_BENCHMARK_SECRET": "YOUR_API_SECRET"}
    os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp()
    print(json.dumps(asyncio.run(benchmark(arguments.rounds, arguments.orders)), indent=2))


if __name__ == "__main__":
    main()
