"""The strategy whose weights, or whose learner, were fitted beforehand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from axon_quant.ensemble.fitting import StackingFit, chances, features_of
from axon_quant.ensemble.performance import Standing
from axon_quant.ensemble.pooling import Pooling
from axon_quant.errors import EnsembleError
from axon_quant.events import Remembered


class Stacking(Pooling):
    """What `fit_stacking` found, as the option `fit`: convex weights, or a learner, for the members in their order.

    The weights take the place of the initial ones, and neither returns nor `update_weights` move them: fit anew, on
    newer data. Where a learner decides, members that all favour one action still get it, and a decision in which a
    member is missing is the weighted mean of the others. Raises EnsembleError for a fit to another number of members.
    """

    may_abstain = False
    abstains = False

    def __init__(self, initial: tuple[float, ...], window: int, *, fit: StackingFit | None = None) -> None:
        del window
        if not isinstance(fit, StackingFit):
            raise EnsembleError(f"stacking needs fit=, what fit_stacking() found; it is {fit!r}")
        if len(fit.weights) != len(initial):
            raise EnsembleError(f"the stack was fitted to {len(fit.weights)} members, and there are {len(initial)}")
        self.fitted_weights: tuple[float, ...] = fit.weights
        self._learner = fit.learner

    def step(self, standing: Standing, weights: Sequence[float]) -> Sequence[float]:
        """The fitted weights."""
        del standing, weights
        return self.fitted_weights

    def jump(self, performances: Sequence[float], active: Sequence[bool], weights: Sequence[float]) -> Sequence[float]:
        """The fitted weights."""
        del performances, active, weights
        return self.fitted_weights

    def combine(self, weights: Sequence[float], votes: Sequence[Sequence[float]]) -> Sequence[float]:
        """The weighted mean, or what the learner makes of the votes."""
        if self._learner is None or len(votes) != len(self.fitted_weights) or _agree(votes):
            return super().combine(weights, votes)
        row: list[float] = chances(self._learner, features_of([votes]), len(votes[0]))[0].tolist()
        return row

    def state(self) -> dict[str, Remembered]:
        """What it was fitted to; nothing is learnt later."""
        return {"fitted": list(self.fitted_weights)}

    def restore(self, state: Mapping[str, Remembered], /) -> None:
        """Raises EnsembleError if the state is of another fit."""
        if state != self.state():
            raise EnsembleError("the state is of another fit of the stack", hint="a new fit starts afresh")


def _agree(votes: Sequence[Sequence[float]]) -> bool:
    """Whether all favour the same action."""
    favoured = {list(vote).index(max(vote)) for vote in votes}
    return len(favoured) == 1
