"""A simulated venue in a process of its own, and `axon run` trading there: real sockets, real signals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from axon_quant.errors import JournalError
from axon_quant.journal import read

AXON = [sys.executable, "-m", "axon_quant.cli"]
SECRETS = (b"YOUR_API_KEY", b"YOUR_API_SECRET", b"YOUR_PASSPHRASE")
PASSPHRASE = 'passphrase = "env:AXON_TEST_PASSPHRASE"\n'
VENUES = {
    "binance": ("BTCUSDT", ""),
    "okx": ("BTC-USDT", PASSPHRASE),
}
SWAPS = {
    "binance-futures": ("BTCUSDT", ""),
    "okx": ("BTC-USDT-SWAP", PASSPHRASE),
}
"""The symbol, and what the venue's keys need besides."""


class Venue:
    """A simulated venue in a process of its own, and runs that trade there."""

    def __init__(self, name: str, folder: Path, root: Path, venues: dict[str, tuple[str, str]] = VENUES) -> None:
        self.name, self.folder = name, folder
        self.symbol, passphrase = venues[name]
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
        prefix = f"AXON_{name.upper().replace('-', '_')}"
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


RESTING = '''
from axon_quant import Order, Side, Strategy


class Resting(Strategy):
    """Bids below the market, one more with every decision, up to `most`."""

    def __init__(self, most: int = 10) -> None:
        self.most = most

    def on_decision(self, ctx, action):
        standing, quote = len(ctx.open_orders(ctx.symbol)), ctx.quote(ctx.symbol)
        if standing < self.most and quote is not None:
            instrument, price = ctx.instrument(ctx.symbol), quote.bid
            offset = 0.96 + 0.0005 * (standing % 20)
            yield Order(ctx.symbol, Side.Buy, price=instrument.round_price(price * offset), quantity="0.001")
'''


def resting_venue(folder: Path, root: Path, most: int = 10, extra: str = "") -> Venue:
    """A Binance, and a run whose strategy rests `most` bids there; `extra` is added to its configuration."""
    venue = Venue("binance", folder, root)
    (folder / "resting.py").write_text(RESTING)
    strategy = f'[strategy]\nname = "resting.py:Resting"\noptions = {{ most = {most} }}\n\n'
    text = re.sub(
        r"(?s)\[strategy\].*?\[risk\]", f"{strategy}[risk]\nmessages_per_second = 100\n", venue.config.read_text()
    ).replace('max_position = "0.05"', 'max_position = "0.9"')
    venue.config.write_text(text.replace("window = 64", "window = 64\nbackfill = true") + extra)
    return venue


def axon(venue: Venue, *arguments: str, code: int = 0, given: str | None = None) -> str:
    """Run a command on the venue's configuration, without its secrets in the environment."""
    environment = {name: value for name, value in venue.environment.items() if not name.startswith("AXON_TEST")}
    command = [*AXON, *arguments, "-c", str(venue.config)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, input=given)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout + done.stderr


def standing(venue: Venue) -> list[dict]:
    """The orders that are open at the venue."""
    return [order for order in venue.truth()["orders"] if order["status"] in ("open", "partially-filled")]
