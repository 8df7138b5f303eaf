"""What `axon models` does to a store, and to the file that a run serves a model from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
import click

from axon_quant.cli.engines import EngineOptions, load_class, name_for
from axon_quant.config import Config, ModelEntry, load_config
from axon_quant.errors import AxonError, ConfigError, ModelError
from axon_quant.inference import Backend, GoldenVectors, InferenceBackend, ModelConfig, ModelStore
from axon_quant.inference.store import StoredModel, deploy
from axon_quant.observation import FeatureSchema, Observation
from axon_quant.runtime.models import model_config


@attrs.frozen
class Place:
    """A store, and the configuration it was found by."""

    store: ModelStore
    config: Config | None

    @classmethod
    def of(cls, folder: Path | None, config_file: Path | None) -> Place:
        """Raises click.UsageError without a store, ConfigError for a configuration that cannot be used."""
        config = None if config_file is None else load_config(config_file)
        if folder is None and config is not None and config.model_store is not None:
            folder = config.model_store.path
        if folder is None:
            missing = "" if config is None else f"; {config_file} has no [model_store]"
            raise click.UsageError(f"which store? give --store DIR, or -c FILE with a [model_store]{missing}")
        return cls(ModelStore(folder), config)

    @property
    def schema(self) -> FeatureSchema | None:
        """Of the configuration's observation."""
        if self.config is None:
            return None
        return Observation.schema(self.config.observation.window, self.config.observation.interval_ms)

    def entry(self, name: str) -> ModelEntry | None:
        """The configuration's model of that name."""
        models = () if self.config is None else self.config.models
        return next((entry for entry in models if entry.name == name), None)

    def required_entry(self, name: str) -> ModelEntry | None:
        """The same, but a configuration without it is a mistake."""
        entry = self.entry(name)
        if entry is None and self.config is not None:
            known = ", ".join(model.name for model in self.config.models)
            raise click.UsageError(
                f"the configuration has no model {name}, but {known}; with --store instead, only the label moves"
            )
        return entry


def add(
    place: Place,
    file: Path,
    name: str,
    backend: str | None,
    how: EngineOptions,
    *,
    golden: Path | None,
    background: str | None,
    source: str | None,
) -> str:
    """Keep a version; what was done, in a line."""
    store = place.store
    config = _config_for(place, file, name, backend, how)
    engine = load_class(config.backend)(config)
    vectors = None if golden is None else GoldenVectors.load(golden)
    prepared = store.prepare(engine)
    sample = None
    if background is not None:
        from axon_quant.cli.arrays import as_windows, read_npy

        sample, note = as_windows(read_npy(background), prepared.spec.input_shape[1:])
        if note is not None:
            click.echo(f"note: {note}", err=True)
    known = prepared.files.sha256 in store.versions(name)
    stored = store.put(
        prepared,
        config,
        source=source or str(file.resolve()),
        schema=place.schema,
        golden=vectors,
        background=sample,
    )
    number = store.versions(name).index(stored.sha256) + 1
    return f"{name}@{number} {'was there already' if known else 'is added'}: sha256 {stored.sha256}"


def _config_for(place: Place, file: Path, name: str, backend: str | None, how: EngineOptions) -> ModelConfig:
    entry = place.entry(name)
    given = [
        option
        for option, value in (
            ("--device", str(how.device) != "cpu"),
            ("--threads", how.threads != 1),
            ("--shape", how.shape is not None),
            ("--fp16", how.fp16),
            ("--backend", backend is not None),
        )
        if value
    ]
    if entry is not None and given:
        raise click.UsageError(f"the configuration says how {name} is loaded; leave out {', '.join(given)}")
    try:
        if entry is not None:
            config = attrs.evolve(model_config(entry, file), sha256=how.sha256)
            return attrs.evolve(config, trusted=how.trusted)
        return ModelConfig(
            file,
            InferenceBackend(backend or name_for(file)),
            how.device,
            input_shape=how.shape,
            fp16=how.fp16,
            num_threads=how.threads,
            sha256=how.sha256,
            trusted=how.trusted,
            name=name,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def promote(place: Place, reference: str, name: str | None, *, trusted: bool) -> str:
    """Check a version and put it in production; what was done, in lines."""
    store = place.store
    if store.versions(reference):
        name, reference = name or reference, f"{reference}@latest"
    stored = store.resolve(reference)
    if name is None:
        own = [one for one in stored.names if reference.startswith(f"{one}@")] or list(stored.names)
        if len(own) != 1:
            raise click.UsageError(f"it is a version of {', '.join(own) or 'no model'}: say which one with --name")
        (name,) = own
    return _bring_in(place, name, stored, lambda: store.promote(name, stored.sha256), trusted=trusted)


def rollback(place: Place, name: str, *, trusted: bool) -> str:
    """Check the version before and put it back in production; what was done, in lines."""
    store = place.store
    stored = store.previous(name)
    if stored is None:
        store.rollback(name)  # says why not
        raise AssertionError("a rollback without a version before")
    return _bring_in(place, name, stored, lambda: store.rollback(name), trusted=trusted)


def verify(place: Place, reference: str | None) -> tuple[int, list[AxonError]]:
    """How many versions are whole, and what is wrong with the others."""
    store = place.store
    every = dict.fromkeys(sha256 for name in store.names() for sha256 in store.versions(name))
    whole, damaged = 0, []
    for sha256 in [reference] if reference is not None else every:
        try:
            store.resolve(sha256).verify()
            whole += 1
        except AxonError as error:
            damaged.append(error)
    return whole, damaged


def _bring_in(place: Place, name: str, stored: StoredModel, move: Callable[[], object], *, trusted: bool) -> str:
    entry = place.required_entry(name)
    like = None if entry is None else model_config(entry, stored.path)
    if entry is not None and entry.sha256 not in (None, stored.sha256):
        raise ConfigError(
            f"model {name} is pinned to sha256 {entry.sha256}, and this is {stored.sha256}",
            hint="pin the new version in the configuration first; a run takes it up when it is started again",
        )
    engine = place.store.load(stored, like=like, trusted=trusted)
    if place.schema is not None:
        model = engine.model
        place.schema.require(model.input_shape, model=name, sha256=model.schema_sha256)
        _require_same(place.schema, stored)
    before, lines = place.store.current(name), []
    if entry is not None and entry.path is not None:
        _keep_what_is_served(place, entry, entry.path)
        _replace(engine, stored, entry.path)
        lines.append(f"{entry.path} is replaced")
    elif entry is not None:
        lines.append(f"note: the configuration gives no path for {name}, so no file is replaced")
    move()
    return "\n".join([f"{name}: {stored.sha256} is in production{_was(before, stored)}", *lines])


def _replace(engine: Backend, stored: StoredModel, path: Path) -> None:
    try:
        sides = engine.side_files(path)
    except ModelError:  # there is no model, or no whole one
        sides = ()
    deploy(stored, path, sides_now=sides)
    found = engine.files(path).sha256
    if found != stored.sha256:
        raise ModelError(
            f"replaced, but with other files beside it it is another model, {found}",
            file=path,
            hint="serve it from a folder of its own",
        )


def _was(before: StoredModel | None, now: StoredModel) -> str:
    if before is None:
        return ""
    return ", as it was" if before.sha256 == now.sha256 else f", before it was {before.sha256}"


def _require_same(schema: FeatureSchema, stored: StoredModel) -> None:
    known = stored.schema
    if known is not None:
        schema.require(schema.shape, model=stored.path.name, sha256=known.sha256)


def _keep_what_is_served(place: Place, entry: ModelEntry, path: Path) -> None:
    """So that a rollback can go back to it: kept, and in production if nothing is."""
    store = place.store
    try:
        engine = load_class(entry.backend)(model_config(entry, path))
        sha256 = engine.files(path).sha256
        if store.find(sha256) is None or entry.name not in store.get(sha256).names:
            store.put(store.prepare(engine), engine.config, schema=place.schema, source=str(path))
        if store.current(entry.name) is None:
            store.promote(entry.name, sha256, source="served when the first version was promoted")
    except AxonError as error:
        click.echo(f"note: what {path} served until now is not kept: {error}", err=True)
