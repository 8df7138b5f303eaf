"""Putting a stored version where a running process watches for it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from axon_quant.errors import ModelCheckError, ModelError
from axon_quant.inference.files import file_sha256, write_whole
from axon_quant.inference.store.locking import sync_folder
from axon_quant.inference.store.records import StoredModel


def deploy(stored: StoredModel, path: str | Path, *, sides_now: Iterable[Path] = ()) -> None:
    """Let `path` be a copy of a stored version, as a process that watches it wants to have it replaced.

    First come the checksums, `path` + `.sha256`, which refuse whatever is neither the old nor the whole new version;
    then the side files, and at last the file itself. Each is replaced at once. `sides_now` are the side files of what
    is there now: with one that the new version has not, it would be another model. Raises ModelError, and nothing has
    changed; or ModelCheckError for a copy that is damaged.
    """
    path = Path(path)
    if path.resolve().is_relative_to(stored.folder.parent.resolve()):
        raise ModelError("is in the store itself", file=path, hint="serve the model from a file outside it")
    main = stored.path.name
    names = {name: path.name if name == main else name for name in stored.sha256_by_name}
    left = sorted(side.name for side in sides_now if side.relative_to(path.parent).as_posix() not in names.values())
    if left or len(set(names.values())) != len(names):
        raise ModelError(
            f"{', '.join(left) or path.name} beside it would become part of the new version, and is not",
            file=path,
            hint="move it away, or serve the model from a folder of its own",
        )
    order = [*sorted(name for name in names if name != main), main]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:
            for number, name in enumerate(order):
                _copy(stored, name, Path(folder) / str(number))
            lines = (f"{stored.sha256_by_name[name]}  {names[name]}\n" for name in order)
            write_whole(path.with_name(f"{path.name}.sha256"), "".join(lines).encode())
            for number, name in enumerate(order):
                target = path.parent / names[name]
                target.parent.mkdir(parents=True, exist_ok=True)
                (Path(folder) / str(number)).replace(target)
            sync_folder(path.parent)
    except OSError as error:
        raise ModelError(f"cannot be replaced: {error.strerror or error}", file=path) from error


def _copy(stored: StoredModel, name: str, copy: Path) -> None:
    source, expected = stored.path.parent / name, stored.sha256_by_name[name]
    shutil.copyfile(source, copy)
    found = file_sha256(copy)
    if found != expected:
        raise ModelCheckError(f"damaged in the store: expected sha256 {expected}, found {found}", file=source)
    descriptor = os.open(copy, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
