"""A stored version takes the place of a file that a process watches."""

from __future__ import annotations

import os
import subprocess

import pytest

from axon_quant.errors import ModelCheckError, ModelError
from axon_quant.inference import ModelConfig, ModelHotReloader, ModelStore
from axon_quant.inference.files import ModelFiles
from axon_quant.inference.store import deploy
from axon_quant.plugins import load_backend


@pytest.fixture
def store(tmp_path):
    return ModelStore(tmp_path / "store")


@pytest.fixture
def stored(store, tmp_path):
    path = tmp_path / "trained" / "next.onnx"
    path.parent.mkdir()
    path.write_bytes(b"graph")
    (path.parent / "next.data").write_bytes(b"weights")
    return store.add(ModelFiles.at(path, [path.parent / "next.data"]), name="flow", backend="onnx")


def test_all_files_are_there_and_the_checksums_hold(stored, tmp_path):
    served = tmp_path / "served" / "model.onnx"
    deploy(stored, served)
    assert served.read_bytes() == b"graph"
    assert served.with_name("next.data").read_bytes() == b"weights"
    assert sorted(path.name for path in served.parent.iterdir()) == ["model.onnx", "model.onnx.sha256", "next.data"]
    subprocess.run(["sha256sum", "--check", "--strict", "model.onnx.sha256"], cwd=served.parent, check=True)
    assert os.access(served, os.W_OK)
    assert stored.verify() is None


def test_checksums_come_first_and_the_file_itself_last(stored, tmp_path, monkeypatch):
    served = tmp_path / "served" / "model.onnx"
    order = []
    replace = type(served).replace

    def watched(self, target):
        order.append(target.name)
        return replace(self, target)

    monkeypatch.setattr(type(served), "replace", watched)
    deploy(stored, served)
    assert order == ["model.onnx.sha256", "next.data", "model.onnx"]


def test_a_damaged_version_changes_nothing(stored, tmp_path):
    served = tmp_path / "model.onnx"
    served.write_bytes(b"old")
    side = stored.files.sides[0]
    side.chmod(0o644)
    side.write_bytes(b"damaged")
    with pytest.raises(ModelCheckError, match=r"next\.data: damaged in the store"):
        deploy(stored, served)
    assert served.read_bytes() == b"old"
    assert not served.with_name("model.onnx.sha256").exists()


def test_a_side_file_of_the_old_version_must_be_moved_away_first(stored, tmp_path):
    served = tmp_path / "model.onnx"
    served.write_bytes(b"old")
    left = tmp_path / "config.json"
    left.write_text("{}")
    with pytest.raises(ModelError, match=r"config\.json beside it would become part of the new version"):
        deploy(stored, served, sides_now=[left])
    assert served.read_bytes() == b"old"
    deploy(stored, served, sides_now=[tmp_path / "next.data"])
    assert served.read_bytes() == b"graph"


def test_a_folder_that_cannot_be_written_is_an_error(stored, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be replaced"):
        deploy(stored, tmp_path / "file" / "model.onnx")


def test_a_link_is_replaced_and_what_it_led_to_is_left_alone(stored, tmp_path):
    old, served = tmp_path / "old.onnx", tmp_path / "served" / "model.onnx"
    old.write_bytes(b"old")
    served.parent.mkdir()
    served.symlink_to(old)
    deploy(stored, served)
    assert old.read_bytes() == b"old"
    assert not served.is_symlink()


def test_a_reloader_that_watches_takes_the_new_version_up(store, tmp_path):
    made = load_backend("onnx")
    served, trained = tmp_path / "served" / "flow.onnx", tmp_path / "next.onnx"
    served.parent.mkdir()
    served.write_bytes(made.builtin("demo-4x2").read_bytes())
    trained.write_bytes(made.builtin("demo-4x2-reversion").read_bytes())
    engine = made(ModelConfig(served, "onnx"))
    old = engine.load()
    files = engine.files(trained)
    deploy(store.add(files, name="flow", backend="onnx"), served)
    with ModelHotReloader(engine, engine.config, debounce=0.01) as reloader:
        assert reloader.reload().sha256 == files.sha256 != old.sha256
        served.with_suffix(".tmp").write_bytes(made.builtin("demo-4x2").read_bytes())
        served.with_suffix(".tmp").replace(served)
        with pytest.raises(ModelError, match="pinned"):
            reloader.reload()
