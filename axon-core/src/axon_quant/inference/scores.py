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
    if len(scores) == 3:  # unrolled: a quarter of the time of the loop below, and nearly every model trades with three
        buy, sell, hold = scores
        buy, sell, hold = exp(buy - best), exp(sell - best), exp(hold - best)
        total = buy + sell + hold
        return (buy / total, sell / total, hold / total)
    terms = [exp(score - best) for score in scores]
    total = sum(terms)
    return [term / total for term in terms]


def choose(shares: Sequence[float], hold: int | None) -> int:
    """Index of the largest share. If it is shared, `hold` (stand aside) where there is one, else the first of them."""
    best = max(shares)
    if len(shares) > 1 and sorted(shares)[-2] >= best - TIE:
        return leaders(shares)[0] if hold is None else hold
    return shares.index(best)


def leaders(shares: Sequence[float]) -> list[int]:
    """The indexes of the largest share and of all that equal it."""
    bound = max(shares) - TIE
    return [index for index, share in enumerate(shares) if share >= bound]
