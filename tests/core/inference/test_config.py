import pickle
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from axon_quant.inference import Device, InferenceBackend, ModelConfig


def test_the_scenarios_configurations_are_accepted():
    onnx = ModelConfig(
        path="models/production.onnx",
        backend=InferenceBackend.ONNX,
        device=Device.CUDA(0),
        input_shape=[1, 64, 128],
        output_dim=3,
        fp16=True,
        num_threads=4,
    )
    candle = ModelConfig(
        path="models/production.safetensors",
        backend=InferenceBackend.CANDLE,
        device=Device.CPU,
        input_shape=[1, 4, 1],
        output_dim=3,
        fp16=False,
        num_threads=4,
    )
    assert onnx.path == Path("models/production.onnx")
    assert onnx.input_shape == (1, 64, 128)
    assert str(onnx.device) == "cuda:0"
    assert candle.backend == "safetensors"
    assert candle.name == "production"


def test_a_configuration_is_hashable_and_keeps_its_name_when_its_path_changes():
    config = ModelConfig("a/flow.onnx", "onnx", name="flow")
    assert attrs.evolve(config, path="b/other.onnx").name == "flow"
    assert len({config, ModelConfig("a/flow.onnx", "onnx")}) == 1


def test_backends_are_an_open_set_of_names_with_aliases():
    assert InferenceBackend.TCH is InferenceBackend.TORCH
    assert InferenceBackend("candle") == InferenceBackend.SAFETENSORS == "safetensors"
    assert InferenceBackend("MyBackend") == "mybackend"
    assert repr(InferenceBackend.ONNX) == "InferenceBackend('onnx')"
    for name in ("", "two words", "1st"):
        with pytest.raises(ValueError, match="backend"):
            InferenceBackend(name)


def test_devices_are_parsed_from_their_text():
    for device in (Device.CPU, Device.CUDA(0), Device.CUDA(3), Device.MPS):
        assert Device.parse(str(device)) == device
    assert (Device.parse("CUDA"), Device.parse("mps")) == (Device.CUDA(0), Device.MPS)
    assert ModelConfig("m.onnx", "onnx", device="cuda:1").device == Device.CUDA(1)
    for text in ("gpu", "cuda:", "cuda:-1", "cpu:0", ""):
        with pytest.raises(ValueError, match="cuda:N"):
            Device.parse(text)
    for index in (-1, "1", 1.0, float("nan")):
        with pytest.raises(ValueError, match="index must be a whole number of at least 0"):
            Device.CUDA(index)
    for kind in ("", "GPU", "cuda:0", "cuda\n", 1):
        with pytest.raises(ValueError, match="kind is lower-case letters and digits"):
            Device(kind)


def test_a_device_is_a_value_that_cannot_change():
    assert len({Device.CPU, Device("cpu"), Device.CUDA(0), Device("cuda")}) == 2
    assert repr(Device.CUDA(1)) == "Device(kind='cuda', index=1)"
    assert pickle.loads(pickle.dumps(Device.CUDA(1))) == Device.CUDA(1)
    with pytest.raises(AttributeError):
        Device.CPU.index = 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("input_shape", [64]),
        ("input_shape", [1, 0, 128]),
        ("input_shape", [1, 64.0]),
        ("output_dim", 0),
        ("output_dim", True),
        ("num_threads", 0),
        ("num_threads", 2.0),
        ("actions", []),
        ("actions", ["buy", "buy"]),
        ("actions", "buy"),
        ("sha256", "abc"),
        ("fp16", "yes"),
        ("trusted", 1),
        ("device", 0),
        ("name", ""),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_fields_name(field, value):
    with pytest.raises((ValueError, TypeError), match=field):
        ModelConfig("m.onnx", "onnx", **{field: value})


def test_actions_must_be_as_many_as_the_outputs():
    with pytest.raises(ValueError, match="actions names 2 outputs, output_dim is 3"):
        ModelConfig("m.onnx", "onnx", output_dim=3, actions=["buy", "sell"])


def test_configuring_a_model_imports_no_numpy():
    code = (
        "import sys\n"
        "from axon_quant.inference import Action, Device, ModelConfig\n"
        "ModelConfig('m.onnx', 'onnx', device=Device.CPU)\n"
        "heavy = {'numpy', 'onnxruntime', 'watchdog', 'torch'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=_environment())
    assert run.returncode == 0, run.stderr


def _environment():
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def test_the_heavy_names_resolve_when_they_are_asked_for():
    import axon_quant.inference as inference
    from axon_quant.inference.backend import Backend

    assert inference.Backend is Backend
    assert all(hasattr(inference, name) for name in inference.__all__)
    with pytest.raises(AttributeError, match="Nonsense"):
        _ = inference.Nonsense
