"""Models of a run with a model store: kept, loaded as before, refused where they are not what they were."""

from __future__ import annotations

import logging

import attrs
import pytest
from msgspec.structs import replace

from axon_quant.config import ModelStoreConfig, load_config
from axon_quant.config.rollout import RolloutEntry
from axon_quant.errors import ConfigError, ModelCheckError, SchemaMismatchError
from axon_quant.events import Decision
from axon_quant.inference import ModelStore
from axon_quant.journal import read
from axon_quant.market.generated import GeneratedMarket
from axon_quant.observation import Observation
from axon_quant.observation.features import FEATURES
from axon_quant.plugins import load_backend
from axon_quant.runtime.models import build_model, open_store
from axon_quant.runtime.reloading import HotReload
from axon_quant.runtime.replay import Replay
from axon_quant.runtime.rollout.memory import Memory
from axon_quant.runtime.wiring import build_instruments

SCHEMA = Observation.schema(64, 100)


@pytest.fixture
def config(root, tmp_path):
    """The shipped example with a model store, its first model in a file, and its journal in the test's own folder."""
    config = load_config(root / "examples" / "btcusdt.toml")
    path = tmp_path / "flow.onnx"
    path.write_bytes(load_backend("onnx").builtin("demo-64x128", FEATURES).read_bytes())
    return attrs.evolve(
        config,
        models=(attrs.evolve(config.models[0], builtin=None, path=path), config.models[1]),
        journal=attrs.evolve(config.journal, path=tmp_path / "run.db"),
        model_store=ModelStoreConfig(path=tmp_path / "store"),
    )


@pytest.fixture
def store(config):
    return open_store(config)


def replay(config, seconds=9.0):
    market = GeneratedMarket(build_instruments(config)[0], seconds=seconds)
    return Replay(config, market=market).run()


def test_without_a_store_nothing_is_kept(config, tmp_path):
    bare = attrs.evolve(config, model_store=None)
    assert open_store(bare) is None
    build_model(bare.models[0], SCHEMA)
    assert not (tmp_path / "store").exists()


def test_a_run_keeps_its_models_with_schema_plan_and_golden_vectors(config, store):
    summary = replay(config)
    assert store.names() == ("flow", "reversion")
    for model in summary.models:
        (stored,) = store.list(model.name)
        assert stored.sha256 == model.sha256
        assert stored.schema == SCHEMA
        assert len(stored.golden) == 8
        assert len(stored.plans) == 1
    assert store.current("flow") is None


def test_a_store_changes_no_decision_and_no_identity(config, tmp_path):
    bare = attrs.evolve(config, model_store=None, journal=attrs.evolve(config.journal, path=tmp_path / "bare.db"))
    assert bare.sha256 == config.sha256
    heads = [replay(one).journal_head for one in (bare, config)]
    assert heads[0] == heads[1]


def test_the_next_start_keeps_to_the_stored_plan(config, store):
    backend = build_model(config.models[0], SCHEMA, store)
    (stored,) = store.list("flow")
    (plan,) = stored.plans
    other = "all" if plan.plan["optimisation"] == "basic" else "basic"
    stored.write_plans((replace(plan, plan={**plan.plan, "optimisation": other}),))
    again = build_model(config.models[0], SCHEMA, store)
    assert again.model.plan["optimisation"] == other
    assert len(stored.plans) == 1
    assert again.model.sha256 == backend.model.sha256


def test_a_model_that_no_longer_answers_its_golden_vectors_does_not_serve(config, store):
    build_model(config.models[0], SCHEMA, store)
    (stored,) = store.list("flow")
    golden = stored.golden
    stored.write_golden(attrs.evolve(golden, outputs=golden.outputs * 2))
    with pytest.raises(ModelCheckError, match="golden vectors"):
        build_model(config.models[0], SCHEMA, store)


def test_a_version_with_another_schema_is_refused(config, store):
    build_model(config.models[0], SCHEMA, store)
    with pytest.raises(SchemaMismatchError, match="was added with the schema"):
        build_model(config.models[0], Observation.schema(64, 200), store)


def test_a_stored_version_can_be_named_in_place_of_a_path(config, store):
    flow = build_model(config.models[0], SCHEMA, store).model
    store.promote("flow", flow.sha256)
    before = store.history()
    for reference in ("flow@production", "flow@1", flow.sha256[:12]):
        entry = attrs.evolve(config.models[0], name="other", path=None, stored=reference, backend="wrong")
        backend = build_model(entry, SCHEMA, store)
        assert backend.model.sha256 == flow.sha256
        assert backend.model.name == "other"
        assert backend.config.sha256 == flow.sha256
        assert backend.config.path.is_relative_to(store.folder)
    assert store.history() == before
    with pytest.raises(ConfigError, match="no \\[model_store\\]"):
        build_model(entry, SCHEMA)
    pinned = attrs.evolve(entry, sha256="0" * 64)
    with pytest.raises(ModelCheckError, match="pinned"):
        build_model(pinned, SCHEMA, store)


def test_a_damaged_stored_version_does_not_serve(config, store):
    flow = build_model(config.models[0], SCHEMA, store).model
    stored = store.get(flow.sha256)
    stored.path.chmod(0o644)
    data = bytearray(stored.path.read_bytes())
    data[-1] ^= 1
    stored.path.write_bytes(data)
    with pytest.raises(ModelCheckError, match="pinned"):
        build_model(attrs.evolve(config.models[0], path=None, stored=flow.sha256), SCHEMA, store)


def test_a_file_that_was_served_before_mends_its_damaged_version(config, store, caplog):
    flow = build_model(config.models[0], SCHEMA, store).model
    stored = store.get(flow.sha256)
    stored.path.chmod(0o644)
    stored.path.write_bytes(b"damaged")
    with caplog.at_level(logging.WARNING):
        build_model(config.models[0], SCHEMA, store)
    assert "replaced" in caplog.text
    stored.verify()


def test_a_decision_can_be_computed_again_from_the_store_alone(config, store):
    replay(config)
    decision = next(event for _, event in read(config.journal.path, kinds=[Decision]))
    for identity in decision.models:
        backend = store.load(identity.sha256)
        assert backend.model.sha256 == identity.sha256
        assert backend.model.path.is_relative_to(store.folder)


def test_a_rollouts_candidate_can_be_a_stored_version(config, store):
    candidate = build_model(attrs.evolve(config.models[1], name="flow"), SCHEMA, store).model
    entry = RolloutEntry(model="flow", stored="flow@1")
    with_rollout = attrs.evolve(config, rollout=entry)
    summary = replay(with_rollout)
    assert summary.rollout.candidate_sha256 == candidate.sha256
    assert store.names() == ("flow", "reversion")


def test_a_confirmed_rollout_moves_the_label(config, store):
    sha256 = build_model(config.models[0], SCHEMA, store).model.sha256
    memory = Memory(labels=store)
    memory.label("flow", sha256)
    memory.close()
    assert store.current("flow").sha256 == sha256


class _Clock:
    def now(self):
        return 0


def test_a_version_that_is_swapped_in_is_kept_before_it_serves(config, store):
    backend = build_model(config.models[0], SCHEMA, store)
    path = config.models[0].path
    with HotReload([backend], lambda event: None, _Clock(), schema=SCHEMA, store=store, debounce=0.02) as reload:
        new = path.with_suffix(".next")
        new.write_bytes(load_backend("onnx").builtin("demo-64x128-reversion", FEATURES).read_bytes())
        new.replace(path)
        event = reload.wait_for("flow", timeout=20)
    assert store.versions("flow")[-1] == event.model.sha256
    assert store.get(event.model.sha256).schema == SCHEMA
    assert isinstance(store, ModelStore)
