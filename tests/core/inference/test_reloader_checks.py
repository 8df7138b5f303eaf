"""What keeps a new version from serving, and how it gets another chance."""

import hashlib
import logging
import os
import threading
import time

import numpy as np
import pytest

from axon_quant.errors import AxonError, ModelCheckError, ModelLoadError
from axon_quant.events import ModelLoaded, ModelRefused
from axon_quant.inference import GoldenVectors, ModelConfig, ModelHotReloader
from axon_quant.inference.checksums import Checksums

PATIENCE = 10.0
A, B, C = "1 2 3", "3 2 1", "2 3 1"


def replace(path, text):
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(text)
    temporary.replace(path)


def eventually(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


def sha256sum(*paths):
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in paths)


@pytest.fixture
def events():
    return []


@pytest.fixture
def reloading(events):
    made = []

    def make(engine, **options):
        options = {"debounce": 0.03, "quiet": False, "emit": events.append} | options
        made.append(ModelHotReloader(engine, engine.config, **options))
        made[-1].spawn_watcher()
        return made[-1]

    yield make
    for reloader in made:
        reloader.stop()


@pytest.fixture
def refused(events):
    """Waits for so many refusals, and returns the last one's reason."""

    def wait(count=1):
        eventually(lambda: sum(isinstance(event, ModelRefused) for event in events) >= count)
        reasons = [event.reason for event in events if isinstance(event, ModelRefused)]
        assert len(reasons) == count
        return reasons[-1]

    return wait


# Pins.


def test_checksums_written_first_pin_the_next_version(engine, reloading, model_file, refused):
    pin = Checksums.beside(model_file)
    pin.write_text(f"{hashlib.sha256(B.encode()).hexdigest()}  model.txt\n")
    reloader = reloading(engine)
    time.sleep(0.1)
    assert (reloader.version, reloader.last_error) == (1, None)  # what serves is not the next version
    replace(model_file, C)
    assert "is not the pinned one: expected sha256" in refused()
    assert reloader.last_error.file == str(pin)
    assert reloader.version == 1
    replace(model_file, B)
    eventually(lambda: reloader.version == 2)
    assert reloader.last_error is None


def test_a_corrected_or_removed_pin_gives_the_same_bytes_another_chance(engine, reloading, model_file, refused):
    pin = Checksums.beside(model_file)
    pin.write_text("0" * 64)
    reloader = reloading(engine)
    replace(model_file, B)
    refused(1)
    pin.write_text("no checksum at all")
    assert "not one line per file" in refused(2)
    pin.write_text(sha256sum(model_file))
    eventually(lambda: reloader.version == 2)
    pin.write_text("1" * 64)
    replace(model_file, C)
    refused(3)
    pin.unlink()
    eventually(lambda: reloader.version == 3)


def test_a_pin_that_comes_and_goes_does_not_undo_a_rollback(engine, reloading, model_file):
    reloader = reloading(engine)
    replace(model_file, B)
    eventually(lambda: reloader.version == 2)
    reloader.rollback()
    Checksums.beside(model_file).write_text(sha256sum(model_file))
    time.sleep(0.15)
    Checksums.beside(model_file).unlink()
    time.sleep(0.15)
    assert reloader.version == 3


# Golden vectors, schema, and checks of one's own.


def test_golden_vectors_are_held_against_a_new_version(engine, reloading, model_file, refused, tmp_path):
    golden = GoldenVectors.record(engine.prepared)
    golden.save(tmp_path / "golden.npz")
    reloader = reloading(engine, golden=tmp_path / "golden.npz")
    replace(model_file, B)
    assert "golden vectors" in refused()
    replace(model_file, "1 2 3.0000001")  # other bytes, the same answers
    eventually(lambda: reloader.version == 2)
    with pytest.raises(ModelLoadError):
        ModelHotReloader(engine, engine.config, golden=tmp_path / "away.npz")


@pytest.fixture
def schemed(linear_backend, model_file):
    """Its file names a feature schema in a second line, if it likes."""

    class Schemed(linear_backend):
        def build_session(self, path):
            text = path.read_text()
            weights, _, schema = text.partition("\n")
            path.with_name("weights").write_text(weights)
            session = super().build_session(path.with_name("weights"))
            session.schema_sha256 = schema or None
            return session

    model_file.write_text(f"{A}\n{'a' * 64}")
    engine = Schemed(ModelConfig(model_file, "linear"))
    engine.load()
    return engine


def test_another_feature_schema_than_the_one_that_serves_is_refused(schemed, reloading, model_file, refused):
    reloader = reloading(schemed)
    replace(model_file, f"{B}\n{'b' * 64}")
    assert f"expected sha256 {'a' * 64}, found {'b' * 64}" in refused(1)
    replace(model_file, B)
    assert "found none declared" in refused(2)
    replace(model_file, f"{B}\n{'a' * 64}")
    eventually(lambda: reloader.version == 2)


def test_a_schema_may_be_given_and_any_may_be_allowed(schemed, reloading, model_file):
    reloading(schemed, schema_sha256="b" * 64)
    replace(model_file, f"{B}\n{'b' * 64}")
    eventually(lambda: schemed.version == 2)
    free = ModelHotReloader(schemed, schemed.config, any_schema=True)
    model_file.write_text(C)
    assert free.reload().schema_sha256 is None
    free.stop()


def test_a_check_of_ones_own_refuses_with_its_reason(engine, reloading, model_file, refused):
    seen = []

    def no_favourite(prepared):
        seen.append(prepared.spec.output_dim)
        if prepared.session.weights[0] == 3:
            raise ModelCheckError("it only ever buys")

    def broken(prepared):
        if prepared.session.weights[0] == 2:
            raise ValueError("of the check's own")

    reloader = reloading(engine, checks=[no_favourite, broken])
    replace(model_file, B)
    assert refused(1) == "it only ever buys"
    assert reloader.last_error.file == str(model_file)
    replace(model_file, C)
    assert "ValueError(\"of the check's own" in refused(2)
    replace(model_file, "4 3 1")
    eventually(lambda: reloader.version == 2)
    assert seen == [3, 3, 3]


# Files that are written, damaged or away while they are looked at.


def test_bytes_that_were_refused_are_not_tried_again_but_reported_again(engine, reloading, model_file, refused):
    reloader = reloading(engine)
    replace(model_file, "garbage")
    refused()
    error = reloader.last_error
    os.utime(model_file)
    time.sleep(0.1)
    model_file.unlink()
    eventually(lambda: "cannot be read" in str(reloader.last_error))
    replace(model_file, "garbage")
    eventually(lambda: reloader.last_error is error)
    refused(1)


def test_old_bytes_restored_are_no_new_version_and_clear_the_error(engine, reloading, model_file, refused):
    reloader = reloading(engine)
    replace(model_file, "garbage")
    refused()
    replace(model_file, A)
    eventually(lambda: reloader.last_error is None)
    assert reloader.version == 1
    replace(model_file, "garbage")
    refused(2)  # it is new again


@pytest.mark.parametrize("obstacle", ["folder", "loop", "gone"])
def test_what_cannot_be_read_for_a_while_is_no_refusal(engine, reloading, model_file, events, obstacle):
    reloader = reloading(engine)
    aside = model_file.with_name("aside")
    model_file.rename(aside)
    if obstacle == "folder":
        model_file.mkdir()
    elif obstacle == "loop":
        model_file.symlink_to(model_file)
    eventually(lambda: isinstance(reloader.last_error, ModelLoadError))
    if obstacle != "gone":
        model_file.rmdir() if obstacle == "folder" else model_file.unlink()
    aside.rename(model_file)
    eventually(lambda: reloader.last_error is None)
    assert (reloader.version, events) == (1, [])


@pytest.mark.parametrize("bytes_change", [True, False], ids=["other bytes", "the same bytes"])
def test_a_file_written_while_it_is_loaded_is_loaded_again(linear_backend, model_file, reloading, events, bytes_change):
    class Slow(linear_backend):
        builds = 0

        def build_session(self, path):
            session = super().build_session(path)
            Slow.builds += 1
            if Slow.builds == 2:
                replace(path, C if bytes_change else B)
            return session

    engine = Slow(ModelConfig(model_file, "linear"))
    engine.load()
    reloader = reloading(engine)
    replace(model_file, B)
    eventually(lambda: reloader.version == 2)
    assert engine.session.weights == ((2, 3, 1) if bytes_change else (3, 2, 1))
    reasons = [event.reason for event in events if isinstance(event, ModelRefused)]
    assert len(reasons) == 1
    assert "changed while" in reasons[0]
    eventually(lambda: reloader.last_error is None)


# Models of several files.


@pytest.fixture
def sided(linear_backend, model_file):
    """Weights in the file, and what they are multiplied with in another one beside it: as many of each, or none."""

    class Sided(linear_backend):
        def side_files(self, path):
            side = path.with_name(f"{path.name}.scale")
            return [side] if side.exists() else []

        def build_session(self, path):
            session = super().build_session(path)
            for side in self.side_files(path):
                text, _, first = side.read_text().partition(" for ")
                scales = tuple(float(word) for word in text.split())
                if len(scales) != len(session.weights) or (first and float(first) != session.weights[0]):
                    raise ModelLoadError(f"{session.weights} weights and {side.read_text()} scales")
                session.weights = tuple(w * s for w, s in zip(session.weights, scales, strict=True))
            return session

    model_file.with_name("linear.txt.scale").write_text("1 1 1")
    engine = Sided(ModelConfig(model_file, "linear"))
    engine.load()
    return engine


def test_a_side_file_alone_makes_a_new_version_and_may_appear_and_go(sided, reloading, model_file):
    side = model_file.with_name("linear.txt.scale")
    reloader = reloading(sided)
    replace(side, "2 2 2")
    eventually(lambda: sided.session.weights == (2, 4, 6))
    side.unlink()
    eventually(lambda: sided.session.weights == (1, 2, 3))
    replace(side, "3 3 3")
    eventually(lambda: sided.session.weights == (3, 6, 9))
    assert reloader.version == 4


@pytest.mark.parametrize("order", ["the file first", "the side file first"])
def test_a_mix_that_does_not_fit_is_refused_and_the_whole_is_taken_up(sided, reloading, model_file, refused, order):
    side = model_file.with_name("linear.txt.scale")
    side.write_text("1 1 1 for 1")
    sided.load()
    reloader = reloading(sided)
    steps = [(model_file, "4 5 6"), (side, "1 2 1 for 4")]
    if order == "the side file first":
        steps.reverse()
    replace(*steps[0])
    assert "weights and" in refused()
    assert sided.session.weights == (1, 2, 3)
    replace(*steps[1])
    eventually(lambda: sided.session.weights == (4, 10, 6))
    assert reloader.version == 3


def test_a_pin_of_every_file_keeps_a_mix_that_would_fit_from_serving(sided, reloading, model_file, refused):
    side = model_file.with_name("linear.txt.scale")
    new = {model_file: B, side: "2 2 2"}
    pin = "".join(f"{hashlib.sha256(text.encode()).hexdigest()}  {path.name}\n" for path, text in new.items())
    Checksums.beside(model_file).write_text(pin)
    reloader = reloading(sided)
    replace(model_file, B)
    assert "linear.txt.scale is not the pinned one" in refused()
    replace(side, "2 2 2")
    eventually(lambda: sided.session.weights == (6, 4, 2))
    assert reloader.version == 2


def test_files_written_within_the_debounce_are_one_version(sided, reloading, model_file, events):
    side = model_file.with_name("linear.txt.scale")
    reloading(sided, debounce=0.25)
    replace(model_file, B)
    time.sleep(0.1)
    replace(side, "2 2 2")
    eventually(lambda: sided.session.weights == (6, 4, 2))
    assert [type(event) for event in events] == [ModelLoaded]


# How it is told.


def test_the_log_has_one_line_for_each_outcome(engine, reloading, model_file, refused, caplog):
    caplog.set_level(logging.INFO, "axon_quant.reload")
    reloader = reloading(engine)
    replace(model_file, "1 nan 3")
    refused()
    replace(model_file, B)
    eventually(lambda: len(caplog.records) == 2)
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith(f"model linear: version 1 keeps serving: {model_file}: scores for zeros: expected finite")
    assert f"model linear: version 2 serves, sha256 {engine.model.sha256}" in second
    assert reloader.version == 2


def test_an_error_that_is_kept_does_not_keep_the_model_it_is_about(linear_backend, model_file, reloading, refused):
    class Witness:
        alive = 0

        def __init__(self):
            Witness.alive += 1

        def __del__(self):
            Witness.alive -= 1

    class Heavy(linear_backend):
        def build_session(self, path):
            session = super().build_session(path)
            return Carrying(session, Witness())

    class Carrying:
        def __init__(self, session, witness):
            self.session, self.witness = session, witness

        def __getattr__(self, name):
            return getattr(self.session, name)

    engine = Heavy(ModelConfig(model_file, "linear"))
    engine.load()
    reloader = reloading(engine, quiet=True)
    replace(model_file, "1 nan 3")
    refused()
    assert isinstance(reloader.last_error, AxonError)
    eventually(lambda: Witness.alive == 1)


def test_a_load_by_hand_is_checked_like_any_other(engine, model_file):
    Checksums.beside(model_file).write_text("0" * 64)
    reloader = ModelHotReloader(engine, engine.config, checks=[lambda prepared: np.testing.assert_equal(1, 1)])
    with pytest.raises(ModelCheckError, match="pinned"):
        reloader.reload()
    Checksums.beside(model_file).unlink()
    results = []
    threads = [threading.Thread(target=lambda: results.append(reloader.reload().number)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [2, 3, 4, 5]
    reloader.stop()
