"""The store: add, find, promote, roll back, load, prune."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs

from axon_quant.clock import Clock, LiveClock
from axon_quant.errors import ModelCheckError, ModelError, ModelLoadError, SchemaMismatchError
from axon_quant.inference.backend import Backend, PreparedModel
from axon_quant.inference.config import InferenceBackend, ModelConfig
from axon_quant.inference.files import ModelFiles
from axon_quant.inference.golden import GoldenVectors
from axon_quant.inference.session import FloatArray
from axon_quant.inference.store.history import Action, Change, History, Line
from axon_quant.inference.store.locking import locked
from axon_quant.inference.store.machine import this_machine
from axon_quant.inference.store.objects import Objects
from axon_quant.inference.store.records import MANIFEST, StoredModel, StoredPlan, read_manifest
from axon_quant.observation import FeatureSchema
from axon_quant.plugins import load_backend

logger = logging.getLogger("axon_quant.store")

_REFERENCE = re.compile(r"(?P<name>.+)@(?:(?P<label>production|previous|latest)|(?P<number>[1-9][0-9]{0,8}))")
_PREFIX = re.compile(r"[0-9a-f]{8,64}")


class ModelStore:
    """Every version of every model, by the SHA-256 of `ModelFiles`, in a folder that several processes may share.

    A version is a read-only copy of the very bytes, with what is known of it: its plan per kind of machine, its feature
    schema, its golden vectors and a background sample. Versions are listed by the model's name in the order they were
    added, and one of each name may be *in production*. Nothing is on disk before the first `add`.

    Errors: ModelLoadError for a version that is not there or a record that cannot be read, ModelCheckError for damaged
    bytes, and ModelError where the disk refuses.
    """

    def __init__(self, folder: str | Path, *, clock: Clock | None = None) -> None:
        self.folder = Path(folder).absolute()
        self._clock: Clock = clock or LiveClock()
        self._lock = self.folder / "lock"
        self._objects = Objects(self.folder, self._lock)
        self._history = History(self.folder / "history.jsonl")

    # What is there.

    def names(self) -> tuple[str, ...]:
        """Of the models, in the order they came."""
        return tuple(name for name, line in self._history.lines().items() if line.versions)

    def versions(self, name: str) -> tuple[str, ...]:
        """The SHA-256s under a name, in the order they were added."""
        return self._line(name).versions

    def production(self, name: str) -> tuple[str, ...]:
        """The SHA-256 in production under a name, after those that rollbacks would go back to."""
        return self._line(name).production

    def list(self, name: str) -> tuple[StoredModel, ...]:
        """The versions under a name, in the order they were added."""
        return tuple(self.get(sha256) for sha256 in self.versions(name))

    def find(self, sha256: str) -> StoredModel | None:
        """The version of these bytes, if it is there."""
        folder = self._objects.at(sha256)
        if re.fullmatch(r"[0-9a-f]{64}", sha256) is None or not folder.is_dir():
            return None
        names = tuple(name for name, line in self._history.lines().items() if sha256 in line.versions)
        return StoredModel(sha256, folder, names, read_manifest(folder))

    def get(self, sha256: str) -> StoredModel:
        """The version whose SHA-256 is `sha256`, or begins with it: at least eight digits, and only one may."""
        matching = self._objects.matching(sha256) if _PREFIX.fullmatch(sha256) else []
        stored = self.find(matching[0]) if len(matching) == 1 else None
        if stored is None:
            several = f"several versions in the store begin with {sha256}: {', '.join(matching)}"
            raise ModelLoadError(
                several if matching else f"there is no version {sha256} in the store",
                file=self.folder,
                hint="axon models list shows what there is",
            )
        return stored

    def resolve(self, reference: str) -> StoredModel:
        """The version that is meant by `NAME@production`, `NAME@previous`, `NAME@latest`, `NAME@3` or a SHA-256."""
        match = _REFERENCE.fullmatch(reference)
        if match is None:
            return self.get(reference)
        line = self._line(match["name"])
        if match["number"]:
            wanted = line.versions[int(match["number"]) - 1 :][:1]
        else:
            wanted = {
                "production": line.production[-1:],
                "previous": line.production[-2:-1],
                "latest": line.versions[-1:],
            }[match["label"]]
        if not wanted:
            raise ModelLoadError(
                f"there is no {reference} in the store", file=self.folder, hint="axon models list shows what there is"
            )
        return self.get(wanted[0])

    def path(self, stored: StoredModel) -> Path:
        """The file to load a version from; nobody may write to it."""
        return stored.path

    def verify(self, sha256: str) -> StoredModel:
        """Read every byte of a version again. Raises ModelCheckError that names the file which is damaged."""
        stored = self.get(sha256)
        stored.verify()
        return stored

    # Adding.

    def add(
        self,
        files: ModelFiles,
        *,
        name: str,
        backend: str,
        source: str = "",
        schema: FeatureSchema | None = None,
        golden: GoldenVectors | None = None,
        background: FloatArray | None = None,
    ) -> StoredModel:
        """Keep a copy of `files` under `name`. What is there already is not copied again, but mended if it is damaged.

        `golden` and `background` replace what was recorded; a version has one `schema`. Raises ModelLoadError if the
        files have changed since `files` was made, and SchemaMismatchError if the version was added with another schema.
        """
        if not name.isprintable() or not name.strip():
            raise ModelError(f"a model's name is printable text, got {name!r}", file=files.path)
        sha256 = files.sha256
        with self._writing(), ExitStack() as stack:
            self._objects.create()
            staged, there = None, self._objects.at(sha256).is_dir()
            if not there or not self._is_whole(sha256):
                staged = stack.enter_context(
                    self._objects.staged(files, backend=str(backend), added=self._clock.now(), source=source)
                )
            stack.enter_context(locked(self._lock))
            if staged is not None and not (self._objects.at(sha256).is_dir() and (not there or self._is_whole(sha256))):
                self._objects.place(staged, sha256)  # and nobody else was quicker
            stored = self.get(sha256)
            self._record(stored, schema, golden, background)
            if name not in stored.names:
                self._append("added", name, sha256, source)
            return self.get(sha256)

    def put(
        self,
        prepared: PreparedModel,
        config: ModelConfig,
        *,
        name: str | None = None,
        source: str = "",
        schema: FeatureSchema | None = None,
        golden: GoldenVectors | None = None,
        background: FloatArray | None = None,
    ) -> StoredModel:
        """Keep a model that was built and checked, with its plan, under `name` (default: the configuration's).

        A version without golden vectors gets some, recorded from seeded noise; those given must be answered. Raises as
        `add` does, ModelCheckError for golden vectors that are not answered, and SchemaMismatchError for a model that
        does not take `schema`.
        """
        if schema is not None:
            shape, declared = prepared.spec.input_shape, prepared.session.schema_sha256
            schema.require(shape, model=config.name, sha256=declared)
        if golden is not None:
            golden.check(prepared)
        stored = self.add(
            prepared.files,
            name=name or config.name,
            backend=config.backend,
            source=source or str(prepared.files.path),
            schema=schema,
            golden=golden,
            background=background,
        )
        with self._writing(), locked(self._lock):
            self._record_plan(stored, prepared, config)
            known = stored.golden
            if known is None:
                stored.write_golden(GoldenVectors.record(prepared))
            else:
                known.check(prepared)
        return stored

    # Running.

    def plan_for(
        self, stored: StoredModel, config: ModelConfig, *, any_machine: bool = False
    ) -> Mapping[str, str] | None:
        """How this version was computed here when it was asked for as in `config`; None if it never was.

        With `any_machine`, how it was computed elsewhere if not here.
        """
        own = this_machine().fingerprint
        suitable = [plan for plan in stored.plans if plan.suits(config)]
        here = [plan.plan for plan in suitable if plan.machine.fingerprint == own]
        if here or not any_machine:
            return here[-1] if here else None
        return suitable[-1].plan if suitable else None

    def prepare(
        self, backend: Backend, path: str | Path | None = None, *, files: ModelFiles | None = None
    ) -> PreparedModel:
        """`Backend.prepare` for bytes that may be known: by their plan, and held to their golden vectors.

        A plan that cannot be kept to here any more, because the runtime is another one, is made anew. Raises as
        `Backend.prepare` does.
        """
        path = backend.config.path if path is None else Path(path)
        files = backend.files(path) if files is None else files
        known = self._undamaged(files.sha256)
        plan = None if known is None else self.plan_for(known, backend.config)
        prepared = _prepare(backend, path, plan, files)
        known = self._undamaged(prepared.files.sha256)
        golden = None if known is None else known.golden
        if golden is not None:
            golden.check(prepared)
        return prepared

    def load(
        self,
        version: str | StoredModel,
        *,
        like: ModelConfig | None = None,
        plan: Mapping[str, str] | None = None,
        trusted: bool = False,
    ) -> Backend:
        """A backend that serves exactly this version, as it was served before: to replay, to explain, to try.

        `like` says how (default: as it was last); its path and its hash are the version's own. Its plan is `plan`, or
        the one recorded for this machine, or for another one; with none, one is made. A format that holds code must be
        `trusted` here or in `like`, whatever the store says. Raises ModelCheckError for damaged bytes, golden vectors
        that are not answered, and a plan that cannot be kept to; and as `Backend.load` and `load_backend` do.
        """
        stored = self.resolve(version) if isinstance(version, str) else version
        stored.verify()
        config = attrs.evolve(
            like or _as_before(stored),
            path=stored.path,
            backend=InferenceBackend(stored.backend),
            sha256=stored.sha256,
        )
        config = attrs.evolve(config, trusted=config.trusted or trusted)
        engine = load_backend(stored.backend)(config)
        prepared = engine.prepare(plan=plan or self.plan_for(stored, config, any_machine=True))
        golden = stored.golden
        if golden is not None:
            golden.check(prepared)
        engine.serve(prepared)
        return engine

    # The label.

    def current(self, name: str) -> StoredModel | None:
        """The version in production under a name, if there is one."""
        production = self._line(name).production
        return self.get(production[-1]) if production else None

    def previous(self, name: str) -> StoredModel | None:
        """What `rollback` would go back to."""
        production = self._line(name).production
        return self.get(production[-2]) if len(production) > 1 else None

    def promote(self, name: str, version: str, *, source: str = "") -> StoredModel:
        """Let a version, whose bytes are read again, be the one in production under `name`. It may have been added to
        another name. Nothing is loaded: `load` it first where its backend is at hand.
        """
        stored = self.resolve(version)
        stored.verify()
        with self._writing(), locked(self._lock):
            stored = self.get(stored.sha256)  # it could have been pruned
            if self._line(name).production[-1:] != (stored.sha256,):
                self._append("promoted", name, stored.sha256, source)
        return stored

    def rollback(self, name: str, *, source: str = "") -> StoredModel:
        """Let the version that was in production before be so again; the next call goes further back.

        Raises ModelError if there is none.
        """
        with self._writing(), locked(self._lock):
            production = self._line(name).production
            if not production:
                raise ModelError(
                    f"model {name}: no version is in production", file=self.folder, hint="see axon models list"
                )
            if len(production) < 2:
                raise ModelError(f"model {name}: no version was in production before this one", file=self.folder)
            stored = self.verify(production[-2])
            self._append("rolled-back", name, stored.sha256, source)
        return stored

    def history(self, name: str | None = None) -> tuple[Change, ...]:
        """What happened to a name, or to all, oldest first."""
        return tuple(change for change in self._history.read() if name in (None, change.name))

    def prune(self, *, keep: int, name: str | None = None) -> tuple[str, ...]:
        """Remove all but the last `keep` versions of a name, or of each; their SHA-256s.

        What is in production under any name, and what a rollback would go back to, stays. So does what is among the
        last of another name.
        """
        if not keep >= 0:
            raise ValueError(f"keep must be at least 0, got {keep}")
        with self._writing(), locked(self._lock):
            lines = self._history.lines()
            kept = {sha256 for line in lines.values() for sha256 in line.production[-2:]}
            for other, line in lines.items():
                kept.update(line.versions[-keep:] if keep and name in (None, other) else ())
                kept.update(line.versions if name not in (None, other) else ())
            listed = {sha256 for line in lines.values() for sha256 in line.versions}
            orphans = set() if name is not None else set(self._objects.matching("")) - listed
            removed = sorted((listed | orphans) - kept)
            for sha256 in removed:
                for other, line in lines.items():
                    if sha256 in line.versions:
                        self._append("removed", other, sha256)
                if self._objects.at(sha256).is_dir():
                    self._objects.discard(sha256)
        return tuple(removed)

    # Inside.

    def _line(self, name: str) -> Line:
        return self._history.lines().get(name, Line())

    def _append(self, action: Action, name: str, sha256: str, source: str = "") -> None:
        change = Change(at=self._clock.now(), action=action, name=name, sha256=sha256, source=source)
        self._history.append(change)

    def _undamaged(self, sha256: str) -> StoredModel | None:
        """As `find`, but None for a version without a manifest, which the next `add` mends."""
        try:
            return self.find(sha256)
        except ModelLoadError as error:
            if Path(error.file or "").name != MANIFEST:
                raise
            logger.warning("a version in the store is damaged: %s", error)
            return None

    def _is_whole(self, sha256: str) -> bool:
        """Whether the version is there and not damaged."""
        try:
            stored = self.find(sha256)
            if stored is None:
                return False
            stored.verify()
        except (ModelCheckError, ModelLoadError) as error:
            logger.warning("a version in the store is replaced: %s", error)
            return False
        return True

    def _record(
        self,
        stored: StoredModel,
        schema: FeatureSchema | None,
        golden: GoldenVectors | None,
        background: FloatArray | None,
    ) -> None:
        if schema is not None:
            known = stored.schema
            if known is not None and known != schema:
                raise SchemaMismatchError(
                    f"version {stored.sha256[:12]} was added with the schema {known.sha256[:12]}…, "
                    f"the observation has {schema.sha256[:12]}…",
                    file=stored.folder,
                    hint="names, order, normaliser, interval and window must all agree",
                )
            if known is None:
                stored.write_schema(schema)
        if golden is not None:
            stored.write_golden(golden)
        if background is not None:
            stored.write_background(background)

    def _record_plan(self, stored: StoredModel, prepared: PreparedModel, config: ModelConfig) -> None:
        plan = dict(prepared.session.plan)
        if self.plan_for(stored, config) == plan:
            return
        new = StoredPlan(
            machine=this_machine(),
            device=str(config.device),
            fp16=config.fp16,
            num_threads=config.num_threads,
            input_shape=config.input_shape,
            actions=config.actions,
            plan=plan,
            recorded=self._clock.now(),
        )
        stored.write_plans((*stored.plans, new))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            yield
        except OSError as error:
            raise ModelError(
                f"the model store cannot be written: {error.strerror or error}",
                file=error.filename or self.folder,
                hint="check its permissions and the space on its disk",
            ) from error


def _prepare(backend: Backend, path: Path, plan: Mapping[str, str] | None, files: ModelFiles) -> PreparedModel:
    if plan is not None:
        try:
            return backend.prepare(path, plan=plan, files=files)
        except ModelError as error:  # the plan's fault or the model's: the next try tells
            logger.info("model %s: its stored plan is not kept to: %s", backend.config.name, error)
    return backend.prepare(path, files=files)


def _as_before(stored: StoredModel) -> ModelConfig:
    """How the version was asked for last: here if it ever was, else elsewhere."""
    own = this_machine().fingerprint
    plans = sorted(stored.plans, key=lambda plan: plan.machine.fingerprint == own)
    name = stored.names[0] if stored.names else stored.path.stem
    config = ModelConfig(stored.path, InferenceBackend(stored.backend), name=name)
    if not plans:
        return config
    last = plans[-1]
    return attrs.evolve(
        config,
        device=last.device,
        fp16=last.fp16,
        num_threads=last.num_threads,
        input_shape=last.input_shape,
        actions=last.actions,
    )
