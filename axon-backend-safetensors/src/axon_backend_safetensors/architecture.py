"""What a file's tensors are for: from its metadata, from a `config.json` beside it, or from their names.

    {
      "input_shape": [1, 64, 128],          as in ModelConfig; the batch is 1 or null, any batch is served
      "layers": [{"type": "flatten"}, {"type": "linear", "name": "net.0"}, {"type": "relu"}, …],
      "activation": "tanh",                 without layers: the activation between those that the names tell
      "actions": ["buy", "sell", "hold"],
      "schema_sha256": "…",                 of the feature schema
      "ignore": ["value_net.*"]             tensors that are not used, as patterns; each must match one
    }

Every key may be left out, and no other is known. The README documents the layers.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from axon_backend_safetensors.fields import Fields
from axon_backend_safetensors.layers.catalog import ACTIVATIONS
from axon_backend_safetensors.naming import infer
from axon_backend_safetensors.reader import ARCHITECTURE, Tensors, parse_object, read_header
from axon_backend_safetensors.tape import Shape
from axon_quant.errors import ModelLoadError

T = TypeVar("T")

CONFIG = "config.json"
MAX_CONFIG = 1 << 20
"""Bytes."""


class Architecture(Struct, frozen=True):
    """`source` is metadata, config.json or names.

    `window` is the input's shape without the batch, None where nothing says it. `inferred`: the layers are by names.
    """

    layers: tuple[object, ...]
    window: Shape | None
    actions: tuple[str, ...] | None
    schema_sha256: str | None
    ignored: tuple[str, ...]
    source: str
    inferred: bool


def find(path: Path, tensors: Tensors) -> Architecture:
    """The architecture of an open file. Raises ModelLoadError where it is unclear or contradicts itself."""
    embedded = tensors.metadata.get(ARCHITECTURE)
    if embedded is not None:
        where = f"metadata {ARCHITECTURE}"
        return _parse(
            Fields(where, parse_object(embedded.encode("utf-8", "surrogatepass"), where)), "metadata", tensors
        )
    content = _read(path.with_name(CONFIG))
    if content is None:
        return _parse(Fields("names", {}), "names", tensors)
    return _parse(Fields(CONFIG, parse_object(content, CONFIG)), CONFIG, tensors)


def side_files(path: Path) -> tuple[Path, ...]:
    """The config.json that `find` would use, if it is there. Raises ModelLoadError if the model cannot be read."""
    config = path.with_name(CONFIG)
    return () if ARCHITECTURE in read_header(path).metadata or not config.exists() else (config,)


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CONFIG + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelLoadError(f"it cannot be read: {error.strerror or error}", file=path) from error
    if len(content) > MAX_CONFIG:
        raise ModelLoadError(f"it is larger than {MAX_CONFIG} bytes", file=path)
    return content


def _parse(fields: Fields, source: str, tensors: Tensors) -> Architecture:
    declared = fields.items("layers")
    activation = fields.choice("activation", ACTIVATIONS) if "activation" in fields else None
    if declared is not None and activation is not None:
        raise ModelLoadError(f"{fields.where}: activation is for layers that names tell, and layers are given")
    layers, ignored = infer(tensors, activation) if declared is None else (declared, ())
    ignored += _patterns(fields, tensors)
    if not layers:
        raise ModelLoadError(f"{fields.where}: layers is empty")
    actions = _agree(fields, "actions", fields.texts("actions"), _split(tensors.metadata.get("axon.actions")))
    schema = fields.text("schema_sha256") if "schema_sha256" in fields else None
    schema = _agree(fields, "schema_sha256", schema, tensors.metadata.get("axon.schema_sha256"))
    if schema is not None and not re.fullmatch(r"[0-9a-f]{64}", schema):
        raise ModelLoadError(f"schema_sha256: expected 64 hexadecimal digits, found {schema!r:.80}")
    window = _window(fields)
    fields.done()
    return Architecture(tuple(layers), window, actions, schema, ignored, source, declared is None)


def _patterns(fields: Fields, tensors: Tensors) -> tuple[str, ...]:
    patterns = fields.texts("ignore") or ()
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in tensors):
            raise ModelLoadError(f"{fields.where}: ignore: {pattern!r} matches no tensor")
    return patterns


def _window(fields: Fields) -> Shape | None:
    shape = fields.items("input_shape")
    if shape is None:
        return None
    batch, *window = shape or [0]
    sizes = tuple(size for size in window if isinstance(size, int) and not isinstance(size, bool) and size > 0)
    if batch not in (None, 1) or not window or len(sizes) != len(window):
        raise ModelLoadError(f"{fields.where}: input_shape: expected [1, …] of whole numbers, found {shape!r:.80}")
    return sizes


def _split(names: str | None) -> tuple[str, ...] | None:
    return tuple(names.split(",")) if names else None


def _agree(fields: Fields, key: str, first: T | None, second: T | None) -> T | None:
    if first is not None and second is not None and first != second:
        raise ModelLoadError(f"{fields.where}: {key} says {first!r:.80}, the metadata's axon.{key} {second!r:.80}")
    return second if first is None else first
