"""Decision reports: what was decided, why, what would have changed it, and what came of it, as a file to keep."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import attrs
import numpy as np

from axon_explain.counterfactuals import CounterfactualGenerator
from axon_explain.decision_report import explained, facts, record, served, story
from axon_explain.decision_report.words import utc
from axon_explain.explanation import Explanation
from axon_explain.kernel_shap import KernelSHAP
from axon_explain.subject import Floats, Subject, Target
from axon_quant.errors import ExplainError
from axon_quant.inference import Action, ModelStore
from axon_quant.inference.action import TRADING_ACTIONS

if TYPE_CHECKING:
    from axon_quant.runtime.decisions import DecisionRecord


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
    `shap` or `counterfactuals` are given. `background_source` says in the report what the background is.

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

    def generate_report(
        self,
        observation: object = None,
        action: Target = None,
        include_shap: bool = True,
        include_counterfactuals: bool = True,
        include_feature_importance: bool = True,
        *,
        record: DecisionRecord | None = None,
        cautions: Sequence[str] = (),
    ) -> Report:
        """A report about one decision.

        `observation` `[…shape]` is what was seen, by default that of the journal's `record` (see `find_decision`).
        `action` is what is explained: an Action, its index or its name; by default what was decided. `include_shap`
        shows the waterfall and, of a window, the heat map; `include_feature_importance` the table. `cautions` are
        sentences that the report repeats.

        Raises ExplainError for an observation or an action that does not fit; what the model raises goes through.
        """
        if record is None and (self._subject is None or observation is None):
            raise ExplainError("there is nothing to report", hint="pass an observation and a model, or a record")
        notes = [str(text) for text in cautions]
        x = self._observed(observation, record)
        choice = self._choice(x, action, record, notes)
        models = served.models(self._subject, None if record is None else record.models)
        why: _Why = _Why()
        if self._subject is not None:
            why = self._why(x, choice, record, include_shap, include_counterfactuals, include_feature_importance, notes)
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
            cautions=tuple(notes),
            **_recorded(record, [score.action for score in choice.scores]),
            replay=None if replay is None else _replay(replay),
            unknown=(*served.unknown(models), *_unknown(record)),
        )
        return Report(msgspec.structs.replace(found, story=story.story(found)))

    def _observed(self, observation: object, record: DecisionRecord | None) -> Floats:
        given = record.observation if observation is None and record is not None else observation
        if self._subject is None:
            return np.asarray(given, np.float32)
        return self._subject.observation(given, self._background_data)

    def _names(self, record: DecisionRecord | None) -> tuple[str, ...] | None:
        """Of the features: given, or known to the journal."""
        if self._feature_names is not None or record is None:
            return self._feature_names
        return record.feature_names

    def _choice(self, x: Floats, action: Target, record: DecisionRecord | None, notes: list[str]) -> facts.Choice:
        """What was decided; what the model says now is only compared with it."""
        subject = self._subject
        now = None if subject is None else subject.scores(x[None])[0]
        own = None if subject is None else subject.actions[subject.output(None, x)]
        if record is None:
            assert subject is not None and now is not None and own is not None
            return facts.Choice(
                action=own,
                explained=subject.actions[subject.output(action, x)],
                scores=scores_of(now.tolist(), subject.actions),
                confidence=_confidence(subject, action, own, now),
            )
        event = record.event
        actions = self._action_names(event.scores, event.action)
        if now is not None and (len(now) != len(event.scores) or not np.allclose(now, event.scores, 1e-4, 1e-6)):
            told = listed([f"{name} {number(score)}" for name, score in zip(subject.actions, now, strict=True)])
            notes.append(f"What was asked for this report is not what decided: its scores are {told}.")
        explained_action = event.action
        if subject is not None and (action is not None or event.action in subject.actions):
            explained_action = subject.actions[subject.output(event.action if action is None else action, x)]
        return facts.Choice(
            action=event.action,
            explained=explained_action,
            scores=scores_of(event.scores, actions),
            confidence=event.confidence,
            id=record.decision_id,
            symbol=event.symbol,
            number=event.number,
            at=event.at,
            time=utc(event.at),
        )
