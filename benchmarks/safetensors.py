"""What safetensors costs beside plain numpy, beside onnxruntime where it is installed, and how it starts.

python benchmarks/safetensors.py [--calls N] [--starts N] [--seconds S] prints a JSON object. `models`: a list of
{model, backend, numpy_p50_us, numpy_p99_us, plain_…, numba_…, raw_…, numpy_ratio_p50, numba_ratio_p50}: `numpy` and
`numba` are `infer` with these engines, `plain` is the network as one writes it in numpy, `raw` is onnxruntime's
`run(None, {…})` on the same weights, and a ratio is infer over raw, within rounds; kinds of calls take turns in blocks,
and each figure is the median of five rounds. `scaling`: by engine, calls per second of two threads ÷ those of one, on
W-MLP, the same for `raw`, and the quotient of the two. `cold_start`: milliseconds of whole processes that import numpy,
and that import the backend, load the SMALL model and infer once, in turns; and their ratio. numba's columns are there
where it is installed, and raw's where onnxruntime is.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import numpy as np
from rates import per_second

from axon_backend_safetensors.backend import SafetensorsBackend
from axon_backend_safetensors.reader import ARCHITECTURE
from axon_backend_safetensors.writer import pack
from axon_quant.inference import InferenceBackend, ModelConfig
from axon_quant.inference.session import FloatArray
from axon_quant.inference.timing import ROUNDS, median_ratio, median_round, one_round, warm_up

ENGINES = ("numpy", "numba") if find_spec("numba") else ("numpy",)
HIDDEN = 64

START = """
from axon_backend_safetensors import SafetensorsBackend
from axon_quant.inference import ModelConfig
import numpy
engine = SafetensorsBackend(ModelConfig({path!r}, "safetensors"), engine="numpy")
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


def calls_of(
    path: Path, weights: Weights, window: tuple[int, ...], plain: Callable[[FloatArray], FloatArray]
) -> dict[str, Callable[[], object]]:
    """Each kind of call on one model, all of which give the same scores."""
    x = np.random.default_rng(1).standard_normal((1, *window), np.float32)
    expected = plain(x)
    kinds: dict[str, Callable[[], object]] = {"plain": lambda: plain(x)}
    for name in ENGINES:
        engine = SafetensorsBackend(ModelConfig(path, InferenceBackend.SAFETENSORS), engine=name)
        engine.load()
        np.testing.assert_allclose(engine.infer(x), expected, rtol=1e-4, atol=1e-5)
        kinds[name] = partial(engine.infer, x)
    raw = raw_onnx(weights, window)
    if raw is not None:
        np.testing.assert_allclose(np.asarray(raw(x))[0], expected, rtol=1e-4, atol=1e-5)
        kinds["raw"] = partial(raw, x)
    return kinds


def measure(name: str, kinds: Mapping[str, Callable[[], object]], calls: int) -> dict[str, object]:
    """One model, with every kind of call."""
    warm_up(kinds)
    rounds = [one_round(kinds, calls) for _ in range(ROUNDS)]
    row: dict[str, object] = {"model": name, "backend": "safetensors"}
    for kind, found in median_round(rounds).items():
        row[f"{kind}_p50_us"], row[f"{kind}_p99_us"] = round(found.p50, 2), round(found.p99, 2)
    if "raw" in kinds:
        row |= {f"{engine}_ratio_p50": round(median_ratio(rounds, engine, "raw"), 3) for engine in ENGINES}
    return row


def scaling(kinds: Mapping[str, Callable[[], object]], seconds: float) -> dict[str, object]:
    """Two threads ÷ one, of each engine and of the raw runtime, in turns."""
    shown = [kind for kind in (*ENGINES, "raw") if kind in kinds]
    gains: dict[str, list[float]] = {kind: [] for kind in shown}
    for _ in range(ROUNDS):
        for kind in shown:
            one = per_second(kinds[kind], 1, seconds)
            gains[kind].append(per_second(kinds[kind], 2, seconds) / one)
    row: dict[str, object] = {kind: round(float(np.median(found)), 3) for kind, found in gains.items()}
    if "raw" in kinds:
        for engine in ENGINES:
            quotients = [a / b for a, b in zip(gains[engine], gains["raw"], strict=True)]
            row[f"{engine}_ratio"] = round(float(np.median(quotients)), 3)
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
    parser.add_argument("--calls", type=int, default=1000, help="calls of each kind per model and round")
    parser.add_argument("--starts", type=int, default=15, help="processes of each kind for the cold start")
    parser.add_argument("--seconds", type=float, default=1.0, help="of one count of calls per second")
    arguments = parser.parse_args()
    models = {
        "SMALL": ((4, 1), dense(4, 64, 64, 3), mlp_in_numpy, arguments.calls),
        "W-MLP": ((64, 128), dense(8192, 256, 128, 3), mlp_in_numpy, arguments.calls),
        "W-GRU": ((64, 128), recurrent(128), gru_in_numpy, max(1, arguments.calls // 5)),
    }
    found: dict[str, object] = {}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (window, (weights, layers), plain, calls) in models.items():
            path = Path(folder) / f"{name}.safetensors"
            architecture = json.dumps({"input_shape": [1, *window], "layers": layers})
            path.write_bytes(pack(weights, {ARCHITECTURE: architecture}))
            kinds = calls_of(path, weights, window, plain(weights))
            rows.append(measure(name, kinds, calls))
            if name == "W-MLP":
                found["scaling"] = scaling(kinds, arguments.seconds)
        found["cold_start"] = cold_start(Path(folder) / "SMALL.safetensors", arguments.starts)
    print(json.dumps({"models": rows, **found}, indent=2))


if __name__ == "__main__":
    main()
