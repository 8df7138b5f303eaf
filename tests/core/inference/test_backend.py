import hashlib
import math
import threading

import numpy as np
import pytest

from axon_quant.clock import SimClock
from axon_quant.errors import ModelCheckError, ModelError, ModelInputError, ModelLoadError, UnsupportedError
from axon_quant.inference.config import Device, ModelConfig


def test_a_loaded_model_says_what_it_is(linear_backend, model_file):
    engine = linear_backend(ModelConfig(model_file, "linear", name="flow"), clock=SimClock(42))
    assert engine.version == 0
    model = engine.load()
    assert model is engine.model
    assert (model.number, str(model), model.name, model.path) == (1, "1", "flow", model_file)
    assert model.sha256 == hashlib.sha256(b"1 2 3").hexdigest()
    assert (model.device, model.loaded_at, model.plan) == (Device.CPU, 42, {"provider": "numpy"})
    assert (model.input_shape, model.output_dim, model.actions) == ((1, 4, 2), 3, ("buy", "sell", "hold"))
    assert model.identity.number == 1


def test_predict_names_the_highest_score_and_its_softmax_share(engine, window):
    action = engine.predict(window)  # mean 1: scores 2, 4, 6
    assert (action.name, action.index, action.scores, action.version) == ("hold", 2, (2.0, 4.0, 6.0), 1)
    assert action.confidence == pytest.approx(math.exp(6) / (math.exp(2) + math.exp(4) + math.exp(6)))
    assert action.models == (engine.model.identity,)
    assert engine.predict(window[None]) == action


def test_of_equal_scores_hold_wins_and_else_the_first(engine, linear_session, window):
    engine.replace_session(linear_session((1.0, 1.0, 1.0)))
    assert engine.predict(window).name == "hold"
    engine.replace_session(linear_session((1.0, 1.0, 0.0)))
    assert engine.predict(window).name == "buy"


def test_infer_takes_any_batch_and_the_caller_owns_the_scores(engine, window):
    batch = np.stack([window, 2 * window, 3 * window])
    scores = engine.infer(batch)
    assert scores.tolist() == [[2, 4, 6], [3, 6, 9], [4, 8, 12]]
    scores[:] = 0
    assert engine.infer(batch)[0].tolist() == [2, 4, 6]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (np.ones((1, 4, 3), np.float32), r"float32 \[1, 4, 3\]"),
        (np.ones((4, 2), np.float32), r"float32 \[4, 2\]"),
        (np.ones((0, 4, 2), np.float32), r"float32 \[0, 4, 2\]"),
        (np.ones((1, 4, 2)), r"float64 \[1, 4, 2\]"),
        (np.array(1, np.float32), r"float32 \[\]"),
        ([[1.0]], "list"),
    ],
)
def test_a_wrong_input_is_refused_with_what_was_expected_and_found(engine, given, found):
    with pytest.raises(ModelInputError, match=rf"expected float32 \[\?, 4, 2\], found {found}"):
        engine.infer(given)


def test_predict_refuses_a_batch(engine, window):
    with pytest.raises(ModelInputError, match="batch of 2"):
        engine.predict(np.stack([window, window]))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_inputs_that_are_not_finite_are_refused_with_their_place(engine, window, bad):
    window[2, 1] = bad
    with pytest.raises(ModelInputError, match=rf"found {bad} at \[0, 2, 1\]"):
        engine.predict(window)
    with pytest.raises(ModelInputError, match="expected finite numbers"):
        engine.infer(window[None])


def test_large_finite_inputs_pass(engine, window):
    window[:] = 1e30  # their squares overflow float32
    assert engine.predict(window).name == "hold"


def test_an_array_that_is_not_contiguous_is_read_as_it_looks(engine):
    wide = np.arange(16, dtype=np.float32).reshape(4, 4)
    assert engine.predict(wide[:, ::2]).scores == engine.predict(wide[:, ::2].copy()).scores


def test_scores_that_are_not_finite_are_an_error(engine, linear_session, window):
    class Overflowing(linear_session):
        def run(self, x):
            y = super().run(x)
            return y * np.float32(np.inf) if x.max() > 100 else y

    engine.replace_session(Overflowing((1.0, 2.0, 3.0)))
    for call in (engine.infer, engine.predict):
        with pytest.raises(ModelError, match="scores: expected finite numbers, found"):
            call(1000 * window[None])


def test_what_the_runtime_raises_is_reported_as_a_model_error(engine, linear_session, window):
    class Breaking(linear_session):
        def run(self, x):
            if x.max() > 100:
                raise RuntimeError("out of memory")
            return super().run(x)

    engine.replace_session(Breaking((1.0, 2.0, 3.0)))
    for call in (engine.infer, engine.predict):
        with pytest.raises(ModelError, match="the model failed: out of memory"):
            call(1000 * window[None])


def test_nothing_runs_before_the_first_load(linear_backend, model_file, window):
    engine = linear_backend(ModelConfig(model_file, "linear"))
    for call in (engine.infer, engine.predict):
        with pytest.raises(ModelError, match="call load"):
            call(window)


def test_outputs_without_names_can_be_inferred_but_not_decided_on(engine, linear_session, window):
    engine.replace_session(linear_session((1.0, 2.0)))
    assert engine.infer(window[None]).shape == (1, 2)
    with pytest.raises(ModelError, match="2 outputs have no names"):
        engine.predict(window)


def test_declared_actions_name_the_outputs(engine, linear_session, window):
    engine.replace_session(linear_session((1.0, 2.0), actions=("flat", "long")))
    assert engine.predict(window).name == "long"


def test_a_backend_without_built_in_models_says_so(linear_backend):
    with pytest.raises(UnsupportedError, match="demo-4x2"):
        linear_backend.builtin("demo-4x2")


@pytest.mark.parametrize(
    ("config", "session", "message"),
    [
        ({"input_shape": [1, 4, 3]}, {}, r"input: expected \[1, 4, 3\], found \[\?, 4, 2\]"),
        ({"input_shape": [1, 4]}, {}, r"input: expected \[1, 4\], found \[\?, 4, 2\]"),
        ({}, {"input_shape": (None, None, 2)}, "set input_shape"),
        ({"output_dim": 2}, {}, "outputs: expected 2, found 3"),
        ({"actions": ["a", "b"]}, {}, "actions: expected one per output, 3, found 2"),
        ({"actions": ["sell", "buy", "hold"]}, {"actions": ("buy", "sell", "hold")}, "actions: expected"),
        ({}, {"weights": ()}, "outputs: expected at least one, found 0"),
        ({}, {"weights": (1.0, float("nan"), 1.0)}, "scores for zeros: expected finite"),
        ({}, {"dtype": "float64"}, "expected float32, found float64"),
    ],
)
def test_a_model_that_is_not_what_was_configured_never_serves(
    linear_backend, linear_session, model_file, config, session, message
):
    engine = linear_backend(ModelConfig(model_file, "linear", **config))
    with pytest.raises(ModelCheckError, match=message) as caught:
        engine.replace_session(linear_session(**{"weights": (1.0, 2.0, 3.0), **session}))
    assert caught.value.file == str(model_file)
    assert engine.version == 0


def test_a_model_that_answers_differently_each_time_is_refused(engine, linear_session):
    class Dropout(linear_session):
        def run(self, x):
            return super().run(x) * np.float32(self.calls)

    with pytest.raises(ModelCheckError, match="two answers"):
        engine.replace_session(Dropout((1.0, 2.0, 3.0)))
    assert engine.version == 1


def test_a_session_is_warmed_before_it_serves(engine, linear_session):
    session = linear_session((1.0, 2.0, 3.0))
    engine.replace_session(session)
    assert session.calls >= 20


def test_another_file_than_the_pinned_one_is_refused_before_it_is_built(linear_backend, model_file):
    pinned = hashlib.sha256(model_file.read_bytes()).hexdigest()
    engine = linear_backend(ModelConfig(model_file, "linear", sha256=pinned.upper()))
    engine.load()
    model_file.write_text("not even numbers")
    with pytest.raises(ModelCheckError, match=f"expected sha256 {pinned}, found"):
        engine.load()
    assert engine.version == 1


def test_a_file_that_changes_while_it_is_loaded_is_refused(linear_backend, model_file):
    class Racing(linear_backend):
        def build_session(self, path):
            session = super().build_session(path)
            path.write_text("3 2 1")
            return session

    with pytest.raises(ModelLoadError, match="changed while it was loaded"):
        Racing(ModelConfig(model_file, "linear")).load()


def test_whatever_a_plugin_raises_is_reported_with_the_file(engine, model_file, window):
    model_file.write_text("garbage")
    with pytest.raises(ModelLoadError, match="garbage") as caught:
        engine.load()
    assert (caught.value.file, caught.value.plugin) == (str(model_file), "linear")
    model_file.unlink()
    with pytest.raises(ModelLoadError, match="No such file"):
        engine.load()
    assert engine.predict(window).version == 1


def test_another_path_can_be_loaded(engine, tmp_path, window):
    other = tmp_path / "other.txt"
    other.write_text("3 2 1")
    assert engine.load(str(other)).path == other
    assert engine.predict(window).name == "buy"


def test_readers_never_see_a_mix_of_versions_and_numbers_only_grow(engine, linear_session, window):
    stop = threading.Event()
    problems: list[str] = []
    seen: list[set[int]] = []

    def read():
        last, numbers = 0, set()
        while not stop.is_set():
            action = engine.predict(window)
            if action.version < last:
                problems.append(f"{action.version} after {last}")
            if action.version > 1 and action.scores[0] != 2.0 * action.version:
                problems.append(f"version {action.version} answered {action.scores}")
            last = action.version
            numbers.add(last)
        seen.append(numbers)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(2, 60):
        engine.replace_session(linear_session((float(number), 1.0, 0.5)))
    stop.set()
    for reader in readers:
        reader.join()
    assert problems == []
    assert engine.version == 59
    assert max(len(numbers) for numbers in seen) > 2


def test_a_prepared_model_serves_only_when_it_is_told_to(engine, model_file, window):
    before = engine.infer(window[None]).tolist()
    model_file.write_text("3 2 1")
    prepared = engine.prepare()
    assert (engine.version, engine.infer(window[None]).tolist()) == (1, before)
    model = engine.serve(prepared)
    assert (model.number, model.sha256, engine.prepared) == (2, prepared.files.sha256, prepared)
    assert engine.infer(window[None]).tolist() != before


def test_a_model_is_loaded_again_by_its_plan_and_refused_where_it_would_compute_otherwise(engine):
    plan = engine.model.plan
    assert engine.load(plan=plan).plan == plan
    with pytest.raises(ModelCheckError, match="plan: provider: expected fpga, found numpy"):
        engine.load(plan={"provider": "fpga"})
    assert engine.version == 2


@pytest.mark.parametrize("error", [OSError("no"), KeyError("weights"), RecursionError("deep")])
def test_what_a_plugin_raises_about_its_side_files_is_a_refusal_of_the_model(linear_backend, model_file, error):
    class Fragile(linear_backend):
        def side_files(self, path):
            raise error

    with pytest.raises(ModelLoadError, match="the model cannot be read") as caught:
        Fragile(ModelConfig(model_file, "linear")).load()
    assert caught.value.file == str(model_file)


def test_an_error_about_side_files_keeps_its_words_and_names_the_model(linear_backend, model_file):
    class Picky(linear_backend):
        def side_files(self, path):
            raise ModelCheckError("no settings")

    with pytest.raises(ModelCheckError, match=r"linear\.txt: no settings"):
        Picky(ModelConfig(model_file, "linear")).load()
