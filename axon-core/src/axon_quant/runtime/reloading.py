"""Models that are replaced on disk while the run goes on: loaded in threads, swapped on the loop's thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from queue import Empty, SimpleQueue
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

from axon_quant.clock import Clock
from axon_quant.errors import ModelError
from axon_quant.events import Emit, Event, ModelLoaded, ModelRefused
from axon_quant.inference import Backend, ModelHotReloader
from axon_quant.inference.backend import PreparedModel
from axon_quant.inference.reloader import Check
from axon_quant.market import MarketEvent
from axon_quant.observation import FeatureSchema
from axon_quant.runtime.keeping import Archive
from axon_quant.runtime.models import keeper

if TYPE_CHECKING:
    from axon_quant.inference.store import ModelStore

_Entry: TypeAlias = Event | Callable[[], None]


class HotReload:
    """Watches the files of `backends` while the context is open; a new version serves from the next decision on.

    A reloader works in a thread of its own, but the journal's order belongs to the loop's thread: swaps and refusals
    wait in a queue until that thread calls `drain` or `wait_for`, which swap and hand the events to `record`. So a new
    version is recorded before its first decision and after the last one of the version before. With `schema`, a version
    that does not take this observation is refused; with a `store`, a version is kept in it before it serves, is built
    by the plan that is known of it, and must answer its golden vectors; with an `archive` it is only kept there.
    `debounce` is in seconds: see `ModelHotReloader`.
    """

    def __init__(
        self,
        backends: Iterable[Backend],
        record: Emit,
        clock: Clock,
        *,
        schema: FeatureSchema | None = None,
        store: ModelStore | None = None,
        archive: Archive | None = None,
        debounce: float = 0.5,
    ) -> None:
        self._inbox: SimpleQueue[_Entry] = SimpleQueue()
        self._record = record
        self._reloaders = [
            ModelHotReloader(
                backend,
                backend.config,
                debounce=debounce,
                checks=_checks(backend, schema, store, archive),
                store=store,
                emit=self._inbox.put,
                clock=clock,
                swap_in=self._inbox.put,
            )
            for backend in backends
        ]
        self._watching = ExitStack()

    def drain(self) -> int:
        """Swap in what has been loaded, and record it and what was refused; returns how many events that were."""
        count = 0
        while not self._inbox.empty():  # nobody else takes from it
            count += self._take(self._inbox.get_nowait()) is not None
        return count

    def before(self, handle: Callable[[MarketEvent], None]) -> Callable[[MarketEvent], None]:
        """`handle` with a `drain` in front of it, or just `handle` where no model is watched."""
        if not self._reloaders:
            return handle
        empty, drain = self._inbox.empty, self.drain

        def drain_and_handle(event: MarketEvent) -> None:
            if not empty():
                drain()
            handle(event)

        return drain_and_handle

    def wait_for(self, name: str, *, timeout: float) -> ModelLoaded:
        """Record what comes until model `name` has a new version; blocks the thread that calls it.

        Raises ModelError when the new version is refused, or none comes within `timeout` seconds.
        """
        deadline = monotonic() + timeout
        while True:
            try:
                event = self._take(self._inbox.get(timeout=max(deadline - monotonic(), 0.0)))
            except Empty:
                raise ModelError(f"model {name} had no new version within {timeout:g} s of waiting") from None
            if isinstance(event, ModelLoaded) and event.model.name == name:
                return event
            if isinstance(event, ModelRefused) and event.name == name:
                raise ModelError(f"the new version of model {name} was refused: {event.reason}")

    def _take(self, entry: _Entry) -> Event | None:
        """Run a swap, or record an event and return it."""
        if isinstance(entry, Event):
            self._record(entry)
            return entry
        entry()
        return None

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


def _checks(
    backend: Backend, schema: FeatureSchema | None, store: ModelStore | None, archive: Archive | None
) -> list[Check]:
    if store is not None:
        return [keeper(store, backend.config, schema)]
    checks: list[Check] = [] if schema is None else [_Takes(schema, backend.config.name)]
    return checks if archive is None else [*checks, archive.check(backend.config)]


class _Takes:
    """The check that a new version takes the run's observation."""

    def __init__(self, schema: FeatureSchema, name: str) -> None:
        self._schema = schema
        self._name = name

    def __call__(self, prepared: PreparedModel) -> None:
        """Raise SchemaMismatchError unless it does."""
        shape, sha256 = prepared.spec.input_shape, prepared.session.schema_sha256
        self._schema.require(shape, model=self._name, sha256=sha256)
