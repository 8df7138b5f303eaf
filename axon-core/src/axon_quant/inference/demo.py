"""The recipe of the built-in models, whatever format a backend writes them in.

    observation [batch, T, F]
      → two exponential averages over time, a fast and a slow one      [batch, 2, F]
      → four signals, each with both signs, through a Relu             [batch, 8]
      → buy, sell, hold                                                [batch, 3]

`demo-{T}x{F}` follows the flow: it buys when buyers press. `demo-{T}x{F}-reversion` fades short returns. Where the
feature names are known the weight lies on the features that say so; where none is, a seeded generator spreads it. Each
signal is scaled to a spread of one on standardised features, and hold wins while they are weak: a third to half of the
time. They compute nothing worth real money.
"""

from __future__ import annotations

import hashlib
import math
import os
import random
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs

from axon_quant.errors import ConfigError, ModelLoadError
from axon_quant.inference.files import write_whole

DECAYS = (0.55, 0.85)
"""Per row, of the fast and of the slow average."""
GAINS = (0.6, 0.3, 0.25, 0.15)
"""Of the signals: fast, slow, their difference (a change of mind), and texture over all features."""
THRESHOLD = 0.55
"""Score of hold."""
MEMORY = 0.6
"""Assumed correlation of a feature with itself one row before."""
OVERLAP = 0.3
"""Assumed correlation of the features a model looks at with one another."""

_NAME = re.compile(r"demo-(\d{1,5})x(\d{1,5})(-reversion)?")


@attrs.frozen
class DemoName:
    """`demo-64x128-reversion`, taken apart: rows, features, and which of the two models."""

    text: str
    rows: int
    features: int
    reversion: bool

    @classmethod
    def parse(cls, text: str) -> DemoName:
        """Raises ConfigError for a name that is not of this form, or a size of less than 2 rows or 1 feature."""
        match = _NAME.fullmatch(text)
        if match is None or int(match[1]) < 2 or int(match[2]) < 1:
            raise ConfigError(f"built-in models are demo-TxF or demo-TxF-reversion, T ≥ 2 and F ≥ 1, got {text!r}")
        return cls(text, int(match[1]), int(match[2]), match[3] is not None)


@attrs.frozen
class DemoWeights:
    """The numbers of a built-in model: averages `[2, T]`, signals `[8, 2F]`, gains `[8][3]` flat, thresholds `[3]`."""

    demo: DemoName
    averages: list[list[float]]
    signals: list[list[float]]
    gains: list[float]
    thresholds: list[float]


def demo_weights(name: str, feature_names: Sequence[str] | None = None) -> DemoWeights:
    """What a built-in model consists of; `feature_names` in the order of the observation's columns.

    Deterministic on every platform: additions, multiplications, divisions and square roots only, and a Mersenne
    twister. Raises ConfigError for an unknown name, or another number of feature names than the name says.
    """
    demo = DemoName.parse(name)
    if feature_names is not None and len(feature_names) != demo.features:
        raise ConfigError(f"{name} looks at {demo.features} features, {len(feature_names)} names were given")
    generator = random.Random(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]))
    columns = _columns(demo, feature_names or ()) or _spread(demo, generator)
    texture = _spread(demo, generator)
    averages = [_average(demo.rows, decay) for decay in DECAYS]
    signals = _signals(averages, columns, texture)
    return DemoWeights(demo, averages, signals, list(_gains()), [0.0, 0.0, THRESHOLD])


def cached_model(name: str, suffix: str, data: bytes) -> Path:
    """The path of a built-in model in the cache, written if it is not there yet. Safe from several processes.

    The cache is `AXON_CACHE`, or `axon` under `XDG_CACHE_HOME` or `~/.cache`; the bytes' SHA-256 is part of the path.
    Raises ModelLoadError if the cache cannot be read or written.
    """
    path = cache_folder() / "models" / hashlib.sha256(data).hexdigest()[:16] / f"{name}{suffix}"
    try:
        if not (path.is_file() and path.read_bytes() == data):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, data)
    except OSError as error:
        raise ModelLoadError(
            f"the built-in model cannot be written to the cache: {error.strerror or error}",
            file=path,
            hint="set AXON_CACHE to a folder that is yours",
        ) from error
    return path


def cache_folder() -> Path:
    """Where built-in models are kept."""
    if own := os.environ.get("AXON_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "axon"


def _columns(demo: DemoName, names: Sequence[str]) -> list[float]:
    """One weight per feature: what the model looks at, with a spread of one; empty if it knows none of them.

    The features a model looks at move together: each two have the correlation OVERLAP in the direction of their
    weights.
    """
    weights = [_reversion_weight(name) if demo.reversion else _flow_weight(name) for name in names]
    total = sum(abs(weight) for weight in weights)
    variance = (1.0 - OVERLAP) * sum(weight * weight for weight in weights) + OVERLAP * total * total
    return [weight / math.sqrt(variance) for weight in weights] if variance else []


def _spread(demo: DemoName, generator: random.Random) -> list[float]:
    """Weights of either sign on all features, with a spread of one on independent features."""
    weights = [generator.random() * 2.0 - 1.0 for _ in range(demo.features)]
    scale = math.sqrt(sum(weight * weight for weight in weights))
    return [weight / scale for weight in weights]


def _flow_weight(name: str) -> float:
    """Who presses: signed volume, order-flow imbalance, and the imbalance of the book's first levels."""
    known = {"quote_imbalance": 1.0, "microprice_offset": 1.0, "ofi": 0.5, "ofi_1s": 1.0, "signed_volume_1s": 0.7}
    if level := re.fullmatch(r"imbalance_(\d+)", name):
        return 0.5 / max(int(level[1]), 1)
    return known.get(name, 0.0)


def _reversion_weight(name: str) -> float:
    """Minus the return, the shorter the more."""
    horizon = re.fullmatch(r"return_(\d+)", name)
    return -1.0 / math.sqrt(max(int(horizon[1]), 1)) if horizon else 0.0


def _average(rows: int, decay: float) -> list[float]:
    """Weights of an exponential average, oldest row first, summing to one."""
    weights = [1.0]
    for _ in range(rows - 1):
        weights.append(weights[-1] * decay)
    total = sum(weights)
    return [weight / total for weight in reversed(weights)]


def _signals(averages: list[list[float]], columns: list[float], texture: list[float]) -> list[list[float]]:
    """Rows of the first Gemm, `[8, 2F]`: each signal, then its negative."""
    fast, slow = averages
    mixes = [(1.0, 0.0, columns), (0.0, 1.0, columns), (1.0, -1.0, columns), (0.5, 0.5, texture)]
    signals = []
    for of_fast, of_slow, weights in mixes:
        over_time = [of_fast * a + of_slow * b for a, b in zip(fast, slow, strict=True)]
        scale = 1.0 / _spread_over_time(over_time)
        signal = [scale * of_fast * weight for weight in weights] + [scale * of_slow * weight for weight in weights]
        signals += [signal, [-weight for weight in signal]]
    return signals


def _gains() -> Iterable[float]:
    """`[8, 3]`: a positive signal speaks for buy, a negative one for sell, none for hold."""
    for gain in GAINS:
        yield from (gain, 0.0, 0.0)
        yield from (0.0, gain, 0.0)


def _spread_over_time(weights: list[float]) -> float:
    """Standard deviation of the weighted sum of a standardised series with correlation MEMORY from row to row."""
    variance = carried = 0.0
    for weight in weights:
        carried *= MEMORY  # Σ of earlier weights × their correlation with this row
        variance += weight * weight + 2.0 * weight * carried
        carried += weight
    return math.sqrt(variance)
