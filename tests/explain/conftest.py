from itertools import permutations
from math import factorial

import numpy as np
import pytest


@pytest.fixture
def noise():
    def noise(*shape, seed=0):
        return np.random.default_rng(seed).standard_normal(shape)

    return noise


@pytest.fixture
def perceptron():
    """A seeded network of one hidden layer, as a function of a batch with one output."""

    def made(features, seed=0, hidden=64):
        rng = np.random.default_rng(seed)
        first = rng.standard_normal((features, hidden)) * (2 / features) ** 0.5
        shift, second = rng.standard_normal(hidden) * 0.1, rng.standard_normal(hidden) / hidden**0.5
        return lambda batch: np.maximum(batch.reshape(len(batch), -1) @ first + shift, 0.0) @ second

    return made


@pytest.fixture
def by_orders():
    """Shapley values by their definition: what a feature adds, on average over all orders and background rows."""

    def by_orders(model, x, rows):
        found = np.zeros(x.size)
        for order in permutations(range(x.size)):
            known = rows.astype(np.float64).copy()
            before = np.mean(model(known))
            for feature in order:
                known[:, feature] = x[feature]
                after = np.mean(model(known))
                found[feature] += after - before
                before = after
        return found / factorial(x.size)

    return by_orders
