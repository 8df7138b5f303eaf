"""Weights that follow how steady the members' returns are."""

from __future__ import annotations

from collections.abc import Sequence

from axon_quant.ensemble.performance import Standing
from axon_quant.ensemble.smoothing import SmoothedWeights, members_of
from axon_quant.ensemble.voting import GivenWeights


class InverseVariance(SmoothedWeights, GivenWeights):
    """Weights in proportion to 1 / variance of the realised returns over the window; probabilities are averaged.

    The portfolio of least variance for returns that do not move together. Options as in `SmoothedWeights`.
    `update_weights` takes precisions, 1 / variance: the weights become proportional to their positive part (equal if
    there is none), until the next step.
    """

    def __init__(
        self,
        initial: tuple[float, ...],
        window: int,
        *,
        smoothing: float = 0.05,
        minimum_count: int | None = None,
        floor: float = 0.02,
        cap: float = 0.8,
    ) -> None:
        del initial
        super().__init__(window, smoothing=smoothing, minimum_count=minimum_count, floor=floor, cap=cap)

    def step(self, standing: Standing, weights: Sequence[float]) -> Sequence[float]:
        """One smoothed step towards 1 / variance; none during the cold start."""
        if not self._count(standing):
            return weights
        members = members_of(standing.active)
        calmest = min(standing.sigma[index] for index in members)
        precisions = [(calmest / standing.sigma[index]) ** 2 for index in members]
        return self._towards(weights, self._within(members, precisions, len(weights)))
