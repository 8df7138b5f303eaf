"""What a decision costs above the raw runtime: `Backend.infer` beside onnxruntime's own `run`, in turns, in one run.

python benchmarks/inference.py [--calls N] prints a JSON list of
{model, backend, infer_p50_us, infer_p99_us, predict_p50_us, predict_p99_us, raw_p50_us, raw_p99_us, ratio_p50}.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from time import perf_counter_ns

import numpy as np
import onnxruntime as ort

from axon_backend_onnx.backend import OnnxBackend
from axon_quant.inference import InferenceBackend, ModelConfig

MODELS = ("demo-4x1", "demo-64x128", "demo-64x128-reversion", "demo-64x512")
BLOCK = 50


def measure(name: str, calls: int) -> dict[str, object]:
    """One model: blocks of calls of each kind take turns, so that a busy machine is busy for all of them."""
    path = OnnxBackend.builtin(name)
    engine = OnnxBackend(ModelConfig(path, InferenceBackend.ONNX))
    model = engine.load()
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    raw = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).standard_normal(model.input_shape, np.float32)
    feed = {raw.get_inputs()[0].name: x}
    kinds: dict[str, Callable[[], object]] = {
        "infer": lambda: engine.infer(x),
        "predict": lambda: engine.predict(x),
        "raw": lambda: raw.run(None, feed),
    }
    times: dict[str, list[int]] = {kind: [] for kind in kinds}
    for _ in range(max(1, calls // BLOCK)):
        for kind, call in kinds.items():
            for _ in range(BLOCK):
                started = perf_counter_ns()
                call()
                times[kind].append(perf_counter_ns() - started)
    row: dict[str, object] = {"model": name, "backend": "onnx", "optimisation": model.plan["optimisation"]}
    for kind, taken in times.items():
        row[f"{kind}_p50_us"], row[f"{kind}_p99_us"] = (round(v / 1e3, 2) for v in np.percentile(taken, [50, 99]))
    row["ratio_p50"] = round(float(np.median(times["infer"]) / np.median(times["raw"])), 3)
    return row


def main() -> None:
    """Print the table as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=5000, help="calls of each kind per model")
    arguments = parser.parse_args()
    print(json.dumps([measure(name, arguments.calls) for name in MODELS], indent=2))


if __name__ == "__main__":
    main()
