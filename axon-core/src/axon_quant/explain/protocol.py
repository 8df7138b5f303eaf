"""What an explainer plugin provides, and what comes back from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from axon_quant.inference.action import Action


class Attribution(Protocol):
    """Why one output of a model is what it is: `base_value` plus the sum of `feature_importances` makes it up."""

    @property
    def feature_names(self) -> Sequence[str]:
        """Of the players: single features, or groups of them."""
        ...

    @property
    def feature_importances(self) -> NDArray[np.float64]:
        """`[players]`, in the unit of the output."""
        ...

    @property
    def base_value(self) -> float:
        """The mean output over the background."""
        ...

    @property
    def additivity_gap(self) -> float:
        """Output minus base value minus the sum of the importances."""
        ...

    @property
    def error_estimate(self) -> float:
        """Standard error of the importances, as the root of their mean square; 0 where they are exact."""
        ...

    @property
    def method(self) -> str:
        """How it was computed."""
        ...

    @property
    def evaluations(self) -> int:
        """Rows that the model was asked about."""
        ...


class Explainer(Protocol):
    """An explainer of kind *attribution*: called with the model, then asked about observations."""

    def explain(
        self,
        observation: NDArray[np.floating[Any]],
        action: Action | int | str | None = None,
        background_data: NDArray[np.floating[Any]] | None = None,
    ) -> Attribution:
        """Why the output of `action` is what it is for `observation` `[…shape]`; the model's own choice by default.

        `background_data` is `[rows, …shape]`.
        """
        ...
