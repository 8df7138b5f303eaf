"""Whether the backends agree: the same weights served by torch, ONNX Runtime and numpy, on the same windows.

python benchmarks/agreement.py [--windows N] prints a JSON list with one object per architecture: the largest absolute
difference between each two backends, and of each backend from the module in float64, over every window alone and over
all of them as one batch; and the largest absolute score, which says what a difference is a part of.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import warnings
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from torch import nn

from axon_backend_onnx.backend import OnnxBackend
from axon_backend_safetensors.backend import SafetensorsBackend
from axon_backend_safetensors.reader import ARCHITECTURE
from axon_backend_safetensors.writer import pack
from axon_backend_torch.backend import TorchBackend
from axon_quant.inference import Backend, ModelConfig
from axon_quant.inference.session import FloatArray

ROWS, FEATURES, OUTPUTS = 64, 128, 3
Layers = list[dict[str, object]]
HEAD = {"type": "linear", "name": "head"}


class Named(nn.Module):
    """Parts under the names that the other formats know them by."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)


class Recurrent(Named):
    """The last state of a GRU or an LSTM, scored."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[batch, 64, 128]` → `[batch, 3]`."""
        scores: torch.Tensor = self.head(self.rnn(x)[0][:, -1])
        return scores


class Encoder(Named):
    """The mean of a transformer's rows, scored."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[batch, 64, 128]` → `[batch, 3]`."""
        scores: torch.Tensor = self.head(self.norm(self.encoder(self.embed(x))).mean(1))
        return scores


class Convolution(Named):
    """Two convolutions over time; the mean of their channels, scored."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[batch, 64, 128]` → `[batch, 3]`."""
        channels = torch.relu(self.second(torch.relu(self.first(x.transpose(1, 2)))))
        scores: torch.Tensor = self.head(channels.transpose(1, 2).mean(1))
        return scores


def mlp() -> tuple[nn.Module, Layers]:
    """8192 → 256 → 128 → 3."""
    sizes = ((ROWS * FEATURES, 256), (256, 128), (128, OUTPUTS))
    parts = [part for one, other in sizes for part in (nn.Linear(one, other), nn.ReLU())]
    linear: Layers = [{"type": "linear", "name": f"{1 + 2 * index}"} for index in range(3)]
    layers: Layers = [{"type": "flatten"}, linear[0], {"type": "relu"}, linear[1], {"type": "relu"}, linear[2]]
    return nn.Sequential(nn.Flatten(), *parts[:-1]), layers


def gru() -> tuple[nn.Module, Layers]:
    """One layer of 64."""
    module = Recurrent(rnn=nn.GRU(FEATURES, 64, batch_first=True), head=nn.Linear(64, OUTPUTS))
    return module, [{"type": "gru", "name": "rnn"}, {"type": "pool", "how": "last"}, HEAD]


def lstm() -> tuple[nn.Module, Layers]:
    """One layer of 64."""
    module = Recurrent(rnn=nn.LSTM(FEATURES, 64, batch_first=True), head=nn.Linear(64, OUTPUTS))
    return module, [{"type": "lstm", "name": "rnn"}, {"type": "pool", "how": "last"}, HEAD]


def transformer() -> tuple[nn.Module, Layers]:
    """Two layers of width 64 with four heads."""
    layer = nn.TransformerEncoderLayer(64, 4, 128, activation="gelu", batch_first=True, dropout=0.0)
    encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    module = Encoder(embed=nn.Linear(FEATURES, 64), encoder=encoder, norm=nn.LayerNorm(64), head=nn.Linear(64, OUTPUTS))
    blocks: Layers = [
        {"type": "transformer_encoder_layer", "name": f"encoder.layers.{index}", "heads": 4, "activation": "gelu"}
        for index in range(2)
    ]
    norm: dict[str, object] = {"type": "layer_norm", "name": "norm"}
    return module, [{"type": "linear", "name": "embed"}, *blocks, norm, {"type": "pool", "how": "mean"}, HEAD]


def conv() -> tuple[nn.Module, Layers]:
    """Widths 5 and 3, 64 and 32 channels."""
    module = Convolution(
        first=nn.Conv1d(FEATURES, 64, 5, padding=2),
        second=nn.Conv1d(64, 32, 3, padding=2, dilation=2),
        head=nn.Linear(32, OUTPUTS),
    )
    first: dict[str, object] = {"type": "conv1d", "name": "first", "padding": 2}
    second: dict[str, object] = {"type": "conv1d", "name": "second", "padding": 2, "dilation": 2}
    between: Layers = [{"type": "transpose"}, first, {"type": "relu"}, second, {"type": "relu"}, {"type": "transpose"}]
    return module, [*between, {"type": "pool", "how": "mean"}, HEAD]


ARCHITECTURES: dict[str, Callable[[], tuple[nn.Module, Layers]]] = {
    "MLP": mlp,
    "GRU": gru,
    "LSTM": lstm,
    "transformer": transformer,
    "conv": conv,
}


def seeded(name: str) -> tuple[nn.Module, Layers]:
    """A module whose weights keep the size of what goes through them, so that scores are of the order of one."""
    torch.manual_seed(0)
    module, layers = ARCHITECTURES[name]()
    for key, parameter in module.named_parameters():
        if parameter.ndim > 1:
            nn.init.xavier_normal_(parameter)
        elif "norm" not in key:
            nn.init.normal_(parameter, std=0.1)
    nn.init.xavier_normal_(list(module.parameters())[-2], gain=2.0)  # the last layer
    return module.eval(), layers


def serve(name: str, folder: Path) -> dict[str, Backend]:
    """The same weights in three files, served by three backends."""
    module, layers = seeded(name)
    torch.save(module.state_dict(), folder / f"{name}.pt")
    says = {"input_shape": [1, ROWS, FEATURES], "layers": layers}
    weights = {key: tensor.numpy() for key, tensor in module.state_dict().items()}
    (folder / f"{name}.safetensors").write_bytes(pack(weights, {ARCHITECTURE: json.dumps(says)}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        torch.onnx.export(
            module,
            (torch.zeros(2, ROWS, FEATURES),),  # with a batch of one the batch of a GRU would be fixed
            folder / f"{name}.onnx",
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            external_data=False,
            verbose=False,
        )
    shape = [1, ROWS, FEATURES]
    engines: dict[str, Backend] = {
        "torch": TorchBackend(
            ModelConfig(folder / f"{name}.pt", "torch", input_shape=shape), factory=lambda: seeded(name)[0]
        ),
        "onnx": OnnxBackend(ModelConfig(folder / f"{name}.onnx", "onnx", input_shape=shape)),
        "safetensors": SafetensorsBackend(
            ModelConfig(folder / f"{name}.safetensors", "safetensors", input_shape=shape)
        ),
    }
    for engine in engines.values():
        engine.load()
    return engines


def compare(name: str, folder: Path, windows: int) -> dict[str, object]:
    """The row of one architecture."""
    x = np.random.default_rng(0).standard_normal((windows, ROWS, FEATURES), np.float32)
    scores: dict[str, FloatArray] = {}
    for backend, engine in serve(name, folder).items():
        alone = np.concatenate([engine.infer(x[row : row + 1]) for row in range(windows)])
        scores[backend] = np.stack([alone, engine.infer(x)])
    with torch.inference_mode():
        exact = seeded(name)[0].double()(torch.from_numpy(x).double()).numpy()
    apart = {f"{a}-{b}": float(np.abs(scores[a] - scores[b]).max()) for a, b in combinations(scores, 2)}
    off = {f"{backend}-float64": float(np.abs(found - exact).max()) for backend, found in scores.items()}
    return {"model": name, "windows": windows, "largest_score": float(np.abs(exact).max()), **apart, **off}


def main() -> None:
    """Print the table as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=32)
    arguments = parser.parse_args()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision
    with tempfile.TemporaryDirectory() as folder:
        rows = [compare(name, Path(folder), arguments.windows) for name in ARCHITECTURES]
    print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
