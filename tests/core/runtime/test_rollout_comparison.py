"""What is measured in a window, and the verdict on it."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_quant.config.rollout import GateEntry
from axon_quant.runtime.rollout import Verdict
from axon_quant.runtime.rollout.answer import Decoder
from axon_quant.runtime.rollout.comparison import Comparison
from axon_quant.runtime.rollout.paper import PaperReturns
from axon_quant.runtime.rollout.shadow import Question

ACTIONS = ("buy", "sell", "hold")
BUY, SELL, HOLD = [9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 9.0]
RULES = GateEntry(window_decisions=10, min_samples=10, fast_enough_ms=0.01)
signs = st.sampled_from([-1, 0, 1])


def comparison(rules=RULES, *, relative=False, horizon=1):
    made = Comparison(rules, ACTIONS, horizon, relative=relative)
    made.begin(1, 1)
    return made


def shadowed(seen, stable, candidate, *, price=100.0, took=1_000, beside=0, error=None):
    """One observation in the shadow."""
    seen.window.offered += 1
    place = seen.paper.step("BTCUSDT", price)
    question = Question(seen.epoch, "BTCUSDT", place, price, stable)
    question.scores, question.took, question.beside, question.error = candidate, took, beside, error
    seen.shadowed(question)


def close(seen):
    finding, judged, latencies = seen.close(2, "flow")
    return finding.verdict, finding.failed, finding.lacking, judged, latencies


@given(
    st.lists(st.tuples(st.floats(50, 200), signs, signs), min_size=1, max_size=40), st.integers(1, 6), st.integers(1, 3)
)
def test_paper_returns_are_those_of_a_position_that_is_the_mean_of_the_last_signals(path, horizon, lanes):
    paper = PaperReturns(horizon, lanes)
    for price, stable, candidate in path:
        place = paper.step("BTCUSDT", price)
        paper.advise("BTCUSDT", place, price, stable, candidate)
    settled = range(len(path) - horizon)
    for which, account in ((1, paper.stable), (2, paper.candidate)):
        changes = [path[i][which] * (path[i + horizon][0] / path[i][0] - 1) / (horizon * lanes) for i in settled]
        curve = np.concatenate([[0.0], np.cumsum(changes)])
        assert account.equity == pytest.approx(curve[-1], abs=1e-12)
        falls = np.maximum.accumulate(curve) - curve
        assert account.drawdown == pytest.approx(falls[-1], abs=1e-12)
        assert account.deepest == pytest.approx(falls.max(), abs=1e-12)
    assert paper.settled == len(settled)


def test_a_window_forgets_the_falls_of_the_one_before_and_the_drawdown_does_not():
    paper = PaperReturns(1, 1)
    for price in (100.0, 110.0, 99.0):
        paper.advise("A", paper.step("A", price), price, 1, 0)
    paper.next_window()
    paper.step("A", 99.0)
    assert paper.stable.deepest == 0.0
    assert paper.stable.earned == 0.0
    assert paper.stable.drawdown == pytest.approx(0.1)


def test_lanes_settle_on_their_own():
    paper = PaperReturns(1, 2)
    paper.advise("A", paper.step("A", 100.0), 100.0, 1, 0)
    paper.advise("B", paper.step("B", 10.0), 10.0, 1, 0)
    paper.step("A", 110.0)
    assert (paper.settled, paper.stable.equity) == (1, pytest.approx(0.05))


def test_equal_answers_pass_and_are_zero_apart():
    seen = comparison()
    for _ in range(10):
        shadowed(seen, BUY, BUY)
    verdict, failed, lacking, judged, _ = close(seen)
    assert (verdict, failed, lacking) == (Verdict.Pass, (), ())
    assert (judged.compared, judged.disagreed, judged.distance, judged.confidence_gap) == (10, 0, 0.0, 0.0)


def test_disagreement_is_a_rate_and_the_distance_says_how_far():
    seen = comparison(attrs.evolve(RULES, max_disagreement=0.3))
    for index in range(10):
        shadowed(seen, BUY, SELL if index < 4 else BUY)
    verdict, failed, _, judged, _ = close(seen)
    assert (verdict, failed) == (Verdict.Fail, ("disagreement",))
    shares = Decoder(ACTIONS).choice(BUY).shares
    assert judged.distance == pytest.approx(0.4 * (shares[0] - shares[1]))
    assert seen.mean("disagreement") == 0.4


def test_a_rate_at_its_limit_passes():
    seen = comparison(attrs.evolve(RULES, max_disagreement=0.3, max_error_rate=0.1, min_samples=9))
    for index in range(9):
        shadowed(seen, BUY, SELL if index < 2 else BUY)
    shadowed(seen, BUY, None, error=ValueError("no"))
    assert close(seen)[0] is Verdict.Pass


def test_errors_fail_and_are_told():
    seen = comparison()
    for index in range(12):
        shadowed(seen, BUY, None if index == 3 else BUY, error=ValueError("bad"))
    verdict, failed, _, judged, _ = close(seen)
    assert (verdict, failed) == (Verdict.Fail, ("errors",))
    assert (judged.errors, judged.answered, seen.last_error) == (1, 11, "ValueError: bad")


def test_too_few_answers_are_inconclusive_and_none_at_all_fail():
    seen = comparison()
    for _ in range(9):
        shadowed(seen, BUY, SELL)
    verdict, _, lacking, _, _ = close(seen)
    assert (verdict, lacking) == (Verdict.Inconclusive, ("answers", "disagreement"))
    seen.window.offered = 10
    assert close(seen)[:2] == (Verdict.Fail, ("answers",)), "it hangs"
    seen.window.offered = 9
    assert close(seen)[0] is Verdict.Inconclusive


def fall(seen, stable, candidate):
    for price in np.linspace(100, 99, 11):
        shadowed(seen, stable, candidate, price=price)


def test_a_fall_that_the_stable_model_shares_is_no_failure_of_the_candidate():
    rules = attrs.evolve(RULES, max_drawdown=0.001, max_disagreement=1.0)
    seen = comparison(rules)
    fall(seen, BUY, BUY)
    assert close(seen)[0] is Verdict.Pass
    seen = comparison(rules)
    fall(seen, HOLD, BUY)
    assert close(seen)[:2] == (Verdict.Fail, ("drawdown",))
    seen = comparison(rules)
    fall(seen, BUY, SELL)
    assert close(seen)[0] is Verdict.Pass


@pytest.mark.parametrize(
    ("candidate", "stable", "relative", "verdict"),
    [
        (140_000, 100_000, True, Verdict.Pass),
        (160_000, 100_000, True, Verdict.Fail),
        (160_000, 100_000, False, Verdict.Pass),
        (160_000, 0, True, Verdict.Pass),  # nothing is known of the stable model
        (9_000, 1_000, True, Verdict.Pass),  # fast enough, whatever the ratio
        (2_100_000, 2_000_000, True, Verdict.Fail),
        (2_100_000, 2_000_000, False, Verdict.Fail),
    ],
)
def test_latency_is_held_against_the_stable_models_and_against_a_limit(candidate, stable, relative, verdict):
    seen = comparison(attrs.evolve(RULES, max_p99_ms=2.0), relative=relative)
    for _ in range(10):
        shadowed(seen, BUY, BUY, took=candidate, beside=stable)
    found, failed, _, _, latencies = close(seen)
    assert found is verdict
    assert failed == (("latency",) if verdict is Verdict.Fail else ())
    assert latencies["candidate_p99_us"] == pytest.approx(candidate / 1e3, rel=0.02)


def test_the_stable_models_latency_is_remembered_where_it_is_no_longer_measured():
    seen = comparison(relative=True)
    for _ in range(10):
        shadowed(seen, BUY, BUY, took=100_000, beside=100_000)
    assert close(seen)[0] is Verdict.Pass
    seen.begin(3, 1)
    for _ in range(10):
        shadowed(seen, BUY, BUY, took=200_000)
    assert close(seen)[:2] == (Verdict.Fail, ("latency",))


def test_a_hard_limit_on_errors_waits_for_enough_answers_and_not_for_the_window():
    seen = comparison(attrs.evolve(RULES, window_decisions=1_000, min_samples=500))
    for index in range(19):
        shadowed(seen, BUY, None, error=ValueError("bad"))
        assert seen.breach() is None, index
    shadowed(seen, BUY, None, error=ValueError("bad"))
    assert seen.breach() == "errors: 20 of 20 answers"


def test_answers_of_an_earlier_step_are_left_out():
    seen = comparison()
    late = Question(seen.epoch, "BTCUSDT", 1, 100.0, BUY)
    late.scores = SELL
    seen.begin(2, 1)
    seen.shadowed(late)
    seen.mirrored(late)
    assert (seen.window.answered, seen.window.compared) == (0, 0)


def test_in_a_canary_the_stable_model_is_the_one_who_is_asked():
    seen = comparison()
    asked = Question(seen.epoch, "BTCUSDT", seen.paper.step("BTCUSDT", 100.0), 100.0, BUY)
    asked.scores = SELL
    seen.mirrored(asked)
    seen.paper.step("BTCUSDT", 110.0)
    assert seen.paper.candidate.equity == pytest.approx(0.1)
    assert seen.paper.stable.equity == pytest.approx(-0.1)
    failed = Question(seen.epoch, "BTCUSDT", 2, 100.0, BUY)
    failed.error = ValueError("the stable one")
    seen.mirrored(failed)
    assert (seen.window.errors, seen.window.compared) == (0, 1)


def test_a_window_ends_after_its_decisions_or_its_seconds_of_market_time():
    seen = comparison(attrs.evolve(RULES, window_seconds=5.0))
    seen.window.began = 0
    assert not seen.is_over(10**18), "the first one begins with the market"
    assert not seen.is_over(10**18 + 4_999_999_999)
    assert seen.is_over(10**18 + 5_000_000_000)
    seen.window.offered = 10
    assert seen.is_over(10**18 + 1)


def test_actions_without_a_side_have_no_paper_return():
    decoder = Decoder(("up", "down"))
    assert decoder.choice([1.0, 0.0]).sign == 0
    assert decoder.choice([1.0, 0.0]).distance(decoder.choice([0.0, 1.0])) == pytest.approx(1.0)
