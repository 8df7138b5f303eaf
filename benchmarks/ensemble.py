"""What an ensemble costs beyond its members: prints JSON, times in microseconds.

    python benchmarks/ensemble.py

`predict` runs members that look like a Backend and return a prepared answer; the overhead is what is left after calling
their `infer` alone. Each figure is the best of many short batches, because a machine's noise only ever adds.
"""

from __future__ import annotations

import json
import timeit
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np

from axon_quant.clock import SimClock
from axon_quant.ensemble import Cusum, DynamicWeightedEnsemble, StackingFit
from axon_quant.events import Event, ModelIdentity
from axon_quant.inference.scorer import as_scorer

BATCH = 2_000
BATCHES = 60


def measure(function: Callable[[], object], calls: int = BATCH) -> float:
    """Microseconds per call."""
    return min(timeit.repeat(function, number=calls, repeat=BATCHES)) / calls * 1e6


class Instant:
    """A backend that answers at once."""

    def __init__(self, seed: int) -> None:
        self._row = np.random.default_rng(seed).normal(size=(1, 3)).astype(np.float32)
        self._model = SimpleNamespace(
            name=f"m{seed}",
            actions=("buy", "sell", "hold"),
            output_dim=3,
            input_shape=(1, 64, 128),
            identity=ModelIdentity(f"m{seed}", 1, "0" * 64),
        )

    @property
    def model(self) -> SimpleNamespace:
        """What serves."""
        return self._model

    def infer(self, _: object) -> np.ndarray:
        """The prepared answer."""
        return self._row


def predict(members: int, strategy: str, **options: object) -> dict[str, float]:
    """The cost of one decision."""
    models = [Instant(seed) for seed in range(members)]
    ensemble = DynamicWeightedEnsemble(models, strategy=strategy, emit=lambda _: None, **options)
    scorers = [as_scorer(model) for model in models]
    x = np.zeros((1, 64, 128), np.float32)
    total = measure(lambda: ensemble.predict(x))
    raw = measure(lambda: [model.infer(x) for model in models])
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
    ensemble = DynamicWeightedEnsemble(list(map(Instant, range(members))), emit=events.append, clock=SimClock())
    returns = np.random.default_rng(7).normal(0.0, 1e-3, (1_000, members)).tolist()
    performances = [0.01 * k for k in range(members)]

    def replay() -> None:
        for row in returns:
            for index, value in enumerate(row):
                ensemble.record_return(index, value)

    return {
        "update_weights_us": measure(lambda: ensemble.update_weights(performances=performances)),
        "round_of_returns_us": measure(replay, 1) / len(returns),
    }


def main() -> None:
    """Measure and print."""
    result: dict[str, object] = {
        f"predict_{strategy}_{members}": predict(members, strategy)
        for strategy in ("softmax-sharpe", "weighted-voting")
        for members in (2, 5)
    }
    result["predict_stacking_5"] = predict(5, "stacking", fit=StackingFit([1.0] * 5))
    result["predict_softmax-sharpe_5_watched"] = predict(5, "softmax-sharpe", drift=Cusum, retry_after=100)
    result |= {f"weights_{members}": weights(members) for members in (2, 5)}
    print(json.dumps(result, indent=2, default=float))


if __name__ == "__main__":
    main()
