"""What every format is turned into: a function from tensor to tensor, and what is known about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import attrs
import torch

from axon_backend_torch.metadata import Metadata
from axon_quant.errors import DeviceError, ModelLoadError

_NAMES = {torch.float32: "float32", torch.float16: "float16"}


@attrs.frozen(eq=False)
class Network:
    """A model on its device. `batches` are the smallest and the largest one it takes; `plan` says how it computes."""

    call: Callable[[torch.Tensor], torch.Tensor]
    metadata: Metadata
    plan: Mapping[str, str]
    batches: tuple[int, int | None] = (1, None)


def precision(dtype: torch.dtype) -> str:
    """`float32` or `float16`, as in a plan."""
    return _NAMES.get(dtype, str(dtype).removeprefix("torch."))


def check_precision(tensors: Iterable[torch.Tensor], wanted: torch.dtype, *, convertible: bool) -> None:
    """Refuse weights in another precision than the model shall compute in. Raises DeviceError.

    `convertible`: whether another configuration, rather than another file, would help.
    """
    found = {tensor.dtype for tensor in tensors if tensor.is_floating_point()} - {wanted}
    if not found:
        return
    names = ", ".join(sorted(map(precision, found)))
    if wanted is torch.float16:
        hint = "leave fp16 out" if convertible else "export the model in half precision, or leave fp16 out"
    else:
        hint = "set fp16=True" if found == {torch.float16} else "convert the model to float32"
    raise DeviceError(f"precision: expected {precision(wanted)}, found a model in {names}", hint=hint)


def wrong_precision(wanted: torch.dtype) -> DeviceError:
    """The error for a model whose own input has another precision."""
    hint = "export the model in half precision, or leave fp16 out" if wanted is torch.float16 else "set fp16=True"
    return DeviceError(f"precision: expected {precision(wanted)}, found a model that takes another", hint=hint)


def check_scores(scores: object, batch: int, wanted: torch.dtype) -> int:
    """The number of scores per row of a first answer. Raises ModelLoadError, or DeviceError for another precision."""
    if not isinstance(scores, torch.Tensor):
        raise ModelLoadError(f"output: expected one tensor [batch, scores], found a {type(scores).__name__}")
    if scores.ndim != 2 or scores.shape[0] != batch:
        raise ModelLoadError(f"output: expected [{batch}, scores], found {list(scores.shape)}")
    if scores.dtype is not wanted:
        raise DeviceError(
            f"precision: expected {precision(wanted)}, found scores in {precision(scores.dtype)}",
            hint="the model fixes its own precision: convert the model, or change fp16",
        )
    return scores.shape[1]
