"""The decision tree of the deployment guide."""

from __future__ import annotations

import shutil
import subprocess
import sys

import attrs
import pytest

from axon_quant import Device, InferenceBackend, ModelConfig, load_backend, recommend_backend
from axon_quant.inference import accelerators
from axon_quant.inference.accelerators import nvidia_gpus

CPU, GPU = Device.CPU, Device.CUDA(0)


@pytest.mark.parametrize(
    ("answers", "backend", "device"),
    [
        ({"gpu": True, "tensorrt": True}, "onnx", GPU),
        ({"tensorrt": True}, "onnx", GPU),
        ({"gpu": True, "tensorrt": False}, "torch", GPU),
        ({"gpu": True, "python_ok": False}, "torch", GPU),
        ({"gpu": False, "python_ok": False}, "safetensors", CPU),
        ({"gpu": False, "python_ok": True}, "onnx", CPU),
        ({"gpu": False}, "onnx", CPU),
    ],
)
def test_every_branch_of_the_tree(answers, backend, device):
    choice = recommend_backend(**answers)
    assert (choice.backend, choice.device) == (InferenceBackend(backend), device)
    assert choice.reason
    assert choice.install.startswith(f'pip install "axon-backend-{backend}')
    assert ModelConfig("model", choice.backend, choice.device).device == device


def test_tensorrt_comes_with_every_optimisation():
    choice = recommend_backend(tensorrt=True)
    assert choice.options == {"optimisation": "all", "provider": "tensorrt"}
    assert "TensorRT" in str(choice)
    config = ModelConfig("model.onnx", choice.backend, choice.device)
    assert load_backend(choice.backend)(config, **choice.options).config is config
    with pytest.raises(ValueError, match="tensorrt=True needs gpu=True"):
        recommend_backend(gpu=False, tensorrt=True)


def test_a_gpu_without_tensorrt_has_onnx_as_its_other_choice():
    (other,) = recommend_backend(gpu=True).alternatives
    assert (other.backend, other.device, other.install) == ("onnx", GPU, 'pip install "axon-backend-onnx[gpu]"')
    assert recommend_backend(gpu=False).alternatives == ()


def test_it_reads_as_a_sentence_and_cannot_be_changed():
    choice = recommend_backend(gpu=True)
    assert str(choice).startswith("torch on cuda:0: a GPU was asked for")
    assert "or onnx on cuda:0" in str(choice)
    assert 'pip install "axon-backend-onnx[gpu]"' in str(choice)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        choice.backend = "onnx"


def test_asking_imports_no_runtime_and_no_numpy():
    code = (
        "import sys; from axon_quant import backend_for as a, recommend_backend as b; b(), a('m.onnx')\n"
        "print([name for name in ('numpy', 'torch', 'onnxruntime') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


@pytest.fixture
def nvml(tmp_path, monkeypatch):
    """Put a library with NVML's functions in the driver's place."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler for a library that stands in for the driver's")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def build(count, *, status=0):
        source, library = tmp_path / "nvml.c", tmp_path / f"libnvml-{count}-{status}.so"
        source.write_text(
            f"int nvmlInit_v2(void) {{ return {status}; }}\n"
            f"int nvmlDeviceGetCount_v2(unsigned *n) {{ *n = {count}; return 0; }}\n"
            "int nvmlShutdown(void) { return 0; }\n"
        )
        subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
        monkeypatch.setattr(accelerators, "_NVML", str(library))

    return build


def test_without_an_answer_the_driver_is_asked(nvml):
    nvml(2)
    assert nvidia_gpus() == 2
    choice = recommend_backend()
    assert (choice.backend, choice.device) == ("torch", GPU)
    assert "NVIDIA's driver counts 2 here" in choice.reason
    assert recommend_backend(gpu=False).backend == "onnx"
    nvml(0)
    assert recommend_backend().reason.startswith("no GPU was found here")


def test_a_driver_that_cannot_answer_counts_none(nvml, monkeypatch, tmp_path):
    nvml(2, status=9)
    assert nvidia_gpus() == 0
    monkeypatch.setattr(accelerators, "_NVML", str(tmp_path / "none.so"))
    assert nvidia_gpus() == 0
    assert recommend_backend(python_ok=False).backend == "safetensors"


@pytest.mark.parametrize(("hidden", "count"), [("", 0), ("-1", 0), ("-1,0", 0), ("0", 2), ("1,0", 2)])
def test_what_the_environment_hides_is_not_there(nvml, monkeypatch, hidden, count):
    nvml(2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert nvidia_gpus() == count
