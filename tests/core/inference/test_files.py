"""Which bytes a model is made of."""

import hashlib
import subprocess

import pytest

from axon_quant.errors import ModelLoadError
from axon_quant.inference.files import ModelFiles


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"graph")
    (tmp_path / "b.data").write_bytes(b"weights")
    (tmp_path / "a.json").write_bytes(b"{}")
    return path


def test_a_file_alone_is_identified_by_its_own_hash(model):
    assert ModelFiles.at(model).sha256 == hashlib.sha256(b"graph").hexdigest()


def test_side_files_count_for_the_hash_as_the_shell_would_compute_it(model):
    files = ModelFiles.at(model, [model.with_name("b.data"), model.with_name("a.json")])
    command = "(sha256sum < model.onnx; sha256sum a.json b.data) | sha256sum"
    printed = subprocess.run(["sh", "-c", command], cwd=model.parent, capture_output=True, check=True, text=True)
    assert files.sha256 == printed.stdout.split()[0]
    assert files.sides == (model.with_name("a.json"), model.with_name("b.data"))


def test_a_changed_side_file_is_another_model_and_a_renamed_model_is_not(model):
    side = model.with_name("b.data")
    before = ModelFiles.at(model, [side])
    other = model.rename(model.with_name("other.onnx"))
    assert ModelFiles.at(other, [side]) == before
    side.write_bytes(b"other weights")
    assert ModelFiles.at(other, [side]).sha256 != before.sha256


def test_a_side_file_elsewhere_or_missing_is_refused(model, tmp_path):
    for side in (tmp_path / ".." / "x", tmp_path / "sub" / ".." / ".." / "x", tmp_path.parent / "x"):
        with pytest.raises(ModelLoadError, match="its folder"):
            ModelFiles.at(model, [side])
    with pytest.raises(ModelLoadError, match=r"missing\.data"):
        ModelFiles.at(model, [tmp_path / "missing.data"])
