"""Golden vectors: what passes, what does not, and files that somebody else may have written."""

from __future__ import annotations

import io
import pickle
import zipfile
from contextlib import suppress

import attrs
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from msgspec.structs import replace

from axon_quant.errors import ModelCheckError, ModelLoadError
from axon_quant.inference.golden import MAX_BYTES, GoldenVectors


@pytest.fixture
def prepared(engine):
    return engine.prepared


@pytest.fixture
def golden(prepared):
    return GoldenVectors.record(prepared)


def other_weights(prepared, *weights):
    return replace(prepared, session=attrs.evolve(prepared.session, weights=weights))


def test_a_model_passes_what_was_recorded_from_it(prepared, golden):
    assert golden.inputs.shape == (8, 4, 2)
    assert golden.outputs.shape == (8, 3)
    assert golden.outputs.tobytes() == prepared.session.run(golden.inputs).tobytes()
    golden.check(prepared)


def test_the_noise_is_the_same_every_time(prepared, golden):
    assert GoldenVectors.record(prepared.session).inputs.tobytes() == golden.inputs.tobytes()


def test_inputs_can_be_given_and_are_copied(prepared, window):
    inputs = np.stack([window, 2 * window])
    golden = GoldenVectors.record(prepared, inputs, rtol=0, atol=0)
    inputs[:] = 0
    assert len(golden) == 2
    golden.check(prepared)


def test_the_worst_vector_is_named_with_what_was_expected_and_found(prepared):
    inputs = np.stack([np.full((4, 2), size, np.float32) for size in (0, 10, 1)])
    golden = GoldenVectors.record(prepared, inputs)
    with pytest.raises(ModelCheckError) as caught:
        golden.check(other_weights(prepared, 1.0, 2.0, 3.5))
    text = str(caught.value)
    assert "vector 1 of 3: expected [11.0, 22.0, 33.0], found [11.0, 22.0, 38.5]" in text
    assert str(prepared.files.path) in text


def test_another_processors_rounding_passes_and_zero_tolerances_count_every_bit(prepared, golden):
    close = other_weights(prepared, 1.0, 2.0, float(np.nextafter(np.float32(3), np.float32(4))))
    golden.check(close)
    with pytest.raises(ModelCheckError):
        attrs.evolve(golden, rtol=0.0, atol=0.0).check(close)


def test_half_precision_has_wider_tolerances(prepared):
    half = attrs.evolve(prepared.session, plan={"precision": "float16"})
    assert GoldenVectors.record(half).rtol > GoldenVectors.record(prepared).rtol


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_fail(prepared, golden, value):
    with np.errstate(all="ignore"), pytest.raises(ModelCheckError, match="golden vectors: vector"):
        golden.check(other_weights(prepared, 1.0, 2.0, value))


def test_a_model_of_another_shape_fails_by_name(prepared, golden):
    spec = replace(prepared.spec, output_dim=2)
    with pytest.raises(ModelCheckError, match=r"outputs: expected \[3\], found \[2\]"):
        golden.check(replace(other_weights(prepared, 1.0, 2.0), spec=spec))
    with pytest.raises(ModelCheckError, match=r"input: expected \[4, 2\], found \[5, 2\]"):
        golden.check(replace(prepared, spec=replace(prepared.spec, input_shape=(1, 5, 2))))


def test_a_model_with_a_fixed_batch_is_asked_in_batches_of_that_size(prepared):
    fixed = attrs.evolve(prepared.session, input_shape=(5, 4, 2))
    golden = GoldenVectors.record(fixed)
    assert len(golden) == 8
    golden.check(replace(prepared, session=fixed))


def test_an_open_window_needs_inputs(prepared, window):
    opened = attrs.evolve(prepared.session, input_shape=(None, None, 2))
    with pytest.raises(ValueError, match="give inputs"):
        GoldenVectors.record(opened)
    assert len(GoldenVectors.record(opened, window[None])) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"inputs": np.zeros((2, 4))},
        {"outputs": [[0.0]]},
        {"inputs": np.zeros((3, 4), np.float32)},
        {"inputs": np.zeros(2, np.float32)},
        {"inputs": np.full((2, 4), np.nan, np.float32)},
        {"outputs": np.full((2, 3), np.inf, np.float32)},
        {"outputs": np.zeros((2, 0), np.float32)},
        {"rtol": -1.0},
        {"atol": float("nan")},
        {"inputs": np.zeros((2, MAX_BYTES // 8 + 1), np.float32)},
    ],
)
def test_vectors_that_cannot_be_are_refused(fields):
    good = {"inputs": np.zeros((2, 4), np.float32), "outputs": np.zeros((2, 3), np.float32)}
    GoldenVectors(**good)
    with pytest.raises(ValueError, match=r"inputs|outputs|rtol|atol|expected"):
        GoldenVectors(**{**good, **fields})


finite = {"allow_nan": False, "allow_infinity": False}


@settings(deadline=None, max_examples=50)
@given(st.data(), st.integers(1, 5), hnp.array_shapes(min_dims=1, max_dims=3), st.integers(1, 4))
def test_what_is_saved_is_loaded(tmp_path_factory, data, n, window, k):
    elements = st.floats(width=32, **finite)
    vectors = GoldenVectors(
        data.draw(hnp.arrays(np.float32, (n, *window), elements=elements)),
        data.draw(hnp.arrays(np.float32, (n, k), elements=elements)),
        data.draw(st.floats(0, 1e300)),
        data.draw(st.floats(0, 1e300)),
    )
    path = tmp_path_factory.mktemp("golden") / "golden.npz"
    vectors.save(path)
    first = path.read_bytes()
    found = GoldenVectors.load(path)
    assert found.inputs.tobytes() == vectors.inputs.tobytes()
    assert found.inputs.shape == vectors.inputs.shape
    assert found.outputs.tobytes() == vectors.outputs.tobytes()
    assert (found.rtol, found.atol) == (vectors.rtol, vectors.atol)
    found.save(path)
    assert path.read_bytes() == first


def test_a_file_that_numpy_wrote_is_read_with_the_usual_tolerances(tmp_path):
    path = tmp_path / "golden.npz"
    inputs = np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))
    np.savez_compressed(path, inputs=inputs, outputs=np.zeros((2, 1), np.float32))
    found = GoldenVectors.load(path)
    assert found.inputs.tolist() == inputs.tolist()
    assert (found.rtol, found.atol) == (1e-4, 1e-5)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was run",))


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def npz(packing=zipfile.ZIP_DEFLATED, **members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return buffer.getvalue()


ONE = npy(np.zeros((1, 1), np.float32))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a whole"),
        (b"PK\x03\x04 nothing", "not a whole"),
        (pickle.dumps(Bomb()), "not a whole"),
        (npz(inputs=npy(np.array([Bomb()], object)), outputs=ONE), "expected float32"),
        (npz(inputs=ONE), "expected the arrays inputs, outputs, rtol, atol, found inputs"),
        (npz(inputs=ONE, outputs=ONE, more=ONE), "expected the arrays"),
        (npz(inputs=npy(np.zeros((1, 1), np.float64)), outputs=ONE), "float32"),
        (npz(inputs=npy(np.zeros((1, 1), "U9")), outputs=ONE), "float32"),
        (npz(inputs=ONE.replace(b"(1, 1)", b"(9, 9)"), outputs=ONE), "are not an array of"),
        (npz(inputs=ONE[:-1], outputs=ONE), "are not an array of"),
        (npz(inputs=ONE, outputs=ONE, rtol=npy(np.zeros(2))), "single numbers"),
        (npz(inputs=ONE, outputs=ONE, rtol=npy(np.float64("nan"))), "rtol"),
        (npz(inputs=ONE, outputs=npy(np.full((1, 1), np.nan, np.float32))), "finite"),
        (npz(zipfile.ZIP_LZMA, inputs=ONE, outputs=ONE), "another way"),
        (npz(inputs=b"\0" * (MAX_BYTES + 1), outputs=ONE), "unpacks to more than"),
    ],
)
def test_a_hostile_file_is_refused(tmp_path, content, message):
    path = tmp_path / "golden.npz"
    path.write_bytes(content)
    with pytest.raises(ModelLoadError, match=message) as caught:
        GoldenVectors.load(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_one_that_is_too_large_are_refused(tmp_path):
    path = tmp_path / "golden.npz"
    with pytest.raises(ModelLoadError, match="No such file"):
        GoldenVectors.load(path)
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(ModelLoadError, match="at most"):
        GoldenVectors.load(path)


WHOLE = npz(inputs=ONE, outputs=ONE, rtol=npy(np.float64(0.1)))


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=6))
@example([(0, 80)])
def test_damage_anywhere_is_one_kind_of_error_or_none(tmp_path_factory, changes):
    whole = bytearray(WHOLE)
    for place, value in changes:
        whole[place] = value
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(whole)
    with suppress(ModelLoadError):
        assert len(GoldenVectors.load(path)) == 1


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200), st.integers(0, 60))
def test_an_array_with_a_damaged_header_is_one_kind_of_error_or_none(tmp_path_factory, junk, at):
    path = tmp_path_factory.getbasetemp() / "header.npz"
    path.write_bytes(npz(inputs=ONE[:at] + junk + ONE[at + len(junk) :], outputs=ONE))
    with suppress(ModelLoadError):
        assert len(GoldenVectors.load(path)) >= 1
