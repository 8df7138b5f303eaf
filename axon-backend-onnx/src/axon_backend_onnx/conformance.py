"""The models that axon's conformance suite tests this backend with."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort

from axon_backend_onnx import protobuf
from axon_backend_onnx.protobuf import ElementType
from axon_quant.inference.session import FloatArray
from axon_quant.testing.models import Mlp, ModelRequest, ReferenceModel

_SIDE = "model.onnx.data"


def make_model(folder: Path, request: ModelRequest) -> ReferenceModel:
    """Write Flatten → MatMul → Relu → MatMul with the suite's weights; those of the first layer beside it, if asked."""
    mlp = Mlp.of(request)
    element = ElementType.FLOAT16 if request.half else ElementType.FLOAT
    outputs = [protobuf.value("scores", ["batch", request.outputs], element)]
    if request.extra_output:
        outputs.append(protobuf.value("sums", ["batch", mlp.hidden.shape[1]], element))
    graph = protobuf.graph(
        "conformance",
        [
            protobuf.node("Flatten", ["x"], ["flat"], axis=1),
            protobuf.node("MatMul", ["flat", "hidden"], ["sums"]),
            protobuf.node("Relu", ["sums"], ["strengths"]),
            protobuf.node("MatMul", ["strengths", "output"], ["scores"]),
        ],
        initializers=[
            protobuf.external_tensor("hidden", mlp.hidden.shape, _SIDE)
            if request.side_files
            else protobuf.tensor("hidden", mlp.hidden.shape, mlp.hidden.ravel().tolist(), element),
            protobuf.tensor("output", mlp.output.shape, mlp.output.ravel().tolist(), element),
        ],
        inputs=[protobuf.value("x", ["batch", *request.window], element)],
        outputs=outputs,
    )
    metadata = None if request.actions is None else {"axon.actions": ",".join(request.actions)}
    path = folder / "model.onnx"
    path.write_bytes(protobuf.model(graph, metadata=metadata))
    sides = (folder / _SIDE,) if request.side_files else ()
    for side in sides:
        side.write_bytes(mlp.hidden.tobytes())
    bare: list[ort.InferenceSession] = []

    def raw(x: FloatArray) -> object:
        """Run it with onnxruntime alone, on one thread as the backend does."""
        if not bare:
            options = ort.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            bare.append(ort.InferenceSession(path, options, providers=["CPUExecutionProvider"]))
        return bare[0].run(None, {"x": x})

    return ReferenceModel(path, mlp.reference, raw, sides=sides)
