import hashlib
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_quant.errors import ModelCheckError
from axon_quant.inference.checksums import Checksums
from axon_quant.inference.files import ModelFiles


def digest(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "served.onnx"
    path.write_bytes(b"graph")
    path.with_name("served.onnx.data").write_bytes(b"weights")
    return path


@pytest.fixture
def files(model):
    return ModelFiles.at(model, [model.with_name("served.onnx.data")])


@pytest.fixture
def pin(model):
    def write(text):
        Checksums.beside(model).write_text(text)
        return Checksums.read(model)

    return write


def test_no_checksums_pin_nothing(model):
    assert Checksums.read(model) is None


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="needs sha256sum")
@pytest.mark.parametrize("options", [[], ["--binary"]])
def test_what_sha256sum_writes_is_understood(model, files, options):
    def write(*names):
        with Checksums.beside(model).open("w") as out:
            subprocess.run(["sha256sum", *options, *names], stdout=out, check=True, cwd=model.parent)
        return Checksums.read(model)

    write(model.name).check(files)
    write(f"./{model.name}", "served.onnx.data").check(files)


def test_a_line_alone_is_the_models_whatever_its_name(files, pin):
    for text in (digest(b"graph"), f"{digest(b'graph').upper()}  build/model-7.onnx\n", f"{files.sha256}  -\n"):
        pin(text).check(files)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([(b"other", "served.onnx")], "served.onnx is not the pinned one: expected sha256 d9298"),
        ([(b"graph", "served.onnx"), (b"other", "served.onnx.data")], "served.onnx.data is not the pinned one"),
        ([(b"graph", "served.onnx"), (b"more", "more.bin")], "more.bin .* found no such file of the model"),
        ([(b"graph", "old.onnx"), (b"weights", "served.onnx.data")], "none of the checksums is for served.onnx"),
    ],
)
def test_other_bytes_are_refused_with_what_was_expected(files, pin, lines, message):
    with pytest.raises(ModelCheckError, match=message):
        pin("".join(f"{digest(data)}  {name}\n" for data, name in lines)).check(files)


@pytest.mark.parametrize(
    "text", ["", "\n\n", "graph", "0" * 63, "0" * 64 + " x", "\x00\xff", "0" * 65 + "  a\n" * 99999]
)
def test_what_is_no_checksum_is_refused(pin, text):
    with pytest.raises(ModelCheckError, match="not one line per file"):
        pin(text)


def test_checksums_that_cannot_be_read_are_refused(model):
    Checksums.beside(model).mkdir()
    with pytest.raises(ModelCheckError, match="cannot be read: Is a directory"):
        Checksums.read(model)


@given(st.binary(max_size=200))
def test_hostile_bytes_never_raise_anything_else(tmp_path_factory, data):
    model = tmp_path_factory.mktemp("hostile") / "m"
    Checksums.beside(model).write_bytes(data)
    try:
        Checksums.read(model)
    except ModelCheckError:
        return
