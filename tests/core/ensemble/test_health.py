"""Members that drift are reported or deactivated; members that were are tried again, without weight at first."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from axon_quant.ensemble import Cusum
from axon_quant.errors import EnsembleError
from axon_quant.events import MemberDrifted, MemberFailed, MemberReturned, WeightsChanged

BUY, SELL = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
OBSERVATION = np.zeros(4)
FAILURE = ValueError("no luck")


class Alarm:
    """A detector of a few lines, as somebody else might write it: a value above 0.9 is a drift."""

    def update(self, value):
        return value > 0.9


def kinds(events, *types):
    return [event for event in events if isinstance(event, types)]


def ask(ensemble, times):
    return [ensemble.predict(OBSERVATION) for _ in range(times)]


def test_a_drift_in_confidence_is_reported_and_by_default_no_more(build, events):
    ensemble, _ = build(BUY, np.array([0.2, 0.7, 0.1]), drift={"confidence": Alarm})
    ask(ensemble, 2)
    assert kinds(events, MemberDrifted) == [MemberDrifted(7, "m0", "confidence", False)] * 2
    assert ensemble.weights == (0.5, 0.5)
    assert ensemble.get_metrics()["drifts"] == {"m0": 2, "m1": 0}


def test_the_confidence_is_the_probability_of_the_favoured_action(build):
    seen = []

    class Recorder:
        def update(self, value):
            seen.append(value)
            return False

    logits = np.array([2.0, 0.0, 0.0])
    ensemble, _ = build(logits, drift={"confidence": Recorder})
    ask(ensemble, 1)
    assert seen == [pytest.approx(np.exp(2.0) / (np.exp(2.0) + 2.0))]


def test_a_drift_in_returns_is_reported(build, events):
    ensemble, _ = build(BUY, SELL, drift={"returns": Alarm})
    ensemble.record_return("m1", 1.5)
    assert kinds(events, MemberDrifted) == [MemberDrifted(7, "m1", "returns", False)]


def test_a_member_that_drifts_is_deactivated_by_policy_and_votes_for_the_last_time(build, events):
    ensemble, (member, _) = build(BUY, np.array([0.2, 0.7, 0.1]), drift=Alarm, on_drift="deactivate")
    first, second = ask(ensemble, 2)
    assert len(first.members) == 2
    assert [vote.name for vote in second.members] == ["m1"]
    assert member.calls == 1
    assert ensemble.weights == (0.0, 1.0)
    assert [event.deactivated for event in kinds(events, MemberDrifted)] == [True]
    assert [event.weights for event in kinds(events, WeightsChanged)] == [(0.0, 1.0)]


def test_when_all_drift_away_it_raises_and_says_so(build):
    ensemble, _ = build(BUY, SELL, drift=Alarm, on_drift="deactivate")
    ask(ensemble, 1)
    with pytest.raises(EnsembleError, match="m0: 0 failures, 1 drifts, the last drift in its confidence; m1"):
        ensemble.predict(OBSERVATION)


def test_a_detector_outside_can_report_a_drift_as_well(build, events):
    ensemble, _ = build(BUY, SELL, on_drift="deactivate")
    ensemble.report_drift("m0", "inputs")
    assert kinds(events, MemberDrifted) == [MemberDrifted(7, "m0", "inputs", True)]
    assert ensemble.weights == (0.0, 1.0)
    with pytest.raises(EnsembleError, match="no model 'm7'"):
        ensemble.report_drift("m7", "inputs")


def test_without_emit_a_drift_is_logged(build, caplog):
    ensemble, _ = build(BUY, SELL, emit=None)
    with caplog.at_level(logging.WARNING):
        ensemble.report_drift(1, "inputs")
    assert "member m1 drifts in its inputs" in caplog.text


def test_explanations_are_not_watched(build, events):
    ensemble, members = build(BUY, SELL, drift=Alarm)
    for member in members:
        member.answer = np.array([member.answer] * 2)
    ensemble.infer(np.zeros((2, 4)))
    assert not events


def test_a_detector_that_breaks_is_named_in_the_failure_it_causes(build, events):
    class Broken:
        def update(self, value):
            raise TypeError("what is a float?")

    ensemble, _ = build(BUY, SELL, drift={"confidence": Broken})
    with pytest.raises(EnsembleError):
        ensemble.predict(OBSERVATION)
    assert "the drift detector failed on 1.0: TypeError: what is a float?" in events[0].reason


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"on_drift": "panic"}, "on_drift is panic"),
        ({"retry_after": 0}, "retry_after is 0"),
        ({"trial": 0}, "trial is 0"),
        ({"drift": {"mood": Alarm}}, "a stream of drift is 'mood', expected one of confidence, returns"),
        ({"drift": {"returns": 3}}, r"drift\['returns'\] is 3"),
        ({"drift": object}, "has no update"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(build, options, message):
    with pytest.raises(EnsembleError, match=message):
        build(BUY, SELL, **options)


# Trials


def test_a_member_is_tried_again_without_weight_and_comes_back_with_an_equal_share(build, events, strategy):
    ensemble, (bad, _, _) = build(
        FAILURE, SELL, SELL, strategy=strategy, max_failures=1, retry_after=3, trial=4, initial_weights=[0.2, 0.6, 0.2]
    )
    ask(ensemble, 1)
    bad.answer = BUY
    out = ask(ensemble, 3)
    assert [len(action.members) for action in out] == [2, 2, 2]
    assert bad.calls == 1
    trial = ask(ensemble, 4)
    for action in trial:
        assert [(vote.name, vote.weight) for vote in action.members] == [
            ("m1", pytest.approx(0.75)),
            ("m2", pytest.approx(0.25)),
            ("m0", 0.0),
        ]
        assert action.name == "sell"
        assert action.scores == (0.0, pytest.approx(1.0), 0.0)
    assert [event.member for event in kinds(events, MemberReturned)] == ["m0"]
    assert ensemble.weights == pytest.approx((1 / 3, 0.5, 1 / 6))
    assert [vote.name for vote in ensemble.predict(OBSERVATION).members] == ["m0", "m1", "m2"]


def test_without_retry_after_a_member_stays_out(build):
    ensemble, (bad, _) = build(FAILURE, SELL, max_failures=1)
    ask(ensemble, 1)
    bad.answer = BUY
    ask(ensemble, 200)
    assert bad.calls == 1


def test_a_failure_on_trial_ends_it_at_once_and_the_wait_begins_anew(build, events):
    ensemble, (bad, _) = build(FAILURE, SELL, max_failures=3, retry_after=2, trial=3)
    ask(ensemble, 3)
    bad.answer = BUY
    ask(ensemble, 2 + 2)  # out, then on trial
    bad.answer = FAILURE
    ask(ensemble, 1)
    assert [event.deactivated for event in kinds(events, MemberFailed)] == [False, False, True, True]
    calls = bad.calls
    bad.answer = BUY
    ask(ensemble, 2)
    assert bad.calls == calls
    ask(ensemble, 3)
    assert ensemble.get_metrics()["active_count"] == 2


def test_a_member_that_still_drifts_is_out_for_as_long_again(build, events):
    rng = np.random.default_rng(0)

    def answer(shift):
        buy = 0.6 + 0.02 * rng.standard_normal() + shift
        return np.array([buy, 1.0 - buy, 0.0])

    ensemble, (member, _) = build(
        answer(0.0),
        SELL,
        drift={"confidence": lambda: Cusum(warmup=50)},
        on_drift="deactivate",
        retry_after=10,
        trial=60,
    )

    def go(decisions, shift):
        for _ in range(decisions):
            member.answer = answer(shift)
            ensemble.predict(OBSERVATION)

    go(200, 0.0)
    assert not events
    go(60, 0.2)
    assert ensemble.get_metrics()["active_count"] == 1
    assert len(kinds(events, MemberDrifted)) >= 3, "every trial found it drifting"
    assert not kinds(events, MemberReturned)
    go(80, 0.0)
    assert len(kinds(events, MemberReturned)) == 1
    assert ensemble.weights == (0.5, 0.5)


def test_the_only_member_decides_nothing_while_it_is_on_trial_and_all_once_it_is_back(build):
    ensemble, (only,) = build(FAILURE, max_failures=1, retry_after=2, trial=2)
    with pytest.raises(EnsembleError):
        ensemble.predict(OBSERVATION)
    only.answer = SELL
    for _ in range(4):
        with pytest.raises(EnsembleError, match="no member with a weight is left"):
            ensemble.predict(OBSERVATION)
    assert ensemble.predict(OBSERVATION).name == "sell"


def test_returns_of_a_member_on_trial_count_for_when_it_is_back(build):
    ensemble, (bad, _) = build(FAILURE, SELL, max_failures=1, retry_after=1, trial=10)
    ask(ensemble, 2)
    bad.answer = BUY
    ask(ensemble, 1)
    for value in (0.01, 0.02, 0.03):
        ensemble.record_return("m0", value)
        ensemble.record_return("m1", -value)
    assert ensemble.weights == (0.0, 1.0)
    assert ensemble.get_metrics()["member_sharpe"]["m0"] > 0


def test_one_who_is_reactivated_by_hand_is_on_trial_no_more(build, events):
    ensemble, (bad, _) = build(FAILURE, SELL, max_failures=2, retry_after=1, trial=10)
    ask(ensemble, 2)
    bad.answer = BUY
    assert [len(action.members) for action in ask(ensemble, 3)] == [1, 2, 2]
    ensemble.reactivate("m0")
    bad.answer = FAILURE
    ask(ensemble, 1)
    assert ensemble.get_metrics()["active_count"] == 2, "one failure of two"
