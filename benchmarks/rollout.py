"""What a rollout costs a decision: the same decisions without one, with a shadow in its thread, and as a canary.

    python benchmarks/rollout.py [--seconds S] [--rounds N] [--idle-ms T]

Every round plays a generated market once through each variant, in turn; the figures are medians over the rounds, in
microseconds per decision. `decision` is the engine's own stage, from the due row to the last order handed on: what a
rollout may not slow down. `after` is what is done once the orders are out. After each decision the loop sleeps
`--idle-ms`, as a live one does; with 0 the thread never finds it idle. `offer` is one hand-over to the shadow's thread
by itself, the copy of a 64 × 128 window included, beside that copy alone and a hand-over to a full queue.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from time import perf_counter_ns, sleep

import attrs
import numpy as np

from axon_quant.config import Config, load_config
from axon_quant.config.rollout import GateEntry, RolloutEntry
from axon_quant.market.generated import GeneratedMarket
from axon_quant.runtime.lane import Lane
from axon_quant.runtime.replay import Replay
from axon_quant.runtime.rollout.shadow import Question, ThreadShadow
from axon_quant.runtime.wiring import Pipeline, build_instruments

ROOT = Path(__file__).resolve().parent.parent
GATE = GateEntry(passes=10_000, max_disagreement=1.0, window_decisions=600)
SHADOW = RolloutEntry(model="flow", builtin="demo-64x128", gate=GATE)
CANARY = attrs.evolve(SHADOW, mode="canary", share=1.0, max_notional=Decimal(10**6))


def play(config: Config, seconds: float, idle: float, *, threaded: bool) -> dict[str, float]:
    """One run; with `threaded` the shadow is the one of a live run."""
    taken: list[int] = []

    def rest(_lane: Lane, _at: int, _price: float) -> None:
        sleep(idle)

    @contextmanager
    def around(built: Pipeline) -> Iterator[None]:
        rollout = built.rollout
        if rollout is None:
            built.engine.after_decision = rest
            yield
            return
        candidate = rollout.candidate
        assert candidate is not None
        if threaded:
            stable = next(backend for backend in built.backends if backend.config.name == "flow")
            shadow = ThreadShadow(256)
            shadow.point(lambda x: candidate.score(x)[1], lambda x: stable.score(x)[1])
            rollout.shadow = shadow
        hook = built.engine.after_decision
        assert hook is not None

        def timed(lane: Lane, at: int, price: float) -> None:
            start = perf_counter_ns()
            hook(lane, at, price)
            taken.append(perf_counter_ns() - start)
            sleep(idle)

        built.engine.after_decision = timed
        yield

    market = GeneratedMarket(build_instruments(config)[0], seconds=seconds, seed=config.run.seed)
    summary = Replay(config, market=market, around=around).run()
    latency = summary.latency_us
    result = {
        "decision_p50": latency["decision"]["p50"] or 0.0,
        "decision_p99": latency["decision"]["p99"] or 0.0,
        "inference_p50": latency["inference"]["p50"] or 0.0,
    }
    if taken:
        result["after_p50"] = statistics.median(taken) / 1e3
        result["after_p99"] = statistics.quantiles(taken, n=100)[-1] / 1e3
    if summary.rollout is not None:
        result["dropped"] = float(summary.rollout.dropped)
    return result


def per_call(act: Callable[[], object], calls: int) -> float:
    """Microseconds per call."""
    start = perf_counter_ns()
    for _ in range(calls):
        act()
    return (perf_counter_ns() - start) / calls / 1e3


def offers(rounds: int) -> dict[str, float]:
    """One hand-over by itself: to a thread that takes it, to a queue that is full, and the copy alone."""
    view = np.zeros((1, 64, 128), np.float32)
    taking, full = ThreadShadow(1_000_000), ThreadShadow(0)
    taking.point(lambda _: [1.0, 0.0, 0.0])
    full.point(lambda _: [1.0, 0.0, 0.0])
    decided = [1.0, 0.0, 0.0]

    def offer(shadow: ThreadShadow) -> Callable[[], object]:
        return lambda: shadow.offer(Question(0, "BTCUSDT", 1, 1.0, decided), view)

    found: dict[str, list[float]] = {"copy": [], "offer": [], "offer_when_full": []}
    for _ in range(rounds):
        found["copy"].append(per_call(view.copy, 2_000))
        found["offer"].append(per_call(offer(taking), 2_000))
        found["offer_when_full"].append(per_call(offer(full), 2_000))
        while taking.waiting:
            pass
        while taking.take() is not None:
            pass
    taking.close()
    full.close()
    return {name: round(statistics.median(values), 3) for name, values in found.items()}


def main() -> None:
    """Play, repeat, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=ROOT / "examples" / "btcusdt.toml")
    parser.add_argument("--seconds", type=float, default=60.0, help="of market per run")
    parser.add_argument("--idle-ms", type=float, default=1.0, help="sleep after each decision")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    config = load_config(arguments.config)
    variants = {
        "without": (None, False),
        "replayed shadow": (SHADOW, False),
        "live shadow": (SHADOW, True),
        "canary": (CANARY, False),
    }
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in variants}
    with tempfile.TemporaryDirectory() as folder:
        own = attrs.evolve(config, journal=attrs.evolve(config.journal, path=Path(folder) / "run.db"))
        for _ in range(arguments.rounds):
            for name, (rollout, threaded) in variants.items():
                run = play(
                    attrs.evolve(own, rollout=rollout), arguments.seconds, arguments.idle_ms / 1e3, threaded=threaded
                )
                runs[name].append(run)
    medians = {
        name: {key: round(statistics.median(run[key] for run in found), 2) for key in found[0]}
        for name, found in runs.items()
    }
    print(json.dumps({"unit": "µs", "runs": medians, "shadow": offers(arguments.rounds)}, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
