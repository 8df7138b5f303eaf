"""Many windows at once: one answer each, by one version, batched only where that changes nothing."""

import gc
import logging
import re
import threading
import weakref

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from axon_quant.errors import AxonError, ModelError, ModelInputError, UnsupportedError
from axon_quant.inference.batch import TOLERANCE, BatchResult, check_batches
from axon_quant.inference.config import ModelConfig

WINDOW = (4, 2)
BAD = {
    "shape": np.ones((4, 3), np.float32),
    "batch of two": np.ones((2, 4, 2), np.float32),
    "type": np.ones(WINDOW),
    "list": [[1.0, 2.0]] * 4,
    "nothing": None,
    "nan": np.full(WINDOW, np.nan, np.float32),
    "infinity": np.full(WINDOW, -np.inf, np.float32),
    "poison": np.full(WINDOW, 666.0, np.float32),
    "blow-up": np.full(WINDOW, 777.0, np.float32),
}
"""What each is refused for: the first ones at the door, poison by the runtime, and the last by its scores."""


def windows_of(*means):
    return [np.full(WINDOW, mean, np.float32) for mean in means]


@pytest.fixture
def moody(linear_session):
    """Raises for poison, as a whole batch, and answers infinity where it blows up."""

    class Moody(linear_session):
        sizes = ()

        def run(self, x):
            self.sizes = (*self.sizes, len(x))
            if (x == 666.0).any():
                raise RuntimeError("poison")
            with np.errstate(all="ignore"):
                return super().run(x) * np.where(x == 777.0, np.float32(np.inf), np.float32(1))[:, :1, 0]

    return Moody


def with_session(linear_backend, path, session):
    """An engine that serves this very session."""

    class Ready(linear_backend):
        def build_session(self, path):
            return session

    engine = Ready(ModelConfig(path, "linear"))
    engine.load()
    return engine


def test_each_window_is_answered_as_it_is_alone_in_one_run(linear_backend, model_file, moody):
    session = moody((1.0, 2.0, 3.0))
    engine = with_session(linear_backend, model_file, session)
    engine.check_batches()
    session.sizes = ()
    first, second, third = windows_of(1, 2, 3)
    result = engine.infer_batch([first, second[None], third])
    assert session.sizes == (3,)
    assert (result.batched, len(result), result.model) == (True, 3, engine.model)
    assert [answer.tolist() for answer in result] == [[2, 4, 6], [3, 6, 9], [4, 8, 12]]
    assert result.scores().tolist() == [[2, 4, 6], [3, 6, 9], [4, 8, 12]]
    assert result.errors == {}
    assert result[1].dtype == np.float32


def test_an_array_is_a_sequence_of_windows(engine):
    x = np.stack(windows_of(*range(150)))
    assert engine.infer_batch(x).scores().tolist() == engine.infer(x).tolist()


def test_the_callers_own_their_rows(engine):
    rows = list(engine.infer_batch(windows_of(1, 2)))
    rows[0][:] = 0
    assert rows[1].tolist() == [3, 6, 9]
    assert engine.infer_batch(windows_of(1))[0].tolist() == [2, 4, 6]


def test_no_windows_are_no_answers(engine):
    result = engine.infer_batch([])
    assert (len(result), result.scores().shape) == (0, (0, 3))


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_one_bad_window_discards_no_other(linear_backend, model_file, moody, bad, count):
    engine = with_session(linear_backend, model_file, moody((1.0, 2.0, 3.0)))
    windows = [*windows_of(*range(count)), BAD[bad], *windows_of(*range(count))]
    result = engine.infer_batch(windows)
    assert list(result.errors) == [count]
    assert isinstance(result[count], ModelError)
    good = [answer.tolist() for index, answer in enumerate(result) if index != count]
    assert good == 2 * [engine.infer(window[None])[0].tolist() for window in windows[:count]]
    with pytest.raises(type(result[count])) as caught:
        result.scores()
    assert caught.value is result[count]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    items=st.lists(st.one_of(st.integers(0, 9).map(float), st.sampled_from(sorted(BAD))), max_size=40),
    largest=st.integers(1, 9),
)
def test_any_mix_of_windows_has_one_answer_each(tmp_path_factory, linear_backend, linear_session, items, largest):
    class Moody(linear_session):
        def run(self, x):
            assert len(x) <= largest
            if (x == 666.0).any():
                raise RuntimeError("poison")
            y = super().run(x)
            y[(x == 777.0).any(axis=(1, 2))] = np.nan
            return y

    path = tmp_path_factory.mktemp("mix") / "linear.txt"
    path.write_text("1 2 3")
    engine = with_session(linear_backend, path, Moody((1.0, 2.0, 3.0)))
    result = engine.infer_batch(
        [BAD[item] if isinstance(item, str) else np.full(WINDOW, item, np.float32) for item in items], largest=largest
    )
    assert len(result) == len(items)
    for item, answer in zip(items, result, strict=True):
        if isinstance(item, str):
            assert isinstance(answer, ModelError)
        else:
            assert answer.tolist() == [1 + item, 2 * (1 + item), 3 * (1 + item)]


def test_the_error_of_a_window_is_the_one_that_infer_raises(engine):
    for bad in ("shape", "type", "list", "nan", "infinity"):
        (answer,) = engine.infer_batch([BAD[bad]])
        with pytest.raises(ModelInputError) as caught:
            engine.predict(BAD[bad])
        assert (type(answer), str(answer)) == (type(caught.value), str(caught.value))


def test_large_finite_windows_pass(engine):
    huge = np.full(WINDOW, 1e30, np.float32)  # its squares overflow float32
    result = engine.infer_batch([huge, *windows_of(1), huge])
    assert result.errors == {}
    assert result[1].tolist() == [2, 4, 6]


@pytest.mark.parametrize("what", [None, 3, np.array(1, np.float32)])
def test_what_is_no_sequence_is_refused_whole(engine, what):
    with pytest.raises(ModelInputError, match="expected a sequence of arrays, found"):
        engine.infer_batch(what)


@pytest.mark.parametrize("largest", [0, -1])
def test_a_batch_has_at_least_one_window(engine, largest):
    for call in (engine.check_batches, lambda largest: engine.infer_batch([], largest=largest)):
        with pytest.raises(ValueError, match=f"at least one window, got {largest}"):
            call(largest)


def test_nothing_is_answered_before_the_first_load(linear_backend, model_file):
    engine = linear_backend(ModelConfig(model_file, "linear"))
    for call in (lambda: engine.infer_batch([]), engine.check_batches):
        with pytest.raises(ModelError, match="call load"):
            call()


def test_masked_numbers_are_refused_and_other_subclasses_are_read_as_arrays(engine, tmp_path):
    masked = np.ma.masked_greater(np.arange(8, dtype=np.float32).reshape(WINDOW), 6)
    for call in (lambda x: engine.infer(x[None]), engine.predict):
        with pytest.raises(ModelInputError, match="masked"):
            call(masked)
    mapped = np.memmap(tmp_path / "window", np.float32, "w+", shape=WINDOW)
    mapped[:] = 1
    assert type(engine.infer(mapped[None])) is np.ndarray
    assert engine.predict(mapped).scores == (2, 4, 6)
    assert engine.infer_batch([mapped, masked]).errors.keys() == {1}


def test_foreign_byte_order_is_refused_by_name(engine):
    with pytest.raises(ModelInputError, match="found float32 in foreign byte order"):
        engine.predict(np.ones(WINDOW, np.float32).astype(np.dtype(np.float32).newbyteorder()))


# What may be batched


class Refusing:
    def __init__(self, session):
        self._session = session

    def __getattr__(self, name):
        return getattr(self._session, name)

    def run(self, x):
        if len(x) > 1:
            raise UnsupportedError("one window at a time")
        return self._session.run(x)


class Mixing(Refusing):
    """Every row of a batch feels the others, a little."""

    def run(self, x):
        return self._session.run(x) + np.float32(4e-4) * (x - x.mean(axis=0)).mean(axis=(1, 2))[:, None]


class Short(Refusing):
    def run(self, x):
        return self._session.run(x)[:3]


class Noisy(Refusing):
    """Within the tolerance."""

    def run(self, x):
        return self._session.run(x) * np.float32(1 + 1e-7 * (len(x) > 1))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Refusing, "a batch of 2 failed: one window at a time"),
        (Mixing, "a row in a batch of 2 differs by .*e-05 from the same window alone"),
        (Short, r"a batch of 4 gave scores of shape \[3, 3\]"),
    ],
)
def test_a_model_that_cannot_be_batched_is_answered_one_by_one(
    linear_backend, linear_session, model_file, caplog, kind, reason
):
    engine = with_session(linear_backend, model_file, kind(linear_session((1.0, 2.0, 3.0))))
    check = engine.check_batches()
    assert not check.passed
    with caplog.at_level(logging.WARNING):
        result = engine.infer_batch(windows_of(*range(8)))
        engine.infer_batch(windows_of(*range(8)))
    assert not result.batched
    assert result.errors == {}
    assert result.scores()[5].tolist() == [6, 12, 18]
    assert re.search(reason, check.reason)


def test_why_a_model_is_not_batched_is_logged_once(linear_backend, linear_session, model_file, caplog):
    engine = with_session(linear_backend, model_file, Refusing(linear_session((1.0, 2.0, 3.0))))
    for _ in range(3):
        engine.infer_batch(windows_of(1, 2))
    (record,) = caplog.records
    assert record.getMessage() == (
        "linear: version 1 is answered one window at a time: a batch of 2 failed: one window at a time"
    )


def test_rounding_within_the_tolerance_may_be_batched(linear_session):
    check = check_batches(Noisy(linear_session((1.0, 2.0, 3.0))), WINDOW, 32)
    assert check.passed
    assert 0 < check.max_difference <= TOLERANCE
    assert check.sizes == (2, 3, 4, 8, 16, 32)
    assert check.seconds > 0


def test_a_nan_in_a_batch_is_a_difference(linear_session):
    class Lost(Refusing):
        def run(self, x):
            return self._session.run(x) * np.float32(np.nan if len(x) == 8 else 1)

    check = check_batches(Lost(linear_session((1.0, 2.0, 3.0))), WINDOW, 8)
    assert "batch of 8 differs by nan" in check.reason


def test_a_fixed_batch_is_not_batched(linear_backend, linear_session, model_file):
    engine = with_session(linear_backend, model_file, linear_session((1.0, 2.0, 3.0), input_shape=(1, *WINDOW)))
    assert engine.check_batches().reason == "its batch is fixed at 1"
    assert engine.infer_batch(windows_of(1, 2)).scores().tolist() == [[2, 4, 6], [3, 6, 9]]


def test_the_check_is_made_once_for_each_version(linear_backend, model_file, moody):
    session = moody((1.0, 2.0, 3.0))
    engine = with_session(linear_backend, model_file, session)
    check = engine.check_batches(8)
    runs = len(session.sizes)
    engine.infer_batch(windows_of(1, 2), largest=8)
    assert engine.check_batches(8) is check
    assert len(session.sizes) == runs + 1
    engine.replace_session(moody((1.0, 2.0, 3.0)))
    assert engine.check_batches(8) is not check


def test_windows_need_not_wait_for_the_check(linear_backend, linear_session, model_file):
    release = threading.Event()

    class Slow(linear_session):
        def run(self, x):
            if len(x) > 1:
                assert release.wait(10)
            return super().run(x)

    engine = with_session(linear_backend, model_file, Slow((1.0, 2.0, 3.0)))
    for _ in range(3):
        result = engine.infer_batch(windows_of(1, 2, 3), wait=False)
        assert not result.batched
        assert result.scores()[2].tolist() == [4, 8, 12]
    checkers = [thread for thread in threading.enumerate() if thread.name.startswith("check-batches")]
    assert len(checkers) == 1
    release.set()
    checkers[0].join(10)
    assert engine.infer_batch(windows_of(1, 2, 3), wait=False).batched


def test_one_version_answers_all_of_a_call(linear_backend, linear_session, model_file):
    engine = linear_backend(ModelConfig(model_file, "linear"))
    engine.load()
    engine.check_batches(4)

    class Swapping(linear_session):
        def run(self, x):
            if len(x) == 4 and engine.version == 2:
                engine.replace_session(linear_session((10.0, 20.0, 30.0)))
            return super().run(x)

    engine.replace_session(Swapping((1.0, 2.0, 3.0)))
    engine._serving.batch_checks[4] = engine.check_batches(3)
    result = engine.infer_batch(windows_of(*range(12)), largest=4)
    assert (engine.version, result.model.number) == (3, 2)
    assert result.scores()[:, 0].tolist() == [1.0 + n for n in range(12)]


def test_a_result_says_which_error_is_whose(engine):
    result = engine.infer_batch([*windows_of(1), BAD["nan"]])
    assert isinstance(result, BatchResult)
    assert all(isinstance(error, AxonError) for error in result.errors.values())
    assert "[0, 0, 0]" in str(result[1])


def test_whoever_keeps_the_errors_does_not_keep_the_session(linear_backend, linear_session, model_file, moody):
    engine = linear_backend(ModelConfig(model_file, "linear"))
    engine.load()
    engine.replace_session(moody((1.0, 2.0, 3.0)))
    gc.collect()
    gc.disable()
    try:
        kept = [engine.infer_batch([*windows_of(1, 2), *BAD.values()]) for _ in range(3)]
        old = weakref.ref(engine.session)
        engine.load()
        assert old() is None
    finally:
        gc.enable()
    assert len(kept[0].errors) == len(BAD)
    poison = list(BAD).index("poison") + 2
    assert isinstance(kept[0][poison].__cause__, RuntimeError)
