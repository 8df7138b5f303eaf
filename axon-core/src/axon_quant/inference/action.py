"""The decoded output of a model."""

from __future__ import annotations

from msgspec import Struct

from axon_quant.provenance import MemberVote, ModelIdentity

TRADING_ACTIONS = ("buy", "sell", "hold")
"""The declared order for three outputs, whatever the backend."""


class Action(Struct, frozen=True):
    """What to do, decoded from raw scores.

    `index` is the position in the declared order of actions and `name` its name there; `confidence` lies in [0, 1];
    `scores` are the raw scores of the model (or the combined scores of an ensemble). `version` is the number of the
    model version that served, 0 for an ensemble, whose `members` say who voted for what. `models` identifies
    every model version involved.
    """

    name: str
    index: int
    confidence: float
    scores: tuple[float, ...]
    version: int = 0
    members: tuple[MemberVote, ...] = ()
    models: tuple[ModelIdentity, ...] = ()
