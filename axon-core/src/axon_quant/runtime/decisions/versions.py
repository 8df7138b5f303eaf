"""Model versions as a journal names them, loaded again from the stores that may hold them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
from msgspec import Struct, ValidationError, convert

from axon_quant.errors import AxonError, ConfigError, DeviceError, ModelCheckError, ModelLoadError
from axon_quant.inference import Backend, Device, InferenceBackend, ModelConfig, ModelStore
from axon_quant.inference.store import StoredModel
from axon_quant.inference.store.machine import this_machine
from axon_quant.journal.excerpt import run_records
from axon_quant.provenance import ModelIdentity
from axon_quant.runtime.keeping import PLAN_NOTE, archive_folder

logger = logging.getLogger("axon_quant.versions")


class NotedMachine(Struct, frozen=True):
    """The kind of machine, as the note of a plan has it."""

    system: str
    processor: str
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.processor} ({self.system}, {self.fingerprint})"


class NotedPlan(Struct, frozen=True):
    """How a version was asked for and computed in a run, as the run noted it beside the chain."""

    name: str
    number: int
    sha256: str
    store: str | None
    device: str
    fp16: bool
    num_threads: int
    input_shape: tuple[int, ...] | None
    actions: tuple[str, ...] | None
    plan: dict[str, str]
    machine: NotedMachine


def noted_plans(journal: str | Path, run: int) -> tuple[NotedPlan, ...]:
    """The plans that a run noted, in order; none in a journal of an earlier axon."""
    with run_records(journal, run) as records:
        notes = [note for note in records.notes(f'"name":"{PLAN_NOTE}"') if note.name == PLAN_NOTE]
    try:
        return tuple(convert(note.body, NotedPlan) for note in notes)
    except ValidationError:  # beside the chain, anything may stand
        return ()


@attrs.frozen
class Loaded:
    """A version that serves again, and how it was computed then, as far as that is known."""

    backend: Backend
    plan_recorded: Mapping[str, str] | None
    machine_recorded: str


class Versions:
    """Finds versions in `stores`, and loads each as the run that noted `plans` did.

    A format that holds code is only loaded if `trusted`.
    """

    def __init__(self, stores: Sequence[ModelStore], plans: Sequence[NotedPlan], *, trusted: bool = False) -> None:
        self.stores = tuple(stores)
        self._plans = {(plan.name, plan.sha256): plan for plan in plans}
        self._trusted = trusted
        self._loaded: dict[tuple[str, str], Loaded] = {}

    def load(self, model: ModelIdentity) -> Loaded:
        """The version, serving.

        Raises ModelLoadError if no store has it, ModelCheckError if it is damaged, and what loading raises.
        """
        key = (model.name, model.sha256)
        if key not in self._loaded:
            store, stored = self._find(model)
            self._loaded[key] = self._load(store, stored, self._plans.get(key))
        return self._loaded[key]

    def _find(self, model: ModelIdentity) -> tuple[ModelStore, StoredModel]:
        trouble: AxonError | None = None
        for store in self.stores:
            try:
                stored = store.find(model.sha256)
                if stored is not None:
                    stored.verify()
                    return store, stored
            except (ModelCheckError, ModelLoadError) as error:  # another store may have it whole
                trouble = trouble or error
        if trouble is not None:
            raise trouble
        places = ", ".join(str(store.folder) for store in self.stores)
        looked = f"looked in {places}" if places else "and there is none beside the journal"
        raise ModelLoadError(
            f"version {model.sha256} of model {model.name} is in no model store ({looked})",
            hint="name its store with --store, or keep the file with `axon models add`; a run keeps what it serves"
            " with [model_store], or else beside its journal unless [journal] keep_models = false",
        )

    def _load(self, store: ModelStore, stored: StoredModel, noted: NotedPlan | None) -> Loaded:
        if noted is None:
            own = this_machine().fingerprint
            known = [plan for plan in stored.plans if plan.machine.fingerprint == own] or list(stored.plans)
            last = known[-1] if known else None
            plan, machine = (None, "") if last is None else (last.plan, str(last.machine))
            like = None
        else:
            plan, machine, like = noted.plan, str(noted.machine), _config(stored, noted)
        if plan is not None:
            try:
                backend = store.load(stored, like=like, plan=plan, trusted=self._trusted)
                return Loaded(backend, plan, machine)
            except (DeviceError, ModelCheckError, ModelLoadError) as error:  # the plan's fault or the model's
                logger.info("model %s: its recorded plan is not kept to: %s", stored.sha256[:12], error)
        return Loaded(self._nearly(stored, like, plan), plan, machine)

    def _nearly(self, stored: StoredModel, like: ModelConfig | None, plan: Mapping[str, str] | None) -> Backend:
        """The version by its plan as far as that goes here. What is wrong with the model itself comes out again."""
        from axon_quant.plugins import load_backend

        config = like or ModelConfig(stored.path, InferenceBackend(stored.backend))
        config = attrs.evolve(config, path=stored.path, sha256=stored.sha256, trusted=config.trusted or self._trusted)
        backend = load_backend(stored.backend)(config)
        backend.serve(backend.prepare(plan=plan, exact=False))
        return backend


def _config(stored: StoredModel, noted: NotedPlan) -> ModelConfig:
    return ModelConfig(
        stored.path,
        InferenceBackend(stored.backend),
        Device.parse(noted.device),
        noted.input_shape,
        fp16=noted.fp16,
        num_threads=noted.num_threads,
        actions=noted.actions,
        name=noted.name,
    )


def open_versions(
    journal: str | Path,
    run: int,
    *,
    store: str | Path | None = None,
    configured: Path | None = None,
    trusted: bool = False,
) -> Versions:
    """The versions that served in a run, wherever they are kept: see `stores_for`."""
    plans = noted_plans(journal, run)
    stores = stores_for(Path(journal), plans, store=None if store is None else Path(store), configured=configured)
    return Versions(stores, plans, trusted=trusted)


def stores_for(
    journal: Path, plans: Sequence[NotedPlan], *, store: Path | None = None, configured: Path | None = None
) -> tuple[ModelStore, ...]:
    """Where the models of a run may be: the store that is asked for alone, else the configuration's, the one that the
    run noted, and the one beside the journal.

    Raises ConfigError for a store that is asked for and is not there.
    """
    if store is not None:
        if not store.is_dir():
            raise ConfigError("there is no such model store", file=store)
        return (ModelStore(store),)
    noted = [Path(plan.store) for plan in plans if plan.store is not None]
    folders = [*([configured] if configured is not None else []), archive_folder(journal), *noted]
    return tuple(ModelStore(folder) for folder in dict.fromkeys(path.absolute() for path in folders) if folder.is_dir())
