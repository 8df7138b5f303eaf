"""What a run leaves behind so that its decisions can be replayed: how each model was computed, and the model itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from axon_quant.errors import AxonError
from axon_quant.events import Event, ModelLoaded
from axon_quant.journal import Ticket
from axon_quant.provenance import ModelIdentity

if TYPE_CHECKING:
    from axon_quant.config import Config
    from axon_quant.inference import Backend, ModelConfig, ModelStore
    from axon_quant.inference.backend import PreparedModel

logger = logging.getLogger("axon_quant.keeping")

PLAN_NOTE = "model-plan"
"""The name of the note beside the chain that says how a model version was computed."""


def archive_folder(journal: Path) -> Path:
    """Where a run without a model store keeps its models: `run.db.models` beside `run.db`."""
    return journal.with_name(f"{journal.name}.models")


def open_archive(config: Config) -> Archive | None:
    """The archive of a run that has no model store and wants its models kept."""
    if config.model_store is not None or not config.journal.keep_models:
        return None
    from axon_quant.inference import ModelStore

    return Archive(ModelStore(archive_folder(config.journal.path)))


class Archive:
    """Plain copies of what a run serves, in a store of its own beside the journal.

    Unlike the model store of a configuration it has no say in what serves: neither schemas nor golden vectors are held
    against a model, and a copy that cannot be made is a notice, not a failure.
    """

    def __init__(self, store: ModelStore) -> None:
        self.store = store
        self.notices: list[str] = []

    def keep(self, prepared: PreparedModel, config: ModelConfig) -> None:
        """Copy the files of a model, unless they are there."""
        try:
            self.store.add(prepared.files, name=config.name, backend=config.backend, source=str(prepared.files.path))
        except AxonError as error:
            notice = f"model {config.name} is not kept, and its decisions cannot be replayed: {error}"
            logger.warning("%s", notice)
            self.notices.append(notice)

    def check(self, config: ModelConfig) -> Callable[[PreparedModel], None]:
        """`keep` as a check of a reloader, which keeps a version before it serves."""
        return lambda prepared: self.keep(prepared, config)


class PlanNotes:
    """Notes beside the chain how the versions of `backends` were computed, when a run begins and when they change."""

    def __init__(self, note: Callable[[str, Mapping[str, object]], object], store: ModelStore | None) -> None:
        self._note = note
        self._store = None if store is None else str(store.folder)
        self._backends: dict[str, Backend] = {}

    def begin(self, *backends: Backend) -> None:
        """Note what serves in these, and remember them."""
        for backend in backends:
            self._backends[backend.config.name] = backend
            self._write(backend, backend.model.identity)

    def after(self, record: Callable[[Event], Ticket]) -> Callable[[Event], Ticket]:
        """`record`, and a note for every model that is loaded."""

        def recorded(event: Event) -> Ticket:
            ticket = record(event)
            if isinstance(event, ModelLoaded) and event.model.name in self._backends:
                self._write(self._backends[event.model.name], event.model)
            return ticket

        return recorded

    def _write(self, backend: Backend, identity: ModelIdentity) -> None:
        from axon_quant.inference.store.machine import this_machine

        model, config, machine = backend.model, backend.config, this_machine()
        if model.identity != identity:  # it was replaced again already, and is noted with that one
            return
        body: dict[str, object] = {
            "name": identity.name,
            "number": identity.number,
            "sha256": identity.sha256,
            "store": self._store,
            "device": str(config.device),
            "fp16": config.fp16,
            "num_threads": config.num_threads,
            "input_shape": config.input_shape,
            "actions": config.actions,
            "plan": dict(model.plan),
            "machine": {"system": machine.system, "processor": machine.processor, "fingerprint": machine.fingerprint},
        }
        self._note(PLAN_NOTE, body)
