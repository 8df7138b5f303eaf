"""Reading a safetensors file that may be hostile.

    8 bytes   N, little-endian
    N bytes   JSON: {"name": {"dtype", "shape", "data_offsets": [begin, end]}, …, "__metadata__": {text: text}}
    the rest  the tensors, row-major and little-endian, which must fill it without gaps and without overlap

The bytes are read, not mapped: a mapped file that is overwritten in place changes a serving model's weights, and one
that is cut short kills the process with SIGBUS.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from axon_quant.errors import ModelCheckError, ModelLoadError
from axon_quant.inference.session import FloatArray

if TYPE_CHECKING:
    from numpy.typing import NDArray

ARCHITECTURE = "axon.architecture"
"""The metadata key of the architecture, a JSON object."""
MAX_HEADER = 16 << 20
"""Bytes; a header of a hundred thousand tensors is smaller."""
MAX_RANK = 8

_FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_INTEGERS = {"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1", "U8": "<u1", "U16": "<u2", "U32": "<u4"}
_DTYPES = {name: np.dtype(code) for name, code in (_FLOATS | _INTEGERS).items()}


class TensorEntry(Struct, frozen=True):
    """One line of the header; `begin` and `end` count bytes from the end of the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


class Header(Struct, frozen=True):
    """What stands in front of the data, checked."""

    tensors: tuple[TensorEntry, ...]
    metadata: dict[str, str]


class Tensors:
    """The tensors of a file, each taken once by the layer that uses it."""

    def __init__(self, header: Header, data: bytes) -> None:
        self.metadata = header.metadata
        self._entries = {entry.name: entry for entry in header.tensors}
        self._data = data
        self._left = set(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    @property
    def unused(self) -> list[str]:
        """Names that no layer has taken, sorted."""
        return sorted(self._left)

    @property
    def dtypes(self) -> set[str]:
        """The float dtypes of the tensors that were taken."""
        return {self._entries[name].dtype for name in self._entries if name not in self._left} & _FLOATS.keys()

    def shape(self, name: str) -> tuple[int, ...]:
        """Raises ModelLoadError for a name that is not there."""
        return self._entry(name).shape

    def ignore(self, name: str) -> None:
        """Declare that the model does not need it."""
        self._left.discard(name)

    def floats(self, name: str, *shape: int | None) -> FloatArray:
        """Take a tensor as float32; None in `shape` leaves a dimension open, no shape at all leaves all of them.

        F16 and BF16 are widened, which is exact; F64 is rounded to the nearest float32. Raises ModelLoadError if it is
        missing, taken twice, of integers or of another shape, ModelCheckError for a number not finite in float32.
        """
        entry = self._entry(name)
        if entry.dtype not in _FLOATS:
            raise ModelLoadError(f"tensor {name!r}: expected floats, found {entry.dtype}")
        array = self._take(entry, shape)
        if entry.dtype == "BF16":
            array = (array.astype(np.uint32) << 16).view(np.float32)
        with np.errstate(over="ignore"):
            floats = array.astype(np.float32)
        if not np.isfinite(floats).all():
            why = "a number beyond float32" if np.isfinite(array).all() else "NaN or infinity"
            raise ModelCheckError(f"tensor {name!r}: expected finite numbers, found {why}")
        return floats

    def integers(self, name: str) -> NDArray[np.int64]:
        """Take a tensor of integers. Raises ModelLoadError if it is missing, taken twice, or of floats."""
        entry = self._entry(name)
        if entry.dtype not in _INTEGERS:
            raise ModelLoadError(f"tensor {name!r}: expected integers, found {entry.dtype}")
        return self._take(entry, ()).astype(np.int64)

    def _entry(self, name: str) -> TensorEntry:
        entry = self._entries.get(name)
        if entry is None:
            raise ModelLoadError(f"tensor {name!r} is missing; there is {', '.join(map(repr, sorted(self._entries)))}")
        return entry

    def _take(self, entry: TensorEntry, expected: tuple[int | None, ...]) -> NDArray[np.generic]:
        if entry.name not in self._left:
            raise ModelLoadError(f"tensor {entry.name!r} is used twice")
        fits = len(expected) == len(entry.shape) and all(
            want in (None, size) for want, size in zip(expected, entry.shape, strict=True)
        )
        if expected and not fits:
            want = "[" + ", ".join("?" if size is None else str(size) for size in expected) + "]"
            raise ModelLoadError(f"tensor {entry.name!r}: expected {want}, found {list(entry.shape)}")
        self._left.remove(entry.name)
        array = np.frombuffer(self._data, _DTYPES[entry.dtype], math.prod(entry.shape), entry.begin)
        return array.reshape(entry.shape)


def read(path: Path) -> Tensors:
    """Raises ModelLoadError for a file that cannot be read or is not safetensors."""
    header, data = _read(path, with_data=True)
    return Tensors(header, data)


def read_header(path: Path) -> Header:
    """The header alone, checked against the file's size. Raises as `read` does."""
    return _read(path, with_data=False)[0]


def _read(path: Path, *, with_data: bool) -> tuple[Header, bytes]:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(MAX_HEADER, size - 8):
                raise _malformed(f"a header of {length} bytes in a file of {size}, at most {MAX_HEADER} are read")
            header = parse_header(file.read(length), size - 8 - length)
            data = file.read() if with_data else b""
    except OSError as error:
        raise ModelLoadError(f"the model cannot be read: {error.strerror or error}", file=path) from error
    if with_data and len(data) != size - 8 - length:
        raise ModelLoadError("the file changed while it was read", file=path, hint="replace it atomically")
    return header, data


def parse_header(text: bytes, size: int) -> Header:
    """Check the header against the `size` bytes that follow it. Raises ModelLoadError."""
    fields = parse_object(text, "its header")
    metadata = fields.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _malformed("__metadata__ is not a map from text to text")
    if not fields:
        raise _malformed("it holds no tensors")
    entries = sorted(
        (_entry(name, value) for name, value in fields.items()), key=lambda entry: (entry.begin, entry.end)
    )
    end = 0
    for entry in entries:
        if entry.begin != end:
            what = "overlaps the one before it" if entry.begin < end else "leaves a gap before it"
            raise _malformed(f"tensor {entry.name!r} {what}: its data begin at {entry.begin}, expected {end}")
        end = entry.end
    if end != size:
        what = "is cut short" if end > size else "has trailing bytes"
        raise _malformed(f"the file {what}: {end} bytes of tensors, found {size}")
    return Header(tuple(entries), metadata)


def parse_object(text: bytes, what: str) -> dict[str, object]:
    """A JSON object without duplicate keys and without NaN. Raises ModelLoadError."""
    try:
        value = json.loads(text.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ModelLoadError(f"{what} is not JSON in UTF-8: {error or 'nested too deeply'}") from error
    if not isinstance(value, dict):
        raise ModelLoadError(f"{what} is not a JSON object")
    return value


def _entry(name: str, value: object) -> TensorEntry:
    where = f"tensor {name!r}"
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise _malformed(f"{where}: expected dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ModelLoadError(f"{where}: expected dtype {', '.join(_DTYPES)}, found {dtype!r}")
    if not isinstance(shape, list) or len(shape) > MAX_RANK or not all(_is_count(size) and size for size in shape):
        raise _malformed(f"{where}: expected a shape of at most {MAX_RANK} whole numbers above 0, found {shape!r:.80}")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_is_count, offsets)):
        raise _malformed(f"{where}: expected two data_offsets, found {offsets!r:.80}")
    begin, end = offsets
    expected = math.prod(shape) * _DTYPES[dtype].itemsize
    if end - begin != expected:
        raise _malformed(f"{where}: {dtype} {shape} takes {expected} bytes, its data_offsets hold {end - begin}")
    return TensorEntry(name, dtype, tuple(shape), begin, end)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"duplicate name {next(name for name in names if names.count(name) > 1)!r}")
    return result


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is not JSON")


def _malformed(what: str) -> ModelLoadError:
    return ModelLoadError(f"the file is not safetensors: {what}")
