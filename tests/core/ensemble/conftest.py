"""Members that answer what a test tells them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from axon_quant.clock import SimClock
from axon_quant.ensemble import DynamicWeightedEnsemble
from axon_quant.events import Event


class Member:
    """A model with a settable answer: scores, or an exception to raise."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.calls = 0

    def __call__(self, observation: object) -> object:
        self.calls += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def build(events: list[Event]) -> Callable[..., tuple[DynamicWeightedEnsemble, list[Member]]]:
    """An ensemble over members with these answers, and the members; its events land in `events`."""

    def make(*answers: object, **options: object) -> tuple[DynamicWeightedEnsemble, list[Member]]:
        members = [Member(answer) for answer in answers]
        options = {
            "emit": events.append,
            "clock": SimClock(7),
            "names": [f"m{i}" for i in range(len(members))],
            **options,
        }
        return DynamicWeightedEnsemble(members, **options), members

    return make
