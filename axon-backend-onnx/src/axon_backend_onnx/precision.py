"""Half precision that really is: the model's weights are in it, and so is what onnxruntime computes."""

from __future__ import annotations

import tempfile
from pathlib import Path

from axon_backend_onnx.weights import Weights
from axon_quant.errors import DeviceError

_INSERTED = b"InsertedPrecisionFreeCast_"
"""How onnxruntime names the casts around an operator that it has no float16 kernel for."""


def check_precision(weights: Weights, *, fp16: bool) -> None:
    """Refuse a model in another precision than was asked for: nothing is converted behind the user's back."""
    if fp16 and not weights.half:
        raise DeviceError(
            "precision: expected float16 (fp16=True), found a model in float32",
            hint="convert the model to float16, or leave fp16 out",
        )
    if weights.half and not fp16:
        raise DeviceError(
            "precision: expected float32, found a model in float16",
            hint="set fp16=True on a device that computes in it, or convert the model to float32",
        )


def check_really_half(path: Path) -> None:
    """Refuse a float16 model where onnxruntime's CPU provider would compute it in float32, as it does on x86.

    It says so nowhere but in the graph that it makes of the model, which is built once and searched. Raises
    DeviceError, or what onnxruntime raises for a file that it cannot load.
    """
    import onnxruntime as ort  # here, because `backend` says what to install where it is missing

    with tempfile.TemporaryDirectory(prefix="axon-onnx-", ignore_cleanup_errors=True) as folder:
        made = Path(folder) / "made.onnx"
        options = ort.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(made)
        ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        if _INSERTED not in made.read_bytes():
            return
    raise DeviceError(
        "precision: expected float16 (fp16=True), but onnxruntime computes this model in float32 on this CPU",
        file=path,
        hint="run it on a GPU (Device.CUDA(0)), or convert the model to float32 and leave fp16 out",
    )
