"""A run's configuration in a folder of its own, and an independent ledger to hold the portfolio against."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path

import attrs
import pytest

from axon_quant.config import Config, load_config
from axon_quant.errors import JournalError
from axon_quant.journal import verify
from axon_quant.orders import Fill, Side


@pytest.fixture
def btcusdt(root: Path, tmp_path: Path) -> Config:
    """The shipped example, journaling into the test's own folder."""
    config = load_config(root / "examples" / "btcusdt.toml")
    return attrs.evolve(config, journal=attrs.evolve(config.journal, path=tmp_path / "run.db"))


class FifoLedger:
    """First in, first out, in exact decimals, written without looking at `Portfolio`."""

    def __init__(self, cash: Decimal) -> None:
        self.cash = cash
        self.fees = Decimal(0)
        self.realised = Decimal(0)
        self.lots: dict[str, deque[list[Decimal]]] = defaultdict(deque)

    def add(self, fill: Fill) -> None:
        signed = fill.quantity if fill.side is Side.Buy else -fill.quantity
        self.cash -= signed * fill.price + fill.fee
        self.fees += fill.fee
        lots = self.lots[fill.symbol]
        while signed and lots and (lots[0][0] > 0) != (signed > 0):
            quantity, price = lots[0]
            closed = min(abs(signed), abs(quantity)) * (1 if quantity > 0 else -1)
            self.realised += closed * (fill.price - price)
            signed += closed
            lots[0][0] -= closed
            if not lots[0][0]:
                lots.popleft()
        if signed:
            lots.append([signed, fill.price])

    def position(self, symbol: str) -> Decimal:
        return sum((quantity for quantity, _ in self.lots[symbol]), Decimal(0))

    def unrealised(self, symbol: str, mark: Decimal) -> Decimal:
        return sum((quantity * (mark - price) for quantity, price in self.lots[symbol]), Decimal(0))


@pytest.fixture
def ledger() -> Callable[[Decimal], FifoLedger]:
    return FifoLedger


def wait_for_records(journal: Path, count: int, seconds: float = 30.0) -> None:
    """Return once another process has made `count` records durable."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.02)
        with suppress(JournalError):  # not there yet, or still empty
            if journal.exists() and sum(report.records for report in verify(journal)) > count:
                return
    raise AssertionError(f"{journal} has no {count} records after {seconds} s")


@pytest.fixture
def durable_records() -> Callable[[Path, int], None]:
    return wait_for_records
