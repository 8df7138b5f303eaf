"""What happened in a store, line by line, and what follows from it: who is listed, who is in production, who was."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeAlias

import attrs
import msgspec
from msgspec import Struct

from axon_quant.errors import ModelLoadError
from axon_quant.inference.store.locking import sync_folder

Action: TypeAlias = Literal["added", "promoted", "rolled-back", "removed"]


class Change(Struct, frozen=True, kw_only=True):
    """One line: at `at` (UTC nanoseconds) a version was added to a name, promoted, rolled back to, or removed."""

    at: int
    action: Action
    name: str
    sha256: str
    source: str = ""


@attrs.frozen
class Line:
    """What the changes of one name come to. `versions` in the order they were added; `production` ends with the one
    that is in production now, after those that a rollback goes back to.
    """

    versions: tuple[str, ...] = ()
    production: tuple[str, ...] = ()

    def after(self, change: Change) -> Line:
        """The same, one change later."""
        sha256 = change.sha256
        if change.action == "removed":
            return Line(_without(self.versions, sha256), _without(self.production, sha256))
        versions = self.versions if sha256 in self.versions else (*self.versions, sha256)
        if change.action == "promoted":
            return Line(versions, (*self.production, sha256))
        if change.action == "rolled-back":
            return Line(versions, self.production[:-1])
        return Line(versions, self.production)


def _without(versions: Iterable[str], removed: str) -> tuple[str, ...]:
    """Of equal neighbours that this brings together, one stays."""
    left: list[str] = []
    for version in versions:
        if version != removed and left[-1:] != [version]:
            left.append(version)
    return tuple(left)


class History:
    """The file. It is only ever appended to, by one process at a time; the store sees to that."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[Change, ...]:
        """All of it, oldest first, but for a last line that was cut off. Raises ModelLoadError for a damaged one."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return ()
        changes = []
        for number, line in enumerate(data.split(b"\n")[:-1], 1):
            try:
                changes.append(_DECODER.decode(line))
            except msgspec.MsgspecError as error:
                raise ModelLoadError(
                    f"this line of the store's history cannot be read: {error}",
                    file=self.path,
                    line=number,
                    hint="restore the file, or delete the line: what it says is then forgotten",
                ) from error
        return tuple(changes)

    def lines(self) -> dict[str, Line]:
        """By name, in the order in which the names came."""
        lines: dict[str, Line] = {}
        for change in self.read():
            lines[change.name] = lines.get(change.name, Line()).after(change)
        return lines

    def append(self, *changes: Change) -> None:
        """Add lines; they are durable when this returns."""
        new = not self.path.exists()
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            _cut_off(descriptor)
            data = b"".join(msgspec.json.encode(change) + b"\n" for change in changes)
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            sync_folder(self.path.parent)


_DECODER = msgspec.json.Decoder(Change)
_BLOCK = 4096


def _cut_off(descriptor: int) -> None:
    """Remove what a process that was killed left of its last line."""
    end = os.fstat(descriptor).st_size
    keep = end
    while keep:
        start = max(0, keep - _BLOCK)
        newline = os.pread(descriptor, keep - start, start).rfind(b"\n")
        if newline >= 0:
            keep = start + newline + 1
            break
        keep = start
    if keep < end:
        os.ftruncate(descriptor, keep)
