"""The gate: when a candidate goes on, is promoted or is rolled back."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_quant.config.rollout import GateEntry
from axon_quant.runtime.rollout import Gate, State, Verdict

PASS, FAIL, INCONCLUSIVE = Verdict.Pass, Verdict.Fail, Verdict.Inconclusive
HANDS = ("pause", "resume", "promote", "abort")

verdicts = st.lists(st.sampled_from(Verdict), max_size=60)
acts = st.lists(st.sampled_from([*Verdict, *HANDS]), max_size=60)


@st.composite
def gates(draw):
    history = draw(st.integers(1, 8))
    rules = GateEntry(
        failures=draw(st.integers(1, history)),
        history=history,
        passes=draw(st.integers(1, 6)),
        probation=draw(st.integers(0, 4)),
        max_inconclusive=draw(st.integers(1, 4)),
    )
    return Gate(rules, draw(st.integers(1, 4)))


def act(gate, what):
    if isinstance(what, Verdict):
        gate.judge(what, "something")
    else:
        getattr(gate, what)()


def picture(gate):
    return gate.state, gate.step, gate.streak, gate.held, gate.serves, gate.reason, tuple(gate.recent)


def judged(rules, *verdicts, steps=1):
    gate = Gate(rules, steps)
    for verdict in verdicts:
        gate.judge(verdict)
    return gate


@given(gates(), verdicts)
def test_it_never_goes_on_or_promotes_with_so_many_failures_among_the_last_windows(gate, given_verdicts):
    conclusive = []
    for verdict in given_verdicts:
        before = gate.step, gate.serves, gate.state
        gate.judge(verdict)
        if verdict is not INCONCLUSIVE:
            conclusive.append(verdict)
        failed = conclusive[-gate.rules.history :].count(FAIL)
        if (gate.step, gate.serves) != before[:2]:
            assert failed < gate.rules.failures or gate.state is State.RolledBack
        if before[2] not in (State.Promoted, State.RolledBack) and failed >= gate.rules.failures:
            assert gate.state is State.RolledBack
            return


@given(gates(), verdicts)
def test_it_rolls_back_only_on_the_window_that_was_one_failure_too_many(gate, given_verdicts):
    conclusive = []
    for verdict in given_verdicts:
        gate.judge(verdict)
        if verdict is not INCONCLUSIVE:
            conclusive.append(verdict)
        if gate.state is State.RolledBack:
            assert verdict is FAIL
            assert conclusive[-gate.rules.history :].count(FAIL) == gate.rules.failures
            return


@given(gates(), acts)
def test_an_inconclusive_window_never_advances_and_always_pauses(gate, given_acts):
    for what in given_acts:
        before = picture(gate)
        ended = gate.ended
        act(gate, what)
        if what is INCONCLUSIVE:
            assert (gate.step, gate.streak, gate.serves, tuple(gate.recent)) == (
                before[1],
                before[2],
                before[4],
                before[6],
            )
            assert gate.state is (before[0] if ended else State.Paused)


@given(gates(), acts)
def test_a_step_needs_its_passes_in_a_row_unless_a_person_promotes(gate, given_acts):
    row = 0
    for what in given_acts:
        before = gate.step, gate.serves
        needed, held = gate.needed, gate.held
        act(gate, what)
        if what is FAIL:
            row = 0
        elif what is PASS and not held:
            row += 1
        if (gate.step, gate.serves) != before and not gate.ended:
            assert what == "promote" or (what is PASS and row >= needed)
            row = 0
        assert 0 <= gate.step < gate.steps


@given(gates(), acts)
def test_what_is_over_stays_over(gate, given_acts):
    end = None
    for what in given_acts:
        act(gate, what)
        if end is not None:
            assert picture(gate) == end
        if gate.ended:
            end = picture(gate)


@given(gates(), acts)
def test_the_same_verdicts_and_hands_lead_to_the_same_state(gate, given_acts):
    twin = Gate(gate.rules, gate.steps)
    for what in given_acts:
        act(gate, what)
        act(twin, what)
        assert picture(gate) == picture(twin)


@given(gates(), verdicts)
def test_a_pause_by_hand_stops_progress_and_not_the_rollback(gate, given_verdicts):
    gate.pause()
    for verdict in given_verdicts:
        gate.judge(verdict)
        assert (gate.step, gate.serves) == (0, False)
        assert gate.state in (State.Paused, State.RolledBack)


def test_three_failures_of_five_windows_roll_back_and_two_do_not():
    rules = GateEntry(passes=100)
    assert judged(rules, FAIL, PASS, FAIL, PASS, PASS, FAIL, PASS, PASS, PASS).state is State.Running
    gate = judged(rules, FAIL, PASS, FAIL, PASS, FAIL)
    assert gate.state is State.RolledBack
    assert gate.reason.startswith("3 of the last 5 windows failed")


def test_an_inconclusive_window_takes_no_place_among_the_last_five():
    rules = GateEntry(passes=100, max_inconclusive=100)
    assert judged(rules, FAIL, FAIL, *[INCONCLUSIVE] * 9, FAIL).state is State.RolledBack


def test_a_conclusive_window_ends_the_pause_that_an_inconclusive_one_began():
    gate = judged(GateEntry(passes=2), PASS, INCONCLUSIVE)
    assert gate.state is State.Paused
    assert not gate.held
    gate.judge(PASS)
    assert gate.state is State.Probation


def test_too_many_inconclusive_windows_wait_for_a_person():
    gate = judged(GateEntry(passes=1, max_inconclusive=2), INCONCLUSIVE, INCONCLUSIVE, PASS, PASS)
    assert (gate.state, gate.held) == (State.Paused, True)
    assert "a person decides" in gate.reason
    gate.resume()
    gate.judge(PASS)
    assert gate.state is State.Probation


def test_steps_come_one_after_the_other_and_each_needs_its_own_passes():
    gate = Gate(GateEntry(passes=2, probation=1), 3)
    seen = []
    for _ in range(7):
        gate.judge(PASS)
        seen.append((gate.step, gate.state))
    running = State.Running
    assert seen[:5] == [(0, running), (1, running), (1, running), (2, running), (2, running)]
    assert [state for _, state in seen[5:]] == [State.Probation, State.Promoted]


def test_a_hard_breach_ends_even_a_pause_and_takes_a_promotion_back():
    gate = Gate(GateEntry(), 1)
    gate.promote()
    assert gate.serves
    gate.pause()
    gate.breach("errors: 9 of 10 answers")
    assert (gate.state, gate.serves, gate.reason) == (State.RolledBack, False, "errors: 9 of 10 answers")


@pytest.mark.parametrize("state", ["running", "paused", "probation", "promoted", "rolled-back"])
def test_a_restored_gate_stands_where_it_was_and_begins_a_probation_again(state):
    gate = Gate(GateEntry(), 3)
    gate.restore(state, 2, held=state == "paused", reason="before")
    expected = "running" if state == "probation" else state
    assert (gate.state.value, gate.step, gate.reason) == (expected, 2, "before")
    assert gate.serves == (state == "promoted")


def test_a_comparison_that_begins_anew_forgets_the_windows_before():
    gate = judged(attrs.evolve(GateEntry(), passes=3), FAIL, FAIL, PASS, PASS)
    gate.restart()
    gate.judge(FAIL)
    gate.judge(PASS)
    gate.judge(PASS)
    assert gate.state is State.Running
