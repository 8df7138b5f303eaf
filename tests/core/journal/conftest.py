"""A journal in a temporary folder, and events to put into it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import pytest

import axon_quant
from axon_quant.events import Decision, Event, FeatureRow, ModelIdentity, OrderPlaced, OrderUpdated, RunEnded
from axon_quant.journal import Journal
from axon_quant.orders import Fill, Liquidity, Order, OrderStatus, OrderType, OrderUpdate, Side

WINDOW = 4
PRICE, QUANTITY = Decimal("50000.1"), Decimal("0.25")


def session_events(count: int = 12) -> list[Event]:
    """A small session: feature rows, a decision over the last four of them, an order and its fill now and then."""
    events: list[Event] = []
    digests: list[bytes] = []
    for number in range(count):
        data = number.to_bytes(4, "little") * 8
        digests.append(sha256(data).digest())
        events.append(FeatureRow(number, "BTCUSDT", number, data))
        if number + 1 < WINDOW:
            continue
        first = number + 1 - WINDOW
        observed = sha256(b"".join(digests[first:])).hexdigest()
        models = (ModelIdentity("demo", 1, "ab" * 32),)
        scores = (0.1, 0.7, 0.2)
        events.append(Decision(number, "BTCUSDT", number, first, number, observed, "sell", 0.7, scores, (), models))
        if number % 3 == 0:
            name = f"test{number:06}"
            order = Order("BTCUSDT", Side.Buy, OrderType.Limit, PRICE, QUANTITY, client_order_id=name)
            fill = Fill(name, "BTCUSDT", Side.Buy, PRICE, QUANTITY, PRICE, "USDT", Liquidity.Taker, "f", number)
            update = OrderUpdate(name, OrderStatus.Filled, number, "BTCUSDT", "7", QUANTITY, fill)
            events += [OrderPlaced(number, order, number), OrderUpdated(number, update)]
    return events


def write_run(path: Path, events: list[Event], *, mode: str = "replay", outcome: str | None = "completed") -> str:
    """Write one run and return its head; a run without an outcome looks like one that was killed."""
    with Journal(path) as journal:
        journal.start_run(mode=mode, continues=mode == "live")
        for event in events:
            journal.append(event)
        if outcome is not None:
            journal.append(RunEnded(10**9, outcome))
        journal.flush()
        return journal.head


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    with Journal(path) as opened:
        opened.start_run(mode="replay", continues=False)
        yield opened


@pytest.fixture
def write() -> Callable[..., str]:
    return write_run


@pytest.fixture
def session() -> list[Event]:
    return session_events()


@pytest.fixture
def spawn() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `python -c SOURCE ARGUMENTS…`, optionally under another program, with axon importable."""
    started: list[subprocess.Popen[str]] = []

    def run(source: str, *arguments: object, under: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        package = Path(axon_quant.__file__).parents[1]
        command = [*under, sys.executable, "-c", source, *map(str, arguments)]
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(package), "PATH": "/usr/bin:/bin"},
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()
