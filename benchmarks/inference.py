"""What a decision costs above the raw runtime: `Backend.infer` beside onnxruntime's own `run`, in turns, in one run.

python benchmarks/inference.py [--calls N] prints a JSON object. `models`: a list of {model, backend, optimisation,
infer_p50_us, infer_p99_us, predict_…, bound_…, raw_p50_us, raw_p99_us, ratio_p50}; `raw` is a plain session with one
thread, `bound` is `session.run` of the loaded model, which `infer` adds its checks to. Figures are medians of five
rounds, `ratio_p50` is the median of the rounds' infer ÷ raw. `scaling`: calls per second of two threads ÷ those of one,
on W-MLP, for `infer` and for the raw runtime, and the median of the rounds' quotient of the two.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from networks import MODELS, mlp
from rates import per_second

from axon_backend_onnx.backend import OnnxBackend
from axon_quant.inference import InferenceBackend, ModelConfig
from axon_quant.inference.timing import ROUNDS, median_ratio, median_round, one_round, warm_up

DEMOS = ("demo-4x1", "demo-64x128", "demo-64x128-reversion", "demo-64x512")


def engine_of(path: Path) -> OnnxBackend:
    """The loaded backend."""
    engine = OnnxBackend(ModelConfig(path, InferenceBackend.ONNX))
    engine.load()
    return engine


def measure(name: str, path: Path, calls: int) -> dict[str, object]:
    """One model: blocks of calls of each kind take turns, so that a busy machine is busy for all of them."""
    engine = engine_of(path)
    model, raw = engine.model, engine.bare(path)
    x = np.random.default_rng(0).standard_normal(model.input_shape, np.float32)
    kinds: dict[str, Callable[[], object]] = {
        "infer": lambda: engine.infer(x),
        "predict": lambda: engine.predict(x),
        "bound": lambda: engine.session.run(x),
        "raw": lambda: raw(x),
    }
    warm_up(kinds)
    rounds = [one_round(kinds, calls) for _ in range(ROUNDS)]
    row: dict[str, object] = {"model": name, "backend": "onnx", "optimisation": model.plan["optimisation"]}
    for kind, found in median_round(rounds).items():
        row[f"{kind}_p50_us"], row[f"{kind}_p99_us"] = round(found.p50, 2), round(found.p99, 2)
    row["ratio_p50"] = round(median_ratio(rounds, "infer", "raw"), 3)
    return row


def scaling(path: Path, seconds: float) -> dict[str, float]:
    """Two threads ÷ one, of `infer` and of the raw runtime, in turns."""
    engine = engine_of(path)
    raw = engine.bare(path)
    x = np.random.default_rng(0).standard_normal(engine.model.input_shape, np.float32)
    gains: dict[str, list[float]] = {"infer": [], "raw": []}
    for _ in range(ROUNDS):
        for kind, call in (("infer", lambda: engine.infer(x)), ("raw", lambda: raw(x))):
            one = per_second(call, 1, seconds)
            gains[kind].append(per_second(call, 2, seconds) / one)
    infer, plain = (float(np.median(gains[kind])) for kind in ("infer", "raw"))
    ratio = float(np.median([a / b for a, b in zip(gains["infer"], gains["raw"], strict=True)]))
    return {"infer": round(infer, 3), "raw": round(plain, 3), "ratio": round(ratio, 3)}


def main() -> None:
    """Print the table as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1000, help="calls of each kind per model and round")
    parser.add_argument("--seconds", type=float, default=1.0, help="of one count of calls per second")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{name}.onnx" for name in MODELS}
        for name, (window, widths) in MODELS.items():
            paths[name].write_bytes(mlp(window, widths))
        found = {
            "models": [
                *(measure(name, path, arguments.calls) for name, path in paths.items()),
                *(measure(name, OnnxBackend.builtin(name), arguments.calls) for name in DEMOS),
            ],
            "scaling": scaling(paths["W-MLP"], arguments.seconds),
        }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
