"""Messages per second of a whole replay: reader, book, observation, two models, ensemble, risk, paper venue, journal.

    python benchmarks/replay.py [RECORDING.jsonl.gz] [--runs N]

Without a recording it plays a generated market of the same length. Prints JSON: messages/s of every run, with the loop
not waiting for the disk (nothing leaves the process) and with `strict = true` (each order waits), the per-stage
latencies of the median run, and the p50 of an fdatasync on the disk the journal was on.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import attrs

from axon_quant.config import Config, load_config
from axon_quant.market.generated import GeneratedMarket
from axon_quant.runtime.replay import Replay
from axon_quant.runtime.summary import RunSummary
from axon_quant.runtime.wiring import build_instruments

ROOT = Path(__file__).resolve().parent.parent
GENERATED_SECONDS = 346.0


def fdatasync_p50_ms(folder: Path, times: int = 100) -> float:
    """The disk's own speed: a 4 KiB append and its fdatasync."""
    taken = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(times):
            file.write(b"x" * 4096)
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - start) * 1e3)
    return statistics.median(taken)


def replay(config: Config, recording: Path | None, folder: Path, *, strict: bool) -> RunSummary:
    """One run into a journal of its own."""
    config = attrs.evolve(config, journal=attrs.evolve(config.journal, path=folder / "run.db", strict=strict))
    if recording is not None:
        return Replay(config, recording).run()
    market = GeneratedMarket(build_instruments(config)[0], seconds=GENERATED_SECONDS, seed=config.run.seed)
    return Replay(config, market=market).run()


def main() -> None:
    """Play, repeat, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", nargs="?", type=Path)
    parser.add_argument("--config", type=Path, default=ROOT / "examples" / "btcusdt.toml")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    config = load_config(arguments.config)
    results: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for label, strict in (("embedded", False), ("strict", True)):
            runs = [replay(config, arguments.recording, folder, strict=strict) for _ in range(arguments.runs)]
            ordered = sorted(runs, key=lambda run: run.messages_per_second)
            median = ordered[len(ordered) // 2]
            results[label] = {
                "messages_per_second": [run.messages_per_second for run in runs],
                "median": median.messages_per_second,
                "messages": median.messages,
                "decisions": median.decisions,
                "orders": median.orders,
                "fills": median.fills,
                "cancels": median.cancels,
                "latency_us": median.latency_us,
                "heads": sorted({run.journal_head for run in runs}),
            }
        results["fdatasync_p50_ms"] = round(fdatasync_p50_ms(folder), 3)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
