"""What was decided: by the model as it is asked now, or by the record of a journal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from axon_explain.decision_report import facts
from axon_explain.decision_report.record import scores_of
from axon_explain.decision_report.words import listed, number, utc
from axon_explain.subject import Floats, Subject, Target
from axon_quant.inference import Action
from axon_quant.inference.action import TRADING_ACTIONS
from axon_quant.runtime.decisions import DecisionRecord

_RELATIVE, _ABSOLUTE = 1e-4, 1e-6
"""How near scores must be to be those of the same model; a batch is not computed in the bits of a single row."""


def now(subject: Subject, x: Floats, target: Target) -> facts.Choice:
    """The model's own choice for `x`, and what is explained."""
    scores = subject.scores(x[None])[0].tolist()
    own = subject.actions[subject.output(None, x)]
    confidence = None if subject.scorer is None else subject.scorer.decode(scores).confidence
    if isinstance(target, Action) and target.name == own:
        confidence = target.confidence
    return facts.Choice(
        action=own,
        explained=subject.actions[subject.output(target, x)],
        scores=scores_of(scores, subject.actions),
        confidence=confidence,
    )


def recorded(
    record: DecisionRecord, subject: Subject | None, x: Floats, target: Target, actions: Sequence[str] | None
) -> tuple[facts.Choice, str | None]:
    """What the journal holds; and, where what is explained gives other scores, a sentence that says so."""
    event = record.event
    names, action, caution = actions or (), event.action, None
    if subject is not None:
        scores = subject.scores(x[None])[0]
        names = subject.actions
        if target is not None or action in names:
            action = names[subject.output(action if target is None else target, x)]
        else:
            action = names[subject.output(None, x)]
        if len(scores) != len(event.scores) or not np.allclose(scores, event.scores, _RELATIVE, _ABSOLUTE):
            told = listed([f"{name} {number(score)}" for name, score in zip(names, scores.tolist(), strict=True)])
            caution = f"What was asked for this report is not what decided: its scores are {told}."
    choice = facts.Choice(
        action=event.action,
        explained=action,
        scores=scores_of(event.scores, names_of(len(event.scores), event.action, names)),
        confidence=event.confidence,
        id=record.decision_id,
        symbol=event.symbol,
        number=event.number,
        at=event.at,
        time=utc(event.at),
    )
    return choice, caution


def names_of(count: int, decided: str, known: Sequence[str]) -> Sequence[str]:
    """Of recorded scores: the model's, or a trader's three; the journal itself does not say."""
    if len(known) == count and decided in known:
        return known
    if count == len(TRADING_ACTIONS) and decided in TRADING_ACTIONS:
        return TRADING_ACTIONS
    return tuple(f"output{index}" for index in range(count))
