"""Which model versions stand behind a decision, and how those that were asked compute."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from axon_explain.decision_report import facts
from axon_explain.subject import Subject
from axon_quant.inference.backend import Backend
from axon_quant.provenance import ModelIdentity


def models(subject: Subject | None, decided: Iterable[ModelIdentity] | None) -> tuple[facts.Model, ...]:
    """The versions that `decided` (None: those behind the model itself), with what is known of them here."""
    asked = {engine.model.sha256: engine for engine in _engines(subject)}
    identities = [engine.model.identity for engine in asked.values()] if decided is None else list(decided)
    if not identities and subject is not None:
        return (facts.Model(name=subject.name, explained=True),)
    return tuple(_model(identity, asked.get(identity.sha256)) for identity in identities)


def unknown(found: Iterable[facts.Model]) -> Iterator[str]:
    """What is not known of these models."""
    for model in found:
        if not model.sha256:
            yield f"version and SHA-256 of {model.name}: it is no model file"
        elif not model.explained:
            yield f"backend, device and plan of {model.name}: it was not loaded for this report"


def _model(identity: ModelIdentity, engine: Backend | None) -> facts.Model:
    if engine is None:
        return facts.Model(
            name=identity.name, version=identity.number or None, sha256=identity.sha256 or None, explained=False
        )
    served = engine.model
    return facts.Model(
        name=identity.name,
        version=identity.number,
        sha256=identity.sha256,
        explained=True,
        backend=str(engine.config.backend),
        device=str(served.device),
        plan=dict(sorted(served.plan.items())),
        schema_sha256=served.schema_sha256,
    )


def _engines(subject: Subject | None) -> Iterator[Backend]:
    """The backends that serve in a model, or in the members of an ensemble."""
    if subject is None:
        return
    model = subject.model if subject.scorer is None else subject.scorer.model
    members = getattr(model, "models", ())
    for each in (model, *(members if isinstance(members, tuple | list) else ())):
        served = getattr(each, "model", each)
        if isinstance(each, Backend):
            yield each
        elif isinstance(served, Backend):
            yield served
