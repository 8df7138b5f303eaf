"""Checks of the disk: is there room for the journal, does its chain hold, can a backup be restored?"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import cast

from axon_quant.journal import verify
from axon_quant.preflight.facts import Facts
from axon_quant.preflight.rows import Finding, failed, passed, unknown

LEAST_FREE = 1 << 30
"""Bytes: some days of a journal with a handful of symbols."""
_SLOW = 0.25
_SYNCS = 5
_PAGE = 1 << 16


def disk(facts: Facts) -> Finding:
    """Is there room beside the journal, and does the disk take and keep what is written?"""
    folder = existing(facts.config.journal.path.parent)
    if folder != facts.config.journal.path.parent and (inner := _next(folder, facts.config.journal.path)).exists():
        return failed(f"{inner} is no folder, and the journal is to be in it", "move it away, or move [journal]")
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        return failed(f"{_size(free)} free at {folder}, less than {_size(LEAST_FREE)}", "make room, or move [journal]")
    try:
        took = _sync(folder)
    except OSError as error:
        return failed(f"{folder} cannot be written: {error.strerror or error}", "check its permissions and its disk")
    told = f"{_size(free)} free at {folder}; a write is durable after {took * 1e3:.1f} ms (median of {_SYNCS})"
    if took > _SLOW:
        return failed(told, "each order waits for that: take a disk whose fsync is quick")
    return passed(told)


def journal(facts: Facts) -> Finding:
    """Does the chain of the journal hold that the next run continues?"""
    path = facts.config.journal.path
    if not path.exists():
        return passed(f"{path} is not there yet; the first run makes it")
    reports = verify(path)
    records = sum(report.records for report in reports)
    return passed(f"the chain of {path} holds over {len(reports)} runs and {records:,} records")


def backup(facts: Facts) -> Finding:
    """Can the newest backup be restored?"""
    if facts.backup is None:
        return unknown("no backup was named", "make one, and name its folder with --backup DIR")
    if not facts.backup.is_dir():
        return failed(f"{facts.backup} is not a folder", "name the folder of a backup")
    try:
        module = import_module("axon_quant.backup")
    except ModuleNotFoundError:
        return unknown("this version of axon cannot read backups", "restore it somewhere else by hand, and try it")
    check = cast(Callable[[Path], str | None], module.check)
    problem = check(facts.backup)
    if problem is not None:
        return failed(problem, "make another backup, and find out why this one is damaged")
    return passed(f"{facts.backup} can be restored")


def existing(folder: Path) -> Path:
    """`folder`, or the nearest one above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def _next(folder: Path, path: Path) -> Path:
    """The first part of `path` below `folder`."""
    return folder / path.relative_to(folder).parts[0]


def _sync(folder: Path) -> float:
    """Seconds until a page written into `folder` is durable, the median of a few."""
    taken = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(_SYNCS):
            start = perf_counter()
            file.write(bytes(_PAGE))
            os.fsync(file.fileno())
            taken.append(perf_counter() - start)
    return sorted(taken)[_SYNCS // 2]


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
