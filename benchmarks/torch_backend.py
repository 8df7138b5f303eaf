"""What a decision costs with torch: `TorchBackend.infer` beside torch itself, in turns, in one run.

python benchmarks/torch_backend.py [--calls N] [--rounds N] [--device cpu] [--models SMALL …] prints a JSON object.

`latency`: {model, backend, execution, infer_…, raw_…, eager_…, ratio_p50, ratio_eager_p50}, medians of the rounds.
`raw` is what a careful user would write for that file: the eager module or the loaded program under inference mode on
`torch.from_numpy(x)`, back to numpy. `eager` is less than anybody can do with it: the eager module on a tensor that
exists, with inference mode on around all calls and nothing taken out of the answer (on a GPU: copied back).

`scaling`: calls per second of two threads ÷ those of one, of `infer` and of `raw`, and the ratio of the two.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, perf_counter_ns

import numpy as np
import torch
from torch import nn

from axon_backend_torch.backend import TorchBackend
from axon_quant.inference import Device, ModelConfig
from axon_quant.inference.session import FloatArray

BLOCK = 50
SECONDS = 0.2
"""Of one measurement of calls per second."""
KINDS = ("state-dict", "torchscript", "export")
SHAPES = {"SMALL": (1, 4, 1), "W-MLP": (1, 64, 128), "W-GRU": (1, 64, 128), "W-Transformer": (1, 64, 128)}


class Recurrent(nn.Module):
    """A GRU whose last state is scored."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = nn.GRU(128, 64, batch_first=True)
        self.scores = nn.Linear(64, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[batch, 64, 128]` → `[batch, 3]`."""
        last: torch.Tensor = self.scores(self.recurrent(x)[0][:, -1])
        return last


class Encoder(nn.Module):
    """Two transformer layers whose last row is scored."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(128, 4, 128, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.scores = nn.Linear(128, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[batch, 64, 128]` → `[batch, 3]`."""
        last: torch.Tensor = self.scores(self.encoder(x)[:, -1])
        return last


def make(name: str) -> nn.Module:
    """The module of that name with seeded weights."""
    torch.manual_seed(0)
    if name == "W-GRU":
        return Recurrent().eval()
    if name == "W-Transformer":
        return Encoder().eval()
    inputs, first, second = (4, 64, 64) if name == "SMALL" else (8192, 256, 128)
    layers = [nn.Linear(inputs, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU(), nn.Linear(second, 3)]
    return nn.Sequential(nn.Flatten(), *layers).eval()


def serve(name: str, kind: str, folder: Path, device: str) -> TorchBackend:
    """An engine that serves the module in a file of that format."""
    module, path = make(name), folder / f"{name}-{kind}.pt"
    if kind == "torchscript":
        torch.jit.script(module).save(str(path))
    elif kind == "export":
        path = path.with_suffix(".pt2")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a GRU's list of weights
            torch.export.save(torch.export.export(module, (torch.zeros(SHAPES[name]),)), path)
    else:
        torch.save(module.state_dict(), path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    config = ModelConfig(path, "torch", Device.parse(device), SHAPES[name], trusted=kind != "state-dict", sha256=sha256)
    engine = TorchBackend(config, factory=lambda: make(name))
    engine.load()
    return engine


def latency(engine: TorchBackend, name: str, device: str, calls: int) -> dict[str, float]:
    """One round: blocks of calls of each kind take turns, so that a busy machine is busy for all of them."""
    x = np.random.default_rng(0).standard_normal(SHAPES[name], np.float32)
    module, tensor = make(name).to(device), torch.from_numpy(x.copy()).to(device)
    raw = engine.bare(engine.config.path)
    kinds: dict[str, Callable[[], object]] = {
        "infer": lambda: engine.infer(x),
        "raw": lambda: raw(x),
        "eager": (lambda: module(tensor)) if device == "cpu" else (lambda: module(tensor).cpu()),
    }
    times: dict[str, list[int]] = {which: [] for which in kinds}
    with torch.inference_mode():
        for number in range(-1, max(1, calls // BLOCK)):
            for which, call in kinds.items():
                for _ in range(BLOCK):
                    started = perf_counter_ns()
                    call()
                    if number >= 0:  # the first block warms
                        times[which].append(perf_counter_ns() - started)
    row = {
        f"{which}_p{share}_us": float(np.percentile(taken, share)) / 1e3
        for which, taken in times.items()
        for share in (50, 99)
    }
    ratios = {"ratio_p50": row["infer_p50_us"] / row["raw_p50_us"]}
    return {**row, **ratios, "ratio_eager_p50": row["infer_p50_us"] / row["eager_p50_us"]}


def rate(call: Callable[[FloatArray], object], name: str, threads: int) -> float:
    """Calls per second of so many threads together, each with a window of its own."""
    counts = [0] * threads
    start = threading.Barrier(threads + 1)
    stop = threading.Event()

    def work(number: int) -> None:
        x = np.random.default_rng(number).standard_normal(SHAPES[name], np.float32)
        for _ in range(BLOCK):
            call(x)
        start.wait()
        while not stop.is_set():
            call(x)
            counts[number] += 1

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    start.wait()
    started = perf_counter()
    stop.wait(SECONDS)
    taken = perf_counter() - started
    stop.set()
    for worker in workers:
        worker.join()
    return sum(counts) / taken


def scaling(engine: TorchBackend, name: str) -> dict[str, float]:
    """One round, again in turns."""
    calls = {"infer": engine.infer, "raw": engine.bare(engine.config.path)}
    rates = {(which, threads): rate(call, name, threads) for threads in (1, 2) for which, call in calls.items()}
    row = {which: rates[which, 2] / rates[which, 1] for which in calls}
    return {**row, "infer_per_s": rates["infer", 1], "ratio": row["infer"] / row["raw"]}


def median(rounds: list[dict[str, float]]) -> dict[str, float]:
    """One row of several: the median of each number, and so of the ratios within a round."""
    return {key: round(float(np.median([row[key] for row in rounds])), 3) for key in rounds[0]}


def main() -> None:
    """Print the tables as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000, help="calls of each kind per model and round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--models", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--formats", nargs="+", choices=KINDS, default=list(KINDS))
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", r"`?torch\.jit\.", DeprecationWarning)
    torch.set_num_threads(1)
    tables: dict[str, list[dict[str, object]]] = {"latency": [], "scaling": []}
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.models:
            for kind in arguments.formats:
                engine = serve(name, kind, Path(folder), arguments.device)
                plan = engine.model.plan
                what = {"model": name, "backend": f"torch {plan['format']}", "execution": plan["execution"]}
                rounds = range(arguments.rounds)
                row = median([latency(engine, name, arguments.device, arguments.calls) for _ in rounds])
                tables["latency"].append({**what, **row})
                tables["scaling"].append({**what, **median([scaling(engine, name) for _ in rounds])})
    print(json.dumps(tables, indent=2))


if __name__ == "__main__":
    main()
