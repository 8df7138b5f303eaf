"""Plans of what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_quant.errors import ConfigError
from axon_quant.exchange.simulator import FaultPlan, FaultRule
from axon_quant.exchange.simulator.faults import REQUEST_FAULTS, STREAM_FAULTS


def fired(plan: FaultPlan, place: str, times: int) -> list[int]:
    return [number for number in range(times) if plan.draw(place) is not None]


def test_every_nth_place_and_not_before_and_at_most():
    plan = FaultPlan([FaultRule("refuse", every=3, after=2, limit=2)])
    assert fired(plan, "request:x", 20) == [4, 7]
    assert plan.fired == {"refuse": 2}


def test_a_rule_fires_only_at_its_places():
    plan = FaultPlan([FaultRule("disconnect", "stream:account:*", every=1)])
    assert plan.draw("stream:market:trade") is None
    assert plan.draw("stream:account:trade").kind == "disconnect"


def test_the_first_rule_that_is_due_wins():
    plan = FaultPlan([FaultRule("refuse", every=2), FaultRule("slow", every=1)])
    assert [plan.draw("request:x").kind for _ in range(4)] == ["slow", "refuse", "slow", "refuse"]


def test_only_the_kinds_that_are_asked_for_are_drawn():
    plan = FaultPlan([FaultRule("refuse", every=1), FaultRule("drop", every=1)])
    assert plan.draw("x", STREAM_FAULTS).kind == "drop"
    assert plan.draw("x", REQUEST_FAULTS).kind == "refuse"


@given(st.integers(0, 1_000), st.lists(st.sampled_from(["request:a", "request:b", "stream:c"]), max_size=200))
def test_a_rule_fires_at_the_same_places_whatever_else_happens(seed, others):
    """Requests and market messages meet in another order each time; what they draw must not depend on it."""
    rules = [FaultRule("refuse", "request:a", probability=0.3), FaultRule("drop", "stream:*", probability=0.5)]
    alone, among = FaultPlan(rules, seed=seed), FaultPlan(rules, seed=seed)
    wanted = [alone.draw("request:a") is not None for _ in range(others.count("request:a"))]
    drawn = [(place, among.draw(place) is not None) for place in others]
    assert [fired for place, fired in drawn if place == "request:a"] == wanted


def test_another_seed_is_another_plan():
    rules = [FaultRule("refuse", probability=0.5)]
    plans = [FaultPlan(rules, seed=seed) for seed in (1, 1, 2)]
    first, same, other = (fired(plan, "request:x", 100) for plan in plans)
    assert first == same != other


def test_a_paused_plan_lets_everything_go_right():
    plan = FaultPlan([FaultRule("refuse", every=1)])
    plan.paused = True
    assert plan.draw("request:x") is None
    assert plan.places == {"request:x": 1}


def test_another_plan_goes_on_counting():
    old = FaultPlan([FaultRule("refuse", every=1)])
    old.draw("request:x")
    new = FaultPlan([FaultRule("refuse", every=1)])
    new.take_over(old)
    new.draw("request:x")
    assert new.fired == {"refuse": 2}


def test_a_plan_is_read_from_toml_and_from_json(tmp_path: Path):
    toml, plain = tmp_path / "plan.toml", tmp_path / "plan.json"
    toml.write_text('[[fault]]\nkind = "slow"\nwhere = "request:order.*"\nevery = 2\nseconds = 0.5\n')
    plain.write_text(json.dumps([{"kind": "slow", "where": "request:order.*", "every": 2, "seconds": 0.5}]))
    assert FaultPlan.read(toml).rules == FaultPlan.read(plain).rules
    assert FaultPlan.read(toml).rules == (FaultRule("slow", "request:order.*", every=2, seconds=0.5),)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"kind": "explode", "every": 1}, "is none of"),
        ({"kind": "slow"}, "either probability or every"),
        ({"kind": "slow", "every": 1, "probability": 0.5}, "either probability or every"),
        ({"kind": "slow", "probability": 1.5}, r"lies in \[0, 1\]"),
        ({"kind": "slow", "probability": float("nan")}, r"lies in \[0, 1\]"),
        ({"kind": "slow", "every": 1, "seconds": float("nan")}, "seconds"),
        ({"kind": "drift", "every": 1, "milliseconds": float("inf")}, "no drift"),
        ({"kind": "slow", "every": "1"}, "a number"),
        ({"kind": "slow", "every": 1, "colour": "red"}, "'colour'"),
        ({"every": 1}, "no table with a kind"),
        ("slow", "no table with a kind"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_with_what_is_wrong(row, says):
    with pytest.raises(ConfigError, match=says):
        FaultPlan.of([row])


@pytest.mark.parametrize("text", ["fault = 1", "[[fault", "", '[[faults]]\nkind = "slow"'])
def test_a_file_that_holds_no_plan_is_named(tmp_path: Path, text: str):
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"plan\.toml"):
        FaultPlan.read(path)
    with pytest.raises(ConfigError, match=r"none\.toml: no plan of faults: No such file or directory \(name"):
        FaultPlan.read(tmp_path / "none.toml")
