"""What an ensemble remembers: from its parts into an EnsembleState and back."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

from axon_quant.ensemble.members import Member
from axon_quant.ensemble.performance import Rolling
from axon_quant.ensemble.remembering import Stateful
from axon_quant.errors import EnsembleError
from axon_quant.events import DetectorState, EnsembleState, MemberState, Remembered


def require_same(state: EnsembleState, own: EnsembleState) -> None:
    """Raise EnsembleError, with both values, unless a state is of an ensemble like the one that `own` describes."""
    for what, found, expected in (
        ("strategy", state.strategy, own.strategy),
        ("performance_window", state.window, own.window),
        ("members", [m.name for m in state.members], [m.name for m in own.members]),
        ("actions", list(state.actions), list(own.actions)),
        ("initial weights", list(state.initial), list(own.initial)),
    ):
        if found != expected:
            raise EnsembleError(
                f"the state is of an ensemble with the {what} {found}, not {expected}",
                hint="a changed ensemble starts afresh",
            )
    count = len(own.members)
    if len(state.weights) != count or not (min(state.weights) >= 0.0 and abs(sum(state.weights) - 1.0) < 1e-6):
        raise EnsembleError(f"the state has the weights {list(state.weights)}, expected {count} that sum to 1")
    if state.given is not None and len(state.given) != count:
        raise EnsembleError(f"the state has {len(state.given)} performances, expected {count}")
    if (state.rule is None) != (own.rule is None):
        raise EnsembleError(f"the state {'lacks' if state.rule is None else 'has'} what {own.strategy} remembers")


def state_of_member(member: Member, returns: Rolling) -> MemberState:
    """A member, its returns, and those of its drift detectors that can be saved."""
    return MemberState(
        member.name,
        member.active,
        member.on_trial,
        member.failures,
        member.streak,
        member.drifts,
        member.waited,
        member.answered,
        member.trouble,
        member.fresh,
        returns.state(),
        {
            stream: DetectorState(type(detector).__name__, dict(detector.state()))
            for stream, detector in member.watches.items()
            if isinstance(detector, Stateful)
        },
    )


def check_detectors(member: Member, state: MemberState) -> None:
    """Raise EnsembleError if one of the member's detectors cannot take its state."""
    for detector, saved in _detectors(member, state):
        deepcopy(detector).restore(saved)


def restore_member(member: Member, state: MemberState) -> None:
    """All but the returns. A stream with another detector than it had starts afresh."""
    for name in ("active", "on_trial", "failures", "streak", "drifts", "waited", "answered", "trouble", "fresh"):
        setattr(member, name, getattr(state, name))
    for detector, saved in _detectors(member, state):
        detector.restore(saved)


def _detectors(member: Member, state: MemberState) -> Iterator[tuple[Stateful, dict[str, Remembered]]]:
    for stream, detector in member.watches.items():
        saved = state.drift.get(stream)
        if saved is not None and isinstance(detector, Stateful) and type(detector).__name__ == saved.detector:
            yield detector, saved.memory
