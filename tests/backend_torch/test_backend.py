import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from axon_backend_torch.backend import TchBackend, TorchBackend  # noqa: E402
from axon_quant.errors import DeviceError, ModelCheckError, ModelInputError, ModelLoadError  # noqa: E402
from axon_quant.inference import Device, ModelHotReloader  # noqa: E402

WINDOW = [1, 4, 3]


class Gated(torch.nn.Module):
    """Takes another path for large inputs: what tracing gets wrong."""

    def __init__(self):
        super().__init__()
        self.up, self.down = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)

    def forward(self, x):
        return self.up(x) if bool(x.sum() > 0) else self.down(x)


class Greedy(torch.nn.Module):
    """Writes to its input and answers with a view of it."""

    def forward(self, x):
        return x.mul_(2.0).flatten(1)[:, :3]


def in_threads(count, target):
    threads = [threading.Thread(target=target, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_the_alias_is_the_backend():
    assert TchBackend is TorchBackend


@pytest.mark.parametrize("execution", ["eager", "script"])
def test_an_execution_can_be_fixed(execution, mlp, saved, serve, noise, eager):
    module = mlp()
    engine = serve(saved(module), execution=execution, input_shape=WINDOW)
    assert engine.model.plan["execution"] == execution
    for batch in (1, 3):
        x = noise(batch, 4, 6)[:, :, ::2]
        np.testing.assert_allclose(engine.infer(x), eager(module, x), rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match="eager, script"):
        serve(saved(module), execution="fastest")


def test_compiled_code_keeps_the_module_s_control_flow(saved, serve, eager):
    torch.manual_seed(0)
    module = Gated().eval()
    engine = serve(saved(module), factory=Gated, execution="script", input_shape=[1, 3])
    for x in (np.ones((1, 3), np.float32), -np.ones((1, 3), np.float32)):
        np.testing.assert_allclose(engine.infer(x), eager(module, x), rtol=0, atol=1e-6)


def test_a_module_that_cannot_be_compiled_runs_eagerly_and_the_plan_says_why(saved, serve):
    class Python(torch.nn.Linear):
        def forward(self, x):
            return super().forward(x) + {1: 0.0}.get(id(x), 0.0)

    path = saved(Python(3, 3))
    plan = serve(path, factory=lambda: Python(3, 3), input_shape=[1, 3]).model.plan
    assert plan["execution"] == "eager"
    assert plan["refused"].startswith("script: ")
    with pytest.raises(ModelLoadError, match=r"torch cannot compile the module: script: .*execution=\"eager\""):
        serve(path, factory=lambda: Python(3, 3), execution="script", input_shape=[1, 3])


def test_scores_and_inputs_belong_to_the_caller(saved, serve, noise):
    engine = serve(saved(Greedy()), factory=Greedy, input_shape=WINDOW)
    for batch in (1, 20):
        x = noise(batch, 4, 3)
        before = x.copy()
        y = engine.infer(x)
        kept = y.copy()
        y[:] += 0.0  # it can be written to
        engine.infer(noise(batch, 4, 3, seed=1))
        assert (x.tobytes(), y.tobytes()) == (before.tobytes(), kept.tobytes())
        np.testing.assert_array_equal(y, 2 * before[:, 0])


def test_dropout_is_off_and_no_gradient_is_kept(serve, saved, noise):
    def factory():
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(12, 3)).train()

    engine = serve(saved(factory()), factory=factory, input_shape=WINDOW)
    x = noise(1, 4, 3)
    assert engine.infer(x).tobytes() == engine.infer(x).tobytes()
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_a_factory_that_always_returns_the_same_module_gives_separate_versions(mlp, saved, serve, noise):
    shared = mlp(5)
    before = {name: tensor.clone() for name, tensor in shared.state_dict().items()}
    engine = serve(saved(mlp(0)), factory=lambda: shared, input_shape=WINDOW)
    x = noise(1, 4, 3)
    session, first = engine.session, engine.infer(x)
    saved(mlp(1))
    engine.load()
    assert not np.allclose(engine.infer(x), first)
    assert session.run(x).tobytes() == first.tobytes()
    assert all(torch.equal(tensor, before[name]) for name, tensor in shared.state_dict().items())
    assert all(parameter.requires_grad for parameter in shared.parameters())


def test_weights_of_another_module_are_refused_by_name(mlp, saved, serve):
    path = saved(torch.nn.Linear(3, 3))
    with pytest.raises(ModelLoadError, match=r"not those of the factory's module: Missing key.*net\.1\.weight"):
        serve(path, input_shape=WINDOW)
    with pytest.raises(ModelLoadError, match="size mismatch for net"):
        serve(saved(mlp(width=9)), input_shape=WINDOW)


def test_what_is_no_factory_is_refused(mlp, saved, serve):
    path = saved(mlp())
    with pytest.raises(ModelLoadError, match=r"no factory was given \(TorchBackend\(config, factory="):
        serve(path, factory=None, input_shape=WINDOW)
    with pytest.raises(ModelLoadError, match=r"must return a torch\.nn\.Module, found a dict"):
        serve(path, factory=dict, input_shape=WINDOW)
    with pytest.raises(ModelLoadError, match="the factory 'nowhere_at_all:f' cannot be imported"):
        serve(path, factory="nowhere_at_all:f", input_shape=WINDOW)


def test_a_checkpoint_without_a_state_dict_is_refused_with_what_it_holds(serve, tmp_path):
    path = tmp_path / "model.pt"
    torch.save({"epoch": 3, "lr": 0.1}, path)
    with pytest.raises(ModelLoadError, match="expected a state dict, found a dict of 'epoch', 'lr'"):
        serve(path, input_shape=WINDOW)


class Pair(torch.nn.Linear):
    def forward(self, x):
        return super().forward(x), x


class Deep(torch.nn.Linear):
    def forward(self, x):
        return super().forward(x)[:, None]


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Pair, r"output: expected one tensor \[batch, scores\], found a tuple"),
        (Deep, r"output: expected \[1, scores\], found \[1, 1, 3\]"),
    ],
)
def test_a_model_that_does_not_answer_with_scores_is_refused(module, message, saved, serve):
    with pytest.raises(ModelLoadError, match=message):
        serve(saved(module(3, 3)), factory=lambda: module(3, 3), input_shape=[1, 3])


def test_weights_that_are_not_finite_are_refused(mlp, saved, serve):
    module = mlp()
    with torch.no_grad():
        module.net[1].weight[0, 0] = float("nan")
    with pytest.raises(ModelCheckError, match="expected finite numbers"):
        serve(saved(module), input_shape=WINDOW)


def test_a_wrong_input_is_refused_with_what_was_expected_and_found(mlp, saved, serve, noise):
    engine = serve(saved(mlp()), input_shape=WINDOW)
    with pytest.raises(ModelInputError, match=r"expected float32 \[\?, 4, 3\], found float32 \[1, 4, 2\]"):
        engine.infer(noise(1, 4, 2))
    with pytest.raises(ModelInputError, match="found float64"):
        engine.infer(noise(1, 4, 3).astype(np.float64))


def test_half_precision_is_what_really_runs(mlp, saved, serve, noise, eager):
    module = mlp()
    seen = []

    def factory():
        made = mlp()
        made.register_forward_hook(lambda _, given, scores: seen.append((given[0].dtype, scores.dtype)))
        return made

    engine = serve(saved(module), factory=factory, execution="eager", input_shape=WINDOW, fp16=True)
    assert engine.model.plan["precision"] == "float16"
    for batch in (1, 20):
        x = noise(batch, 4, 3)
        y = engine.infer(x)
        assert y.dtype == np.float32
        np.testing.assert_allclose(y, eager(module, x), rtol=0.02, atol=0.02)
        assert not np.array_equal(y, eager(module, x))
    assert set(seen) == {(torch.float16, torch.float16)}


class Difference(torch.nn.Module):
    """(4096 + 1) - 4096, the sums stored in between: 1 in float32, 0 in float16, which has no 4097."""

    def __init__(self):
        super().__init__()
        self.sum = torch.nn.Parameter(torch.tensor([[4096.0, 4096.0], [1.0, 0.0]]), requires_grad=False)
        self.differ = torch.nn.Parameter(torch.tensor([[1.0], [-1.0]]), requires_grad=False)

    def forward(self, x):
        return x.flatten(1) @ self.sum @ self.differ


@pytest.mark.parametrize("kind", ["eager", "script", "torchscript", "export"])
def test_the_cpu_computes_in_half_precision_between_layers_too(saved, serve, kind):
    ones = np.ones((1, 1, 2), np.float32)
    factory = {} if kind in ("torchscript", "export") else {"factory": Difference, "execution": kind}
    for fp16, score in ((True, 0.0), (False, 1.0)):
        module = Difference().half() if fp16 and kind == "export" else Difference()
        example = torch.zeros(2, 1, 2, dtype=torch.float16 if fp16 else torch.float32)
        path = saved(module, kind, example=example) if not factory else saved(module)
        engine = serve(path, input_shape=[1, 1, 2], fp16=fp16, **factory)
        assert [engine.infer(ones).tolist() for _ in range(3)] == [[[score]]] * 3  # it may compile on a later call
        assert engine.model.plan["precision"] == ("float16" if fp16 else "float32")


def test_half_precision_that_a_model_does_not_have_is_refused(mlp, saved, serve):
    class Upcast(torch.nn.Linear):
        def forward(self, x):
            return super().forward(x).float()

    with pytest.raises(DeviceError, match="expected float16, found scores in float32"):
        serve(saved(Upcast(3, 3)), factory=lambda: Upcast(3, 3), input_shape=[1, 3], fp16=True)
    with pytest.raises(DeviceError, match=r"expected float16, found a model in float32.*export the model in half"):
        serve(saved(mlp(), "export"), fp16=True)
    with pytest.raises(DeviceError, match=r"expected float32, found a model in float16 \(set fp16=True"):
        serve(saved(mlp().half(), "torchscript"), input_shape=WINDOW)
    assert serve(saved(mlp().half(), "torchscript"), input_shape=WINDOW, fp16=True).model.plan["precision"] == "float16"


def test_torchscript_that_was_saved_frozen_is_served(mlp, serve, noise, eager, tmp_path):
    module, path = mlp(), tmp_path / "model.torchscript"
    torch.jit.save(torch.jit.freeze(torch.jit.script(module)), path)
    x = noise(1, 4, 3)
    np.testing.assert_allclose(serve(path, input_shape=WINDOW).infer(x), eager(module, x), rtol=0, atol=1e-6)


@pytest.mark.skipif(torch.version.cuda is not None or torch.version.hip is not None, reason="this torch has CUDA")
def test_a_device_that_torch_was_not_built_for_is_named(mlp, saved, serve):
    path = saved(mlp())
    with pytest.raises(DeviceError, match=r"cuda:1 needs CUDA or ROCm, torch \S+ has neither \(install the build"):
        serve(path, input_shape=WINDOW, device=Device.CUDA(1))
    with pytest.raises(DeviceError, match="expected cpu, cuda or mps, found tpu:0"):
        serve(path, input_shape=WINDOW, device=Device("tpu"))


@pytest.mark.parametrize(
    ("there", "message"), [(0, "torch .* sees none.*nvidia-smi"), (2, "not there, this machine has cuda:0, cuda:1")]
)
def test_a_gpu_that_is_not_there_is_named(there, message, mlp, saved, serve, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    with pytest.raises(DeviceError, match=message):
        serve(saved(mlp()), input_shape=WINDOW, device=Device.CUDA(2))


def test_an_amd_gpu_is_cuda_and_what_is_missing_is_named_by_its_own_tool(mlp, saved, serve, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.version, "hip", "7.1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=r"cuda:0 needs a GPU, torch .* sees none.*rocminfo"):
        serve(saved(mlp()), input_shape=WINDOW, device=Device.CUDA(0))


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has Metal")
def test_metal_that_is_not_there_is_named(mlp, saved, serve):
    with pytest.raises(DeviceError, match="mps:0 needs"):
        serve(saved(mlp()), input_shape=WINDOW, device=Device.MPS)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("fp16", [False, True])
@pytest.mark.parametrize("kind", ["state-dict", "torchscript", "export"])
def test_a_gpu_gives_the_scores_of_the_eager_module(kind, fp16, mlp, saved, serve, noise, eager):
    module = mlp()
    file = module.half() if fp16 and kind == "export" else module
    example = torch.zeros(2, 4, 3, dtype=torch.float16) if fp16 else None
    engine = serve(saved(file, kind, example=example), input_shape=WINDOW, device=Device.CUDA(0), fp16=fp16)
    assert engine.model.plan["device"] == "cuda:0"
    for batch in (1, 20):
        x = noise(batch, 4, 3)
        expected = eager(module.float(), x)
        np.testing.assert_allclose(engine.infer(x), expected, rtol=0, atol=0.02 if fp16 else 1e-5)


@pytest.mark.parametrize("kind", ["state-dict", "torchscript", "export"])
def test_four_threads_get_the_answers_to_their_own_questions(kind, mlp, saved, serve, noise, eager):
    module = mlp()
    engine = serve(saved(module, kind), input_shape=WINDOW)
    wrong: list[int] = []

    def ask(seed):
        for batch in (1, 5):
            x = noise(batch, 4, 3, seed=seed)
            expected = eager(module, x)
            wrong.extend(seed for _ in range(200) if np.abs(engine.infer(x) - expected).max() > 1e-6)

    in_threads(4, ask)
    assert wrong == []


def test_readers_never_see_a_mix_while_models_are_swapped(mlp, saved, serve, noise, eager):
    models = [mlp(seed) for seed in range(2)]
    files = [saved(model, name=f"{index}.pt") for index, model in enumerate(models)]
    engine = serve(files[1], input_shape=WINDOW)
    x = noise(1, 4, 3)
    expected = [eager(model, x)[0] for model in models]
    stop = threading.Event()
    problems: list[str] = []

    def read(_):
        last = 0
        while not stop.is_set():
            action = engine.predict(x)
            if action.version < last or not np.allclose(action.scores, expected[action.version % 2], atol=1e-5):
                problems.append(f"version {action.version} after {last}: {action.scores}")
            last = action.version

    readers = threading.Thread(target=in_threads, args=(2, read))
    readers.start()
    for number in range(2, 22):
        assert engine.load(files[number % 2]).number == number
    stop.set()
    readers.join()
    assert problems == []


def test_the_reloader_swaps_pt_files(mlp, saved, serve, noise, eager):
    engine = serve(saved(mlp(0)), input_shape=WINDOW)
    x = noise(1, 4, 3)
    with ModelHotReloader(engine, engine.config, debounce=0.05) as reloader:
        after = mlp(1)
        saved(after, name="next.pt").replace(engine.config.path)
        deadline = time.monotonic() + 20
        while reloader.version == 1 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert (reloader.version, reloader.last_error) == (2, None)
        np.testing.assert_allclose(engine.infer(x), eager(after, x), rtol=0, atol=1e-6)
        engine.config.path.write_bytes(b"no model")
        with pytest.raises(ModelLoadError):
            reloader.reload()
        np.testing.assert_allclose(engine.infer(x), eager(after, x), rtol=0, atol=1e-6)


def test_a_hundred_versions_take_no_more_memory_than_one(mlp, serve, saved):
    """Torch keeps the weights of a module that was compiled and frozen for ever: 100 of these would be 800 MB."""
    psutil = pytest.importorskip("psutil")
    sizes = {"window": (64, 128), "width": 256}
    engine = serve(saved(mlp(**sizes)), factory=lambda: mlp(**sizes), input_shape=[1, 64, 128], execution="script")
    for _ in range(5):
        engine.load()
    before = psutil.Process().memory_info().rss
    for _ in range(100):
        engine.load()
    assert psutil.Process().memory_info().rss - before < 50 << 20


THREADS = """
import sys, threading
import torch
from axon_backend_torch.backend import TorchBackend
from axon_quant.errors import ModelLoadError
from axon_quant.inference import ModelConfig

def make():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3))

torch.save(make().state_dict(), sys.argv[1])
def serve(count, name):
    config = ModelConfig(sys.argv[1], "torch", input_shape=[1, 4, 3], num_threads=count, name=name)
    engine = TorchBackend(config, factory=make)
    engine.load()
    return engine

import numpy as np
seen = []
def ask():
    torch.get_num_threads()  # this thread has its own number from here on
    ready.set(); go.wait()
    seen.append(torch.get_num_threads())
    engine.infer(np.zeros((1, 4, 3), np.float32))
    seen.append(torch.get_num_threads())

torch.set_num_threads(3)
ready, go = threading.Event(), threading.Event()
caller = threading.Thread(target=ask)
caller.start(); ready.wait()
engine = serve(2, "first")
go.set(); caller.join()
print(seen, torch.get_num_threads(), engine.model.plan["threads"])
try:
    serve(1, "second")
except ModelLoadError as error:
    print(error.message)
engine.itself = engine  # freed by the garbage collector only
del engine
print(serve(1, "second").model.plan["threads"])
"""


def test_num_threads_holds_in_every_thread_and_two_models_must_agree(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", THREADS, str(tmp_path / "model.pt")],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert run.stdout.splitlines() == [
        "[3, 2] 2 2",
        "num_threads: second asks for 1, but first runs with 2 in this process",
        "1",
    ], run.stderr


def test_torchscript_warns_of_no_deprecation_here_and_goes_on_warning_elsewhere(mlp, saved, serve):
    path = saved(mlp(), "torchscript")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        serve(path, input_shape=WINDOW)
        serve(saved(mlp()), input_shape=WINDOW)
        with pytest.raises(DeprecationWarning):
            torch.jit.load(path)
