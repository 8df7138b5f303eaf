"""Copies that are durable and hashed while they are made."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

import attrs

from axon_quant.backup.manifest import Entry
from axon_quant.errors import BackupError

_BLOCK = 1 << 20
_PAGES = 2048  # of 4 KB: 8 MB between two looks at the progress

OnProgress = Callable[[str, int, int], None]
"""Told what is at hand, and how many bytes of how many are done."""


def quiet(what: str, done: int, total: int) -> None:
    """No progress is shown."""


@attrs.define
class Copier:
    """Copies files and knows what it copied: `entries` by their name relative to `root`."""

    root: Path
    on_progress: OnProgress = quiet
    total: int = 0
    done: int = 0
    entries: dict[str, Entry] = attrs.field(factory=dict)

    def file(self, source: Path, name: str) -> Entry:
        """Copy a regular file, with its permissions. Raises BackupError for anything else, and OSError."""
        target = self._place(name)
        digest, size = hashlib.sha256(), 0
        descriptor = os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe must not be waited for
        with open(descriptor, "rb") as given, target.open("xb") as copy:  # noqa: PTH123 (it is open already)
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise BackupError("is no regular file", file=source)
            while block := given.read(_BLOCK):
                digest.update(block)
                copy.write(block)
                size += len(block)
                self.advance(name, len(block))
            copy.flush()
            os.fchmod(copy.fileno(), stat.S_IMODE(status.st_mode) & 0o777)
            os.fsync(copy.fileno())
        self.entries[name] = Entry(size, digest.hexdigest())
        return self.entries[name]

    def data(self, data: bytes, name: str, *, mode: int = 0o644) -> None:
        """Write `data` as a file."""
        with self._place(name).open("xb") as copy:
            copy.write(data)
            copy.flush()
            os.fchmod(copy.fileno(), mode)
            os.fsync(copy.fileno())
        self.entries[name] = Entry(len(data), hashlib.sha256(data).hexdigest())

    def database(self, connection: sqlite3.Connection, name: str) -> None:
        """Copy what a connection sees of an SQLite file, in one state, while others write to it.

        The connection is in a read transaction, so that the copy need not start anew after every commit.
        """
        target = self._place(name)
        (page,) = connection.execute("PRAGMA page_size").fetchone()
        seen = 0

        def progress(_: int, remaining: int, count: int) -> None:
            nonlocal seen
            self.advance(name, (count - remaining - seen) * page)
            seen = count - remaining

        copy = sqlite3.connect(target)
        try:
            copy.execute("PRAGMA synchronous = OFF")  # it is made durable below, at once
            connection.backup(copy, pages=_PAGES, progress=progress)
        finally:
            copy.close()
        with target.open("rb") as file:
            digest, size = hashlib.file_digest(file, "sha256"), os.fstat(file.fileno()).st_size
            os.fsync(file.fileno())
        self.entries[name] = Entry(size, digest.hexdigest())

    def _place(self, name: str) -> Path:
        """Where a file goes; what an attempt before this one has left there is removed."""
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if name not in self.entries:
            target.unlink(missing_ok=True)
        return target

    def advance(self, what: str, size: int) -> None:
        """Say that so many bytes more are done."""
        self.done += size
        self.total = max(self.total, self.done)
        self.on_progress(what, self.done, self.total)

    def forget(self, names: Iterable[str]) -> None:
        """Remove files again."""
        for name in names:
            self.done -= self.entries.pop(name).size
            (self.root / name).unlink(missing_ok=True)

    def sync(self) -> None:
        """Make the names durable."""
        for folder in (self.root, *(path for path in self.root.rglob("*") if path.is_dir())):
            sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
