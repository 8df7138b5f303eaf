"""The part of a report's page that identifies everything: models, observation, journal, method."""

from __future__ import annotations

from axon_explain.decision_report.facts import Facts, Model
from axon_explain.decision_report.page_tables import name
from axon_explain.decision_report.words import counted, exactness, number, seen
from axon_quant.report.markup import Child, Html, tag

Row = tuple[str, Child]


def for_the_record(facts: Facts) -> Html:
    """A list of facts; what is not known is not in it."""
    rows: list[Row] = [*_decision(facts), *_models(facts), *_observation(facts), *_journal(facts), *_method(facts)]
    return tag("dl", (tag("div", tag("dt", label), tag("dd", text)) for label, text in rows), class_="facts")


def code(text: str) -> Html:
    """A hash or an id."""
    return tag("code", seen(text))


def _decision(facts: Facts) -> list[Row]:
    decision = facts.decision
    rows: list[Row] = []
    if decision.id is not None:
        rows.append(("Decision", code(decision.id)))
    if decision.at is not None:
        rows.append(("Event time", f"{decision.time} ({decision.at} ns)"))
    return rows


def _models(facts: Facts) -> list[Row]:
    return [
        (f"Model {index + 1}" if len(facts.models) > 1 else "Model", _model(model))
        for index, model in enumerate(facts.models)
    ]


def _model(model: Model) -> list[Child]:
    parts: list[Child] = [tag("strong", name(model.name))]
    if model.version is not None:
        parts.append(f", version {model.version}")
    if model.backend is not None:
        parts.append(f", {seen(model.backend)}")
    if model.device is not None:
        parts.append(f" on {seen(model.device)}")
    if not model.explained:
        parts.append(", not asked for this report")
    if model.sha256:
        parts += [tag("br"), "SHA-256 ", code(model.sha256)]
    if model.plan:
        plan = ", ".join(f"{key} {value}" for key, value in model.plan.items())
        parts += [tag("br"), f"Plan: {seen(plan)}"]
    return parts


def _observation(facts: Facts) -> list[Row]:
    seen_by = facts.observation
    shape = " × ".join(map(str, seen_by.shape))
    text = f"{shape} {seen_by.dtype}"
    if seen_by.first_row is not None:
        text += f", feature rows {seen_by.first_row} to {seen_by.last_row}"
    if seen_by.interval_ms is not None:
        text += f", {number(seen_by.interval_ms / 1000)} s apart"
    rows: list[Row] = [("Observation", text)]
    if seen_by.sha256 is not None:
        rows.append(("Its SHA-256", code(seen_by.sha256)))
    if seen_by.schema_sha256 is not None:
        rows.append(("Feature schema", code(seen_by.schema_sha256)))
    return rows


def _journal(facts: Facts) -> list[Row]:
    journal = facts.journal
    if journal is None:
        return []
    return [
        ("Journal", f"run {journal.run}, record {journal.sequence}; {journal.mode}, seed {journal.seed}"),
        ("Run started", f"{journal.run_started}, wall time"),
        ("Record hash", code(journal.record_hash)),
        ("Hash before it", code(journal.previous_hash)),
        ("Configuration", code(journal.config_sha256)),
    ]


def _method(facts: Facts) -> list[Row]:
    found = facts.attribution
    if found is None:
        return []
    method = f"{found.method}, budget {found.budget:,}, {found.evaluations:,} evaluations, seed {found.seed}"
    background = f"{counted(found.background_rows, 'row')} ({found.background_source}), SHA-256 "
    return [
        ("Explanation", seen(method)),
        ("Its exactness", f"additivity gap {found.additivity_gap:.1e}, {exactness(found.error_estimate)}"),
        ("Background", [seen(background), code(found.background_sha256)]),
    ]
