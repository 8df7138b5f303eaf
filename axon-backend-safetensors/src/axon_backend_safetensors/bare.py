"""numpy alone, as one writes a network in it: what a benchmark compares the backend with."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

from axon_backend_safetensors.architecture import Architecture
from axon_backend_safetensors.reader import Tensors
from axon_quant.errors import UnsupportedError
from axon_quant.inference.session import FloatArray

Step = Callable[[FloatArray], FloatArray]

_PLAIN: dict[object, Step] = {
    "flatten": lambda x: x.reshape(len(x), -1),
    "transpose": lambda x: x.transpose(0, 2, 1),
    "identity": lambda x: x,
    "dropout": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": lambda x: np.reciprocal(1 + np.exp(-x)),
}


def plain_numpy(architecture: Architecture, tensors: Tensors) -> Step:
    """`[batch, …window]` → scores, for linear layers and what stands between them.

    Raises UnsupportedError for other layers: numpy has none to compare with.
    """
    steps = [_step(spec, tensors) for spec in architecture.layers]
    return lambda x: reduce(lambda values, step: step(values), steps, x)


def _step(spec: object, tensors: Tensors) -> Step:
    kind = spec.get("type") if isinstance(spec, dict) else None
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind != "linear" or not isinstance(spec, dict):
        raise UnsupportedError(f"numpy alone has no layer {kind!r} to compare with", plugin="safetensors")
    weight, bias = f"{spec['name']}.weight", f"{spec['name']}.bias"
    matrix = np.ascontiguousarray(tensors.floats(weight, None, None).T)
    if bias not in tensors:
        return lambda x: x @ matrix
    offset = tensors.floats(bias, matrix.shape[1])
    return lambda x: x @ matrix + offset
