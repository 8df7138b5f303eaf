"""What an ensemble costs beyond its members: prints JSON, times in microseconds.

    python benchmarks/ensemble.py

`predict` runs members that return a prepared answer; the overhead is what is left after calling those alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import numpy as np

from axon_quant.clock import SimClock
from axon_quant.ensemble import DynamicWeightedEnsemble
from axon_quant.events import Event
from axon_quant.inference.scorer import as_scorer

ACTIONS = ("buy", "sell", "hold")
CALLS = 20_000
REPEATS = 5


def measure(function: Callable[[], object], calls: int = CALLS) -> float:
    """Microseconds per call, the best of several repeats: the machine's noise only adds."""
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter_ns()
        for _ in range(calls):
            function()
        best = min(best, (time.perf_counter_ns() - start) / calls / 1000)
    return best


def member(seed: int) -> Callable[[object], np.ndarray]:
    """A model that answers at once with float32 logits, as a backend does."""
    row = np.random.default_rng(seed).normal(size=(1, 3)).astype(np.float32)
    return lambda _: row


def predict(members: int, strategy: str) -> dict[str, float]:
    """The cost of one decision."""
    models = [member(seed) for seed in range(members)]
    ensemble = DynamicWeightedEnsemble(models, actions=ACTIONS, strategy=strategy)
    scorers = [as_scorer(model, ACTIONS) for model in models]
    x = np.zeros((1, 64, 128), np.float32)
    total = measure(lambda: ensemble.predict(x))
    raw = measure(lambda: [model(x) for model in models])
    scored = measure(lambda: [scorer.score(x) for scorer in scorers])
    return {
        "total_us": total,
        "models_alone_us": raw,
        "scorers_us": scored,
        "beyond_models_us": total - raw,
        "beyond_scorers_us": total - scored,
    }


def weights(members: int) -> dict[str, float]:
    """The cost of moving the weights: by hand, and by one round of realised returns."""
    events: list[Event] = []
    ensemble = DynamicWeightedEnsemble(
        [member(seed) for seed in range(members)], actions=ACTIONS, emit=events.append, clock=SimClock()
    )
    returns = np.random.default_rng(7).normal(0.0, 1e-3, (1000, members)).tolist()
    performances = [0.01 * k for k in range(members)]

    def replay() -> None:
        for row in returns:
            for index, value in enumerate(row):
                ensemble.record_return(index, value)

    return {
        "update_weights_us": measure(lambda: ensemble.update_weights(performances=performances), 2_000),
        "round_of_returns_us": measure(replay, 1) / len(returns),
    }


def main() -> None:
    """Measure and print."""
    result: dict[str, object] = {
        f"predict_{strategy}_{members}": predict(members, strategy)
        for strategy in ("softmax-sharpe", "weighted-voting")
        for members in (2, 5)
    }
    result |= {f"weights_{members}": weights(members) for members in (2, 5)}
    print(json.dumps(result, indent=2, default=float))


if __name__ == "__main__":
    main()
