import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axon_backend_safetensors.reader import MAX_HEADER, parse_header, read
from axon_backend_safetensors.writer import assemble, pack
from axon_quant.errors import ModelCheckError, ModelLoadError

GOOD = pack({"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(4, np.float32)}, {"k": "v"})


def entry(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.fixture
def read_bytes(tmp_path):
    def read_bytes(data):
        path = tmp_path / "m.safetensors"
        path.write_bytes(data)
        return read(path)

    return read_bytes


def test_a_file_is_read_back(read_bytes):
    tensors = read_bytes(GOOD)
    assert (list(tensors), tensors.metadata) == (["a", "b"], {"k": "v"})
    assert tensors.floats("a", 2, None).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert tensors.unused == ["b"]


def test_the_library_of_the_format_reads_what_we_write():
    library = pytest.importorskip("safetensors.numpy")
    assert library.load(GOOD)["a"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_we_read_what_the_library_of_the_format_writes(read_bytes):
    library = pytest.importorskip("safetensors.numpy")
    tensors = read_bytes(library.save({"x": np.eye(3, dtype=np.float16)}, {"format": "np"}))
    assert tensors.floats("x").tolist() == np.eye(3).tolist()


@pytest.mark.parametrize(
    ("header", "data", "message"),
    [
        ({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, 12, "'b' overlaps"),
        ({"a": entry([2], 0, 8), "b": entry([2], 0, 8)}, 8, "'b' overlaps"),
        ({"a": entry([2], 0, 8), "b": entry([2], 12, 20)}, 20, "'b' leaves a gap"),
        ({"a": entry([2], 4, 12)}, 12, "'a' leaves a gap"),
        ({"a": entry([2], 0, 8)}, 12, "trailing bytes"),
        ({"a": entry([2], 0, 8)}, 4, "cut short"),
        ({"a": entry([2], 0, 12)}, 12, "takes 8 bytes, its data_offsets hold 12"),
        ({"a": entry([2], 8, 0)}, 8, "takes 8 bytes, its data_offsets hold -8"),
        ({"a": entry([2], -8, 0)}, 8, "expected two data_offsets"),
        ({"a": entry([2], 0, 2**70)}, 8, "expected two data_offsets"),
        ({"a": entry([2], 0, 8.0)}, 8, "expected two data_offsets"),
        ({"a": entry([2**40, 2**40], 0, 8)}, 8, "takes 4835703278458516698824704 bytes"),
        ({"a": entry([-2, -1], 0, 8)}, 8, "expected a shape"),
        ({"a": entry([0], 0, 0)}, 0, "expected a shape"),
        ({"a": entry([True, 2], 0, 8)}, 8, "expected a shape"),
        ({"a": entry([1] * 9, 0, 4)}, 4, "expected a shape of at most 8"),
        ({"a": entry([8], 0, 8, "F8_E4M3")}, 8, "expected dtype F64.*found 'F8_E4M3'"),
        ({"a": entry([2], 0, 8, ["F32"])}, 8, "expected dtype"),
        ({"a": {**entry([2], 0, 8), "extra": 1}}, 8, "expected dtype, shape and data_offsets"),
        ({"a": 7}, 0, "expected dtype, shape and data_offsets"),
        ({"__metadata__": {"a": 1}, "a": entry([1], 0, 4)}, 4, "from text to text"),
        ({"__metadata__": []}, 0, "from text to text"),
        ({}, 0, "no tensors"),
        ([], 0, "not a JSON object"),
    ],
)
def test_a_header_that_lies_is_refused(read_bytes, header, data, message):
    with pytest.raises(ModelLoadError, match=message):
        read_bytes(assemble(header, bytes(data)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"a": 1, "a": 2}', "duplicate name 'a'"),
        (b'{"a": 1, "\\u0061": 2}', "duplicate name 'a'"),
        (b'{"a\xff": 1}', "not JSON in UTF-8"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": ' + b"[" * 200_000 + b"}", "not JSON in UTF-8"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not JSON in UTF-8"),
        (b"hello", "not JSON in UTF-8"),
        (b"  ", "not JSON in UTF-8"),
    ],
)
def test_a_header_that_is_no_json_is_refused(read_bytes, text, message):
    with pytest.raises(ModelLoadError, match=message):
        read_bytes(len(text).to_bytes(8, "little") + text)


@pytest.mark.parametrize("data", [b"", b"\x08", bytes(8), (2**63).to_bytes(8, "little") + b"{}", GOOD[:40]])
def test_a_length_beyond_the_file_is_refused_before_it_is_read(read_bytes, data):
    with pytest.raises(ModelLoadError, match="a header of"):
        read_bytes(data)


def test_a_huge_header_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "huge.safetensors"
    with path.open("wb") as file:
        file.write((MAX_HEADER + 1).to_bytes(8, "little"))
        file.truncate(MAX_HEADER + 1000)
    with pytest.raises(ModelLoadError, match="a header of 16777217 bytes"):
        read(path)


def test_a_missing_file_is_a_load_error(tmp_path):
    with pytest.raises(ModelLoadError, match="cannot be read"):
        read(tmp_path / "nothing.safetensors")


@pytest.mark.parametrize(
    ("dtype", "data", "values"),
    [
        ("F16", np.array([1.5, -2.0, 6e-8], "<f2").tobytes(), [1.5, -2.0, 5.960464477539063e-08]),
        ("BF16", bytes.fromhex("c03f 00c0 007f"), [1.5, -2.0, 1.7014118346046923e38]),
        ("F64", np.array([0.1, -2.0, 1e-60], "<f8").tobytes(), [0.10000000149011612, -2.0, 0.0]),
    ],
)
def test_other_floats_become_the_nearest_float32(read_bytes, dtype, data, values):
    tensors = read_bytes(assemble({"x": entry([3], 0, len(data), dtype)}, data))
    assert tensors.floats("x").tolist() == values
    assert tensors.dtypes == {dtype}


@pytest.mark.parametrize(
    ("dtype", "data", "message"),
    [
        ("F64", np.array([1e300], "<f8").tobytes(), "found a number beyond float32"),
        ("F64", np.array([np.nan], "<f8").tobytes(), "found NaN or infinity"),
        ("F32", np.array([np.inf], "<f4").tobytes(), "found NaN or infinity"),
        ("BF16", bytes.fromhex("c07f"), "found NaN or infinity"),
        ("F16", np.array([-np.inf], "<f2").tobytes(), "found NaN or infinity"),
    ],
)
def test_weights_that_are_not_finite_are_refused(read_bytes, dtype, data, message):
    with pytest.raises(ModelCheckError, match=message):
        read_bytes(assemble({"x": entry([1], 0, len(data), dtype)}, data)).floats("x")


def test_weights_that_are_no_floats_are_refused(read_bytes):
    with pytest.raises(ModelLoadError, match="expected floats, found I32"):
        read_bytes(assemble({"x": entry([1], 0, 4, "I32")}, bytes(4))).floats("x")


def test_a_tensor_is_taken_once_and_with_its_shape(read_bytes):
    tensors = read_bytes(GOOD)
    with pytest.raises(ModelLoadError, match=r"'a': expected \[\?, 4\], found \[2, 3\]"):
        tensors.floats("a", None, 4)
    with pytest.raises(ModelLoadError, match="'c' is missing; there is 'a', 'b'"):
        tensors.floats("c")
    with pytest.raises(ModelLoadError, match="expected integers, found F32"):
        tensors.integers("a")
    tensors.floats("a")
    with pytest.raises(ModelLoadError, match="used twice"):
        tensors.floats("a")


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_damage_to_a_header_is_read_or_refused_and_nothing_else(data):
    length = int.from_bytes(GOOD[:8], "little")
    text = bytearray(GOOD[8 : 8 + length])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        text[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    try:
        header = parse_header(bytes(text), len(GOOD) - 8 - length)
    except ModelLoadError:
        return
    assert sum(item.end - item.begin for item in header.tensors) == len(GOOD) - 8 - length


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
ENTRIES = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F16", "BF16", "I64", "U8", "BOOL"]) | VALUES,
        "shape": st.lists(st.integers(-1, 4), max_size=3) | VALUES,
        "data_offsets": st.lists(st.integers(-4, 64), min_size=2, max_size=2) | VALUES,
    }
)


@settings(max_examples=300, deadline=None)
@given(header=st.dictionaries(st.text(max_size=4), ENTRIES | VALUES, max_size=3), size=st.integers(0, 64))
def test_whatever_json_a_header_holds_it_is_read_or_refused(header, size):
    try:
        found = parse_header(json.dumps(header).encode(), size)
    except ModelLoadError:
        return
    assert sum(item.end - item.begin for item in found.tensors) == size
