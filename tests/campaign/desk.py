"""What a trader of a campaign does: one order after another at many desks at once, whatever happens to them."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from time import monotonic

import attrs
from record import Record, known

from axon_quant.orders import Order, OrderType, Side, TimeInForce

_SIZES = {"BTC": ("0.001", "0.002", "0.005"), "ETH": ("0.01", "0.02", "0.05")}
_CONTRACTS = ("0.1", "0.2", "0.5")
_STEP = {"BTC": Decimal("0.1"), "ETH": Decimal("0.01")}
_REPORT_EVERY = 0.25


@attrs.define
class Intention:
    """An order, and what is done about it after `wait` seconds while it is open: cancel, change, or nothing."""

    order: Order
    wait: float = 0.0
    then: str = ""


class Trader(ABC):
    """Places `target` orders in all its runs together; says on stdout how far it is, and finishes when told to.

    `placed` counts what was written down before it was sent.
    """

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.symbols: tuple[str, ...] = tuple(given.symbols.split(","))
        self.swaps = given.venue in ("okx-swaps", "binance-futures")
        self._sizes = _CONTRACTS if self.symbols[0].endswith("-SWAP") else None
        self.path = Path(given.record)
        self.past = known(self.path)
        self.placed = len(self.past)
        self.record = Record(self.path)
        self.mids: dict[str, float] = {}
        self.random = random.Random(f"{given.seed}:{len(self.past)}")
        self.finishing = asyncio.Event()

    @abstractmethod
    async def start(self) -> None:
        """Connect, and take up the orders of the past."""

    @abstractmethod
    async def trade(self, intention: Intention) -> None:
        """Carry an intention out, as far as it goes."""

    @abstractmethod
    async def finish(self) -> dict[str, object]:
        """Cancel what is open, and return what the account is believed to hold."""

    async def run(self) -> None:
        """One life."""
        reporting = asyncio.create_task(self._report())
        listening = asyncio.create_task(self._listen())
        await self.start()
        say(ready=True)
        async with asyncio.TaskGroup() as desks:
            for _ in range(self.given.desks):
                desks.create_task(self._sit())
        say(placed=self.placed, done=True)
        await self.finishing.wait()
        reporting.cancel()
        final = await self.finish()
        self.record.close()
        say(final=final)
        listening.cancel()

    async def _sit(self) -> None:
        while self.placed < self.given.target and not self.finishing.is_set():
            intention = self._intend()
            if intention is None:
                await asyncio.sleep(0.02)
            else:
                await self.trade(intention)

    def _intend(self) -> Intention | None:
        """The next order, near the market; None before there is one."""
        draw = self.random
        symbol = draw.choice(self.symbols)
        mid = self.mids.get(symbol)
        if mid is None:
            return None
        side, quantity = draw.choice(list(Side)), draw.choice(self._sizes or _SIZES[symbol[:3]])
        step = _STEP[symbol[:3]]

        def price(away: float) -> Decimal:
            """So far (a fraction) on the passive side of the market."""
            return (Decimal(repr(mid * (1 - side.sign * away))) / step).to_integral_value() * step

        reduces = self.swaps and draw.random() < 0.25
        kind = draw.random()
        if kind < 0.2:
            return Intention(Order(symbol, side, OrderType.Market, quantity=quantity, reduce_only=reduces))
        if kind < 0.3:
            taking = {"time_in_force": TimeInForce.IOC}
            return Intention(Order(symbol, side, price=price(-0.0005), quantity=quantity, **taking))
        if kind < 0.35:
            order = Order(symbol, side, price=price(0.0001), quantity=quantity, post_only=True)
            return Intention(order, draw.uniform(0.1, 0.5), "cancel")
        if kind < 0.4:
            stop = price(draw.choice((-0.0004, -0.01)))  # some are reached, most are not
            return Intention(
                Order(symbol, side, OrderType.Stop, quantity=quantity, stop_price=stop, reduce_only=reduces),
                draw.uniform(0.2, 0.6),
                "cancel",
            )
        away = draw.choice((0.0, 0.0001, 0.0003, 0.01))
        then = draw.choice(("cancel", "cancel", "change"))
        order = Order(symbol, side, price=price(away), quantity=quantity, reduce_only=reduces)
        return Intention(order, draw.uniform(0.0, 0.5), then)

    async def _report(self) -> None:
        while True:
            say(placed=self.placed)
            await asyncio.sleep(_REPORT_EVERY)

    async def _listen(self) -> None:
        """Finish when stdin says so, or ends."""
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        await reader.readline()
        self.finishing.set()


def say(**what: object) -> None:
    """A line for the campaign to read."""
    print(json.dumps({**what, "at": monotonic()}), flush=True)


def main(make: Callable[[argparse.Namespace], Trader]) -> None:
    """Run a trader."""
    parser = argparse.ArgumentParser()
    parser.add_argument("venue")
    parser.add_argument("--rest", required=True)
    parser.add_argument("--ws", required=True)
    parser.add_argument("--symbols", required=True)
    parser.add_argument("--record", required=True)
    parser.add_argument("--target", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--desks", type=int, default=30)
    parser.add_argument("--retries", type=int, default=0)
    given = parser.parse_args()
    asyncio.run(make_and_run(make, given))


async def make_and_run(make: Callable[[argparse.Namespace], Trader], given: argparse.Namespace) -> None:
    """Within the loop."""
    await make(given).run()
