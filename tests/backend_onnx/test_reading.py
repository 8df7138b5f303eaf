"""The reader meets hostile files: it answers or refuses, and never hangs, nor recurses without end."""

from __future__ import annotations

import io
import tempfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_backend_onnx import protobuf, reading
from axon_backend_onnx.protobuf import ElementType
from axon_backend_onnx.reading import Node, Stretch, Weight
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
        return list(reading.parts(memoryview(data)))
    except ModelLoadError:
        return None


def from_file(data, what=lambda model: list(reading.parts(model))):
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(data)
        try:
            return what(Stretch.whole(file))
        except ModelLoadError:
            return None


def sample(*, seed=0, width=3, operator="MatMul", metadata=None, constant=1.0, dims=(2,), producer="axon", data=None):
    """x · w + v, with a number and integers beside the weights; v may stand in another file."""
    rng = np.random.default_rng(seed)
    far = data is not None
    v = protobuf.external_tensor("v", [width], data) if far else protobuf.tensor("v", [width], rng.random(width))
    return protobuf.model(
        protobuf.graph(
            "sample",
            [protobuf.node(operator, ["x", "w"], ["y"], axis=1)],
            initializers=[
                protobuf.tensor("w", [2000, width], rng.random(2000 * width)),
                v,
                protobuf.tensor("scale", [], [constant]),
                protobuf.tensor("dims", [len(dims)], dims, ElementType.INT64),
            ],
            inputs=[protobuf.value("x", ["batch", 2000])],
            outputs=[protobuf.value("y", ["batch", width])],
        ),
        metadata=metadata,
        producer=producer,
    )


def test_the_numbers_of_weights_and_who_made_them_are_not_the_architecture():
    expected = reading.architecture(memoryview(sample()))
    for other in (sample(seed=1), sample(metadata={"trained": "today"}), sample(producer="pytorch")):
        assert reading.architecture(memoryview(other)) == expected
        assert from_file(other, reading.architecture) == expected
    far = [reading.architecture(memoryview(sample(data=name))) for name in ("a.data", "b.data")]
    assert far[0] == far[1] != expected


@pytest.mark.parametrize(
    "change", [{"width": 4}, {"operator": "Gemm"}, {"constant": 2.0}, {"dims": (3,)}, {"dims": (2, 2)}]
)
def test_shapes_operators_numbers_alone_and_integers_are(change):
    assert reading.architecture(memoryview(sample(**change))) != reading.architecture(memoryview(sample()))


def test_the_numbers_of_a_weight_are_not_read(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(sample(width=300))
    read = []

    class Counted(io.FileIO):
        def read(self, size=-1):
            read.append(size)
            return super().read(size)

    with Counted(path) as file:
        assert len(list(reading.parts(Stretch.whole(file)))) == 5  # and a node
    assert sum(read) < path.stat().st_size / 20


def test_a_file_that_becomes_shorter_while_it_is_read_is_refused(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(sample())
    with path.open("r+b", buffering=0) as file:
        model = Stretch.whole(file)
        file.truncate(100)
        with pytest.raises(ModelLoadError, match="became shorter"):
            list(reading.parts(model))


def weights(data):
    return [part for part in read(data) if isinstance(part, Weight)]


def test_weights_are_told_with_their_name_type_shape_and_place():
    assert weights(SAMPLE) == [
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
    branch = protobuf._bytes(5, protobuf._bytes(6, protobuf._bytes(5, tensor)))
    node = protobuf._text(2, "w") + protobuf._bytes(5, attribute) + branch
    sparse = protobuf._bytes(15, protobuf._bytes(1, protobuf.tensor("w", [2], [0.0, 0.0])))
    function = protobuf._bytes(25, protobuf._bytes(7, node))
    model = protobuf._bytes(7, protobuf._bytes(1, node) + sparse) + function
    assert weights(model) == [Weight("w", ElementType.FLOAT, (2,), None)] * 5


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data):
    assert read(data) == from_file(data)


@given(st.data())
def test_a_damaged_model_is_read_or_refused(data):
    damaged = bytearray(SAMPLE)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(SAMPLE) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    assert read(damaged) == from_file(damaged)


@given(st.integers(0, 255), st.data())
def test_a_damaged_model_has_an_architecture_or_none(byte, data):
    damaged = bytearray(SAMPLE)
    damaged[data.draw(st.integers(0, len(SAMPLE) - 1))] = byte
    try:
        found = reading.architecture(memoryview(bytes(damaged)))
    except ModelLoadError:
        found = None
    assert from_file(bytes(damaged), reading.architecture) == found


def test_nesting_without_end_is_refused():
    graph = b""
    for _ in range(5_000):
        graph = protobuf._bytes(1, protobuf._bytes(5, protobuf._bytes(6, graph)))
    with pytest.raises(ModelLoadError, match="levels deep"):
        list(reading.parts(memoryview(protobuf._bytes(7, graph))))


def test_a_length_beyond_the_file_is_refused():
    with pytest.raises(ModelLoadError, match="ends early"):
        list(reading.parts(memoryview(b"\x3a\xff\xff\xff\xff\x7f")))


def test_dimensions_without_end_are_refused():
    shape = b"".join(protobuf._integer(1, 2**40) for _ in range(10_000))
    with pytest.raises(ModelLoadError, match="dimensions"):
        list(reading.parts(memoryview(protobuf._bytes(7, protobuf._bytes(5, shape)))))
    packed = protobuf._bytes(1, b"\x7f" * 1_000_000)
    with pytest.raises(ModelLoadError, match="dimensions"):
        list(reading.parts(memoryview(protobuf._bytes(7, protobuf._bytes(5, packed)))))
