"""A recorded decision, computed again: the same models, the same observation, compared bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from axon_quant.ensemble.members import scorers_of
from axon_quant.ensemble.weighting import FittedRule, WeightingRule
from axon_quant.errors import AxonError
from axon_quant.inference import Scorer
from axon_quant.inference.scores import choose
from axon_quant.inference.store.machine import this_machine
from axon_quant.plugins import load_ensemble
from axon_quant.provenance import MemberVote, ModelIdentity
from axon_quant.runtime.decisions.record import DecisionRecord
from axon_quant.runtime.decisions.replayed import MemberReplay, ReplayResult, Verdict, compare
from axon_quant.runtime.decisions.versions import Loaded, Versions


def replay_decision(
    record: DecisionRecord,
    versions: Versions,
    *,
    strategy: str | None = None,
    members: Mapping[str, object] | None = None,
) -> ReplayResult:
    """Ask each model version behind a decision about the observation it was made on, and combine the answers.

    What the ensemble had learnt is taken from the record: the weights, and whether it stood aside. `strategy` combines
    the votes where the record does not say (a journal of an earlier axon). `members` are those that were code, by name:
    whatever `as_scorer` understands. A model that cannot be loaded or run makes the result `NotReplayed`, with the
    reason; nothing about a single model is raised.
    """
    return _Recomputing(record, versions, strategy or record.ensemble, members or {}).result()


class _Recomputing:
    """One replay at work."""

    def __init__(self, record: DecisionRecord, versions: Versions, strategy: str, code: Mapping[str, object]) -> None:
        self._record = record
        self._versions = versions
        self._strategy = record.ensemble or strategy
        self._code = code
        self._view: NDArray[np.float32] = record.observation[None]
        self._loaded: dict[str, Loaded] = {}
        self._troubles: dict[str, str] = {}

    def result(self) -> ReplayResult:
        """Everything in turn."""
        event = self._record.event
        models = {vote.name: self._identity(vote) for vote in event.members}
        scorers = self._scorers(models)
        members = tuple(self._member(vote, models[vote.name], scorers.get(vote.name)) for vote in event.members)
        actions = next((scorer.actions for scorer in scorers.values()), ())
        combined, trouble = self._combined(members, scorers)
        remarks = [f"{failure.member} failed in this decision and had no say" for failure in self._record.failures]
        aside = _aside(combined, event.scores, actions, self._abstains)
        if aside is not None:
            combined = aside
            remarks.append(
                "the ensemble stood aside, by what it had learnt from returns: that is taken from the record"
            )
        result = ReplayResult(
            decision_id=self._record.decision_id,
            verdict=Verdict.NotReplayed,
            members=members,
            action_recorded=event.action,
            action_recomputed=None,
            confidence_recorded=event.confidence,
            confidence_recomputed=None,
            scores_recorded=event.scores,
            scores_recomputed=None,
            actions=actions,
            differences=tuple(difference for member in members for difference in member.differences),
            reason=trouble,
            remarks=tuple(remarks),
        )
        return result if combined is None else _judged(result, combined, event.scores, event.confidence)

    def _identity(self, vote: MemberVote) -> ModelIdentity | None:
        """Which version gave a vote: one behind the decision, else one that served, as on trial."""
        record = self._record
        for name in (vote.name, f"{vote.name}:candidate"):
            for model in (*record.event.models, *(record.serving if vote.weight == 0.0 else ())):
                if model.name == name:
                    return model
        return None

    def _scorers(self, models: Mapping[str, ModelIdentity | None]) -> dict[str, Scorer]:
        """By member, over the actions of the run; those that cannot be had are left out, with their trouble."""
        found: dict[str, object] = {}
        for name, model in models.items():
            if model is None and name not in self._code:
                self._troubles[name] = "it is code, not a model: no store can hold it"
                continue
            try:
                found[name] = self._code[name] if model is None else self._load(name, model)
            except AxonError as error:
                self._troubles[name] = str(error)
        first = self._first_of_the_run() if found else []
        try:
            scorers = scorers_of([*first, *found.values()], None, None)[len(first) :]
        except AxonError as error:
            self._troubles |= {name: str(error) for name in found}
            return {}
        return dict(zip(found, scorers, strict=True))

    def _load(self, name: str, model: ModelIdentity) -> object:
        self._loaded[name] = self._versions.load(model)
        return self._loaded[name].backend

    def _first_of_the_run(self) -> list[object]:
        """The run's first model, which named the actions for all, even if it had no say in this decision."""
        serving = self._record.serving
        if not serving or serving[0] in self._record.event.models:
            return []
        try:
            return [self._versions.load(serving[0]).backend]
        except AxonError:  # then the first that had a say names them
            return []

    def _member(self, vote: MemberVote, model: ModelIdentity | None, scorer: Scorer | None) -> MemberReplay:
        loaded, machine = self._loaded.get(vote.name), str(this_machine())
        member = MemberReplay(
            name=vote.name,
            weight=vote.weight,
            model=model,
            scores_recorded=vote.scores,
            machine_used=machine,
            reason=self._troubles.get(vote.name, ""),
        )
        if loaded is not None:
            plan = dict(loaded.backend.model.plan)
            member = attrs.evolve(
                member, plan_recorded=loaded.plan_recorded, plan_used=plan, machine_recorded=loaded.machine_recorded
            )
        if scorer is None:
            return member
        try:
            scores = scorer.score(self._view)
        except Exception as error:  # noqa: BLE001 - whatever a model raises, it is the answer to the question
            return attrs.evolve(member, reason=f"it fails: {type(error).__name__}: {error}")
        if len(scores) != len(vote.scores):
            return attrs.evolve(member, reason=f"it gives {len(scores)} scores, recorded are {len(vote.scores)}")
        what = [f"{vote.name}: score of {action}" for action in scorer.actions]
        single = all(value == float(np.float32(value)) for value in (*vote.scores, *scores))
        differences = compare(what, vote.scores, scores, "float32" if single else "float64")
        reason = _why(loaded, machine) if differences else ""
        return attrs.evolve(member, scores_recomputed=scores, differences=differences, reason=reason)

    def _combined(
        self, members: Sequence[MemberReplay], scorers: Mapping[str, Scorer]
    ) -> tuple[Sequence[float] | None, str]:
        """The ensemble's scores from the members' new ones, or why there are none."""
        missing = [member for member in members if member.scores_recomputed is None]
        if missing or not members:
            reasons = [f"{member.name}: {member.reason}" for member in missing]
            return None, "; ".join(reasons) or "the decision has no votes"
        try:
            rule = self._rule(len(members))
            having = [member for member in members if member.weight > 0.0]
            shares = [scorers[member.name].probabilities(member.scores_recomputed or ()) for member in having]
            return list(rule.combine([member.weight for member in having], shares)), ""
        except (AxonError, TypeError) as error:
            return None, f"the votes cannot be combined by {self._strategy or 'a strategy that is not known'}: {error}"

    @property
    def _abstains(self) -> bool:
        """Whether the strategy can stand aside."""
        try:
            return self._rule(1).may_abstain
        except (AxonError, TypeError):
            return True

    def _rule(self, members: int) -> WeightingRule:
        make: Callable[..., WeightingRule] = load_ensemble(self._strategy)
        rule = make((1.0 / members,) * members, 2)
        if isinstance(rule, FittedRule):
            raise TypeError("it was fitted beforehand, and the journal does not hold what it was fitted to")
        return rule


def _aside(
    combined: Sequence[float] | None, recorded: Sequence[float], actions: Sequence[str], may: bool
) -> list[float] | None:
    """What an ensemble that stands aside answers, if that is what was recorded and not what the votes say."""
    if combined is None or not may or "hold" not in actions:
        return None
    aside = [float(action == "hold") for action in actions]
    return aside if list(recorded) == aside and list(combined) != aside else None


def _judged(
    result: ReplayResult, combined: Sequence[float], recorded: Sequence[float], confidence: float
) -> ReplayResult:
    actions = result.actions
    if len(combined) != len(recorded):
        return attrs.evolve(
            result, reason=f"the decision has {len(recorded)} scores, and its models make {len(combined)}"
        )
    index = choose(combined, actions.index("hold") if "hold" in actions else None)
    now = min(combined[index], 1.0)
    differences = (
        *result.differences,
        *compare([f"decision: score of {action}" for action in actions], recorded, combined, "float64"),
        *compare(["decision: confidence"], [confidence], [now], "float64"),
    )
    agreed = not differences and actions[index] == result.action_recorded
    count = len(result.members)
    reason = f"{count} {'model' if count == 1 else 'models'} and the decision came out in the same bits"
    if not agreed:
        causes = [f"{member.name}: {member.reason}" for member in result.members if member.reason]
        reason = "; ".join(causes) or (
            "every model agrees, and the decision does not follow from what they said: "
            "is the record as it was written? axon journal verify tells"
        )
    return attrs.evolve(
        result,
        verdict=Verdict.Agreed if agreed else Verdict.Differs,
        action_recomputed=actions[index],
        confidence_recomputed=now,
        scores_recomputed=tuple(combined),
        differences=differences,
        reason=reason,
    )


def _why(loaded: Loaded | None, machine: str) -> str:
    """Why the scores of the same bytes may be others."""
    if loaded is None:
        return "it is code, and it is other code now"
    before, now = loaded.plan_recorded, loaded.backend.model.plan
    if before is None:
        return "nothing says how it was computed then, so it may have been in another way"
    changed = [
        f"{key} was {before.get(key, 'not there')} and is {now.get(key, 'not there')}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    causes = [f"the plan differs: {', '.join(changed)}"] if changed else []
    if loaded.machine_recorded and loaded.machine_recorded != machine:
        causes.append(f"it was computed on another machine: {loaded.machine_recorded}, here {machine}")
    return "; ".join(causes) or (
        "same bytes, same plan, same kind of machine: is the record as it was written? axon journal verify tells"
    )
