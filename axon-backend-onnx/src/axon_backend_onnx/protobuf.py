"""As much protobuf as an ONNX file needs, to write one and to walk through one.

Written here because the bytes of a built-in model enter the journal's hash chain: no version of any library may
change them. Field numbers are those of `onnx.proto3`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from itertools import islice
from typing import NamedTuple

from axon_quant.errors import ModelLoadError

IR_VERSION = 8
OPSET = 17

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class ElementType(IntEnum):
    """`TensorProto.DataType`."""

    FLOAT = 1
    INT64 = 7
    FLOAT16 = 10
    DOUBLE = 11


_FORMATS = {ElementType.FLOAT: "f", ElementType.INT64: "q", ElementType.FLOAT16: "e", ElementType.DOUBLE: "d"}


def model(
    graph: bytes, *, metadata: Mapping[str, str] | None = None, producer: str = "axon", opset: int = OPSET
) -> bytes:
    """A ModelProto: the content of a file."""
    return b"".join(
        [
            _integer(1, IR_VERSION),
            _text(2, producer),
            _bytes(7, graph),
            _bytes(8, _text(1, "") + _integer(2, opset)),
            *(_bytes(14, _text(1, key) + _text(2, value)) for key, value in sorted((metadata or {}).items())),
        ]
    )


def graph(
    name: str,
    nodes: Iterable[bytes],
    *,
    initializers: Iterable[bytes],
    inputs: Iterable[bytes],
    outputs: Iterable[bytes],
) -> bytes:
    """A GraphProto."""
    return b"".join(
        [
            *(_bytes(1, node) for node in nodes),
            _text(2, name),
            *(_bytes(5, tensor) for tensor in initializers),
            *(_bytes(11, value) for value in inputs),
            *(_bytes(12, value) for value in outputs),
        ]
    )


def node(operator: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: int) -> bytes:
    """A NodeProto named after its first output."""
    return b"".join(
        [
            *(_text(1, name) for name in inputs),
            *(_text(2, name) for name in outputs),
            _text(3, outputs[0]),
            _text(4, operator),
            *(_bytes(5, _text(1, key) + _integer(3, value) + _integer(20, 2)) for key, value in attributes.items()),
        ]
    )


def tensor(name: str, shape: Sequence[int], values: Iterable[float], element: ElementType = ElementType.FLOAT) -> bytes:
    """A TensorProto with its values in row-major order, little-endian."""
    data = list(values)
    return b"".join(
        [
            *(_integer(1, size) for size in shape),
            _integer(2, element),
            _text(8, name),
            _bytes(9, struct.pack(f"<{len(data)}{_FORMATS[element]}", *data)),
        ]
    )


def external_tensor(
    name: str, shape: Sequence[int], location: str, *, offset: int = 0, element: ElementType = ElementType.FLOAT
) -> bytes:
    """A TensorProto whose values stand in another file, row-major and little-endian, from `offset` on."""
    size = math.prod(shape) * struct.calcsize(_FORMATS[element])
    entries = {"location": location, "offset": str(offset), "length": str(size)}
    return b"".join(
        [
            *(_integer(1, extent) for extent in shape),
            _integer(2, element),
            _text(8, name),
            *(_bytes(13, _text(1, key) + _text(2, text)) for key, text in entries.items()),
            _integer(14, 1),
        ]
    )


def value(name: str, shape: Sequence[int | str], element: ElementType = ElementType.FLOAT) -> bytes:
    """A ValueInfoProto; a dimension that is a string is open."""
    dimensions = b"".join(_bytes(1, _integer(1, size) if isinstance(size, int) else _text(2, size)) for size in shape)
    return _text(1, name) + _bytes(2, _bytes(1, _integer(1, element) + _bytes(2, dimensions)))


class Weight(NamedTuple):
    """A tensor that a model holds: `location` is the file that its values stand in, None for the model's own.

    A constant is named after the output of its node.
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


def content(data: bytes) -> Iterator[Weight | Node]:
    """Every tensor and every node in a ModelProto, those of branches, functions and sparse tensors included.

    Raises ModelLoadError if the bytes are no protobuf, or nest deeper than any model does.
    """
    yield from _of_message(memoryview(data), "model", 0)


_TENSORS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""Message → its fields that can hold tensors, and what message they are."""
_DEEPEST = 200


def _of_message(message: memoryview, kind: str, depth: int, owner: str = "") -> Iterator[Weight | Node]:
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
    for number, content in _fields(message):
        if number in inner and isinstance(content, memoryview):
            yield from _of_message(content, inner[number], depth + 1, owner)


def _node(message: memoryview) -> Node:
    operator, cast_to = "", None
    inputs: list[str] = []
    outputs: list[str] = []
    for number, content in _fields(message):
        if not isinstance(content, memoryview):
            continue
        if number == 1:
            inputs.append(_string(content))
        elif number == 2:
            outputs.append(_string(content))
        elif number == 4:
            operator = _string(content)
        elif number == 5:
            attribute = {key: value for key, value in _fields(content) if key in (1, 3)}
            name, value = attribute.get(1), attribute.get(3)
            if isinstance(name, memoryview) and _string(name) == "to" and isinstance(value, int):
                cast_to = value
    return Node(operator, tuple(inputs), tuple(outputs), cast_to if operator == "Cast" else None)


def _weight(tensor: memoryview, owner: str) -> Weight:
    name, element, external, location = "", 0, False, None
    shape: list[int] = []
    for number, content in _fields(tensor):
        if number == 1:
            shape += (content,) if isinstance(content, int) else islice(_varints(content), _DEEPEST)
            if len(shape) >= _DEEPEST:
                raise ModelLoadError(f"a weight has {_DEEPEST} dimensions or more")
        elif number == 2 and isinstance(content, int):
            element = content
        elif number == 8 and isinstance(content, memoryview):
            name = _string(content)
        elif number == 14:
            external = content == 1
        elif number == 13 and isinstance(content, memoryview):
            entry = {key: _string(text) for key, text in _fields(content) if isinstance(text, memoryview)}
            if entry.get(1) == "location":
                location = entry.get(2, "")
    if external and location is None:
        raise ModelLoadError("a weight stands in another file, and the model does not say in which")
    return Weight(name or owner, element, tuple(shape), location if external else None)


def _string(content: memoryview) -> str:
    return str(content, "utf-8", "surrogateescape")


def _varints(data: memoryview) -> Iterator[int]:
    at = 0
    while at < len(data):
        number, at = _read_varint(data, at)
        yield number


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(field number, content) one after the other; the content of fixed-width fields is left as it is."""
    at, end = 0, len(data)
    while at < end:
        key, at = _read_varint(data, at)
        wire = key & 7
        if wire == _VARINT:
            content, at = _read_varint(data, at)
            yield key >> 3, content
            continue
        if wire == _BYTES:
            size, at = _read_varint(data, at)
        elif wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
        else:
            raise ModelLoadError("the file is not ONNX: its protobuf is malformed")
        if at + size > end:
            raise ModelLoadError("the file is not whole: its protobuf ends early")
        yield key >> 3, data[at : at + size]
        at += size


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
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


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _integer(field: int, number: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(number)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(content)) + content


def _text(field: int, content: str) -> bytes:
    return _bytes(field, content.encode())
