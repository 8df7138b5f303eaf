"""As much protobuf as an ONNX file needs, to write one; `reading` walks through one.

Written here because the bytes of a built-in model enter the journal's hash chain: no version of any library may
change them. Field numbers are those of `onnx.proto3`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum

IR_VERSION = 8
OPSET = 17

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types."""


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


def node(operator: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: int | Sequence[int]) -> bytes:
    """A NodeProto named after its first output."""
    return b"".join(
        [
            *(_text(1, name) for name in inputs),
            *(_text(2, name) for name in outputs),
            _text(3, outputs[0]),
            _text(4, operator),
            *(_bytes(5, _text(1, key) + _attribute(value)) for key, value in attributes.items()),
        ]
    )


def _attribute(value: int | Sequence[int]) -> bytes:
    """The value of an AttributeProto and its type, INT or INTS."""
    if isinstance(value, int):
        return _integer(3, value) + _integer(20, 2)
    return b"".join(_integer(8, each) for each in value) + _integer(20, 7)


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


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _integer(field: int, number: int) -> bytes:
    return _varint(field << 3 | VARINT) + _varint(number)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | BYTES) + _varint(len(content)) + content


def _text(field: int, content: str) -> bytes:
    return _bytes(field, content.encode())
