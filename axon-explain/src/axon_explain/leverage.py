"""Which coalitions to ask about, where all would be too many.

Shapley values are the solution of a weighted least-squares problem with one row for each coalition. Rows are sampled by
their statistical leverage, in pairs of a coalition and its complement and without replacement, as in Musco & Witter,
"Provably Accurate Shapley Value Estimation via Leverage Score Sampling", ICLR 2025. The leverage of a coalition of k
among n players is 1 / C(n, k), so every size has the same in sum: the sizes share the sample evenly, and those with
fewer coalitions than their share are taken whole.
"""

from __future__ import annotations

from itertools import combinations, islice
from math import comb, lgamma, log

import attrs
import numpy as np
from numpy.typing import NDArray


@attrs.frozen(eq=False)
class Sample:
    """One coalition of each pair: `masks` `[pairs, players]`, the `weights` of their rows, and the share of their size
    that was left out, `missing`: 0 where all of that size are here."""

    masks: NDArray[np.bool_]
    weights: NDArray[np.float64]
    missing: NDArray[np.float64]


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
