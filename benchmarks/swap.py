"""What callers notice of a model swap: `ModelHotReloader` beside callers who wait for nobody, for every backend.

python benchmarks/swap.py [--backend NAME]… [--part swaps|tail|memory]… [--rounds N] [--swaps N] prints a JSON object.
The calls are open loop: each is due at a fixed time, 1000 a second over four threads, and its lateness is from when it
was *due* until it was answered, however late it was sent. Threads sleep until a call is due and never spin: four that
spin would be the load. What is measured runs as under `axon run`, inside `quiet_collector`: what was loaded before is
not walked through by Python's garbage collector, which held the GIL for 90 ms at a time with torch imported.

`swaps`: 20 new versions, each written over the served file and found by the watcher. An answer is torn if it is not,
bit for bit, what the version it names gives; `passed` says which of the promises held.
`tail`: p50, p99 and worst lateness of the calls that were due between the start of a build and the swap, beside those
of idle seconds in the same round; in a plain thread, in one that gives way, and under a lock that callers share. In
turns, the median of the rounds. The model large is built beside callers of the model mlp.
`busy`: the same with another process on every core, to see that no caller is held up by a build that gives way.
`memory`: resident MB, after the first tenth of the swaps and at the end: medians over a tenth of them each, because one
reading depends on which old version is just being freed. The model large only where it is named.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from pathlib import Path
from time import monotonic_ns
from typing import NamedTuple

import numpy as np

from axon_quant.inference import Backend, ModelConfig, ModelHotReloader, ModelVersion, quiet_collector
from axon_quant.inference.files import write_whole
from axon_quant.inference.session import FloatArray

RATE = 1000
THREADS = 4
LEAST_BUILDING = 300_000_000
"""Nanoseconds in a round, so that a percentile is one of at least 300 calls."""
MODES = ("plain", "quiet", "locked")


class Shape(NamedTuple):
    """A multilayer perceptron."""

    window: tuple[int, ...]
    hidden: tuple[int, ...]

    def layers(self, seed: int) -> list[tuple[FloatArray, FloatArray]]:
        """Seeded (weights [in, out], bias [out]) per layer; three outputs."""
        rng = np.random.default_rng(seed)
        sizes = (math.prod(self.window), *self.hidden, 3)
        return [
            (rng.standard_normal((a, b), np.float32) / np.float32(np.sqrt(a)), rng.standard_normal(b, np.float32))
            for a, b in pairwise(sizes)
        ]


SHAPES = {
    "small": Shape((4, 1), (64, 64)),
    "mlp": Shape((64, 128), (256, 128)),
    "large": Shape((64, 128), (2048,)),  # 64 MB
}


class Kind(NamedTuple):
    """A backend: how its model files are written, and how it is made."""

    suffix: str
    write: Callable[[Shape, int], bytes]
    make: Callable[[ModelConfig, Shape], Backend]


class Callers:
    """Threads that call `engine` whenever a call is due, until the context ends; `calls` has them all then."""

    def __init__(self, engine: Backend, x: FloatArray, lock: threading.Lock | None = None) -> None:
        self._engine, self._x = engine, x
        self._guard = nullcontext() if lock is None else lock
        self._until = math.inf
        self._logs: list[list[tuple[int, int, int, tuple[float, ...]]]] = [[] for _ in range(THREADS)]
        self.failures: list[str] = []
        self.models: dict[int, ModelVersion] = {}

    def _run(self, due: int, log: list[tuple[int, int, int, tuple[float, ...]]]) -> None:
        engine, x, guard, period = self._engine, self._x, self._guard, 10**9 * THREADS // RATE
        while due < self._until:  # also the calls that came too late to be made in time
            left = due - monotonic_ns()
            if left > 0:
                time.sleep(left / 1e9)
            try:
                with guard:
                    model, scores = engine.score(x)
            except Exception as error:  # noqa: BLE001 (counted)
                self.failures.append(repr(error))
            else:
                self.models[model.number] = model
                log.append((due, monotonic_ns(), model.number, tuple(scores)))
            due += period

    def __enter__(self) -> Callers:
        start = monotonic_ns() + 50_000_000
        self._threads = [
            threading.Thread(target=self._run, args=(start + i * 10**9 // RATE, log))
            for i, log in enumerate(self._logs)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._until = monotonic_ns()
        for thread in self._threads:
            thread.join()

    @property
    def calls(self) -> list[list[tuple[int, int, int, tuple[float, ...]]]]:
        """(due, answered, version, scores) per thread, times in ns."""
        return self._logs

    def lateness(self, spans: list[tuple[int, int]]) -> np.ndarray:
        """In ms, of the calls that were due in one of the spans."""
        due, answered = np.array([call[:2] for log in self._logs for call in log]).T
        inside = np.zeros(len(due), bool)
        for begin, end in spans:
            inside |= (due >= begin) & (due < end)
        return (answered - due)[inside] / 1e6


class Bench:
    """One backend and shape in a folder: engine, two files to swap, and the input that callers send."""

    def __init__(self, kind: Kind, shape: Shape, folder: Path, seeds: int = 2) -> None:
        self.path = folder / f"served{kind.suffix}"
        self.contents = [kind.write(shape, seed) for seed in range(seeds)]
        write_whole(self.path, self.contents[0])
        self.engine = kind.make(ModelConfig(self.path, "onnx"), shape)
        self.engine.load()
        self.x = np.random.default_rng(99).standard_normal(self.engine.model.input_shape, np.float32)

    def answers(self) -> dict[str, tuple[float, ...]]:
        """What each file answers, by SHA-256."""
        found = {}
        for content in self.contents:
            write_whole(self.path, content)
            model = self.engine.load()
            found[model.sha256] = tuple(self.engine.score(self.x)[1])
        return found


def swaps(kind: Kind, shape: Shape, count: int) -> dict[str, object]:
    """New versions under load, through the watcher."""
    with folder() as place:
        bench = Bench(kind, shape, place, seeds=4)
        engine, answers = bench.engine, bench.answers()
        told: list[int] = []
        watching = ModelHotReloader(engine, engine.config, debounce=0.02)
        with quiet_collector(), watching as reloader, Callers(engine, bench.x) as callers:
            time.sleep(0.1)
            idle = (monotonic_ns(), monotonic_ns() + 2 * 10**9)
            time.sleep(2.0)
            last = engine.version + count
            listening = threading.Thread(target=lambda: told.extend(asyncio.run(listen(reloader, last))))
            listening.start()
            time.sleep(0.1)
            began = monotonic_ns()
            for number in range(engine.version + 1, last + 1):
                write_whole(bench.path, bench.contents[number % len(bench.contents)])
                wait_until(lambda number=number: engine.version == number)
                time.sleep(0.05)
            swapping = (began, monotonic_ns())
            listening.join()
        calls = [call for log in callers.calls for call in log]
        torn = sum(scores != answers[callers.models[version].sha256] for _, _, version, scores in calls)
        backwards = sum(a[2] > b[2] for log in callers.calls for a, b in pairwise(log))
        idle_max = float(callers.lateness([idle]).max())
        latest = float(callers.lateness([swapping]).max())
    allowed = max(25.0, 2 * idle_max)
    return {
        "swaps": count,
        "calls": len(calls),
        "versions_seen": len(callers.models),
        "failed": len(callers.failures),
        "torn": torn,
        "versions_backwards": backwards,
        "idle_max_ms": rounded(idle_max),
        "latest_ms": rounded(latest),
        "allowed_ms": rounded(allowed),
        "subscribers_told_the_last": f"{sum(version == last for version in told)} of {len(told)}",
        "passed": {
            "none_failed": not callers.failures,
            "none_torn": torn == 0,
            "monotonic": backwards == 0,
            "none_late": latest <= allowed,
            "all_told": len(told) == 3 and set(told) == {last},
        },
    }


async def listen(reloader: ModelHotReloader, last: int) -> list[int]:
    """The last version that each of three subscribers was told of, within a minute."""

    async def one() -> int:
        receiver, seen = reloader.subscribe(), 0
        while seen != last:
            try:
                await asyncio.wait_for(receiver.changed(), 60)
            except TimeoutError:
                break
            seen = receiver.borrow().number
        return seen

    return await asyncio.gather(one(), one(), one())


def tail(kind: Kind, called: Shape, built: Shape, rounds: int, builds: int) -> dict[str, object]:
    """Lateness of the calls that are due while a version is built, beside idle seconds, by the kind of thread."""
    rows: dict[str, list[dict[str, float]]] = {mode: [] for mode in ("idle", *MODES)}
    with folder() as place, folder() as other:
        bench = Bench(kind, called, place)
        target = bench if built is called else Bench(kind, built, other)
        for _ in range(rounds):
            found = {mode: one_round(bench, target, mode, builds) for mode in MODES}
            idle = np.concatenate([one.idle for one in found.values()])
            rows["idle"].append(percentiles(idle))
            for mode, one in found.items():
                ratio = float(np.percentile(one.late, 99) / np.percentile(idle, 99))
                rows[mode].append({"ratio_p99": ratio, **percentiles(one.late), "build_ms": one.build_ms})
    return {mode: medians(of) for mode, of in rows.items()}


def percentiles(late: np.ndarray) -> dict[str, float]:
    """Of lateness in ms."""
    p50, p99 = np.percentile(late, [50, 99])
    return {"p50_ms": float(p50), "p99_ms": float(p99), "worst_ms": float(late.max()), "calls": float(len(late))}


def medians(rows: list[dict[str, float]]) -> dict[str, float]:
    """Of each figure over the rounds; of the worst call, the worst."""
    return {
        key: rounded(max(row[key] for row in rows) if key == "worst_ms" else float(np.median([r[key] for r in rows])))
        for key in rows[0]
    }


class Round(NamedTuple):
    """Lateness in ms of the calls due in builds and in an idle second before them, and how long a build took."""

    late: np.ndarray
    idle: np.ndarray
    build_ms: float


def one_round(bench: Bench, target: Bench, mode: str, builds: int) -> Round:
    """An idle second, then builds."""
    engine, lock = target.engine, threading.Lock() if mode == "locked" else None
    spans: list[tuple[int, int]] = []
    begun: list[int] = []
    look, serve = engine.files, engine.serve

    def first_look(path: Path) -> object:
        begun.append(monotonic_ns())
        return look(path)

    def last_step(prepared: object) -> ModelVersion:
        model = serve(prepared)
        spans.append((begun[0], monotonic_ns()))
        begun.clear()
        return model

    engine.files, engine.serve = first_look, last_step
    reloader = ModelHotReloader(engine, engine.config, quiet=mode == "quiet")
    try:
        with quiet_collector(), Callers(bench.engine, bench.x, lock) as callers:
            time.sleep(0.1)
            idle = (monotonic_ns(), monotonic_ns() + 10**9)
            time.sleep(1.0)
            while len(spans) < builds or sum(end - begin for begin, end in spans) < LEAST_BUILDING:
                write_whole(target.path, target.contents[len(spans) % 2])
                with lock or nullcontext():
                    reload_in_thread(reloader)
                time.sleep(0.03)
    finally:
        del engine.files, engine.serve
        reloader.stop()
    build_ms = float(np.median([end - begin for begin, end in spans])) / 1e6
    return Round(callers.lateness(spans), callers.lateness([idle]), build_ms)


def reload_in_thread(reloader: ModelHotReloader) -> None:
    """As the watcher does it: not in a thread that calls."""
    thread = threading.Thread(target=reloader.reload)
    thread.start()
    thread.join()


def memory(kind: Kind, shape: Shape, count: int) -> dict[str, object]:
    """Resident memory over many swaps."""
    with folder() as place:
        bench = Bench(kind, shape, place)
        reloader = ModelHotReloader(bench.engine, bench.engine.config)
        seen: list[float] = []
        with quiet_collector():
            for number in range(count):
                write_whole(bench.path, bench.contents[(number + 1) % 2])
                reloader.reload()
                seen.append(resident_mb())
        reloader.stop()
    tenth = max(count // 10, 1)
    early, end = float(np.median(seen[tenth : 2 * tenth])), float(np.median(seen[-tenth:]))
    return {
        "swaps": count,
        "rss_early_mb": rounded(early),
        "rss_end_mb": rounded(end),
        "rss_most_mb": rounded(max(seen)),
        "growth_percent": rounded(100 * (end / early - 1)),
        "passed": {"below_5_percent": end < 1.05 * early},
    }


def resident_mb() -> float:
    """Of this process, on Linux."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@contextmanager
def busy_machine() -> Iterator[None]:
    """A process that never rests on each core."""
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that goes away."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def wait_until(condition: Callable[[], bool]) -> None:
    """Raise TimeoutError if it does not hold within a minute."""
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("a new version was not taken up within a minute")
        time.sleep(0.002)


def rounded(value: float) -> float:
    """To three digits that matter."""
    return float(f"{value:.3g}") if abs(value) < 1000 else round(value)


def onnx_kind() -> Kind:
    """Gemm and Relu."""
    from axon_backend_onnx import OnnxBackend, protobuf

    def write(shape: Shape, seed: int) -> bytes:
        nodes, tensors, given = [protobuf.node("Flatten", ["x"], ["flat"], axis=1)], [], "flat"
        layers = shape.layers(seed)
        for index, (weights, bias) in enumerate(layers):
            tensors += [
                protobuf.tensor(f"w{index}", weights.shape, weights.ravel().tolist()),
                protobuf.tensor(f"b{index}", bias.shape, bias.tolist()),
            ]
            out = "scores" if index == len(layers) - 1 else f"sums{index}"
            nodes.append(protobuf.node("Gemm", [given, f"w{index}", f"b{index}"], [out]))
            if out != "scores":
                given = f"strengths{index}"
                nodes.append(protobuf.node("Relu", [out], [given]))
        graph = protobuf.graph(
            "mlp",
            nodes,
            initializers=tensors,
            inputs=[protobuf.value("x", ["batch", *shape.window])],
            outputs=[protobuf.value("scores", ["batch", 3])],
        )
        return protobuf.model(graph)

    return Kind(".onnx", write, lambda config, _: OnnxBackend(config))


def safetensors_kind() -> Kind:
    """By the names of a Sequential."""
    from axon_backend_safetensors import SafetensorsBackend
    from axon_backend_safetensors.reader import ARCHITECTURE
    from axon_backend_safetensors.writer import pack

    def write(shape: Shape, seed: int) -> bytes:
        tensors: dict[str, FloatArray] = {}
        layers: list[Mapping[str, str]] = [{"type": "flatten"}]
        for index, (weights, bias) in enumerate(shape.layers(seed)):
            tensors |= {f"{index}.weight": weights.T, f"{index}.bias": bias}
            layers += [{"type": "linear", "name": str(index)}, {"type": "relu"}]
        architecture = {"input_shape": [1, *shape.window], "layers": layers[:-1]}
        return pack(tensors, {ARCHITECTURE: json.dumps(architecture)})

    return Kind(".safetensors", write, lambda config, _: SafetensorsBackend(config))


def torch_kind() -> Kind:
    """A state dict with the module's factory."""
    import io

    import torch

    from axon_backend_torch import TorchBackend

    def write(shape: Shape, seed: int) -> bytes:
        tensors = {}
        for index, (weights, bias) in enumerate(shape.layers(seed)):
            name = 1 + 2 * index
            tensors |= {f"{name}.weight": torch.tensor(weights.T), f"{name}.bias": torch.tensor(bias)}
        file = io.BytesIO()
        torch.save(tensors, file)
        return file.getvalue()

    def module(shape: Shape) -> torch.nn.Module:
        layers: list[torch.nn.Module] = [torch.nn.Flatten()]
        for a, b in pairwise((math.prod(shape.window), *shape.hidden, 3)):
            layers += [torch.nn.Linear(a, b), torch.nn.ReLU()]
        return torch.nn.Sequential(*layers[:-1])

    def make(config: ModelConfig, shape: Shape) -> Backend:
        whole = ModelConfig(config.path, "torch", input_shape=(1, *shape.window), output_dim=3)
        return TorchBackend(whole, factory=lambda: module(shape))

    return Kind(".pt", write, make)


KINDS = {"onnx": onnx_kind, "safetensors": safetensors_kind, "torch": torch_kind}
RUNTIMES = {"onnx": "onnxruntime", "safetensors": "axon_backend_safetensors", "torch": "torch"}


def main() -> None:
    """Print the results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", action="append", choices=list(KINDS), help="default: all that are installed")
    parser.add_argument("--part", action="append", choices=["swaps", "tail", "busy", "memory"], help="default: all")
    parser.add_argument(
        "--model",
        action="append",
        choices=list(SHAPES),
        help="default: all; large in tail, and in memory where it is named",
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--builds", type=int, default=10, help="in a round of tail and busy")
    parser.add_argument("--swaps", type=int, default=500, help="of memory, at least 2")
    arguments = parser.parse_args()
    parts = arguments.part or ["swaps", "tail", "busy", "memory"]
    models = arguments.model or list(SHAPES)
    small = [name for name in models if name != "large"]
    result: dict[str, object] = {}
    for name in arguments.backend or [name for name, runtime in RUNTIMES.items() if importlib.util.find_spec(runtime)]:
        kind, found = KINDS[name](), {}
        if "swaps" in parts:
            found["swaps"] = {model: swaps(kind, SHAPES[model], 20) for model in small}
        if "tail" in parts:
            found["tail"] = {
                model: tail(
                    kind,
                    SHAPES["mlp" if model == "large" else model],
                    SHAPES[model],
                    arguments.rounds,
                    arguments.builds,
                )
                for model in models
            }
        if "busy" in parts:
            with busy_machine():
                found["busy"] = {model: tail(kind, SHAPES[model], SHAPES[model], 1, 3) for model in small}
        if "memory" in parts:
            found["memory"] = {
                model: memory(kind, SHAPES[model], arguments.swaps) for model in arguments.model or small
            }
        result[name] = found
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
