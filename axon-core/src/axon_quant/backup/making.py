"""Making a backup: everything into `files/`, durable and verified, and then the manifest."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath

from axon_quant.backup.copying import Copier, OnProgress, quiet, sync_folder
from axon_quant.backup.manifest import FILES, MANIFEST, MARKER, VERSION, Manifest, Run, write_manifest
from axon_quant.backup.sources import Sources, find_sources
from axon_quant.clock import LiveClock
from axon_quant.errors import BackupError, ModelLoadError
from axon_quant.inference import ModelStore
from axon_quant.inference.files import ModelFiles
from axon_quant.journal import verify
from axon_quant.journal.reader import opened
from axon_quant.locks import FileLock, HeldError

_ATTEMPTS = 5
_RECORDS = "objects"


class _ChangedError(Exception):
    """What was copied changed meanwhile."""


def back_up(config_file: str | Path, folder: str | Path, *, on_progress: OnProgress = quiet) -> Manifest:
    """Copy journal, model stores, model files, strategy and configuration into `folder`, also while a run writes.

    `folder` is new, empty, or holds a backup that was interrupted, which is started anew. The hash chain is verified in
    the copy of the journal, and so is every byte of every model version. Secrets are not read, and not copied. Raises
    ConfigError, BackupError, and what the parts raise: JournalError for a journal whose chain does not hold, ModelError
    for a version that is damaged. What was copied is then removed again.
    """
    sources, folder = find_sources(Path(config_file)), Path(folder).absolute()
    try:
        with _folder(folder):
            copier = Copier(folder / FILES, on_progress, total=sources.size)
            manifest = _fill(sources, copier)
            copier.sync()
            write_manifest(folder, manifest)
            sync_folder(folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise BackupError(f"cannot be made: {reason}", file=error.filename or folder) from error
    return manifest


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """The folder, with a marker while it is not whole; it is removed or left as it was if it does not become so."""
    there = folder.is_dir()
    names = {path.name for path in folder.iterdir()} if there else set()
    if MANIFEST in names:
        raise BackupError("holds a backup already", file=folder, hint="name a new folder")
    if names - {MARKER, FILES} or (names and MARKER not in names):
        raise BackupError("is not empty", file=folder, hint="name a new folder")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    marker = folder / MARKER
    try:
        lock = FileLock(marker)
    except HeldError as error:
        raise BackupError(f"another process (pid {error.holder}) writes a backup there", file=folder) from None
    with lock:
        try:
            shutil.rmtree(folder / FILES, ignore_errors=True)
            (folder / FILES).mkdir()
            sync_folder(folder)
            yield
        except BaseException:
            shutil.rmtree(folder / FILES, ignore_errors=True)
            marker.unlink(missing_ok=True)
            if not there:
                folder.rmdir()
            raise
        marker.unlink()


def _fill(sources: Sources, copier: Copier) -> Manifest:
    copier.data(sources.text.encode(), sources.config, mode=0o600)
    for name, path in sources.files.items():
        copier.file(path, name)
    for name, files in sources.models.items():
        _until_steady(copier, partial(_copy_model, files, name, copier))
    runs: tuple[Run, ...] = ()
    if sources.journal_path.exists():
        _until_steady(copier, partial(_copy_journal, sources, copier))
        reports = verify(copier.root / sources.journal)
        runs = tuple(Run(each.number, each.mode, each.outcome, each.records, each.head) for each in reports)
    versions = 0
    for name, store in sources.stores.items():
        _until_steady(copier, partial(_copy_store, ModelStore(store), name, copier))
        versions += verify_store(ModelStore(copier.root / name))
    return Manifest(
        version=VERSION,
        axon=_version(),
        created=LiveClock().now(),
        source=str(sources.file),
        config=sources.config,
        config_sha256=sources.sha256,
        journal=sources.journal if sources.journal in copier.entries else None,
        runs=runs,
        stores=tuple(sources.stores),
        models=versions,
        moved=sources.moved,
        files=dict(sorted(copier.entries.items())),
    )


def _until_steady(copier: Copier, copy: Callable[[], None]) -> None:
    """`copy`, and again if what it copies was replaced meanwhile."""
    known = set(copier.entries)
    for attempt in range(_ATTEMPTS):
        try:
            return copy()
        except (_ChangedError, FileNotFoundError, ModelLoadError) as error:
            if attempt + 1 < _ATTEMPTS:
                copier.forget(set(copier.entries) - known)
            elif isinstance(error, _ChangedError):
                raise BackupError("changed each time it was copied", file=str(error), hint="try again later") from None
            else:
                raise
    raise AssertionError("not reached")


def _copy_journal(sources: Sources, copier: Copier) -> None:
    """One state of the journal. A run may begin while it is read as a file that nobody writes to."""
    path = sources.journal_path
    before = _stamp(path)
    with opened(path) as connection:
        connection.execute("SELECT count(*) FROM runs").fetchone()  # the read transaction begins
        copier.database(connection, sources.journal)
    if before is not None and before != _stamp(path):
        raise _ChangedError(path)


def _stamp(journal: Path) -> tuple[int, int] | None:
    """What changes with a file that has no log beside it; None if it has one."""
    if journal.with_name(f"{journal.name}-wal").exists():
        return None
    status = journal.stat()
    return status.st_size, status.st_mtime_ns


def _copy_model(ask: Callable[[], ModelFiles], name: str, copier: Copier) -> None:
    """The very bytes that a model is made of now, with the checksums beside them if there are some."""
    files = ask()
    folder, place = files.path.parent, PurePosixPath(name).parent
    for side, digest in files.sha256_by_name.items():
        target = name if side == "-" else str(place / side)
        if target in copier.entries:
            continue  # two models share it
        if copier.file(files.path if side == "-" else folder / side, target).sha256 != digest:
            raise _ChangedError(folder / side)
    checksums = files.path.with_name(f"{files.path.name}.sha256")
    if checksums.is_file() and f"{name}.sha256" not in copier.entries:
        copier.file(checksums, f"{name}.sha256")


def _copy_store(store: ModelStore, name: str, copier: Copier) -> None:
    """The versions that the history lists at this moment, and their records. One may be pruned meanwhile."""
    history = (store.folder / "history.jsonl").read_bytes()
    copier.data(history[: history.rfind(b"\n") + 1], f"{name}/history.jsonl")
    kept = ModelStore(copier.root / name)
    listed = {sha256 for model in kept.names() for sha256 in kept.versions(model)}
    for sha256 in sorted(listed):
        folder = store.folder / _RECORDS / sha256
        for path in sorted(folder.rglob("*")):
            part = path.relative_to(folder)
            if path.is_file() and not part.name.startswith("."):  # a record that is being written
                copier.file(path, f"{name}/{_RECORDS}/{sha256}/{part.as_posix()}")


def verify_store(store: ModelStore) -> int:
    """Read every byte of every version, and its records; returns how many there are."""
    listed = {sha256 for model in store.names() for sha256 in store.versions(model)}
    for sha256 in listed:
        stored = store.verify(sha256)
        for _ in (stored.schema, stored.golden, stored.background, stored.plans):
            pass  # a record that cannot be read raises
    return len(listed)


def _version() -> str:
    try:
        return version("axon-core")
    except PackageNotFoundError:
        return "unknown"
