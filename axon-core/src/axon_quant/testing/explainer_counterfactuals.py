"""The part of the suite of explainers about counterfactuals: each of them flips, and keeps to what was declared."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from axon_quant.errors import AxonError
from axon_quant.inference.action import TRADING_ACTIONS
from axon_quant.plugins import Capability
from axon_quant.testing.cases import case
from axon_quant.testing.explained import Asked, Floats, Questions, items, linear, network, normal, same
from axon_quant.testing.explainer_refusals import MISSHAPEN, ModelBrokeError, assert_raises, broken, spoilt

NO_CONSTRAINTS = "its constructor takes no such constraint"
FEATURES = 8
ROWS = normal(200, FEATURES, seed=70)
"""The background of every search."""


def deciding(seed: int = 71) -> Asked:
    """A model that decides between three actions by a small network each."""
    return Asked(network(FEATURES, seed=seed), network(FEATURES, seed=seed + 10))


class Counterfactuals:
    """P-040 to P-059; `ExplainerConformance` has the fixtures."""

    @case("P-040", capability=Capability.Counterfactuals)
    def test_p040_every_result_flips_the_decision(self, questions: Questions) -> None:
        """Asked about a result alone, the model decides otherwise, as it says. Most decisions have one."""
        found = 0
        for x in ROWS[:6]:
            model = deciding()
            original = model.decision(x)
            results = questions.search(model, x, ROWS)
            assert results.original_action == original
            for each in items(results):
                assert np.asarray(each.observation).shape == x.shape
                decided = model.decision(each.observation)
                assert decided != original, f"{each.action} is said, and {decided} is still decided"
                assert each.action == decided
                answer = model.answer(np.asarray(each.observation)[None])[0]
                assert list(each.scores) == pytest.approx(answer.tolist(), rel=1e-5, abs=1e-6)
            found += len(results) > 0
        assert found >= 4, f"of 6 decisions only {found} have a counterfactual"

    @case("P-041", capability=Capability.Counterfactuals)
    def test_p041_the_changes_are_all_that_differs(self, questions: Questions) -> None:
        """Each change has name, both values and their difference; what no change names is as it was, bit for bit."""
        x, checked = ROWS[1], 0
        for each in items(questions.search(deciding(), x, ROWS)):
            observation = np.asarray(each.observation)
            differing = {index for index in range(FEATURES) if observation[index] != x[index]}
            assert len(each.changes) == len({change.feature_name for change in each.changes}) == len(differing) > 0
            changed = sorted((change.original_value, change.counterfactual_value) for change in each.changes)
            np.testing.assert_allclose(changed, sorted((x[i], observation[i]) for i in differing), rtol=1e-6)
            for change in each.changes:
                assert change.delta == pytest.approx(change.counterfactual_value - change.original_value)
            names = {change.feature_name: change for change in each.changes}
            largest = names[each.feature_name]
            assert (each.original_value, each.counterfactual_value) == (
                largest.original_value,
                largest.counterfactual_value,
            )
            assert each.delta == largest.delta
            checked += 1
        assert checked, "nothing was found"

    @case("P-042", capability=Capability.Counterfactuals)
    def test_p042_a_desired_action_is_what_is_decided(self, questions: Questions) -> None:
        """With `desired`, every result is decided so; one that is decided already, or is unknown, is an AxonError."""
        model, x, found = deciding(), ROWS[2], 0
        original = model.decision(x)
        for action in TRADING_ACTIONS:
            if action == original:
                with pytest.raises(AxonError):
                    questions.search(model, x, ROWS, desired=action)
                continue
            for each in items(questions.search(model, x, ROWS, desired=action)):
                assert model.decision(each.observation) == each.action == action
                found += 1
        assert found, "nothing was found"
        with pytest.raises(AxonError):
            questions.search(model, x, ROWS, desired="no-such-action")

    @case("P-043", capability=Capability.Counterfactuals, skip_when=NO_CONSTRAINTS)
    def test_p043_what_is_immutable_stays(self, questions: Questions) -> None:
        """Features in `immutable` have the bits they had, and a decision that rests on them alone has no result."""
        questions.need(Capability.Counterfactuals)
        model, x = deciding(), ROWS[1]
        free = questions.search(model, x, ROWS)
        fixed = sorted({index for each in items(free) for index in np.flatnonzero(each.observation != x)})[:4]
        made = questions.constrained(model, immutable=tuple(f"f{index}" for index in fixed))
        for each in items(questions.search(model, x, ROWS, made=made)):
            assert same(np.asarray(each.observation, x.dtype)[fixed], x[fixed])
        alone = Asked(lambda batch: batch[:, 0] - 0.1, lambda batch: 0.1 - batch[:, 0])
        made = questions.constrained(alone, immutable=("f0",))
        assert len(questions.search(alone, x, ROWS, made=made)) == 0

    @case("P-044", capability=Capability.Counterfactuals, skip_when=NO_CONSTRAINTS)
    def test_p044_bounds_are_not_passed(self, questions: Questions) -> None:
        """What is changed stays within `bounds`, whichever way the flip lies."""
        questions.need(Capability.Counterfactuals)
        for x in ROWS[:4]:
            low, high = x - 0.75, x + 0.5
            model = deciding()
            bounds = {f"f{index}": (low[index], high[index]) for index in range(FEATURES)}
            made = questions.constrained(model, bounds=bounds)
            for each in items(questions.search(model, x, ROWS, made=made)):
                observation = np.asarray(each.observation)
                assert (observation >= low).all(), "a lower bound is passed"
                assert (observation <= high).all(), "an upper bound is passed"

    @case("P-045", capability=Capability.Counterfactuals, skip_when=NO_CONSTRAINTS)
    def test_p045_steps_are_kept_to(self, questions: Questions) -> None:
        """What is changed is a multiple of its step."""
        questions.need(Capability.Counterfactuals)
        model, checked = deciding(), 0
        made = questions.constrained(model, steps={f"f{index}": 0.25 for index in range(FEATURES)})
        for x in ROWS[:4]:
            for each in items(questions.search(model, x, ROWS, made=made)):
                observation = np.asarray(each.observation)
                changed = observation[observation != x]
                assert np.abs(changed / 0.25 - np.round(changed / 0.25)).max() <= 1e-6
                checked += 1
        assert checked, "nothing was found"

    @case("P-046", capability=Capability.Counterfactuals)
    def test_p046_where_nothing_flips_nothing_is_returned(self, questions: Questions) -> None:
        """For a model that always decides the same there is no result, and no error."""
        model = Asked(lambda batch: 5.0 + 0.1 * np.tanh(batch[:, 0]))
        found = questions.search(model, ROWS[0], ROWS)
        assert len(found) == 0
        assert found.original_action == "buy"

    @case("P-047", capability=Capability.Counterfactuals)
    def test_p047_the_evaluations_are_counted(self, questions: Questions) -> None:
        """`evaluations` are the rows that the model was asked about; where the budget can be set, it is kept."""
        model = deciding()
        found = questions.search(model, ROWS[3], ROWS)
        assert found.evaluations == model.rows > 0
        try:
            made = questions.explainer(stubborn := Asked(linear(np.full(FEATURES, 1e-3), 9.0)), budget=100)
        except (TypeError, AxonError):
            return
        assert questions.search(stubborn, ROWS[3], ROWS, made=made).evaluations == stubborn.rows <= 100

    @case("P-048", capability=Capability.Counterfactuals)
    def test_p048_the_same_question_has_the_same_answer(self, questions: Questions) -> None:
        """Bit for bit, whatever the state of the global random generator, which stays as it was."""
        found = []
        for seed in (1, 2):
            np.random.seed(seed)
            before = np.random.get_state()[1].tobytes()  # type: ignore[index]
            found.append([each.observation for each in items(questions.search(deciding(), ROWS[1], ROWS))])
            assert before == np.random.get_state()[1].tobytes(), "the global generator was used"  # type: ignore[index]
        first, second = found
        assert len(first) == len(second) > 0
        assert all(same(one, other) for one, other in zip(first, second, strict=True))

    @case("P-049", capability=Capability.Counterfactuals)
    def test_p049_what_it_is_given_stays_as_it_was(self, questions: Questions) -> None:
        """Observation and background may be read-only, and are not written to; results share nothing with them."""
        rows, x = ROWS.copy(), ROWS[1].copy()
        rows.setflags(write=False)
        x.setflags(write=False)
        results = items(questions.search(deciding(), x, rows))
        assert same(x, ROWS[1])
        assert same(rows, ROWS)
        assert not any(np.shares_memory(np.asarray(each.observation), x) for each in results)

    @case("P-050", capability=Capability.Counterfactuals)
    def test_p050_a_model_that_raises_is_no_result(self, questions: Questions) -> None:
        """What the model raises, at its first call, later or at the last one, goes through or becomes an AxonError."""
        rows = normal(50, 6, seed=80)
        assert_raises(lambda model: questions.search(model, rows[0], rows), broken, (ModelBrokeError, AxonError))  # type: ignore[arg-type]

    @case("P-051", capability=Capability.Counterfactuals)
    @pytest.mark.parametrize(
        "bad", [*MISSHAPEN, spoilt(np.nan), spoilt(np.inf)], ids=lambda bad: getattr(bad, "__name__", "bad")
    )
    def test_p051_answers_that_are_no_scores_are_refused(
        self, questions: Questions, bad: Callable[[Floats], object]
    ) -> None:
        """A model that returns another shape, text, NaN or infinity raises an AxonError."""
        rows = normal(50, 6, seed=81)
        assert_raises(lambda model: questions.search(model, rows[0], rows), bad, AxonError)

    @case("P-052", capability=Capability.Counterfactuals)
    def test_p052_what_cannot_be_asked_is_refused(self, questions: Questions) -> None:
        """An observation with NaN, a background of another width, and an action that was not decided: AxonError."""
        model, x = deciding(), ROWS[1]
        spoilt_x = x.copy()
        spoilt_x[2] = np.nan
        other = next(action for action in TRADING_ACTIONS if action != model.decision(x))
        with pytest.raises(AxonError):
            questions.search(model, spoilt_x, ROWS)
        with pytest.raises(AxonError):
            questions.search(model, x, ROWS[:, :-1])
        with pytest.raises(AxonError):
            questions.search(model, x, ROWS, original_action=other)
