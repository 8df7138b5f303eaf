"""What a least-squares fit of the importances leaves over, explained by interactions.

The regression takes a model's interactions for noise, although it sees them without any: a model gives the same score
twice. Here the odd part of the game (pairs leave no other) is a linear function, whose coefficients are free, plus a
Gaussian process over coalitions, in which interactions of many players are less likely than those of few. Its posterior
mean has Shapley values in closed form, because an interaction of some players shares its effect evenly among them. The
error is that of the posterior. Where there are no interactions, nothing is changed.
"""

from __future__ import annotations

from functools import cache
from math import lgamma, log, log1p

import attrs
import numpy as np
from numpy.typing import NDArray

from axon_explain.leverage import Sample
from axon_explain.regression import Solution

MOST = 4_096
"""Pairs up to which this is worth its time, a second; it grows with their cube."""
_TUNED_ON = 512
"""Pairs from which the spread of the interactions is found."""
_SPREADS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Tried values of players × ρ, the mean number of players in an interaction, roughly."""
_NUGGET = 1e-9
"""Share of the variance that is rounding."""

Matrix = NDArray[np.float64]


def krige(sample: Sample, odd: Matrix, plain: Solution, difference: float) -> Solution:
    """A better solution than `plain`, from half the difference that each pair's coalition makes to its complement.

    `odd` `[pairs]`; `difference` is the score less the base, what the importances add up to.
    """
    players = sample.masks.shape[1]
    # Everybody against nobody is a pair, too.
    signs = np.concatenate([np.ones((1, players)), 2.0 * sample.masks - 1.0])
    left = np.concatenate([[difference / 2], odd]) - signs @ plain.importances / 2
    if not np.abs(left).max() > 1e-12 * np.abs(odd).max():
        return plain
    some = np.linspace(0, len(signs) - 1, min(len(signs), _TUNED_ON)).astype(int)
    fit = _fit(signs, left, _likeliest(signs[some], left[some]))
    importances = plain.importances + fit.importances
    importances += (difference - importances.sum()) / players
    return Solution(importances, float(np.sqrt(fit.variance)))


@attrs.frozen(eq=False)
class _Fit:
    """`variance` is that of the importances, on average; `likelihood` the logarithm of the restricted one."""

    importances: Matrix
    variance: float
    likelihood: float


def _likeliest(signs: Matrix, left: Matrix) -> float:
    """The spread of the highest likelihood, found uphill from the middle."""
    likelihood = {len(_SPREADS) // 2: _fit(signs, left, _SPREADS[len(_SPREADS) // 2]).likelihood}
    while True:
        best = max(likelihood, key=lambda place: likelihood[place])
        beside = [place for place in (best - 1, best + 1) if 0 <= place < len(_SPREADS) and place not in likelihood]
        if not beside:
            return _SPREADS[best]
        for place in beside:
            likelihood[place] = _fit(signs, left, _SPREADS[place]).likelihood


def _fit(signs: Matrix, left: Matrix, spread: float) -> _Fit:
    count, players = signs.shape
    rho = min(spread / players, 0.9)
    kernel = _kernel(players, rho)
    apart = np.rint((players - signs @ signs.T) / 2).astype(np.intp)
    covariance = kernel[apart]
    covariance[np.diag_indices(count)] += _NUGGET * kernel[0]
    # One factorisation of the bordered matrix divides the border by the factor, too; its corner only has to be large.
    border = np.concatenate([signs, left[:, None], _shared(signs, rho)], axis=1)
    size = count + border.shape[1]
    whole = np.zeros((size, size))
    whole[:count, :count] = covariance
    whole[count:, :count] = border.T
    corner = 1e3 / _NUGGET * (np.sum(border * border, axis=0) / kernel[0] + 1.0)
    whole[np.arange(count, size), np.arange(count, size)] = corner
    factor = np.linalg.cholesky(whole)
    linear, values, shared = np.split(factor[count:, :count].T, [players, players + 1], axis=1)
    basis, triangle = np.linalg.qr(linear)
    rest = values[:, 0] - basis @ (basis.T @ values[:, 0])
    scale = float(rest @ rest) / (count - players)
    diagonals = np.log(np.diag(factor)[:count]).sum() + np.log(np.abs(np.diag(triangle))).sum()
    slope = np.linalg.solve(triangle, basis.T @ values[:, 0])
    # What the free coefficients add to the variance of each importance, 2 × its coefficient.
    doubt = np.linalg.solve(triangle.T, 2.0 * np.eye(players) - linear.T @ shared)
    variances = _prior(players, rho) - np.sum(shared**2, axis=0) + np.sum(doubt**2, axis=0)
    return _Fit(
        importances=2.0 * slope + shared.T @ rest,
        variance=scale * max(0.0, float(variances.mean())),
        likelihood=-float((count - players) / 2 * np.log(scale + 1e-300) + diagonals),
    )


def _kernel(players: int, rho: float) -> Matrix:
    """Covariance by the number of players in which two coalitions differ: that of random interactions of odd numbers of
    players, those of T with variance ρ^T, over (1 + ρ)^players."""
    slope = log1p(-rho) - log1p(rho)
    apart = np.arange(players + 1)
    found: Matrix = (np.exp(slope * apart) - np.exp(slope * (players - apart))) / 2
    return found


def _shared(signs: Matrix, rho: float) -> Matrix:
    """`[coalitions, players]`: covariance of a coalition's value with each importance."""
    players = signs.shape[1]
    points, weights = _quadrature()
    points, weights = points * rho, weights * rho
    ones = np.arange(players)[:, None]  # how many of the other players are in
    more, less = np.log1p(points), np.log1p(-points)
    zeros = players - 1 - ones
    terms = np.exp(ones * more + zeros * less - players * log1p(rho))
    terms += np.exp(ones * less + zeros * more - players * log1p(rho))
    table = terms @ weights
    size = ((signs + 1) / 2).sum(axis=1).astype(np.intp)[:, None]
    found: Matrix = np.where(signs > 0, table[np.maximum(size - 1, 0)], -table[np.minimum(size, players - 1)])
    return found


@cache
def _quadrature() -> tuple[Matrix, Matrix]:
    """Points and weights of Gauss and Legendre on [0, 1]."""
    points, weights = np.polynomial.legendre.leggauss(24)
    return (points + 1) / 2, weights / 2


def _prior(players: int, rho: float) -> float:
    """Variance of an importance before anything is known."""
    total = 0.0
    for many in range(1, players + 1, 2):
        choose = lgamma(players) - lgamma(many) - lgamma(players - many + 1)
        total += 4.0 / many**2 * np.exp(choose + many * log(rho) - players * log1p(rho))
    return float(total)
