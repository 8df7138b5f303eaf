"""Loaders of the formats that hold code. Their files have been trusted and pinned before they come here."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

import msgspec
import torch
from torch.export.graph_signature import InputKind, OutputKind

from axon_backend_torch.formats import Format
from axon_backend_torch.metadata import Metadata
from axon_backend_torch.network import Network, check_precision
from axon_backend_torch.script import no_deprecations
from axon_quant.errors import DeviceError, ModelLoadError

_CHECK_INPUTS = "AOTI_RUNTIME_CHECK_INPUTS"


def load_archive(path: Path, kind: Format, device: torch.device, dtype: torch.dtype) -> Network:
    """The network in a trusted file. Raises ModelLoadError or DeviceError."""
    if kind is Format.Aoti:
        return _aoti(path, device)
    return _torchscript(path, device, dtype) if kind is Format.TorchScript else _export(path, device, dtype)


def _torchscript(path: Path, device: torch.device, dtype: torch.dtype) -> Network:
    """In evaluation mode and frozen: the weights become constants, which torch folds and fuses."""
    with no_deprecations():
        module = torch.jit.load(path, map_location=device)  # type: ignore[no-untyped-call]
        if dtype is torch.float16:
            module = module.half()
        check_precision([*module.parameters(), *module.buffers()], dtype, convertible=False)
        # What was saved frozen has no `training` any more, and cannot be frozen again.
        if hasattr(module, "training"):
            module = torch.jit.freeze(module.eval())
    return Network(module.forward, Metadata.in_archive(path), {"format": Format.TorchScript, "execution": "frozen"})


def _export(path: Path, device: torch.device, dtype: torch.dtype) -> Network:
    """The program's own graph, called with its weights: `ExportedProgram.module()` costs several times as much."""
    program = torch.export.load(path)
    if device.type != "cpu":
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, device)
    check_precision(program.state_dict.values(), dtype, convertible=False)
    given = [spec.arg.name for spec in program.graph_signature.input_specs if spec.kind is InputKind.USER_INPUT]
    if len(given) != 1:
        raise ModelLoadError(f"inputs: expected one, found {given}")
    (node,) = (node for node in program.graph.nodes if node.name == given[0])
    shape, batches = _declared_shape(program, node.meta["val"])
    metadata = Metadata.in_archive(path)
    if metadata.input_shape is None:
        metadata = msgspec.structs.replace(metadata, input_shape=shape)
    return Network(_flat_call(program), metadata, {"format": Format.Export, "execution": "graph"}, batches)


def _declared_shape(
    program: torch.export.ExportedProgram, example: torch.Tensor
) -> tuple[tuple[int | None, ...], tuple[int, int | None]]:
    """The input's shape, None where it is open, and the batches that the program was exported for."""
    sizes: tuple[object, ...] = tuple(example.shape)  # symbols where it is open
    shape = tuple(size if isinstance(size, int) else None for size in sizes)
    if shape[0] is not None:
        return shape, (shape[0], shape[0])
    allowed = program.range_constraints.get(cast("torch.SymInt", example.shape[0]).node.expr)
    if allowed is None:
        return shape, (1, None)
    # A lower bound of 2 is how export writes "any": it never specialises on more.
    low = int(allowed.lower) if allowed.lower > 2 else 1
    return shape, (low, int(allowed.upper) if allowed.upper.is_finite else None)


def _flat_call(program: torch.export.ExportedProgram) -> Callable[[torch.Tensor], torch.Tensor]:
    signature = program.graph_signature
    before: list[object] = []
    after: list[object] = []
    place = before
    for spec in signature.input_specs:
        if spec.kind is InputKind.USER_INPUT:
            place = after
        elif spec.kind in (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR):
            target = str(spec.target)
            place.append(program.state_dict[target] if target in program.state_dict else program.constants[target])
        else:
            raise ModelLoadError(f"the program takes a {spec.kind.name.lower()}, which cannot be served")
    written = [spec.target for spec in signature.output_specs if spec.kind is not OutputKind.USER_OUTPUT]
    if written or len(signature.output_specs) != 1:
        what = f"it also writes to {written}" if written else f"found {len(signature.output_specs)}"
        raise ModelLoadError(f"outputs: expected one tensor and no other effect, {what}")
    forward = program.graph_module.forward

    def call(x: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = forward(*before, x, *after)[0]
        return scores

    return call


def _aoti(path: Path, device: torch.device) -> Network:
    """Native code, for the device and the number of threads that it was compiled for.

    Such code trusts its caller with shapes and dtypes, and reads past the end of a wrong input: torch's own check is
    turned on for the process unless the user has decided otherwise.
    """
    os.environ.setdefault(_CHECK_INPUTS, "1")
    with no_deprecations():
        index = device.index if device.type == "cuda" else -1
        package = torch._inductor.aoti_load_package(str(path), device_index=index)  # noqa: SLF001 (documented so)
    compiled_for = package.loader.get_metadata().get("AOTI_DEVICE_KEY", device.type)
    if compiled_for != device.type:
        raise DeviceError(f"device: expected {device}, found a package compiled for {compiled_for}")
    run = package.loader.run

    def call(x: torch.Tensor) -> torch.Tensor:
        scores: list[torch.Tensor] = run([x])
        if len(scores) != 1:
            raise ModelLoadError(f"outputs: expected one tensor, found {len(scores)}")
        return scores[0]

    return Network(call, Metadata.in_archive(path), {"format": Format.Aoti, "execution": "compiled"})
