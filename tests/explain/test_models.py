"""What can be explained: backends, ensembles, policies, classifiers, functions."""

from __future__ import annotations

import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from axon_backend_onnx import OnnxBackend, protobuf
from axon_quant import ModelConfig
from axon_quant.ensemble import DynamicWeightedEnsemble
from axon_quant.errors import ExplainError, ModelError
from axon_quant.explain import KernelSHAP
from axon_quant.inference import ModelStore
from axon_quant.observation.schema import FeatureSchema


@pytest.fixture(scope="module")
def engine():
    backend = OnnxBackend(ModelConfig(OnnxBackend.builtin("demo-64x128"), "onnx"))
    backend.load()
    return backend


@pytest.fixture(scope="module")
def windows():
    return np.random.default_rng(0).standard_normal((6, 64, 128)).astype(np.float32)


def linear_onnx(weights, batch="batch", name="linear"):
    """`[batch, rows, channels]` → scores, each a weighted sum of the window."""
    flat, outputs = weights.shape
    graph = protobuf.graph(
        name,
        [protobuf.node("Flatten", ["x"], ["flat"], axis=1), protobuf.node("MatMul", ["flat", "w"], ["scores"])],
        initializers=[protobuf.tensor("w", weights.shape, weights.ravel().tolist())],
        inputs=[protobuf.value("x", [batch, 4, flat // 4])],
        outputs=[protobuf.value("scores", [batch, outputs])],
    )
    return protobuf.model(graph)


@pytest.fixture
def linear(tmp_path):
    """An ONNX model of a window `[4, 5]` whose importances are known, and its weights."""

    def made(seed=0, batch="batch"):
        weights = np.random.default_rng(seed).standard_normal((20, 3)).astype(np.float32)
        path = tmp_path / f"linear-{seed}.onnx"
        path.write_bytes(linear_onnx(weights, batch))
        backend = OnnxBackend(ModelConfig(path, "onnx"))
        backend.load()
        return backend, weights.astype(np.float64)

    return made


def test_a_backend_s_window_is_explained_by_channels_with_its_version(engine, windows):
    found = KernelSHAP(engine, budget=1_024).explain(windows[0], engine.predict(windows[0]), windows[1:])
    assert (found.grouping, found.method, len(found.feature_names)) == ("channel", "paired-leverage", 128)
    assert found.models == (engine.model.identity,)
    assert found.score == pytest.approx(float(engine.infer(windows[:1])[0, found.output]))
    assert found.base_value == pytest.approx(float(engine.infer(windows[1:])[:, found.output].mean()), abs=1e-6)
    assert abs(found.additivity_gap) < 1e-9
    with_axis = KernelSHAP(engine, budget=1_024).explain(windows[:1], found.action, windows[1:])
    np.testing.assert_array_equal(with_axis.feature_importances, found.feature_importances)


@pytest.mark.parametrize("batch", ["batch", 1, 7])
def test_a_backend_is_explained_whatever_batch_it_takes(linear, windows, batch):
    backend, weights = linear(batch=batch)
    x, rows = windows[0, :4, :5], windows[1:4, :4, :5]
    found = KernelSHAP(backend, budget=256).explain(x, 1, rows)
    exact = weights[:, 1] * (x - rows.mean(axis=0)).ravel()
    np.testing.assert_allclose(found.feature_importances, exact, atol=1e-5)


def test_an_ensemble_is_explained_without_being_changed(linear, windows):
    (one, first), (two, second) = linear(0), linear(1)
    ensemble = DynamicWeightedEnsemble([one, two], initial_weights=[0.75, 0.25])
    before = ensemble.state()
    x, rows = windows[0, :4, :5], windows[1:4, :4, :5]
    found = KernelSHAP(ensemble, groups="time").explain(x, "sell", rows)
    assert found.models == (one.model.identity, two.model.identity)
    assert found.score == pytest.approx(float(ensemble.infer(x[None])[0, 1]))
    assert found.base_value + found.feature_importances.sum() == pytest.approx(found.score)

    def by_hand(batch):
        shares = 0.0
        for weights, weight in ((first, 0.75), (second, 0.25)):
            scores = np.exp(batch.reshape(len(batch), -1) @ weights)
            shares += weight * scores / scores.sum(axis=1, keepdims=True)
        return shares

    same = KernelSHAP(by_hand, groups="time").explain(x.astype(np.float64), "sell", rows)
    np.testing.assert_allclose(found.feature_importances, same.feature_importances, atol=1e-5)
    assert ensemble.state() == before
    with_axis = KernelSHAP(ensemble, groups="time").explain(x[None], "sell", rows)
    np.testing.assert_array_equal(with_axis.feature_importances, found.feature_importances)


class Policy:
    """What Stable-Baselines3's algorithms have in common: `predict(…) -> (labels, state)`, of one or many."""

    action_space = SimpleNamespace(n=3)

    def __init__(self):
        self.weights = np.random.default_rng(3).standard_normal((8, 3))
        self.calls = 0

    def predict(self, observation, deterministic=False):
        assert deterministic
        self.calls += 1
        return (np.asarray(observation) @ self.weights).argmax(axis=-1), None


@pytest.mark.filterwarnings("ignore:.*integer labels and nothing names them")
def test_a_policy_is_explained_by_how_often_it_chooses_an_action(windows):
    policy = Policy()
    x, rows = windows[0, 0, :8], windows[1, :10, :8]
    found = KernelSHAP(policy).explain(x, background_data=rows)
    chosen = int(policy.predict(x, deterministic=True)[0])
    assert (found.output, found.score) == (chosen, 1.0)
    share = np.mean(policy.predict(rows, deterministic=True)[0] == chosen)
    assert found.base_value == pytest.approx(share)
    assert found.feature_importances.sum() == pytest.approx(1.0 - share)
    assert policy.calls < 20


@pytest.mark.filterwarnings("ignore:.*integer labels and nothing names them")
def test_a_policy_that_takes_no_batches_is_asked_row_by_row(windows):
    class Single(Policy):
        def predict(self, observation, deterministic=False):
            self.calls += 1
            return np.int64((np.ravel(observation)[:8] @ self.weights).argmax()), None

    x, rows = windows[0, 0, :8], windows[1, :2, :8]
    one, many = Single(), Policy()
    found = [KernelSHAP(policy).explain(x, 0, rows).feature_importances for policy in (one, many)]
    np.testing.assert_array_equal(*found)
    assert one.calls > 500


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
def test_a_classifier_is_explained_with_the_names_it_was_fitted_with():
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((200, 4))
    labels = np.where(inputs[:, 0] > 0, "buy", np.where(inputs[:, 1] > 0, "sell", "hold"))
    fitted = linear_model.LogisticRegression().fit(inputs, labels)
    fitted.feature_names_in_ = np.array(["flow", "spread", "noise", "other"], dtype=object)
    found = KernelSHAP(fitted).explain(np.array([2.0, 0.1, 0.0, 0.0]), "buy", inputs)
    assert found.feature_names == ("flow", "spread", "noise", "other")
    assert found.feature_importances.argmax() == 0
    assert 0 <= found.base_value <= found.score <= 1


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(ModelError, match="cannot decide"):
        KernelSHAP(object())


def test_names_and_background_come_from_the_store_where_nothing_is_given(linear, windows, tmp_path):
    backend, weights = linear()
    store = ModelStore(tmp_path / "store")
    schema = FeatureSchema("five", tuple("abcde"), "none", 1_000, 4)
    sample = windows[1:4, :4, :5].copy()
    store.put(backend.prepared, backend.config, schema=schema, background=sample)
    x = windows[0, :4, :5]
    found = KernelSHAP(backend, groups="channel", store=store).explain(x, 0)
    assert found.feature_names == tuple("abcde")
    assert (found.background_source, found.background_rows) == ("store", 3)
    exact = weights[:, 0].reshape(4, 5) * (x - sample.mean(axis=0))
    np.testing.assert_allclose(found.feature_importances, exact.sum(axis=0), atol=1e-5)
    ensemble = DynamicWeightedEnsemble([lambda _: np.zeros(3, np.float32), backend])
    assert KernelSHAP(ensemble, groups="channel", store=store)._subject.feature_names(store) == tuple("abcde")


def test_a_model_that_is_replaced_meanwhile_is_told(linear, windows, monkeypatch):
    backend, _ = linear()
    infer, calls = backend.infer, []

    def replaced(x):
        calls.append(len(x))
        if len(calls) == 3:
            backend.load()
        return infer(x)

    monkeypatch.setattr(backend, "infer", replaced)
    with pytest.raises(ExplainError, match="was replaced while it was explained"):
        KernelSHAP(backend, groups="time").explain(windows[0, :4, :5], 0, windows[1:4, :4, :5])


def test_a_backend_serves_others_while_it_is_explained(engine, windows):
    wrong, done = [], threading.Event()
    expected = engine.infer(windows[:1])

    def trade():
        while not done.is_set():
            if not np.array_equal(engine.infer(windows[:1]), expected):
                wrong.append(True)

    thread = threading.Thread(target=trade)
    thread.start()
    try:
        KernelSHAP(engine, budget=1_024).explain(windows[0], 0, windows[1:2])
    finally:
        done.set()
        thread.join()
    assert not wrong


def test_an_onnx_model_offers_no_gradients(engine, windows):
    with pytest.raises(ExplainError, match="8192 players cannot be told apart"):
        KernelSHAP(engine, groups="features").explain(windows[0], 0, windows[1:2])


@pytest.mark.parametrize("names", ["axon_explain", "axon_quant.explain, axon_explain.kernel_shap, axon_explain.game"])
def test_importing_it_imports_nothing_heavy(names):
    heavy = ("shap", "numba", "matplotlib", "torch", "sklearn", "pandas", "rich", "onnxruntime", "typst")
    code = f"import sys, {names}; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_plugin_module_is_light():
    code = "import sys, axon_explain, axon_explain.plugin as p; p.axon_explainers(); print('numpy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
