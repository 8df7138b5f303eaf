"""Where a model runs: torch's device for ours, or an error that names what is missing."""

from __future__ import annotations

import torch

from axon_quant.errors import DeviceError
from axon_quant.inference.config import Device

_BUILDS = "install the build of torch for this machine's GPU: https://pytorch.org/get-started/locally"


def torch_device(device: Device) -> torch.device:
    """`cuda` is an NVIDIA GPU, or an AMD one where torch is built for ROCm. Raises DeviceError."""
    if device.kind == "cpu":
        return torch.device("cpu")
    if device.kind == "cuda":
        _require_cuda(device)
    elif device.kind == "mps":
        _require_mps(device)
    else:
        raise DeviceError(f"device: expected cpu, cuda or mps, found {device}")
    return torch.device(device.kind, device.index)


def hardware(device: torch.device) -> dict[str, str]:
    """For a plan, what of the machine decides on a result's bits: the device, and which kernels torch has for it."""
    found = {"device": str(device), "matmul": torch.get_float32_matmul_precision()}
    if device.type == "cuda":
        return {**found, "gpu": torch.cuda.get_device_name(device)}
    return {**found, "cpu": torch.backends.cpu.get_cpu_capability()} if device.type == "cpu" else found


def _require_cuda(device: Device) -> None:
    if torch.version.cuda is None and torch.version.hip is None:
        raise DeviceError(f"device: {device} needs CUDA or ROCm, torch {torch.__version__} has neither", hint=_BUILDS)
    count = torch.cuda.device_count()
    if not torch.cuda.is_available() or count == 0:
        tool = "nvidia-smi" if torch.version.hip is None else "rocminfo"
        raise DeviceError(
            f"device: {device} needs a GPU, torch {torch.__version__} sees none",
            hint=f"the driver or the GPU itself is missing, or hidden by CUDA_VISIBLE_DEVICES: see {tool}",
        )
    if device.index >= count:
        known = ", ".join(f"cuda:{index}" for index in range(count))
        raise DeviceError(f"device: {device} is not there, this machine has {known}")


def _require_mps(device: Device) -> None:
    if not torch.backends.mps.is_built():
        raise DeviceError(f"device: {device} needs Metal, torch {torch.__version__} has none", hint=_BUILDS)
    if not torch.backends.mps.is_available():
        raise DeviceError(f"device: {device} needs an Apple GPU and macOS 14 or later, torch sees none")
    if device.index != 0:
        raise DeviceError(f"device: {device} is not there, this machine has mps:0")
