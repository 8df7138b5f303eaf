"""shap, for those who know it: its KernelExplainer as an engine, and our results in its type. Imported on use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from axon_explain.game import Game
from axon_explain.regression import Solution
from axon_quant.errors import PluginMissingError

if TYPE_CHECKING:
    from axon_explain.explanation import Explanation


def shap_kernel(game: Game, budget: int, seed: int) -> Solution:
    """Importances by shap.KernelExplainer, without its feature selection and over all background rows.

    It draws from NumPy's global generator, which is seeded for it and left as it was. Its error is not known: NaN.
    """
    shap = _shap()
    count = len(game)

    def values(masks: NDArray[Any]) -> NDArray[np.float64]:
        return game.values(np.asarray(masks) > 0.5)

    state = np.random.get_state()
    try:
        np.random.seed(seed % (1 << 32))
        explainer = shap.KernelExplainer(values, np.zeros((1, count)))
        found = explainer.shap_values(np.ones((1, count)), nsamples=budget, l1_reg=0, silent=True)
    finally:
        np.random.set_state(state)
    return Solution(np.asarray(found, np.float64).reshape(count), float("nan"))


def to_shap(explanation: Explanation) -> Any:
    """The same as a `shap.Explanation`."""
    values = explanation.feature_values
    return _shap().Explanation(
        values=explanation.feature_importances.copy(),
        base_values=explanation.base_value,
        data=None if np.isnan(values).any() else values.copy(),
        feature_names=list(explanation.feature_names),
    )


def _shap() -> Any:
    try:
        return import_module("shap")
    except ImportError as error:
        raise PluginMissingError('shap is not installed: pip install "axon-explain[shap]"') from error
