"""A provider computes or is refused. Azure's stands for one that is there and takes no operator: it needs no GPU."""

from __future__ import annotations

import onnxruntime as ort
import pytest

from axon_backend_onnx import providers
from axon_quant.errors import DeviceError
from axon_quant.inference import Device

CPU, IDLE = "CPUExecutionProvider", "AzureExecutionProvider"
needs_idle = pytest.mark.skipif(IDLE not in ort.get_available_providers(), reason=f"this onnxruntime has no {IDLE}")


@needs_idle
def test_a_provider_that_takes_no_operator_is_refused(mlp, onnx_file):
    options = ort.SessionOptions()
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    session = ort.InferenceSession(onnx_file(mlp(0).onnx()), options, providers=[IDLE, CPU])
    assert session.get_providers()[0] == IDLE
    providers.check_takes_part(session, CPU)
    with pytest.raises(DeviceError, match=f"expected {IDLE}, which takes no operator of the model: found {CPU}"):
        providers.check_takes_part(session, IDLE)


@needs_idle
def test_a_model_that_would_run_on_the_cpu_instead_is_refused(mlp, onnx_file):
    with pytest.raises(DeviceError, match=rf"{IDLE} on cuda:0 cannot run the model.*CPU EP.*nvidia-smi"):
        providers.open_session(onnx_file(mlp(0).onnx()), ort.SessionOptions(), [(IDLE, {})], Device.CUDA(0))


def test_float32_on_a_gpu_is_not_rounded_to_tf32(monkeypatch):
    everything = list(providers.PROVIDERS.values())
    monkeypatch.setattr(ort, "get_available_providers", lambda: everything)
    (cuda,) = providers.pick(None, Device.CUDA(1), fp16=False)
    assert (cuda[0], cuda[1]["device_id"], cuda[1]["use_tf32"]) == ("CUDAExecutionProvider", "1", "0")
    tensorrt, behind = providers.pick("tensorrt", Device.CUDA(1), fp16=True)
    assert (tensorrt[1]["trt_fp16_enable"], behind) == ("1", cuda)
    assert providers.pick("tensorrt", Device.CUDA(1), fp16=False)[0][1]["trt_fp16_enable"] == "0"
