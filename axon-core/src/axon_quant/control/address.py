"""Unix sockets at paths of any length: the kernel takes 107 bytes, and journals lie deeper than that."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from axon_quant.errors import ControlError

_MOST_BYTES = 107


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """A name of `path` that is short enough, valid within the block. Raises ControlError where there is none."""
    if len(os.fsencode(path)) <= _MOST_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY) if Path("/proc/self/fd").is_dir() else None
    try:
        short = f"/proc/self/fd/{folder}/{path.name}"
        if folder is None or len(os.fsencode(short)) > _MOST_BYTES:
            raise ControlError(
                f"the path is longer than a socket's may be ({_MOST_BYTES} bytes)",
                file=path,
                hint="give a shorter one as [operations] socket",
            )
        yield short
    finally:
        if folder is not None:
            os.close(folder)
