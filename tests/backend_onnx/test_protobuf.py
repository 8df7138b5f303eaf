"""The reader meets hostile files: it answers or refuses, and never hangs, nor recurses without end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_backend_onnx import protobuf
from axon_backend_onnx.protobuf import ElementType, Node, Weight
from axon_quant.errors import ModelLoadError

SAMPLE = protobuf.model(
    protobuf.graph(
        "sample",
        [protobuf.node("MatMul", ["x", "w"], ["y"], axis=1)],
        initializers=[
            protobuf.tensor("w", [2, 3], [0.0] * 6),
            protobuf.external_tensor("v", [4], "v.data", element=ElementType.FLOAT16),
        ],
        inputs=[protobuf.value("x", ["batch", 2])],
        outputs=[protobuf.value("y", ["batch", 3])],
    ),
    metadata={"axon.actions": "buy,sell,hold"},
)


def read(data):
    try:
        return list(protobuf.content(data))
    except ModelLoadError:
        return None


def test_weights_are_told_with_their_name_type_shape_and_place():
    assert [part for part in read(SAMPLE) if isinstance(part, Weight)] == [
        Weight("w", ElementType.FLOAT, (2, 3), None),
        Weight("v", ElementType.FLOAT16, (4,), "v.data"),
    ]


def test_nodes_are_told_with_what_they_read_and_cast_to():
    cast = protobuf.node("Cast", ["y"], ["z"], to=ElementType.FLOAT16)
    assert read(protobuf._bytes(7, protobuf._bytes(1, cast))) == [Node("Cast", ("y",), ("z",), ElementType.FLOAT16)]
    assert [part for part in read(SAMPLE) if isinstance(part, Node)] == [Node("MatMul", ("x", "w"), ("y",), None)]


def test_weights_in_branches_functions_and_attributes_are_found():
    tensor = protobuf.tensor("", [2], [0.0, 0.0])
    attribute = protobuf._bytes(5, tensor)
    node = (
        protobuf._text(2, "w")
        + protobuf._bytes(5, attribute)
        + protobuf._bytes(5, protobuf._bytes(6, protobuf._bytes(5, tensor)))
    )
    sparse = protobuf._bytes(15, protobuf._bytes(1, protobuf.tensor("w", [2], [0.0, 0.0])))
    function = protobuf._bytes(25, protobuf._bytes(7, node))
    model = protobuf._bytes(7, protobuf._bytes(1, node) + sparse) + function
    weights = [part for part in read(model) if isinstance(part, Weight)]
    assert weights == [Weight("w", ElementType.FLOAT, (2,), None)] * 5


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data):
    read(data)


@given(st.data())
def test_a_damaged_model_is_read_or_refused(data):
    damaged = bytearray(SAMPLE)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(SAMPLE) - 1))] = data.draw(st.integers(0, 255))
    read(bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))


def test_nesting_without_end_is_refused():
    graph = b""
    for _ in range(5_000):
        graph = protobuf._bytes(1, protobuf._bytes(5, protobuf._bytes(6, graph)))
    with pytest.raises(ModelLoadError, match="levels deep"):
        list(protobuf.content(protobuf._bytes(7, graph)))


def test_a_length_beyond_the_file_is_refused():
    with pytest.raises(ModelLoadError, match="ends early"):
        list(protobuf.content(b"\x3a\xff\xff\xff\xff\x7f"))


def test_dimensions_without_end_are_refused():
    shape = b"".join(protobuf._integer(1, 2**40) for _ in range(10_000))
    with pytest.raises(ModelLoadError, match="dimensions"):
        list(protobuf.content(protobuf._bytes(7, protobuf._bytes(5, shape))))
    packed = protobuf._bytes(1, b"\x7f" * 1_000_000)
    with pytest.raises(ModelLoadError, match="dimensions"):
        list(protobuf.content(protobuf._bytes(7, protobuf._bytes(5, packed))))
