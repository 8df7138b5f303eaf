"""The members of an ensemble: models over the same actions, each with a name and a record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from axon_quant.ensemble.drift import Detector
from axon_quant.errors import EnsembleError
from axon_quant.inference.action import TRADING_ACTIONS
from axon_quant.inference.scorer import Decode, Scorer, as_scorer


class Member:
    """One model and how it has been doing.

    `score` is the scorer's own, or one that also watches for drift. A member that is not `active` is out, and once it
    is tried again `on_trial`: `waited` counts the decisions it was out, `answered` those it has answered on trial.
    `watches` are its drift detectors, by stream.
    """

    __slots__ = (
        "active",
        "answered",
        "drifts",
        "failures",
        "fresh",
        "index",
        "name",
        "on_trial",
        "scale",
        "score",
        "scorer",
        "streak",
        "trouble",
        "waited",
        "watches",
    )

    def __init__(self, index: int, name: str, scorer: Scorer) -> None:
        self.index = index
        self.name = name
        self.scorer = scorer
        self.score: Callable[[Any], tuple[float, ...]] = scorer.score
        self.scale = scorer.scale
        self.active = True
        self.on_trial = False
        self.failures = self.streak = self.drifts = self.waited = self.answered = 0
        self.trouble = ""
        self.fresh = False
        self.watches: dict[str, Detector] = {}


def scorers_of(models: Sequence[object], actions: Sequence[str] | None, decode: Decode | None) -> list[Scorer]:
    """All models over the same actions in the same order. Raises ModelError for a model that cannot be asked."""
    declared = None if actions is None else tuple(actions)
    common = declared or next((own for model in models if (own := _own_actions(model))), TRADING_ACTIONS)
    scorers = []
    for model in models:
        # Only what the user declares, or other names than the three, is a declaration for a model without names:
        # that another member says buy, sell, hold does not tell what this one's label 0 means.
        given = declared if _own_actions(model) or common == TRADING_ACTIONS else common
        scorers.append(as_scorer(as_scorer(model, given, decode=decode), common))
    return scorers


def _own_actions(model: object) -> tuple[str, ...]:
    """The actions a model, or the model behind a backend, names itself."""
    served = getattr(model, "model", None) if hasattr(model, "infer") else model
    own = getattr(served, "actions", None)
    return tuple(own) if own else ()


def names_of(scorers: Sequence[Scorer], names: Sequence[str] | None) -> tuple[str, ...]:
    """The names asked for, else the models' own, told apart by numbers. Raises EnsembleError for equal ones."""
    if names is not None:
        if len(names) != len(scorers) or len(set(names)) != len(names):
            raise EnsembleError(f"names: expected {len(scorers)} different ones, found {list(names)}")
        return tuple(names)
    result: list[str] = []
    for scorer in scorers:
        name, number = scorer.name, 1
        while name in result:
            number += 1
            name = f"{scorer.name}-{number}"
        result.append(name)
    return tuple(result)
