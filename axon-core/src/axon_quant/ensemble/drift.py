"""Finding that a stream of numbers, or of observations, no longer is what it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import fsum, inf, isfinite, sqrt
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from axon_quant.ensemble.options import require
from axon_quant.ensemble.remembering import Remembering
from axon_quant.errors import EnsembleError

LARGEST_CORRELATION = 0.99
"""Between neighbours; a stream that remembers more than that is taken to remember this much."""


class Detector(Protocol):
    """Watches one stream of numbers. One that has `reset()` gets it called when a member is tried again, and one that
    is Stateful is saved with the ensemble."""

    def update(self, value: float, /) -> bool:
        """Take the next number; true when it shows that the stream has drifted."""
        ...


class Cusum(Remembering):
    """Two-sided cumulative sums: finds that the mean of a stream has moved, and by little if it stays so.

    The first `warmup` numbers tell mean, deviation and correlation of neighbours. From then on each number's surprise
    (what the one before it does not explain, in deviations, at most ±`clip` so that no outlier is a drift) less `slack`
    is summed up on either side, and a sum above `threshold` is a drift: `update` returns True once, and again only
    after the sum was back at 0. `drifting` tells whether it lasts. `reset` sets the sums to 0 and keeps what the
    warm-up told.

    With the defaults, independent normal numbers give no false alarm in 400,000 (`benchmarks/drift.py`), and a move by
    one deviation is found after about 40. Neighbours that are correlated, as the confidence over windows that overlap
    is, make it slower instead of jumpier: with a correlation φ a move counts for √((1 - φ) / (1 + φ)) of itself. The
    longer a stream remembers, the longer a warm-up it needs: 1000 for a φ of 0.95. Raises EnsembleError for options out
    of range and for numbers that are not finite.
    """

    _remembered: ClassVar[Mapping[str, Any]] = {
        "_seen": list[float],
        "_mean": float,
        "_sigma": float,
        "_correlation": float,
        "_before": float,
        "_up": float,
        "_down": float,
        "drifting": bool,
    }
    _grows: ClassVar[bool] = True

    def __init__(self, *, warmup: int = 500, slack: float = 0.5, threshold: float = 20.0, clip: float = 6.0) -> None:
        _check(warmup, slack, threshold, clip)
        self._warmup, self._slack, self._threshold, self._clip = warmup, slack, threshold, clip
        self._seen: list[float] = []
        self._mean = self._sigma = self._correlation = self._before = 0.0
        self._up = self._down = 0.0
        self.drifting = False

    def update(self, value: float, /) -> bool:
        """Take the next number; true when a drift is found."""
        if not isfinite(value):
            raise EnsembleError(f"a drift detector got {value}, expected a finite number")
        if not self._sigma:
            self._learn(value)
            return False
        distance = value - self._mean
        surprise = (distance - self._correlation * self._before) / self._sigma
        self._before = distance
        surprise = min(max(surprise, -self._clip), self._clip)
        up = self._up = max(self._up + surprise - self._slack, 0.0)
        down = self._down = max(self._down - surprise - self._slack, 0.0)
        if up > self._threshold or down > self._threshold:
            self._up, self._down = min(up, self._threshold), min(down, self._threshold)
            found, self.drifting = not self.drifting, True
            return found
        if self.drifting and not (up or down):
            self.drifting = False
        return False

    def reset(self) -> None:
        """Forget the sums."""
        self._up = self._down = 0.0
        self.drifting = False

    def _learn(self, value: float) -> None:
        seen = self._seen
        seen.append(value)
        if len(seen) < self._warmup:
            return
        mean = fsum(seen) / len(seen)
        distances = [number - mean for number in seen]
        squares = fsum(d * d for d in distances)
        products = fsum(a * b for a, b in pairwise(distances))
        ratio = products / squares if squares > 0.0 else 0.0
        correlation = min(max(ratio + (1.0 + 3.0 * ratio) / len(seen), 0.0), LARGEST_CORRELATION)  # Kendall's bias
        sigma = sqrt(squares / (len(seen) - 1) * (1.0 - correlation**2))
        # A stream that never moved drifts with any move that stays, yet not with a rounding error.
        self._mean, self._sigma = mean, max(sigma, 1e-9 * abs(mean), 1e-300)
        self._correlation, self._before = correlation, distances[-1]
        self._seen = []


class FeatureCusum:
    """`Cusum` for every feature of an observation at once, to watch inputs: not per decision, but beside it.

    `update` takes a row `[features]`, or an observation `[…, features]` of which the last row counts (windows overlap),
    and returns True when a feature begins to drift. `drifting` are the indexes of those that do now.

    The threshold is higher than that of one `Cusum`, because there are many features to be wrong about. Raises
    EnsembleError for options out of range, another number of features, and numbers that are not finite.
    """

    def __init__(
        self, features: int, *, warmup: int = 500, slack: float = 0.5, threshold: float = 25.0, clip: float = 6.0
    ) -> None:
        require(features >= 1, "features", features, "at least 1")
        _check(warmup, slack, threshold, clip)
        self._warmup, self._slack, self._threshold, self._clip = warmup, slack, threshold, clip
        self._features = features
        self._seen: list[NDArray[np.float64]] = []
        self._mean = self._scale = self._correlation = self._before = np.zeros(features)
        self._ready = False
        self._up, self._down = np.zeros(features), np.zeros(features)
        self._drifting = np.zeros(features, bool)

    @property
    def drifting(self) -> tuple[int, ...]:
        """Indexes of the features that drift."""
        return tuple(np.flatnonzero(self._drifting).tolist())

    def update(self, observation: Sequence[float] | NDArray[np.floating[Any]], /) -> bool:
        """Take the newest row; true when a further feature drifts."""
        values = np.asarray(observation, np.float64)
        if values.ndim > 1:
            values = values[(-1,) * (values.ndim - 1)]
        if values.shape != (self._features,):
            raise EnsembleError(f"a drift detector of {self._features} features got {values.shape[-1:]} of them")
        if not isfinite(values.sum()):
            raise EnsembleError("a drift detector got numbers that are not finite")
        if not self._ready:
            self._learn(values)
            return False
        distance = values - self._mean
        surprise = (distance - self._correlation * self._before) * self._scale
        self._before = distance
        np.clip(surprise, -self._clip, self._clip, out=surprise)
        self._up += surprise
        self._up -= self._slack
        np.maximum(self._up, 0.0, out=self._up)
        self._down -= surprise
        self._down -= self._slack
        np.maximum(self._down, 0.0, out=self._down)
        larger = np.maximum(self._up, self._down)
        beyond = larger > self._threshold
        if not beyond.any():
            if self._drifting.any():
                self._drifting &= larger > 0.0
            return False
        np.minimum(self._up, self._threshold, out=self._up)
        np.minimum(self._down, self._threshold, out=self._down)
        found = bool((beyond & ~self._drifting).any())
        self._drifting = (self._drifting & (larger > 0.0)) | beyond
        return found

    def reset(self) -> None:
        """Forget the sums, and keep what the warm-up told."""
        self._up, self._down = np.zeros(self._features), np.zeros(self._features)
        self._drifting = np.zeros(self._features, bool)

    def _learn(self, values: NDArray[np.float64]) -> None:
        self._seen.append(values)
        if len(self._seen) < self._warmup:
            return
        seen = np.array(self._seen)
        self._mean = seen.mean(axis=0)
        distances = seen - self._mean
        squares = np.square(distances).sum(axis=0)
        products = (distances[1:] * distances[:-1]).sum(axis=0)
        ratio = np.divide(products, squares, out=np.zeros_like(squares), where=squares > 0.0)
        self._correlation = np.clip(ratio + (1.0 + 3.0 * ratio) / len(seen), 0.0, LARGEST_CORRELATION)
        sigma = np.sqrt(squares / (len(seen) - 1) * (1.0 - self._correlation**2))
        self._scale = 1.0 / np.maximum(np.maximum(sigma, 1e-9 * np.abs(self._mean)), 1e-300)
        self._before = distances[-1]
        self._ready = True
        self._seen = []


def _check(warmup: int, slack: float, threshold: float, clip: float) -> None:
    require(warmup >= 10, "warmup", warmup, "at least 10")
    require(0.0 <= slack < inf, "slack", slack, "a number of at least 0")
    require(0.0 < threshold < inf, "threshold", threshold, "a positive number")
    require(slack < clip < inf, "clip", clip, f"above the slack of {slack}")
