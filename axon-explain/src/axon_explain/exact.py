"""Shapley values by enumeration of all coalitions."""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import NDArray

from axon_explain.game import Game

FEW = 12
"""Players up to whom enumerating their 4,096 coalitions is a matter of course."""
MOST = 20
"""Players up to whom it can be asked for: a million coalitions."""


def coalitions(players: int) -> NDArray[np.bool_]:
    """All of them, `[2^players, players]`; row number r has the players of the bits of r."""
    return (np.arange(1 << players)[:, None] >> np.arange(players) & 1).astype(bool)


def enumerate_all(game: Game, base: float, score: float) -> NDArray[np.float64]:
    """`[players]`, each the mean of what a player adds, over all orders in which players can come."""
    count = len(game)
    values = np.empty(1 << count)
    values[0], values[-1] = base, score
    if count > 1:
        values[1:-1] = game.values(coalitions(count)[1:-1])
    sizes = coalitions(count).sum(axis=1)
    share = np.array([1.0 / (count * comb(count - 1, size)) for size in range(count)] + [0.0])
    found = np.empty(count)
    for player in range(count):
        without = np.flatnonzero(np.arange(1 << count) >> player & 1 == 0)
        found[player] = np.sum(share[sizes[without]] * (values[without | 1 << player] - values[without]))
    return found
