"""What safetensors on numpy costs beside raw numpy, beside onnxruntime where it is installed, and how it starts.

python benchmarks/safetensors.py [--calls N] [--starts N] prints a JSON object. `models`: a list of
{model, backend, infer_p50_us, infer_p99_us, run_p50_us, run_p99_us, numpy_p50_us, numpy_p99_us, raw_p50_us, raw_p99_us,
ratio_p50}, where `numpy` is the same network as one writes it in numpy, `raw` is onnxruntime's `run(None, {…})` on the
same weights, and `ratio_p50` is infer over raw; kinds of calls take turns in blocks, and each figure is the median
of five rounds. `cold_start`: milliseconds of whole processes that import numpy, and that import the backend, load the
SMALL model and infer once, in turns; and their ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from time import perf_counter, perf_counter_ns

import numpy as np

from axon_backend_safetensors.backend import SafetensorsBackend
from axon_backend_safetensors.reader import ARCHITECTURE
from axon_backend_safetensors.writer import pack
from axon_quant.inference import InferenceBackend, ModelConfig
from axon_quant.inference.session import FloatArray

ROUNDS = 5
BLOCK = 50
HIDDEN = 64

START = """
from axon_backend_safetensors import SafetensorsBackend
from axon_quant.inference import ModelConfig
import numpy
engine = SafetensorsBackend(ModelConfig({path!r}, "safetensors"))
engine.load()
engine.infer(numpy.ones((1, 4, 1), numpy.float32))
"""

Weights = Mapping[str, FloatArray]


def dense(*sizes: int) -> tuple[dict[str, FloatArray], list[dict[str, object]]]:
    """Weights and layers of a flattened MLP."""
    rng = np.random.default_rng(0)
    weights: dict[str, FloatArray] = {}
    layers: list[dict[str, object]] = [{"type": "flatten"}]
    for index, (given, wanted) in enumerate(pairwise(sizes)):
        name = str(2 * index)
        weights[f"{name}.weight"] = rng.standard_normal((wanted, given), np.float32) / np.float32(np.sqrt(given))
        weights[f"{name}.bias"] = rng.standard_normal(wanted, np.float32)
        layers += [{"type": "linear", "name": name}, {"type": "relu"}]
    return weights, layers[:-1]


def recurrent(features: int) -> tuple[dict[str, FloatArray], list[dict[str, object]]]:
    """Weights and layers of a GRU, and of a linear layer on its last state."""
    rng = np.random.default_rng(0)
    shapes = {
        "gru.weight_ih_l0": (3 * HIDDEN, features),
        "gru.weight_hh_l0": (3 * HIDDEN, HIDDEN),
        "gru.bias_ih_l0": (3 * HIDDEN,),
        "gru.bias_hh_l0": (3 * HIDDEN,),
        "head.weight": (3, HIDDEN),
        "head.bias": (3,),
    }
    weights = {name: rng.uniform(-0.125, 0.125, shape).astype(np.float32) for name, shape in shapes.items()}
    return weights, [{"type": "gru", "name": "gru", "output": "hidden"}, {"type": "linear", "name": "head"}]


def mlp_in_numpy(weights: Weights) -> Callable[[FloatArray], FloatArray]:
    """As one writes it, without reused buffers."""
    names = sorted({int(name.split(".")[0]) for name in weights})
    layers = [(np.ascontiguousarray(weights[f"{n}.weight"].T), weights[f"{n}.bias"]) for n in names]

    def run(x: FloatArray) -> FloatArray:
        x = x.reshape(len(x), -1)
        for matrix, bias in layers[:-1]:
            x = np.maximum(x @ matrix + bias, 0)
        matrix, bias = layers[-1]
        return x @ matrix + bias

    return run


def gru_in_numpy(weights: Weights) -> Callable[[FloatArray], FloatArray]:
    """As one writes it, without reused buffers."""
    inputs, states = weights["gru.weight_ih_l0"].T.copy(), weights["gru.weight_hh_l0"].T.copy()
    of_inputs, of_states = weights["gru.bias_ih_l0"], weights["gru.bias_hh_l0"]

    def run(x: FloatArray) -> FloatArray:
        given = x @ inputs + of_inputs
        h = np.zeros((len(x), HIDDEN), np.float32)
        for step in range(x.shape[1]):
            a, b = given[:, step], h @ states + of_states
            r, z = np.split(1 / (1 + np.exp(-(a[:, : 2 * HIDDEN] + b[:, : 2 * HIDDEN]))), 2, axis=1)
            n = np.tanh(a[:, 2 * HIDDEN :] + r * b[:, 2 * HIDDEN :])
            h = (1 - z) * n + z * h
        return h @ weights["head.weight"].T + weights["head.bias"]

    return run


def raw_onnx(weights: Weights, window: tuple[int, ...]) -> Callable[[FloatArray], object] | None:
    """onnxruntime's `run` on the same weights, one thread; None where onnxruntime or its backend is not installed."""
    try:
        import onnxruntime as ort

        from axon_backend_onnx import protobuf as pb
    except ImportError:
        return None

    def tensor(name: str, array: FloatArray) -> bytes:
        return pb.tensor(name, array.shape, array.ravel().tolist())

    if "gru.weight_ih_l0" in weights:
        n = HIDDEN
        order = np.r_[n : 2 * n, 0:n, 2 * n : 3 * n]  # onnx keeps z, r, n
        biases = np.concatenate([weights["gru.bias_ih_l0"][order], weights["gru.bias_hh_l0"][order]])[None]
        nodes = [
            pb.node("Reshape", ["x", "shape"], ["time_major"]),  # a batch of one: the axes may be renamed
            pb.node("GRU", ["time_major", "w", "r", "b"], ["", "h"], hidden_size=n, linear_before_reset=1),
            pb.node("Flatten", ["h"], ["flat"], axis=2),
            pb.node("Gemm", ["flat", "head.weight", "head.bias"], ["scores"], transB=1),
        ]
        graph = [
            tensor("w", weights["gru.weight_ih_l0"][order][None]),
            tensor("r", weights["gru.weight_hh_l0"][order][None]),
            tensor("b", biases),
            tensor("head.weight", weights["head.weight"]),
            tensor("head.bias", weights["head.bias"]),
            pb.tensor("shape", [3], [window[0], 1, window[1]], pb.ElementType.INT64),
        ]
    else:
        names = sorted({int(name.split(".")[0]) for name in weights})
        nodes = [pb.node("Flatten", ["x"], ["r"], axis=1)]
        for n in names:
            last = n == names[-1]
            out = "scores" if last else f"h{n}"
            nodes.append(pb.node("Gemm", ["r" if n == 0 else f"r{n - 2}", f"{n}.weight", f"{n}.bias"], [out], transB=1))
            if not last:
                nodes.append(pb.node("Relu", [out], [f"r{n}"]))
        graph = [tensor(name, array) for name, array in weights.items()]
    inputs, outputs = [pb.value("x", [1, *window])], [pb.value("scores", [1, 3])]
    data = pb.model(pb.graph("raw", nodes, initializers=graph, inputs=inputs, outputs=outputs))
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"x": x})


def measure(
    name: str,
    window: tuple[int, ...],
    model: tuple[Weights, list[dict[str, object]]],
    plain: Callable[[Weights], Callable[[FloatArray], FloatArray]],
    folder: Path,
    calls: int,
) -> dict[str, object]:
    """One model, with every kind of call."""
    weights, layers = model
    path = folder / f"{name}.safetensors"
    path.write_bytes(pack(weights, {ARCHITECTURE: json.dumps({"input_shape": [1, *window], "layers": layers})}))
    engine = SafetensorsBackend(ModelConfig(path, InferenceBackend.SAFETENSORS))
    engine.load()
    x = np.random.default_rng(1).standard_normal((1, *window), np.float32)
    in_numpy, raw = plain(weights), raw_onnx(weights, window)
    kinds: dict[str, Callable[[], object]] = {
        "infer": lambda: engine.infer(x),
        "run": lambda: engine.session.run(x),
        "numpy": lambda: in_numpy(x),
    }
    expected = in_numpy(x)
    if raw is not None:
        kinds["raw"] = lambda: raw(x)
        np.testing.assert_allclose(np.asarray(raw(x))[0], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(engine.infer(x), expected, rtol=1e-4, atol=1e-5)
    figures: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    for _ in range(ROUNDS):
        times: dict[str, list[int]] = {kind: [] for kind in kinds}
        for _ in range(max(1, calls // BLOCK // ROUNDS)):
            for kind, call in kinds.items():
                for _ in range(BLOCK):
                    started = perf_counter_ns()
                    call()
                    times[kind].append(perf_counter_ns() - started)
        for kind, taken in times.items():
            p50, p99 = np.percentile(taken, [50, 99])
            figures[kind].append((p50 / 1e3, p99 / 1e3))
    row: dict[str, object] = {"model": name, "backend": "safetensors"}
    for kind, rounds in figures.items():
        row[f"{kind}_p50_us"], row[f"{kind}_p99_us"] = (round(float(v), 2) for v in np.median(rounds, axis=0))
    if raw is not None:
        ratios = [a[0] / b[0] for a, b in zip(figures["infer"], figures["raw"], strict=True)]
        row["ratio_p50"] = round(float(np.median(ratios)), 3)
    return row


def cold_start(path: Path, starts: int) -> dict[str, float]:
    """Whole processes with compiled bytecode, as installed, in turns; medians, and the median of the ratios."""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(path.parent / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def timed(code: str) -> float:
        started = perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, env=environment)
        return 1e3 * (perf_counter() - started)

    codes = ("import numpy", START.format(path=str(path)))
    pairs = [[timed(code) for code in codes] for _ in range(starts + 1)][1:]  # the first one compiles
    alone, whole = np.median(pairs, axis=0)
    ratio = float(np.median([b / a for a, b in pairs]))
    return {"numpy_ms": round(float(alone), 1), "backend_ms": round(float(whole), 1), "ratio": round(ratio, 2)}


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=5000, help="calls of each kind per model")
    parser.add_argument("--starts", type=int, default=15, help="processes of each kind for the cold start")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = [
            measure("SMALL", (4, 1), dense(4, 64, 64, 3), mlp_in_numpy, folder, arguments.calls),
            measure("W-MLP", (64, 128), dense(8192, 256, 128, 3), mlp_in_numpy, folder, arguments.calls),
            measure("W-GRU", (64, 128), recurrent(128), gru_in_numpy, folder, arguments.calls // 5),
        ]
        start = cold_start(folder / "SMALL.safetensors", arguments.starts)
    print(json.dumps({"models": models, "cold_start": start}, indent=2))


if __name__ == "__main__":
    main()
