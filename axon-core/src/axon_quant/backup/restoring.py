"""Checking a backup, and putting it into a folder: all of it is verified before the folder is touched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from axon_quant.backup.copying import Copier, OnProgress, quiet, sync_folder
from axon_quant.backup.making import verify_store
from axon_quant.backup.manifest import FILES, OTHER, Entry, Manifest, read_manifest
from axon_quant.errors import AxonError, BackupError
from axon_quant.inference import ModelStore
from axon_quant.inference.files import file_sha256
from axon_quant.journal import verify
from axon_quant.journal.lock import lock_journal

_STAGED = ".restoring"
_LOGS = ("-wal", "-shm")
"""What SQLite would take for a part of another journal."""


def check(folder: str | Path) -> str | None:
    """None for a backup that can be restored, else why it cannot: every byte, hash chain and model version is read."""
    try:
        verify_backup(Path(folder))
    except AxonError as error:
        return str(error)
    except OSError as error:
        return f"{error.filename or folder}: cannot be read: {error.strerror or error}"
    return None


def verify_backup(folder: Path, *, on_progress: OnProgress = quiet) -> Manifest:
    """The manifest of a backup that is whole. Raises BackupError, JournalError or ModelError naming what is not."""
    manifest = read_manifest(folder)
    root, done = folder / FILES, 0
    found = {path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir() or path.is_symlink()}
    for name in sorted(found - manifest.files.keys()):
        raise BackupError("is not in the manifest", file=root / name, hint="remove it, or use another backup")
    for name, entry in manifest.files.items():
        path = root / name
        if name not in found:
            raise BackupError("is missing from the backup", file=path, hint=OTHER)
        if path.is_symlink():
            raise BackupError("is a link, not a file", file=path, hint=OTHER)
        _compare(path, entry)
        done += entry.size
        on_progress(f"checking {name}", done, manifest.size)
    if manifest.journal is not None:
        verify(root / manifest.journal, logged=[run.head for run in manifest.runs if run.records])
    for store in manifest.stores:
        verify_store(ModelStore(root / store))
    return manifest


def _compare(path: Path, entry: Entry) -> None:
    size = path.stat().st_size
    if size != entry.size:
        raise BackupError(f"damaged: expected {entry.size} bytes, found {size}", file=path, hint=OTHER)
    sha256 = file_sha256(path)
    if sha256 != entry.sha256:
        raise BackupError(f"damaged: expected sha256 {entry.sha256}, found {sha256}", file=path, hint=OTHER)


def restore(
    folder: str | Path, to: str | Path, *, force: bool = False, on_progress: OnProgress = quiet
) -> tuple[Manifest, Path | None]:
    """Put the backup in `folder` into `to`, the folder of the configuration from then on.

    A folder that holds anything is refused without `force`; with it, what the backup replaces is moved to a folder
    beside the rest, which is returned. A journal that a run writes to is never replaced. The configuration comes last,
    so that nothing can run from a folder that is not whole. Raises BackupError and what `verify_backup` raises.
    """
    folder, to = Path(folder).absolute(), Path(to).absolute()
    manifest = verify_backup(folder, on_progress=on_progress)
    if to.is_relative_to(folder) or folder.is_relative_to(to):
        raise BackupError("the backup and the folder to restore to lie in each other", file=to)
    if to.exists() and not to.is_dir():
        raise BackupError("is not a folder", file=to)
    if to.is_dir() and any(path.name != _STAGED for path in to.iterdir()) and not force:
        raise BackupError(
            "is not empty", file=to, hint="name a new folder, or say --force; what is replaced is kept beside the rest"
        )
    try:
        to.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _nobody_writes(manifest, to):
            return manifest, _place(folder, to, manifest, on_progress)
    except OSError as error:
        raise BackupError(f"cannot be restored: {error.strerror or error}", file=error.filename or to) from error


@contextmanager
def _nobody_writes(manifest: Manifest, to: Path) -> Iterator[None]:
    journal = None if manifest.journal is None else to / manifest.journal
    with nullcontext() if journal is None or not journal.exists() else lock_journal(journal):
        yield


def _place(folder: Path, to: Path, manifest: Manifest, on_progress: OnProgress) -> Path | None:
    staged = to / _STAGED
    shutil.rmtree(staged, ignore_errors=True)
    copier = Copier(staged, on_progress, total=manifest.size)
    for name, entry in manifest.files.items():
        if copier.file(folder / FILES / name, name) != entry:
            raise BackupError("changed while it was restored", file=folder / FILES / name, hint=OTHER)
    copier.sync()
    # Stores move whole, so that no history meets versions that are not its own.
    stores = [f"{store}/" for store in manifest.stores]
    names = [name for name in manifest.files if not name.startswith(tuple(stores)) and name != manifest.config]
    logs = [] if manifest.journal is None else [manifest.journal + log for log in _LOGS]
    halted = [] if manifest.journal is None else [f"{manifest.journal}.halted"]
    aside = _set_aside(to, [manifest.config, *names, *manifest.stores, *logs, *halted])
    for name in (*names, *manifest.stores, manifest.config):
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        (staged / name).replace(to / name)
        sync_folder((to / name).parent)
    shutil.rmtree(staged)
    Copier(to).sync()
    return aside


def _set_aside(to: Path, names: list[str]) -> Path | None:
    """Move what is there to a new folder, in the order of the names; None if nothing is."""
    there = [name for name in dict.fromkeys(names) if os.path.lexists(to / name)]
    if not there:
        return None
    number = 1
    while (to / f"replaced-{number}").exists():
        number += 1
    aside = to / f"replaced-{number}"
    for name in there:
        (aside / name).parent.mkdir(parents=True, exist_ok=True)
        (to / name).rename(aside / name)
    return aside
