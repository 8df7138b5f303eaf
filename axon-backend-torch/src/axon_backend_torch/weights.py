"""State dicts: tensors by name, read without running anything."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import attrs
import torch

from axon_backend_torch.factories import NamedFactory
from axon_backend_torch.formats import Format
from axon_backend_torch.metadata import CheckpointMetadata, Metadata
from axon_quant.errors import ModelLoadError, PluginMissingError

_NESTED = ("state_dict", "model_state_dict")


@attrs.frozen(eq=False)
class Weights:
    """Tensors by name, on the CPU, and what the file says about itself and about the module they belong to."""

    tensors: Mapping[str, torch.Tensor]
    metadata: Metadata
    factory: NamedFactory | None = None


def read_weights(path: Path, kind: Format) -> Weights:
    """The state dict of a file.

    A checkpoint may hold it under `state_dict` or `model_state_dict`, and its metadata under `axon`. Raises
    ModelLoadError for a file that is damaged or holds more than tensors and plain values.
    """
    if kind is Format.Safetensors:
        return _read_safetensors(path)
    try:
        # Not mapped: the model would change with its file.
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=False)
    except pickle.UnpicklingError as error:
        raise _more_than_tensors(error) from None  # torch's own text says how to run the file all the same
    except (RuntimeError, EOFError, KeyError, ValueError, IndexError, AttributeError) as error:
        raise ModelLoadError(f"the state dict cannot be read: {_line(error)}") from error
    return _unpack(found)


def _read_safetensors(path: Path) -> Weights:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise PluginMissingError(
            'this file needs safetensors, which is not installed: pip install "axon-backend-torch[safetensors]"',
            plugin="torch",
        ) from error
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
            return Weights(tensors, Metadata.in_strings(file.metadata() or {}))
    except SafetensorError as error:
        raise ModelLoadError(f"the state dict cannot be read: {error}") from error


def _unpack(found: object) -> Weights:
    if isinstance(found, Mapping):
        if all(isinstance(name, str) and isinstance(t, torch.Tensor) for name, t in found.items()):
            return Weights(found, Metadata())
        for key in _NESTED:
            if isinstance(found.get(key), Mapping):
                metadata = CheckpointMetadata.parse(found.get("axon", {}))
                return Weights(_unpack(found[key]).tensors, metadata, metadata.named)
    raise ModelLoadError(
        f"expected a state dict, found {_describe(found)}",
        hint=f"save module.state_dict(), alone or in a dict under {' or '.join(map(repr, _NESTED))}",
    )


def _describe(found: object) -> str:
    if isinstance(found, Mapping):
        return f"a dict of {', '.join(map(repr, list(found)[:8])) or 'nothing'}"
    return f"a {type(found).__name__}"


def _more_than_tensors(error: pickle.UnpicklingError) -> ModelLoadError:
    name = re.search(r"GLOBAL (\S+)", str(error))
    what = f"holds more than tensors: {name[1].removesuffix('.')}" if name else "is damaged, or holds more than tensors"
    return ModelLoadError(
        f"the file {what}",
        hint="a pickled object runs code when it is loaded, and is never loaded here: save module.state_dict()",
    )


def _line(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
