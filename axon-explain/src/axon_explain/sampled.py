"""Shapley values of many players, from pairs of coalitions."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from axon_explain.game import Game
from axon_explain.kriging import MOST, krige
from axon_explain.leverage import draw
from axon_explain.regression import Solution, solve


def from_sample(game: Game, base: float, score: float, budget: int, seed: int) -> Solution:
    """Importances from `budget` coalitions, nobody and everybody among them."""
    sample = draw(len(game), (budget - 2) // 2, np.random.default_rng(seed))
    values = game.values(np.concatenate([sample.masks, ~sample.masks]))
    pairs = len(sample.masks)
    odd = (values[:pairs] - values[pairs:]) / 2
    # Matrices this small are up to a hundred times slower on more threads than there are idle cores.
    with threadpool_limits(1, user_api="blas"):
        solution = solve(sample, odd, score - base)
        if not sample.missing.any() or pairs > MOST:
            return solution
        return krige(sample, odd, solution, score - base)
