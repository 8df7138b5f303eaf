"""Gradients of what serves: what explanations of single cells are made of."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from axon_quant.errors import ExplainError, ModelInputError, UnsupportedError  # noqa: E402
from axon_quant.explain import KernelSHAP  # noqa: E402

WINDOW = [1, 4, 3]


def differences(engine, x, output, step=1e-2):
    """Central differences by each cell."""
    found = np.zeros_like(x)
    for cell in np.ndindex(x.shape):
        for sign in (1, -1):
            moved = x.copy()
            moved[cell] += sign * step
            found[cell] += sign * engine.infer(moved)[cell[0], output] / (2 * step)
    return found


@pytest.mark.parametrize("execution", ["eager", "script"])
def test_the_gradient_is_that_of_the_score_by_its_own_row(execution, mlp, saved, serve, noise):
    engine = serve(saved(mlp()), execution=execution, input_shape=WINDOW)
    x = noise(3, 4, 3)
    for output in range(3):
        np.testing.assert_allclose(engine.gradient(x, output), differences(engine, x, output), atol=2e-3)


def test_inference_is_the_same_after_a_gradient(mlp, saved, serve, noise):
    engine = serve(saved(mlp()), input_shape=WINDOW)
    x = noise(1, 4, 3)
    before = engine.infer(x)
    engine.gradient(x, 0)
    np.testing.assert_array_equal(engine.infer(x), before)
    assert engine.infer(noise(5, 4, 3)).shape == (5, 3)


def test_what_infer_refuses_has_no_gradient(mlp, saved, serve, noise):
    engine = serve(saved(mlp()), input_shape=WINDOW)
    with pytest.raises(ModelInputError, match="expected float32"):
        engine.gradient(noise(1, 3, 3), 0)
    with pytest.raises(ModelInputError, match="finite"):
        engine.gradient(noise(1, 4, 3) * np.float32("nan"), 0)


class Steps(torch.nn.Module):
    def forward(self, x):
        with torch.no_grad():
            return (x.flatten(1)[:, :3] > 0).float()


def test_a_model_without_gradients_says_so(saved, serve, noise):
    engine = serve(saved(Steps()), factory=Steps, execution="eager", input_shape=WINDOW)
    with pytest.raises(UnsupportedError, match="no gradient"):
        engine.gradient(noise(1, 4, 3), 0)


class Quadratic(torch.nn.Module):
    """Products of neighbouring time steps: the Shapley values of its cells have a closed form."""

    def __init__(self, rows=64, channels=128):
        super().__init__()
        self.pairs = torch.nn.Parameter(torch.randn(rows - 1, channels, generator=torch.Generator().manual_seed(0)))

    def forward(self, x):
        score = (x[:, 1:] * x[:, :-1] * self.pairs).flatten(1).sum(1, keepdim=True)
        return torch.cat([score, -score, torch.zeros_like(score)], 1)


def test_the_cells_of_a_window_are_explained_by_gradients(saved, serve, noise):
    module = Quadratic()
    engine = serve(saved(module), factory=Quadratic, input_shape=[1, 64, 128])
    x, rows = noise(64, 128), noise(3, 64, 128, seed=1)
    found = KernelSHAP(engine, budget=1_024).explain(x, "buy", rows)
    assert (found.method, found.grouping, len(found.feature_names)) == ("mask-gradient", "features", 8_192)
    pairs = module.pairs.detach().numpy().astype(np.float64)
    exact = np.zeros((64, 128))
    for row in rows.astype(np.float64):
        exact[1:] += (x - row)[1:] * (x + row)[:-1] * pairs / 6
        exact[:-1] += (x - row)[:-1] * (x + row)[1:] * pairs / 6
    # Pairs of masks leave no error of a quadratic score, but for float32.
    assert np.linalg.norm(found.feature_importances - exact.ravel()) < 1e-3 * np.linalg.norm(exact)
    assert abs(found.additivity_gap) < 1e-3


@pytest.mark.parametrize("kind", ["state-dict", "torchscript"])
def test_gradients_come_near_the_shapley_values_and_know_how_near(kind, mlp, saved, serve, noise):
    def made():
        return mlp(window=(10, 10), width=32)

    path = saved(made(), kind)
    engine = serve(path, factory=made, input_shape=[1, 10, 10])
    x, rows = noise(10, 10), noise(2, 10, 10, seed=1)
    best = KernelSHAP(engine, engine="leverage", budget=6_000).explain(x, 0, rows)
    assert best.error_estimate < 0.03 * np.sqrt(np.mean(best.feature_importances**2))
    ratios = []
    for seed in range(8):
        found = KernelSHAP(engine, engine="gradient", seed=seed).explain(x, 0, rows)
        error = found.feature_importances - best.feature_importances
        assert np.linalg.norm(error) < 0.1 * np.linalg.norm(best.feature_importances)
        ratios.append(found.error_estimate / np.sqrt(np.mean(error**2)))
    assert 0.4 < np.median(ratios) < 2.5


def test_groups_and_models_without_gradients_are_refused(mlp, saved, serve, noise):
    engine = serve(saved(mlp()), input_shape=WINDOW)
    with pytest.raises(ExplainError, match="single cells"):
        KernelSHAP(engine, engine="gradient", groups="channel").explain(noise(4, 3), 0, noise(2, 4, 3))
    steps = serve(saved(Steps()), factory=Steps, execution="eager", input_shape=WINDOW)
    with pytest.raises(UnsupportedError, match="no gradients"):
        KernelSHAP(steps, engine="gradient").explain(noise(4, 3), 0, noise(2, 4, 3))
