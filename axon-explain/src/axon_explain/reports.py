"""Decision reports: what was decided, why, what would have changed it, and what came of it, as a file to keep."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import attrs
import msgspec
import numpy as np

from axon_explain.counterfactuals import CounterfactualGenerator
from axon_explain.decision_report import decided, facts, served, story
from axon_explain.decision_report import record as recorded
from axon_explain.decision_report.means import Means, Why
from axon_explain.kernel_shap import KernelSHAP
from axon_explain.subject import Floats, Subject, Target
from axon_quant.errors import ExplainError
from axon_quant.inference import ModelStore

if TYPE_CHECKING:
    from axon_quant.runtime.decisions import DecisionRecord, ReplayResult, Versions


@attrs.frozen
class Report:
    """A report, ready to be written. `facts` are what it says; equal facts give equal bytes in every form.

    Files are written whole or not at all, and their folders are made. Each method returns the path; OSError goes
    through.
    """

    facts: facts.Facts

    def html(self) -> str:
        """One page that needs nothing but itself: no script, no request."""
        from axon_explain.decision_report.page import render

        return render(self.facts)

    def pdf(self, *, standard: str | None = None) -> bytes:
        """One to three pages of A4; `standard` as in `export_pdf`."""
        from axon_explain.decision_report.print import render

        return render(self.facts, standard=standard)

    def json(self) -> bytes:
        """Everything the report knows, the observation and every feature included."""
        return facts.to_json(self.facts)

    def export_html(self, path: str | os.PathLike[str]) -> Path:
        """Write the page."""
        return _write(path, self.html().encode())

    def export_pdf(self, path: str | os.PathLike[str], *, standard: str | None = None) -> Path:
        """Write the print. `standard` is a standard to keep to, such as `a-2b` (PDF/A-2b, for archives) or `ua-1`.

        Its date is the time of the decision; without one it has none, or 1970 where a standard demands a date. Raises
        ExplainError for a standard that is not known.
        """
        return _write(path, self.pdf(standard=standard))

    def export_json(self, path: str | os.PathLike[str]) -> Path:
        """Write everything as JSON."""
        return _write(path, self.json())


class ReportGenerator:
    """Makes decision reports about a model.

    `model` is what `KernelSHAP` understands; None reports what a journal's record holds, and explains nothing.
    `background_data` `[rows, …shape]`, `actions`, `feature_names` and `store` are passed on to the explainers, unless
    `shap` or `counterfactuals` are given; so is the `budget`. `background_source` says in the report what background
    that is.

    Raises ModelError for an object that cannot be asked, ExplainError as the explainers do.
    """

    def __init__(
        self,
        model: object,
        *,
        background_data: object = None,
        shap: KernelSHAP | None = None,
        counterfactuals: CounterfactualGenerator | None = None,
        actions: Sequence[str] | None = None,
        feature_names: Sequence[str] | None = None,
        store: ModelStore | None = None,
        background_source: str | None = None,
        budget: int | None = None,
    ) -> None:
        self.model = model
        self._subject = None if model is None else Subject(model, actions=actions)
        self._background_data = background_data
        self._background_source = background_source if background_data is not None else None
        self._shap = shap
        self._counterfactuals = counterfactuals
        self._actions = None if actions is None else tuple(actions)
        self._feature_names = None if feature_names is None else tuple(feature_names)
        self._store = store
        self._budget = budget
        self._cautions: tuple[str, ...] = ()

    @classmethod
    def for_decision(
        cls,
        journal: str | os.PathLike[str],
        record: DecisionRecord,
        versions: Versions,
        *,
        windows: int = 16,
        budget: int | None = None,
        strategy: str | None = None,
        members: Mapping[str, object] | None = None,
    ) -> ReportGenerator:
        """A generator for a decision in a journal: `generate_report(record=record)` then explains what decided.

        The exact models come from `versions` by their SHA-256 and vote with the recorded weights; `strategy` combines
        them where the record does not say, and `members` are those that were code, by name. The background is the
        sample that a store keeps of one of them, else up to `windows` windows that the run saw before. Where the
        decision cannot be asked again, the report has no explanation and says why.
        """
        from axon_explain.decision_report.from_journal import material

        found = material(Path(journal), record, versions, windows=windows, strategy=strategy, members=members)
        made = cls(
            found.model,
            background_data=found.background,
            background_source=found.source,
            actions=None if found.model is None else found.model.actions,
            feature_names=record.feature_names,
            budget=budget,
        )
        if found.model is None:
            made._cautions = (f"There is no explanation, because the decision cannot be asked again: {found.trouble}",)
        return made

    def generate_report(
        self,
        observation: object = None,
        action: Target = None,
        include_shap: bool = True,
        include_counterfactuals: bool = True,
        include_feature_importance: bool = True,
        *,
        record: DecisionRecord | None = None,
        replay: ReplayResult | None = None,
        cautions: Sequence[str] = (),
    ) -> Report:
        """A report about one decision.

        `observation` `[…shape]` is what was seen, by default that of the journal's `record` (see `find_decision`).
        `action` is what is explained: an Action, its index or its name; by default what was decided. `include_shap`
        shows the waterfall and, of a window, the heat map; `include_feature_importance` the table. `replay` is the
        result of `replay_decision`; `cautions` are sentences that the report repeats.

        Raises ExplainError for an observation or an action that does not fit; what the model raises goes through.
        """
        notes = [*self._cautions, *map(str, cautions)]
        subject = self._subject
        given = record.observation if observation is None and record is not None else observation
        if given is None or (subject is None and record is None):
            raise ExplainError("there is nothing to report", hint="pass an observation and a model, or a record")
        x = np.asarray(given, np.float32) if subject is None else subject.observation(given, self._background_data)
        if record is not None:
            choice, caution = decided.recorded(record, subject, x, action, self._actions)
            notes += [] if caution is None else [caution]
        elif subject is not None:
            choice = decided.now(subject, x, action)
        models = served.models(subject, None if record is None else record.models)
        why = Why()
        if subject is not None:
            means = self._means(subject, record)
            why = means.why(
                x, choice.explained, notes, include_shap, include_feature_importance, include_counterfactuals
            )
        found = facts.Facts(
            headline=story.headline(choice),
            story=(),
            decision=choice,
            observation=_observation(x, record),
            models=models,
            attribution=why.attribution,
            waterfall=include_shap,
            feature_table=include_feature_importance,
            heat_map=why.heat_map,
            counterfactuals=why.counterfactuals,
            replay=None if replay is None else recorded.replay(replay),
            cautions=tuple(notes),
            unknown=(*served.unknown(models), *(NO_RECORD if record is None else recorded.NOT_IN_A_JOURNAL)),
        )
        if record is not None:
            found = recorded.added(found, record, [score.action for score in choice.scores])
        return Report(msgspec.structs.replace(found, story=story.story(found)))

    def _means(self, subject: Subject, record: DecisionRecord | None) -> Means:
        """The explainers: those that were given, else ones over the same background."""
        names = self._feature_names
        if names is None and record is not None:
            names = record.feature_names
        return Means(
            model=self.model,
            subject=subject,
            background_data=self._background_data,
            background_source=self._background_source,
            shap=self._shap,
            counterfactuals=self._counterfactuals,
            actions=self._actions,
            feature_names=names,
            store=self._store,
            budget=self._budget,
        )


NO_RECORD = ("when it was decided, in which run, and what came of it: no record of a journal was given",)


def _observation(x: Floats, record: DecisionRecord | None) -> facts.Observation:
    values = tuple(map(float, x.ravel()))
    plain = facts.Observation(shape=x.shape, dtype=str(x.dtype), values=values)
    if record is None:
        return plain
    return msgspec.structs.replace(
        plain,
        sha256=record.event.observation_sha256,
        schema_sha256=record.schema_sha256,
        interval_ms=record.interval_ms,
        first_row=record.event.first_row,
        last_row=record.event.last_row,
        features=record.feature_names,
    )


def _write(path: str | os.PathLike[str], data: bytes) -> Path:
    """All of it or nothing, through a file beside it."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name[:80]}.{uuid4().hex}")
    try:
        beside.write_bytes(data)
        beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return target
