"""Shapley values of single cells from gradients: thousands of players, which no sample of coalitions could tell apart.

Let each cell be known with probability q. The mean score then has a derivative by each cell's probability, and its mean
over q from 0 to 1 is the cell's Shapley value (Owen's multilinear extension). Here what a cell adds is taken from the
gradient of the score at both ends, known and not known. That is exact for scores that are at most quadratic in each
cell, and an approximation for others; the additivity gap shows how good.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from axon_explain.background import Background
from axon_explain.game import Game
from axon_explain.regression import Solution
from axon_explain.subject import Floats, Subject

_CHUNK = 1 << 20
"""Numbers per call, as in the game."""


def mask_gradient(
    subject: Subject, game: Game, x: Floats, background: Background, masks: int, seed: int, difference: float
) -> Solution:
    """`[cells]`, from gradients at `masks` coalitions of cells and each background row.

    Masks come in pairs with their complements, at probabilities q that are spread evenly. The error is the standard
    error over the pairs, and as much more as the gap to `difference`, the score less the base, shows.
    """
    pairs = max(2, masks // 2)
    rng = np.random.default_rng(seed)
    chances = (np.arange(pairs) + rng.random(pairs)) / pairs
    total, squares = np.zeros(x.size), np.zeros(x.size)
    step = max(1, _CHUNK // (2 * x.size * len(background)))
    for first in range(0, pairs, step):
        known = rng.random((min(step, pairs - first), x.size)) < chances[first : first + step, None]
        found = (_credit(subject, game, x, background, known) + _credit(subject, game, x, background, ~known)) / 2
        total += found.sum(axis=0)
        squares += (found * found).sum(axis=0)
    mean = total / pairs
    variance = float(np.maximum(0.0, squares / pairs - mean * mean).mean()) / (pairs - 1)
    bias = (difference - float(mean.sum())) / x.size
    return Solution(mean, (variance + bias * bias) ** 0.5)


def _credit(
    subject: Subject, game: Game, x: Floats, background: Background, known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """`[masks, cells]`: the gradient times the way from a background row to the observation, the mean over the rows."""
    cells = x.ravel()
    total = np.zeros(known.shape)
    step = max(1, _CHUNK // known.size)
    rows = background.rows.reshape(len(background), -1)
    for first in range(0, len(rows), step):
        block = rows[first : first + step]
        mixed = np.where(known[:, None], cells, block)
        slope = subject.gradients(mixed.reshape(-1, *x.shape), game.output).reshape(mixed.shape)
        total += np.einsum("mrc,rc->mc", slope, cells - block.astype(np.float64))
    return total / len(rows)
