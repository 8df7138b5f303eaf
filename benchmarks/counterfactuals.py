"""Counterfactuals, next to DiCE where dice-ml is installed: prints JSON, times in milliseconds per query.

    python benchmarks/counterfactuals.py [--queries N] [--results N]

A network of 12 features (32 and 32 hidden units, buy/sell/hold), fitted here to a made-up rule, is asked what would
turn its decision into the runner-up: 20 queries, 4 counterfactuals each, the same queries and the same background of
1,000 rows for everybody. `nox -s explain` installs dice-ml; its methods random and genetic run in the same process.

- validity: the share of the counterfactuals asked for that were found and that the network, asked about each alone,
  decides as wanted
- changed: the mean number of features that differ from the query by more than rounding (1e-6 of a MAD)
- l1_mad: the mean over features of |difference| / MAD, the MAD being the background's, as in the DiCE paper; mean over
  counterfactuals
- diversity: the mean over pairs of one query's counterfactuals of 1 - |A ∩ B| / |A ∪ B|, A and B being the sets of
  features that they change (Jaccard distance)
- diversity_l1: the mean over pairs of the same distance as l1_mad between the two counterfactuals
- plausibility: mean l1_mad to the 5 nearest rows of the background; `plausibility_of_queries` is the queries' own
- rows: the mean number of rows that the network was asked about; ms: median, and p95, per query

The second part is a window of 64×128 through ONNX (demo-64x128), changed by channels: 10 queries, a background of 200
windows.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from itertools import combinations, pairwise
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: several threads would wait for each other

import attrs
import numpy as np

from axon_quant.explain import CounterfactualGenerator

FEATURES, BACKGROUND, ACTIONS = 12, 1_000, ("buy", "sell", "hold")
NAMES = [f"f{index}" for index in range(FEATURES)]
ROUNDS = 5
"""Each query is timed this often, and the median counts; DiCE's once."""


class Network:
    """12 → 32 → 32 → 3 with ReLU, fitted by Adam. `rows` counts what it was asked."""

    def __init__(self, seed: int = 0, steps: int = 600) -> None:
        rng = np.random.default_rng(seed)
        widths = (FEATURES, 32, 32, len(ACTIONS))
        self.rows = 0
        self.units = 10.0 ** rng.uniform(-2, 2, FEATURES)
        self.weights = [rng.standard_normal((a, b)) * np.sqrt(2 / a) for a, b in pairwise(widths)]
        self.biases = [np.zeros(width) for width in widths[1:]]
        x = self.sample(rng, 4_000)
        linear, pairs = rng.standard_normal((FEATURES, 3)), rng.standard_normal((FEATURES // 2, 3))
        z = x / self.units
        wanted = (z @ linear + (z[:, ::2] * z[:, 1::2]) @ pairs + 0.5 * rng.standard_normal((len(x), 3))).argmax(axis=1)
        self._fit(z, np.eye(3)[wanted], rng, steps)

    def sample(self, rng: np.random.Generator, rows: int) -> np.ndarray:
        """Correlated features with tails heavier than a Gaussian's, each in a unit of its own."""
        common = rng.standard_t(5, (rows, 1))
        return (0.5 * common + rng.standard_t(5, (rows, FEATURES))) * self.units

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Scores `[rows, 3]`."""
        self.rows += len(x)
        return self._layers(x / self.units)[-1]

    def _layers(self, z: np.ndarray) -> list[np.ndarray]:
        layers = [z]
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            z = z @ weight + bias
            layers.append(z if number == len(self.weights) - 1 else np.maximum(z, 0.0))
            z = layers[-1]
        return layers

    def _fit(self, z: np.ndarray, wanted: np.ndarray, rng: np.random.Generator, steps: int) -> None:
        values = [*self.weights, *self.biases]
        means, squares = [np.zeros_like(v) for v in values], [np.zeros_like(v) for v in values]
        for step in range(1, steps + 1):
            batch = rng.integers(len(z), size=256)
            layers = self._layers(z[batch])
            shares = np.exp(layers[-1] - layers[-1].max(axis=1, keepdims=True))
            back = (shares / shares.sum(axis=1, keepdims=True) - wanted[batch]) / len(batch)
            slopes: list[np.ndarray] = [np.empty(0)] * len(values)
            for number in reversed(range(len(self.weights))):
                slopes[number], slopes[len(self.weights) + number] = layers[number].T @ back, back.sum(axis=0)
                back = (back @ self.weights[number].T) * (layers[number] > 0.0)
            for value, slope, mean, square in zip(values, slopes, means, squares, strict=True):
                mean += 0.1 * (slope - mean)
                square += 0.001 * (slope**2 - square)
                value -= 3e-3 * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)


@attrs.frozen
class Problem:
    """What everybody is asked: the network, its background, the queries, and the action wanted for each."""

    network: Network
    background: np.ndarray
    queries: np.ndarray
    wanted: np.ndarray
    results: int

    @classmethod
    def of(cls, queries: int, results: int, seed: int = 0) -> Problem:
        """The queries are not part of the background."""
        network = Network(seed)
        rng = np.random.default_rng(seed + 1)
        background, asked = network.sample(rng, BACKGROUND), network.sample(rng, queries)
        return cls(network, background, asked, np.argsort(network(asked), axis=1)[:, -2], results)

    @property
    def mad(self) -> np.ndarray:
        """Median absolute deviation of each feature."""
        return np.median(np.abs(self.background - np.median(self.background, axis=0)), axis=0)


@attrs.define
class Answers:
    """Of one method, query by query: counterfactuals, rows asked, and ms of each round."""

    found: list[np.ndarray] = attrs.Factory(list)
    rows: list[int] = attrs.Factory(list)
    times: list[list[float]] = attrs.Factory(list)


Method = Callable[[np.ndarray, int], np.ndarray]
"""A query and the action wanted → counterfactuals `[found, features]`."""


def ours(problem: Problem) -> Method:
    """axon-explain."""
    generator = CounterfactualGenerator(problem.network, background_data=problem.background)

    def method(query: np.ndarray, wanted: int) -> np.ndarray:
        found = generator.generate(query, desired=wanted, max_results=problem.results)
        return np.array([each.observation for each in found]).reshape(-1, FEATURES)

    return method


def dice(problem: Problem, name: str) -> Method:
    """DiCE, by one of its methods."""
    import dice_ml
    import pandas

    class Classifier:
        """The network as scikit-learn has it."""

        classes_ = np.arange(len(ACTIONS))

        def predict_proba(self, frame: Any) -> np.ndarray:
            """Probabilities by softmax."""
            scores = problem.network(frame[NAMES].to_numpy(np.float64))
            shares = np.exp(scores - scores.max(axis=1, keepdims=True))
            return shares / shares.sum(axis=1, keepdims=True)

        def predict(self, frame: Any) -> np.ndarray:
            """Labels."""
            return self.predict_proba(frame).argmax(axis=1)

    frame = pandas.DataFrame(problem.background, columns=NAMES)
    frame["action"] = problem.network(problem.background).argmax(axis=1)
    data = dice_ml.Data(dataframe=frame, continuous_features=NAMES, outcome_name="action")
    explainer = dice_ml.Dice(data, dice_ml.Model(model=Classifier(), backend="sklearn"), method=name)
    options = {"random_seed": 0} if name == "random" else {}

    def method(query: np.ndarray, wanted: int) -> np.ndarray:
        asked = pandas.DataFrame(query[None], columns=NAMES)
        found = explainer.generate_counterfactuals(
            asked, total_CFs=problem.results, desired_class=wanted, verbose=False, **options
        )
        table = found.cf_examples_list[0].final_cfs_df
        return np.empty((0, FEATURES)) if table is None else table[NAMES].to_numpy(np.float64)

    return method


def answered(problem: Problem, methods: dict[str, Method], rounds: int = ROUNDS) -> dict[str, Answers]:
    """Every query goes to all methods in turn; those that take long are timed once."""
    answers = {name: Answers() for name in methods}
    for turn in range(rounds):
        for number, (query, wanted) in enumerate(zip(problem.queries, problem.wanted.tolist(), strict=True)):
            for name, method in methods.items():
                if turn > 0 and name != "axon":
                    continue
                before, started = problem.network.rows, time.perf_counter()
                found = method(query, wanted)
                took = 1e3 * (time.perf_counter() - started)
                if turn == 0:
                    answers[name].found.append(found)
                    answers[name].rows.append(problem.network.rows - before)
                    answers[name].times.append([])
                answers[name].times[number].append(took)
    return answers


def judged(problem: Problem, answers: Answers) -> dict[str, float]:
    """The metrics of the docstring."""
    mad, network = problem.mad, problem.network
    valid, changed, near, jaccard, apart, plausible = ([] for _ in range(6))
    for query, wanted, found in zip(problem.queries, problem.wanted.tolist(), answers.found, strict=True):
        flips = [bool(network(row[None])[0].argmax() == wanted) for row in found]
        valid += flips + [False] * (problem.results - len(found))
        moved = [np.abs(row - query) / mad for row in found]
        sets = [set(np.flatnonzero(move > 1e-6).tolist()) for move in moved]
        changed += [len(each) for each in sets]
        near += [float(move.mean()) for move in moved]
        jaccard += [1 - len(a & b) / max(1, len(a | b)) for a, b in combinations(sets, 2)]
        apart += [float((np.abs(a - b) / mad).mean()) for a, b in combinations(found, 2)]
        plausible += [_to_background(problem, row) for row in found]
    times = [float(np.median(taken)) for taken in answers.times]
    return {
        "validity": float(np.mean(valid)),
        "changed": float(np.mean(changed)),
        "l1_mad": float(np.mean(near)),
        "diversity": float(np.mean(jaccard)),
        "diversity_l1": float(np.mean(apart)),
        "plausibility": float(np.mean(plausible)),
        "rows": float(np.mean(answers.rows)),
        "most_rows": max(answers.rows),
        "ms": float(np.median(times)),
        "ms_p95": float(np.quantile(times, 0.95)),
    }


def _to_background(problem: Problem, row: np.ndarray) -> float:
    return float(np.sort((np.abs(problem.background - row) / problem.mad).mean(axis=1))[:5].mean())


def windows(queries: int = 10, background: int = 200) -> dict[str, float]:
    """Channels of a window."""
    from axon_quant import ModelConfig, OnnxBackend

    engine = OnnxBackend(ModelConfig(OnnxBackend.builtin("demo-64x128"), "onnx"))
    engine.load()
    rng = np.random.default_rng(3)

    def sample(rows: int) -> np.ndarray:
        """Series that remember, as standardised features do."""
        steps = rng.standard_normal((rows, 64, 128))
        for row in range(1, 64):
            steps[:, row] = 0.6 * steps[:, row - 1] + 0.8 * steps[:, row]
        return steps.astype(np.float32)

    generator = CounterfactualGenerator(engine, background_data=sample(background))
    flips, changed, rows, times, results = [], [], [], [], []
    for window in sample(queries):
        taken = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            found = generator.generate(window)
            taken.append(1e3 * (time.perf_counter() - started))
        times.append(float(np.median(taken)))
        rows.append(found.evaluations)
        results.append(len(found))
        flips += [engine.predict(each.observation).name != found.original_action for each in found]
        changed += [len(each.changes) for each in found]
    return {
        "validity": float(np.mean(flips)),
        "results": float(np.mean(results)),
        "fewest_results": min(results),
        "changed": float(np.mean(changed)),
        "rows": float(np.mean(rows)),
        "ms": float(np.median(times)),
        "ms_p95": float(np.quantile(times, 0.95)),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--results", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0, help="of the network and the queries")
    arguments = parser.parse_args()
    problem = Problem.of(arguments.queries, arguments.results, arguments.seed)
    queries = float(np.mean([_to_background(problem, query) for query in problem.queries]))
    methods = {"axon": ours(problem)}
    if find_spec("dice_ml") is not None:
        methods |= {f"dice_{name}": dice(problem, name) for name in ("random", "genetic")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answers = answered(problem, methods)
    result: dict[str, object] = {"plausibility_of_queries": queries}
    result |= {name: judged(problem, each) for name, each in answers.items()}
    if find_spec("axon_backend_onnx") is not None:
        result["windows_64x128"] = windows()
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
