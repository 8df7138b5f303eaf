"""The models that axon's conformance suite tests this backend with: checkpoints that name one of our own modules."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from axon_backend_torch import modules
from axon_backend_torch.factories import SETTINGS
from axon_quant.testing.models import Mlp, ModelRequest, ReferenceModel


def make_model(folder: Path, request: ModelRequest) -> ReferenceModel:
    """Write Flatten → Linear → ReLU → Linear with the suite's weights, what makes the module beside them, if asked."""
    mlp = Mlp.of(request)
    inputs, width = mlp.hidden.shape
    tensors = {"1.weight": torch.from_numpy(mlp.hidden.T.copy()), "3.weight": torch.from_numpy(mlp.output.T.copy())}
    if request.extra_output:
        tensors["unused.weight"] = torch.zeros(1)
    named = {
        "factory": f"{modules.__name__}:{modules.mlp.__name__}",
        "arguments": {"inputs": inputs, "hidden": [width], "outputs": request.outputs, "bias": False},
    }
    says = {
        **({} if request.side_files else named),
        "input_shape": [None, *request.window],
        **({} if request.actions is None else {"actions": list(request.actions)}),
    }
    path = folder / "model.pt"
    torch.save({"state_dict": tensors, "axon": says}, path)
    sides = (folder / SETTINGS,) if request.side_files else ()
    for side in sides:
        side.write_text(json.dumps(named))
    return ReferenceModel(path, mlp.reference, sides=sides)
