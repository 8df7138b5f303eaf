"""Serving: threads, swaps, ownership, refusals, and the built-in models."""

import gc
import hashlib
import os
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest

from axon_backend_safetensors import CandleBackend, SafetensorsBackend
from axon_backend_safetensors.blas import set_threads
from axon_backend_safetensors.demo import build_demo, builtin_model
from axon_quant.errors import ConfigError, DeviceError, ModelError, ModelInputError, ModelLoadError, UnsupportedError
from axon_quant.inference import Device, InferenceBackend, ModelConfig


@pytest.mark.parametrize("batch", [1, 2, 3, 64, 65, 200])
def test_a_batch_gives_what_its_windows_give_alone(serve, mlp, noise, batch):
    engine = serve(mlp(12, 16, 3), input_shape=[1, 4, 3])
    x = noise(batch, 4, 3)
    y = engine.infer(x)
    assert (y.shape, y.dtype) == ((batch, 3), np.float32)
    np.testing.assert_allclose(y, np.concatenate([engine.infer(row[None]) for row in x]), rtol=0, atol=1e-6)


def test_scores_are_owned_by_the_caller(serve, mlp, noise):
    engine = serve(mlp(4, 8, 3))
    for batch in (1, 2):
        first = engine.infer(noise(batch, 4))
        kept = first.copy()
        assert first.flags.owndata
        assert first.flags.writeable
        engine.infer(noise(batch, 4, seed=1))
        assert first.tobytes() == kept.tobytes()
        first[:] = 7
        assert engine.infer(noise(batch, 4)).tobytes() == kept.tobytes()


def test_the_input_is_left_as_it_was(serve, noise):
    engine = serve({"l.weight": noise(3, 4)}, [{"type": "tanh"}, {"type": "linear", "name": "l"}], (4,))
    for batch in (1, 2):
        x = noise(batch, 4)
        kept = x.copy()
        engine.infer(x)
        assert x.tobytes() == kept.tobytes()


def test_an_array_with_gaps_is_read_as_it_looks(serve, mlp, mlp_scores, noise):
    tensors = mlp(12, 8, 3)
    engine = serve(tensors, input_shape=[1, 4, 3])
    for batch in (1, 3):
        x = noise(batch, 4, 6)[:, :, ::2]
        np.testing.assert_allclose(engine.infer(x), mlp_scores(tensors, x), rtol=1e-5, atol=1e-5)


def test_four_threads_get_the_answers_to_their_own_questions(serve, mlp, mlp_scores, noise):
    tensors = mlp(64, 32, 3)
    engine = serve(tensors)
    wrong = []

    def ask(seed):
        x = noise(1 + seed % 2, 64, seed=seed)
        expected = engine.session.run(x).tobytes()
        np.testing.assert_allclose(
            np.frombuffer(expected, np.float32).reshape(-1, 3), mlp_scores(tensors, x), atol=1e-4
        )
        wrong.extend(seed for _ in range(500) if engine.infer(x).tobytes() != expected)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_twenty_swaps_under_load_are_never_seen_as_a_mix(save, load, mlp, mlp_scores, noise):
    models = [mlp(12, 16, 3, seed=seed) for seed in range(2)]
    paths = [save(model, name=f"{index}.safetensors") for index, model in enumerate(models)]
    engine = load(paths[1])
    x = noise(1, 12)
    expected = [mlp_scores(model, x)[0] for model in models]
    stop = threading.Event()
    problems = []
    calls = [0] * 4

    def read(reader):
        last = 0
        while not stop.is_set():
            action = engine.predict(x)
            calls[reader] += 1
            if action.version < last or not np.allclose(action.scores, expected[action.version % 2], atol=1e-4):
                problems.append(f"version {action.version} after {last}: {action.scores}")
            last = action.version
            time.sleep(0.001)

    readers = [threading.Thread(target=read, args=(reader,)) for reader in range(4)]
    for reader in readers:
        reader.start()
    for number in range(2, 22):
        assert engine.load(paths[number % 2]).number == number
    stop.set()
    for reader in readers:
        reader.join()
    assert problems == []
    assert min(calls) > 0


def test_a_file_that_is_overwritten_in_place_does_not_change_the_serving_model(save, load, mlp, noise):
    path = save(mlp(4, 8, 3))
    engine = load(path)
    x = noise(1, 4)
    before = engine.infer(x).tobytes()
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert engine.infer(x).tobytes() == before
    with pytest.raises(ModelLoadError, match="a header of 0 bytes"):
        engine.load()
    path.write_bytes(b"")
    assert engine.infer(x).tobytes() == before


def test_a_replaced_session_is_freed_without_the_garbage_collector(save, load, mlp, noise):
    path = save(mlp(4, 8, 3))
    engine = load(path)
    engine.infer(noise(3, 4))
    session = weakref.ref(engine.session)
    gc.disable()
    try:
        engine.load()
        assert session() is None
    finally:
        gc.enable()


def test_the_plan_says_how_and_where_it_runs(serve, mlp):
    model = serve(mlp(4, 8, 3), engine="numpy").model
    assert model.device == Device.CPU
    assert model.plan["threads"] in ("1", "of the environment")
    assert {key: value for key, value in model.plan.items() if key != "threads"} == {
        "runtime": f"numpy {np.__version__}",
        "engine": "numpy",
        "precision": "float32",
        "architecture": "names",
        "weights": "F32",
    }


def test_many_loads_leave_nothing_to_the_garbage_collector(save, load, mlp):
    engine = load(save(mlp(4, 8, 3)))
    engine.load()
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            engine.load()
        assert gc.collect() < 5
    finally:
        gc.enable()


def test_num_threads_are_those_of_numpys_blas(save, load, mlp):
    path = save(mlp(4, 8, 3))
    try:
        assert load(path, engine="numpy", num_threads=2).model.plan["threads"] in ("2", "of the environment")
    finally:
        set_threads(1)


@pytest.mark.parametrize("device", [Device.CUDA(0), Device("mps"), Device("rocm", 1)])
def test_another_device_than_the_cpu_is_refused_by_name(save, load, mlp, device):
    with pytest.raises(DeviceError, match=f"expected cpu, found {device}: numpy has no kernels"):
        load(save(mlp(4, 3)), device=device)


def test_half_precision_is_refused(save, load, mlp):
    with pytest.raises(UnsupportedError, match="no half precision"):
        load(save(mlp(4, 3)), fp16=True)


def test_what_another_model_format_holds_is_refused(tmp_path, load):
    path = tmp_path / "m.safetensors"
    for data in (b"\x80\x04pickle", b"PK\x03\x04zip of torch", b"\x08\x0aonnx....", b""):
        path.write_bytes(data)
        with pytest.raises(ModelLoadError, match="not safetensors") as caught:
            load(path)
        assert caught.value.file == str(path)


def test_a_wrong_window_is_refused(serve, mlp, noise):
    engine = serve(mlp(4, 8, 3))
    with pytest.raises(ModelInputError, match=r"expected float32 \[\?, 4\], found float32 \[1, 5\]"):
        engine.infer(noise(1, 5))
    with pytest.raises(ModelInputError, match="found float64"):
        engine.infer(noise(1, 4).astype(np.float64))


@pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")
def test_scores_that_overflow_are_an_error_and_the_next_call_is_right(serve, mlp, noise):
    engine = serve({name: np.abs(array) * np.float32(1e4) for name, array in mlp(4, 8, 3).items()})
    x = noise(1, 4)
    before = engine.infer(x).tobytes()
    for batch in (1, 2):
        with pytest.raises(ModelError, match="finite"):
            engine.infer(np.full((batch, 4), 3e38, np.float32))
    assert engine.infer(x).tobytes() == before


def test_the_scenarios_configuration_serves(save, mlp, noise):
    config = ModelConfig(
        path=save(mlp(4, 64, 64, 3)),
        backend=InferenceBackend.CANDLE,
        device=Device.CPU,
        input_shape=[1, 4, 1],
        output_dim=3,
        fp16=False,
        num_threads=4,
    )
    engine = CandleBackend(config)
    try:
        engine.load()
        assert engine.predict(noise(4, 1)).name in ("buy", "sell", "hold")
    finally:
        set_threads(1)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("AXON_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_bytes_of_the_demo_model_are_these():
    # They enter the journal's hash chain: a change makes every recorded head unrepeatable.
    assert hashlib.sha256(build_demo("demo-64x128")).hexdigest() == (
        "bf65b0f181dab541b46c1eff87f99fd97b53185019713b6933fb4a503f759236"
    )


@pytest.mark.parametrize("name", ["demo-2x1", "demo-4x1-reversion", "demo-64x128", "demo-64x128-reversion"])
def test_every_built_in_model_serves_buy_sell_and_hold(name, cache, load):
    path = SafetensorsBackend.builtin(name)
    assert path.is_relative_to(cache)
    assert load(path).model.actions == ("buy", "sell", "hold")
    path.write_bytes(b"half")
    assert SafetensorsBackend.builtin(name).read_bytes() == build_demo(name)


def test_an_unknown_built_in_model_is_refused():
    with pytest.raises(ConfigError, match="built-in models are"):
        build_demo("demo-1x4")
    with pytest.raises(ConfigError, match="looks at 4 features, 1 names"):
        build_demo("demo-8x4", ["ofi"])


@pytest.mark.parametrize("name", ["demo-64x8", "demo-64x8-reversion"])
def test_the_built_in_models_are_those_of_the_onnx_backend(name, cache, load, noise):
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("axon_backend_onnx").OnnxBackend
    names = ["quote_imbalance", "imbalance_1", "imbalance_2", "ofi", "ofi_1s", "microprice_offset", "return_1", "x"]
    other = onnx(ModelConfig(onnx.builtin(name, names), "onnx"))
    other.load()
    x = noise(20, 64, 8)
    np.testing.assert_allclose(load(builtin_model(name, names)).infer(x), other.infer(x), rtol=0, atol=1e-5)


def test_the_descriptor_names_the_backend_without_importing_it():
    code = (
        "import sys\n"
        "from axon_backend_safetensors.plugin import axon_backends\n"
        "(descriptor,) = axon_backends()\n"
        "assert 'numpy' not in sys.modules\n"
        "import importlib\n"
        "module, _, name = descriptor.target.partition(':')\n"
        "print(descriptor.name, descriptor.suffixes, getattr(importlib.import_module(module), name).kind)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert run.stdout == "safetensors ('.safetensors',) safetensors\n", run.stderr


NOT_FOR_A_START = {
    *("torch", "onnxruntime", "safetensors", "numba", "scipy", "numpy.random"),
    *("cattrs", "click", "opentelemetry", "pluggy", "rich", "watchdog"),
    *("asyncio", "concurrent.futures", "dataclasses", "importlib.metadata", "logging", "random", "secrets", "tempfile"),
    *("axon_quant.config", "axon_quant.events", "axon_quant.journal", "axon_quant.market", "axon_quant.metrics"),
    *("axon_quant.orders", "axon_quant.plugins", "axon_quant.runtime"),
}
"""Modules that the first inference does without; each takes a start as long as it takes to import."""


def test_a_start_imports_numpy_and_little_else(save, mlp):
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "from axon_backend_safetensors import SafetensorsBackend\n"
        "from axon_quant.inference import ModelConfig\n"
        f"engine = SafetensorsBackend(ModelConfig({str(save(mlp(4, 3)))!r}, 'safetensors'), engine='numpy')\n"
        "engine.load()\n"
        "import numpy\n"
        "engine.predict(numpy.ones((1, 4), numpy.float32))\n"
        f"print(sorted({NOT_FOR_A_START!r} & (set(sys.modules) - before)))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert run.stdout == "[]\n", run.stderr
