"""Models replaced on disk while a run goes on: journaled on the loop's thread, in the order of the run."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import attrs
import pytest

from axon_quant.config.schema import ModelStoreConfig
from axon_quant.demo.market import PausingMarket
from axon_quant.errors import ConfigError, EnsembleError, ModelError
from axon_quant.events import Decision, ModelLoaded, ModelRefused, RunEnded
from axon_quant.inference import ModelStore
from axon_quant.inference.action import TRADING_ACTIONS
from axon_quant.journal import read
from axon_quant.market.generated import GeneratedMarket
from axon_quant.observation.features import FEATURES
from axon_quant.plugins import load_backend
from axon_quant.runtime.reloading import HotReload
from axon_quant.runtime.replay import Replay
from axon_quant.runtime.wiring import build_instruments

AT = 1_700_000_010_000_000_000


def builtin(name):
    return load_backend("onnx").builtin(name, FEATURES).read_bytes()


class Deployment:
    """A run whose first model is replaced by `content` ten seconds into the market."""

    def __init__(self, config, folder, content):
        self.path = folder / "served.onnx"
        self.path.write_bytes(builtin("demo-64x128"))
        served = attrs.evolve(config.models[0], builtin=None, path=self.path)
        self.config = attrs.evolve(config, models=(served, *config.models[1:]))
        self.content = content
        self.threads = []

    def run(self):
        market = GeneratedMarket(build_instruments(self.config)[0], seconds=14.0)
        return Replay(self.config, market=PausingMarket(market, AT, self.pause), around=self.around).run()

    @contextmanager
    def around(self, built):
        def record(event):
            self.threads.append(threading.current_thread())
            built.bus.record(event)

        with HotReload(built.backends, record, built.clock, debounce=0.02) as self.reload:
            yield

    def pause(self):
        new = self.path.with_suffix(".next")
        new.write_bytes(self.content)
        new.replace(self.path)
        self.reload.wait_for("flow", timeout=20.0)

    def events(self, *kinds):
        return [event for _, event in read(self.config.journal.path, kinds=kinds)]


def test_a_new_version_is_journaled_before_the_first_decision_it_makes(btcusdt, tmp_path):
    deployment = Deployment(btcusdt, tmp_path, builtin("demo-64x128-reversion"))
    summary = deployment.run()
    assert {model.name: model.number for model in summary.models} == {"flow": 2, "reversion": 1}
    (loaded,) = deployment.events(ModelLoaded)
    assert loaded.model.number == 2
    assert abs(loaded.at - AT) <= 20_000_000
    current = 1
    for event in deployment.events(Decision, ModelLoaded):
        if isinstance(event, ModelLoaded):
            current = event.model.number
        else:
            assert event.models[0].number == current
    assert deployment.threads == [threading.main_thread()]


def test_a_version_that_is_refused_ends_the_wait_with_its_reason_and_is_journaled(btcusdt, tmp_path):
    deployment = Deployment(btcusdt, tmp_path, b"no model at all")
    with pytest.raises(ModelError, match=r"new version of model flow was refused"):
        deployment.run()
    assert [event.name for event in deployment.events(ModelRefused)] == ["flow"]
    assert [event.outcome for event in deployment.events(RunEnded)] == ["failed"]


def test_waiting_for_a_version_that_does_not_come_ends(btcusdt, tmp_path):
    backend = load_backend("onnx")(_configuration(tmp_path))
    backend.load()
    with HotReload([backend], lambda event: None, _Frozen(), debounce=0.01) as reload:
        with pytest.raises(ModelError, match="no new version within"):
            reload.wait_for("flow", timeout=0.05)
        assert reload.drain() == 0


def _configuration(folder):
    from axon_quant import InferenceBackend, ModelConfig

    path = folder / "flow.onnx"
    path.write_bytes(builtin("demo-64x128"))
    return ModelConfig(path, InferenceBackend.ONNX, name="flow")


class _Frozen:
    def now(self):
        return 0


class Buyer:
    actions = TRADING_ACTIONS

    def predict(self, observation):
        assert observation.shape == (1, 64, 128)
        return "buy"


def test_a_rule_votes_beside_the_configured_models(btcusdt):
    market = GeneratedMarket(build_instruments(btcusdt)[0], seconds=8.0)
    summary = Replay(btcusdt, market=market, members={"rule": Buyer()}).run()
    assert list(summary.weights) == ["flow", "reversion", "rule"]
    decisions = [event for _, event in read(btcusdt.journal.path, kinds=[Decision])]
    assert {vote.name for vote in decisions[0].members} == {"flow", "reversion", "rule"}
    assert [model.name for model in decisions[0].models] == ["flow", "reversion"]


def test_a_rule_has_the_mean_of_the_configured_weights(btcusdt):
    weighted = tuple(attrs.evolve(model, weight=weight) for model, weight in zip(btcusdt.models, (1, 3), strict=True))
    config = attrs.evolve(btcusdt, models=weighted)
    market = GeneratedMarket(build_instruments(config)[0], seconds=1.0)
    summary = Replay(config, market=market, members={"rule": Buyer()}).run()
    assert list(summary.weights.values()) == pytest.approx([1 / 6, 3 / 6, 2 / 6])


def test_a_rule_cannot_take_the_name_of_a_model(btcusdt):
    market = GeneratedMarket(build_instruments(btcusdt)[0], seconds=1.0)
    with pytest.raises((EnsembleError, ConfigError), match="flow"):
        Replay(btcusdt, market=market, members={"flow": Buyer()}).run()


class KeptDeployment(Deployment):
    """The same by the configuration alone: `reload = true`, and a [model_store]."""

    def __init__(self, config, folder, content):
        super().__init__(config, folder, content)
        served, *others = self.config.models
        self.config = attrs.evolve(
            self.config,
            models=(attrs.evolve(served, reload=True), *others),
            model_store=ModelStoreConfig(path=folder / "store"),
        )

    @contextmanager
    def around(self, built):
        self.reload = built.reload
        yield


def test_every_version_that_served_is_in_the_model_store(btcusdt, tmp_path):
    deployment = KeptDeployment(btcusdt, tmp_path, load_backend("onnx").builtin("demo-64x128").read_bytes())
    summary = deployment.run()
    served = {identity.sha256 for event in deployment.events(Decision) for identity in event.models}
    store = ModelStore(tmp_path / "store")
    assert len(served) == 3
    assert served == {*store.versions("flow"), *store.versions("reversion")}
    assert [model.number for model in summary.models if model.name == "flow"] == [2]
    for sha256 in served:
        stored = store.get(sha256)
        assert stored.golden is not None
        store.verify(sha256)
