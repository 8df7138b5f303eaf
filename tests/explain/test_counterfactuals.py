"""A counterfactual flips the decision, and changes no more than it may."""

from __future__ import annotations

import warnings

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axon_explain import CounterfactualGenerator
from axon_quant import ModelConfig, OnnxBackend
from axon_quant.ensemble import DynamicWeightedEnsemble
from axon_quant.errors import ExplainError, ModelError, ModelInputError
from axon_quant.inference import ModelStore

FEATURES = 6


class Network:
    """A random network, as a function of batches. Counts the rows it is asked about, and keeps how it was asked."""

    def __init__(self, seed=0, features=FEATURES, dtype=np.float64):
        rng = np.random.default_rng(seed)
        self.first, self.second = rng.standard_normal((features, 16)), rng.standard_normal((16, 3))
        self.first, self.second = self.first.astype(dtype), self.second.astype(dtype)
        self.rows = 0

    def __call__(self, x):
        self.rows += len(x)
        return np.maximum(x.reshape(len(x), -1) @ self.first, 0) @ self.second

    def decision(self, observation):
        return int(self(observation[None])[0].argmax())


def background(seed=0, rows=60, features=FEATURES, dtype=np.float64):
    return np.random.default_rng(100 + seed).standard_normal((rows, features)).astype(dtype)


def observation(seed=0, features=FEATURES, dtype=np.float64):
    return np.random.default_rng(200 + seed).standard_normal(features).astype(dtype)


@pytest.fixture(scope="module")
def engine():
    engine = OnnxBackend(ModelConfig(OnnxBackend.builtin("demo-64x128"), "onnx"))
    engine.load()
    return engine


def windows(rows, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, 64, 128), np.float32)


limits = st.fixed_dictionaries(
    {},
    optional={
        "immutable": st.lists(st.integers(0, FEATURES - 1), max_size=FEATURES - 1),
        "bounds": st.dictionaries(
            st.integers(0, FEATURES - 1),
            st.tuples(st.floats(-2, 0, width=32), st.none() | st.floats(0.5, 2)),
            max_size=4,
        ),
        "steps": st.dictionaries(st.integers(0, FEATURES - 1), st.sampled_from([0.05, 0.1, 0.25, 0.5]), max_size=4),
        "budget": st.integers(1, 900),
    },
)


@settings(max_examples=60)
@given(st.integers(0, 10_000), limits, st.sampled_from([np.float32, np.float64]), st.integers(1, 6), st.booleans())
def test_every_result_flips_and_is_what_it_may_be(seed, limits, dtype, wanted, known):
    model, x = Network(seed, dtype=dtype), observation(seed, dtype=dtype)
    rows = background(seed, dtype=dtype) if known else None
    generator = CounterfactualGenerator(model, background_data=rows, **limits)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = generator.generate(x, max_results=wanted)
    assert model.rows == found.evaluations <= limits.get("budget", 2048)
    assert len(found) <= wanted
    assert [len(each.changes) for each in found] == sorted(len(each.changes) for each in found)
    keys = [(len(each.changes), each.distance) for each in found]
    assert keys == sorted(keys)
    before = model.decision(x)
    for each in found:
        assert each.observation.dtype == dtype
        assert model.decision(each.observation) != before
        assert each.action == ("buy", "sell", "hold")[model.decision(each.observation)]
        np.testing.assert_array_equal(each.scores, model(each.observation[None])[0])
        moved = np.flatnonzero(each.observation != x)
        assert sorted(change.index for change in each.changes) == moved.tolist()
        assert not set(moved) & set(limits.get("immutable", ()))
        for change in each.changes:
            at, value = change.index, each.observation[change.index]
            assert (change.original_value, change.counterfactual_value) == (float(x[at]), float(value))
            assert change.delta == float(value) - float(x[at])
            low, high = limits.get("bounds", {}).get(at, (None, None))
            assert low is None or low <= float(value)
            assert high is None or float(value) <= high
            if (step := limits.get("steps", {}).get(at)) is not None:
                assert abs(float(value) / step - round(float(value) / step)) < 1e-5
    if not found:
        assert found.nearest.margin <= found.margin + 1e-6
        assert model.decision(found.nearest.observation) == before
        assert "nothing that was tried" in str(found)
    else:
        assert found.nearest is None


@settings(max_examples=60)
@given(
    st.integers(0, 10_000),
    st.sampled_from(["channel", "time", "features", {"a": slice(0, 5), "b": [7, 9]}]),
    st.sampled_from([None, 0, 1, 25]),
    st.integers(1, 400),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=6),
    st.none() | st.floats(0.1, 1.5),
)
def test_groups_of_cells_are_changed_as_they_may_be(seed, groups, known, budget, fixed, bound):
    model = Network(seed, features=20)
    rng = np.random.default_rng(seed)
    x, rows = rng.standard_normal((4, 5)), rng.standard_normal((25, 4, 5))
    given = {None: None, 0: x[None], 1: rows[:1], 25: rows}[known]  # 0: the observation itself, which says nothing
    bounds = None if bound is None else (-bound, bound)
    options = {"groups": groups, "budget": budget, "immutable": fixed, "bounds": bounds}
    generator = CounterfactualGenerator(model, background_data=given, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = generator.generate(x)
    assert model.rows == found.evaluations <= budget
    for each in found:
        assert model.decision(each.observation) != model.decision(x)
        moved = each.observation != x
        assert not any(moved[cell] for cell in fixed)
        assert bound is None or (np.abs(each.observation[moved]) <= bound).all()
        assert len(each.changes) == len({change.index for change in each.changes}) > 0
    assert (found.nearest is None) == bool(found)


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(2, 400))
def test_equal_arguments_give_equal_results(seed, budget):
    def once():
        model = Network(seed)
        found = CounterfactualGenerator(model, background_data=background(), budget=budget, seed=3).generate(
            observation(seed)
        )
        return [(each.changes, each.observation.tobytes(), each.distance) for each in found], found.evaluations

    assert once() == once()


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(0, 2))
def test_the_desired_action_is_the_one_that_is_found(seed, desired):
    model, x = Network(seed), observation(seed)
    generator = CounterfactualGenerator(model, background_data=background())
    if model.decision(x) == desired:
        with pytest.raises(ExplainError, match="already"):
            generator.generate(x, desired=desired)
        return
    for each in generator.generate(x, desired=desired):
        assert model.decision(each.observation) == desired


def test_a_single_feature_is_found_with_the_value_at_which_the_decision_turns():
    def model(x):
        return np.stack([x[:, 1] - 0.3, np.zeros(len(x))], axis=1)

    found = CounterfactualGenerator(model, background_data=background(), feature_names=list("abcdef")).generate(
        np.zeros(FEATURES)
    )
    first = found[0]
    assert (found.original_action, first.action) == ("output1", "output0")
    assert (first.feature_name, len(first.changes)) == ("b", 1)
    assert first.original_value == 0.0
    assert 0.3 < first.counterfactual_value < 0.4
    assert first.delta == first.counterfactual_value
    mad = np.median(np.abs(background()[:, 1] - np.median(background()[:, 1])))
    assert first.distance == pytest.approx(first.delta / mad)
    assert first.plausibility > 0


def test_two_features_are_changed_where_one_is_not_enough():
    def model(x):
        return np.stack([np.minimum(x[:, 0], x[:, 3]) - 0.5, np.zeros(len(x))], axis=1)

    found = CounterfactualGenerator(model, background_data=background()).generate(np.zeros(FEATURES))
    assert {change.index for change in found[0].changes} == {0, 3}
    assert all(0.5 < change.counterfactual_value < 0.6 for change in found[0].changes)


def test_a_flip_that_takes_many_features_is_found_through_neighbours():
    def model(x):
        return np.stack([np.sort(x, axis=1)[:, 1] - 0.1, np.zeros(len(x))], axis=1)  # all but one above 0.1

    rows = np.concatenate([background(rows=40), np.full((3, FEATURES), 0.8)])
    found = CounterfactualGenerator(model, background_data=rows).generate(np.full(FEATURES, -0.5))
    assert len(found[0].changes) == FEATURES - 1
    assert (model(found[0].observation[None])[0].argmax()) == 0


def test_results_change_different_features():
    model = Network(2)
    found = CounterfactualGenerator(model, background_data=background()).generate(observation(2))
    assert len(found) == 4
    assert len({frozenset(change.index for change in each.changes) for each in found}) == 4


def test_a_model_that_never_changes_its_mind_gives_an_empty_result_that_says_so():
    def model(x):
        return np.stack([2.0 + 0.1 * np.tanh(x[:, 0]), np.zeros(len(x))], axis=1)

    found = CounterfactualGenerator(model, background_data=background(), budget=300).generate(np.zeros(FEATURES))
    assert list(found) == []
    assert not found
    assert found.margin == 2.0
    assert 1.9 < found.nearest.margin < 1.95
    assert found.nearest.observation[0] < -1.0
    assert found.evaluations <= 300
    assert f"of {found.evaluations} evaluations left a margin of 1.9" in str(found)


def test_with_everything_immutable_nothing_is_found():
    found = CounterfactualGenerator(Network(), background_data=background(), immutable=range(FEATURES)).generate(
        observation()
    )
    assert not found
    np.testing.assert_array_equal(found.nearest.observation, observation())


def test_a_few_evaluations_are_enough_once_something_was_found():
    generator = CounterfactualGenerator(Network(2), background_data=background())
    few, many = generator.generate(observation(2), n_samples=20), generator.generate(observation(2))
    assert 0 < few.evaluations < many.evaluations
    assert len(few) >= 1


def test_without_a_background_scales_are_guessed_and_it_says_so():
    model = Network(1)
    generator = CounterfactualGenerator(model)
    with pytest.warns(UserWarning, match="moved in units of 1") as told:
        found = generator.generate(observation(1))
    assert told[0].filename == __file__
    assert len(found) == 4
    assert found.background_source == "baseline"
    assert [each.plausibility for each in found] == [None] * 4
    assert found.plausibility is None
    with pytest.warns(UserWarning, match="Network"):
        generator.generate(observation(1))  # and again: what it gives is still a guess


def test_the_call_s_background_goes_before_the_constructor_s():
    generator = CounterfactualGenerator(Network(1), background_data=background(1))
    own = generator.generate(observation(1), background_data=background(2, rows=7))
    assert (own.background_source, own.background_rows) == ("call", 7)
    kept = generator.generate(observation(1))
    assert (kept.background_source, kept.background_rows) == ("constructor", 60)
    assert kept.background_sha256 != own.background_sha256


def test_the_sample_in_the_model_store_is_the_background(engine, tmp_path):
    store = ModelStore(tmp_path / "store")
    store.put(engine.prepared, engine.config, background=windows(20, 5))
    found = CounterfactualGenerator(engine, store=store).generate(windows(1, 6)[0])
    assert (found.background_source, found.background_rows) == ("store", 20)
    assert found


def test_channels_of_a_window_are_changed_as_a_whole(engine):
    names = [f"c{index}" for index in range(128)]
    rows = windows(50, 1)
    generator = CounterfactualGenerator(engine, background_data=rows, feature_names=names, immutable=["c7", "c9"])
    window = windows(1, 2)
    found = generator.generate(window, original_action=engine.predict(window[0]))
    assert len(found) == 4
    for each in found:
        assert each.observation.shape == (64, 128)
        assert each.observation.dtype == np.float32
        assert engine.predict(each.observation).name == each.action != found.original_action
        moved = np.flatnonzero((each.observation != window[0]).any(axis=0))
        assert {names[index] for index in moved} == {change.feature_name for change in each.changes}
        assert not {"c7", "c9"} & {change.feature_name for change in each.changes}
        first = each.changes[0]
        column = each.observation[:, names.index(first.feature_name)]
        assert first.counterfactual_value == pytest.approx(column.mean(), abs=1e-5)
    assert found.models[0].sha256 == engine.model.identity.sha256


def test_cells_channels_and_groups_can_be_named(engine):
    generator = CounterfactualGenerator(
        engine,
        background_data=windows(30, 1),
        groups={"book": np.s_[..., :64], "trades": np.s_[..., 64:]},
        immutable=["f0[t]", "f1", (0, 2)],
        bounds={"f3": (-0.5, 0.5), "trades": (-1.0, 1.0)},
    )
    window = windows(1, 3)[0]
    found = generator.generate(window, max_results=2)
    assert found
    for each in found:
        assert {change.feature_name for change in each.changes} <= {"book", "trades"}
        assert each.observation[-1, 0] == window[-1, 0]
        np.testing.assert_array_equal(each.observation[:, 1], window[:, 1])
        assert each.observation[0, 2] == window[0, 2]
        changed = each.observation[:, 64:][each.observation[:, 64:] != window[:, 64:]]
        assert (np.abs(changed) <= 1.0).all()


def test_an_ensemble_is_asked_as_a_whole(engine):
    other = OnnxBackend(ModelConfig(OnnxBackend.builtin("demo-64x128-reversion"), "onnx"))
    other.load()
    ensemble = DynamicWeightedEnsemble([engine, other], initial_weights=[0.7, 0.3])
    window = windows(1, 4)[0]
    found = CounterfactualGenerator(ensemble, background_data=windows(40, 1)).generate(window)
    assert found
    for each in found:
        assert ensemble.predict(each.observation).name == each.action != found.original_action
    assert len(found.models) == 2


def test_a_policy_that_only_names_its_choice_can_be_flipped():
    class Policy:
        actions = ("buy", "sell", "hold")

        def predict(self, observation, deterministic=False):
            return np.where(observation[..., 0] > 0, 0, 2), None  # as Stable-Baselines3 has it: of one, or of a batch

    x = np.full(FEATURES, -0.2, np.float32)
    found = CounterfactualGenerator(Policy(), background_data=background(dtype=np.float32)).generate(x, "hold")
    assert found[0].action == "buy"
    assert [change.index for change in found[0].changes] == [0]
    assert 0 < found[0].counterfactual_value < 0.2


def test_what_the_model_raises_goes_through():
    def broken(x):
        raise RuntimeError("no weights")

    with pytest.raises(RuntimeError, match="no weights"):
        CounterfactualGenerator(broken, background_data=background()).generate(observation())


def test_a_model_that_breaks_in_the_middle_of_a_search_raises():
    def broken(x):
        scores = Network()(x)
        scores[x[:, 0] != observation()[0], 0] = np.nan
        return scores

    with pytest.raises(ModelError, match="finite"):
        CounterfactualGenerator(broken, background_data=background()).generate(observation())


def test_a_model_that_is_replaced_during_the_search_is_told(tmp_path, engine):
    class Replaced:
        """The real engine, which gets its other model after a few calls."""

        def __init__(self):
            self.engine = OnnxBackend(ModelConfig(OnnxBackend.builtin("demo-64x128"), "onnx"))
            self.engine.load()
            self.calls = 0

        @property
        def model(self):
            return self.engine.model

        def infer(self, x):
            self.calls += 1
            if self.calls == 3:
                self.engine.load(OnnxBackend.builtin("demo-64x128-reversion"))
            return self.engine.infer(x)

    with pytest.raises(ExplainError, match="replaced during the search"):
        CounterfactualGenerator(Replaced(), background_data=windows(20, 1)).generate(windows(1, 2)[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_observation_that_is_not_finite_is_refused(value):
    x = observation()
    x[2] = value
    with pytest.raises(ExplainError, match="1 of 6 values are not finite"):
        CounterfactualGenerator(Network(), background_data=background()).generate(x)
    with pytest.raises(ExplainError, match="not finite"):
        CounterfactualGenerator(Network()).generate(observation(), background_data=x[None])


def test_wrong_shapes_are_refused(engine):
    with pytest.raises(ModelInputError):
        CounterfactualGenerator(engine).generate(np.zeros((3, 3), np.float32))
    with pytest.raises(ExplainError, match="does not fit an observation"):
        CounterfactualGenerator(Network(), background_data=np.zeros((5, FEATURES + 1))).generate(observation())
    with pytest.raises(ExplainError, match="an array of features"):
        CounterfactualGenerator(Network()).generate(3.0)
    with pytest.raises(ExplainError, match="expected numbers"):
        CounterfactualGenerator(Network()).generate("abc")


def test_an_action_that_was_not_the_model_s_is_refused():
    model, x = Network(), observation()
    other = (model.decision(x) + 1) % 3
    generator = CounterfactualGenerator(model, background_data=background())
    with pytest.raises(ExplainError, match=r"decides .* for this observation, not"):
        generator.generate(x, other)
    with pytest.raises(ExplainError, match="has no action 'short'"):
        generator.generate(x, "short")
    with pytest.raises(ExplainError, match="has no action 3"):
        generator.generate(x, desired=3)


def test_a_model_of_one_output_has_nothing_to_flip():
    with pytest.raises(ExplainError, match="one output"):
        CounterfactualGenerator(lambda x: x.sum(axis=1), background_data=background()).generate(observation())


@pytest.mark.parametrize("options", [{"budget": 0}, {"budget": 2.5}, {"budget": True}])
def test_a_budget_is_a_whole_number(options):
    with pytest.raises(ExplainError, match="budget is a whole number"):
        CounterfactualGenerator(Network(), **options)


@pytest.mark.parametrize("options", [{"max_results": 0}, {"n_samples": -1}, {"max_results": np.nan}])
def test_counts_are_whole_numbers(options):
    with pytest.raises(ExplainError, match="is a whole number of at least 1"):
        CounterfactualGenerator(Network(), background_data=background()).generate(observation(), **options)


def test_results_cannot_be_changed():
    found = CounterfactualGenerator(Network(2), background_data=background()).generate(observation(2))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        found[0].action = "hold"
    assert found[:2] == tuple(found)[:2]


def test_a_model_that_scores_batches_a_little_differently_is_still_flipped():
    def model(x):
        rounding = 0.3 if len(x) > 1 else 0.0  # far more than any runtime has
        return np.stack([x[:, 0] + rounding - 0.5, np.zeros(len(x))], axis=1)

    found = CounterfactualGenerator(model, background_data=background()).generate(np.zeros(FEATURES))
    assert found
    for each in found:
        assert model(each.observation[None])[0].argmax() == 0
        assert each.observation[0] > 0.5
