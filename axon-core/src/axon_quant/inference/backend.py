"""A serving model: loaded, checked, warmed, and replaced without stopping its readers."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import exp, isfinite
from pathlib import Path
from typing import ClassVar

import numpy as np
from msgspec import Struct

from axon_quant.clock import Clock, LiveClock
from axon_quant.errors import AxonError, ModelError, ModelInputError, ModelLoadError, UnsupportedError
from axon_quant.inference.action import Action
from axon_quant.inference.batch import LARGEST, BatchCheck, BatchResult, answer, check_batches, check_largest, report
from axon_quant.inference.checks import ModelSpec, check_pin, check_plan, check_session, warm
from axon_quant.inference.config import Device, ModelConfig
from axon_quant.inference.files import ModelFiles
from axon_quant.inference.guards import FLOAT32, admit, admit_one, failed, not_finite, refuse_unless_finite
from axon_quant.inference.pausing import pause
from axon_quant.inference.session import FloatArray, Session
from axon_quant.provenance import ModelIdentity

LISTED = 64
"""Numbers up to which summing up a list is the quicker way to see whether all are finite."""


class ModelVersion(Struct, frozen=True):
    """What serves, or served. `number` counts up within a backend, and is also its `str()`.

    `identity` is what events and decisions carry of it. `sha256` and `files` are those of `ModelFiles`. `device` is
    where it really runs and `plan` how; `input_shape` is (batch, …window); `actions` is empty where neither
    configuration nor model names the outputs; `loaded_at` is in UTC nanoseconds.
    """

    identity: ModelIdentity
    path: Path
    files: Mapping[str, str]
    plan: Mapping[str, str]
    device: Device
    loaded_at: int
    input_shape: tuple[int, ...]
    output_dim: int
    actions: tuple[str, ...]
    schema_sha256: str | None

    @property
    def number(self) -> int:
        return self.identity.number

    @property
    def name(self) -> str:
        return self.identity.name

    @property
    def sha256(self) -> str:
        return self.identity.sha256

    def __str__(self) -> str:
        return str(self.number)


class PreparedModel(Struct, frozen=True, eq=False):
    """A model that was built, checked and warmed, and does not serve yet: `Backend.serve` lets it."""

    session: Session
    files: ModelFiles
    spec: ModelSpec


class _Serving:
    """Everything one call needs, in one object: a reader loads it once, so it can never see two versions mixed."""

    __slots__ = ("batch_checks", "batch_shape", "model", "prepared", "run", "window")

    def __init__(self, prepared: PreparedModel, model: ModelVersion) -> None:
        self.prepared = prepared
        self.run = prepared.session.run
        self.model = model
        self.window = model.input_shape[1:]
        self.batch_shape = (1, *self.window)
        self.batch_checks: dict[int, BatchCheck | None] = {}
        """By their largest batch; None while it is being made."""

    def check_batches(self, largest: int) -> BatchCheck:
        """The check of this version, made on first demand."""
        check = self.batch_checks.get(largest)
        if check is None:
            check = self.batch_checks[largest] = check_batches(self.prepared.session, self.window, largest)
            report(check, self.model.name, self.model.number)
        return check

    def check_batches_aside(self, largest: int) -> BatchCheck | None:
        """The same, but made in a thread of its own: None until it is there."""
        if largest not in self.batch_checks:
            self.batch_checks[largest] = None
            threading.Thread(
                target=self.check_batches, args=(largest,), name=f"check-batches-{self.model.name}", daemon=True
            ).start()
        return self.batch_checks[largest]


class Backend(ABC):
    """Serves one model. A plugin writes `build_session`, and `side_files` and `rebuild_session` where it has to say
    more; everything else is here.

    `infer` and `predict` take no lock and may run in any thread while another one loads. Inputs and outputs that are
    not finite are refused, because a network can turn NaN into a plausible score.
    """

    kind: ClassVar[str] = "backend"
    """The plugin's name, for errors."""

    def __init__(self, config: ModelConfig, *, clock: Clock | None = None) -> None:
        self.config = config
        self._clock: Clock = clock or LiveClock()
        self._building = threading.Lock()
        self._swapping = threading.Lock()
        self._serving: _Serving | None = None
        self.expected: ModelFiles | None = None
        """While `prepare` builds a session: the bytes it must be built from. For those that read a copy of them."""

    @abstractmethod
    def build_session(self, path: Path) -> Session:
        """Load the file. Raises ModelLoadError or DeviceError; anything else it raises becomes a ModelLoadError."""

    def side_files(self, path: Path) -> Sequence[Path]:  # noqa: ARG002 (for those that have some)
        """The files that belong to the model in `path`, as they are there now: its weights or its settings beside it.

        They stand in the same folder or below it, and count for the model's SHA-256. Raises ModelLoadError where the
        model cannot be read.
        """
        return ()

    def rebuild_session(self, path: Path, plan: Mapping[str, str]) -> Session:  # noqa: ARG002 (likewise)
        """Load the file so that it computes as `plan` says. Override it where `build_session` has something to choose.

        A session whose plan then differs is refused. Raises as `build_session` does.
        """
        return self.build_session(path)

    def bare(self, path: Path) -> Callable[[FloatArray], object]:  # noqa: ARG002 (for those that have one)
        """The runtime alone on this model, as its own documentation calls it: what a benchmark compares `infer` with.

        Raises UnsupportedError where there is no such thing.
        """
        raise UnsupportedError("there is no bare runtime to compare with", plugin=self.kind)

    @classmethod
    def builtin(cls, name: str, feature_names: Sequence[str] | None = None) -> Path:
        """The file of a model that the backend builds by code. Raises UnsupportedError where it has none."""
        raise UnsupportedError(f"there is no built-in model {name!r} with {feature_names=}", plugin=cls.kind)

    @property
    def version(self) -> int:
        """Number of the serving version; 0 before the first load."""
        serving = self._serving
        return 0 if serving is None else serving.model.number

    @property
    def model(self) -> ModelVersion:
        """What serves. Raises ModelError before the first load."""
        return self._ready().model

    @property
    def session(self) -> Session:
        """The session that serves. Raises ModelError before the first load."""
        return self.prepared.session

    @property
    def prepared(self) -> PreparedModel:
        """What serves, as it can be given to `serve` again. Raises ModelError before the first load."""
        return self._ready().prepared

    def load(self, path: str | Path | None = None, *, plan: Mapping[str, str] | None = None) -> ModelVersion:
        """Build the model of `path` (default: the configuration's), check it, warm it and let it serve.

        The SHA-256 is of the very bytes that were loaded. With `plan`, that of an earlier version, nothing is chosen
        anew. Raises ModelLoadError, ModelCheckError or DeviceError with the path; the model before it then keeps
        serving.
        """
        return self.serve(self.prepare(path, plan=plan))

    def prepare(
        self,
        path: str | Path | None = None,
        *,
        plan: Mapping[str, str] | None = None,
        files: ModelFiles | None = None,
        exact: bool = True,
    ) -> PreparedModel:
        """The first part of `load`: everything but the swap. Raises as it does.

        `files` is what `files(path)` has just found, where the caller knows: it must still be so after the build. With
        `exact=False` the plan is followed as far as it can be here, as by another version of the runtime.
        """
        path = self.config.path if path is None else Path(path)
        with self._building:
            files = self.files(path) if files is None else files
            check_pin(self.config, path, files.sha256)  # before the build, because some formats hold code
            self.expected = files
            try:
                session = self._build(path, plan, exact)
            finally:
                self.expected = None
            pause()
            if self.files(path) != files:
                raise ModelLoadError("the file changed while it was loaded", file=path, hint="replace it atomically")
            return PreparedModel(session, files, self._check(session, path))

    def serve(self, prepared: PreparedModel) -> ModelVersion:
        """Let a prepared model serve from the next call on, as a new version."""
        session, files, spec = prepared.session, prepared.files, prepared.spec
        with self._swapping:
            model = ModelVersion(
                identity=ModelIdentity(self.config.name, self.version + 1, files.sha256),
                path=files.path,
                files=files.sha256_by_name,
                plan=dict(session.plan),
                device=session.device,
                loaded_at=self._clock.now(),
                input_shape=spec.input_shape,
                output_dim=spec.output_dim,
                actions=spec.actions,
                schema_sha256=session.schema_sha256,
            )
            self._serving = _Serving(prepared, model)
        return model

    def replace_session(self, session: Session, *, files: ModelFiles | None = None) -> ModelVersion:
        """Check a session, warm it and let it serve from the next call on.

        `files` says what it was built from (default: what is at the configuration's path now). Raises ModelCheckError;
        the model before it then keeps serving.
        """
        files = self.files(self.config.path) if files is None else files
        check_pin(self.config, files.path, files.sha256)
        return self.serve(PreparedModel(session, files, self._check(session, files.path)))

    def files(self, path: Path) -> ModelFiles:
        """Which bytes the model in `path` is made of, now. Raises ModelLoadError if they cannot be read."""
        try:
            sides = self.side_files(path)
        except AxonError as error:
            error.file = error.file or str(path)
            raise
        except Exception as error:  # as in _build
            raise ModelLoadError(f"the model cannot be read: {error}", plugin=self.kind, file=path) from error
        pause()
        return ModelFiles.at(path, sides)

    def infer(self, x: FloatArray) -> FloatArray:
        """Raw scores: `[batch, …window]` float32 → `[batch, output_dim]` float32, owned by the caller.

        Raises ModelInputError for another shape, dtype or non-finite numbers, ModelError for non-finite scores and
        for whatever the runtime raises.
        """
        serving = self._serving
        if serving is None or type(x) is not np.ndarray or x.shape != serving.batch_shape or x.dtype is not FLOAT32:
            serving, x = self._admit(x)
        # Half the cost of np.isfinite and less; vdot, unlike dot, does not warn where a square overflows.
        if not isfinite(sum(x.ravel().tolist()) if x.size <= LISTED else np.vdot(x, x)):
            refuse_unless_finite(x)
        try:
            y = serving.run(x)
        except AxonError:
            raise
        except Exception as error:
            raise failed(serving.model.path, error) from error
        if not isfinite(sum(y.ravel().tolist())):
            raise not_finite(serving.model.path, y)
        return y

    def score(self, observation: FloatArray) -> tuple[ModelVersion, list[float]]:
        """Raw scores of one window, `[…window]` or `[1, …window]` float32, and the model version that gave them.

        Raises as `infer` does.
        """
        serving = self._serving
        if (
            serving is None
            or type(observation) is not np.ndarray
            or observation.shape != serving.batch_shape
            or observation.dtype is not FLOAT32
        ):
            serving, observation = self._admit_one(observation)
        x = observation
        if not isfinite(sum(x.ravel().tolist()) if x.size <= LISTED else np.vdot(x, x)):
            refuse_unless_finite(x)
        try:
            y = serving.run(x)
        except AxonError:
            raise
        except Exception as error:
            raise failed(serving.model.path, error) from error
        scores: list[float] = y.tolist()[0]
        if not isfinite(sum(scores)):
            raise not_finite(serving.model.path, y)
        return serving.model, scores

    def gradient(self, x: FloatArray, output: int) -> FloatArray:
        """The gradient of score `output` by its own row: `[batch, …window]` float32 → the same shape, for explanations.

        Raises UnsupportedError where the session has no `gradient(x, output)` or the model none, and otherwise as
        `infer` does.
        """
        serving, x = self._admit(x)
        refuse_unless_finite(x)
        differentiate = getattr(serving.prepared.session, "gradient", None)
        if differentiate is None:
            raise UnsupportedError("it offers no gradients", plugin=self.kind)
        try:
            slope: FloatArray = differentiate(x, output)
        except AxonError:
            raise
        except Exception as error:
            raise failed(serving.model.path, error) from error
        if not np.isfinite(slope).all():
            raise ModelError("the gradient is not finite", file=serving.model.path)
        return slope

    def predict(self, observation: FloatArray) -> Action:
        """The action for one window, `[…window]` or `[1, …window]` float32; see `decide`.

        Raises as `infer` does, and ModelError for a model whose outputs have no names.
        """
        return decide(*self.score(observation))

    def infer_batch(self, windows: Iterable[FloatArray], *, largest: int = LARGEST, wait: bool = True) -> BatchResult:
        """Scores of many windows, each `[…window]` or `[1, …window]` float32, or all as one array `[n, …window]`.

        There is one answer for each, all by one model version. A window that `infer` would refuse, or whose scores it
        would, has that error for its answer, and the others have their scores. They go through the model in batches of
        up to `largest`, if `check_batches` finds that this version may be batched, else one by one. With `wait=False`
        the windows do not wait for that check: it is made in a thread, and until then they go one by one.

        Raises ModelError before the first load, ModelInputError for `windows` that are no sequence of them, ValueError
        unless `largest` is at least 1.
        """
        serving = self._ready()
        check_largest(largest)
        if not isinstance(windows, Iterable) or (isinstance(windows, np.ndarray) and windows.ndim == 0):
            raise ModelInputError(f"windows: expected a sequence of arrays, found {type(windows).__name__}")
        check = serving.check_batches(largest) if wait else serving.check_batches_aside(largest)
        batched = check is not None and check.passed
        answers = answer(serving.run, serving.window, serving.model.path, windows, largest if batched else 1)
        return BatchResult(serving.model, answers, batched)

    def check_batches(self, largest: int = LARGEST) -> BatchCheck:
        """Whether batches of up to `largest` windows give each what it gets alone; made once for each version.

        Raises ModelError before the first load, ValueError unless `largest` is at least 1.
        """
        check_largest(largest)
        return self._ready().check_batches(largest)

    def _ready(self) -> _Serving:
        serving = self._serving
        if serving is None:
            raise ModelError("no model is loaded", file=self.config.path, hint="call load() first")
        return serving

    def _admit(self, x: object) -> tuple[_Serving, FloatArray]:
        """The slow way in: another batch size passes, everything else is refused by name."""
        serving = self._ready()
        return serving, admit(x, serving.window)

    def _admit_one(self, observation: FloatArray) -> tuple[_Serving, FloatArray]:
        """One window without its batch dimension passes; everything else as in `_admit`."""
        serving = self._ready()
        return serving, admit_one(observation, serving.window)

    def _build(self, path: Path, plan: Mapping[str, str] | None, exact: bool) -> Session:
        try:
            if plan is None:
                return self.build_session(path)
            session = self.rebuild_session(path, plan)
            if exact:
                check_plan(session, plan, path)
            return session
        except AxonError as error:
            error.file = error.file or str(path)
            raise
        except Exception as error:  # a plugin's runtime raises what it likes; whatever it is, this model is refused
            raise ModelLoadError(f"the model cannot be loaded: {error}", plugin=self.kind, file=path) from error

    def _check(self, session: Session, path: Path) -> ModelSpec:
        try:
            spec = check_session(session, self.config, path)
            pause()
            warm(session, spec)
            pause()
        except AxonError as error:
            error.file = error.file or str(path)
            raise
        except Exception as error:  # as in _build
            raise ModelLoadError(f"the model cannot run: {error}", plugin=self.kind, file=path) from error
        return spec


def decide(model: ModelVersion, scores: Sequence[float]) -> Action:
    """The action with the highest score, of equals `hold` if it is among them, else the first.

    Its confidence is its share in the softmax of the scores. Raises ModelError for a model whose outputs have no names.
    """
    best = max(scores)
    total = 0.0
    for score in scores:
        total += exp(score - best)
    actions = model.actions
    if not actions:
        raise ModelError(f"the {len(scores)} outputs have no names", file=model.path, hint="set actions, or call infer")
    index = scores.index(best)
    if scores.count(best) > 1 and "hold" in actions:
        hold = actions.index("hold")
        index = hold if scores[hold] == best else index
    identity = model.identity
    return Action(actions[index], index, 1.0 / total, tuple(scores), identity.number, (), (identity,))
