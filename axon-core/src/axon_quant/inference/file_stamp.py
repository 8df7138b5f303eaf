"""Whether files may have changed, without reading them, and where one has to look to be told."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, TypeAlias

_MAX_LINKS = 40  # as the kernel


class FileStamp(NamedTuple):
    """Where a path leads and what the system knows of the file there. ctime cannot be set, so no write goes unseen."""

    target: str
    device: int
    inode: int
    size: int
    modified: int
    changed: int


Stamps: TypeAlias = tuple[FileStamp | None, ...]


def stamps(paths: Iterable[Path]) -> Stamps:
    """One stamp per path, None for a file that cannot be looked at. Equal stamps: nothing was written in between."""
    return tuple(_stamp(path) for path in paths)


def _stamp(path: Path) -> FileStamp | None:
    try:
        target = os.path.realpath(path)
        found = os.stat(target)  # noqa: PTH116
    except OSError:
        return None
    return FileStamp(target, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def folders(paths: Iterable[Path]) -> dict[str, tuple[int, int]]:
    """The real folders in which the paths and the links they lead through stand, each with its device and inode.

    Links among the folders *above* a path are not followed up: watching those folders could mean watching `/`.
    """
    found: dict[str, tuple[int, int]] = {}
    for path in paths:
        step = os.fspath(path)
        for _ in range(_MAX_LINKS):
            folder, name = os.path.split(step)
            folder = os.path.realpath(folder)
            try:
                status = os.stat(folder)  # noqa: PTH116
                found[folder] = status.st_dev, status.st_ino
                target = os.readlink(os.path.join(folder, name))  # noqa: PTH115, PTH118
            except OSError:
                break  # gone, or no link
            step = os.path.join(folder, target)  # noqa: PTH118
    return found
