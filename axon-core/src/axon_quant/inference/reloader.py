"""Replaces a serving model when its files change, without stopping its readers.

    watch → debounce → hash → build → check → warm → golden vectors → swap → keep the old one → tell

Everything up to the swap happens in a thread that gives way to the callers (see `quiet`); the swap is one attribute
store, so no caller waits for a lock and none can see two versions mixed. The version before stays built, as what
`rollback` goes back to; older ones are taken down in a thread of their own (see `retiring`).

The SHA-256 is of the very bytes that were loaded: the files are hashed before and after the build and must not have
been written in between, which their ctime shows. There is no private copy of them: it would need the model's size on
disk once more, and say nothing that the two hashes do not.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeAlias

from axon_quant.clock import Clock, LiveClock
from axon_quant.errors import AxonError, ConfigError, ModelCheckError, ModelError, ModelLoadError
from axon_quant.events import Emit, Event, ModelLoaded, ModelRefused
from axon_quant.inference.backend import Backend, ModelVersion, PreparedModel
from axon_quant.inference.checks import describe
from axon_quant.inference.checksums import Checksums
from axon_quant.inference.config import ModelConfig
from axon_quant.inference.file_stamp import stamps
from axon_quant.inference.file_watcher import FileWatcher
from axon_quant.inference.files import ModelFiles
from axon_quant.inference.golden import GoldenVectors
from axon_quant.inference.pausing import pause
from axon_quant.inference.quiet import QuietBuilder
from axon_quant.inference.retiring import Janitor
from axon_quant.inference.watch import Receiver, WatchChannel

if TYPE_CHECKING:
    from axon_quant.inference.store import ModelStore

logger = logging.getLogger("axon_quant.reload")

Check: TypeAlias = Callable[[PreparedModel], object]
"""Looks at a new version before it serves; raises ModelCheckError (or another AxonError) to refuse it."""

RunSwap: TypeAlias = Callable[[Callable[[], None]], object]
"""Calls what it is given, now or later, in a thread of its choice."""


class ModelHotReloader:
    """Watches the files of a loaded `engine` and swaps in what is written there.

    A change is taken up when the files have been left alone for `debounce` seconds: the file itself, its side files,
    and `NAME.sha256`, which pins the next version when it is there (see `Checksums`). Bytes that serve already, or were
    refused before, are not loaded again. A version that is refused changes nothing but `last_error`: the log, a
    ModelRefused event and the run's metrics say why, and the old version serves.

    Before it serves a version must pass the engine's own checks; have the window, the number of outputs and the actions
    of the version that serves; declare the feature schema `schema_sha256` (default: that of the version that serves, if
    it declares one) unless `any_schema`; answer the `golden` vectors (or those in that file, read once); and pass
    `checks`. Writers should replace a file atomically (`os.replace`), and pin a model of several files.

    With a `store`, bytes that it knows are built by the plan they had before, and must answer the golden vectors that
    are known of them. Without, and for new bytes, a backend that has something to choose chooses again only if the
    network is another one than that of the version before: new weights are built as the old ones were.

    `quiet=False` loads in a plain thread. `swap_in` runs the swap itself (default: at once, in the thread that loaded);
    a run hands it to its loop. `emit` receives ModelLoaded, where the swap ran, and ModelRefused, where the model was
    loaded, both stamped by `clock`. A context manager, sync or async: enter starts the watcher, exit stops it. `reload`
    and `rollback` may be called from any thread, watching or not.

    Raises ConfigError if `config` is not the engine's, ModelError if the engine has nothing loaded, ModelLoadError for
    a file that holds no golden vectors.
    """

    def __init__(
        self,
        engine: Backend,
        config: ModelConfig,
        *,
        debounce: float = 0.5,
        golden: GoldenVectors | str | Path | None = None,
        checks: Sequence[Check] = (),
        store: ModelStore | None = None,
        schema_sha256: str | None = None,
        any_schema: bool = False,
        quiet: bool = True,
        emit: Emit | None = None,
        clock: Clock | None = None,
        swap_in: RunSwap | None = None,
    ) -> None:
        if config != engine.config:
            raise ConfigError("the reloader was given another configuration than its engine has", file=config.path)
        if not 0 <= debounce < float("inf"):
            raise ConfigError(f"debounce must be seconds of at least 0, got {debounce}", file=config.path)
        self.last_error: AxonError | None = None
        self._engine = engine
        self._path = config.path
        self._debounce = debounce
        self._store = store
        self._schema_sha256 = schema_sha256
        self._checks: list[Check] = [self._check_interface, *([] if any_schema else [self._check_schema])]
        if golden is not None:
            self._checks.append((golden if isinstance(golden, GoldenVectors) else GoldenVectors.load(golden)).check)
        self._checks += checks
        self._builder = QuietBuilder() if quiet else None
        self._emit: Emit = emit or _ignore
        self._clock: Clock = clock or LiveClock()
        self._swap_in: RunSwap = swap_in or _at_once
        self._channel = WatchChannel(engine.model)
        self._janitor = Janitor()
        self._loading = threading.Lock()  # one build at a time
        self._swapping = threading.RLock()  # never held for long; an `emit` may roll back
        self._previous: PreparedModel | None = None
        self._rollbacks = 0
        self._verdict = _Verdict(engine.model.sha256)
        self._stopped = threading.Event()
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
            self._stopped.clear()
            self._watcher = FileWatcher(self._files, self._debounce, self._on_change)

    def reload(self) -> ModelVersion:
        """Load the files now, changed or not, and return when they serve. Raises what `Backend.load` and the checks
        raise; see `last_error`.
        """
        with self._loading:
            return self._load(self._look_again)

    def rollback(self) -> ModelVersion:
        """Let the version before this one serve again, under a new number; a second call undoes the first.

        Nothing is read or built, and a load in progress is given up. The files are left as they are, and are not taken
        up again until they change. Raises ModelError if there is no version before.
        """
        with self._swapping:
            if self._previous is None:
                raise ModelError("there is no version to roll back to", file=self._path)
            self._rollbacks += 1
            return self._serve(self._previous)

    def stop(self) -> None:
        """Stop watching, wait for a load in progress, and cancel pending `changed()`. Idempotent."""
        self._stopped.set()
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.stop()
        self._janitor.close()
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

    # The watcher's thread.

    def _files(self) -> list[Path]:
        """What to watch."""
        try:
            sides = self._engine.side_files(self._path)
        except (AxonError, OSError):
            sides = self._engine.prepared.files.sides  # it is away or damaged; what is looked for may come back
        return [self._path, Checksums.beside(self._path), *sides]

    def _on_change(self) -> None:
        """The files may be others."""
        with self._loading:
            try:
                self._load(self._look)
            except AxonError:
                pass  # said by `_load`
            except Exception as error:
                self._remember(ModelError(f"the reload failed: {error!r}", file=self._path))
                logger.exception("model %s: the reload failed", self._engine.config.name)

    def _load(self, look: Callable[[], _Found | None]) -> ModelVersion:
        """Build what is there and let it serve; the serving version where there is nothing new.

        What is refused raises, after everybody has been told.
        """
        name, began, rollbacks = self._engine.config.name, perf_counter(), self._rollbacks
        found: list[_Found] = []

        def build() -> PreparedModel | None:
            new = look()
            if new is None:
                return None
            found.append(new)
            return self._build(new)

        try:
            prepared = build() if self._builder is None else self._builder.run(build, f"axon-load-{name}")
            if prepared is None:
                self.last_error = self._verdict.refusal
                return self._engine.model
            model = self._swap(prepared, rollbacks)
        except AxonError as error:
            self._remember(error)
            logger.warning("model %s: version %d keeps serving: %s", name, self.version, error)
            if found:
                self._emit(ModelRefused(at=self._clock.now(), name=name, reason=error.message))
            raise
        self.last_error = None
        logger.info(
            "model %s: version %s serves, sha256 %s, ready in %.3f s", name, model, model.sha256, perf_counter() - began
        )
        return model

    def _remember(self, error: AxonError) -> None:
        """Keep an error without the frames it came through, which hold the model that was refused."""
        cause: BaseException | None = error
        while cause is not None:
            traceback.clear_frames(cause.__traceback__)
            cause = cause.__cause__ or cause.__context__
        self.last_error = error

    # The building thread.

    def _look(self) -> _Found | None:
        """What is in the files, if that is neither what serves nor what was considered before."""
        found = self._look_again()
        sha256, verdict = found.files.sha256, self._verdict
        if sha256 == verdict.sha256 and (verdict.refusal is None or found.pin == verdict.pin):
            return None
        if sha256 == self._engine.model.sha256:
            self._verdict = _Verdict(sha256)
            return None
        return found

    def _look_again(self) -> _Found:
        """What is in the files. Raises ModelLoadError if they are away."""
        problem: AxonError | None = None
        try:
            files = self._engine.files(self._path)
        except ModelLoadError as error:
            files, problem = ModelFiles.at(self._path), error  # it is there, but damaged or without its side files
        try:
            checksums = Checksums.read(self._path)
        except ModelCheckError as error:
            return _Found(files, str(error), error)
        return _Found(files, checksums, problem)

    def _build(self, found: _Found) -> PreparedModel:
        watched = [self._path, *found.files.sides]
        before = stamps(watched)
        try:
            found.check()
            prepared = self._prepare(found.files)
            if prepared.files != found.files or stamps(watched) != before:
                raise ModelLoadError("the files changed while they were loaded", file=self._path)
            for check in self._checks:
                self._apply(check, prepared)
        except AxonError as error:
            if stamps(watched) == before:
                self._verdict = _Verdict(found.files.sha256, found.pin, error)
            raise
        self._verdict = _Verdict(prepared.files.sha256)
        return prepared

    def _prepare(self, files: ModelFiles) -> PreparedModel:
        if self._store is None:
            return self._engine.prepare(self._path, files=files)
        return self._store.prepare(self._engine, self._path, files=files)

    def _apply(self, check: Check, prepared: PreparedModel) -> None:
        try:
            check(prepared)
        except AxonError as error:
            error.file = error.file or str(self._path)
            raise
        except Exception as error:  # a check is foreign; whatever it raises, this model is refused
            raise ModelCheckError(f"a check failed: {error!r}", file=self._path) from error
        pause()

    def _check_interface(self, prepared: PreparedModel) -> None:
        """Whoever calls the engine prepared for the window and the actions of the version that serves."""
        spec, serving = prepared.spec, self._engine.model
        for what, found, expected in (
            ("window", describe(spec.input_shape[1:]), describe(serving.input_shape[1:])),
            ("outputs", spec.output_dim, serving.output_dim),
            ("actions", list(spec.actions), list(serving.actions)),
        ):
            if found != expected:
                raise ModelCheckError(
                    f"{what}: the version that serves has {expected}, found {found}",
                    file=self._path,
                    hint="load it into an engine of its own",
                )

    def _check_schema(self, prepared: PreparedModel) -> None:
        expected = self._schema_sha256 or self._engine.model.schema_sha256
        found = prepared.session.schema_sha256
        if expected is not None and found != expected:
            raise ModelCheckError(
                f"feature schema: expected sha256 {expected}, found {found or 'none declared'}",
                file=self._path,
                hint="it was trained on other features; any_schema=True lets it serve all the same",
            )

    # Wherever `swap_in` runs it.

    def _swap(self, prepared: PreparedModel, rollbacks: int) -> ModelVersion:
        """Have the swap run, and wait for it. Raises ModelError when a rollback or the end came first."""
        swapped: Future[ModelVersion] = Future()

        def swap() -> None:
            if not swapped.set_running_or_notify_cancel():
                return
            try:
                with self._swapping:
                    if self._rollbacks != rollbacks:
                        raise ModelError("it was given up, because of a rollback", file=self._path)
                    swapped.set_result(self._serve(prepared))
            except Exception as error:  # noqa: BLE001 (raised again, where it is waited for)
                swapped.set_exception(error)

        self._swap_in(swap)
        while True:
            try:
                return swapped.result(timeout=0.1)
            except FutureTimeoutError:
                if self._stopped.is_set() and swapped.cancel():
                    raise ModelError("it came too late: the reloader was stopped", file=self._path) from None

    def _serve(self, prepared: PreparedModel) -> ModelVersion:
        before, retired = self._engine.prepared, self._previous
        model = self._engine.serve(prepared)
        self._previous = before
        self.last_error = None
        if retired is not None and retired is not prepared:
            self._janitor.retire(retired)
        self._channel.publish(model)
        self._emit(ModelLoaded(at=self._clock.now(), model=model.identity))
        return model


class _Found:
    """What is on disk. `pin` is what must be there (where it cannot be read: why), `problem` why it cannot serve."""

    def __init__(self, files: ModelFiles, pin: Checksums | str | None, problem: AxonError | None) -> None:
        self.files = files
        self.pin = pin
        self.problem = problem

    def check(self) -> None:
        """Raise what speaks against building it."""
        if self.problem is not None:
            raise self.problem
        if isinstance(self.pin, Checksums):
            self.pin.check(self.files)


class _Verdict:
    """What became of the bytes that were looked at last, under which pin; `refusal` is None if they served."""

    def __init__(self, sha256: str, pin: Checksums | str | None = None, refusal: AxonError | None = None) -> None:
        self.sha256 = sha256
        self.pin = pin
        self.refusal = refusal


def _ignore(_: Event) -> None:
    """Where nobody listens."""


def _at_once(swap: Callable[[], None]) -> None:
    swap()
