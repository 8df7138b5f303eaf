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


class FeatureChange(Protocol):
    """One feature's part of a counterfactual; of a group of cells, their means."""

    @property
    def feature_name(self) -> str: ...

    @property
    def original_value(self) -> float: ...

    @property
    def counterfactual_value(self) -> float: ...

    @property
    def delta(self) -> float:
        """The difference of the two."""
        ...


class Flip(FeatureChange, Protocol):
    """An observation that is decided otherwise; its own values are those of the largest of its `changes`."""

    @property
    def changes(self) -> Sequence[FeatureChange]:
        """Everything that differs from the original observation."""
        ...

    @property
    def observation(self) -> NDArray[np.floating[Any]]:
        """`[…shape]`, whole."""
        ...

    @property
    def action(self) -> str:
        """What the model decides for it."""
        ...

    @property
    def scores(self) -> Sequence[float]:
        """The model's, for it alone."""
        ...


class Flips(Protocol):
    """What a search found, possibly nothing: a sequence of flips, and how many rows the model was asked about."""

    @property
    def evaluations(self) -> int: ...

    @property
    def original_action(self) -> str:
        """What the model decides for the observation itself."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Flip: ...


class CounterfactualExplainer(Protocol):
    """An explainer of kind *counterfactuals*: called with the model, then asked about observations.

    Where its constructor takes `bounds` (feature → (low, high)), `immutable` (names) and `steps` (feature → step),
    every result keeps to them. Features are named `f0`, `f1`, … unless they have other names.
    """

    def generate(
        self,
        observation: NDArray[np.floating[Any]],
        original_action: Action | int | str | None = None,
        n_samples: int | None = None,
        *,
        desired: Action | int | str | None = None,
        background_data: NDArray[np.floating[Any]] | None = None,
    ) -> Flips:
        """Changes of `observation` `[…shape]` after which the model decides otherwise: as `desired`, if that is given.

        `n_samples` says how many evaluations are enough. `background_data` is `[rows, …shape]`.
        """
        ...


class DecisionReport(Protocol):
    """A report, ready to be written. Equal reports are equal bytes."""

    def export_html(self, path: str, /) -> object: ...

    def export_json(self, path: str, /) -> object: ...


class Reporter(Protocol):
    """An explainer of kind *reports*: called with the model and `background_data`, then asked about observations."""

    def generate_report(
        self, observation: NDArray[np.floating[Any]], action: Action | int | str | None = None
    ) -> DecisionReport:
        """A report of one decision."""
        ...
