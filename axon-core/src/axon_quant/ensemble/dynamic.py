"""Several models, one decision."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from math import fsum, isfinite
from operator import mul, sub
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from axon_quant.clock import Clock, LiveClock
from axon_quant.ensemble.health import Drift, Health, OnDrift
from axon_quant.ensemble.members import Member, names_of, scorers_of
from axon_quant.ensemble.performance import SIGMA_FLOOR, Rolling, standing
from axon_quant.ensemble.remembering import Stateful
from axon_quant.ensemble.simplex import normalised
from axon_quant.ensemble.state import check_detectors, require_same, restore_member, state_of_member
from axon_quant.ensemble.weighting import FittedRule, WeightingRule
from axon_quant.errors import EnsembleError
from axon_quant.events import (
    Emit,
    EnsembleState,
    Event,
    MemberDrifted,
    MemberFailed,
    MemberReturned,
    MemberVote,
    ModelIdentity,
    WeightsChanged,
)
from axon_quant.inference.action import Action
from axon_quant.inference.scorer import Decode, Floats
from axon_quant.inference.scores import choose, probabilities
from axon_quant.plugins import load_ensemble

_LOG = logging.getLogger(__name__)

REPORTED_MOVE = 0.01
"""A weight must have moved this far since the last WeightsChanged for a step to be worth another."""

LARGEST_RETURN = 1e100
"""Far beyond any return, in whatever unit; squares of it still sum up."""


class EnsembleMetrics(TypedDict):
    """What `get_metrics` returns.

    `sharpe` is per step, of the returns weighted as they came in; before two of them, the weighted mean of the
    performances last given to `update_weights`; NaN before that. `turnover` is the mean part of the weight that a move
    shifts, over the window; `effective_n` is 1 / Σ weight². `failures` and `drifts` count by name; `abstaining` is
    whether the strategy stands aside.
    """

    sharpe: float
    active_count: int
    weights: tuple[float, ...]
    turnover: float
    effective_n: float
    member_sharpe: dict[str, float]
    failures: dict[str, int]
    drifts: dict[str, int]
    abstaining: bool


class DynamicWeightedEnsemble:
    """Models whose votes are weighted by how well they have done.

    Every model goes through `as_scorer`; the actions are `actions`, else those the first model names, else buy, sell,
    hold. `strategy` names an ensemble plugin, which gets `performance_window` and `**options` (see `SoftmaxSharpe`).
    `decode` turns the output of continuous members into scores. `names` are the members' names in decisions and events
    (default: the models' own).

    A member that raises, returns NaN or the wrong number of scores is left out of that decision, the others' weights
    are scaled up, and MemberFailed is emitted (logged where there is no `emit`); after `max_failures` such decisions in
    a row it is deactivated, until `reactivate`. Without a member that has weight, `predict` raises EnsembleError: there
    is no silent hold.

    `drift` makes detectors (`drift=Cusum`, or by stream: `drift={"confidence": Cusum, "returns": Psi}`) that watch the
    members' confidence and realised returns. A member that drifts is reported by MemberDrifted and, with
    `on_drift="deactivate"`, deactivated. With `retry_after` a deactivated member is tried again after that many
    decisions: it votes without weight until it has given `trial` usable answers in a row and its detectors kept quiet;
    then it is back with an equal share (MemberReturned), else out for as long again.

    `rounds` counts the steps that the strategy has taken on realised returns since it was made.

    On a tie the action is `hold` where there is one, else the first of the equal ones. Not for use from several
    threads. Raises EnsembleError for weights, names or options that cannot be used, ModelError for a model that cannot.
    """

    def __init__(
        self,
        models: Sequence[object],
        initial_weights: Sequence[float] | None = None,
        performance_window: int = 100,
        *,
        strategy: str = "softmax-sharpe",
        names: Sequence[str] | None = None,
        actions: Sequence[str] | None = None,
        decode: Decode | None = None,
        max_failures: int = 3,
        drift: Drift | None = None,
        on_drift: OnDrift = "report",
        retry_after: int | None = None,
        trial: int = 50,
        emit: Emit | None = None,
        clock: Clock | None = None,
        **options: object,
    ) -> None:
        models = list(models)
        if not models:
            raise EnsembleError("an ensemble needs at least one model")
        if performance_window < 2:
            raise EnsembleError(f"performance_window is {performance_window}, expected at least 2")
        if max_failures < 1:
            raise EnsembleError(f"max_failures is {max_failures}, expected at least 1")
        scorers = scorers_of(models, actions, decode)
        self.actions: tuple[str, ...] = scorers[0].actions
        self._hold = self.actions.index("hold") if "hold" in self.actions else None
        labels = names_of(scorers, names)
        self._members = tuple(map(Member, range(len(models)), labels, scorers))
        self._by_name = {member.name: member for member in self._members}
        self._active = self._members
        self._health = Health(
            self._members, drift, self._drifted, on_drift=on_drift, retry_after=retry_after, trial=trial
        )
        initial = [1.0] * len(models) if initial_weights is None else initial_weights
        self._weights = normalised(initial, len(models), "initial_weights")
        self._rule = _rule(strategy, self._weights, performance_window, options)
        if isinstance(self._rule, FittedRule):
            self._weights = normalised(self._rule.fitted_weights, len(models), "the fitted weights")
        self._reported = self._initial = self._weights
        self._strategy, self._window = strategy, performance_window
        if self._rule.may_abstain and self._hold is None:
            raise EnsembleError(f"{strategy} may abstain, which needs an action 'hold' among {', '.join(self.actions)}")
        self._mask = (True,) * len(models)
        self._performance = [Rolling(performance_window) for _ in models]
        self._returns = Rolling(performance_window)
        self._turnovers = Rolling(performance_window)
        self._given: tuple[float, ...] | None = None
        self.rounds = 0
        self._max_failures = max_failures
        self._emit = emit
        self._clock = LiveClock() if clock is None else clock

    @property
    def weights(self) -> tuple[float, ...]:
        """One weight per model, in their order, summing to 1; zero for a deactivated one."""
        return self._weights

    @property
    def names(self) -> tuple[str, ...]:
        """The members' names, in the order of the models."""
        return tuple(member.name for member in self._members)

    @property
    def active(self) -> tuple[bool, ...]:
        """Whether each member takes part, in their order."""
        return tuple(member.active for member in self._members)

    @property
    def models(self) -> tuple[object, ...]:
        """The members' models, in their order, as they were given."""
        return tuple(member.scorer.model for member in self._members)

    def predict(self, observation: object) -> Action:
        """The ensemble's action for one observation, with what each member said.

        `scores` are the combined probabilities; a vote has the member's raw scores and the weight it had in this
        decision, none if it is on trial. Raises EnsembleError if no member with weight gave usable scores.
        """
        weights, active = self._weights, self._active
        votes: list[MemberVote] = []
        shares: list[Sequence[float]] = []
        models: tuple[ModelIdentity, ...] = ()
        for member in active:
            try:
                scores = member.score(observation)
            except Exception as error:  # noqa: BLE001 - whatever a model raises, it is reported and the others go on
                self._failed(member, error)
                continue
            member.streak = 0
            votes.append(MemberVote(member.name, weights[member.index], scores))
            shares.append(probabilities(scores, member.scale))
            if identities := member.scorer.models:
                models += identities
        if len(votes) != len(weights):
            more = self._ask_the_absent(observation, active) if self._health.retry_after else []
            weights = self._rescaled([vote.weight for vote in votes])
            votes = [MemberVote(v.name, weight, v.scores) for v, weight in zip(votes, weights, strict=True)] + more
        rule = self._rule
        combined = self._aside() if rule.abstains else rule.combine(weights, shares)
        if len(combined) != len(self.actions) or not isfinite(sum(combined)):
            raise EnsembleError(f"the strategy combined the votes to {list(combined)}")
        index = choose(combined, self._hold)
        confidence = min(combined[index], 1.0)
        return Action(self.actions[index], index, confidence, tuple(combined), 0, tuple(votes), models)

    def infer(self, x: Floats) -> NDArray[np.float32]:
        """Combined probabilities of observations: `[batch, …shape]` → `[batch, output_dim]` float32.

        For explanations and tests, which need one unchanging function: nothing is counted, and a member that fails
        raises its error instead of being left out.
        """
        live = [(self._weights[member.index], member.scorer) for member in self._active]
        weights = self._rescaled([weight for weight, _ in live])
        batches = [scorer.score_batch(x).tolist() for _, scorer in live]
        rows = []
        for row in zip(*batches, strict=True):
            shares = [scorer.probabilities(scores) for (_, scorer), scores in zip(live, row, strict=True)]
            rows.append(self._aside() if self._rule.abstains else self._rule.combine(weights, shares))
        return np.array(rows, np.float32).reshape(len(x), len(self.actions))

    def update_weights(self, performances: Sequence[float]) -> None:
        """Move the weights at once to what the strategy makes of one performance per model (its Sharpe ratio per step).

        Raises EnsembleError for a wrong number of them or one that is not finite.
        """
        values = tuple(float(value) for value in performances)
        if len(values) != len(self._members):
            raise EnsembleError(f"expected {len(self._members)} performances, one per model, found {len(values)}")
        for name, value in zip(self.names, values, strict=True):
            if not isfinite(value):
                raise EnsembleError(f"the performance of {name} is {value}, expected a finite number")
        if not self._active:
            raise self._nobody()
        self._given = values
        self._move(self._rule.jump(values, self._mask, self._weights))
        self._report()

    def record_return(self, model: int | str, value: float) -> None:
        """A realised return per step of what a model, by index or name, had advised.

        Record it only once it is realised. When every active member has a new one, the strategy takes one step. Raises
        EnsembleError for an unknown model or a value that is NaN, infinite or beyond reason.
        """
        member = self._member(model)
        value = float(value)
        if not -LARGEST_RETURN <= value <= LARGEST_RETURN:
            raise EnsembleError(f"the return of {member.name} is {value}, expected at most ±{LARGEST_RETURN:g}")
        self._performance[member.index].append(value)
        if member.watches:
            self._health.on_return(member, value)
        member.fresh = True
        if self._active and all(other.fresh for other in self._active):
            self._round()

    def reactivate(self, model: int | str) -> None:
        """Let a deactivated member take part again, with an equal share, e.g. after its model was replaced."""
        member = self._member(model)
        if member.active:
            return
        member.active, member.streak, member.fresh, member.on_trial = True, 0, False, False
        self._recount()
        self._tell(MemberReturned(self._clock.now(), member.name), "member %s is back", member.name)
        count = len(self._active)
        if count == 1:
            weights = [0.0] * len(self._members)
            weights[member.index] = 1.0
        else:
            weights = [weight * (count - 1) / count for weight in self._weights]
            weights[member.index] = 1.0 / count
        self._move(weights)
        self._report()

    def report_drift(self, model: int | str, stream: str) -> None:
        """A detector outside, such as one of inputs, found that a model drifts: count, report and, by `on_drift`, act.

        `stream` says in what. Raises EnsembleError for an unknown model.
        """
        self._drifted(self._member(model), stream)

    def state(self) -> EnsembleState:
        """Everything learnt; `restore` on an ensemble like this one goes on from it, bit for bit."""
        rule = self._rule
        return EnsembleState(
            self._strategy,
            self._window,
            self.actions,
            self._initial,
            self._weights,
            self._given,
            self._returns.state(),
            self._turnovers.state(),
            tuple(map(state_of_member, self._members, self._performance)),
            dict(rule.state()) if isinstance(rule, Stateful) else None,
        )

    def restore(self, state: EnsembleState) -> None:
        """Go on from a state. Raises EnsembleError, and changes nothing, if it is of another strategy, window, members,
        actions or initial weights, or damaged."""
        require_same(state, self.state())
        rings = [Rolling(self._window) for _ in range(len(self._members) + 2)]
        streams = [member.returns for member in state.members]
        for ring, stream in zip(rings, [*streams, state.returns, state.turnovers], strict=True):
            ring.restore(stream)
        for member, saved in zip(self._members, state.members, strict=True):
            check_detectors(member, saved)
        if isinstance(self._rule, Stateful) and state.rule is not None:
            self._rule.restore(state.rule)
        *self._performance, self._returns, self._turnovers = rings
        for member, saved in zip(self._members, state.members, strict=True):
            restore_member(member, saved)
        self._recount()
        self._weights, self._given = state.weights, state.given
        self._report()

    def get_metrics(self) -> EnsembleMetrics:
        """How the ensemble is doing; see EnsembleMetrics."""
        sharpe = standing(self._performance, self._mask).sharpe
        return EnsembleMetrics(
            sharpe=self._sharpe(),
            active_count=len(self._active),
            weights=self._weights,
            turnover=self._turnovers.mean,
            effective_n=1.0 / fsum(weight * weight for weight in self._weights),
            member_sharpe=dict(zip(self.names, sharpe, strict=True)),
            failures={member.name: member.failures for member in self._members},
            drifts={member.name: member.drifts for member in self._members},
            abstaining=self._rule.abstains,
        )

    def _sharpe(self) -> float:
        returns = self._returns
        if returns.count >= 2:
            return returns.mean / max(returns.sigma, SIGMA_FLOOR)
        if self._given is not None:
            return fsum(weight * value for weight, value in zip(self._weights, self._given, strict=True))
        return float("nan")

    def _round(self) -> None:
        """Every active member has a new return: account for the ensemble's own, then take one step."""
        self.rounds += 1
        now = standing(self._performance, self._mask)
        self._returns.append(fsum(map(mul, self._weights, now.last)))
        for member in self._active:
            member.fresh = False
        self._move(self._rule.step(now, self._weights))
        if max(map(abs, map(sub, self._weights, self._reported))) >= REPORTED_MOVE:
            self._report()

    def _move(self, weights: Sequence[float]) -> None:
        moved = normalised(weights, len(self._members), "the strategy's weights")
        if len(self._active) < len(self._members):
            masked = tuple(map(mul, moved, self._mask))
            if not fsum(masked) > 0.0:
                return  # only members without weight are left: they watch, and `predict` says that nobody decides
            moved = normalised(masked, len(self._members), "the strategy's weights")
        self._turnovers.append(fsum(map(abs, map(sub, moved, self._weights))) / 2.0)
        self._weights = moved

    def _report(self) -> None:
        self._reported = self._weights
        if self._emit is not None:
            self._emit(WeightsChanged(self._clock.now(), self.names, self._weights))

    def _ask_the_absent(self, observation: object, asked: Sequence[Member]) -> list[MemberVote]:
        """Votes without weight, of the members on trial; `asked` are those who were asked in this decision."""
        votes = []
        for member in self._members:
            if member in asked or member.active or not self._health.due(member):
                continue
            try:
                scores = member.score(observation)
            except Exception as error:  # noqa: BLE001 - as in `predict`
                self._failed(member, error)
                continue
            votes.append(MemberVote(member.name, 0.0, scores))
            if self._health.passed(member):
                self.reactivate(member.index)
        return votes

    def _failed(self, member: Member, error: Exception) -> None:
        member.failures += 1
        member.streak += 1
        deactivate = member.on_trial or member.streak >= self._max_failures
        member.trouble = f"{type(error).__name__}: {error}"
        event = MemberFailed(self._clock.now(), member.name, member.trouble, deactivate)
        self._tell(event, "member %s failed: %s", member.name, member.trouble)
        if deactivate:
            self._deactivate(member)

    def _drifted(self, member: Member, stream: str) -> None:
        member.drifts += 1
        deactivate = self._health.deactivates
        event = MemberDrifted(self._clock.now(), member.name, stream, deactivate)
        self._tell(event, "member %s drifts in its %s", member.name, stream)
        if deactivate:
            member.trouble = f"drift in its {stream}"
            self._deactivate(member)

    def _deactivate(self, member: Member) -> None:
        member.on_trial, member.waited = False, 0
        if not member.active:
            return
        member.active = False
        self._recount()
        self._move(self._weights)
        self._report()

    def _tell(self, event: Event, message: str, *arguments: object) -> None:
        if self._emit is None:
            _LOG.warning(message, *arguments)
        else:
            self._emit(event)

    def _rescaled(self, weights: list[float]) -> tuple[float, ...]:
        """The weights of those that take part in a decision, scaled to sum to 1."""
        total = fsum(weights)
        if not total > 0.0:
            raise self._nobody()
        return tuple([weight / total for weight in weights])

    def _nobody(self) -> EnsembleError:
        troubles = [
            f"{m.name}: {m.failures} failures, {f'{m.drifts} drifts, ' if m.drifts else ''}the last {m.trouble}"
            for m in self._members
            if m.trouble
        ]
        text = "; ".join(["no member with a weight is left to decide", *troubles])
        return EnsembleError(text, hint="reactivate() lets a repaired one back in")

    def _aside(self) -> list[float]:
        return [float(index == self._hold) for index in range(len(self.actions))]

    def _recount(self) -> None:
        self._active = tuple(member for member in self._members if member.active)
        self._mask = tuple(member.active for member in self._members)

    def _member(self, model: int | str) -> Member:
        if isinstance(model, str):
            if model in self._by_name:
                return self._by_name[model]
        elif 0 <= model < len(self._members):
            return self._members[model]
        raise EnsembleError(f"no model {model!r}; there are {', '.join(self.names)}, or 0 to {len(self._members) - 1}")


def _rule(strategy: str, initial: tuple[float, ...], window: int, options: dict[str, object]) -> WeightingRule:
    make: Callable[..., WeightingRule] = load_ensemble(strategy)
    try:
        return make(initial, window, **options)
    except TypeError as error:
        raise EnsembleError(f"{strategy} cannot be made with {options}: {error}") from error
