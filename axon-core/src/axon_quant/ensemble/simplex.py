"""Weights: never negative, finite, and one in sum. Sums are `fsum`, so the order of the members does not matter."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, isfinite

from axon_quant.errors import EnsembleError


def normalised(weights: Sequence[float], count: int, what: str) -> tuple[float, ...]:
    """Weights scaled to sum to 1.

    Raises EnsembleError for a wrong number of them, NaN, infinity, a negative one, or a sum of zero.
    """
    values = [float(weight) for weight in weights]
    if len(values) != count:
        raise EnsembleError(f"{what}: expected {count} weights, one per model, found {len(values)}")
    if not (isfinite(sum(values)) and min(values) >= 0.0):
        for index, value in enumerate(values):
            if isfinite(value) and value >= 0.0:
                continue
            raise EnsembleError(f"{what}: weight {index} is {value}, expected a finite number of at least 0")
    largest = max(values)
    if largest == 0.0:
        raise EnsembleError(f"{what}: the weights sum to zero, expected at least one above 0")
    scaled = [value / largest for value in values]  # neither overflow nor underflow in the sum
    total = fsum(scaled)
    return tuple([value / total for value in scaled])


def bounded(weights: Sequence[float], floor: float, cap: float) -> list[float]:
    """The weights with every one in [floor, cap]; what is cut or filled up is shared out in proportion.

    For n weights, a floor above 1/2n becomes 1/2n and a cap below 1/n becomes 1/n.
    """
    count = len(weights)
    floor, cap = min(floor, 0.5 / count), max(cap, 1.0 / count)
    result = list(weights)
    free = set(range(count))
    while free:
        mass = 1.0 - fsum(result[i] for i in range(count) if i not in free)
        total = fsum(result[i] for i in free)
        for i in free:
            result[i] = result[i] / total * mass if total > 0.0 else mass / len(free)
        high = [i for i in free if result[i] > cap]
        low = [i for i in free if result[i] < floor]
        if not high and not low:
            break
        # The larger violation goes first: fixing it moves the others towards their bounds, never past them unseen.
        cut = fsum(result[i] - cap for i in high) >= fsum(floor - result[i] for i in low)
        for i in high if cut else low:
            result[i] = cap if cut else floor
            free.discard(i)
    return result
