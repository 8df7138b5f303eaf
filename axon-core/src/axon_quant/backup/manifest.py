"""What a backup consists of, written when everything else is durable: without it a backup is not whole."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath

import msgspec
from msgspec import Struct

from axon_quant.errors import BackupError
from axon_quant.inference.files import write_whole

FILES = "files"
"""The folder in a backup that is laid out as it is restored."""
MANIFEST = "manifest.json"
MARKER = "incomplete"
"""Held by the process that writes the backup, and removed when it is whole."""
VERSION = 1


class Entry(Struct, frozen=True, forbid_unknown_fields=True):
    """One file: its size in bytes, and its SHA-256 in hex."""

    size: int
    sha256: str


class Run(Struct, frozen=True, forbid_unknown_fields=True):
    """A run in the journal. `outcome` is None for one that was killed, or was running still."""

    number: int
    mode: str
    outcome: str | None
    records: int
    head: str


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole backup. Paths are relative to its folder `files`, and later to the folder it is restored to.

    `created` is in UTC ns. `journal` is None where no run had begun; `stores` are the folders of model versions.
    `moved` says which paths of the configuration lay outside its folder, by key: they were changed in the copy.
    """

    version: int
    axon: str
    created: int
    source: str
    config: str
    config_sha256: str
    journal: str | None
    runs: tuple[Run, ...]
    stores: tuple[str, ...]
    models: int
    moved: dict[str, str]
    files: dict[str, Entry]

    @property
    def size(self) -> int:
        """Of all files, in bytes."""
        return sum(entry.size for entry in self.files.values())


class _Sealed(Struct, forbid_unknown_fields=True):
    sha256: str
    manifest: msgspec.Raw


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it whole or not at all."""
    body = msgspec.json.encode(manifest)
    sealed = _Sealed(hashlib.sha256(body).hexdigest(), msgspec.Raw(body))
    write_whole(folder / MANIFEST, msgspec.json.encode(sealed))


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a backup. Raises BackupError for a folder that is none, or not a whole one."""
    path = folder / MANIFEST
    try:
        sealed = msgspec.json.decode(path.read_bytes(), type=_Sealed)
        body = bytes(sealed.manifest)
        if hashlib.sha256(body).hexdigest() != sealed.sha256:
            raise BackupError("the manifest is damaged: its SHA-256 is another one", file=path, hint=OTHER)
        version = msgspec.json.decode(body).get("version")
        if version != VERSION:
            raise BackupError(f"written in format {version}; this axon reads {VERSION}", file=path)
        manifest = msgspec.json.decode(body, type=Manifest)
    except FileNotFoundError:
        if (folder / MARKER).exists():
            raise BackupError("is incomplete: the backup was interrupted", file=folder, hint=AGAIN) from None
        what = "is not a backup: it has no manifest.json" if folder.is_dir() else "no such folder"
        raise BackupError(what, file=folder) from None
    except OSError as error:
        raise BackupError(f"cannot be read: {error.strerror or error}", file=path) from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, AttributeError) as error:
        raise BackupError(f"the manifest is damaged: {error}", file=path, hint=OTHER) from error
    for name in (*manifest.files, manifest.config, *manifest.stores):
        _check_name(name, path)
    return manifest


def _check_name(name: str, path: Path) -> None:
    parts = PurePosixPath(name)
    if not name or "\x00" in name or parts.is_absolute() or ".." in parts.parts or parts.as_posix() != name:
        raise BackupError(f"names a file that leads out of its folder: {name!r}", file=path, hint=OTHER)


AGAIN = "run axon backup again; it starts anew in this folder"
OTHER = "use another backup"
