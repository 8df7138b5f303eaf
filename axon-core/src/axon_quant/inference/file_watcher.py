"""Tells when files have been written and then left alone for a while."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import ObservedWatch

from axon_quant.errors import ModelLoadError
from axon_quant.inference.file_stamp import folders, stamps

# Not the events of opening and reading: hashing a file would call for hashing it again. And where closing is an event,
# not those of writing: a slow writer makes thousands, and what it has done is seen when the files have to be quiet.
_EVENTS: Final[list[type[FileSystemEvent]]] = [
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    *([] if sys.platform == "linux" else [FileModifiedEvent]),
]
_BURST = 0.01
_LONGEST_LOOK = 1.0


class FileWatcher:
    """Calls `on_change` in a thread of its own: `debounce` seconds after the start, and whenever files have changed and
    then been left alone for `debounce` seconds.

    `files` says which files those are, now; it is asked again after each call, and when a new name appears beside them.
    The operating system's events only say
    *when* to look. What counts is what is found (see `file_stamp`), so replaced files, links that lead elsewhere and a
    folder that comes back are all the same. Every second, or every two debounces if that is sooner, the watcher looks
    without an event, for folders that have none: network drives, and those that were away.

    Raises ModelLoadError if the first file's folder cannot be watched.
    """

    def __init__(self, files: Callable[[], Sequence[Path]], debounce: float, on_change: Callable[[], None]) -> None:
        self._list_files = files
        self._debounce = debounce
        self._on_change = on_change
        self._every = min(_LONGEST_LOOK, max(2 * debounce, 0.1))
        self._wake = threading.Event()
        self._stopping = False
        self._new_name = False
        self._files = tuple(files())
        self._names = {path.name for path in self._files}
        self._seen = stamps(self._files)
        self._watches: dict[str, tuple[tuple[int, int], ObservedWatch]] = {}
        self._handler = _Handler(self._notice)
        self._observer = Observer()
        self._observer.start()
        try:
            self._follow(self._files[:1], strict=True)
            self._follow(self._files)
        except OSError as error:
            self._end_observer()
            raise ModelLoadError(
                f"the folder cannot be watched: {error.strerror or error}", file=self._files[0].parent
            ) from error
        self._thread = threading.Thread(target=self._run, name=f"axon-watch-{self._files[0].name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop all threads; waits for an `on_change` in progress unless called from it."""
        self._stopping = True
        self._wake.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._end_observer()

    def _run(self) -> None:
        changed_at: float | None = monotonic()  # as if written now: a write may be in progress
        listed_at = monotonic()
        while self._wait(changed_at):
            now = monotonic()
            if self._new_name and now >= listed_at + self._every:
                self._new_name, listed_at = False, now
                self._list()
            self._follow(self._files)
            found = stamps(self._files)
            if found != self._seen:
                self._seen, changed_at = found, now
            elif changed_at is not None and now >= changed_at + self._debounce:
                changed_at = None
                self._on_change()
                self._list()

    def _wait(self, changed_at: float | None) -> bool:
        """Until it is time to look; False when stopping."""
        left = self._every if changed_at is None else changed_at + self._debounce - monotonic()
        if self._wake.wait(max(min(left, self._every), 0.0)) and not self._stopping:
            sleep(min(_BURST, self._debounce))  # one replaced file is several events
        self._wake.clear()
        return not self._stopping

    def _list(self) -> None:
        files = tuple(self._list_files())
        if files != self._files:
            # A file that is new here has not been considered: it must differ from what was seen.
            known = dict(zip(self._files, self._seen, strict=True))
            self._files, self._names = files, {path.name for path in files}
            self._seen = tuple(known.get(path) for path in files)

    def _follow(self, files: Sequence[Path], *, strict: bool = False) -> None:
        """Watch the folders where the files stand now; one that was moved or made anew is watched anew.

        Raises OSError if `strict` and a folder cannot be watched; otherwise it is looked at every second all the same.
        """
        wanted = folders(files)
        if strict and not wanted:
            os.stat(files[0].parent)  # noqa: PTH116 (raises what is wrong with it)
        for folder in [folder for folder, (identity, _) in self._watches.items() if wanted.get(folder) != identity]:
            self._observer.unschedule(self._watches.pop(folder)[1])
        for folder, identity in wanted.items():
            if folder not in self._watches:
                try:
                    watch = self._observer.schedule(self._handler, folder, event_filter=_EVENTS)
                except OSError:
                    if strict:
                        raise
                    continue
                self._watches[folder] = identity, watch

    def _notice(self, event: FileSystemEvent) -> None:
        if os.path.basename(os.fsdecode(event.dest_path or event.src_path)) not in self._names:  # noqa: PTH119 (may be bytes)
            self._new_name = True
        self._wake.set()

    def _end_observer(self) -> None:
        self._observer.stop()
        self._observer.join()


class _Handler(FileSystemEventHandler):
    def __init__(self, notice: Callable[[FileSystemEvent], None]) -> None:
        self._notice = notice

    def on_any_event(self, event: FileSystemEvent) -> None:
        self._notice(event)
