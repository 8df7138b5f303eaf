"""Counterfactuals are near, few-featured and unlike one another, by the measures of benchmarks/counterfactuals.py."""

from __future__ import annotations

import runpy
from types import SimpleNamespace

import numpy as np
import pytest


@pytest.fixture(scope="module")
def benchmark(root):
    return SimpleNamespace(**runpy.run_path(str(root / "benchmarks" / "counterfactuals.py")))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_four_counterfactuals_of_twelve_features_are_as_good_as_promised(benchmark, seed):
    problem = benchmark.Problem.of(20, 4, seed)
    problem.network.rows = 0
    answers = benchmark.answered(problem, {"axon": benchmark.ours(problem)}, rounds=1)
    measured = benchmark.judged(problem, answers["axon"])
    assert measured["validity"] == 1.0
    assert measured["changed"] <= 1.5
    assert measured["l1_mad"] <= 0.26
    assert measured["diversity"] >= 0.5
    assert measured["most_rows"] <= 2048


def test_the_measures_are_what_they_say(benchmark):
    problem = benchmark.Problem.of(2, 2)
    first, second = problem.queries[0].copy(), problem.queries[0].copy()
    first[3] += 2.0 * problem.mad[3]
    second[[3, 5]] -= problem.mad[[3, 5]]
    answers = benchmark.Answers(
        [np.stack([first, second]), np.empty((0, benchmark.FEATURES))], rows=[1, 1], times=[[1.0, 9.0, 2.0], [4.0]]
    )
    measured = benchmark.judged(problem, answers)
    assert measured["validity"] <= 0.5  # nothing at all for the second query
    assert measured["changed"] == 1.5
    assert measured["l1_mad"] == pytest.approx(2.0 / 12)
    assert measured["diversity"] == 0.5
    assert measured["diversity_l1"] == pytest.approx(4.0 / 12)
    assert measured["ms"] == 3.0
