"""Shapley values as a regression (Charnes et al., 1988; KernelSHAP, Lundberg & Lee, 2017) over sampled coalitions."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from axon_explain.leverage import Sample


@attrs.frozen(eq=False)
class Solution:
    """Importances `[players]`, and their standard error as the root of its mean square."""

    importances: NDArray[np.float64]
    error: float


def solve(sample: Sample, odd: NDArray[np.float64], difference: float) -> Solution:
    """Importances that add up to `difference`, the score less the base.

    `odd` `[pairs]` is half of what each pair's coalition is worth more than its complement: under that constraint both
    rows of a pair say the same about the importances, so each pair is one row. The error is that of a sandwich
    estimate: each row's residual, as if that row had been left out, by what the row weighs; rows of sizes that are here
    in full cannot have been others, and add none.
    """
    players = sample.masks.shape[1]
    share = difference / players
    if len(sample.masks) == 0:
        return Solution(np.full(players, share), 0.0)
    sizes = sample.masks.sum(axis=1)
    root = np.sqrt(sample.weights * (players * players))
    rows = (sample.masks - (sizes / players)[:, None]) * root[:, None]
    aims = (odd + difference / 2 - sizes * share) * root
    left, singular, right = np.linalg.svd(rows, full_matrices=False)
    kept = singular > singular[0] * 1e-10  # one direction, a shift of all, is the constraint's
    left, singular, right = left[:, kept], singular[kept], right[kept]
    importances = share + right.T @ (left.T @ aims / singular)
    leverage = np.minimum(np.sum(left**2, axis=1), 1.0 - 1e-6)
    residuals = (aims - left @ (left.T @ aims)) / (1.0 - leverage)
    influence = np.sum((left / singular) ** 2, axis=1)
    variance = float(np.sum(sample.missing * influence * residuals**2))
    return Solution(importances, (variance / players) ** 0.5)
