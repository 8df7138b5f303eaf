"""From raw scores to probabilities and to one choice. Plain floats: on three scores numpy's call overhead dominates."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from typing import Literal, TypeAlias

Scale: TypeAlias = Literal["auto", "probabilities", "logits"]
"""What scores mean. `auto`: probabilities if none is negative and they sum to 1 ± 0.001, else logits."""

TIE = 1e-9
"""Probabilities closer than this are equal."""


def probabilities(scores: Sequence[float], scale: Scale = "auto") -> Sequence[float]:
    """Probabilities that sum to 1: what is one already is returned, logits go through a softmax.

    The rule of `auto` looks at each vector on its own, so a replay decides as the run did. A softmax keeps the order of
    the scores, so a mistaken guess cannot change which action a model prefers, only how strongly.
    """
    if scale == "probabilities" or (scale == "auto" and min(scores) >= 0.0 and -1e-3 < sum(scores) - 1.0 < 1e-3):
        return scores
    best = max(scores)
    terms = [exp(score - best) for score in scores]
    total = sum(terms)
    return [term / total for term in terms]


def choose(shares: Sequence[float], hold: int | None) -> int:
    """Index of the largest share. If it is shared, `hold` (stand aside) where there is one, else the first of them."""
    best = max(shares)
    index = shares.index(best)
    bound = best - TIE
    for share in shares[index + 1 :]:
        if share >= bound:
            return index if hold is None else hold
    for share in shares[:index]:  # a hair below the largest, and before it
        if share >= bound:
            return shares.index(share) if hold is None else hold
    return index
