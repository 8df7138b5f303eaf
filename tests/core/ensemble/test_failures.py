"""Members that fail are left out, counted, reported and in the end deactivated. Nothing turns into a silent hold."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from axon_quant.errors import EnsembleError
from axon_quant.events import MemberFailed, WeightsChanged

BUY, SELL = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
OBSERVATION = np.zeros(4)
UNUSABLE = [
    ValueError("no luck"),
    np.array([np.nan, 0.0, 1.0]),
    np.array([np.inf, 0.0, 1.0]),
    np.array([0.5, 0.5]),
    np.zeros((3, 3)),
    None,
]


@pytest.mark.parametrize("answer", UNUSABLE, ids=repr)
def test_a_member_that_fails_is_left_out_of_that_decision(build, events, strategy, answer):
    ensemble, _ = build(answer, SELL, SELL, initial_weights=[0.8, 0.15, 0.05], strategy=strategy)
    action = ensemble.predict(OBSERVATION)
    assert action.name == "sell"
    assert [(vote.name, round(vote.weight, 12)) for vote in action.members] == [("m1", 0.75), ("m2", 0.25)]
    (event,) = events
    assert isinstance(event, MemberFailed)
    assert (event.at, event.member, event.deactivated) == (7, "m0", False)
    assert ensemble.get_metrics()["failures"] == {"m0": 1, "m1": 0, "m2": 0}
    assert ensemble.weights[0] == pytest.approx(0.8)


def test_a_member_is_deactivated_after_three_failures_in_a_row_and_no_longer_asked(build, events):
    ensemble, (bad, _, _) = build(ValueError("no luck"), SELL, SELL, initial_weights=[0.5, 0.4, 0.1])
    for _ in range(5):
        assert ensemble.predict(OBSERVATION).name == "sell"
    assert bad.calls == 3
    assert [event.deactivated for event in events if isinstance(event, MemberFailed)] == [False, False, True]
    assert ensemble.weights == pytest.approx((0.0, 0.8, 0.2))
    assert ensemble.get_metrics()["active_count"] == 2
    changed = [event for event in events if isinstance(event, WeightsChanged)]
    assert [event.weights for event in changed] == [ensemble.weights]


def test_failures_that_are_not_in_a_row_do_not_deactivate(build):
    ensemble, (shaky, _) = build(BUY, SELL, max_failures=2)
    for _ in range(4):
        shaky.answer = ValueError("no luck")
        ensemble.predict(OBSERVATION)
        shaky.answer = BUY
        ensemble.predict(OBSERVATION)
    assert ensemble.get_metrics()["active_count"] == 2
    assert ensemble.get_metrics()["failures"]["m0"] == 4


def test_when_none_is_left_it_raises_with_every_reason(build):
    ensemble, _ = build(ValueError("no luck"), np.array([np.nan] * 3), max_failures=1)
    for _ in range(2):
        with pytest.raises(EnsembleError, match=r"m0: 1 failures, the last ValueError: no luck; m1: 1 failures"):
            ensemble.predict(OBSERVATION)


def test_a_member_without_weight_does_not_decide_alone(build):
    ensemble, _ = build(ValueError("no luck"), SELL, initial_weights=[1, 0], max_failures=1)
    for _ in range(2):
        with pytest.raises(EnsembleError, match="no member with a weight is left"):
            ensemble.predict(OBSERVATION)
    ensemble.record_return("m1", 0.01)
    with pytest.raises(EnsembleError):
        ensemble.infer(np.zeros((2, 4)))


def test_a_reactivated_member_takes_part_again_with_an_equal_share(build):
    ensemble, (bad, _, _) = build(ValueError("no luck"), SELL, SELL, max_failures=1, initial_weights=[0.2, 0.6, 0.2])
    ensemble.predict(OBSERVATION)
    bad.answer = BUY
    ensemble.reactivate("m0")
    assert ensemble.weights == pytest.approx((1 / 3, 0.5, 1 / 6))
    assert len(ensemble.predict(OBSERVATION).members) == 3


def test_the_last_member_can_come_back(build):
    ensemble, (bad,) = build(ValueError("no luck"), max_failures=1)
    with pytest.raises(EnsembleError):
        ensemble.predict(OBSERVATION)
    bad.answer = SELL
    ensemble.reactivate(0)
    assert ensemble.predict(OBSERVATION).name == "sell"


def test_without_emit_a_failure_is_logged(build, caplog):
    ensemble, _ = build(ValueError("no luck"), SELL, emit=None)
    with caplog.at_level(logging.WARNING):
        ensemble.predict(OBSERVATION)
    assert "member m0 failed: ValueError: no luck" in caplog.text


def test_infer_raises_instead_of_leaving_a_member_out(build):
    ensemble, _ = build(ValueError("no luck"), SELL)
    with pytest.raises(ValueError, match="no luck"):
        ensemble.infer(np.zeros((2, 4)))
    assert ensemble.get_metrics()["failures"] == {"m0": 0, "m1": 0}
