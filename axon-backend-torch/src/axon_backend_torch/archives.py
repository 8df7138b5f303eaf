"""Loaders of the formats that hold code. Their files have been trusted and pinned before they come here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import msgspec
import torch
from torch.export.graph_signature import InputKind, OutputKind

from axon_backend_torch.formats import Format
from axon_backend_torch.metadata import Metadata
from axon_backend_torch.network import Network, check_precision
from axon_backend_torch.package import load_package
from axon_backend_torch.script import no_deprecations
from axon_quant.errors import ModelLoadError


def load_archive(path: Path, kind: Format, device: torch.device, dtype: torch.dtype) -> Network:
    """The network in a trusted file. Raises ModelLoadError or DeviceError."""
    if kind is Format.Aoti:
        return load_package(path, device)
    return _torchscript(path, device, dtype) if kind is Format.TorchScript else _export(path, device, dtype)


def load_plain(
    path: Path, kind: Format, device: torch.device, dtype: torch.dtype
) -> Callable[[torch.Tensor], torch.Tensor]:
    """What a trusted file gives torch's own user to call. Raises as `load_archive` does."""
    if kind is Format.Aoti:
        return load_package(path, device).call
    if kind is Format.Export:
        return _read_export(path, device, dtype).module()
    return _read_torchscript(path, device, dtype).eval()


def _read_torchscript(path: Path, device: torch.device, dtype: torch.dtype) -> torch.nn.Module:
    with no_deprecations():
        module: torch.nn.Module = torch.jit.load(path, map_location=device)  # type: ignore[no-untyped-call]
    if dtype is torch.float16:
        module = module.half()
    check_precision([*module.parameters(), *module.buffers()], dtype, convertible=False)
    return module


def _torchscript(path: Path, device: torch.device, dtype: torch.dtype) -> Network:
    """In evaluation mode and frozen: the weights become constants, which torch folds and fuses."""
    module = _read_torchscript(path, device, dtype)
    # What was saved frozen has no `training` any more, and cannot be frozen again.
    if hasattr(module, "training"):
        with no_deprecations():
            module = torch.jit.freeze(module.eval())
    return Network(module.forward, Metadata.in_archive(path), {"format": Format.TorchScript, "execution": "frozen"})


def _read_export(path: Path, device: torch.device, dtype: torch.dtype) -> torch.export.ExportedProgram:
    program = torch.export.load(path)
    if device.type != "cpu":
        from torch.export.passes import move_to_device_pass

        program = move_to_device_pass(program, device)
    check_precision(program.state_dict.values(), dtype, convertible=False)
    return program


def _export(path: Path, device: torch.device, dtype: torch.dtype) -> Network:
    """The program's own graph, called with its weights: `ExportedProgram.module()` costs several times as much."""
    program = _read_export(path, device, dtype)
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
