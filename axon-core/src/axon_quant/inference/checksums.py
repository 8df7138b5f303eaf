"""`served.onnx.sha256`: the bytes that the next version of a model must have, as `sha256sum` writes them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import attrs

from axon_quant.errors import ModelCheckError
from axon_quant.inference.files import ModelFiles

_LINE = re.compile(r"\\?([0-9a-fA-F]{64})(?: [ *](.+))?")
_LONGEST = 1 << 16


@attrs.frozen
class Checksums:
    """The SHA-256 of files by name, relative to the model's folder.

    A line alone is the model's, whatever name it bears, because a model is often hashed before it is renamed; it may
    also be the one SHA-256 that stands for the model and its side files (see `ModelFiles`). Of several lines one must
    bear the model's own name, and the others pin its side files.
    """

    path: Path
    digests: Mapping[str, str]

    @staticmethod
    def beside(path: Path) -> Path:
        """Where the checksums of the model in `path` stand."""
        return path.with_name(f"{path.name}.sha256")

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Those of the model in `path`; None where there are none. Raises ModelCheckError if they cannot be used."""
        path = cls.beside(path)
        try:
            with path.open("rb") as file:
                text = file.read(_LONGEST + 1).decode()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
            raise ModelCheckError(f"the checksums cannot be read: {reason}", file=path) from error
        matches = [_LINE.fullmatch(line) for line in text.splitlines() if line.strip()]
        digests = {(match[2] or "-").removeprefix("./"): match[1].lower() for match in matches if match}
        if not digests or len(digests) != len(matches) or len(text) > _LONGEST:
            raise ModelCheckError(
                "the checksums are not one line per file as sha256sum writes them",
                file=path,
                hint=f"sha256sum {path.name.removesuffix('.sha256')} > {path.name}",
            )
        return cls(path, digests)

    def check(self, files: ModelFiles) -> None:
        """Raise ModelCheckError unless the model consists of the pinned bytes."""
        found = {files.path.name if name == "-" else name: digest for name, digest in files.sha256_by_name.items()}
        if len(self.digests) == 1:
            (digest,) = self.digests.values()
            if digest not in (files.sha256_by_name["-"], files.sha256):
                raise self._refusal(files.path.name, digest, files.sha256_by_name["-"])
            return
        if files.path.name not in self.digests:
            raise ModelCheckError(f"none of the checksums is for {files.path.name}", file=self.path)
        for name, digest in self.digests.items():
            if found.get(name) != digest:
                raise self._refusal(name, digest, found.get(name))

    def _refusal(self, name: str, expected: str, found: str | None) -> ModelCheckError:
        return ModelCheckError(
            f"{name} is not the pinned one: expected sha256 {expected}, found {found or 'no such file of the model'}",
            file=self.path,
            hint="replace the model, or correct or remove the checksums",
        )
