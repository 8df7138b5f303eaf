"""The folders of the versions: filled aside, moved into place whole, cleaned up after a process that was killed."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from axon_quant.errors import ModelLoadError
from axon_quant.inference.files import ModelFiles
from axon_quant.inference.store.locking import hold, locked, sync_folder
from axon_quant.inference.store.records import MANIFEST, MODEL, Manifest, check_name

_BLOCK = 1 << 20


class Objects:
    """`objects/SHA256/` for each version, and `incoming/` for those that are not whole yet.

    A folder in `incoming` is locked by the process that fills it, so that the next one can tell what was left behind.
    """

    def __init__(self, folder: Path, lock: Path) -> None:
        self._objects = folder / "objects"
        self._incoming = folder / "incoming"
        self._lock = lock

    def create(self) -> None:
        """Make the folders, if need be."""
        for folder in (self._objects, self._incoming):
            if not folder.is_dir():
                folder.mkdir(parents=True, exist_ok=True)
                sync_folder(folder.parent)

    def at(self, sha256: str) -> Path:
        """Where the version is, or would be."""
        return self._objects / sha256

    def matching(self, prefix: str) -> list[str]:
        """Those that begin with `prefix`, in order."""
        if not self._objects.is_dir():
            return []
        return sorted(path.name for path in self._objects.iterdir() if path.name.startswith(prefix))

    @contextmanager
    def staged(self, files: ModelFiles, *, backend: str, added: int, source: str) -> Iterator[Path]:
        """A folder with a copy of the files and their manifest, durable, and gone afterwards unless it was moved.

        Raises ModelLoadError if what was read is not what `files` says.
        """
        with locked(self._lock):
            self._clean()
            folder = Path(tempfile.mkdtemp(dir=self._incoming))
            descriptor = hold(folder)
        try:
            size, digests = _copy(files, folder / MODEL)
            manifest = Manifest(
                file=files.path.name, files=digests, size=size, backend=backend, added=added, source=source
            )
            _write(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
            folder.chmod(0o755)
            sync_folder(folder)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            if descriptor is not None:
                os.close(descriptor)

    def place(self, staged: Path, sha256: str) -> None:
        """Move a staged folder to where it belongs, in place of one that is damaged, whose records it takes over.

        The caller holds the store's lock.
        """
        target, aside = self.at(sha256), None
        if target.exists():
            for record in target.iterdir():
                if record.name not in (MODEL, MANIFEST) and record.is_file():
                    shutil.copyfile(record, staged / record.name)
            aside = Path(tempfile.mkdtemp(dir=self._incoming))
            target.rename(aside / sha256)
        staged.rename(target)
        sync_folder(self._objects)
        if aside is not None:
            shutil.rmtree(aside)

    def discard(self, sha256: str) -> None:
        """Remove a version. The caller holds the store's lock."""
        aside = Path(tempfile.mkdtemp(dir=self._incoming))
        self.at(sha256).rename(aside / sha256)
        sync_folder(self._objects)
        shutil.rmtree(aside)

    def _clean(self) -> None:
        """Remove what was left by processes that are gone."""
        for folder in self._incoming.iterdir():
            with suppress(OSError):  # its owner has just moved or removed it
                descriptor = hold(folder)
                if descriptor is not None:
                    shutil.rmtree(folder, ignore_errors=True)
                    os.close(descriptor)


def _copy(files: ModelFiles, target: Path) -> tuple[int, dict[str, str]]:
    """Copy a model's files, and hash the very bytes that were written."""
    size, digests = 0, {}
    for key, expected in files.sha256_by_name.items():
        name = files.path.name if key == "-" else key
        check_name(name, files.path)
        if name in digests:
            raise ModelLoadError(f"two of its files have the name {name}", file=files.path)
        source, copy = files.path.parent / name, target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copied, found = _copy_file(source, copy)
        if found != expected:
            raise ModelLoadError(
                f"the file is not the one that was loaded: expected sha256 {expected}, found {found}",
                file=source,
                hint="it changed meanwhile; add it again",
            )
        size, digests[name] = size + copied, found
    for folder in [*(path for path in target.rglob("*") if path.is_dir()), target]:
        sync_folder(folder)
    return size, digests


def _copy_file(source: Path, copy: Path) -> tuple[int, str]:
    """Size and SHA-256 of what was copied."""
    digest, size = hashlib.sha256(), 0
    # A pipe in the place of the file must not be waited for.
    descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as given, copy.open("xb") as kept:  # noqa: PTH123 (it is open already)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ModelLoadError("is no regular file", file=source)
        while block := given.read(_BLOCK):
            digest.update(block)
            kept.write(block)
            size += len(block)
        kept.flush()
        os.fchmod(kept.fileno(), 0o444)
        os.fsync(kept.fileno())
    return size, digest.hexdigest()


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fchmod(file.fileno(), 0o444)
        os.fsync(file.fileno())
