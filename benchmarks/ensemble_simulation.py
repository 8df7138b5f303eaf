"""What following performance is worth on simulated members: prints JSON.

    python benchmarks/ensemble_simulation.py [--seeds N] [--steps N]

Five members trade the same market (their returns share a factor: correlation 0.3), with 1 % volatility a step. Each has
its skill, a Sharpe ratio per step, for a while, 750 steps in the mean; then it draws another, normal around 0.03 with a
deviation of 0.06. Every strategy sees the returns up to a step and earns the next ones with its weights, less 1 bp of
every unit of weight it trades. Sharpe ratios are per year of 252 steps. `turnover` is the part of the weight that moves
in a step, half of what is traded.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from math import sqrt
from statistics import median

import numpy as np
from numpy.typing import NDArray

from axon_quant.ensemble import DynamicWeightedEnsemble

MEMBERS, WINDOW = 5, 64
VOLATILITY, SHARED, COST = 0.01, 0.3, 1e-4
REGIME, SKILL, SPREAD = 750.0, 0.03, 0.06
STRATEGIES: Mapping[str, Mapping[str, object]] = {
    "uniform": {"strategy": "soft-voting"},
    "best-only": {"strategy": "softmax-sharpe", "temperature": 1e-6, "smoothing": 1.0, "floor": 0.0, "cap": 1.0},
    "softmax-sharpe": {"strategy": "softmax-sharpe"},
    "hedge": {"strategy": "hedge"},
    "adahedge": {"strategy": "adahedge"},
    "boa": {"strategy": "boa"},
    "ml-poly": {"strategy": "ml-poly"},
    "inverse-variance": {"strategy": "inverse-variance"},
}
"""Name → options of the ensemble. `best-only` follows whoever has the best Sharpe ratio over the window."""


def members(seed: int, steps: int) -> NDArray[np.float64]:
    """Returns `[steps, members]`."""
    rng = np.random.default_rng(seed)
    skill = np.empty((steps, MEMBERS))
    for member in range(MEMBERS):
        start = 0
        while start < steps:
            stop = start + 1 + int(rng.exponential(REGIME))
            skill[start:stop, member] = rng.normal(SKILL, SPREAD)
            start = stop
    factor, own = rng.standard_normal((steps, 1)), rng.standard_normal((steps, MEMBERS))
    return VOLATILITY * (skill + sqrt(SHARED) * factor + sqrt(1.0 - SHARED) * own)


def play(returns: NDArray[np.float64], options: Mapping[str, object]) -> tuple[float, float]:
    """Net Sharpe ratio per year, and turnover per step, from the second window on."""
    ensemble = DynamicWeightedEnsemble([lambda _: [1.0, 0.0, 0.0]] * MEMBERS, None, WINDOW, **options)
    earned, traded = [], []
    for row in returns.tolist():
        before = ensemble.weights
        gained = sum(weight * value for weight, value in zip(before, row, strict=True))
        for index, value in enumerate(row):
            ensemble.record_return(index, value)
        moved = sum(abs(new - old) for new, old in zip(ensemble.weights, before, strict=True))
        earned.append(gained - COST * moved)
        traded.append(moved / 2.0)
    net = np.array(earned[WINDOW:])
    return float(net.mean() / net.std(ddof=1) * sqrt(252.0)), float(np.mean(traded[WINDOW:]))


def simulate(seeds: int, steps: int, strategies: Mapping[str, Mapping[str, object]] = STRATEGIES) -> dict[str, object]:
    """Every strategy on the same members, seed by seed."""
    found = {name: [play(members(seed, steps), each) for seed in range(seeds)] for name, each in strategies.items()}
    ours = [sharpe for sharpe, _ in found["softmax-sharpe"]]
    result: dict[str, object] = {"seeds": seeds, "steps": steps, "window": WINDOW}
    for name, pairs in found.items():
        sharpes = [sharpe for sharpe, _ in pairs]
        result[name] = {
            "net_sharpe_median": round(median(sharpes), 3),
            "turnover_mean": round(float(np.mean([moved for _, moved in pairs])), 4),
            "turnover_max": round(max(moved for _, moved in pairs), 4),
            "softmax_sharpe_better_by_median": round(median(a - b for a, b in zip(ours, sharpes, strict=True)), 3),
            "softmax_sharpe_better_in": sum(a > b for a, b in zip(ours, sharpes, strict=True)),
        }
    return result


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--steps", type=int, default=3_000)
    arguments = parser.parse_args()
    print(json.dumps(simulate(arguments.seeds, arguments.steps), indent=2))


if __name__ == "__main__":
    main()
