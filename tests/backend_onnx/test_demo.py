import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime as ort
import pytest

from axon_backend_onnx.backend import LEVELS, OnnxBackend
from axon_backend_onnx.demo import build_demo, builtin_model
from axon_quant.errors import ConfigError
from axon_quant.inference import ModelConfig
from axon_quant.inference.demo import DemoName

NAMES = ["quote_imbalance", "imbalance_1", "imbalance_2", "ofi", "ofi_1s", "microprice_offset", "return_1", "return_5"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AXON_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def served(name, feature_names=None):
    engine = OnnxBackend(ModelConfig(builtin_model(name, feature_names), "onnx"))
    engine.load()
    return engine


def test_the_bytes_of_the_demo_model_are_these():
    # They enter the journal's hash chain: a change makes every recorded head unrepeatable.
    assert hashlib.sha256(build_demo("demo-64x128")).hexdigest() == (
        "0dca8d69440551cba061b2c8e9336cc3626132878ce1d3f1d3e15336b99b4efc"
    )


def test_the_bytes_do_not_depend_on_the_process():
    code = "import hashlib, axon_backend_onnx.demo as d; print(hashlib.sha256(d.build_demo('demo-8x4')).hexdigest())"
    digests = set()
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": seed}
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
        digests.add(run.stdout)
    assert len(digests) == 1


@pytest.mark.parametrize("name", ["demo-2x1", "demo-4x1-reversion", "demo-64x128", "demo-64x128-reversion"])
def test_every_size_serves_buy_sell_and_hold(name):
    model = served(name).model
    demo = DemoName.parse(name)
    assert model.input_shape == (1, demo.rows, demo.features)
    assert model.actions == ("buy", "sell", "hold")


def test_names_and_sizes_give_different_models():
    models = {build_demo(name) for name in ("demo-8x4", "demo-8x4-reversion", "demo-9x4", "demo-8x5")}
    assert len(models) == 4
    assert build_demo("demo-8x8", NAMES) != build_demo("demo-8x8")


@pytest.mark.parametrize("name", ["demo", "demo-1x4", "demo-8x0", "demo-8x4-trend", "demo-8x4\n", "other-8x4"])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(ConfigError, match="built-in models are"):
        build_demo(name)


def test_another_number_of_features_than_the_name_says_is_refused():
    with pytest.raises(ConfigError, match="looks at 128 features, 8 names"):
        build_demo("demo-64x128", NAMES)


def test_the_flow_model_buys_when_buyers_press_and_sells_when_sellers_do():
    engine = served("demo-64x8", NAMES)
    window = np.zeros((64, 8), np.float32)
    assert engine.predict(window).name == "hold"
    window[-20:, :6] = 1.0
    assert engine.predict(window).name == "buy"
    assert engine.predict(-window).name == "sell"


def test_the_reversion_model_fades_short_returns():
    engine = served("demo-64x8-reversion", NAMES)
    window = np.zeros((64, 8), np.float32)
    window[-20:, 6:] = 1.0
    assert engine.predict(window).name == "sell"
    assert engine.predict(-window).name == "buy"


def test_what_just_happened_counts_more_than_what_is_long_past():
    engine = served("demo-64x8", NAMES)
    window = np.zeros((64, 8), np.float32)
    window[:20, :6] = 3.0
    assert engine.predict(window).name == "hold"


@pytest.mark.parametrize("feature_names", [None, [*NAMES, *(f"other_{i}" for i in range(120))]])
@pytest.mark.parametrize("name", ["demo-64x128", "demo-64x128-reversion"])
def test_each_action_has_its_share_of_the_answers_on_typical_windows(name, feature_names):
    rng = np.random.default_rng(0)
    windows = rng.standard_normal((400, 64, 128), np.float32)
    for row in range(1, 64):
        windows[:, row] = 0.7 * windows[:, row - 1] + np.sqrt(1 - 0.49) * windows[:, row]
    answers = served(name, feature_names).infer(windows.clip(-5, 5)).argmax(axis=1)
    buy, sell, hold = np.bincount(answers, minlength=3) / len(answers)
    assert 0.2 < hold < 0.75
    assert min(buy, sell) > 0.1


def test_the_scores_are_those_of_the_same_sums_in_numpy(noise):
    rows, features = 16, 8
    graph = _weights(build_demo("demo-16x8", NAMES))
    x = noise(5, rows, features)
    averaged = np.einsum("kt,btf->bkf", graph["averages"].reshape(2, rows), x.astype(np.float64))
    signals = graph["signals"].reshape(8, 2 * features)
    strengths = np.maximum(averaged.reshape(5, -1) @ signals.T, 0)
    expected = strengths @ graph["gains"].reshape(8, 3) + graph["thresholds"]
    np.testing.assert_allclose(served("demo-16x8", NAMES).infer(x), expected, rtol=1e-4, atol=1e-5)


def _weights(data):
    from axon_backend_onnx.reading import fields

    (graph,) = (content for number, content in fields(memoryview(data)) if number == 7)
    tensors = [dict(fields(content)) for number, content in fields(graph) if number == 5]
    return {bytes(tensor[8]).decode(): np.frombuffer(tensor[9], "<f4") for tensor in tensors}


@pytest.mark.parametrize("name", ["demo-64x128", "demo-64x128-reversion"])
def test_the_optimisation_levels_give_the_same_bits(name, noise):
    windows = [noise(1, 64, 128, seed=seed) for seed in range(50)]
    answers = set()
    for level in LEVELS:
        engine = OnnxBackend(ModelConfig(builtin_model(name), "onnx"), optimisation=level)
        engine.load()
        answers.add(b"".join(engine.infer(window).tobytes() for window in windows))
    assert len(answers) == 1


def test_the_cache_is_written_once_whole_and_repaired(cache):
    path = builtin_model("demo-8x4")
    assert path.is_relative_to(cache)
    before = path.stat().st_mtime_ns
    assert builtin_model("demo-8x4") == path
    assert path.stat().st_mtime_ns == before
    path.write_bytes(b"half")
    assert builtin_model("demo-8x4").read_bytes() == build_demo("demo-8x4")
    assert [file.name for file in path.parent.iterdir()] == ["demo-8x4.onnx"]


def test_the_cache_may_be_filled_from_many_threads_at_once():
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: builtin_model("demo-8x4"), range(32)))
    assert len(set(paths)) == 1
    assert paths[0].read_bytes() == build_demo("demo-8x4")
    assert len(list(paths[0].parent.iterdir())) == 1


def test_the_cache_lies_where_the_user_keeps_caches(tmp_path, monkeypatch):
    monkeypatch.delenv("AXON_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert OnnxBackend.builtin("demo-8x4").is_relative_to(tmp_path / "xdg" / "axon" / "models")


def test_onnxruntime_itself_reads_the_file():
    session = ort.InferenceSession(build_demo("demo-8x4"), providers=["CPUExecutionProvider"])
    assert [(port.name, port.shape) for port in session.get_inputs()] == [("observation", ["batch", 8, 4])]
    assert session.get_modelmeta().custom_metadata_map == {"axon.actions": "buy,sell,hold"}
