"""Models whose weights stand in other files: covered by their identity, and loaded from a copy nobody can change."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from axon_backend_onnx import protobuf
from axon_backend_onnx.backend import OnnxBackend
from axon_quant.errors import ModelCheckError, ModelLoadError
from axon_quant.inference import ModelConfig, ModelStore
from axon_quant.inference.store import deploy

SIZE = 512


def external(location="weights/model.onnx.data", offset=0):
    weight = protobuf.external_tensor("w", [SIZE, 3], location, offset=offset)
    return protobuf.model(
        protobuf.graph(
            "external",
            [protobuf.node("MatMul", ["x", "w"], ["scores"])],
            initializers=[weight],
            inputs=[protobuf.value("x", ["batch", SIZE])],
            outputs=[protobuf.value("scores", ["batch", 3])],
        )
    )


def weights(seed=0):
    return np.random.default_rng(seed).standard_normal((SIZE, 3), np.float32)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(external())
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "model.onnx.data").write_bytes(weights().tobytes())
    return path


@pytest.fixture
def data(model):
    return model.parent / "weights" / "model.onnx.data"


def serve(path, **config):
    engine = OnnxBackend(ModelConfig(path, "onnx", **config))
    engine.load()
    return engine


def test_the_identity_covers_the_weights(model, data):
    engine = serve(model)
    assert engine.model.files.keys() == {"-", "weights/model.onnx.data"}
    assert engine.model.files["weights/model.onnx.data"] == hashlib.sha256(data.read_bytes()).hexdigest()
    before = engine.model.sha256
    data.write_bytes(weights(1).tobytes())
    assert engine.load().sha256 != before
    x = np.ones((1, SIZE), np.float32)
    np.testing.assert_allclose(engine.infer(x), x @ weights(1), rtol=1e-4, atol=1e-4)


def test_a_pin_covers_the_weights(model, data):
    pin = serve(model).model.sha256
    serve(model, sha256=pin)
    data.write_bytes(weights(1).tobytes())
    with pytest.raises(ModelCheckError, match="not the pinned one"):
        serve(model, sha256=pin)


def test_overwriting_or_truncating_the_weights_of_a_serving_model_changes_nothing(model, data):
    """In a process of its own: a mapping of a file that was cut short ends the process with SIGBUS."""
    code = f"""
        import os, sys
        import numpy as np
        from axon_backend_onnx.backend import OnnxBackend
        from axon_quant.inference import ModelConfig
        engine = OnnxBackend(ModelConfig({os.fspath(model)!r}, "onnx"))
        engine.load()
        x = np.ones((1, {SIZE}), np.float32)
        before = engine.infer(x).tobytes()
        with open({os.fspath(data)!r}, "r+b") as file:
            file.write(b"\\x7f" * 1024)
            os.fsync(file.fileno())
            assert engine.infer(x).tobytes() == before
            file.truncate(0)
        assert engine.infer(x).tobytes() == before
        print("serves")
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, env=environment, check=False
    )
    assert (run.returncode, run.stdout) == (0, "serves\n"), run.stderr


def test_no_copy_is_left_behind(model, tmp_path, monkeypatch):
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", os.fspath(place))
    engine = serve(model)
    assert list(place.iterdir()) == []
    engine.infer(np.ones((1, SIZE), np.float32))


@pytest.mark.parametrize(
    "location", ["../model.onnx.data", "/etc/passwd", "a/../../b", "", "C:\\\\weights", "..\\\\w", "w\0.data"]
)
def test_weights_outside_the_models_folder_are_refused(tmp_path, location):
    path = tmp_path / "model.onnx"
    path.write_bytes(external(location.replace("\\\\", "\\")))
    with pytest.raises(ModelLoadError, match="not in its folder"):
        serve(path)


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "elsewhere").write_bytes(weights().tobytes())
    (folder / "w.data").symlink_to(tmp_path / "elsewhere")
    (folder / "model.onnx").write_bytes(external("w.data"))
    with pytest.raises(ModelLoadError, match="a link that leads out of its folder"):
        serve(folder / "model.onnx")


def test_weights_that_are_not_there_are_named(model, data):
    data.unlink()
    with pytest.raises(ModelLoadError, match=r"'weights/model\.onnx\.data', which is not there"):
        serve(model)


def test_weights_that_are_too_short_are_refused(model, data):
    data.write_bytes(weights().tobytes()[:100])
    with pytest.raises(ModelLoadError) as caught:
        serve(model)
    assert caught.value.file == os.fspath(model)


def test_the_model_store_keeps_the_weights_and_loads_from_its_own_copy(model, data, tmp_path):
    engine = serve(model)
    x = np.random.default_rng(1).standard_normal((1, SIZE), np.float32)
    scores = engine.infer(x)
    store = ModelStore(tmp_path / "store")
    stored = store.put(engine.prepared, engine.config)
    assert sorted(stored.sha256_by_name) == ["model.onnx", "weights/model.onnx.data"]
    data.write_bytes(weights(1).tobytes())
    assert store.load(stored.sha256).infer(x).tobytes() == scores.tobytes()
    served = tmp_path / "served" / "other-name.onnx"
    deploy(stored, served)
    assert serve(served, sha256=stored.sha256).infer(x).tobytes() == scores.tobytes()
