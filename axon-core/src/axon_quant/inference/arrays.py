"""Reading `.npz` files that somebody else may have written: plain numbers only, and no more of them than expected."""

from __future__ import annotations

import math
import os
import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from axon_quant.errors import ModelLoadError

_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER = re.compile(
    rb"\{'descr': '(<f[48])', 'fortran_order': (True|False), 'shape': \(((?:\d{1,10}(?:, ?|(?=\))))*)\), \} *\n"
)
"""As numpy writes it. numpy's own reader evaluates it as Python, and fails in as many ways."""


def read_arrays(
    path: Path, *, required: Sequence[str], optional: Sequence[str] = (), max_bytes: int
) -> dict[str, NDArray[np.floating[Any]]]:
    """The arrays of an `.npz` file by name, float32 or float64, in memory of their own.

    `max_bytes` limits the file and what it unpacks to, so that a small file cannot ask for all the memory. Raises
    ModelLoadError for a file that cannot be read, lacks a required array or holds anything else.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > max_bytes:
                raise ModelLoadError(f"expected at most {max_bytes} bytes", file=path)
            with zipfile.ZipFile(file) as archive:
                return _read(archive, required, optional, max_bytes)
    except OSError as error:
        raise ModelLoadError(f"cannot be read: {error.strerror or error}", file=path) from error
    except (ValueError, EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelLoadError(f"is not a whole .npz file of numbers: {error}", file=path) from error


def _read(
    archive: zipfile.ZipFile, required: Sequence[str], optional: Sequence[str], max_bytes: int
) -> dict[str, NDArray[np.floating[Any]]]:
    members = archive.infolist()
    names = [member.filename.removesuffix(".npy") for member in members]
    missing = [name for name in required if name not in names]
    if missing or len(set(names)) != len(names) or set(names) - {*required, *optional}:
        raise ValueError(f"expected the arrays {', '.join([*required, *optional])}, found {', '.join(names)[:200]}")
    if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
        raise ValueError("it is packed in another way than numpy packs")
    if sum(member.file_size for member in members) > max_bytes:
        raise ValueError(f"it unpacks to more than {max_bytes} bytes")
    return {name: _array(name, archive.read(member)) for name, member in zip(names, members, strict=True)}


def _array(name: str, data: bytes) -> NDArray[np.floating[Any]]:
    start = len(_MAGIC) + 2
    end = start + int.from_bytes(data[len(_MAGIC) : start], "little")
    header = _HEADER.fullmatch(data, start, end) if data.startswith(_MAGIC) else None
    if header is None:
        raise ValueError(f"{name}: expected float32 in numpy's format, found {data[:80]!r}")
    dtype = np.dtype(header[1].decode())
    shape = tuple(int(size) for size in header[3].split(b",") if size.strip())
    if len(data) - end != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name}: {len(data) - end} bytes are not an array of {list(shape)}")
    array = np.frombuffer(data, dtype, offset=end).reshape(shape, order="F" if header[2] == b"True" else "C")
    return np.array(array, dtype.newbyteorder("="), order="C")
