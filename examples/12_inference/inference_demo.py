"""One network through every installed backend, then a model that is replaced while threads ask it.

python examples/12_inference/inference_demo.py [--swaps N]

The network is the built-in demo-64x128, which each backend has in its own format; torch, where it is installed, gets
the same weights as a state dict. Shown are the scores of all backends side by side, their latency in one run, and a hot
update: the file is replaced, the reloader picks it up, and no caller fails or waits for it. Exits with 1 if backends
disagree or a call went wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: several threads would wait for each other

import numpy as np

from axon_quant import Backend, ModelConfig, ModelHotReloader, load_backend, recommend_backend
from axon_quant.errors import AxonError, PluginError, UnsupportedError
from axon_quant.inference.demo import demo_weights
from axon_quant.inference.timing import median_round, one_round, warm_up

NETWORK, OTHER = "demo-64x128", "demo-64x128-reversion"
WINDOW = (64, 128)
TOLERANCE = 1e-5
CALLERS = 2


def torch_engine(folder: Path) -> Backend:
    """The network in torch: a state dict, and the module it belongs to."""
    import torch
    from torch import nn

    weights = demo_weights(NETWORK)

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.averages = nn.Linear(WINDOW[0], 2, bias=False)
            self.signals = nn.Linear(2 * WINDOW[1], 8, bias=False)
            self.scores = nn.Linear(8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            averaged = self.averages(x.transpose(1, 2)).transpose(1, 2)
            return self.scores(torch.relu(self.signals(averaged.flatten(1))))

    gains = torch.tensor(weights.gains).reshape(8, 3).T.contiguous()
    state = {
        "averages.weight": torch.tensor(weights.averages),
        "signals.weight": torch.tensor(weights.signals),
        "scores.weight": gains,
        "scores.bias": torch.tensor(weights.thresholds),
    }
    path = folder / "network.pt"
    torch.save(state, path)
    config = ModelConfig(path, "torch", input_shape=[1, *WINDOW], output_dim=3)
    return load_backend("torch")(config, factory=Network)


def engine_of(name: str, folder: Path) -> Backend:
    """The network, loaded by the backend of that name."""
    make = load_backend(name)
    try:
        path = make.builtin(NETWORK)
    except UnsupportedError:
        engine = torch_engine(folder)
    else:
        engine = make(ModelConfig(path, name))
    engine.load()
    return engine


def installed_engines(folder: Path) -> dict[str, Backend]:
    """Of each backend that is there, by name; the others are mentioned."""
    engines = {}
    for name in ("onnx", "torch", "safetensors"):
        try:
            engines[name] = engine_of(name, folder)
        except PluginError as error:
            print(f"  {name}: left out: {error}")
    return engines


def compare(engines: dict[str, Backend]) -> bool:
    """Scores and latency side by side. Returns whether all backends agree."""
    windows = np.random.default_rng(0).standard_normal((32, *WINDOW), np.float32)
    first = next(iter(engines.values())).infer(windows)
    calls = {name: partial(engine.infer, windows[:1]) for name, engine in engines.items()}
    warm_up(calls)
    latency = median_round([one_round(calls, 500) for _ in range(3)])
    print(
        f"  {'backend':<12} {'buy':>9} {'sell':>9} {'hold':>9}   {'max diff':>8} {'p50 µs':>8} {'p99 µs':>8}   runs on"
    )
    agree = True
    for name, engine in engines.items():
        scores = engine.infer(windows)
        difference = float(np.abs(scores - first).max())
        agree &= difference <= TOLERANCE
        buy, sell, hold = scores[0]
        p50, p99 = latency[name]
        runtime = engine.model.plan.get("runtime", "?")
        print(
            f"  {name:<12} {buy:9.5f} {sell:9.5f} {hold:9.5f}   {difference:8.1e} {p50:8.1f} {p99:8.1f}"
            f"   {engine.model.device}, {runtime}"
        )
    action = next(iter(engines.values())).predict(windows[0])
    print(f"  the first window: {action.name} with confidence {action.confidence:.2f}")
    return agree


class Caller(threading.Thread):
    """Asks for decisions until told to stop, and checks that each one is whole: version and scores belong together."""

    def __init__(self, engine: Backend, window: np.ndarray, expected: list[np.ndarray], stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.calls = self.failed = self.torn = 0
        self.longest = 0.0
        self.versions: list[int] = []
        self._engine, self._window, self._expected, self._stop_asked = engine, window, expected, stop

    def run(self) -> None:
        """Odd versions are the network, even ones the other."""
        while not self._stop_asked.is_set():
            started = time.perf_counter()
            try:
                action = self._engine.predict(self._window)
            except AxonError as error:
                print(f"  a call failed: {error}")
                self.failed += 1
                continue
            self.longest = max(self.longest, time.perf_counter() - started)
            self.calls += 1
            if not self.versions or self.versions[-1] != action.version:
                self.versions.append(action.version)
            expected = self._expected[(action.version - 1) % 2]
            self.torn += not np.allclose(action.scores, expected, atol=TOLERANCE)


def replace_file(path: Path, data: bytes) -> None:
    """The whole new file appears at once."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(data)
    fresh.replace(path)


async def hot_update(name: str, folder: Path, swaps: int) -> bool:
    """Replace the file under running callers. Returns whether nobody noticed."""
    make = load_backend(name)
    models = [make.builtin(model) for model in (NETWORK, OTHER)]
    window = np.random.default_rng(1).standard_normal(WINDOW, np.float32)
    expected = []
    for model in models:
        alone = make(ModelConfig(model, name))
        alone.load()
        expected.append(alone.infer(window[None])[0])
    path = folder / f"production{models[0].suffix}"
    replace_file(path, models[0].read_bytes())
    config = ModelConfig(path, name)
    engine = make(config)
    engine.load()
    stop = threading.Event()
    callers = [Caller(engine, window, expected, stop) for _ in range(CALLERS)]
    async with ModelHotReloader(engine, config, debounce=0.1) as reloader:
        receiver = reloader.subscribe()
        for caller in callers:
            caller.start()
        for swap in range(1, swaps + 1):
            started = time.perf_counter()
            replace_file(path, models[swap % 2].read_bytes())
            async with asyncio.timeout(10):
                await receiver.changed()
            model = receiver.borrow()
            took = 1e3 * (time.perf_counter() - started)
            print(f"  version {model}  sha256 {model.sha256[:12]}  served {took:.0f} ms after the file was replaced")
            await asyncio.sleep(0.1)
        stop.set()
        for caller in callers:
            await asyncio.to_thread(caller.join)
    calls, failed, torn = (sum(getattr(c, what) for c in callers) for what in ("calls", "failed", "torn"))
    monotonic = all(caller.versions == sorted(set(caller.versions)) for caller in callers)
    order = "versions only rise" if monotonic else f"versions go back: {[caller.versions for caller in callers]}"
    longest = 1e3 * max(caller.longest for caller in callers)
    print(
        f"  {CALLERS} threads made {calls:,} calls meanwhile: {failed} failed, {torn} mixed two versions, {order}, "
        f"the longest took {longest:.1f} ms"
    )
    return monotonic and not failed and not torn


def main() -> int:
    """Print the report; 1 if something was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--swaps", type=int, default=4, help="how often the model is replaced")
    swaps = parser.parse_args().swaps
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{NETWORK} through every backend that is installed")
        engines = installed_engines(folder)
        if not engines:
            print(f"  none is. To begin with: {recommend_backend().install}", file=sys.stderr)
            return 1
        agree = compare(engines)
        served = next((name for name in engines if name != "torch"), None)
        unnoticed = True
        if served is not None:  # torch has no second model built in
            print(f"\nA model that is replaced while it serves, with {served}")
            unnoticed = asyncio.run(hot_update(served, folder, swaps))
        print(f"\nOn this machine: {recommend_backend()}")
    if not agree:
        print(f"\nthe backends disagree by more than {TOLERANCE}", file=sys.stderr)
    if not unnoticed:
        print("\nthe update was noticed", file=sys.stderr)
    return 0 if agree and unnoticed else 1


if __name__ == "__main__":
    sys.exit(main())
