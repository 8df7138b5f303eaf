"""What the conformance suite is run with for the strategies of this package."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from axon_quant.ensemble.fitting import StackingFit


def even_fit(members: int) -> dict[str, object]:
    """A stack that takes so many members to be equally good."""
    return {"fit": StackingFit([1.0] * members)}


OPTIONS: dict[str, list[Mapping[str, object] | Callable[[int], Mapping[str, object]]]] = {
    "softmax-sharpe": [{}, {"all_negative": "abstain"}],
    "stacking": [even_fit],
}
"""Strategy → its sets of options, or what makes one for a number of members."""
