"""Tells when a file has been written and then left alone for a while."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from watchdog.events import (
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from axon_quant.errors import ModelLoadError

# Not the events of opening and reading: hashing the file would call for hashing it again.
_WRITES = (FileCreatedEvent, FileModifiedEvent, FileMovedEvent, FileClosedEvent)


class FileWatcher:
    """Calls `on_change` in a thread of its own: `debounce` seconds after the start, and
    `debounce` seconds after the last write from then on.

    It watches the folder, so a file that is replaced with `os.replace` is followed. Raises ModelLoadError if the
    folder cannot be watched.
    """

    def __init__(self, path: Path, debounce: float, on_change: Callable[[], None]) -> None:
        self._name = path.name
        self._debounce = debounce
        self._on_change = on_change
        self._wake = threading.Condition()
        self._last_write: float | None = time.monotonic()  # as if written now: a write may be in progress
        self._stopping = False
        self._observer = Observer()
        self._observer.schedule(_Handler(self.notice), str(path.parent), recursive=False)
        try:
            self._observer.start()
        except OSError as error:
            raise ModelLoadError(f"the folder cannot be watched: {error.strerror}", file=path.parent) from error
        self._thread = threading.Thread(target=self._run, name=f"axon-reload-{path.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop both threads; waits for an `on_change` in progress unless called from it."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._observer.stop()
        self._observer.join()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def notice(self, event: FileSystemEvent) -> None:
        """Take note of an event of the folder."""
        paths = (event.src_path, event.dest_path)
        if isinstance(event, _WRITES) and any(os.path.basename(os.fsdecode(path)) == self._name for path in paths):  # noqa: PTH119 (may be bytes)
            with self._wake:
                self._last_write = time.monotonic()
                self._wake.notify()

    def _run(self) -> None:
        while self._wait_until_quiet():
            self._on_change()

    def _wait_until_quiet(self) -> bool:
        """Block until a write is `debounce` seconds old; False when stopping."""
        with self._wake:
            while not self._stopping:
                if self._last_write is None:
                    self._wake.wait()
                    continue
                left = self._last_write + self._debounce - time.monotonic()
                if left <= 0:
                    self._last_write = None
                    return True
                self._wake.wait(left)
            return False


class _Handler(FileSystemEventHandler):
    def __init__(self, notice: Callable[[FileSystemEvent], None]) -> None:
        self._notice = notice

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._notice(event)
