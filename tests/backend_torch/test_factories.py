"""Where the module of a state dict comes from when no code hands it over."""

import hashlib
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from axon_backend_torch.backend import TorchBackend  # noqa: E402 (only where torch is there)
from axon_backend_torch.modules import mlp as plain_mlp  # noqa: E402
from axon_quant.errors import ConfigError, ModelLoadError  # noqa: E402
from axon_quant.inference import ModelConfig  # noqa: E402

WINDOW = [1, 4, 3]
OURS = "axon_backend_torch.modules:mlp"
POLICIES = """
import torch

def policy(width=8):
    layers = [torch.nn.Flatten(), torch.nn.Linear(12, width), torch.nn.Tanh(), torch.nn.Linear(width, 3)]
    return torch.nn.Sequential(*layers)
"""


@pytest.fixture
def policy(tmp_path, monkeypatch):
    """Save the weights of the policy with some width, beside a config.json that names it."""
    (tmp_path / "wide_policies.py").write_text(POLICIES)
    monkeypatch.syspath_prepend(tmp_path)

    def save(width, seed=0, name="wide_policies:policy"):
        from wide_policies import policy

        torch.manual_seed(seed)
        module = policy(width).eval()
        torch.save(module.state_dict(), tmp_path / "model.pt")
        named = {"factory": name, "arguments": {"width": width}, "architecture": "somebody else's"}
        (tmp_path / "config.json").write_text(json.dumps(named))
        return module

    return save


@pytest.fixture
def checkpoint(tmp_path):
    """Save a checkpoint that says which module it belongs to."""

    def save(tensors, **says):
        torch.save({"state_dict": tensors, "axon": {"input_shape": [None, 4, 3], **says}}, tmp_path / "model.pt")
        return tmp_path / "model.pt"

    return save


def engine(path, factory=None, **config):
    return TorchBackend(ModelConfig(path, "torch", **config), factory=factory)


def test_a_config_json_that_names_the_factory_counts_for_the_identity(policy, tmp_path, noise, eager):
    module = policy(8)
    path, beside = tmp_path / "model.pt", tmp_path / "config.json"
    serving = engine(path, trusted=True, input_shape=WINDOW)
    model = serving.load()
    assert set(model.files) == {"-", "config.json"}
    assert model.files["config.json"] == hashlib.sha256(beside.read_bytes()).hexdigest()
    assert model.sha256 != hashlib.sha256(path.read_bytes()).hexdigest()
    np.testing.assert_allclose(serving.infer(noise(1, 4, 3)), eager(module, noise(1, 4, 3)), rtol=0, atol=1e-6)
    pinned = engine(path, trusted=True, input_shape=WINDOW, sha256=model.sha256)
    pinned.load()
    beside.write_text(beside.read_text() + " ")
    with pytest.raises(Exception, match="not the pinned one"):
        pinned.load()


def test_a_config_json_that_is_not_used_does_not_count(policy, tmp_path, saved, mlp):
    policy(8)
    path = tmp_path / "model.pt"
    own = hashlib.sha256(path.read_bytes()).hexdigest()
    assert engine(path, "wide_policies:policy", input_shape=WINDOW).load().sha256 == own
    (tmp_path / "config.json").write_text('{"architecture": "mlp"}')
    with pytest.raises(ModelLoadError, match="no factory was given"):
        engine(path, input_shape=WINDOW).load()
    script = saved(mlp(), "torchscript")
    (tmp_path / "config.json").write_text('{"factory": "wide_policies:policy"}')
    assert engine(script).side_files(script) == ()


def test_another_module_named_beside_the_model_makes_the_next_version(policy, tmp_path, noise, eager):
    policy(8)
    serving = engine(tmp_path / "model.pt", trusted=True, input_shape=WINDOW)
    serving.load()
    wider = policy(16, seed=1)
    assert serving.load().number == 2
    np.testing.assert_allclose(serving.infer(noise(1, 4, 3)), eager(wider, noise(1, 4, 3)), rtol=0, atol=1e-6)


def test_a_factory_that_the_checkpoint_names_is_called_only_if_trusted(policy, checkpoint, noise, eager, tmp_path):
    module = policy(8)
    (tmp_path / "config.json").unlink()
    path = checkpoint(module.state_dict(), factory="wide_policies:policy", arguments={"width": 8})
    with pytest.raises(ModelLoadError, match=r"model\.pt: the factory 'wide_policies:policy' would be.*trusted=True"):
        engine(path).load()
    serving = engine(path, trusted=True)
    serving.load()
    np.testing.assert_allclose(serving.infer(noise(1, 4, 3)), eager(module, noise(1, 4, 3)), rtol=0, atol=1e-6)


def test_a_module_of_ours_needs_no_trust(checkpoint, noise, eager):
    torch.manual_seed(0)
    module = plain_mlp(12, [8, 5], 3).eval()
    arguments = {"inputs": 12, "hidden": [8, 5], "outputs": 3}
    serving = engine(checkpoint(module.state_dict(), factory=OURS, arguments=arguments))
    serving.load()
    np.testing.assert_allclose(serving.infer(noise(1, 4, 3)), eager(module, noise(1, 4, 3)), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"inputs": 1 << 40, "hidden": [1 << 20], "outputs": 3}, "size mismatch"),  # 4 EiB, were it made
        ({"inputs": 12, "hidden": [8], "outputs": 3, "colour": 1}, "unexpected keyword"),
        ({"inputs": 12, "hidden": 8, "outputs": 3}, "cannot be loaded"),
    ],
)
def test_sizes_that_are_not_those_of_the_weights_are_refused_before_they_take_memory(arguments, message, checkpoint):
    path = checkpoint(plain_mlp(12, [8], 3).state_dict(), factory=OURS, arguments=arguments)
    with pytest.raises(ModelLoadError, match=message):
        engine(path).load()


@pytest.mark.parametrize(
    "name", ["axon_backend_torch.modules:nn", "axon_backend_torch.demo:builtin_model", "os:system"]
)
def test_only_our_modules_need_no_trust(name, checkpoint):
    path = checkpoint(plain_mlp(12, [8], 3).state_dict(), factory=name, arguments={})
    with pytest.raises(ModelLoadError, match="because a file says so"):
        engine(path).load()


def test_a_key_that_is_unknown_is_refused_by_name(checkpoint):
    with pytest.raises(ModelLoadError, match="unknown field `factroy`"):
        engine(checkpoint(plain_mlp(12, [8], 3).state_dict(), factroy=OURS)).load()


def test_the_built_in_models_need_no_code_and_no_trust(tmp_path, monkeypatch, noise):
    monkeypatch.setenv("AXON_CACHE", str(tmp_path))
    path = TorchBackend.builtin("demo-64x128")
    assert path == TorchBackend.builtin("demo-64x128")  # the same bytes
    serving = engine(path)
    model = serving.load()
    assert (model.input_shape, model.actions) == ((1, 64, 128), ("buy", "sell", "hold"))
    names = {serving.predict(noise(64, 128, seed=seed)).name for seed in range(40)}
    assert len(names) == 3
    with pytest.raises(ConfigError):
        TorchBackend.builtin("demo-0x0")
