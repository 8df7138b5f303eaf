"""What comes out when a recorded decision is computed again: the same bits, other ones, or a reason why not."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Literal

import attrs

from axon_quant.provenance import ModelIdentity


class Verdict(Enum):
    """Of a replay. `NotReplayed`: something could not be computed, so nothing is known."""

    Agreed = "agreed"
    Differs = "differs"
    NotReplayed = "not-replayed"


@attrs.frozen
class Difference:
    """One number that came out otherwise. `steps` is how many representable numbers lie between the two, in `type`."""

    what: str
    recorded: float
    recomputed: float
    type: Literal["float32", "float64"]
    steps: int

    def __str__(self) -> str:
        gap = self.recomputed - self.recorded
        return (
            f"{self.what}: recorded {self.recorded!r}, recomputed {self.recomputed!r} "
            f"({gap:+.3g}, {self.steps} {self.type} step{'' if self.steps == 1 else 's'})"
        )


@attrs.frozen(kw_only=True)
class MemberReplay:
    """One model of the decision, computed again.

    `recomputed` is None where that was not possible, for `reason`. `reason` also says why scores may differ. `plan_*`
    say how they were computed then and now (None: not known, or no model); `machine_*` name the kind of machine.
    """

    name: str
    weight: float
    model: ModelIdentity | None
    scores_recorded: tuple[float, ...]
    scores_recomputed: tuple[float, ...] | None = None
    plan_recorded: Mapping[str, str] | None = None
    plan_used: Mapping[str, str] | None = None
    machine_recorded: str = ""
    machine_used: str = ""
    differences: tuple[Difference, ...] = ()
    reason: str = ""

    @property
    def verdict(self) -> Verdict:
        """Of its scores alone."""
        if self.scores_recomputed is None:
            return Verdict.NotReplayed
        return Verdict.Differs if self.differences else Verdict.Agreed


@attrs.frozen(kw_only=True)
class ReplayResult:
    """A decision computed again from its stored observation, compared bit for bit.

    `scores_*`, `action_*` and `confidence_*` are the decision's own, which the ensemble made from its members' scores
    with the weights that are recorded; None where they could not be recomputed. `differences` has those of all members
    and of the decision; `reason` says in a sentence why the result is what it is, and `remarks` what else is to know.
    """

    decision_id: str
    verdict: Verdict
    members: tuple[MemberReplay, ...]
    action_recorded: str
    action_recomputed: str | None
    confidence_recorded: float
    confidence_recomputed: float | None
    scores_recorded: tuple[float, ...]
    scores_recomputed: tuple[float, ...] | None
    actions: tuple[str, ...]
    differences: tuple[Difference, ...]
    reason: str
    remarks: tuple[str, ...] = ()
    compared: Literal["bits"] = "bits"

    @property
    def agreed(self) -> bool:
        """Whether every number that the decision rests on came out in the same bits."""
        return self.verdict is Verdict.Agreed

    @property
    def model_sha256(self) -> Mapping[str, str]:
        """Of the models behind the decision, by member."""
        return {member.name: member.model.sha256 for member in self.members if member.model is not None}


def compare(
    what: Sequence[str], recorded: Sequence[float], recomputed: Sequence[float], type_: Literal["float32", "float64"]
) -> tuple[Difference, ...]:
    """The numbers that are not the same bits; `what` names each."""
    pack = "<f" if type_ == "float32" else "<d"
    return tuple(
        Difference(name, before, now, type_, _steps(pack, before, now))
        for name, before, now in zip(what, recorded, recomputed, strict=True)
        if struct.pack("<d", before) != struct.pack("<d", now)
    )


def _steps(pack: str, first: float, second: float) -> int:
    return abs(_rank(pack, first) - _rank(pack, second))


def _rank(pack: str, value: float) -> int:
    """The place of a number among all of its type, in their order."""
    integer = "<i" if pack == "<f" else "<q"
    bits: int = struct.unpack(integer, struct.pack(pack, value))[0]
    return bits if bits >= 0 else -(bits & (0x7FFFFFFF if pack == "<f" else 0x7FFFFFFFFFFFFFFF)) - 1
