"""One writer per journal."""

from __future__ import annotations

from pathlib import Path

from axon_quant.errors import JournalLockedError
from axon_quant.locks import FileLock, HeldError


def lock_journal(path: Path) -> FileLock:
    """The lock of the journal at `path`, on a side file. Raises JournalLockedError naming who holds it."""
    try:
        return FileLock(path.with_name(path.name + ".lock"))
    except HeldError as error:
        raise JournalLockedError(
            f"another process (pid {error.holder}) writes to this journal",
            file=path,
            hint="stop it first, or give this run a journal of its own",
        ) from None
