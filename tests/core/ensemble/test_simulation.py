"""Following performance pays on simulated members: a smaller run of benchmarks/ensemble_simulation.py."""

from __future__ import annotations

import runpy

import pytest


@pytest.fixture(scope="module")
def result(root):
    simulation = runpy.run_path(str(root / "benchmarks" / "ensemble_simulation.py"))
    strategies = {name: simulation["STRATEGIES"][name] for name in ("uniform", "best-only", "softmax-sharpe")}
    return simulation["simulate"](20, 2_000, strategies)


@pytest.mark.parametrize("other", ["uniform", "best-only"])
def test_softmax_sharpe_beats_it_in_the_median_after_costs(result, other):
    assert result["softmax-sharpe"]["net_sharpe_median"] > result[other]["net_sharpe_median"]
    assert result[other]["softmax_sharpe_better_by_median"] > 0.0


def test_its_turnover_stays_low(result):
    assert 0.0 < result["softmax-sharpe"]["turnover_max"] <= 0.03
    assert result["best-only"]["turnover_mean"] > 3 * result["softmax-sharpe"]["turnover_mean"]
    assert result["uniform"]["turnover_max"] == 0.0
