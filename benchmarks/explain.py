"""How right explanations are, and what they cost: prints JSON, beside shap where it is installed.

    python benchmarks/explain.py

`error` is the relative L2 distance to the exact Shapley values (closed form, enumeration, or for the window the mean of
four runs of a larger budget), the median over seeds; `estimate` is the estimated error over the true one;
`seconds` is the median of one explanation, ours and shap's in turns. Budgets count coalitions; each is asked about all
background rows.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from axon_backend_onnx import OnnxBackend, protobuf
from axon_explain import KernelSHAP
from axon_quant import ModelConfig

Model = Callable[[np.ndarray], np.ndarray]
SEEDS = 5
WINDOW = (64, 128)


def error(found: np.ndarray, exact: np.ndarray) -> float:
    """Relative L2 distance."""
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


def compare(
    model: object, x: np.ndarray, rows: np.ndarray, exact: np.ndarray, budget: int, *, shap: bool, **options: Any
) -> dict[str, Any]:
    """Ours, shap's KernelExplainer without its feature selection, and as it comes, in turns over seeds."""
    engines: dict[str, Callable[[int], tuple[np.ndarray, float]]] = {}

    def ours(seed: int, engine: str) -> tuple[np.ndarray, float]:
        explainer = KernelSHAP(model, engine=engine, budget=budget, seed=seed, **options)
        found = explainer.explain(x, 0, rows)
        return found.feature_importances, found.error_estimate

    engines["axon"] = lambda seed: ours(seed, "leverage")
    if shap and find_spec("shap") is not None:
        engines["shap_l1_0"] = lambda seed: ours(seed, "shap")
        if x.ndim == 1:
            engines["shap_default"] = lambda seed: (shap_as_it_comes(model, x, rows, budget, seed), float("nan"))
    seen: dict[str, list[tuple[float, float, float]]] = {name: [] for name in engines}
    for seed in range(SEEDS):
        for name, engine in engines.items():
            start = time.perf_counter()
            found, estimate = engine(seed)
            took = time.perf_counter() - start
            true = error(found, exact)
            known = estimate * len(exact) ** 0.5 / float(np.linalg.norm(exact))
            seen[name].append((true, known / max(true, 1e-15), took))
    return {name: summary(runs, estimates=name == "axon") for name, runs in seen.items()}


def summary(runs: list[tuple[float, float, float]], *, estimates: bool) -> dict[str, float]:
    """Medians over the seeds."""
    errors, ratios, seconds = zip(*runs, strict=True)
    found = {"error": statistics.median(errors), "seconds": statistics.median(seconds)}
    return found | ({"estimate": statistics.median(ratios)} if estimates else {})


def shap_as_it_comes(model: Any, x: np.ndarray, rows: np.ndarray, budget: int, seed: int) -> np.ndarray:
    """Its defaults: only the ten largest features are kept."""
    import shap

    np.random.seed(seed)
    explainer = shap.KernelExplainer(lambda batch: model(batch.astype(x.dtype))[:, 0], rows)
    return np.asarray(explainer.shap_values(x, nsamples=budget, silent=True))


def linear() -> dict[str, Any]:
    """20 features, 100 background rows: the largest error of any importance."""
    rng = np.random.default_rng(0)
    weights, x, rows = rng.standard_normal(20), rng.standard_normal(20), rng.standard_normal((100, 20))
    exact = weights * (x - rows.mean(axis=0))
    found = {}
    for name, engine in (("axon", "leverage"), ("shap_l1_0", "shap")):
        if engine == "shap" and find_spec("shap") is None:
            continue
        result = KernelSHAP(lambda batch: batch @ weights, engine=engine).explain(x, 0, rows)
        found[name] = {"max_error": float(np.abs(result.feature_importances - exact).max())}
    if find_spec("shap") is not None:
        theirs = shap_as_it_comes(lambda batch: (batch @ weights)[:, None], x, rows, 2_048, 0)
        found["shap_default"] = {"max_error": float(np.abs(theirs - exact).max())}
    return found


def pairwise(shape: tuple[int, ...]) -> dict[str, Any]:
    """Products of features, or of the means of channels: closed form."""
    rng = np.random.default_rng(0)
    count = shape[-1]
    pairs = np.triu(rng.standard_normal((count, count)), 1)
    x, row = rng.standard_normal(shape), rng.standard_normal(shape)

    def means(batch: np.ndarray) -> np.ndarray:
        return batch if len(shape) == 1 else batch.mean(axis=1)

    def model(batch: np.ndarray) -> np.ndarray:
        return np.einsum("bi,ij,bj->b", means(batch), pairs, means(batch), optimize=True)

    a, b = means(x[None])[0], means(row[None])[0]
    exact = (a - b) * ((pairs + pairs.T) @ (a + b)) / 2
    start = time.perf_counter()
    found = KernelSHAP(model, groups="channel").explain(x, 0, row)
    took = time.perf_counter() - start
    return {"axon": {"error": error(found.feature_importances, exact), "seconds": took}}


def network(features: int = 20, hidden: int = 64) -> tuple[Model, np.ndarray, np.ndarray]:
    """A seeded MLP with ReLU, an observation and 10 background rows."""
    rng = np.random.default_rng(0)
    first = (rng.standard_normal((features, hidden)) * (2 / features) ** 0.5).astype(np.float32)
    shift = (rng.standard_normal(hidden) * 0.1).astype(np.float32)
    second = (rng.standard_normal((hidden, 1)) / hidden**0.5).astype(np.float32)
    x, rows = (rng.standard_normal(size).astype(np.float32) for size in ((features,), (10, features)))
    return lambda batch: np.maximum(batch @ first + shift, 0) @ second, x, rows


def convolutions() -> bytes:
    """Conv1d(128 → 16, 5) → ReLU → Conv1d(16 → 16, 5) → ReLU → mean over time → 3 scores, on `[batch, 64, 128]`."""
    rng = np.random.default_rng(0)

    def weights(name: str, *shape: int) -> bytes:
        fan = int(np.prod(shape[1:]))
        return protobuf.tensor(name, shape, (rng.standard_normal(shape) * (2 / fan) ** 0.5).ravel().tolist())

    nodes = [
        protobuf.node("Transpose", ["x"], ["c0"], perm=[0, 2, 1]),
        protobuf.node("Conv", ["c0", "w0", "b0"], ["c1"], kernel_shape=[5], pads=[2, 2]),
        protobuf.node("Relu", ["c1"], ["c2"]),
        protobuf.node("Conv", ["c2", "w1", "b0"], ["c3"], kernel_shape=[5], pads=[2, 2]),
        protobuf.node("Relu", ["c3"], ["c4"]),
        protobuf.node("GlobalAveragePool", ["c4"], ["c5"]),
        protobuf.node("Flatten", ["c5"], ["c6"], axis=1),
        protobuf.node("MatMul", ["c6", "w2"], ["scores"]),
    ]
    tensors = [weights("w0", 16, 128, 5), weights("w1", 16, 16, 5), weights("b0", 16), weights("w2", 16, 3)]
    inputs, outputs = [protobuf.value("x", ["batch", *WINDOW])], [protobuf.value("scores", ["batch", 3])]
    return protobuf.model(protobuf.graph("cnn", nodes, initializers=tensors, inputs=inputs, outputs=outputs))


def window(folder: Path, rows: int) -> dict[str, Any]:
    """128 channel groups of a window, a small CNN on ONNX Runtime with 2 threads, 1,024 coalitions."""
    path = folder / "cnn.onnx"
    path.write_bytes(convolutions())
    backend = OnnxBackend(ModelConfig(path, "onnx", num_threads=2))
    backend.load()
    rng = np.random.default_rng(1)
    x, background = (rng.standard_normal(size).astype(np.float32) for size in (WINDOW, (rows, *WINDOW)))
    runs = [
        KernelSHAP(backend, groups="channel", budget=8_000 if rows == 1 else 4_000, seed=100 + seed)
        .explain(x, 0, background)
        .feature_importances
        for seed in range(4)
    ]
    return compare(backend, x, background, np.mean(runs, axis=0), 1_024, shap=rows == 1, groups="channel")


def main() -> None:
    """Everything, as JSON."""
    model, x, rows = network()
    exact = KernelSHAP(model, engine="exact").explain(x, 0, rows).feature_importances
    found: dict[str, Any] = {
        "linear, 20 features, 100 rows": linear(),
        "pairwise, 64 features": pairwise((64,)),
        "pairwise, 64x128 by channel": pairwise(WINDOW),
    }
    for budget in (128, 512, 2_048):
        found[f"MLP, 20 features, 10 rows, {budget}"] = compare(model, x, rows, exact, budget, shap=True)
    with tempfile.TemporaryDirectory() as folder:
        for count in (1, 10):
            found[f"CNN, 64x128 by channel, {count} rows, 1024"] = window(Path(folder), count)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
