"""Models that are replaced on disk while the run goes on: loaded in threads, reported on the loop's thread."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from queue import Empty, SimpleQueue
from time import monotonic
from types import TracebackType
from typing import Self

from axon_quant.clock import Clock
from axon_quant.errors import ModelError
from axon_quant.events import Emit, Event, ModelLoaded, ModelRefused
from axon_quant.inference import Backend, ModelHotReloader


class HotReload:
    """Watches the files of `backends` while the context is open; a new version serves from the next decision on.

    A reloader reports from a thread of its own, but the journal's order belongs to the loop's thread: events wait in a
    queue until that thread calls `drain` or `wait_for`, which hand them to `record`. `debounce` is in seconds; see
    `ModelHotReloader`.
    """

    def __init__(self, backends: Iterable[Backend], record: Emit, clock: Clock, *, debounce: float = 0.5) -> None:
        self._inbox: SimpleQueue[Event] = SimpleQueue()
        self._record = record
        self._reloaders = [
            ModelHotReloader(backend, backend.config, debounce=debounce, emit=self._inbox.put, clock=clock)
            for backend in backends
        ]
        self._watching = ExitStack()

    def drain(self) -> int:
        """Record what has been loaded or refused since the last call; returns how many events that were."""
        count = 0
        while not self._inbox.empty():  # nobody else takes from it
            self._record(self._inbox.get_nowait())
            count += 1
        return count

    def wait_for(self, name: str, *, timeout: float) -> ModelLoaded:
        """Record what comes until model `name` has a new version; blocks the thread that calls it.

        Raises ModelError when the new version is refused, or none comes within `timeout` seconds.
        """
        deadline = monotonic() + timeout
        while True:
            try:
                event = self._inbox.get(timeout=max(deadline - monotonic(), 0.0))
            except Empty:
                raise ModelError(f"model {name} had no new version within {timeout:g} s of waiting") from None
            self._record(event)
            if isinstance(event, ModelLoaded) and event.model.name == name:
                return event
            if isinstance(event, ModelRefused) and event.name == name:
                raise ModelError(f"the new version of model {name} was refused: {event.reason}")

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for reloader in self._reloaders:
                stack.enter_context(reloader)
            self._watching = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watching.close()
        self.drain()
