"""An attribution: how much each feature, or group of features, contributed to one output."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from axon_quant.provenance import ModelIdentity


@attrs.frozen(eq=False, kw_only=True)
class Explanation:
    """Why output `action` of a model is `score` for `observation`.

    `feature_importances` `[players]` are Shapley values in the unit of the score, in the order of `feature_names`; with
    `base_value`, the mean score over the background, they add up to `score` but for `additivity_gap`. `feature_values`
    `[players]` are the observation's, NaN for a group of several. `players` gives each cell of the observation the
    index of its player, in the observation's shape. `error_estimate` is the standard error of the importances as the
    root of their mean square: 0 where they are exact, NaN where the engine does not know it.

    `method` is `exact`, `paired-leverage`, `mask-gradient` or `shap-kernel`; `grouping` is `features`, `channel`,
    `time` or `custom`; `budget` is what was allowed, and `evaluations` are the rows that the model was asked about.
    """

    feature_names: tuple[str, ...]
    feature_importances: NDArray[np.float64]
    feature_values: NDArray[np.float64]
    players: NDArray[np.intp]
    observation: NDArray[np.floating[Any]]
    base_value: float
    score: float
    action: str
    output: int
    additivity_gap: float
    error_estimate: float
    method: str
    grouping: str
    budget: int
    evaluations: int
    seed: int
    background_sha256: str
    background_rows: int
    background_source: str
    models: tuple[ModelIdentity, ...]

    def to_shap(self) -> Any:
        """The same as a `shap.Explanation`, for `shap.plots`. Raises PluginMissingError where shap is not installed."""
        from axon_explain.shap_bridge import to_shap

        return to_shap(self)
