"""Who stands behind a decision: the model versions, and what each member of an ensemble said.

Apart from the events that carry them, because serving a model needs no orders.
"""

from __future__ import annotations

from msgspec import Struct


class ModelIdentity(Struct, frozen=True):
    """Which model a decision came from: `number` counts versions within the run, `sha256` is of the loaded bytes."""

    name: str
    number: int
    sha256: str


class MemberVote(Struct, frozen=True):
    """What one member of the ensemble said in a decision."""

    name: str
    weight: float
    scores: tuple[float, ...]
