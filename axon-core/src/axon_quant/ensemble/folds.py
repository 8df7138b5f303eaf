"""Walk-forward folds in which nothing of the future can leak into a fit."""

from __future__ import annotations

from itertools import pairwise

from msgspec import Struct

from axon_quant.ensemble.options import require
from axon_quant.errors import EnsembleError

LEAST_ROWS = 10
"""To fit on, and to judge on."""


class Fold(Struct, frozen=True):
    """One step of walk-forward, in rows: fitted on [0, `train`), judged on [`start`, `stop`)."""

    train: int
    start: int
    stop: int


def walk_forward(rows: int, *, folds: int = 5, horizon: int, embargo: int = 0) -> list[Fold]:
    """Purged folds with embargo over rows in order of time.

    The rows are cut into `folds` + 1 blocks; each but the first is judged by what was fitted before it. The label of
    row t is known at t + `horizon`: rows whose label is not known `embargo` rows before the block begins are purged
    from its fit. An observation that looks back over w rows overlaps with the block when it is later than the block's
    start - w, so `embargo` = w keeps those out as well. Raises EnsembleError for too few rows.
    """
    require(folds >= 2, "folds", folds, "at least 2")
    require(horizon >= 0, "horizon", horizon, "at least 0 rows")
    require(embargo >= 0, "embargo", embargo, "at least 0 rows")
    starts = [rows * number // (folds + 1) for number in range(1, folds + 2)]
    found = [Fold(start - horizon - embargo, start, stop) for start, stop in pairwise(starts)]
    if found[0].train < LEAST_ROWS or min(fold.stop - fold.start for fold in found) < LEAST_ROWS:
        raise EnsembleError(
            f"{rows} rows are too few for {folds} folds with a horizon of {horizon} and an embargo of {embargo}",
            hint=f"there must be {LEAST_ROWS} rows left to fit the first fold on",
        )
    return found
