"""Which backend to serve a model with: the decision tree of the deployment guide."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from axon_quant.inference.accelerators import nvidia_gpus
from axon_quant.inference.config import Device, InferenceBackend


@attrs.frozen
class Recommendation:
    """A backend, where it would run, and why.

    `options` are keyword arguments of the backend's class beside the ModelConfig, `install` is the command that brings
    backend and runtime, `alternatives` would do as well. `str()` is for people to read.
    """

    backend: InferenceBackend
    device: Device
    reason: str
    install: str
    options: Mapping[str, object] = attrs.field(factory=dict)
    alternatives: tuple[Recommendation, ...] = ()

    def __str__(self) -> str:
        options = "".join(f", {name}={value!r}" for name, value in self.options.items())
        lines = [f"{self.backend} on {self.device}{options}: {self.reason}", f"    {self.install}"]
        return "\n".join([*lines, *(f"or {other}" for other in self.alternatives)])


def recommend_backend(*, gpu: bool | None = None, tensorrt: bool = False, python_ok: bool = True) -> Recommendation:
    """Walk the decision tree.

        Need GPU acceleration? (gpu)
        ├── yes → need TensorRT? (tensorrt)
        │   ├── yes → onnx on cuda:0 with all graph optimisations and TensorRT
        │   └── no  → torch on cuda:0, or onnx on cuda:0
        └── no  → mind Python's large runtimes? (python_ok=False)
            ├── yes → safetensors on cpu
            └── no  → onnx on cpu

    `gpu=None` asks the NVIDIA driver of this machine, and means yes if it counts a GPU (for an AMD one say `gpu=True`);
    `tensorrt=True` is a yes as well. Nothing is loaded, and what is installed makes no difference. Raises ValueError
    for TensorRT without a GPU.
    """
    if tensorrt:
        if gpu is False:
            raise ValueError("TensorRT runs on GPUs only: tensorrt=True needs gpu=True, or gpu left out")
        reason = "TensorRT was asked for, which is a provider of ONNX Runtime's build for GPUs"
        return _choice(
            InferenceBackend.ONNX, Device.CUDA(0), reason, options={"optimisation": "all", "provider": "tensorrt"}
        )
    if gpu is None:
        count = nvidia_gpus()
        found = f"NVIDIA's driver counts {count} here" if count else "no GPU was found here"
    else:
        count = int(gpu)
        found = "a GPU was asked for" if gpu else "no GPU is needed"
    if count:
        reason = f"{found}; a single window of a small model may still be answered sooner on the CPU: axon bench"
        other = _choice(InferenceBackend.ONNX, Device.CUDA(0), "through ONNX Runtime's CUDA provider")
        return _choice(InferenceBackend.TORCH, Device.CUDA(0), reason, other)
    if not python_ok:
        reason = f"{found}, and it runs on numpy alone, the smallest deployment there is (it is still Python)"
        return _choice(InferenceBackend.SAFETENSORS, Device.CPU, reason)
    return _choice(InferenceBackend.ONNX, Device.CPU, f"{found}, and its ecosystem is the most mature")


_INSTALL = {
    ("onnx", "cpu"): "axon-backend-onnx[cpu]",
    ("onnx", "cuda"): "axon-backend-onnx[gpu]",
    ("torch", "cuda"): "axon-backend-torch",
    ("safetensors", "cpu"): "axon-backend-safetensors",
}


def _choice(
    backend: InferenceBackend,
    device: Device,
    reason: str,
    *alternatives: Recommendation,
    options: Mapping[str, object] | None = None,
) -> Recommendation:
    install = f'pip install "{_INSTALL[backend, device.kind]}"'
    return Recommendation(backend, device, reason, install, options or {}, alternatives)
