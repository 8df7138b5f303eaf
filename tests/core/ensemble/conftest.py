"""Members that answer what a test tells them, and every strategy there is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from axon_quant.clock import SimClock
from axon_quant.ensemble import DynamicWeightedEnsemble, StackingFit
from axon_quant.events import Event
from axon_quant.plugins import Capability, installed

DESCRIPTORS = {descriptor.name: descriptor for descriptor in installed().descriptors("ensemble")}


@pytest.fixture(scope="session", params=sorted(DESCRIPTORS))
def strategy(request: pytest.FixtureRequest) -> str:
    """Each strategy in turn."""
    return request.param


@pytest.fixture(scope="session")
def takes_gains(strategy: str) -> bool:
    """Whether `update_weights` wants gains in [0, 1]."""
    return Capability.Gains in DESCRIPTORS[strategy].capabilities


@pytest.fixture(scope="session")
def make() -> Callable[..., DynamicWeightedEnsemble]:
    """An ensemble of any strategy; a fitted one is fitted to the initial weights."""

    def make(models: list[object], initial_weights=None, performance_window=100, **options: object):
        if options.get("strategy") == "stacking" and models:
            options = {"fit": StackingFit(initial_weights or [1.0] * len(models)), **options}
        return DynamicWeightedEnsemble(models, initial_weights, performance_window, **options)

    return make


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
def build(events: list[Event], make) -> Callable[..., tuple[DynamicWeightedEnsemble, list[Member]]]:
    """An ensemble over members with these answers, and the members; its events land in `events`."""

    def build(*answers: object, **options: object) -> tuple[DynamicWeightedEnsemble, list[Member]]:
        members = [Member(answer) for answer in answers]
        options = {
            "emit": events.append,
            "clock": SimClock(7),
            "names": [f"m{i}" for i in range(len(members))],
            **options,
        }
        return make(members, **options), members

    return build
