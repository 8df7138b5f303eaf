"""What a decision costs with torch: `TorchBackend.infer` beside torch itself under inference mode, in turns, in a run.

python benchmarks/torch_backend.py [--calls N] [--rounds N] [--device cpu] prints a JSON list of
{model, backend, execution, infer_p50_us, infer_p99_us, raw_p50_us, raw_p99_us, ratio_p50}, the median of the rounds.
The raw call is the eager module on a tensor that exists, for TorchScript the loaded module. One raw call has nothing
to convert and no mode to enter: inference mode is on around all of them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns

import numpy as np
import torch
from torch import nn

from axon_backend_torch.backend import TorchBackend
from axon_quant.inference import Device, ModelConfig

BLOCK = 50
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


def measure(name: str, kind: str, folder: Path, device: str, calls: int) -> dict[str, object]:
    """One model: blocks of calls of each kind take turns, so that a busy machine is busy for all of them."""
    shape, module = SHAPES[name], make(name)
    path = folder / f"{name}-{kind}.pt"
    raw: nn.Module = module.to(device)
    if kind == "torchscript":
        torch.jit.script(module).save(str(path))
        raw = torch.jit.load(path, map_location=device)  # type: ignore[no-untyped-call]
    elif kind == "export":
        torch.export.save(torch.export.export(module.cpu(), (torch.zeros(shape),)), path.with_suffix(".pt2"))
        path = path.with_suffix(".pt2")
    else:
        torch.save(module.state_dict(), path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    config = ModelConfig(path, "torch", Device.parse(device), shape, trusted=kind != "state-dict", sha256=sha256)
    engine = TorchBackend(config, factory=lambda: make(name))
    plan = engine.load().plan
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    tensor = torch.from_numpy(x.copy()).to(device)
    row = {"model": name, "backend": f"torch {plan['format']}", "execution": plan["execution"]}
    kinds: dict[str, Callable[[], object]] = {
        "infer": lambda: engine.infer(x),
        "raw": lambda: raw(tensor).cpu(),
    }
    times: dict[str, list[int]] = {which: [] for which in kinds}
    with torch.inference_mode():
        for _ in range(20):
            raw(tensor)
        for _ in range(max(1, calls // BLOCK)):
            for which, call in kinds.items():
                for _ in range(BLOCK):
                    started = perf_counter_ns()
                    call()
                    times[which].append(perf_counter_ns() - started)
    return {
        **row,
        **{
            f"{which}_p{share}_us": float(np.percentile(taken, share)) / 1e3
            for which, taken in times.items()
            for share in (50, 99)
        },
    }


def median(rounds: list[dict[str, object]]) -> dict[str, object]:
    """One row of several: the median of each number and of the ratio within a round."""
    row = dict(rounds[0])
    for key in [key for key in row if key.endswith("_us")]:
        row[key] = round(float(np.median([np.float64(str(one[key])) for one in rounds])), 2)
    ratios = [float(str(one["infer_p50_us"])) / float(str(one["raw_p50_us"])) for one in rounds]
    return {**row, "ratio_p50": round(float(np.median(ratios)), 3)}


def main() -> None:
    """Print the table as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000, help="calls of each kind per model and round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", r"`?torch\.jit\.", DeprecationWarning)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            median(
                [measure(name, kind, Path(folder), arguments.device, arguments.calls) for _ in range(arguments.rounds)]
            )
            for name in SHAPES
            for kind in ("state-dict", "torchscript", "export")
        ]
    print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
