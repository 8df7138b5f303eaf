"""How much the members say the same: correlations of their realised returns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class Correlations:
    """Exponentially weighted covariances, with a half-life of half the window. Returns are taken around zero."""

    def __init__(self, members: int, window: int) -> None:
        self._decay = 0.5 ** (2.0 / window)
        self._products = np.zeros((members, members))

    @property
    def products(self) -> list[float]:
        """The covariances, row by row."""
        products: list[float] = self._products.ravel().tolist()
        return products

    @products.setter
    def products(self, products: list[float]) -> None:
        self._products = np.array(products).reshape(self._products.shape)

    def append(self, returns: Sequence[float], active: Sequence[bool]) -> None:
        """One round; a member that is not active counts as having earned nothing."""
        row = np.where(active, returns, 0.0)
        self._products *= self._decay
        self._products += np.outer(row, row)

    def crowds(self, members: Sequence[int]) -> list[float]:
        """For each of these members, 1 + its positive correlations with the others of them."""
        products = self._products[np.ix_(members, members)]
        scale = np.sqrt(np.diagonal(products))
        scale = np.where(scale > 0.0, scale, np.inf)
        correlations = np.clip(products / scale / scale[:, None], 0.0, 1.0)
        np.fill_diagonal(correlations, 1.0)
        crowds: list[float] = correlations.sum(axis=1).tolist()
        return crowds
