"""Which backend reads a file, by the suffixes that the descriptors name."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from axon_quant.errors import PluginError
from axon_quant.plugins import first_party
from axon_quant.plugins.descriptors import BackendDescriptor
from axon_quant.plugins.registry import Registry, installed


def backend_for(path: str | Path, *, registry: Registry | None = None) -> str:
    """The name of the backend that reads `path`, a file's or just a suffix: `"models/a.onnx"` or `".onnx"`.

    Nothing is opened, and the case of letters does not matter; of `.pt` and `.scripted.pt` the longer one decides.
    Raises PluginMissingError with the pip command if the backend is ours and not installed, and PluginError if nobody
    reads such files, if somebody would but cannot be used, or if several do: then name one in the configuration.
    """
    registry = installed() if registry is None else registry
    name = os.path.basename(os.fspath(path)).lower()  # noqa: PTH119 (Path(".onnx/") is no suffix either)
    usable = [found for found in registry.descriptors("backend") if isinstance(found, BackendDescriptor)]
    readers = _longest(name, ((suffix, found.name) for found in usable for suffix in found.suffixes))
    if len(readers) == 1:
        return readers.pop()
    if readers:
        raise PluginError(f"several backends read {name!r}: {', '.join(sorted(readers))}", hint="name one of them")
    for own in first_party.FIRST_PARTY.values():
        if own.kind == "backend" and name.endswith(own.suffixes):
            registry.load(own.kind, own.plugin)  # says whether it is absent, blocked or broken
    known = ", ".join(f"{suffix} ({found.name})" for found in usable for suffix in found.suffixes)
    raise PluginError(f"no installed backend reads {name!r}; there is: {known or 'none'}", hint="name a backend")


def _longest(name: str, suffixes: Iterable[tuple[str, str]]) -> set[str]:
    """Who reads the longest suffix that `name` ends with."""
    matches = [(len(suffix), reader) for suffix, reader in suffixes if suffix and name.endswith(suffix.lower())]
    longest = max((length for length, _ in matches), default=0)
    return {reader for length, reader in matches if length == longest}
