"""shap beside ours: as an engine, as a type, and as a second opinion. Run by the session `explain`."""

import subprocess
import sys

import numpy as np
import pytest

from axon_quant.explain import KernelSHAP

shap = pytest.importorskip("shap", reason="shap is not installed: nox -s explain")


def test_shap_agrees_on_a_network(perceptron, noise):
    model, x, rows = perceptron(10), noise(10), noise(20, 10, seed=1)
    ours = KernelSHAP(model).explain(x, 0, rows)
    theirs = shap.KernelExplainer(model, rows).shap_values(x, nsamples=1 << 10, l1_reg=0, silent=True)
    np.testing.assert_allclose(ours.feature_importances, theirs, atol=1e-8)
    exact = shap.explainers.Exact(model, shap.maskers.Independent(rows, max_samples=20))(x[None])
    np.testing.assert_allclose(ours.feature_importances, exact.values[0], atol=1e-8)
    assert ours.base_value == pytest.approx(float(exact.base_values[0]))


def test_the_engine_of_shap_has_no_feature_selection_and_uses_every_row(noise):
    weights, x, rows = noise(20), noise(20, seed=1), noise(300, 20, seed=2)
    found = KernelSHAP(lambda batch: batch @ weights, engine="shap", budget=512).explain(x, 0, rows)
    np.testing.assert_allclose(found.feature_importances, weights * (x - rows.mean(axis=0)), atol=1e-6)
    assert (found.method, found.background_rows) == ("shap-kernel", 300)
    assert np.isnan(found.error_estimate)


def test_the_engine_of_shap_explains_groups(noise):
    x, rows = noise(8, 20), noise(3, 8, 20, seed=1)
    ours, theirs = (
        KernelSHAP(lambda batch: np.tanh(batch.mean(axis=1)).prod(axis=1), engine=engine, groups="time").explain(
            x, 0, rows
        )
        for engine in ("auto", "shap")
    )
    np.testing.assert_allclose(theirs.feature_importances, ours.feature_importances, atol=1e-8)


def test_the_seed_reaches_shap_and_the_global_generator_is_as_it_was(perceptron, noise):
    model, x, rows = perceptron(20), noise(20), noise(2, 20, seed=1)
    np.random.seed(11)
    before = np.random.get_state()[1].tolist()
    one, same, other = (
        KernelSHAP(model, engine="shap", budget=200, seed=seed).explain(x, 0, rows) for seed in (3, 3, 4)
    )
    assert np.random.get_state()[1].tolist() == before
    assert one.feature_importances.tobytes() == same.feature_importances.tobytes()
    assert (one.feature_importances != other.feature_importances).any()


def test_a_model_that_raises_under_shap_leaves_the_generator_as_it_was(noise):
    calls = []

    def model(batch):
        calls.append(len(batch))
        if len(calls) > 3:
            raise RuntimeError("the GPU is gone")
        return batch.sum(axis=1)

    before = np.random.get_state()[1].tolist()
    with pytest.raises(RuntimeError, match="the GPU is gone"):
        KernelSHAP(model, engine="shap").explain(noise(20), 0, noise(2, 20, seed=1))
    assert np.random.get_state()[1].tolist() == before


def test_ours_is_nearer_for_the_same_model_calls(perceptron, noise):
    model, x, rows = perceptron(14), noise(14), noise(5, 14, seed=1)
    exact = KernelSHAP(model, engine="exact").explain(x, 0, rows).feature_importances
    errors = {
        engine: np.median(
            [
                np.linalg.norm(
                    KernelSHAP(model, engine=engine, budget=512, seed=seed).explain(x, 0, rows).feature_importances
                    - exact
                )
                for seed in range(5)
            ]
        )
        for engine in ("leverage", "shap")
    }
    assert errors["leverage"] < 0.7 * errors["shap"]


def test_an_explanation_is_one_of_shap_s(perceptron, noise):
    found = KernelSHAP(perceptron(4), feature_names=list("abcd")).explain(noise(4), 0, noise(2, 4, seed=1))
    theirs = found.to_shap()
    assert isinstance(theirs, shap.Explanation)
    np.testing.assert_array_equal(theirs.values, found.feature_importances)
    np.testing.assert_array_equal(theirs.data, found.feature_values)
    assert theirs.feature_names == list("abcd")
    assert theirs.base_values == found.base_value


@pytest.mark.parametrize("groups", [None, "channel"])
@pytest.mark.parametrize("plot", ["waterfall", "bar"])
def test_the_plots_of_shap_take_it(plot, groups, tmp_path, perceptron, noise):
    code = f"""
import matplotlib
matplotlib.use("agg")
import numpy as np, shap
from axon_quant.explain import KernelSHAP
rng = np.random.default_rng(0)
model = lambda batch: batch.reshape(len(batch), -1).sum(axis=1)
found = KernelSHAP(model, groups={groups!r}).explain(rng.random((3, 4)), 0, rng.random((2, 3, 4)))
shap.plots.{plot}(found.to_shap(), show=False)
matplotlib.pyplot.savefig({str(tmp_path / "plot.png")!r})
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert (tmp_path / "plot.png").stat().st_size > 5_000
