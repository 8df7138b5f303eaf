"""Checks of what is on this machine: configuration, plugins, models and their earlier versions."""

from __future__ import annotations

from axon_quant.config import ModelEntry
from axon_quant.errors import ConfigError
from axon_quant.inference import Backend
from axon_quant.inference.store import ModelStore
from axon_quant.observation import Observation
from axon_quant.preflight.facts import Facts
from axon_quant.preflight.rows import Finding, failed, failed_by, passed, unknown
from axon_quant.runtime.models import build_model, open_store


def configuration(facts: Facts) -> Finding:
    """Does the configuration have mistakes?"""
    config = facts.read
    if isinstance(config, ConfigError):
        return failed_by(config, "correct the lines named; axon validate-config shows them alone")
    return passed(f"{facts.file} is valid, sha256 {config.sha256[:12]}")


def plugins(facts: Facts) -> Finding:
    """Can every plugin be used, and is what the configuration names among them?"""
    from axon_quant.plugins import installed, load_backend, load_ensemble, load_exchange

    failures = installed().failures()
    if failures:
        told = "; ".join(f"{row.kind} {row.name} ({row.distribution}): {row.status}, {row.reason}" for row in failures)
        return failed(told, "repair or uninstall it, or block it with AXON_DISABLE_PLUGINS")
    config = facts.config
    load_exchange(config.exchange.name)
    load_ensemble(config.ensemble.strategy)
    for model in config.models:
        if model.stored is None:
            load_backend(model.backend)
    return passed(f"{len(installed().rows())} found, all usable")


def strategy(facts: Facts) -> Finding:
    """Can the strategy be made with its options?"""
    from axon_quant.strategy import load_strategy

    config = facts.config
    load_strategy(config.strategy.name, config.strategy.options, config.folder)
    return passed(f"{config.strategy.name} takes its options")


def models(facts: Facts) -> Finding:
    """Does each model load, take the observation and pass its checks, its golden vectors among them?"""
    config, told, ungolden = facts.config, [], []
    schema = Observation.schema(config.observation.window, config.observation.interval_ms)
    store = open_store(config)
    for entry in config.models:
        backend = build_model(entry, schema, store, keep=False)
        told.append(f"{entry.name} {backend.model.sha256[:12]}")
        if not _has_golden(store, backend):
            ungolden.append(entry.name)
    if ungolden:
        return unknown(
            f"all load ({', '.join(told)}); no golden vectors of {', '.join(ungolden)} to hold them to",
            "keep them in a [model_store]: axon models add records golden vectors",
        )
    return passed(f"all load and answer their golden vectors: {', '.join(told)}")


def _has_golden(store: ModelStore | None, backend: Backend) -> bool:
    stored = None if store is None else store.find(backend.model.sha256)
    return stored is not None and stored.golden is not None


def previous_version(facts: Facts) -> Finding:
    """Is there a whole version to go back to, of every model that has a file?"""
    config = facts.config
    entries = [entry for entry in config.models if entry.builtin is None]
    if not entries:
        return unknown("every model is built by the release", "keep the packages of the release before at hand")
    store = open_store(config)
    if store is None:
        return failed("there is no [model_store], so no version but the present one is kept", "add a [model_store]")
    found, missing = [], []
    for entry in entries:
        name = _name(store, entry)
        earlier = _earlier(store, name)
        if earlier is None:
            missing.append(name)
        else:
            store.verify(earlier)
            found.append(f"{name} {earlier[:12]}")
    if missing:
        return unknown(
            f"nothing was served before of {', '.join(missing)}: this is its first version",
            "halt instead of rolling back; the next promotion keeps this version",
        )
    return passed(f"whole, and ready for axon models rollback: {', '.join(found)}")


def _name(store: ModelStore, entry: ModelEntry) -> str:
    if entry.stored is None:
        return entry.name
    if "@" in entry.stored:
        return entry.stored.rpartition("@")[0]
    names = store.get(entry.stored).names
    return names[0] if names else entry.name


def _earlier(store: ModelStore, name: str) -> str | None:
    """What a rollback goes back to; where nothing was ever promoted, the version that was added before."""
    previous = store.previous(name)
    if previous is not None:
        return previous.sha256
    versions = store.versions(name)
    return versions[-2] if len(versions) > 1 and not store.production(name) else None
