"""`axon predict`: what a model says about windows in a file."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import zipfile

import click
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_quant import OnnxBackend, SafetensorsBackend
from axon_quant.cli.arrays import as_windows, read_npy
from axon_quant.inference import ModelConfig
from axon_quant.inference.files import file_sha256

KEYS = ["row", "action", "index", "confidence", "scores", "model", "version", "sha256"]


@pytest.fixture
def model(tmp_path):
    return shutil.copy(OnnxBackend.builtin("demo-4x1"), tmp_path / "signal.onnx")


@pytest.fixture
def windows():
    return np.random.default_rng(0).standard_normal((3, 4, 1), np.float32)


@pytest.fixture
def saved(tmp_path):
    """Write an array and name its file."""

    def save(array, name="windows.npy", **how):
        np.save(tmp_path / name, array, **how)
        return tmp_path / name

    return save


def engine_of(backend, path):
    engine = backend(ModelConfig(path, backend.kind))
    engine.load()
    return engine


def test_each_window_gets_what_the_backend_predicts(axon, model, windows, saved):
    result = axon("predict", model, "--input", saved(windows), "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    rows = json.loads(result.stdout)
    engine = engine_of(OnnxBackend, model)
    for number, (row, window) in enumerate(zip(rows, windows, strict=True)):
        action = engine.predict(window)
        assert list(row) == KEYS
        assert (row["row"], row["action"], row["index"]) == (number, action.name, action.index)
        assert (row["confidence"], row["scores"]) == (action.confidence, list(action.scores))
        assert (row["model"], row["version"], row["sha256"]) == ("signal", 1, file_sha256(model))


def test_one_window_needs_no_batch(axon, model, windows, saved):
    alone = axon("predict", model, "--input", saved(windows[0]), "--json")
    batch = axon("predict", model, "--input", saved(windows[:1]), "--json")
    assert alone.exit_code == 0
    assert json.loads(alone.stdout) == json.loads(batch.stdout)


def test_the_suffix_chooses_the_backend(axon, model, windows, saved, tmp_path):
    other = shutil.copy(SafetensorsBackend.builtin("demo-4x1"), tmp_path / "signal.safetensors")
    ours = json.loads(axon("predict", model, "--input", saved(windows), "--json").stdout)
    theirs = json.loads(axon("predict", other, "--input", saved(windows), "--json").stdout)
    for a, b in zip(ours, theirs, strict=True):
        assert a["action"] == b["action"]
        assert a["scores"] == pytest.approx(b["scores"], abs=1e-6)
        assert a["sha256"] != b["sha256"]
    assert axon("predict", other, "--backend", "onnx", "--input", saved(windows)).exit_code == 1


def test_the_table_has_action_scores_version_and_hash(axon, model, windows, saved):
    result = axon("predict", model, "--input", saved(windows))
    assert result.exit_code == 0
    for word in ("action", "confidence", "buy", "sell", "hold", "version", file_sha256(model)[:12]):
        assert word in result.stdout
    assert f"signal version 1 on cpu (onnx), sha256 {file_sha256(model)}" in result.stdout


def test_actions_can_be_named(axon, model, windows, saved, mean_model):
    window = saved(np.ones((2, 2), np.float32))
    (row,) = json.loads(axon("predict", mean_model, "--input", window, "--actions", "up, down,flat", "--json").stdout)
    assert (row["action"], row["index"], row["scores"]) == ("flat", 2, [1.0, 2.0, 3.0])
    result = axon("predict", model, "--input", saved(windows), "--actions", "up,down,flat")
    assert result.exit_code == 1
    assert "actions: expected ['up', 'down', 'flat'], found ['buy', 'sell', 'hold']" in result.stderr


def test_outputs_without_names_are_scores_without_a_decision(axon, mean_model, saved):
    mean_model.write_text("1 2")
    window = saved(np.ones((2, 2), np.float32))
    (row,) = json.loads(axon("predict", mean_model, "--input", window, "--json").stdout)
    assert (row["action"], row["confidence"], row["index"], row["scores"]) == (None, None, 1, [1.0, 2.0])
    result = axon("predict", mean_model, "--input", window)
    assert result.exit_code == 0
    assert "give them with --actions" in result.stderr


def test_what_is_not_float32_is_converted_with_a_note(axon, model, windows, saved):
    result = axon("predict", model, "--input", saved(windows.astype(np.float64) + 1e-9), "--json")
    assert result.exit_code == 0
    assert "note: the input is float64, and was converted to float32: the largest change is " in result.stderr
    exact = axon("predict", model, "--input", saved(windows.astype(">f4")), "--json")
    assert "nothing was lost" in exact.stderr
    assert json.loads(exact.stdout)[0]["scores"] == pytest.approx(json.loads(result.stdout)[0]["scores"], abs=1e-6)
    assert axon("predict", model, "--input", saved(np.ones((4, 1), np.int8)), "--json").exit_code == 0


def test_fortran_order_is_the_same_array(axon, model, windows, saved):
    ours = axon("predict", model, "--input", saved(windows), "--json")
    theirs = axon("predict", model, "--input", saved(np.asfortranarray(windows), "fortran.npy"), "--json")
    assert ours.stdout == theirs.stdout


def test_it_reads_stdin_as_a_process(model, windows):
    stream = io.BytesIO()
    np.save(stream, windows)
    command = [sys.executable, "-m", "axon_quant.cli", "predict", str(model), "--input", "-", "--json"]
    done = subprocess.run(command, input=stream.getvalue(), capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 3


def refused(axon, model, source, *options):
    result = axon("predict", model, "--input", source, *options)
    assert result.stdout == ""
    assert not isinstance(result.exception, click.ClickException | ValueError)
    return result.exit_code, " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 2), np.float32), "expected [4, 1] or [?, 4, 1], found [4, 2]"),
        (np.zeros((2, 2, 4, 1), np.float32), "found [2, 2, 4, 1]"),
        (np.zeros((0, 4, 1), np.float32), "found [0, 4, 1]"),
        (np.float32(1), "found []"),
        (np.array([[[1.0], [2.0], [np.nan], [0.0]]]), "found nan at [0, 2, 0] (1 in all)"),
        (np.full((4, 1), 1e39), "found 1e+39 at [0, 0, 0] (4 in all)"),
        (np.zeros((4, 1), complex), "expected real numbers, found complex128"),
        (np.zeros((4, 1), bool), "expected real numbers, found bool"),
        (np.array([["a"]] * 4), "expected real numbers, found <U1"),
    ],
)
def test_an_input_that_does_not_fit_is_refused_by_name(axon, model, saved, array, message):
    code, text = refused(axon, model, saved(array))
    assert code == 2
    assert message in text


def test_a_pickle_in_the_input_is_never_opened(axon, model, saved, tmp_path):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "executed"), "w"))

    code, text = refused(axon, model, saved(np.array([Payload()], object), allow_pickle=True))
    assert code == 2
    assert "windows.npy is no .npy file that can be read" in text
    assert not (tmp_path / "executed").exists()


def test_other_files_are_told_apart(axon, model, windows, tmp_path):
    np.savez(tmp_path / "many.npz", windows)
    assert "is an .npz archive" in refused(axon, model, tmp_path / "many.npz")[1]
    (tmp_path / "text.npy").write_text("1 2 3 4")
    assert "text.npy is no .npy file" in refused(axon, model, tmp_path / "text.npy")[1]
    (tmp_path / "empty.npy").touch()
    assert "empty.npy is no .npy file" in refused(axon, model, tmp_path / "empty.npy")[1]
    assert "No such file" in refused(axon, model, tmp_path / "none.npy")[1]
    assert "Is a directory" in refused(axon, model, tmp_path)[1]
    with (tmp_path / "two.npy").open("wb") as file:
        np.save(file, windows)
        np.save(file, windows)
    assert "goes on after its first array" in refused(axon, model, tmp_path / "two.npy")[1]
    assert zipfile.is_zipfile(tmp_path / "many.npz")


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--backend", "onxx"), 2, "did you mean 'onnx'?"),
        (("--sha256", "0" * 64), 1, "the file is not the pinned one"),
        (("--sha256", "nonsense"), 2, "sha256 must be 64 hexadecimal digits"),
        (("--actions", "buy,buy,hold"), 2, "actions must be distinct names"),
        (("--device", "cuda:x"), 2, "a device is cpu, cuda"),
        (("--shape", "1x8x1"), 1, "input: expected [1, 8, 1]"),
    ],
)
def test_an_option_that_cannot_be_is_said_in_one_message(axon, model, windows, saved, options, code, message):
    found, text = refused(axon, model, saved(windows), *options)
    assert found == code
    assert message in text


def test_half_precision_is_refused_where_there_is_none(axon, windows, saved, tmp_path):
    model = shutil.copy(SafetensorsBackend.builtin("demo-4x1"), tmp_path / "signal.safetensors")
    code, text = refused(axon, model, saved(windows), "--fp16")
    assert code == 1
    assert "half precision" in text


def test_a_model_that_is_not_there_or_not_one_is_named(axon, windows, saved, tmp_path):
    assert refused(axon, tmp_path / "none.onnx", saved(windows))[0] == 2
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    code, text = refused(axon, tmp_path / "bad.onnx", saved(windows))
    assert code == 1
    assert "bad.onnx" in text
    (tmp_path / "model.xyz").touch()
    code, text = refused(axon, tmp_path / "model.xyz", saved(windows))
    assert code == 2
    assert "no installed backend reads 'model.xyz'; there is: " in text


def test_a_missing_backend_is_told_with_the_command_that_installs_it(axon, windows, saved, tmp_path, monkeypatch):
    from axon_quant.plugins import installed, registry

    before = [source for source in registry.sources() if source.name != "torch"]
    monkeypatch.setattr(registry, "sources", lambda: before)
    installed.cache_clear()
    try:
        (tmp_path / "model.pt").touch()
        code, text = refused(axon, tmp_path / "model.pt", saved(windows))
    finally:
        installed.cache_clear()
    assert code == 2
    assert 'pip install "axon-backend-torch"' in text


MAGIC = b"\x93NUMPY\x01\x00"
DTYPES = ["<f4", ">f4", "|O", "<f2", "<M8[s]", "<U0", "|V3", "nonsense", 7, [("a", "<f4")], "<c8"]
shapes = st.lists(st.integers(-3, 10**30) | st.integers(0, 4), max_size=4).map(tuple)
headers = st.builds(
    lambda descr, order, shape: f"{{'descr': {descr!r}, 'fortran_order': {order!r}, 'shape': {shape!r}, }}\n".encode(),
    st.sampled_from(DTYPES) | st.text(),
    st.booleans() | st.none(),
    shapes | st.integers() | st.text(),
)


@given(
    change=st.one_of(
        st.binary(max_size=300),
        headers.map(lambda header: MAGIC + len(header).to_bytes(2, "little") + header + bytes(32)),
        st.integers(0, 160).map(lambda length: whole()[:length]),
        st.builds(
            lambda where, patch: whole()[:where] + patch + whole()[where + len(patch) :],
            st.integers(0, 159),
            st.binary(min_size=1, max_size=8),
        ),
    )
)
def test_whatever_the_bytes_are_they_are_an_array_or_a_usage_error(change, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "fuzzed.npy"
    path.write_bytes(change)
    try:
        windows, _ = as_windows(read_npy(str(path)), (4, 1))
    except click.UsageError:
        return
    assert windows.dtype == np.float32
    assert windows.shape[1:] == (4, 1)
    assert np.isfinite(windows).all()


def whole():
    stream = io.BytesIO()
    np.save(stream, np.arange(8, dtype=np.float32).reshape(2, 4, 1))
    return stream.getvalue()
