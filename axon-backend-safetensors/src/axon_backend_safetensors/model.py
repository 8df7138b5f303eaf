"""A model's layers, put together and checked: what every engine computes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fnmatch import fnmatchcase

from msgspec import Struct

from axon_backend_safetensors.architecture import Architecture
from axon_backend_safetensors.layers import build
from axon_backend_safetensors.reader import Tensors
from axon_backend_safetensors.tape import Layer, Shape
from axon_quant.errors import ModelLoadError

MAX_ELEMENTS = 1 << 26
"""Of one row's values between two layers."""


class Model(Struct, frozen=True, eq=False):
    """`window` is the input's shape without the batch, `dtypes` are those of the weights in the file."""

    layers: tuple[Layer, ...]
    window: Shape
    outputs: int
    actions: tuple[str, ...] | None
    schema_sha256: str | None
    dtypes: tuple[str, ...]

    @classmethod
    def of(cls, architecture: Architecture, tensors: Tensors, window: Shape) -> Model:
        """Build the layers, each with its tensors.

        Raises ModelLoadError for layers that do not fit, for a tensor that is missing or left over, and for a model
        whose output is not `[batch, scores]`.
        """
        for name in tensors:
            if any(fnmatchcase(name, pattern) for pattern in architecture.ignored):
                tensors.ignore(name)
        where = architecture.source
        layers = tuple(
            build(spec, f"{where}: layer {index}", tensors) for index, spec in enumerate(architecture.layers)
        )
        if tensors.unused:
            raise ModelLoadError(
                f"the architecture does not use {', '.join(map(repr, tensors.unused))}",
                hint='name the layers they belong to, or put them under "ignore"',
            )
        outputs = _outputs(layers, window)
        dtypes = tuple(sorted(tensors.dtypes))
        return cls(layers, window, outputs, architecture.actions, architecture.schema_sha256, dtypes)


def _outputs(layers: Sequence[Layer], window: Shape) -> int:
    shape = window
    for layer in layers:
        if math.prod(shape) > MAX_ELEMENTS:
            raise ModelLoadError(f"{list(shape)} between two layers is too large, at most {MAX_ELEMENTS} elements")
        shape = layer.shape(shape)
    if len(shape) != 1:
        raise ModelLoadError(
            f"output: expected [batch, scores], found [?, {', '.join(map(str, shape))}]",
            hint="flatten or pool before the last layer",
        )
    if shape[0] > MAX_ELEMENTS:
        raise ModelLoadError(f"{shape[0]} outputs are too many")
    return shape[0]
