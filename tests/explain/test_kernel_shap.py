"""KernelSHAP: what it takes, what it refuses, and what is on the result."""

import hashlib

import numpy as np
import pytest

from axon_quant.errors import ExplainError, ModelError, UnsupportedError
from axon_quant.explain import KernelSHAP
from axon_quant.inference import Action


def three(batch):
    total = batch.reshape(len(batch), -1).sum(axis=1)
    return np.stack([total, -total, 0 * total], axis=1)


def test_the_result_says_what_was_done(noise):
    x, rows = noise(6), noise(4, 6, seed=1)
    found = KernelSHAP(three, seed=5, feature_names=list("abcdef")).explain(x, "sell", rows)
    assert (found.action, found.output, found.method, found.grouping) == ("sell", 1, "exact", "features")
    assert found.feature_names == tuple("abcdef")
    np.testing.assert_array_equal(found.feature_values, x)
    np.testing.assert_array_equal(found.observation, x)
    assert found.score == pytest.approx(-x.sum())
    assert found.base_value == pytest.approx(-rows.sum() / 4)
    assert (found.background_rows, found.background_source, found.seed) == (4, "call", 5)
    assert found.background_sha256 == hashlib.sha256(b"<f8 [4, 6]\n" + rows.tobytes()).hexdigest()
    assert found.models == ()


def test_an_action_is_named_by_itself_its_index_or_its_name(noise):
    x, rows = np.abs(noise(4)) + 10, noise(4, 4, seed=1)
    explainer = KernelSHAP(three)
    named = Action("sell", 1, 0.5, (0.0, 1.0, 0.0), 1)
    assert [explainer.explain(x, what, rows).action for what in (named, 1, "sell", np.int64(1))] == ["sell"] * 4
    assert explainer.explain(x, background_data=rows).action == "buy"  # its own choice
    for wrong in ("up", 3, -1, True, 1.5):
        with pytest.raises(ExplainError, match="has no action"):
            explainer.explain(x, wrong, rows)


def test_a_function_of_one_output_needs_no_names(noise):
    found = KernelSHAP(lambda batch: batch.sum(axis=1)).explain(noise(4), background_data=noise(4, 4, seed=1))
    assert (found.action, found.output) == ("output0", 0)
    names = KernelSHAP(lambda batch: batch[:, :2], actions=["up", "down"]).explain(noise(4), "down", noise(2, 4))
    assert names.output == 1


def test_the_background_is_the_call_s_then_the_constructor_s_then_zeros_with_a_warning(noise):
    x, rows = noise(4), noise(3, 4, seed=1)
    explainer = KernelSHAP(three, background_data=rows)
    assert explainer.explain(x, 0).background_source == "constructor"
    assert explainer.explain(x, 0, rows[:1]).background_source == "call"
    with pytest.warns(UserWarning, match="compared with zeros"):
        found = KernelSHAP(three).explain(x, 0)
    assert (found.background_source, found.base_value) == ("baseline", 0.0)


def test_a_batch_axis_that_the_background_has_rows_in_is_removed(noise):
    found = KernelSHAP(three).explain(noise(1, 4), 0, noise(7, 4, seed=1))
    assert (found.observation.shape, found.background_rows) == ((4,), 7)


def test_a_background_of_less_precision_does_not_round_the_observation(noise):
    x, rows = noise(6), noise(3, 6, seed=1).astype(np.float32)
    found = KernelSHAP(lambda batch: batch.sum(axis=1)).explain(x, 0, rows)
    np.testing.assert_allclose(found.feature_importances, x - rows.astype(np.float64).mean(axis=0), atol=1e-13)


def test_everything_as_in_the_background_gets_nothing_without_an_error(noise):
    x = noise(30)
    found = KernelSHAP(three).explain(x, 0, np.stack([x, x]))
    assert not found.feature_importances.any()
    assert found.error_estimate == 0.0
    one = x.copy()
    one[3] += 1
    found = KernelSHAP(three).explain(one, 0, x)
    assert np.flatnonzero(found.feature_importances).tolist() == [3]
    assert found.method == "exact"


def test_a_window_whose_cells_are_too_many_is_explained_by_channels(noise):
    x, rows = noise(16, 40), noise(2, 16, 40, seed=1)
    found = KernelSHAP(three).explain(x, 0, rows)
    assert (found.grouping, found.method, len(found.feature_names)) == ("channel", "paired-leverage", 40)
    np.testing.assert_allclose(found.feature_importances, (x - rows.mean(axis=0)).sum(axis=0), atol=1e-9)
    with pytest.raises(ExplainError, match="640 players cannot") as caught:
        KernelSHAP(three, groups="features").explain(x, 0, rows)
    assert 'groups="channel"' in caught.value.hint
    assert KernelSHAP(three).explain(x[:3, :4], 0, rows[:, :3, :4]).grouping == "features"


def test_groups_of_the_user_s_are_players(noise):
    x, rows = noise(16, 40), noise(2, 16, 40, seed=1)
    groups = {"old": np.s_[:8], "new": np.s_[8:]}
    found = KernelSHAP(three, groups={name: (cells,) for name, cells in groups.items()}).explain(x, 0, rows)
    assert found.feature_names == ("old", "new")
    assert found.grouping == "custom"
    np.testing.assert_allclose(found.feature_importances[0], (x - rows.mean(axis=0))[:8].sum())
    assert np.isnan(found.feature_values).all()
    assert found.players.shape == x.shape


class Slope:
    """A function that offers its gradient, as a backend may."""

    def __init__(self, weights):
        self.weights = weights

    def __call__(self, batch):
        return np.tanh(batch @ self.weights)

    def gradient(self, batch, output):
        return (1 - np.tanh(batch @ self.weights) ** 2)[:, None] * self.weights


def test_cells_that_a_sample_cannot_tell_apart_go_by_gradients_where_there_are_some(noise):
    model = Slope(noise(3_000) / 100)
    found = KernelSHAP(model).explain(noise(3_000, seed=1), 0, noise(2, 3_000, seed=2))
    assert (found.method, found.budget) == ("mask-gradient", 256)
    assert found.evaluations == 256 * 2 + 2 + 1 + 1 + 1
    assert abs(found.additivity_gap) < 0.05 * np.abs(found.feature_importances).sum()
    again = KernelSHAP(model).explain(noise(3_000, seed=1), 0, noise(2, 3_000, seed=2))
    assert again.feature_importances.tobytes() == found.feature_importances.tobytes()


def test_a_wrong_gradient_is_an_error(noise):
    class Wrong(Slope):
        def gradient(self, batch, output):
            return super().gradient(batch, output)[:, :-1]

    with pytest.raises(ModelError, match="expected a finite gradient of shape"):
        KernelSHAP(Wrong(noise(20)), engine="gradient").explain(noise(20), 0, noise(2, 20))
    with pytest.raises(UnsupportedError, match="offers no gradients"):
        KernelSHAP(three, engine="gradient").explain(noise(20), 0, noise(2, 20))


def failing_after(calls):
    asked = 0

    def model(batch):
        nonlocal asked
        asked += 1
        if asked > calls:
            raise RuntimeError("the GPU is gone")
        return batch.sum(axis=1)

    return model


@pytest.mark.parametrize("calls", [0, 1, 2, 3])
@pytest.mark.parametrize("engine", ["exact", "leverage"])
def test_a_model_that_raises_is_never_a_zero(calls, engine, noise):
    with pytest.raises(RuntimeError, match="the GPU is gone"):
        KernelSHAP(failing_after(calls), engine=engine).explain(noise(6), 0, noise(4, 6, seed=1))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda batch: batch[:1].sum(axis=1),
        lambda batch: np.where(np.arange(len(batch)) == len(batch) - 1, np.nan, batch.sum(axis=1)),
        lambda batch: float(batch.sum()),
        lambda batch: np.array(["buy"] * len(batch)),
        lambda batch: None,
        lambda batch: batch.sum(axis=1) * np.inf,
    ],
)
def test_answers_of_another_shape_or_that_are_not_finite_are_errors(wrong, noise):
    with pytest.raises(ModelError, match="expected finite scores"), np.errstate(invalid="ignore"):
        KernelSHAP(wrong).explain(noise(6), 0, noise(4, 6, seed=1))


@pytest.mark.parametrize(
    ("x", "rows", "said"),
    [
        (np.full(4, np.nan), np.zeros((2, 4)), "4 of 4 values are not finite"),
        (np.zeros(4), np.full((2, 4), np.inf), "8 of 8 values are not finite"),
        (np.zeros(4), np.zeros((2, 5)), "does not fit an observation"),
        (np.zeros(4), np.zeros((0, 4)), "does not fit an observation"),
        (np.zeros(0), np.zeros((2, 0)), "an array of features"),
        (3.0, np.zeros((2, 4)), "an array of features"),
        (["a", "b"], np.zeros((2, 2)), "expected numbers"),
    ],
)
def test_what_does_not_fit_is_refused(x, rows, said):
    with pytest.raises(ExplainError, match=said):
        KernelSHAP(three).explain(x, 0, rows)


@pytest.mark.parametrize(
    "options",
    [
        {"engine": "fast"},
        {"budget": 0},
        {"budget": 3},
        {"budget": 100.5},
        {"budget": True},
        {"seed": -1},
        {"seed": "one"},
    ],
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ExplainError):
        KernelSHAP(three, **options)


def test_a_batch_is_explained_as_each_of_its_observations(noise):
    x, rows = noise(3, 20), noise(4, 20, seed=1)
    explainer = KernelSHAP(three, budget=128, background_data=rows)
    found = explainer.explain_batch(x, ["buy", 1, None])
    for each, observation, action in zip(found, x, ["buy", "sell", None], strict=True):
        alone = explainer.explain(observation, action)
        assert each.feature_importances.tobytes() == alone.feature_importances.tobytes()
        assert each.action == alone.action
    assert [each.action for each in explainer.explain_batch(list(x), "hold")] == ["hold"] * 3
    assert explainer.explain_batch([]) == []


def test_a_batch_names_the_observation_that_cannot_be_explained(noise):
    x = noise(3, 5)
    x[2, 0] = np.nan
    explainer = KernelSHAP(three, background_data=noise(2, 5))
    with pytest.raises(ExplainError) as caught:
        explainer.explain_batch(x)
    assert caught.value.__notes__ == ["observation 2, counted from 0, of 3"]
    with pytest.raises(ExplainError, match="2 actions for 3 observations"):
        explainer.explain_batch(noise(3, 5), [0, 1])


def test_a_bar_is_shown_where_somebody_watches(noise, capsys):
    explainer = KernelSHAP(three, background_data=noise(2, 5))
    explainer.explain_batch(noise(3, 5))
    assert capsys.readouterr().err == ""
    explainer.explain_batch(noise(3, 5), progress=True)
    shown = capsys.readouterr()
    assert "3/3" in shown.err
    assert shown.out == ""
