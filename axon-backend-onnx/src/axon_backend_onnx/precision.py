"""Half precision that really is: what the file holds, and what onnxruntime makes of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path

import attrs
import onnxruntime as ort

from axon_backend_onnx.protobuf import ElementType
from axon_backend_onnx.reading import Weight
from axon_backend_onnx.weights import Content, read_content
from axon_quant.errors import DeviceError

_HALF = ElementType.FLOAT16
_WIDE = (ElementType.FLOAT, ElementType.DOUBLE)
_MOVES = frozenset(
    {
        "Cast",
        "Concat",
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "Reshape",
        "Slice",
        "Split",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    }
)
"""Operators that move numbers and compute none."""


def precision(content: Content, path: Path, *, fp16: bool, cpu: bool) -> Mapping[str, str]:
    """What a plan says of it: the `precision` computed in and, where that is another one, that of the `weights`.

    Raises DeviceError unless the model computes in float16 with `fp16`, and not wholly in it without: nothing is
    converted behind the user's back.
    """
    other = _not_half(content)
    if fp16 and other is not None:
        raise DeviceError(
            f"precision: expected float16 (fp16=True), found {other}",
            hint="convert the model to float16, or leave fp16 out",
        )
    if not any(weight.element == _HALF for weight in content.weights):
        return {"precision": "float32"}
    made = Made.by_the_cpu(content, path) if cpu else Made((), half=True)
    if fp16 and made.widened:
        raise DeviceError(
            "precision: expected float16 (fp16=True), found float32: on this processor onnxruntime's CPU provider has "
            f"no float16 kernel for {_some(made.widened)}",
            hint="leave fp16 out, and it computes in float32 with the same weights; float16 needs a GPU, or the model "
            "in the torch backend",
        )
    if fp16:
        return {"precision": "float16"}
    if other is None and not made.widened:
        raise DeviceError("precision: expected float32, found a model in float16", hint="set fp16=True")
    return {
        "precision": "mixed" if made.half else "float32",
        "weights": "float16" if other is None else "mixed",
    }


@attrs.frozen
class Made:
    """What onnxruntime makes of a model.

    `widened` are the operators that it computes in float32 although the model has them in float16, `half` is whether
    anything is computed with float16 weights as they are.
    """

    widened: tuple[str, ...]
    half: bool

    @classmethod
    def by_the_cpu(cls, content: Content, path: Path) -> Made:
        """Build the model once and look at the graph that is then run: casts in it that the file has not are the signs.

        onnxruntime puts them around each operator that the CPU provider has no float16 kernel for, and says nothing.
        """
        with tempfile.TemporaryDirectory(prefix="axon-onnx-", ignore_cleanup_errors=True) as folder:
            made = Path(folder) / "made.onnx"
            options = ort.SessionOptions()
            options.log_severity_level = 4  # as in backend.py
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
            options.optimized_model_filepath = str(made)
            # One file holds at most 2 GiB.
            options.add_session_config_entry("session.optimized_model_external_initializers_file_name", "weights")
            options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", "1024")
            ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            run = read_content(made)
        own = {name for node in content.nodes for name in node.outputs}
        wide = {name for node in run.nodes if node.cast_to in _WIDE for name in node.outputs} - own
        weights = {weight.name for weight in run.weights if weight.element == _HALF}
        widened: set[str] = set()
        half = False
        for node in run.nodes:
            if wide.intersection(node.inputs):
                widened.add(node.operator)
                wide.update(name for name in node.outputs if name not in own)  # the next operator may need no cast
            half = half or (node.operator not in _MOVES and bool(weights.intersection(node.inputs)))
        return cls(tuple(sorted(widened - _MOVES)), half)


def _not_half(content: Content) -> str | None:
    """Why the file's arithmetic is not in float16; None if it is.

    That is: most numbers are float16, every matrix is, and no float16 weight is cast to a wider type. Wider vectors
    and scalars (a norm's scale), inputs and outputs do not matter.
    """
    half = [weight for weight in content.weights if weight.element == _HALF]
    wide = [weight for weight in content.weights if weight.element in _WIDE]
    if _numbers(half) <= _numbers(wide):
        return "a model in float32"
    if matrices := [weight.name for weight in wide if len(weight.shape) > 1]:
        return f"weights in float32: {_some(matrices)}"
    names = {weight.name for weight in half}
    if cast := [name for node in content.nodes if node.cast_to in _WIDE for name in node.inputs if name in names]:
        return f"weights that it casts to float32: {_some(cast)}"
    return None


def _numbers(weights: Iterable[Weight]) -> int:
    return sum(prod(weight.shape) for weight in weights)


def _some(names: Iterable[str]) -> str:
    first, more = list(names)[:3], len(list(names)) - 3
    return ", ".join(first) + (f" and {more} more" if more > 0 else "")
