"""Many features: which coalitions are sampled, and what is made of them."""

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axon_explain.leverage import allocate, draw
from axon_quant.errors import ExplainError
from axon_quant.explain import KernelSHAP


def pairs_of(players, size):
    return comb(players, size) // (2 if 2 * size == players else 1)


@settings(max_examples=60)
@given(st.integers(2, 400), st.integers(2, 600), st.integers(0, 1_000))
def test_coalitions_are_distinct_and_no_complement_of_another_is_among_them(players, pairs, seed):
    sample = draw(players, pairs, np.random.default_rng(seed))
    everything = (1 << (players - 1)) - 1
    assert len(sample.masks) == min(pairs, everything)
    seen = {mask.tobytes() for mask in np.concatenate([sample.masks, ~sample.masks])}
    assert len(seen) == 2 * len(sample.masks)
    sizes = sample.masks.sum(axis=1)
    assert sizes.min() >= 1
    assert 2 * sizes.max() <= players
    assert np.isfinite(sample.weights).all()
    assert (sample.weights > 0).all()
    assert ((sample.missing >= 0) & (sample.missing <= 1)).all()


@given(st.integers(2, 5_000), st.integers(1, 20_000), st.integers(0, 1_000))
def test_sizes_share_the_sample_evenly_and_small_ones_are_taken_whole(players, pairs, seed):
    counts = allocate(players, pairs, np.random.default_rng(seed))
    there = [pairs_of(players, size) if players < 60 or size < 5 else 10**12 for size in range(1, players // 2 + 1)]
    assert sum(counts) == min(pairs, sum(there))
    assert all(count <= most for count, most in zip(counts, there, strict=True))
    open_sizes = [count for count, most in zip(counts, there, strict=True) if count < most]
    if players % 2 == 0:
        open_sizes = open_sizes[:-1]  # the middle has half as many pairs to stand for
    assert max(open_sizes, default=0) - min(open_sizes, default=0) <= 1


def test_coalitions_of_a_size_are_equally_likely():
    seen = np.zeros(9)
    for seed in range(300):
        seen += draw(9, 12, np.random.default_rng(seed)).masks[9:].sum(axis=0)
    assert seen.max() < 1.25 * seen.min()


def test_all_coalitions_as_a_sample_are_exact(perceptron, noise):
    model, x, rows = perceptron(9), noise(9), noise(5, 9, seed=1)
    exact = KernelSHAP(model).explain(x, 0, rows)
    found = KernelSHAP(model, engine="leverage").explain(x, 0, rows)
    assert (found.method, found.error_estimate) == ("paired-leverage", 0.0)
    np.testing.assert_allclose(found.feature_importances, exact.feature_importances, atol=1e-12)


@pytest.mark.parametrize(("budget", "within"), [(128, 0.12), (512, 0.03), (2_048, 0.012)])
def test_a_network_is_explained_to_within(budget, within, perceptron, noise):
    model, x, rows = perceptron(15), noise(15), noise(10, 15, seed=1)
    exact = KernelSHAP(model, engine="exact").explain(x, 0, rows).feature_importances
    errors = []
    for seed in range(5):
        found = KernelSHAP(model, engine="leverage", budget=budget, seed=seed).explain(x, 0, rows)
        assert abs(found.additivity_gap) < 1e-9
        assert found.evaluations == 10 * (budget - 2) + 12
        errors.append(np.linalg.norm(found.feature_importances - exact) / np.linalg.norm(exact))
    assert np.median(errors) < within


def steps(batch):
    return np.floor(batch[:, :4].sum(axis=1)) * (batch[:, 5] > 0) + batch.max(axis=1)


@pytest.mark.parametrize(("budget", "seeds"), [(128, 12), (512, 12), (2_048, 5)])
@pytest.mark.parametrize("kind", ["network", "steps"])
def test_the_error_estimate_tracks_the_error(budget, seeds, kind, perceptron, noise):
    model = perceptron(14, hidden=24) if kind == "network" else steps
    ratios = []
    for seed in range(seeds):
        x, rows = noise(14, seed=seed), noise(4, 14, seed=100 + seed)
        exact = KernelSHAP(model, engine="exact").explain(x, 0, rows).feature_importances
        found = KernelSHAP(model, engine="leverage", budget=budget, seed=seed).explain(x, 0, rows)
        ratios.append(found.error_estimate / np.sqrt(np.mean((found.feature_importances - exact) ** 2)))
    assert 0.6 < np.median(ratios) < 1.8
    assert min(ratios) > 0.25
    assert max(ratios) < 5


def test_a_pairwise_model_has_its_closed_form(noise):
    pairs = np.triu(noise(64, 64), 1)
    x, row = noise(64, seed=1), noise(64, seed=2)
    found = KernelSHAP(lambda batch: np.einsum("bi,ij,bj->b", batch, pairs, batch)).explain(x, 0, row)
    exact = (x - row) * ((pairs + pairs.T) @ (x + row)) / 2
    assert np.linalg.norm(found.feature_importances - exact) < 1e-9 * np.linalg.norm(exact)


def test_a_pairwise_model_of_a_window_has_its_closed_form_by_channels(noise):
    pairs = np.triu(noise(128, 128), 1)
    x, row = noise(64, 128, seed=1), noise(64, 128, seed=2)

    def model(batch):
        means = batch.mean(axis=1)
        return np.einsum("bi,ij,bj->b", means, pairs, means)

    found = KernelSHAP(model, groups="channel", budget=1_024).explain(x, 0, row)
    a, b = x.mean(axis=0), row.mean(axis=0)
    exact = (a - b) * ((pairs + pairs.T) @ (a + b)) / 2
    assert np.linalg.norm(found.feature_importances - exact) < 1e-9 * np.linalg.norm(exact)


def test_a_seed_fixes_every_bit_and_numpy_s_own_generator_is_left_alone(perceptron, noise):
    model, x, rows = perceptron(20), noise(20), noise(3, 20, seed=1)
    before = np.random.get_state()[1].tolist()
    one, same, other = (KernelSHAP(model, budget=256, seed=seed).explain(x, 0, rows) for seed in (3, 3, 4))
    assert one.feature_importances.tobytes() == same.feature_importances.tobytes()
    assert (one.feature_importances != other.feature_importances).any()
    assert np.random.get_state()[1].tolist() == before


def test_every_background_row_counts_for_every_coalition(noise):
    rows = noise(300, 20, seed=1)
    seen = []

    def model(batch):
        seen.append(batch.copy())
        return batch.sum(axis=1)

    found = KernelSHAP(model, budget=128).explain(noise(20), 0, rows)
    assert found.background_rows == 300
    asked = np.concatenate(seen)
    assert len(asked) == found.evaluations == 300 * 126 + 302
    coalition = asked[-300:]  # the last one: each row with the same cells replaced
    known = (coalition == noise(20)).all(axis=0)
    assert 0 < known.sum() < 20
    np.testing.assert_array_equal(coalition[:, ~known], rows[:, ~known])


def test_a_large_observation_is_put_together_in_bounded_pieces(noise):
    largest = 0

    def model(batch):
        nonlocal largest
        largest = max(largest, batch.size)
        return batch.sum(axis=(1, 2))

    found = KernelSHAP(model, groups="time", budget=256).explain(noise(32, 64), 0, noise(700, 32, 64, seed=1))
    assert largest <= max(1 << 20, 700 * 32 * 64)
    exact = (noise(32, 64) - noise(700, 32, 64, seed=1).mean(axis=0)).sum(axis=1)
    np.testing.assert_allclose(found.feature_importances, exact, atol=1e-8)


def test_more_players_than_the_budget_tells_apart_are_refused_with_a_way_out(noise):
    with pytest.raises(ExplainError, match="600 players cannot be told apart with 2048 coalitions") as caught:
        KernelSHAP(lambda batch: batch.sum(axis=1)).explain(noise(600), 0, noise(1, 600, seed=1))
    assert "groups=" in caught.value.hint
    assert "2402" in caught.value.hint
    found = KernelSHAP(lambda batch: batch.sum(axis=1), budget=2_402).explain(noise(600), 0, noise(1, 600, seed=1))
    assert len(found.feature_importances) == 600
