"""The member of the ensemble that is no network: three lines of rule."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from axon_quant.inference.action import TRADING_ACTIONS
from axon_quant.observation.features import FEATURES


class TrendRule:
    """Follows the price: buy when it rose by more than `threshold` basis points in five seconds, sell when it fell."""

    name = "trend"
    actions = TRADING_ACTIONS

    def __init__(self, threshold: float = 4.0) -> None:
        self._threshold = threshold
        self._column = FEATURES.index("return_50")

    def predict(self, observation: NDArray[np.float32]) -> str:
        """The action for one window, `[1, rows, features]` float32."""
        move = observation[0, -1, self._column]
        return "buy" if move > self._threshold else "sell" if move < -self._threshold else "hold"
