"""The models of a run: loaded from a file, built by code or taken from the model store, and kept there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from axon_quant.errors import ConfigError
from axon_quant.inference import Backend, Device, InferenceBackend, ModelConfig
from axon_quant.plugins import load_backend

if TYPE_CHECKING:
    from axon_quant.config import Config
    from axon_quant.config.schema import ModelEntry
    from axon_quant.inference.backend import PreparedModel
    from axon_quant.inference.store import ModelStore, StoredModel
    from axon_quant.observation import FeatureSchema


def open_store(config: Config) -> ModelStore | None:
    """The model store of a configuration that has one."""
    if config.model_store is None:
        return None
    from axon_quant.inference.store import ModelStore

    return ModelStore(config.model_store.path)


def build_model(
    entry: ModelEntry, schema: FeatureSchema, store: ModelStore | None = None, *, keep: bool = True
) -> Backend:
    """Load one model and check that it takes the observation.

    With a store its version is loaded as it was before, must answer its golden vectors, and is kept; without `keep`
    nothing is written. Raises ConfigError, ModelError, PluginError, SchemaMismatchError.
    """
    stored = None if entry.stored is None else _stored(entry, store)
    backend = _backend(entry, schema, stored)
    if store is None:
        model = backend.load()
        schema.require(model.input_shape, model=entry.name, sha256=model.schema_sha256)
        return backend
    prepared = store.prepare(backend)
    if keep:
        keeper(store, backend.config, schema, stored)(prepared)
    else:
        schema.require(prepared.spec.input_shape, model=entry.name, sha256=prepared.session.schema_sha256)
    backend.serve(prepared)
    return backend


def keeper(
    store: ModelStore, config: ModelConfig, schema: FeatureSchema | None, stored: StoredModel | None = None
) -> Callable[[PreparedModel], object]:
    """Keeps what it is called with, before it serves: `ModelHotReloader(checks=[keeper(…)])`, so that no decision comes
    from a model that is gone. What was taken from the store keeps its name there.
    """
    name = stored.names[0] if stored is not None and stored.names else config.name
    return lambda prepared: store.put(prepared, config, name=name, schema=schema)


def model_config(entry: ModelEntry, path: Path) -> ModelConfig:
    """How a configuration wants one of its models served; `path` is where its file is."""
    return ModelConfig(
        path,
        InferenceBackend(entry.backend),
        Device.parse(entry.device),
        entry.input_shape,
        entry.output_dim,
        entry.fp16,
        entry.num_threads,
        entry.actions,
        entry.sha256,
        entry.trusted,
        name=entry.name,
    )


def _stored(entry: ModelEntry, store: ModelStore | None) -> StoredModel:
    if store is None or entry.stored is None:
        raise ConfigError(f"model {entry.name} is {entry.stored}, and there is no [model_store]")
    return store.resolve(entry.stored)


def _backend(entry: ModelEntry, schema: FeatureSchema, stored: StoredModel | None) -> Backend:
    if stored is not None:
        config = attrs.evolve(
            model_config(entry, stored.path),
            backend=InferenceBackend(stored.backend),
            sha256=entry.sha256 or stored.sha256,
        )
        return load_backend(stored.backend)(config)
    backend_class = load_backend(entry.backend)
    path = entry.path if entry.builtin is None else backend_class.builtin(entry.builtin, schema.features)
    if path is None:
        raise ConfigError(f"model {entry.name} has neither a path nor a builtin")
    return backend_class(model_config(entry, path))
