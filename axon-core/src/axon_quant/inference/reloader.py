"""Replaces a serving model when its file changes, without stopping its readers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from axon_quant.clock import Clock, LiveClock
from axon_quant.errors import AxonError, ConfigError, ModelError
from axon_quant.events import Emit, Event, ModelLoaded, ModelRefused
from axon_quant.inference.backend import Backend, ModelVersion, PreparedModel
from axon_quant.inference.config import ModelConfig
from axon_quant.inference.file_watcher import FileWatcher
from axon_quant.inference.watch import Receiver, WatchChannel


class ModelHotReloader:
    """Watches the file of a loaded `engine` and swaps in what is written there.

    A change is taken up `debounce` seconds after the last write, by a thread of its own: hash, build, check,
    warm, swap, tell subscribers. A model that is refused changes nothing but `last_error`. Writers should
    replace the file atomically (`os.replace`).

    `emit` receives ModelLoaded and ModelRefused, stamped by `clock`; it is called from the thread that loads. A context
    manager, sync or async: enter starts the watcher, exit stops it. Raises ConfigError if `config` is not the
    engine's, ModelError if the engine has nothing loaded.
    """

    def __init__(
        self,
        engine: Backend,
        config: ModelConfig,
        *,
        debounce: float = 0.5,
        emit: Emit | None = None,
        clock: Clock | None = None,
    ) -> None:
        if config != engine.config:
            raise ConfigError("the reloader was given another configuration than its engine has", file=config.path)
        if not 0 <= debounce < float("inf"):
            raise ConfigError(f"debounce must be seconds of at least 0, got {debounce}", file=config.path)
        self.last_error: AxonError | None = None
        self._engine = engine
        self._path = config.path
        self._debounce = debounce
        self._emit: Emit = emit or _ignore
        self._clock: Clock = clock or LiveClock()
        self._channel = WatchChannel(engine.model)
        self._loading = threading.Lock()
        self._previous: PreparedModel | None = None
        self._considered = engine.model.sha256
        self._watcher: FileWatcher | None = None

    @property
    def version(self) -> int:
        """Number of the version that serves."""
        return self._engine.version

    def subscribe(self) -> Receiver[ModelVersion]:
        """A receiver of versions; the one that serves now counts as seen."""
        return self._channel.subscribe()

    def spawn_watcher(self) -> None:
        """Start watching, with or without a running event loop; a change since the load is taken up. Idempotent.

        Raises ModelLoadError if the file's folder cannot be watched.
        """
        if self._watcher is None:
            self._watcher = FileWatcher(self._path, self._debounce, self._on_change)

    def reload(self) -> ModelVersion:
        """Load the file now, in this thread, changed or not. Raises what `Backend.load` raises; see `last_error`."""
        with self._loading:
            return self._swap(self._load)

    def rollback(self) -> ModelVersion:
        """Let the version before this one serve again, under a new number; a second call undoes the first.

        Raises ModelError if there is none. The file is left as it is, and is not taken up again until it changes.
        """
        with self._loading:
            previous = self._previous
            if previous is None:
                raise ModelError("there is no version to roll back to", file=self._path)
            return self._swap(lambda: previous)

    def stop(self) -> None:
        """Stop watching, wait for a load in progress, and cancel pending `changed()`. Idempotent."""
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.stop()
        self._channel.close()

    def __enter__(self) -> Self:
        self.spawn_watcher()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    def _on_change(self) -> None:
        """The file may be another one: load it unless these very bytes have been considered before."""
        with self._loading:
            try:
                found = self._engine.files(self._path).sha256
                if found != self._considered:
                    self._swap(self._load)
                elif found == self._engine.model.sha256:
                    self.last_error = None  # the file had gone, and came back
            except AxonError as error:
                self.last_error = error
            except Exception as error:  # noqa: BLE001 (`emit` is foreign; the watcher outlives it, and last_error tells)
                self.last_error = ModelError(f"the reload failed: {error!r}", file=self._path)

    def _load(self) -> PreparedModel:
        self._considered = self._engine.files(self._path).sha256
        prepared = self._engine.prepare(self._path)
        self._considered = prepared.files.sha256
        return prepared

    def _swap(self, prepare: Callable[[], PreparedModel]) -> ModelVersion:
        try:
            prepared = prepare()
        except AxonError as error:
            self.last_error = error
            self._emit(ModelRefused(at=self._clock.now(), name=self._engine.model.name, reason=error.message))
            raise
        before = self._engine.prepared
        model = self._engine.serve(prepared)
        self._previous = before
        self.last_error = None
        self._channel.publish(model)
        self._emit(ModelLoaded(at=self._clock.now(), model=model.identity))
        return model


def _ignore(_: Event) -> None:
    """Where nobody listens."""
