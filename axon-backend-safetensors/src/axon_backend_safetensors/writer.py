"""Writing safetensors: the bytes of a model, and a configuration sealed into it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from axon_backend_safetensors.reader import ARCHITECTURE, parse_object, read
from axon_quant.inference.files import write_whole
from axon_quant.inference.session import FloatArray


def pack(tensors: Mapping[str, FloatArray], metadata: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a file with these float32 tensors; the same for the same input, whatever the order."""
    header: dict[str, object] = {"__metadata__": dict(sorted((metadata or {}).items()))} if metadata else {}
    parts: list[bytes] = []
    end = 0
    for name, array in sorted(tensors.items()):
        part = np.ascontiguousarray(array, "<f4").tobytes()
        begin, end = end, end + len(part)
        header[name] = {"dtype": "F32", "shape": list(np.shape(array)), "data_offsets": [begin, end]}
        parts.append(part)
    return assemble(header, b"".join(parts))


def assemble(header: Mapping[str, object], data: bytes) -> bytes:
    """Header and data as one file; the data begin at a multiple of eight."""
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def seal(model: Path, config: Path) -> None:
    """Write the content of a `config.json` into the metadata of its model, so that one SHA-256 covers both.

    The model is replaced atomically. Raises ModelLoadError if either cannot be read.
    """
    read(model)  # refuses what is not safetensors
    content = model.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = parse_object(content[8 : 8 + length], "its header")
    metadata = header.get("__metadata__")
    architecture = parse_object(config.read_bytes(), str(config))
    header["__metadata__"] = {
        **(metadata if isinstance(metadata, dict) else {}),
        ARCHITECTURE: json.dumps(architecture, separators=(",", ":")),
    }
    write_whole(model, assemble(header, content[8 + length :]))
