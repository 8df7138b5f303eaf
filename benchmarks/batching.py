"""What micro-batching brings 32 coroutines that ask one ONNX model, beside asking it inline and in an executor.

python benchmarks/batching.py [--seconds S] [--callers N] prints a JSON object. `models`: a list of {model, backend,
callers, inline_per_s, batched_per_s, executor_per_s, alone_per_s, ratio, ratio_to_alone, batch_difference, sizes,
optimisation}. `inline`: each caller calls `engine.infer` and lets the event loop go round, as coroutines do between two
requests; `batched`: it awaits `MicroBatcher.infer`; `executor`: it awaits `loop.run_in_executor`; `alone`: it calls
`engine.infer` and never lets the event loop go round, which serves nobody else. The kinds take turns in blocks, and
each figure is the median of five rounds; `ratio` is the median of the rounds' batched ÷ inline. `batch_difference` is
the largest absolute difference between scores in batches of `sizes` windows and the same windows one by one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter

import numpy as np
from networks import MODELS, mlp

from axon_backend_onnx import OnnxBackend
from axon_quant.inference import InferenceBackend, MicroBatcher, ModelConfig
from axon_quant.inference.session import FloatArray

ROUNDS = 5
BLOCKS = 4
SIZES = (1, 2, 3, 8, 16, 32)

Ask = Callable[[FloatArray], Awaitable[object]]


async def per_second(ask: Ask, windows: list[FloatArray], seconds: float) -> float:
    """Requests that were answered in about so many seconds."""
    answered = 0
    until = perf_counter() + seconds

    async def caller(window: FloatArray) -> None:
        nonlocal answered
        while perf_counter() < until:
            for _ in range(10):
                await ask(window)
            answered += 10

    started = perf_counter()
    await asyncio.gather(*map(caller, windows))
    return answered / (perf_counter() - started)


async def measure(name: str, path: Path, window: tuple[int, ...], callers: int, seconds: float) -> dict[str, object]:
    """One model, with every kind of request."""
    engine = OnnxBackend(ModelConfig(path, InferenceBackend.ONNX))
    engine.load()
    batcher = MicroBatcher(engine, max_batch=callers)
    x = np.random.default_rng(1).standard_normal((max(callers, *SIZES), *window), np.float32)
    windows = [row.copy() for row in x[:callers]]
    loop = asyncio.get_running_loop()

    async def inline(window: FloatArray) -> None:
        engine.infer(window[None])
        await asyncio.sleep(0)

    async def executor(window: FloatArray) -> None:
        await loop.run_in_executor(None, engine.infer, window[None])

    async def alone(window: FloatArray) -> None:
        engine.infer(window[None])

    kinds: dict[str, Ask] = {"inline": inline, "batched": batcher.infer, "executor": executor, "alone": alone}
    figures: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(ROUNDS):
        blocks: dict[str, list[float]] = {kind: [] for kind in kinds}
        for _ in range(BLOCKS):
            for kind, ask in kinds.items():
                blocks[kind].append(await per_second(ask, windows, seconds / BLOCKS))
        for kind, rates in blocks.items():
            figures[kind].append(float(np.mean(rates)))
    one_by_one = np.concatenate([engine.infer(row[None]) for row in x])
    differences = [float(np.abs(engine.infer(x[:size]) - one_by_one[:size]).max()) for size in SIZES]
    batcher.close()
    row: dict[str, object] = {"model": name, "backend": "onnx", "callers": callers}
    row |= {f"{kind}_per_s": round(float(np.median(rates))) for kind, rates in figures.items()}
    for key, base in (("ratio", "inline"), ("ratio_to_alone", "alone")):
        ratios = [b / i for b, i in zip(figures["batched"], figures[base], strict=True)]
        row[key] = round(float(np.median(ratios)), 2)
    return row | {
        "batch_difference": max(differences),
        "sizes": list(SIZES),
        "optimisation": engine.model.plan["optimisation"],
    }


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each kind of request, per round and model")
    parser.add_argument("--callers", type=int, default=32, help="coroutines that ask at once")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (window, widths) in MODELS.items():
            path = Path(folder) / f"{name}.onnx"
            path.write_bytes(mlp(window, widths))
            rows.append(asyncio.run(measure(name, path, window, arguments.callers, arguments.seconds)))
    print(json.dumps({"models": rows}, indent=2))


if __name__ == "__main__":
    main()
