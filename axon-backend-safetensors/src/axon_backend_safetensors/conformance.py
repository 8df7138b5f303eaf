"""The models that axon's conformance suite tests this backend with."""

from __future__ import annotations

import json
from pathlib import Path

from axon_backend_safetensors.architecture import CONFIG
from axon_backend_safetensors.reader import ARCHITECTURE
from axon_backend_safetensors.writer import pack
from axon_quant.errors import UnsupportedError
from axon_quant.testing.models import Mlp, ModelRequest, ReferenceModel


def make_model(folder: Path, request: ModelRequest) -> ReferenceModel:
    """Write Flatten → Linear → ReLU → Linear with the suite's weights, what they are for beside them, if asked."""
    if request.half:
        raise UnsupportedError("there is no half precision", plugin="safetensors")
    mlp = Mlp.of(request)
    layers: list[dict[str, str]] = [
        {"type": "flatten"},
        {"type": "linear", "name": "hidden"},
        {"type": "relu"},
        {"type": "linear", "name": "output"},
    ]
    architecture = json.dumps({"input_shape": [1, *request.window], "layers": layers})
    tensors = {"hidden.weight": mlp.hidden.T, "output.weight": mlp.output.T}
    if request.extra_output:
        tensors["unused.weight"] = mlp.hidden
    metadata = {} if request.side_files else {ARCHITECTURE: architecture}
    if request.actions is not None:
        metadata["axon.actions"] = ",".join(request.actions)
    path = folder / "model.safetensors"
    path.write_bytes(pack(tensors, metadata))
    sides = (folder / CONFIG,) if request.side_files else ()
    for side in sides:
        side.write_text(architecture)
    return ReferenceModel(path, mlp.reference, sides=sides)
