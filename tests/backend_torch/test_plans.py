"""A plan is followed again, and torch alone is there to compare with."""

import hashlib

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from axon_backend_torch import backend as module  # noqa: E402 (only where torch is there)
from axon_backend_torch.backend import TorchBackend  # noqa: E402
from axon_quant.errors import ModelCheckError, ModelLoadError  # noqa: E402
from axon_quant.inference import ModelConfig  # noqa: E402

WINDOW = [1, 4, 3]


@pytest.fixture
def untimed(monkeypatch):
    """Fail if anything is chosen by the clock."""

    def never(sessions, shape):
        assert len(sessions) == 1, "something was timed"
        return sessions[0]

    monkeypatch.setattr(module, "fastest_equal", never)


@pytest.mark.parametrize("execution", ["eager", "script"])
def test_a_rebuilt_model_runs_as_its_plan_says_and_gives_the_same_bits(execution, mlp, saved, serve, noise, untimed):
    path = saved(mlp())
    before = serve(path, execution=execution, input_shape=WINDOW)
    after = TorchBackend(before.config, factory=mlp)
    assert after.load(plan=before.model.plan).plan == before.model.plan
    x = noise(1, 4, 3)
    assert after.infer(x).tobytes() == before.infer(x).tobytes()
    saved(mlp(1))
    assert after.load().plan["execution"] == execution  # what came with the plan is kept


def test_a_serving_engine_can_go_back_to_another_execution_for_one_version(mlp, saved, serve):
    engine = serve(saved(mlp()), execution="eager", input_shape=WINDOW)
    plan = dict(engine.model.plan)
    assert engine.load(plan={**plan, "execution": "script"}).plan["execution"] == "script"
    assert engine.load().plan == plan


def test_why_a_module_was_not_compiled_stays_in_the_plan(saved, serve):
    class Python(torch.nn.Linear):
        def forward(self, x):
            return super().forward(x) + {1: 0.0}.get(id(x), 0.0)

    engine = serve(saved(Python(3, 3)), factory=lambda: Python(3, 3), input_shape=[1, 3])
    again = TorchBackend(engine.config, factory=lambda: Python(3, 3))
    assert again.load(plan=engine.model.plan).plan == engine.model.plan


@pytest.mark.parametrize(
    ("key", "value"), [("execution", "frozen"), ("format", "export"), ("runtime", "torch 1.0"), ("cpu", "none")]
)
def test_a_plan_that_cannot_be_followed_is_refused(key, value, mlp, saved, serve):
    engine = serve(saved(mlp()), input_shape=WINDOW)
    with pytest.raises(ModelCheckError, match=f"plan: {key}: expected {value}"):
        engine.load(plan={**engine.model.plan, key: value})
    assert engine.version == 1


@pytest.mark.parametrize("kind", ["state-dict", "safetensors", "torchscript", "export"])
def test_torch_alone_gives_the_eager_module_s_bits(kind, mlp, saved, serve, noise, eager):
    network = mlp()
    path = saved(network, kind)
    engine = serve(path, input_shape=WINDOW)
    x = noise(1, 4, 3)
    scores = engine.bare(path)(x)
    assert (type(scores), scores.dtype, scores.shape) == (np.ndarray, np.float32, (1, 3))
    np.testing.assert_allclose(scores, eager(network, x), rtol=0, atol=1e-6)
    if kind == "state-dict":
        assert scores.tobytes() == eager(network, x).tobytes()


def test_torch_alone_runs_in_half_precision_when_asked_to(mlp, saved, serve, noise, eager):
    path = saved(mlp())
    engine = serve(path, input_shape=WINDOW, fp16=True)
    x = noise(1, 4, 3)
    scores = engine.bare(path)(x)
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(scores, scores.astype(np.float16))
    np.testing.assert_allclose(scores, eager(mlp(), x), rtol=0.02, atol=0.02)


def test_torch_alone_is_not_a_way_around_trust(mlp, saved):
    path = saved(mlp(), "torchscript")
    own = hashlib.sha256(path.read_bytes()).hexdigest()
    for options in ({}, {"trusted": True}, {"sha256": own}):
        with pytest.raises(ModelLoadError, match="holds code"):
            TorchBackend(ModelConfig(path, "torch", input_shape=WINDOW, **options)).bare(path)
