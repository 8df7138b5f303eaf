import gc
import hashlib
import os
import random
import subprocess
import sys
import threading
import weakref

import attrs
import numpy as np
import onnxruntime as ort
import pytest

from axon_backend_onnx import protobuf
from axon_backend_onnx.backend import LEVELS, OnnxBackend, _fastest_equal
from axon_backend_onnx.protobuf import ElementType
from axon_quant.errors import (
    DeviceError,
    ModelCheckError,
    ModelError,
    ModelInputError,
    ModelLoadError,
)
from axon_quant.inference import Device, ModelConfig, ModelHotReloader


@pytest.mark.parametrize("batch", [1, 2, 17])
def test_scores_agree_with_numpy(mlp, serve, noise, batch):
    model = mlp(0)
    engine = serve(model.onnx())
    x = noise(batch, 4, 3)
    y = engine.infer(x)
    assert (y.shape, y.dtype) == ((batch, 3), np.float32)
    np.testing.assert_allclose(y, model.reference(x), rtol=1e-5, atol=1e-5)


def test_a_window_above_the_size_worth_copying_agrees_with_numpy(mlp, serve, noise):
    model = mlp(0, shape=(300, 128), width=4)
    engine = serve(model.onnx())
    assert engine.model.plan["binding"] == "run"
    x = noise(1, 300, 128)
    np.testing.assert_allclose(engine.infer(x), model.reference(x), rtol=1e-3, atol=1e-3)


def test_an_array_with_gaps_is_read_as_it_looks(mlp, serve, noise):
    model = mlp(0)
    engine = serve(model.onnx())
    for batch in (1, 3):
        x = noise(batch, 4, 6)[:, :, ::2]
        np.testing.assert_allclose(engine.infer(x), model.reference(x), rtol=1e-5, atol=1e-5)


def test_scores_belong_to_the_caller(mlp, serve, noise):
    engine = serve(mlp(0).onnx())
    first = engine.infer(noise(1, 4, 3))
    kept = first.copy()
    engine.infer(noise(1, 4, 3, seed=1))
    assert first.tobytes() == kept.tobytes()


def test_the_plan_says_how_and_where_it_runs(mlp, serve):
    model = serve(mlp(0).onnx(), num_threads=2).model
    assert model.device == Device.CPU
    assert model.plan["optimisation"] in LEVELS
    assert {key: value for key, value in model.plan.items() if key != "optimisation"} == {
        "runtime": f"onnxruntime {ort.__version__}",
        "provider": "CPUExecutionProvider",
        "threads": "2",
        "precision": "float32",
        "binding": "io_binding",
    }


def test_what_the_model_declares_is_read_from_it(mlp, serve):
    model = serve(mlp(0, outputs=2).onnx(metadata={"axon.actions": "flat,long", "axon.schema_sha256": "ab" * 32})).model
    assert (model.actions, model.schema_sha256) == (("flat", "long"), "ab" * 32)


def test_a_fixed_batch_is_kept(mlp, serve, noise):
    model = mlp(0)
    engine = serve(model.onnx(batch=8))
    assert engine.model.input_shape == (8, 4, 3)
    x = noise(8, 4, 3)
    np.testing.assert_allclose(engine.infer(x), model.reference(x), rtol=1e-5, atol=1e-5)
    with pytest.raises(ModelInputError, match="expected 8, found 1"):
        engine.predict(x[0])


def test_open_rows_are_fixed_by_the_configuration(mlp, serve, noise):
    model = mlp(0)
    data = model.onnx(open_rows=True)
    with pytest.raises(ModelCheckError, match=r"\[\?, \?, 3\].*set input_shape"):
        serve(data)
    engine = serve(data, input_shape=[1, 4, 3])
    x = noise(1, 4, 3)
    np.testing.assert_allclose(engine.infer(x), model.reference(x), rtol=1e-5, atol=1e-5)


def test_four_threads_get_the_answers_to_their_own_questions(mlp, serve, noise):
    model = mlp(0, shape=(16, 16))
    engine = serve(model.onnx())
    wrong: list[int] = []

    def ask(seed):
        x = noise(1, 16, 16, seed=seed)
        expected = engine.session.run(x).tobytes()
        np.testing.assert_allclose(np.frombuffer(expected, np.float32)[None], model.reference(x), rtol=1e-4, atol=1e-4)
        wrong.extend(seed for _ in range(500) if engine.infer(x).tobytes() != expected)

    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_readers_never_see_a_mix_while_models_are_swapped(mlp, serve, noise, onnx_file):
    models = [mlp(seed) for seed in range(2)]
    engine = serve(models[1].onnx(), optimisation="basic")
    files = [onnx_file(model.onnx(), f"{index}.onnx") for index, model in enumerate(models)]
    x = noise(1, 4, 3)
    expected = [model.reference(x)[0] for model in models]
    stop = threading.Event()
    problems: list[str] = []

    def read():
        last = 0
        while not stop.is_set():
            action = engine.predict(x)
            if action.version < last or not np.allclose(action.scores, expected[action.version % 2], atol=1e-4):
                problems.append(f"version {action.version} after {last}: {action.scores}")
            last = action.version

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(2, 30):
        assert engine.load(files[number % 2]).number == number
    stop.set()
    for reader in readers:
        reader.join()
    assert problems == []


def test_a_replaced_session_is_freed_without_the_garbage_collector(mlp, serve, noise):
    engine = serve(mlp(0).onnx())
    engine.infer(noise(1, 4, 3))
    session = weakref.ref(engine.session)
    gc.disable()
    try:
        engine.load()
        assert session() is None
    finally:
        gc.enable()


def test_the_reloader_swaps_onnx_files(mlp, serve, noise):
    engine = serve(mlp(0).onnx())
    reloader = ModelHotReloader(engine, engine.config)
    after = mlp(1)
    engine.config.path.write_bytes(after.onnx())
    assert reloader.reload().number == 2
    x = noise(1, 4, 3)
    np.testing.assert_allclose(engine.infer(x), after.reference(x), rtol=1e-5, atol=1e-5)
    engine.config.path.write_bytes(after.onnx()[:100])
    with pytest.raises(ModelLoadError):
        reloader.reload()
    np.testing.assert_allclose(engine.infer(x), after.reference(x), rtol=1e-5, atol=1e-5)


@pytest.fixture
def opened(monkeypatch):
    """The levels at which sessions are built, in order."""
    levels = []
    build = OnnxBackend._session_at
    monkeypatch.setattr(OnnxBackend, "_session_at", lambda self, *at: levels.append(at[1]) or build(self, *at))
    return levels


def test_a_new_version_of_an_architecture_is_built_once(mlp, serve, opened):
    engine = serve(mlp(0).onnx(metadata={"trained": "yesterday"}))
    assert opened == list(LEVELS)
    first = engine.model
    reloader = ModelHotReloader(engine, engine.config)
    for seed in (1, 2):
        opened.clear()
        engine.config.path.write_bytes(mlp(seed).onnx(metadata={"trained": "today"}))
        after = reloader.reload()
        assert opened == [first.plan["optimisation"]]
        assert after.plan == first.plan
        assert after.sha256 != first.sha256


def test_another_architecture_is_timed_anew(mlp, serve, opened):
    engine = serve(mlp(0).onnx())
    opened.clear()
    engine.config.path.write_bytes(mlp(0, width=16).onnx())
    engine.load()
    assert opened == list(LEVELS)


def test_a_version_after_a_rebuilt_one_is_built_by_its_plan(mlp, serve, opened):
    first = serve(mlp(0).onnx(), optimisation="extended")
    again = OnnxBackend(first.config)
    again.load(plan=first.model.plan)
    opened.clear()
    again.config.path.write_bytes(mlp(1).onnx())
    assert again.load().plan == first.model.plan
    assert opened == ["extended"]


def test_a_level_that_is_fixed_is_not_given_up_for_a_plans(mlp, serve):
    engine = serve(mlp(0).onnx(), optimisation="basic")
    plan = {**engine.model.plan, "optimisation": "all"}
    assert engine.load(plan=plan).plan == plan
    assert engine.load().plan["optimisation"] == "basic"


def test_levels_that_give_the_same_bits_may_be_chosen_by_time():
    slow, fast, different = _Fake(2e-3), _Fake(0.0), _Fake(0.0, answer=2.0)
    assert _fastest_equal(slow, [fast]) is fast
    assert _fastest_equal(slow, [different]) is slow
    assert _fastest_equal(fast, [slow]) is fast


class _Fake:
    input_shape = (None, 2)

    def __init__(self, seconds, answer=1.0):
        self.seconds = seconds
        self.answer = np.array([[answer]], np.float32)

    def run(self, x):
        threading.Event().wait(self.seconds)
        return self.answer


def test_a_level_can_be_pinned(mlp, serve):
    for level in LEVELS:
        assert serve(mlp(0).onnx(), optimisation=level).model.plan["optimisation"] == level
    with pytest.raises(ValueError, match="basic, extended, all"):
        serve(mlp(0).onnx(), optimisation="most")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelLoadError, match=r"gone\.onnx: the model cannot be read: No such file"):
        OnnxBackend(ModelConfig(tmp_path / "gone.onnx", "onnx")).load()


def test_a_model_cut_off_anywhere_is_refused(mlp, serve):
    data = mlp(0).onnx()
    for length in (0, 1, 10, len(data) // 2, len(data) - 1):
        with pytest.raises(ModelError) as caught:
            serve(data[:length])
        assert caught.value.file.endswith("model.onnx"), length


@pytest.mark.parametrize(
    "data",
    [b"\x00" * 100, b"\xff" * 100, b"this is no model at all", random.Random(0).randbytes(4096)],
    ids=["zeros", "ones", "text", "noise"],
)
def test_garbage_is_refused(serve, data):
    with pytest.raises(ModelLoadError) as caught:
        serve(data)
    assert caught.value.file.endswith("model.onnx")


def test_another_shape_or_number_of_outputs_than_configured_is_refused(mlp, serve):
    with pytest.raises(ModelCheckError, match=r"model\.onnx: input: expected \[1, 64, 128\], found \[\?, 4, 3\]"):
        serve(mlp(0).onnx(), input_shape=[1, 64, 128])
    with pytest.raises(ModelCheckError, match="outputs: expected 5, found 3"):
        serve(mlp(0).onnx(), output_dim=5)


def test_weights_that_are_not_finite_are_refused(mlp, serve):
    model = mlp(0)
    model.output[0, 0] = np.nan
    with pytest.raises(ModelCheckError, match="expected finite numbers"):
        serve(model.onnx())


def test_another_hash_than_the_pinned_one_is_refused(mlp, serve):
    data = mlp(0).onnx()
    assert serve(data, sha256=hashlib.sha256(data).hexdigest()).version == 1
    with pytest.raises(ModelCheckError, match=f"expected sha256 {'0' * 64}, found {hashlib.sha256(data).hexdigest()}"):
        serve(data, sha256="0" * 64)


def test_a_wrong_window_is_refused_with_what_was_expected_and_found(mlp, serve, noise):
    engine = serve(mlp(0).onnx())
    with pytest.raises(ModelInputError, match=r"expected float32 \[\?, 4, 3\], found float32 \[1, 4, 2\]"):
        engine.infer(noise(1, 4, 2))
    with pytest.raises(ModelInputError, match=r"expected finite numbers, found nan at \[0, 0, 0\]"):
        engine.infer(np.full((1, 4, 3), np.nan, np.float32))


def _small(*, inputs=None, outputs=None, nodes=None, weights=()):
    graph = protobuf.graph(
        "small",
        nodes or [protobuf.node("Identity", ["x"], ["y"])],
        initializers=weights,
        inputs=inputs or [protobuf.value("x", ["batch", 3])],
        outputs=outputs or [protobuf.value("y", ["batch", 3])],
    )
    return protobuf.model(graph)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            {
                "inputs": [protobuf.value("x", ["batch", 3], ElementType.INT64)],
                "outputs": [protobuf.value("y", ["batch", 3], ElementType.INT64)],
            },
            r"input x: expected float32 or float16, found tensor\(int64\)",
        ),
        (
            {"inputs": [protobuf.value("x", ["batch", 3]), protobuf.value("z", ["batch", 3])]},
            r"inputs: expected one, found \['x', 'z'\]",
        ),
        (
            {
                "nodes": [protobuf.node("Identity", ["x"], ["y"]), protobuf.node("Identity", ["x"], ["value"])],
                "outputs": [protobuf.value("y", ["batch", 3]), protobuf.value("value", ["batch", 3])],
            },
            r"outputs: expected one, found \['y', 'value'\]",
        ),
        (
            {
                "inputs": [protobuf.value("x", ["batch", 3, 2])],
                "outputs": [protobuf.value("y", ["batch", 3, 2])],
            },
            r"output y: expected \[batch, scores\], found \[\?, 3, 2\]",
        ),
    ],
    ids=["integers", "two inputs", "two outputs", "rank 3"],
)
def test_a_model_that_is_not_one_tensor_in_and_scores_out_is_refused(serve, model, message):
    with pytest.raises(ModelLoadError, match=message) as caught:
        serve(_small(**model))
    assert caught.value.file.endswith("model.onnx")


@pytest.mark.skipif("CUDAExecutionProvider" in ort.get_available_providers(), reason="this onnxruntime has CUDA")
def test_a_gpu_that_is_not_there_is_an_error_that_names_what_is_missing(mlp, serve):
    with pytest.raises(DeviceError, match=r"cuda:0 needs CUDAExecutionProvider.*axon-backend-onnx\[gpu\]"):
        serve(mlp(0).onnx(), device=Device.CUDA(0))


def test_onnxruntimes_silent_fallback_to_the_cpu_is_an_error(mlp, serve, monkeypatch):
    real = ort.InferenceSession
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    monkeypatch.setattr(ort, "InferenceSession", lambda path, *_, **__: real(path, providers=["CPUExecutionProvider"]))
    with pytest.raises(DeviceError, match="expected CUDAExecutionProvider, found CPUExecutionProvider"):
        serve(mlp(0).onnx(), device=Device.CUDA(0))


def test_tensorrt_is_asked_for_by_name_and_is_an_error_where_it_is_not_there(mlp, onnx_file, monkeypatch):
    config = ModelConfig(onnx_file(mlp(0).onnx()), "onnx", Device.CUDA(0))
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    with pytest.raises(DeviceError, match="cuda:0 needs TensorrtExecutionProvider"):
        OnnxBackend(config, provider="tensorrt").load()
    with pytest.raises(DeviceError, match="provider: expected cpu on cpu, found tensorrt"):
        OnnxBackend(attrs.evolve(config, device=Device.CPU), provider="tensorrt").load()
    with pytest.raises(ValueError, match="provider must be one of cpu, cuda, tensorrt"):
        OnnxBackend(config, provider="openvino")


@pytest.mark.parametrize("level", ["basic", "extended", "all"])
def test_a_plan_is_rebuilt_without_timing_and_gives_the_same_bits(mlp, serve, noise, level):
    model = mlp(0).onnx()
    first = serve(model, optimisation=level)
    again = OnnxBackend(first.config)
    again.load(plan=first.model.plan)
    assert again.model.plan == first.model.plan
    x = noise(1, 4, 3)
    assert again.infer(x).tobytes() == first.infer(x).tobytes()


def test_a_plan_of_another_runtime_is_refused(mlp, serve):
    engine = serve(mlp(0).onnx())
    with pytest.raises(ModelCheckError, match=r"plan: runtime: expected onnxruntime 0\.1"):
        engine.load(plan={**engine.model.plan, "runtime": "onnxruntime 0.1"})


def test_two_owners_of_one_folder_are_refused(tmp_path):
    for name in ("onnxruntime", "onnxruntime_gpu"):
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n")
    code = "import axon_backend_onnx.backend"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.fspath(tmp_path), *sys.path])}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 1
    assert "onnxruntime and onnxruntime-gpu are both installed" in run.stderr


def test_a_device_onnxruntime_knows_nothing_of_is_refused(mlp, serve):
    with pytest.raises(DeviceError, match="expected cpu or cuda, found tpu:0"):
        serve(mlp(0).onnx(), device=Device("tpu"))


def test_without_onnxruntime_the_error_is_an_import_error_with_the_command():
    code = (
        "import sys\n"
        "sys.modules['onnxruntime'] = None\n"
        "try:\n"
        "    import axon_backend_onnx.backend\n"
        "except ImportError as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert run.stdout.startswith("PluginMissingError")
    assert 'pip install "axon-backend-onnx[cpu]"' in run.stdout
