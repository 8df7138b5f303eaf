"""The models that axon's conformance suite tests this backend with: checkpoints that name one of our own modules."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from axon_backend_torch import modules
from axon_quant.inference.session import FloatArray
from axon_quant.testing.models import Mlp, ModelRequest, ReferenceModel


def make_model(folder: Path, request: ModelRequest) -> ReferenceModel:
    """Write Flatten → Linear → ReLU → Linear with the suite's weights."""
    mlp = Mlp.of(request)
    tensors = {
        "1.weight": torch.from_numpy(mlp.hidden.T.copy()),
        "3.weight": torch.from_numpy(mlp.output.T.copy()),
    }
    inputs, hidden = math.prod(request.window), [len(mlp.output)]
    says = {
        "factory": f"{modules.__name__}:{modules.mlp.__name__}",
        "arguments": {"inputs": inputs, "hidden": hidden, "outputs": request.outputs, "bias": False},
        "input_shape": [None, *request.window],
        **({} if request.actions is None else {"actions": list(request.actions)}),
    }
    path = folder / "model.pt"
    torch.save({"state_dict": tensors, "axon": says}, path)
    alone = modules.mlp(inputs, hidden, request.outputs, bias=False).eval()
    alone.load_state_dict(tensors)

    @torch.inference_mode()
    def raw(x: FloatArray) -> object:
        """Run it with torch alone, on one thread as the backend does."""
        return alone(torch.from_numpy(x)).numpy()

    return ReferenceModel(path, mlp.reference, raw)
