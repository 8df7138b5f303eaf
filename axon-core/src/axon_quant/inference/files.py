"""Model files on disk: what a model consists of, which bytes those are, and writing them whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

import attrs

from axon_quant.errors import ModelLoadError
from axon_quant.inference.pausing import pause


@attrs.frozen
class ModelFiles:
    """The bytes of one model: `sha256_by_name` has the file itself under `-`, and its side files by relative path.

    `sha256` identifies all of them. For a file alone it is the file's own, and with side files that of the list

        (sha256sum < model.onnx; sha256sum model.onnx.data) | sha256sum

    whose lines after the first are sorted by name. The model's own name is not part of it.
    """

    path: Path = attrs.field(eq=False)
    sha256_by_name: Mapping[str, str]

    @classmethod
    def at(cls, path: Path, sides: Iterable[Path] = ()) -> Self:
        """Read the files. Raises ModelLoadError if one cannot be read, or a side file is not in the model's folder."""
        folder = path.parent
        digests = {"-": file_sha256(path)}
        for side in sorted(sides):
            if not side.is_relative_to(folder) or ".." in side.parts[len(folder.parts) :]:
                raise ModelLoadError(f"a model's side files stand in its folder or below, found {side}", file=path)
            digests[side.relative_to(folder).as_posix()] = file_sha256(side)
        return cls(path, digests)

    @property
    def sha256(self) -> str:
        """In hex."""
        if len(self.sha256_by_name) == 1:
            return self.sha256_by_name["-"]
        lines = (f"{digest}  {name}\n" for name, digest in self.sha256_by_name.items())
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    @property
    def sides(self) -> tuple[Path, ...]:
        """The side files."""
        return tuple(self.path.parent / name for name in self.sha256_by_name if name != "-")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hex. Raises ModelLoadError if it cannot be read."""
    try:
        with path.open("rb", buffering=0) as file:
            digest = hashlib.file_digest(file, "sha256")  # in small pieces, and without the GIL
    except OSError as error:
        raise ModelLoadError(
            f"the model cannot be read: {os.strerror(error.errno) if error.errno else error}",
            file=path,
            hint="check the path and its permissions",
        ) from error
    pause()
    return digest.hexdigest()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    import tempfile  # which imports a dozen modules that a start does without

    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
