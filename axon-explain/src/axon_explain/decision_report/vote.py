"""The ensemble of one recorded decision, to be asked about other observations: its models, weights and strategy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from axon_explain.subject import Floats
from axon_quant.ensemble.members import scorers_of
from axon_quant.ensemble.weighting import FittedRule, WeightingRule
from axon_quant.errors import AxonError, ExplainError
from axon_quant.inference import Scorer
from axon_quant.inference.backend import Backend
from axon_quant.plugins import load_ensemble
from axon_quant.provenance import MemberVote, ModelIdentity
from axon_quant.runtime.decisions import DecisionRecord, Versions


class RecordedVote:
    """A function of a batch `[batch, rows, features]` → `[batch, outputs]`: the members' shares, combined as they were.

    `models` are the backends behind it, `actions` the names of the outputs. Members without weight in the decision have
    no say in it, and are not loaded. Raises ExplainError, with the reason, where the decision cannot be asked again: a
    model that no store holds, a member that is code and not among `members`, a strategy that was fitted beforehand.
    """

    def __init__(
        self,
        record: DecisionRecord,
        versions: Versions,
        *,
        strategy: str | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        votes = [vote for vote in record.event.members if vote.weight > 0.0]
        if not votes:
            raise ExplainError("no member had weight in this decision")
        identities = {model.name: model for model in record.models}
        found = [_member(vote, identities, versions, members or {}) for vote in votes]
        self.models: tuple[Backend, ...] = tuple(one for one in found if isinstance(one, Backend))
        self._scorers: list[Scorer] = scorers_of(found, None, None)
        self._weights = [vote.weight for vote in votes]
        self._rule = _rule(record.ensemble or strategy or "", len(votes))
        self.actions: tuple[str, ...] = self._scorers[0].actions
        self.__name__ = votes[0].name if len(votes) == 1 else "ensemble"

    def __call__(self, batch: Floats) -> NDArray[np.float64]:
        """What the ensemble would have said; what a member raises goes through."""
        rows = np.ascontiguousarray(batch, np.float32)
        said = [_answers(scorer, rows) for scorer in self._scorers]
        combined = [
            self._rule.combine(
                self._weights,
                [scorer.probabilities(scores) for scorer, scores in zip(self._scorers, answers, strict=True)],
            )
            for answers in zip(*said, strict=True)
        ]
        return np.asarray(combined, np.float64)


def _answers(scorer: Scorer, rows: NDArray[np.float32]) -> list[Sequence[float]]:
    """A row of scores for each observation; what is no backend gets it as in a run, with a batch axis of one."""
    if isinstance(scorer.model, Backend):
        answers: list[Sequence[float]] = scorer.score_batch(rows).tolist()
        return answers
    return [scorer.score(rows[index : index + 1]) for index in range(len(rows))]


def _member(
    vote: MemberVote, identities: Mapping[str, ModelIdentity], versions: Versions, code: Mapping[str, object]
) -> object:
    if vote.name in code:
        return code[vote.name]
    model = identities.get(vote.name) or identities.get(f"{vote.name}:candidate")
    if model is None or not model.sha256:
        raise ExplainError(
            f"member {vote.name} is code, not a model: no store can hold it", hint="name it: --member NAME=MODULE:ATTR"
        )
    try:
        return versions.load(model).backend
    except AxonError as error:
        raise ExplainError(str(error)) from error


def _rule(strategy: str, members: int) -> WeightingRule:
    try:
        make: Callable[..., WeightingRule] = load_ensemble(strategy)
        rule = make((1.0 / members,) * members, 2)
    except (AxonError, TypeError) as error:
        raise ExplainError(
            f"the votes cannot be combined by {strategy or 'a strategy that is not known'}: {error}"
        ) from error
    if isinstance(rule, FittedRule):
        raise ExplainError(f"{strategy} was fitted beforehand, and the journal does not hold what it was fitted to")
    return rule
