"""`axon models` on a store with real ONNX models."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest

from axon_quant import GoldenVectors, ModelHotReloader, ModelStore, load_backend, load_config
from axon_quant.inference.files import ModelFiles
from axon_quant.observation import Observation
from axon_quant.observation.features import FEATURES
from axon_quant.runtime.models import build_model

CONFIG = """\
[market]
symbols = ["BTCUSDT"]

[[market.instruments]]
symbol = "BTCUSDT"
base = "BTC"
quote = "USDT"
tick_size = "0.01"
lot_size = "0.00001"

[[models]]
name = "flow"
path = "models/flow.onnx"

[exchange]
balances = { USDT = "1000" }

[journal]
path = "journal.db"

[model_store]
path = "store"
"""


def built(name):
    return load_backend("onnx").builtin(name, FEATURES).read_bytes()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A run's configuration, its served model, and two that were trained."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text(CONFIG)
    for path, model in (
        ("models/flow.onnx", "demo-64x128"),
        ("trained/new.onnx", "demo-64x128-reversion"),
        ("trained/small.onnx", "demo-4x2"),
        ("trained/small-again.onnx", "demo-4x2-reversion"),
    ):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(
            built(model) if "64" in model else load_backend("onnx").builtin(model).read_bytes()
        )
    return tmp_path


@pytest.fixture
def models(axon, folder):
    """Run `axon models …` and return what it printed."""

    def models(*arguments, code=0):
        result = axon("models", *arguments)
        assert result.exit_code == code, result.output
        return result.stdout if code == 0 else result.output

    return models


@pytest.fixture
def store(folder):
    return ModelStore(folder / "store")


def sha256_of(path):
    return ModelFiles.at(path).sha256


def test_an_empty_store_is_said_to_be_empty_and_is_not_made(models, folder):
    assert "no versions in" in models("list", "--store", "nowhere")
    assert json.loads(models("list", "-c", "run.toml", "--json")) == []
    assert not (folder / "nowhere").exists()
    assert not (folder / "store").exists()


def test_versions_are_added_listed_promoted_and_rolled_back(models, folder, store):
    first, second = (sha256_of(folder / "trained" / f"{name}.onnx") for name in ("small", "small-again"))
    at = ("--store", "store")
    assert models("add", "trained/small.onnx", "--name", "flow", *at) == f"flow@1 is added: sha256 {first}\n"
    assert "flow@1 was there already" in models("add", "trained/small.onnx", "--name", "flow", *at)
    models("add", "trained/small-again.onnx", "--name", "flow", *at, "--source", "run 7")
    assert models("promote", "flow@1", *at) == f"flow: {first} is in production\n"
    assert f"before it was {first}" in models("promote", second[:10], *at)
    rows = json.loads(models("list", *at, "--json"))
    assert [(row["name"], row["number"], row["sha256"], row["state"]) for row in rows] == [
        ("flow", 1, first, "previous"),
        ("flow", 2, second, "production"),
    ]
    assert [row["source"] for row in rows] == [str(folder / "trained" / "small.onnx"), "run 7"]
    assert rows[0]["backend"] == "onnx"
    assert rows[0]["golden"] == 8
    assert rows[0]["schema_sha256"] is None
    assert rows[0]["plans"][0]["provider"] == "CPUExecutionProvider"
    assert rows[0]["added"].endswith("Z")
    table = models("list", "flow", *at)
    assert first[:12] in table
    assert "production" in table
    assert models("rollback", "flow", *at) == f"flow: {first} is in production, before it was {second}\n"
    assert store.current("flow").sha256 == first
    assert "no version was in production before" in models("rollback", "flow", *at, code=1)


def test_a_bare_name_is_its_latest_version(models, store):
    models("add", "trained/small.onnx", "--name", "flow", "--store", "store")
    models("add", "trained/small-again.onnx", "--name", "flow", "--store", "store")
    models("promote", "flow", "--store", "store")
    assert store.current("flow") == store.list("flow")[1]


def test_a_version_of_two_models_needs_a_name(models, store):
    for name in ("flow", "other"):
        models("add", "trained/small.onnx", "--name", name, "--store", "store")
    sha256 = store.versions("flow")[0]
    assert "a version of flow, other: say which one with --name" in models(
        "promote", sha256, "--store", "store", code=2
    )
    models("promote", sha256, "--name", "other", "--store", "store")
    models("promote", "flow@1", "--store", "store")
    assert store.current("other") == store.current("flow")


def test_what_is_not_there_or_not_a_model_is_refused(models, folder, store):
    assert "there is no flow@1 in the store" in models("promote", "flow@1", "--store", "store", code=1)
    (folder / "bad.onnx").write_bytes(b"no model")
    models("add", "bad.onnx", "--store", "store", code=1)
    assert store.names() == ()


def test_a_damaged_version_or_a_wrong_answer_moves_nothing(models, store):
    models("add", "trained/small.onnx", "--name", "flow", "--store", "store")
    models("add", "trained/small-again.onnx", "--name", "flow", "--store", "store")
    first, second = store.list("flow")
    models("promote", "flow@1", "--store", "store")
    golden = second.golden
    second.write_golden(GoldenVectors(golden.inputs, golden.outputs + 1))
    assert "golden vectors: vector" in models("promote", "flow@2", "--store", "store", code=1)
    second.write_golden(golden)
    second.path.chmod(0o644)
    second.path.write_bytes(second.path.read_bytes()[:-1] + b"!")
    assert "damaged in the store" in models("promote", "flow@2", "--store", "store", code=1)
    assert store.current("flow") == first
    output = models("verify", "--store", "store", code=1)
    assert str(second.path) in output
    assert "1 whole, 1 damaged" in output
    assert models("verify", "flow@1", "--store", "store") == "1 whole, 0 damaged\n"
    (second.folder / "manifest.json").unlink()
    rows = json.loads(models("list", "--store", "store", "--json"))
    assert rows[0]["error"] is None
    assert "manifest.json" in rows[1]["error"]
    assert "damaged" in models("list", "--store", "store")


def test_golden_vectors_and_a_background_may_be_given(models, folder, store):
    windows = np.random.default_rng(3).standard_normal((5, 4, 2), np.float32)
    np.save("background.npy", windows)
    engine = load_backend("onnx")(_config("trained/small.onnx"))
    engine.load()
    GoldenVectors.record(engine.prepared, windows[:2]).save("golden.npz")
    given = ("--golden", "golden.npz", "--background", "background.npy")
    models("add", "trained/small.onnx", *given, "--store", "store")
    (stored,) = store.list("small")
    assert len(stored.golden) == 2
    assert stored.background.tobytes() == windows.tobytes()
    output = models("add", "trained/small-again.onnx", "--golden", "golden.npz", "--store", "store", code=1)
    assert "golden vectors: vector" in output
    np.save("background.npy", windows[:, :3])
    models("add", "trained/small.onnx", "--background", "background.npy", "--store", "store", code=2)
    assert store.names() == ("small",)


def _config(path):
    from axon_quant import ModelConfig

    return ModelConfig(path, "onnx")


def test_old_versions_are_pruned(models, store):
    for name in ("small", "small-again"):
        models("add", f"trained/{name}.onnx", "--name", "flow", "--store", "store")
    first, second = store.versions("flow")
    models("promote", "flow@2", "--store", "store")
    assert models("prune", "--keep", "1", "--store", "store") == f"{first}\n"
    assert store.versions("flow") == (second,)


# With a configuration


def test_a_configured_model_is_added_with_the_schema_and_must_take_the_observation(models, folder, store):
    models("add", "trained/new.onnx", "--name", "flow", "-c", "run.toml")
    (stored,) = store.list("flow")
    assert stored.schema == Observation.schema(64, 100)
    output = models("add", "trained/small.onnx", "--name", "flow", "-c", "run.toml", code=1)
    assert "takes [1, 4, 2], the observation is [1, 64, 128]" in output
    assert "leave out --threads" in models(
        "add", "trained/new.onnx", "--name", "flow", "-c", "run.toml", "--threads", "2", code=2
    )
    (folder / "run.toml").write_text(CONFIG + "[observation]\ninterval_ms = 200\n")
    assert "schema" in models("promote", "flow@1", "-c", "run.toml", code=1)


def test_promote_replaces_the_served_file_and_a_rollback_brings_back_what_was_served(models, folder, store):
    served = folder / "models" / "flow.onnx"
    old, new = sha256_of(served), sha256_of(folder / "trained" / "new.onnx")
    models("add", "trained/new.onnx", "--name", "flow", "-c", "run.toml")
    output = models("promote", "flow", "-c", "run.toml")
    assert output == f"flow: {new} is in production\n{served} is replaced\n"
    assert sha256_of(served) == new
    subprocess.run(["sha256sum", "--check", "--quiet", "flow.onnx.sha256"], cwd=served.parent, check=True)
    assert store.previous("flow").sha256 == old
    models("rollback", "flow", "-c", "run.toml")
    assert sha256_of(served) == old
    assert [change.action for change in store.history("flow")] == [
        *("added", "added", "promoted", "promoted", "rolled-back")
    ]


def test_a_reloader_that_watches_takes_a_promotion_up(models, folder):
    config = load_config("run.toml")
    engine = build_model(config.models[0], Observation.schema(64, 100))
    with ModelHotReloader(engine, engine.config, debounce=0.01) as reloader:
        versions = reloader.subscribe()
        models("add", "trained/new.onnx", "--name", "flow", "-c", "run.toml")
        models("promote", "flow", "-c", "run.toml")
        import asyncio

        asyncio.run(asyncio.wait_for(versions.changed(), 20))
        assert engine.model.sha256 == sha256_of(folder / "trained" / "new.onnx")
        assert reloader.last_error is None


def test_a_served_file_that_is_broken_can_be_replaced(models, folder, store):
    served = folder / "models" / "flow.onnx"
    served.write_bytes(b"broken")
    models("add", "trained/new.onnx", "--name", "flow", "-c", "run.toml")
    assert "is replaced" in models("promote", "flow", "-c", "run.toml")
    assert sha256_of(served) == sha256_of(folder / "trained" / "new.onnx")
    assert len(store.versions("flow")) == 1


def test_a_pinned_model_is_not_replaced_by_another(models, folder):
    pin = sha256_of(folder / "models" / "flow.onnx")
    models("add", "trained/new.onnx", "--name", "flow", "-c", "run.toml")
    path = 'path = "models/flow.onnx"'
    (folder / "run.toml").write_text(CONFIG.replace(path, f'{path}\nsha256 = "{pin}"'))
    assert "pinned to sha256" in models("promote", "flow", "-c", "run.toml", code=2)
    assert sha256_of(folder / "models" / "flow.onnx") == pin


def test_a_model_that_the_configuration_has_not_is_a_mistake(models, store):
    models("add", "trained/new.onnx", "-c", "run.toml")
    assert "the configuration has no model new, but flow" in models("promote", "new", "-c", "run.toml", code=2)
    assert store.current("new") is None
    models("promote", "new", "--store", "store")


def test_a_stored_model_has_no_file_to_replace(models, folder, store):
    models("add", "trained/new.onnx", "--name", "flow", "-c", "run.toml")
    (folder / "run.toml").write_text(CONFIG.replace('path = "models/flow.onnx"', 'stored = "flow@production"'))
    assert "no file is replaced" in models("promote", "flow", "-c", "run.toml")
    assert store.current("flow") == store.list("flow")[0]


def test_without_a_store_there_is_nothing_to_do(models, folder):
    (folder / "bare.toml").write_text(CONFIG.partition("[model_store]")[0])
    assert "which store?" in models("list", code=2)
    assert "bare.toml has no [model_store]" in models("list", "-c", "bare.toml", code=2)
    (folder / "wrong.toml").write_text("x = 1")
    assert "wrong.toml" in models("list", "-c", "wrong.toml", code=2)


def test_help_says_what_promote_does(models):
    text = models("promote", "--help")
    assert "nothing changes" in text
    assert "FILE.sha256" in text
