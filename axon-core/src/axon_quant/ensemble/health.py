"""Drift detectors at the members' streams, and the members that are out or tried again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from axon_quant.ensemble.drift import Detector
from axon_quant.ensemble.members import Member
from axon_quant.ensemble.options import require
from axon_quant.errors import EnsembleError
from axon_quant.inference.scores import probabilities

STREAMS = ("confidence", "returns")
"""What of a member is watched: the probability of its favoured action, and its realised returns."""

Drift: TypeAlias = Callable[[], Detector] | Mapping[str, Callable[[], Detector]]
"""What makes a detector, for both streams or by stream. It is called once for each member."""

OnDrift: TypeAlias = Literal["report", "deactivate"]


class Health:
    """The rules for members that drift or fail: what is watched, what follows, and when one is tried again.

    `found` is called with a member and the stream in which it drifts. Raises EnsembleError for options out of range.
    """

    def __init__(
        self,
        members: Sequence[Member],
        drift: Drift | None,
        found: Callable[[Member, str], None],
        *,
        on_drift: OnDrift,
        retry_after: int | None,
        trial: int,
    ) -> None:
        require(on_drift in ("report", "deactivate"), "on_drift", on_drift, "'report' or 'deactivate'")
        require(retry_after is None or retry_after >= 1, "retry_after", retry_after, "at least 1 decision")
        require(trial >= 1, "trial", trial, "at least 1 decision")
        self.deactivates = on_drift == "deactivate"
        self.retry_after = retry_after
        self.trial = trial
        self._found = found
        for stream, make in _factories(drift).items():
            for member in members:
                detector = member.watches[stream] = make()
                if not callable(getattr(detector, "update", None)):
                    raise EnsembleError(f"the drift detector of {stream} is {detector!r}, which has no update(value)")
                if stream == "confidence":
                    member.score = self._watched(member, detector)

    def on_return(self, member: Member, value: float) -> None:
        """Show a realised return to the member's detector, if it has one."""
        detector = member.watches.get("returns")
        if detector is not None and _asked(detector, value):
            self._found(member, "returns")

    def due(self, member: Member) -> bool:
        """Count a decision that a deactivated member is not asked in; true once it is to be tried again."""
        if member.on_trial:
            return True
        if self.retry_after is None or member.waited < self.retry_after:
            member.waited += 1
            return False
        member.on_trial, member.answered, member.streak = True, 0, 0
        for detector in member.watches.values():
            reset = getattr(detector, "reset", None)
            if reset is not None:
                reset()
        return True

    def passed(self, member: Member) -> bool:
        """Count a usable answer on trial; true once it has given enough of them."""
        member.answered += 1
        return member.on_trial and member.answered >= self.trial

    def _watched(self, member: Member, detector: Detector) -> Callable[[Any], tuple[float, ...]]:
        score, scale, found = member.score, member.scale, self._found

        def score_and_watch(observation: object) -> tuple[float, ...]:
            scores = score(observation)
            if _asked(detector, max(probabilities(scores, scale))):
                found(member, "confidence")
            return scores

        return score_and_watch


def _asked(detector: Detector, value: float) -> bool:
    try:
        return bool(detector.update(value))
    except Exception as error:
        raise EnsembleError(f"the drift detector failed on {value}: {type(error).__name__}: {error}") from error


def _factories(drift: Drift | None) -> Mapping[str, Callable[[], Detector]]:
    if drift is None:
        return {}
    factories = drift if isinstance(drift, Mapping) else dict.fromkeys(STREAMS, drift)
    for stream, make in factories.items():
        require(stream in STREAMS, "a stream of drift", repr(stream), f"one of {', '.join(STREAMS)}")
        require(callable(make), f"drift[{stream!r}]", repr(make), "a class or function that makes a detector")
    return factories
