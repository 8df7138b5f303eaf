"""Walking through an ONNX file, without reading the numbers of its weights.

A model of 64 MB has a few kilobytes that say what it is. They are looked at several times while a version is built, and
to read the rest each time would take longer than to build it. The file is read, not mapped: one that is cut short while
it is mapped ends the process.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO, NamedTuple, TypeAlias

from axon_backend_onnx.protobuf import BYTES, FIXED32, FIXED64, VARINT, ElementType
from axon_quant.errors import ModelLoadError

_BLOCK = 1 << 14
_DEEPEST = 200


class Stretch:
    """Bytes `begin` to `end` of an open file, read where they are looked at."""

    def __init__(self, file: BinaryIO, begin: int, end: int) -> None:
        self._file, self._begin, self._end = file, begin, end
        self._block, self._block_at = b"", 0

    @classmethod
    def whole(cls, file: BinaryIO) -> Stretch:
        """All of a file."""
        return cls(file, 0, os.fstat(file.fileno()).st_size)

    def __len__(self) -> int:
        return self._end - self._begin

    def __getitem__(self, at: int) -> int:
        offset = self._begin + at - self._block_at
        if not 0 <= offset < len(self._block):
            self._block_at, offset = self._begin + at, 0
            self._block = self._read(self._block_at, min(_BLOCK, self._end - self._block_at))
        return self._block[offset]

    def cut(self, begin: int, end: int) -> memoryview | Stretch:
        """A part of it, read at once if it is short."""
        if end - begin > _BLOCK:
            return Stretch(self._file, self._begin + begin, self._begin + end)
        offset = self._begin + begin - self._block_at
        if 0 <= offset <= offset + end - begin <= len(self._block):
            return memoryview(self._block)[offset : offset + end - begin]
        return memoryview(self._read(self._begin + begin, end - begin))

    def blocks(self) -> Iterator[bytes]:
        """All of it, piece by piece."""
        for at in range(self._begin, self._end, _BLOCK):
            yield self._read(at, min(_BLOCK, self._end - at))

    def _read(self, at: int, size: int) -> bytes:
        self._file.seek(at)
        block = self._file.read(size)
        if len(block) != size:
            raise ModelLoadError("the file is not whole: it became shorter while it was read")
        return block


Data: TypeAlias = memoryview | Stretch


class Weight(NamedTuple):
    """A tensor that a model holds: `location` is the file that its values stand in, None for the model's own.

    A constant without a name has that of its node's output.
    """

    name: str
    element: int
    shape: tuple[int, ...]
    location: str | None


class Node(NamedTuple):
    """An operator; `cast_to` is the `ElementType` that a Cast gives, None for the others."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    cast_to: int | None


def parts(model: Data) -> Iterator[Weight | Node]:
    """Every tensor and every node in a ModelProto, those of branches, functions and sparse tensors included.

    Raises ModelLoadError if the bytes are no protobuf, or nest deeper than any model does.
    """
    yield from _of_message(model, "model", 0)


def architecture(model: Data) -> str:
    """SHA-256, in hex, of all that decides how a ModelProto is computed; the numbers of its weights do not.

    They are those of the graph's own float tensors of one dimension or more. A number alone and integers count, because
    they may be an epsilon or a shape, and so do names, which two exports of one network have in common.
    """
    digest = hashlib.sha256()
    for number, content in fields(model):
        if number in _OF_ARCHITECTURE and isinstance(content, int):
            digest.update(f"{number}={content};".encode())
        elif number == _GRAPH and not isinstance(content, int):
            for inner, part in fields(content):
                _add(digest, f"graph {inner}", part, tensor=inner == _INITIALIZER)
        elif number in _OF_ARCHITECTURE:
            _add(digest, str(number), content)
    return digest.hexdigest()


_TENSORS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""Message → its fields that can hold tensors, and what message they are."""
_GRAPH, _INITIALIZER = 7, 5
_OF_ARCHITECTURE = (1, 8, 25)
"""Beside the graph: the format's version, the operators' versions, functions. Not who made it, when and for whom."""
_DIMS, _TYPE, _NAME, _EXTERNAL = 1, 2, 8, 14
_FLOATS = (ElementType.FLOAT, ElementType.FLOAT16, ElementType.DOUBLE, 16)


def _add(digest: hashlib._Hash, name: str, content: int | Data, *, tensor: bool = False) -> None:
    """Add a field, so that no two sequences of fields look the same."""
    if isinstance(content, int):
        digest.update(f"{name}={content};".encode())
        return
    if tensor and (weight := _without_numbers(content)) is not None:
        digest.update(f"{name}:weight {len(weight)}:".encode() + weight)
        return
    digest.update(f"{name}:{len(content)}:".encode())
    for block in content.blocks() if isinstance(content, Stretch) else (content,):
        digest.update(block)


def _without_numbers(tensor: Data) -> bytes | None:
    """What a weight is called and how it is shaped; None for what is not only a weight."""
    said: list[str] = []
    element, rank = 0, 0
    for number, content in fields(tensor):
        if number not in (_DIMS, _TYPE, _NAME, _EXTERNAL):
            continue
        if number == _TYPE and isinstance(content, int):
            element = content
        rank += number == _DIMS and (isinstance(content, int) or len(content) > 0)
        said.append(f"{number}={content if isinstance(content, int) else _whole(content).hex()}")
    return ";".join(said).encode() if element in _FLOATS and rank else None


def _of_message(message: Data, kind: str, depth: int, owner: str = "") -> Iterator[Weight | Node]:
    if depth > _DEEPEST:
        raise ModelLoadError(f"the model nests more than {_DEEPEST} levels deep")
    if kind == "tensor":
        yield _weight(message, owner)
        return
    if kind == "node":
        node = _node(message)
        yield node
        owner = "".join(node.outputs[:1])
    inner = _TENSORS[kind]
    for number, content in fields(message):
        if number in inner and not isinstance(content, int):
            yield from _of_message(content, inner[number], depth + 1, owner)


def _node(message: Data) -> Node:
    operator, cast_to = "", None
    inputs: list[str] = []
    outputs: list[str] = []
    for number, content in fields(message):
        if isinstance(content, int):
            continue
        if number == 1:
            inputs.append(_text(content))
        elif number == 2:
            outputs.append(_text(content))
        elif number == 4:
            operator = _text(content)
        elif number == 5 and not isinstance(content, Stretch):  # a long attribute is not what a Cast has
            attribute = {key: value for key, value in fields(content) if key in (1, 3)}
            name, value = attribute.get(1), attribute.get(3)
            if isinstance(name, memoryview) and _text(name) == "to" and isinstance(value, int):
                cast_to = value
    return Node(operator, tuple(inputs), tuple(outputs), cast_to if operator == "Cast" else None)


def _weight(tensor: Data, owner: str) -> Weight:
    name, element, external, location = "", 0, False, None
    shape: list[int] = []
    for number, content in fields(tensor):
        if number == _DIMS:
            shape += (content,) if isinstance(content, int) else islice(_varints(content), _DEEPEST)
            if len(shape) >= _DEEPEST:
                raise ModelLoadError(f"a weight has {_DEEPEST} dimensions or more")
        elif number == _TYPE and isinstance(content, int):
            element = content
        elif number == _NAME and not isinstance(content, int):
            name = _text(content)
        elif number == _EXTERNAL:
            external = content == 1
        elif number == 13 and not isinstance(content, int):
            entry = {key: _text(text) for key, text in fields(content) if not isinstance(text, int)}
            if entry.get(1) == "location":
                location = entry.get(2, "")
    if external and location is None:
        raise ModelLoadError("a weight stands in another file, and the model does not say in which")
    return Weight(name or owner, element, tuple(shape), location if external else None)


def _whole(content: Data) -> bytes:
    """What is meant to be short."""
    if isinstance(content, Stretch):
        raise ModelLoadError(f"the file is not ONNX: a name of {len(content)} bytes")
    return bytes(content)


def _text(content: Data) -> str:
    return _whole(content).decode("utf-8", "surrogateescape")


def _varints(data: Data) -> Iterator[int]:
    at = 0
    while at < len(data):
        number, at = _read_varint(data, at)
        yield number


def fields(data: Data) -> Iterator[tuple[int, int | Data]]:
    """(field number, content) one after the other; the content of fixed-width fields is left as it is.

    Raises ModelLoadError if the bytes are no protobuf.
    """
    at, end = 0, len(data)
    while at < end:
        key, at = _read_varint(data, at)
        wire = key & 7
        if wire == VARINT:
            content, at = _read_varint(data, at)
            yield key >> 3, content
            continue
        if wire == BYTES:
            size, at = _read_varint(data, at)
        elif wire in (FIXED32, FIXED64):
            size = 4 if wire == FIXED32 else 8
        else:
            raise ModelLoadError("the file is not ONNX: its protobuf is malformed")
        if at + size > end:
            raise ModelLoadError("the file is not whole: its protobuf ends early")
        yield key >> 3, data.cut(at, at + size) if isinstance(data, Stretch) else data[at : at + size]
        at += size


def _read_varint(data: Data, at: int) -> tuple[int, int]:
    result = shift = 0
    while shift < 64:
        if at >= len(data):
            raise ModelLoadError("the file is not whole: its protobuf ends early")
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7
    raise ModelLoadError("the file is not ONNX: its protobuf is malformed")
