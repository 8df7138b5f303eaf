"""Shapley values of many players: a regression over sampled coalitions.

Shapley values are the solution of a weighted least-squares problem with one row for each coalition (Charnes et al.,
1988; KernelSHAP, Lundberg & Lee, 2017). The rows are sampled by their statistical leverage, in pairs of a coalition and
its complement and without replacement, as in Musco & Witter, "Provably Accurate Shapley Value Estimation via Leverage
Score Sampling", ICLR 2025. The leverage of a coalition of k among n players is 1 / C(n, k), the same for every size in
sum: so the sizes share the sample evenly, and those with fewer coalitions than their share are taken whole.
"""

from __future__ import annotations

from itertools import combinations, islice
from math import comb, lgamma, log

import attrs
import numpy as np
from numpy.typing import NDArray

from axon_explain.game import Game


@attrs.frozen(eq=False)
class Sample:
    """One coalition of each pair: `masks` `[pairs, players]`, the `weights` of their rows, and the share of their size
    that was left out, `missing`: 0 where all of that size are here."""

    masks: NDArray[np.bool_]
    weights: NDArray[np.float64]
    missing: NDArray[np.float64]


@attrs.frozen(eq=False)
class Solution:
    """Importances `[players]`, and their standard error as the root of its mean square."""

    importances: NDArray[np.float64]
    error: float


def sampled(game: Game, base: float, score: float, budget: int, seed: int) -> Solution:
    """Shapley values from `budget` coalitions, nobody and everybody among them."""
    sample = draw(len(game), (budget - 2) // 2, np.random.default_rng(seed))
    values = game.values(np.concatenate([sample.masks, ~sample.masks]))
    pairs = len(sample.masks)
    return solve(sample, values[:pairs], values[pairs:], base, score)


def draw(players: int, pairs: int, rng: np.random.Generator) -> Sample:
    """`pairs` coalitions of at most half the players, no two the same, or all if there are no more."""
    counts = allocate(players, pairs, rng)
    masks, weights, missing = [], [], []
    for size, count in enumerate(counts, start=1):
        if count == 0:
            continue
        half = 2 * size == players
        masks.append(_distinct(players, size, count, rng, half=half))
        # C(n, k) of the kernel's weight and of the probability of being sampled cancel out.
        weights.append(np.full(count, (0.5 if half else 1.0) / (count * size * (players - size))))
        missing.append(np.full(count, -np.expm1(min(0.0, log(count) - _log_pairs(players, size)))))
    return Sample(np.concatenate(masks), np.concatenate(weights), np.concatenate(missing))


def allocate(players: int, pairs: int, rng: np.random.Generator) -> list[int]:
    """How many pairs of each size from 1 to half the players; their inclusion probabilities are kept as logarithms."""
    sizes = range(1, players // 2 + 1)
    # Complements double what a size stands for, except in the middle.
    units = [0.5 if 2 * size == players else 1.0 for size in sizes]
    counts: list[int] = []
    left, open_units = pairs, sum(units)
    for size, unit in zip(sizes, units, strict=True):
        share = left * unit / open_units
        if left == 0 or _log_pairs(players, size) > log(share) + 1e-9:
            break
        counts.append(min(left, _pairs(players, size)))
        left -= counts[-1]
        open_units -= unit
    shares = np.array(units[len(counts) :])
    if len(shares):
        ends = np.floor(np.cumsum(shares) * (left / shares.sum()) + rng.random()).astype(int)
        ends[-1] = left  # which the offset may have rounded up
        counts += np.diff(ends, prepend=0).tolist()
    return counts


def solve(
    sample: Sample, ahead: NDArray[np.float64], behind: NDArray[np.float64], base: float, score: float
) -> Solution:
    """Importances that add up to `score - base`, from the values of coalitions (`ahead`) and complements (`behind`).

    Under that constraint both rows of a pair say the same about the importances, so each pair is one row. The error is
    that of a sandwich estimate: each row's residual, as if that row had been left out, by what the row weighs; rows of
    sizes that are here in full cannot have been others, and add none.
    """
    players = sample.masks.shape[1]
    share = (score - base) / players
    if len(sample.masks) == 0:
        return Solution(np.full(players, share), 0.0)
    sizes = sample.masks.sum(axis=1)
    root = np.sqrt(sample.weights * (players * players))
    rows = (sample.masks - (sizes / players)[:, None]) * root[:, None]
    aims = ((ahead - behind + score - base) / 2 - sizes * share) * root
    left, singular, right = np.linalg.svd(rows, full_matrices=False)
    kept = singular > singular[0] * 1e-10  # one direction, a shift of all, is the constraint's
    left, singular, right = left[:, kept], singular[kept], right[kept]
    importances = share + right.T @ (left.T @ aims / singular)
    leverage = np.minimum(np.sum(left**2, axis=1), 1.0 - 1e-6)
    residuals = (aims - left @ (left.T @ aims)) / (1.0 - leverage)
    influence = np.sum((left / singular) ** 2, axis=1)
    variance = float(np.sum(sample.missing * influence * residuals**2))
    return Solution(importances, (variance / players) ** 0.5)


def _log_pairs(players: int, size: int) -> float:
    """The logarithm of how many pairs have a coalition of `size`."""
    return _log_comb(players, size) - (log(2) if 2 * size == players else 0.0)


def _log_comb(players: int, size: int) -> float:
    return lgamma(players + 1) - lgamma(size + 1) - lgamma(players - size + 1)


def _pairs(players: int, size: int) -> int:
    return comb(players, size) // (2 if 2 * size == players else 1)


def _distinct(players: int, size: int, count: int, rng: np.random.Generator, *, half: bool) -> NDArray[np.bool_]:
    """`count` different coalitions of one size, each as likely as any other; of complements only one if `half`."""
    if half:  # the one that has the first player
        rest = _distinct(players - 1, size - 1, count, rng, half=False)
        return np.concatenate([np.ones((count, 1), bool), rest], axis=1)
    if _log_comb(players, size) < log(4 * count):
        return _chosen(players, size, count, rng)
    found: dict[bytes, NDArray[np.bool_]] = {}
    while len(found) < count:
        masks = np.zeros((count - len(found), players), bool)
        np.put_along_axis(masks, rng.random(masks.shape).argsort(axis=1)[:, :size], True, axis=1)
        found |= {packed.tobytes(): mask for packed, mask in zip(np.packbits(masks, axis=1), masks, strict=True)}
    return np.array(list(found.values()))


def _chosen(players: int, size: int, count: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """The same where a good part of them is wanted: picked from the list of all."""
    every = list(islice(combinations(range(players), size), 4 * count + 1))
    picked = rng.choice(len(every), count, replace=False) if count < len(every) else np.arange(count)
    masks = np.zeros((count, players), bool)
    for row, number in enumerate(picked):
        masks[row, list(every[number])] = True
    return masks
