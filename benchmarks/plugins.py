"""What bad plugins cost those who do not need them. Prints one JSON object; times are milliseconds.

    python benchmarks/plugins.py [--rounds 15]

Two virtual environments with the core and the ONNX backend. In one of them there is also a plugin that raises on
import, one whose target sleeps for five seconds, and two that claim one name. `axon --help`, `axon plugins` and a short
replay run in both by turns; `cost` is the median of the differences, and must stay below 50 ms. On a busy machine the
processor times are the ones to trust.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "plugins"))

from environments import CORE, ONNX, Environment, broken, build, create  # noqa: E402

BAD = ["broken-import", "sleeper", "claim-one", "claim-two"]


def commands(folder: Path) -> dict[str, list[str]]:
    """Each command line, by its name."""
    config = (ROOT / "examples" / "btcusdt.toml").read_text().replace("journal/btcusdt.db", str(folder / "run.db"))
    (folder / "run.toml").write_text(config)
    run = ["run", "-c", str(folder / "run.toml"), "--replay", str(folder / "market.jsonl.gz"), "--json"]
    return {"help": ["--help"], "plugins": ["plugins", "--json"], "run": run}


def milliseconds(environment: Environment, arguments: list[str]) -> tuple[float, float]:
    """Wall and processor time of one command; it has to end well."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    done = environment.run("axon", *arguments)
    taken, after = perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"axon {' '.join(arguments)}: {done.stderr}")
    return taken * 1e3, (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) * 1e3


def compare(without: Environment, having: Environment, arguments: list[str], rounds: int) -> dict[str, object]:
    """Medians of both, and of the differences of neighbours."""
    for environment in (without, having):  # compiles the modules
        milliseconds(environment, arguments)
    pairs = [(milliseconds(without, arguments), milliseconds(having, arguments)) for _ in range(rounds)]
    return {
        what: {
            "without": round(median(a[index] for a, _ in pairs), 1),
            "with": round(median(b[index] for _, b in pairs), 1),
            "cost": round(median(b[index] - a[index] for a, b in pairs), 1),
        }
        for index, what in enumerate(("wall", "processor"))
    }


def main() -> None:
    """Build, install, take turns, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        wheels = build([CORE, ONNX, *broken(*BAD)], folder / "wheels")
        without = create(folder / "without", [wheels[CORE], wheels[ONNX]])
        having = create(folder / "with", wheels.values())
        market = without.run(
            "python", str(ROOT / "examples" / "market.py"), str(folder / "market.jsonl.gz"), "--seconds", "10"
        )
        if market.returncode:
            raise RuntimeError(market.stderr)
        result = {name: compare(without, having, line, rounds) for name, line in commands(folder).items()}
    print(json.dumps({"benchmark": "plugins", "rounds": rounds, "bad": BAD, "milliseconds": result}, indent=2))


if __name__ == "__main__":
    main()
