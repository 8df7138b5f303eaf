"""An hour of market, sped up, with everything going wrong that can: is an order lost, does memory grow, is it told?

python benchmarks/soak.py [--minutes 60] [--speed 20] [--tmpfs-mb 256] prints a JSON object.

`axon simulate binance` and `axon run` are processes of their own, with real sockets between them. In order, by shares
of the time: a model file is replaced while it serves (15 %), the venue breaks the account's and the market's connection
(30 %), the journal's small tmpfs is filled, so that the run halts and ends (55 %), the disk is emptied, the next run
is resumed by an operator and killed with SIGKILL (78 %), and the last one is stopped by Ctrl-C at the end. Then every
order, fill and balance in the venue's ledger is held against the journal. The exit code is 1 when anything is amiss.

The tmpfs needs root and Linux; elsewhere the full disk is left out, and the result says so.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from axon_quant.errors import JournalError
from axon_quant.events import AccountReconciled, Event, ModelLoaded, OrderPlaced, OrderUpdated, StreamChanged
from axon_quant.inference.files import write_whole
from axon_quant.journal import read, runs, verify
from axon_quant.observation.features import FEATURES
from axon_quant.plugins import load_backend

ROOT = Path(__file__).resolve().parents[1]
AXON = (sys.executable, "-m", "axon_quant.cli")
SYMBOL = "BTCUSDT"
PATIENCE = 60.0
SPARE_BLOCKS = 16
"""What is left of the small disk, in blocks of 64 KB, until an order is open."""
WARM_UP = 20.0
"""Seconds of a run before its memory counts; that of a run shorter than three times that is not judged."""
EXCHANGE = """[exchange]
name = "binance"
api_key = "env:AXON_BENCHMARK_KEY"
api_secret = "env:AXON_BENCHMARK_SECRET"
testnet = false
rate_limit = { requests_per_second = 50, orders_per_minute = 3000 }

"""


def say(text: str) -> None:
    """Progress, beside the result."""
    print(text, file=sys.stderr, flush=True)


def builtin(name: str) -> bytes:
    """A demo model's file."""
    return load_backend("onnx").builtin(name, FEATURES).read_bytes()


def configuration(folder: Path, disk: Path) -> Path:
    """The shipped example at the simulated venue: its first model is a watched file, its journal lies on `disk`."""
    text = (ROOT / "examples" / "btcusdt.toml").read_text()
    begin, end = text.index("[exchange]"), text.index("[journal]")
    text = text[:begin] + EXCHANGE + text[end:]
    for before, after in (
        ('builtin = "demo-64x128"\n', 'path = "served.onnx"\nreload = true\n'),
        ("interval_ms = 100", "interval_ms = 50\nbackfill = true"),
        ("order_lifetime_ms = 300", "order_lifetime_ms = 1000"),
        ('"journal/btcusdt.db"', json.dumps(str(disk / "soak.db"))),
        ('max_daily_loss = "0.02"', 'max_daily_loss = "0.5"'),  # fees of so many orders are no reason to halt here
        ('max_drawdown = "0.10"', 'max_drawdown = "0.5"'),
    ):
        text = text.replace(before, after, 1)
    (folder / "served.onnx").write_bytes(builtin("demo-64x128"))
    path = folder / "run.toml"
    path.write_text(text)
    return path


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[str]:
    """A tmpfs of its own at `folder`; yields why there is none, or an empty text."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "axon-soak", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        why = "" if done.returncode == 0 else done.stderr.strip() or "mount failed"
    except OSError as error:
        why = f"mount: {error}"
    try:
        yield why
    finally:
        if not why:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


class Memory:
    """The resident memory of a process, every second, in MB."""

    def __init__(self, pid: int) -> None:
        self.samples: list[float] = []
        self._path = Path(f"/proc/{pid}/statm")
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        with suppress(OSError, ValueError, IndexError):  # it has ended
            while not self._done.wait(1.0):
                self.samples.append(int(self._path.read_text("ascii").split()[1]) * page / 2**20)

    def growth(self) -> dict[str, object]:
        """From the tenth of the samples after the warm-up to the last tenth, as medians."""
        self._done.set()
        self._thread.join()
        seen = [sample for sample in self.samples if sample > 0.0]
        if len(seen) < 3 * WARM_UP:
            return {"seconds": len(seen), "most_mb": round(max(seen, default=0.0), 1), "growth_percent": None}
        warm = seen[round(WARM_UP) :]
        share = max(2, len(warm) // 10)
        first, last = statistics.median(warm[:share]), statistics.median(warm[-share:])
        return {
            "seconds": len(seen),
            "warm_mb": round(first, 1),
            "end_mb": round(last, 1),
            "most_mb": round(max(seen), 1),
            "growth_percent": round(100 * (last / first - 1), 2),
            "every_ten_seconds_mb": [round(sample, 1) for sample in seen[::10]],
        }


class Run:
    """One `axon run`, and what it said when it ended."""

    def __init__(self, soak: Soak) -> None:
        self._files = [(soak.folder / f"run-{len(soak.runs) + 1}.{kind}") for kind in ("json", "log")]
        with self._files[0].open("wb") as output, self._files[1].open("wb") as errors:
            self.process = subprocess.Popen(
                [*AXON, "run", "-c", str(soak.config), "--json"], env=soak.environment, stdout=output, stderr=errors
            )
        self.memory = Memory(self.process.pid)
        self.growth: dict[str, object] = {}
        soak.runs.append(self)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit code."""
        try:
            return self.process.wait(seconds)
        finally:
            self.growth = self.memory.growth()

    @property
    def summary(self) -> dict[str, Any]:
        """The summary it printed; empty when it was killed."""
        text = self._files[0].read_text()
        return json.loads(text) if text else {}

    @property
    def log(self) -> str:
        return self._files[1].read_text()


class Soak:
    """The venue, the runs one after the other, and what is known of them."""

    def __init__(self, folder: Path, disk: Path, speed: float, seconds: float) -> None:
        self.folder, self.disk, self.seconds = folder, disk, seconds
        self.config, self.journal = configuration(folder, disk), disk / "soak.db"
        self.runs: list[Run] = []
        self.did: dict[str, object] = {}
        command = [*AXON, "simulate", "binance", "--symbol", SYMBOL, "--speed", str(speed)]
        self.venue = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.venue.stdout is not None
        roots = json.loads(self.venue.stdout.readline())
        self._rest = roots["rest"]
        self.environment = {
            **os.environ,
            "AXON_BINANCE_REST_URL": roots["rest"],
            "AXON_BINANCE_WS_URL": roots["ws"],
            "AXON_BENCHMARK_KEY": "YOUR_API_KEY",
            "AXON_BENCHMARK_SECRET": "YOUR_API_SECRET",
            "XDG_STATE_HOME": str(folder / "state"),
        }
        self._began = time.monotonic()

    def close(self) -> None:
        """End what is left of the processes."""
        for process in (*(run.process for run in self.runs), self.venue):
            if process.poll() is None:
                process.kill()
                process.wait()
        assert self.venue.stdout is not None
        self.venue.stdout.close()

    def ask(self, path: str, said: object = None) -> Any:
        """A control endpoint of the simulator."""
        data = None if said is None else json.dumps(said).encode()
        request = urllib.request.Request(self._rest + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def truth(self) -> dict[str, Any]:
        return dict(self.ask("/simulator/truth")["accounts"]["main"])

    def open_orders(self) -> int:
        """How many orders are open at the venue."""
        return sum(order["status"] in ("open", "partially-filled") for order in self.truth()["orders"])

    def recorded(self, *kinds: type[Event]) -> list[Event]:
        """The events of all runs; none while there is no journal."""
        try:
            return [event for row in runs(self.journal) for _, event in read(self.journal, run=row.number, kinds=kinds)]
        except JournalError:
            return []

    def until(self, share: float) -> None:
        """Let the market go on up to this share of the time; the run must be alive then."""
        time.sleep(max(0.0, self._began + share * self.seconds - time.monotonic()))
        run = self.runs[-1]
        if run.process.poll() is not None:
            raise SystemExit(f"run {len(self.runs)} ended by itself:\n{run.log}")

    def wait_for(self, condition: Callable[[], object], what: str) -> float:
        """Wait until it holds; returns how many seconds it took."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > PATIENCE:
                raise SystemExit(f"{what}: not within {PATIENCE:.0f} s\n{self.runs[-1].log}")
            time.sleep(0.05)
        return round(time.monotonic() - began, 2)

    def start(self) -> Run:
        """Another run; returns when it has placed an order at the venue."""
        before = len(self.truth()["orders"])
        run = Run(self)
        self.wait_for(
            lambda: len(self.truth()["orders"]) > before or run.process.poll() is not None, "an order of the run"
        )
        return run

    # What happens, in order.

    def swap(self) -> None:
        before = len(self.recorded(ModelLoaded))
        write_whole(self.folder / "served.onnx", builtin("demo-64x128-reversion"))
        took = self.wait_for(lambda: len(self.recorded(ModelLoaded)) > before, "the swap")
        self.did["swap"] = {"served_after_s": took}

    def disconnect(self) -> None:
        streams = ("account", "market")
        before = len(self.recorded(StreamChanged))
        rules = [{"kind": "disconnect", "where": f"stream:{one}:*", "every": 1, "limit": 1} for one in streams]
        self.ask("/simulator/faults", rules)

        def back() -> bool:
            events = self.recorded(StreamChanged)[before:]
            changes = [(event.stream, event.up) for event in events if isinstance(event, StreamChanged)]
            return all((one, False) in changes and (one, True) in changes for one in streams)

        took = self.wait_for(back, "both connections are back")
        self.ask("/simulator/faults", [])
        self.did["disconnect"] = {"streams": list(streams), "all_up_after_s": took}

    def fill_disk(self) -> None:
        """All but a little at first, so that the last of it takes no longer than an order stays open."""
        ballast, block = self.disk / "ballast", bytes(1 << 16)
        with ballast.open("wb", buffering=0) as file:
            for _ in range(shutil.disk_usage(self.disk).free // len(block) - SPARE_BLOCKS):
                file.write(block)
            self.wait_for(self.open_orders, "an open order to fill the disk under")
            began = time.monotonic()
            with suppress(OSError):
                while True:
                    file.write(block)
        open_then = self.open_orders()
        code = self.runs[-1].wait()
        ended = round(time.monotonic() - began, 2)
        ballast.unlink()
        self.did["full_disk"] = {
            "open_when_full": open_then,
            "exit_code": code,
            "ended_after_s": ended,
            "left_open": self.open_orders(),
        }

    def resume(self) -> None:
        """The next run is halted, as the halt file says, until somebody resumes it."""
        run = Run(self)
        command = [*AXON, "resume", "-c", str(self.config), "--reason", "the disk has room again", "--yes"]
        before = len(self.truth()["orders"])
        self.wait_for(
            lambda: subprocess.run(command, capture_output=True, env=self.environment, check=False).returncode == 0,
            "the resume",
        )
        self.wait_for(lambda: len(self.truth()["orders"]) > before or run.process.poll() is not None, "an order again")

    def kill(self) -> None:
        self.wait_for(self.open_orders, "an open order to be killed with")
        self.runs[-1].process.kill()
        self.runs[-1].wait()
        self.did["kill"] = {"left_open": self.open_orders()}

    def stop(self) -> None:
        self.runs[-1].process.send_signal(signal.SIGINT)
        self.did["stop"] = {"exit_code": self.runs[-1].wait()}

    def go(self, no_disk: str) -> None:
        """Everything, in order."""
        self.start()
        for share, what, act in (
            (0.15, "the model is replaced", self.swap),
            (0.30, "the venue breaks both connections", self.disconnect),
        ):
            self.until(share)
            say(f"{share:4.0%} {what}")
            act()
        if no_disk:
            self.did["full_disk"] = {"skipped": no_disk}
        else:
            self.until(0.55)
            say(" 55% the journal's disk is filled")
            self.fill_disk()
            self.resume()
        self.until(0.78)
        say(" 78% kill -9")
        self.kill()
        self.start()
        self.until(1.0)
        say("100% Ctrl-C")
        self.stop()


def held_against(truth: Mapping[str, Any], journal: Path, last: Mapping[str, Any]) -> dict[str, object]:
    """The venue's ledger against the journal and the last summary: counts, and what should be empty or equal."""
    placed: list[str] = []
    ended: set[str] = set()
    fills: list[tuple[str, Decimal, Decimal]] = []
    unexplained = 0
    for row in runs(journal):
        for _, event in read(journal, run=row.number, kinds=(OrderPlaced, OrderUpdated, AccountReconciled)):
            if isinstance(event, OrderPlaced):
                placed.append(event.order.client_order_id)
            elif isinstance(event, AccountReconciled):
                unexplained += len(event.differences)
            elif isinstance(event, OrderUpdated):
                if event.update.status.is_terminal:
                    ended.add(event.update.client_order_id)
                if event.update.fill is not None:
                    fill = event.update.fill
                    fills.append((fill.client_order_id, fill.price, fill.quantity))
    at_venue = [order["client_order_id"] for order in truth["orders"]]
    venue_fills = [(one["client_order_id"], Decimal(one["price"]), Decimal(one["quantity"])) for one in truth["fills"]]
    still = [order for order in truth["orders"] if order["status"] in ("open", "partially-filled")]
    balances = {asset: Decimal(held["free"]) + Decimal(held["locked"]) for asset, held in truth["balances"].items()}
    return {
        "orders_at_venue": len(at_venue),
        "orders_in_journal": len(placed),
        "fills": len(fills),
        "not_in_journal": sorted(set(at_venue) - set(placed)),
        "without_an_end": sorted(set(placed) - ended),
        "sent_twice": len(at_venue) - len(set(at_venue)),
        "placed_twice": len(placed) - len(set(placed)),
        "open_at_the_end": len(still),
        "fills_equal": sorted(fills) == sorted(venue_fills),
        "unexplained_balances": unexplained,
        "balances_equal": Decimal(last["cash"]) == balances["USDT"]
        and Decimal(last["positions"][SYMBOL]) == balances["BTC"],
        "journal_verified": [report.outcome for report in verify(journal)],
    }


def told(soak: Soak) -> dict[str, bool]:
    """Whether the summaries say what happened."""
    notices = ["\n".join(run.summary.get("notices", ())) for run in soak.runs]
    everything = "\n".join(notices)
    found = {
        "swap": "model flow was replaced" in everything,
        "disconnect": "account stream was lost" in everything and "market stream was lost" in everything,
        "killed_run": "was killed before it ended" in notices[-1],
        "stopped": soak.runs[-1].summary["outcome"] == "interrupted",
    }
    if "skipped" not in soak.did["full_disk"]:  # type: ignore[operator]  # a dict, if it was done
        found["journal_failure"] = (
            soak.runs[0].summary.get("outcome") == "failed" and "halted: the journal failed" in notices[0]
        )
    return found


def verdict(ledger: Mapping[str, object], growth: list[dict[str, object]], said: Mapping[str, bool]) -> list[str]:
    """What is amiss; empty for a run in which nothing was lost."""
    amiss = [
        name
        for name in ("not_in_journal", "without_an_end", "sent_twice", "placed_twice", "open_at_the_end")
        if ledger[name]
    ]
    amiss += [name for name in ("fills_equal", "balances_equal") if not ledger[name]]
    if ledger["unexplained_balances"]:
        amiss.append("unexplained_balances")
    amiss += [f"not told: {name}" for name, done in said.items() if not done]
    for number, one in enumerate(growth, 1):
        percent = one["growth_percent"]
        if isinstance(percent, float) and not percent <= 3.0:
            amiss.append(f"run {number} grew by {percent} %")
    return amiss


def soak(minutes: float, speed: float, megabytes: int) -> dict[str, object]:
    """The whole of it; `amiss` is empty when all is well."""
    seconds = minutes * 60 / speed
    with (
        tempfile.TemporaryDirectory(prefix="axon-soak-") as name,
        small_disk(Path(name) / "disk", megabytes) as no_disk,
    ):
        trial = Soak(Path(name), Path(name) / "disk", speed, seconds)
        try:
            trial.go(no_disk)
            ledger = held_against(trial.truth(), trial.journal, trial.runs[-1].summary)
            growth, said = [run.growth for run in trial.runs], told(trial)
            return {
                "market_minutes": minutes,
                "speed": speed,
                "seconds": seconds,
                "happened": trial.did,
                "ledger": ledger,
                "memory": growth,
                "told": said,
                "notices": [run.summary.get("notices", []) for run in trial.runs],
                "amiss": verdict(ledger, growth, said),
            }
        finally:
            trial.close()


def main() -> None:
    """Parse the arguments, print what happened, and exit with 1 when anything is amiss."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0, help="of market")
    parser.add_argument("--speed", type=float, default=20.0, help="how fast market time passes")
    parser.add_argument("--tmpfs-mb", type=int, default=256, help="the size of the journal's disk")
    arguments = parser.parse_args()
    found = soak(arguments.minutes, arguments.speed, arguments.tmpfs_mb)
    print(json.dumps(found, indent=2))
    sys.exit(1 if found["amiss"] else 0)


if __name__ == "__main__":
    main()
