"""`axon run` at a venue of its own process: Binance's wire protocol, real sockets, real signals."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from axon_quant.errors import JournalError
from axon_quant.events import AccountReconciled, Decision, FeatureRow, OrderAdopted, OrderPlaced, OrderUpdated
from axon_quant.journal import read, runs, verify

AXON = [sys.executable, "-m", "axon_quant.cli"]
SECRETS = (b"YOUR_API_KEY", b"YOUR_API_SECRET", b"YOUR_PASSPHRASE")
VENUES = {
    "binance": ("BTCUSDT", ""),
    "okx": ("BTC-USDT", 'passphrase = "env:AXON_TEST_PASSPHRASE"\n'),
}


class Venue:
    """A simulated venue in a process of its own, and runs that trade there."""

    def __init__(self, name: str, folder: Path, root: Path) -> None:
        self.name, self.folder = name, folder
        self.symbol, passphrase = VENUES[name]
        text = (root / "examples" / "btcusdt.toml").read_text().replace("BTCUSDT", self.symbol)
        text = text.replace("interval_ms = 100", "interval_ms = 20").replace(
            "order_lifetime_ms = 300", "order_lifetime_ms = 2000"
        )
        start, end = text.index("[exchange]"), text.index("[journal]")
        exchange = f'[exchange]\nname = "{name}"\napi_key = "env:AXON_TEST_KEY"\napi_secret = "env:AXON_TEST_SECRET"\n'
        exchange += (
            passphrase + "testnet = false\nrate_limit = { requests_per_second = 50, orders_per_minute = 1000 }\n\n"
        )
        self.config = folder / "run.toml"
        self.config.write_text(text[:start] + exchange + text[end:])
        self.journal = folder / "journal" / "btcusdt.db"
        command = [*AXON, "simulate", name, "--port", "0", "--symbol", self.symbol]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.roots = json.loads(self.process.stdout.readline())
        prefix = f"AXON_{name.upper()}"
        self.environment = {
            **os.environ,
            f"{prefix}_REST_URL": self.roots["rest"],
            f"{prefix}_WS_URL": self.roots["ws"],
            "AXON_TEST_KEY": "YOUR_API_KEY",
            "AXON_TEST_SECRET": "YOUR_API_SECRET",
            "AXON_TEST_PASSPHRASE": "YOUR_PASSPHRASE",
        }

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()

    def truth(self) -> dict:
        with urllib.request.urlopen(self.roots["rest"] + "/simulator/truth") as answer:
            return json.load(answer)["accounts"]["main"]

    def run(self) -> subprocess.Popen[str]:
        command = [*AXON, "run", "-c", str(self.config), "--json"]
        return subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def wait_for(self, condition, process: subprocess.Popen[str], seconds: float = 40.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline, "it never happened"
            time.sleep(0.02)

    def recorded(self, *kinds, run=None) -> list:
        try:
            return [event for _, event in read(self.journal, run=run, kinds=kinds)]
        except JournalError:
            return []

    def stop(self, process: subprocess.Popen[str]) -> dict:
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=40)
        assert process.returncode == 130, errors
        assert "Traceback" not in errors, errors
        written = [path.read_bytes() for path in self.folder.rglob("*") if path.is_file()]
        for said in (output.encode(), errors.encode(), *written):
            assert not any(secret in said for secret in SECRETS), "a secret was written down"
        return json.loads(output)


@pytest.fixture(params=sorted(VENUES))
def venue(request, root, tmp_path):
    venue = Venue(request.param, tmp_path, root)
    yield venue
    venue.close()


def test_a_run_trades_and_leaves_nothing_open(venue):
    process = venue.run()
    try:
        venue.wait_for(lambda: sum(one["status"] == "filled" for one in venue.truth()["orders"]) > 0, process)
        summary = venue.stop(process)
    finally:
        process.kill()
    truth = venue.truth()
    assert summary["outcome"] == "interrupted"
    assert summary["orders"] == len(truth["orders"]) > 0
    assert summary["fills"] == len(truth["fills"])
    assert {order["status"] for order in truth["orders"]} <= {"filled", "cancelled", "expired"}
    held = truth["balances"]
    assert Decimal(summary["positions"][venue.symbol]) == Decimal(held["BTC"]["free"])
    assert Decimal(summary["cash"]) == Decimal(held["USDT"]["free"])
    (report,) = verify(venue.journal)
    assert report.outcome == "interrupted"


def test_a_run_that_fills_its_window_from_the_venue_decides_sooner(venue):
    text = venue.config.read_text()
    venue.config.write_text(text.replace("interval_ms = 20", "interval_ms = 200\nbackfill = true"))
    time.sleep(6.0)  # some history
    process = venue.run()
    try:
        venue.wait_for(lambda: venue.recorded(Decision), process)
        summary = venue.stop(process)
    finally:
        process.kill()
    assert any(notice.startswith("the windows were filled with") for notice in summary["notices"])
    rows, first = venue.recorded(FeatureRow), venue.recorded(Decision)[0]
    began = next(event.at for event in venue.recorded(AccountReconciled))
    assert (first.at - began) / 1e9 < 10.0, "a whole window, 64 rows of 200 ms, was waited for"
    assert rows[0].at < began
    assert [later.at - row.at for row, later in pairwise(rows)] == [200_000_000] * (len(rows) - 1), (
        "the window has a hole"
    )


def test_after_a_kill_a_run_settles_with_the_venue_before_it_trades(venue):
    rng = random.Random(11)
    for kill in range(3):
        process = venue.run()
        try:
            seen = len(venue.truth()["orders"])
            venue.wait_for(lambda seen=seen: len(venue.truth()["orders"]) > seen, process)
            time.sleep(rng.uniform(0.0, 0.3) if kill else 0.0)  # the first one with an order that has just left
        finally:
            process.kill()
            process.communicate()
    process = venue.run()
    try:
        number = 4
        venue.wait_for(lambda: venue.recorded(OrderPlaced, run=number), process)
        summary = venue.stop(process)
    finally:
        process.kill()
    assert any("was killed before it ended" in notice for notice in summary["notices"])

    events = [event for _, event in read(venue.journal, run=number)]
    kinds = [type(event) for event in events]
    assert kinds.index(AccountReconciled) < kinds.index(OrderPlaced), "it traded before it knew its account"
    differences = [event.differences for event in events if isinstance(event, AccountReconciled)]
    assert differences == [()], "the venue holds something else than the journal leads to"

    truth = venue.truth()
    placed, ended, filled = set(), set(), {}
    for row in runs(venue.journal):
        for _, event in read(venue.journal, run=row.number, kinds=(OrderPlaced, OrderAdopted, OrderUpdated)):
            if isinstance(event, OrderPlaced):
                placed.add(event.order.client_order_id)
            elif isinstance(event, OrderUpdated):
                update = event.update
                if update.status.is_terminal:
                    ended.add(update.client_order_id)
                if update.fill is not None:
                    assert update.fill.fill_id not in filled, "a fill was counted twice"
                    filled[update.fill.fill_id] = update.fill
    at_venue = {order["client_order_id"] for order in truth["orders"]}
    assert at_venue <= placed, "an order is at the venue that was never journaled"
    assert len(at_venue) == len(truth["orders"]), "an order was sent twice"
    assert placed == ended, "an order's fate is unknown"
    assert len(filled) == len(truth["fills"]), "a fill was missed"
    assert sum(fill.quantity for fill in filled.values()) == sum(Decimal(fill["quantity"]) for fill in truth["fills"])
    assert Decimal(summary["positions"][venue.symbol]) == Decimal(truth["balances"]["BTC"]["free"])
    assert Decimal(summary["cash"]) == Decimal(truth["balances"]["USDT"]["free"])
