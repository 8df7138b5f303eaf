"""What is in a model's file before it is loaded: its weights, its operators, and the other files it needs."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import attrs

from axon_backend_onnx import reading
from axon_backend_onnx.reading import Node, Weight
from axon_quant.errors import ModelLoadError
from axon_quant.inference.files import ModelFiles


@attrs.frozen
class Content:
    """Every weight and every node of a file."""

    weights: tuple[Weight, ...]
    nodes: tuple[Node, ...]

    def sides(self, path: Path) -> tuple[Path, ...]:
        """The other files that weights stand in, in the folder of the model `path` or below it.

        Raises ModelLoadError for one that is elsewhere or not there.
        """
        named = {weight.location for weight in self.weights if weight.location is not None}
        return tuple(_side(path, location) for location in sorted(named))


def read_content(path: Path) -> Content:
    """Raises ModelLoadError for a file that cannot be read or is not ONNX."""
    with _opened(path) as model:
        parts = list(reading.parts(model))
    return Content(
        tuple(part for part in parts if isinstance(part, Weight)),
        tuple(part for part in parts if isinstance(part, Node)),
    )


def read_architecture(path: Path) -> str:
    """The same text for models that differ in nothing but the numbers of their weights. Raises as `read_content`."""
    with _opened(path) as model:
        return reading.architecture(model)


@contextmanager
def private_copy(files: ModelFiles, expected: ModelFiles | None) -> Iterator[Path]:
    """A copy of the model and its side files, in a folder of ours, for onnxruntime to map into memory.

    It maps side files: were the originals overwritten in place, the model that serves would change or the process end.
    Where an open file can be removed the copy is gone when the block ends; a mapping outlives its file. Raises
    ModelLoadError if the copy is not what `expected` says.
    """
    folder = Path(tempfile.mkdtemp(prefix="axon-onnx-"))
    try:
        for source in (files.path, *files.sides):
            target = folder / source.relative_to(files.path.parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        copy = folder / files.path.name
        found = ModelFiles.at(copy, [folder / side.relative_to(files.path.parent) for side in files.sides])
        if expected is not None and found != expected:
            raise ModelLoadError("the file changed while it was loaded", hint="replace it atomically")
        yield copy
    finally:
        # On Windows a mapped file cannot be removed: what is left there goes with the user's temporary files.
        shutil.rmtree(folder, ignore_errors=os.name == "nt")


@contextmanager
def _opened(path: Path) -> Iterator[reading.Stretch]:
    try:
        with path.open("rb", buffering=0) as file:
            yield reading.Stretch.whole(file)
    except OSError as error:
        raise ModelLoadError(f"the model cannot be read: {error.strerror or error}", file=path) from error


def _side(path: Path, location: str) -> Path:
    """The file that a model names, which is hostile input: it may not lead out of the model's folder."""
    name = PurePosixPath(location.replace("\\", "/"))
    if not name.parts or name.is_absolute() or ".." in name.parts or ":" in name.parts[0] or "\0" in location:
        raise ModelLoadError(f"the model keeps weights in {location!r}, which is not in its folder", file=path)
    side = path.parent.joinpath(*name.parts)
    if not side.resolve().is_relative_to(path.parent.resolve()):
        raise ModelLoadError(f"the model keeps weights in {location!r}, a link that leads out of its folder", file=path)
    if not side.is_file():
        raise ModelLoadError(
            f"the model keeps weights in {location!r}, which is not there", file=path, hint="copy it beside the model"
        )
    return side
