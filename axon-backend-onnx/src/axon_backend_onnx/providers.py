"""onnxruntime's execution providers: the one that was asked for computes, or there is an error."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import onnxruntime as ort

from axon_quant.errors import DeviceError
from axon_quant.inference.config import Device

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
"""Our name → onnxruntime's."""
_DEVICES = {"cpu": ("cpu",), "cuda": ("cuda", "tensorrt")}
"""Kind of device → the providers that can run a model there."""
_NO_GPU = "the CUDA and cuDNN libraries, the driver or the GPU itself are missing: see nvidia-smi"

Settings: TypeAlias = list[tuple[str, dict[str, str]]]


def pick(provider: str | None, device: Device, *, fp16: bool) -> Settings:
    """onnxruntime's names and settings of what runs the model, first the one that was asked for.

    Raises DeviceError where it does not fit the device, or is not in this onnxruntime.
    """
    if device.kind not in _DEVICES:
        raise DeviceError(f"device: expected {' or '.join(_DEVICES)}, found {device}")
    wanted = provider or device.kind
    if wanted not in _DEVICES[device.kind]:
        raise DeviceError(f"provider: expected {' or '.join(_DEVICES[device.kind])} on {device}, found {wanted}")
    # What TensorRT has no kernel for runs on the same GPU with CUDA.
    names = list(dict.fromkeys([wanted, device.kind]))
    available = ort.get_available_providers()
    for name in names:
        if PROVIDERS[name] not in available:
            raise DeviceError(
                f"device: {device} needs {PROVIDERS[name]}, this onnxruntime has {', '.join(available)}",
                hint='pip uninstall onnxruntime, then pip install "axon-backend-onnx[gpu]"',
            )
    return [(PROVIDERS[name], _settings(name, device, fp16=fp16)) for name in names]


def open_session(path: Path, options: ort.SessionOptions, providers: Settings, device: Device) -> ort.InferenceSession:
    """The session. Raises DeviceError unless the first provider computes, and on a GPU nothing runs on the CPU.

    onnxruntime itself falls back to the CPU without an exception.
    """
    wanted = providers[0][0]
    if device.kind == "cpu":
        return ort.InferenceSession(path, options, providers=providers)
    # Part of a model on the CPU is not the device that was asked for.
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    options.use_deterministic_compute = True
    try:
        session = ort.InferenceSession(path, options, providers=providers, enable_fallback=0)
    except Exception as error:
        # Without the CPU to fall back on, onnxruntime may say so with an exception of its own.
        raise DeviceError(f"device: {wanted} on {device} cannot run the model: {error}", hint=_NO_GPU) from error
    used = session.get_providers()[0]
    if used != wanted:
        raise DeviceError(f"device: expected {wanted}, found {used}", hint=_NO_GPU)
    check_takes_part(session, wanted)
    return session


def check_takes_part(session: ort.InferenceSession, provider: str) -> None:
    """Raise DeviceError if a provider that is there takes no operator of the model and leaves all to the next one.

    The session must have been built with `session.record_ep_graph_assignment_info`; an onnxruntime that is older than
    the question is not asked.
    """
    ask = getattr(session, "get_provider_graph_assignment_info", None)
    if ask is None:
        return
    computing = {part.ep_name for part in ask()}
    if provider not in computing:
        raise DeviceError(
            f"device: expected {provider}, which takes no operator of the model: found {', '.join(sorted(computing))}",
            hint="leave the provider out",
        )


def _settings(provider: str, device: Device, *, fp16: bool) -> dict[str, str]:
    """What times kernels, or rounds float32 to fewer bits, is off: the same input must give the same bits."""
    if provider == "cpu":
        return {}
    index = {"device_id": str(device.index)}
    if provider == "tensorrt":
        return {**index, "trt_fp16_enable": str(int(fp16))}
    return {**index, "use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
