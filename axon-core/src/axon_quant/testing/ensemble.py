"""The suite of ensemble strategies: the weighting rules behind `axon_ensembles`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from itertools import pairwise, permutations
from time import perf_counter_ns
from typing import cast

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_quant.ensemble import EnsembleState, FittedRule, WeightingRule
from axon_quant.errors import EnsembleError
from axon_quant.plugins import Capability, EnsembleDescriptor
from axon_quant.plugins.descriptors import API
from axon_quant.testing.candidates import Options
from axon_quant.testing.cases import Conformance, case, overridden
from axon_quant.testing.committee import (
    ACTIONS,
    CERTAIN,
    WINDOW,
    Committee,
    assert_simplex,
    assert_usable,
    exactly_repeatable,
    random_standing,
    returns,
    votes_of,
)

CAPABILITIES = frozenset(
    {
        Capability.OnlineWeights,
        Capability.Gains,
        Capability.SteadyWeights,
        Capability.EqualVotes,
        Capability.Fitted,
    }
)
"""Of ensembles."""
FITTED = "it is fitted"
"""To members in their order: weights by merit, and the same decision whatever the order, are not to be had."""
SLOWEST_US = 10_000.0
"""For combining three votes; only an accident takes longer."""


class EnsembleConformance(Conformance, supplied=("descriptor", "rule", "options")):
    """Everything axon relies on in an ensemble strategy. Subclass it in your tests as `TestYourRule` and supply

    - `descriptor`: the EnsembleDescriptor that your plugin yields,
    - `rule`, only if the descriptor's target cannot be imported: what makes the WeightingRule,
    - `options`, if there is more than the defaults to test: keyword arguments of the rule, or a function that makes
      them for a number of members; of a fitted strategy, one that takes its members to be equally good.
    """

    @pytest.fixture
    def descriptor(self) -> EnsembleDescriptor:
        """What the plugin declares. Supply it."""
        pytest.fail(f"{type(self).__name__} supplies no fixture `descriptor`", pytrace=False)

    @pytest.fixture
    def rule(self, descriptor: EnsembleDescriptor) -> Callable[..., WeightingRule]:
        """What makes a rule of `(initial, window, **options)`: the descriptor's target."""
        module, _, name = descriptor.target.partition(":")
        return cast("Callable[..., WeightingRule]", getattr(import_module(module), name))

    @pytest.fixture
    def options(self) -> Options:
        """Keyword arguments of the rule."""
        return {}

    @pytest.fixture
    def committee(
        self,
        descriptor: EnsembleDescriptor,
        rule: Callable[..., WeightingRule],
        options: Options,
        monkeypatch: pytest.MonkeyPatch,
    ) -> Committee:
        """Ensembles of one test; the rule under test stands behind every name."""
        monkeypatch.setattr("axon_quant.ensemble.dynamic.load_ensemble", lambda _: rule)
        return Committee(descriptor, rule, options)

    # What it says of itself

    @case("E-000")
    def test_e000_nothing_of_the_suite_is_overridden(self) -> None:
        """A subclass supplies fixtures; it replaces no test and no other part of the suite."""
        replaced = overridden(type(self))
        assert not replaced, f"{type(self).__name__} overrides {', '.join(replaced)}"

    @case("E-001")
    def test_e001_the_descriptor_is_complete(
        self, descriptor: EnsembleDescriptor, rule: Callable[..., WeightingRule]
    ) -> None:
        """The descriptor has a summary, the current api number and only ensembles' capabilities."""
        assert isinstance(descriptor, EnsembleDescriptor)
        assert descriptor.api == API
        assert descriptor.summary
        assert descriptor.capabilities <= CAPABILITIES
        assert callable(rule)

    @case("E-002")
    def test_e002_an_unknown_option_is_refused(self, committee: Committee) -> None:
        """A misspelled option raises EnsembleError instead of being ignored."""
        with pytest.raises(EnsembleError):
            committee.build([CERTAIN["buy"]] * 2, no_such_option=1)

    @case("E-003")
    def test_e003_it_starts_from_the_given_weights(self, committee: Committee) -> None:
        """Before any performance is known the weights are the initial ones, else equal; of a fitted one, the fitted."""
        rule = committee.rule(3)
        if committee.fitted and isinstance(rule, FittedRule):
            total = sum(rule.fitted_weights)
            fitted = tuple(weight / total for weight in rule.fitted_weights)
            assert committee.build([CERTAIN["buy"]] * 3).weights == pytest.approx(fitted)
            return
        ensemble = committee.build([CERTAIN["buy"]] * 3, initial_weights=[2.0, 1.0, 1.0])
        assert ensemble.weights == pytest.approx((0.5, 0.25, 0.25))
        assert committee.build([CERTAIN["buy"]] * 3).weights == pytest.approx((1 / 3,) * 3)

    # Weights

    @case("E-010")
    def test_e010_stated_performances_give_weights_on_the_simplex(self, committee: Committee) -> None:
        """Whatever performances are stated, the weights are finite, not negative, and sum to one."""

        @exactly_repeatable
        @given(st.lists(committee.performances, min_size=1, max_size=6))
        def check(performances: list[float]) -> None:
            ensemble = committee.build([CERTAIN["buy"]] * len(performances))
            ensemble.update_weights(performances)
            assert_simplex(ensemble.weights)

        check()

    @case("E-011")
    def test_e011_realised_returns_give_weights_on_the_simplex(self, committee: Committee) -> None:
        """Whatever returns come in, the weights are finite, not negative, and sum to one after each."""

        @exactly_repeatable
        @given(
            st.integers(1, 4).flatmap(
                lambda count: st.lists(
                    st.lists(st.floats(-1.0, 1.0), min_size=count, max_size=count), min_size=1, max_size=2 * WINDOW
                )
            )
        )
        def check(rounds: list[list[float]]) -> None:
            ensemble = committee.build([CERTAIN["buy"]] * len(rounds[0]))
            for values in rounds:
                for index, value in enumerate(values):
                    ensemble.record_return(index, value)
                assert_simplex(ensemble.weights)

        check()

    @case("E-012")
    def test_e012_the_rule_itself_returns_usable_weights(self, committee: Committee) -> None:
        """`step` and `jump` return one finite weight of at least 0 per member, some of it on active members."""
        rng = np.random.default_rng(0)
        for _ in range(100):
            count = int(rng.integers(1, 6))
            rule = committee.rule(count)
            standing = random_standing(rng, count)
            weights = tuple(rng.dirichlet(np.ones(count)).tolist())
            assert_usable(rule.step(standing, weights), standing.active)
            performances = committee.random_performances(rng, count)
            assert_usable(rule.jump(performances, standing.active, weights), standing.active)

    @case("E-013", skip_when=FITTED)
    def test_e013_the_order_of_the_members_does_not_matter(self, committee: Committee) -> None:
        """Members listed in another order get the same weights, after stated performances and after returns."""
        committee.skip_if_fitted()
        stated = committee.random_performances(np.random.default_rng(1), 3)
        realised = returns(3, 2 * WINDOW)
        committee_of = [CERTAIN["buy"], CERTAIN["sell"], CERTAIN["hold"]]
        found = []
        for order in permutations(range(3)):
            ensemble = committee.build([committee_of[i] for i in order])
            for values in realised:
                for index, member in enumerate(order):
                    ensemble.record_return(index, values[member])
            after_returns = dict(zip(order, ensemble.weights, strict=True))
            ensemble.update_weights([stated[member] for member in order])
            after_jump = dict(zip(order, ensemble.weights, strict=True))
            found.append([weights[member] for weights in (after_returns, after_jump) for member in range(3)])
        for other in found[1:]:
            assert other == pytest.approx(found[0], abs=1e-9)

    @case("E-014", skip_when=FITTED)
    def test_e014_the_better_never_weighs_less_than_the_worse(self, committee: Committee) -> None:
        """From equal weights, a member with a better stated performance does not end up below a worse one."""
        committee.skip_if_fitted()
        rng = np.random.default_rng(2)
        for _ in range(50):
            performances = committee.random_performances(rng, 4)
            ensemble = committee.build([CERTAIN["buy"]] * 4)
            ensemble.update_weights(performances)
            ranked = [weight for _, weight in sorted(zip(performances, ensemble.weights, strict=True))]
            assert all(low <= high + 1e-9 for low, high in pairwise(ranked)), (
                f"performances {performances} gave {ensemble.weights}"
            )

    @case("E-015")
    def test_e015_the_same_history_gives_the_same_bits(self, committee: Committee) -> None:
        """Two ensembles with one history have the same weights and scores, bit for bit: replays rely on it."""
        found = set()
        for _ in range(2):
            ensemble = committee.build([(0.5, 0.3, 0.2), (0.1, 0.6, 0.3)])
            for values in returns(2, 3 * WINDOW):
                ensemble.record_return(0, values[0])
                ensemble.record_return(1, values[1])
            found.add((ensemble.weights, ensemble.predict(None).scores))
        assert len(found) == 1

    @case("E-016")
    def test_e016_ensembles_share_nothing(self, committee: Committee) -> None:
        """What one ensemble learns leaves another one with the same strategy untouched."""
        untouched, early = (committee.build([CERTAIN["buy"]] * 2) for _ in range(2))
        early.update_weights([0.6, 0.4])
        busy = committee.build([CERTAIN["buy"]] * 2)
        busy.update_weights([0.9, 0.1])
        for values in returns(2, 2 * WINDOW):
            busy.record_return(0, values[0])
            busy.record_return(1, values[1])
        assert untouched.weights == pytest.approx((0.5, 0.5))
        late = committee.build([CERTAIN["buy"]] * 2)
        for ensemble in (untouched, late):
            ensemble.update_weights([0.6, 0.4])
            assert ensemble.weights == early.weights

    @case("E-017")
    def test_e017_what_is_not_finite_is_refused(self, committee: Committee) -> None:
        """NaN or infinite performances and returns, or too few, raise EnsembleError and leave the weights alone."""
        ensemble = committee.build([CERTAIN["buy"]] * 2)
        before = ensemble.weights
        for value in (float("nan"), float("inf"), float("-inf")):
            with pytest.raises(EnsembleError):
                ensemble.update_weights([0.5, value])
            with pytest.raises(EnsembleError):
                ensemble.record_return(0, value)
        with pytest.raises(EnsembleError):
            ensemble.update_weights([0.5])
        assert ensemble.weights == before

    @case("E-018")
    def test_e018_restored_it_goes_on_bit_for_bit(self, committee: Committee) -> None:
        """Restored from its state as JSON it has the weights it would have had: what learns must be Stateful."""
        rows = returns(3, 4 * WINDOW)
        for saved_after in (0, WINDOW // 2, 2 * WINDOW):
            ensemble, other = (committee.build([CERTAIN["buy"]] * 3) for _ in range(2))
            committee.settle(ensemble)
            for round_, values in enumerate(rows):
                if round_ == saved_after:
                    other.restore(msgspec.json.decode(msgspec.json.encode(ensemble.state()), type=EnsembleState))
                for index, value in enumerate(values):
                    ensemble.record_return(index, value)
                    if round_ >= saved_after:
                        other.record_return(index, value)
            for each in (ensemble, other):
                each.update_weights([0.5, 0.4, 0.6])
            assert other.weights == ensemble.weights

    # Votes

    @case("E-020")
    def test_e020_combined_votes_are_probabilities(self, committee: Committee) -> None:
        """`combine` returns one probability per action, for any weights and votes, three actions or another number."""
        rng = np.random.default_rng(3)
        for _ in range(100):
            count, actions = int(rng.integers(1, 6)), int(rng.integers(2, 6))
            weights = rng.dirichlet(np.ones(count)).tolist()
            combined = committee.rule(count).combine(weights, rng.dirichlet(np.ones(actions), count).tolist())
            assert len(combined) == actions
            assert_simplex(combined, 1e-6)

    @case("E-021")
    @pytest.mark.parametrize("action", ACTIONS)
    def test_e021_what_all_want_is_done(self, committee: Committee, action: str) -> None:
        """If every member wants one action (all SELL), that is the decision, whatever the weights."""
        votes = [votes_of(action, 0.9), votes_of(action, 0.6), CERTAIN[action]]
        ensemble = committee.build(votes, initial_weights=[0.7, 0.2, 0.1])
        committee.settle(ensemble)
        assert ensemble.predict(None).name == action
        assert committee.settled([CERTAIN[action]]).predict(None).name == action

    @case("E-022", skip_when=FITTED)
    def test_e022_the_order_of_the_votes_does_not_matter(self, committee: Committee) -> None:
        """Members in another order, and actions in another order, give the same combined probabilities, reordered."""
        committee.skip_if_fitted()
        rng = np.random.default_rng(4)
        for _ in range(20):
            weights = rng.dirichlet(np.ones(3))
            votes = rng.dirichlet(np.ones(4), 3)
            expected = np.asarray(committee.rule(3).combine(weights.tolist(), votes.tolist()))
            for members in permutations(range(3)):
                found = committee.rule(3).combine(weights[[*members]].tolist(), votes[[*members]].tolist())
                assert list(found) == pytest.approx(expected.tolist(), abs=1e-9)
            order = rng.permutation(4)
            found = committee.rule(3).combine(weights.tolist(), votes[:, order].tolist())
            assert list(found) == pytest.approx(expected[order].tolist(), abs=1e-9)

    @case("E-023")
    def test_e023_a_tie_stands_aside(self, committee: Committee) -> None:
        """Of equal actions the decision is `hold` if there is one, else the first of them."""
        even = committee.settled([CERTAIN["buy"], CERTAIN["sell"]])
        assert even.weights == pytest.approx((0.5, 0.5))
        assert even.predict(None).name == "hold"
        if not committee.rule(2).may_abstain:
            ensemble = committee.settled([(0.0, 1.0), (1.0, 0.0)], actions=("up", "down"))
            assert ensemble.predict(None).name == "up"

    @case("E-024")
    def test_e024_the_inputs_are_left_alone(self, committee: Committee) -> None:
        """`jump`, `step` and `combine` do not write to the weights, votes and performances they are given."""
        rng = np.random.default_rng(5)
        rule = committee.rule(3)
        weights, votes = [0.5, 0.3, 0.2], rng.dirichlet(np.ones(3), 3).tolist()
        performances = list(committee.random_performances(rng, 3))
        given = repr((weights, votes, performances))
        rule.combine(weights, votes)
        rule.jump(performances, (True, True, True), weights)
        rule.step(random_standing(rng, 3), weights)
        assert repr((weights, votes, performances)) == given

    @case("E-025", capability=Capability.EqualVotes, skip_when=FITTED)
    def test_e025_more_weight_is_more_say(self, committee: Committee, descriptor: EnsembleDescriptor) -> None:
        """The member with nearly all the weight decides; declared, two members with any weights are a tie."""
        committee.skip_if_fitted()
        if Capability.EqualVotes in descriptor.capabilities:
            combined = committee.rule(2).combine((0.99, 0.01), [CERTAIN["buy"], CERTAIN["sell"]])
            assert list(combined) == pytest.approx([0.5, 0.5, 0.0])
            return
        for leader, action in enumerate(("buy", "sell")):
            initial = [0.99 if index == leader else 0.01 for index in range(2)]
            combined = committee.rule(2).combine(initial, [CERTAIN["buy"], CERTAIN["sell"]])
            assert ACTIONS[int(np.argmax(combined))] == action

    # Members that fail

    @case("E-030")
    def test_e030_a_failing_member_is_left_out(self, committee: Committee) -> None:
        """A member that raises or answers NaN has no vote in that decision; the others decide as they do alone."""
        for trouble in (RuntimeError("out of order"), (float("nan"), 0.0, 0.0), (1.0, 0.0)):
            ensemble = committee.build([CERTAIN["sell"], trouble, votes_of("sell", 0.6)])
            committee.settle(ensemble)
            action = ensemble.predict(None)
            assert action.name == "sell"
            assert [vote.name for vote in action.members] == ["member-0", "member-2"]
            assert_simplex([vote.weight for vote in action.members])

    @case("E-031")
    def test_e031_a_member_that_keeps_failing_is_deactivated(self, committee: Committee) -> None:
        """After `max_failures` it has no weight, through later returns and performances, until it is reactivated."""
        ensemble = committee.build([CERTAIN["sell"], RuntimeError("out of order"), CERTAIN["sell"]], max_failures=2)
        committee.settle(ensemble)
        for _ in range(2):
            ensemble.predict(None)
        assert ensemble.get_metrics()["active_count"] == 2
        for values in returns(3, 2 * WINDOW):
            ensemble.record_return(0, values[0])
            ensemble.record_return(2, values[2])
            assert_simplex(ensemble.weights)
            assert ensemble.weights[1] == 0.0
        ensemble.update_weights([0.2, 0.9, 0.4])
        assert_simplex(ensemble.weights)
        assert ensemble.weights[1] == 0.0
        ensemble.reactivate(1)
        assert ensemble.weights[1] > 0.0

    @case("E-032")
    def test_e032_nobody_left_is_an_error(self, committee: Committee) -> None:
        """No models, weights that sum to zero, or only failing members raise EnsembleError: no silent hold."""
        with pytest.raises(EnsembleError):
            committee.build([])
        with pytest.raises(EnsembleError):
            committee.build([CERTAIN["buy"]] * 2, initial_weights=[0.0, 0.0])
        ensemble = committee.build([RuntimeError("out of order")] * 2)
        committee.settle(ensemble)
        with pytest.raises(EnsembleError):
            ensemble.predict(None)

    # Standing aside

    @case("E-040")
    def test_e040_only_a_rule_that_says_so_abstains(self, committee: Committee) -> None:
        """With `may_abstain` false, `abstains` stays false whatever happens; with it, an action `hold` is demanded."""
        rule = committee.rule(2)
        assert isinstance(rule.may_abstain, bool)
        assert isinstance(rule.abstains, bool)
        if rule.may_abstain:
            with pytest.raises(EnsembleError):
                committee.build([(0.0, 1.0)] * 2, actions=("up", "down"))
            return
        rng = np.random.default_rng(6)
        for _ in range(50):
            rule.step(random_standing(rng, 2, mean=-1.0), (0.5, 0.5))
            assert rule.abstains is False
            rule.jump(committee.random_performances(rng, 2), (True, True), (0.5, 0.5))
            assert rule.abstains is False

    @case("E-041", skip_when="it never abstains, or not for want of performance")
    def test_e041_abstaining_holds_and_ends(self, committee: Committee) -> None:
        """While the rule abstains the decision is `hold`, and it says so; good performances end it."""
        ensemble = committee.build([CERTAIN["buy"]] * 2)
        worst = 0.0 if committee.gains else -1.0
        ensemble.update_weights([worst, worst])
        if not ensemble.get_metrics()["abstaining"]:
            pytest.skip("bad performances do not make it abstain")
        assert ensemble.predict(None).name == "hold"
        assert ensemble.infer(np.zeros((1, 2), np.float32)).tolist() == [[0.0, 0.0, 1.0]]
        assert_simplex(ensemble.weights)
        ensemble.update_weights([0.9, 0.9])
        assert not ensemble.get_metrics()["abstaining"]
        assert ensemble.predict(None).name == "buy"

    # Capabilities

    @case("E-060", capability=Capability.OnlineWeights)
    def test_e060_weights_follow_realised_returns(self, committee: Committee, descriptor: EnsembleDescriptor) -> None:
        """The member with the best returns gains weight; undeclared, the best does not."""
        before, after = committee.after_returns(returns(3, 5 * WINDOW, best=1))
        if Capability.OnlineWeights in descriptor.capabilities:
            assert after[1] > before[1]
            assert after[1] == max(after)
        else:
            assert after[1] <= before[1] + 1e-9, "online-weights is not declared, and yet the best member gained"

    @case("E-062", capability=Capability.SteadyWeights)
    def test_e062_weights_follow_steady_returns(self, committee: Committee, descriptor: EnsembleDescriptor) -> None:
        """The member with the steadiest returns gains weight; without this and online-weights, none moves at all."""
        rows = [[value * scale for value, scale in zip(row, (3.0, 1.0, 3.0), strict=True)] for row in returns(3, 50)]
        before, after = committee.after_returns(rows)
        if Capability.SteadyWeights in descriptor.capabilities:
            assert after[1] > before[1]
            assert after[1] == max(after)
        elif Capability.OnlineWeights not in descriptor.capabilities:
            assert after == before, "neither online-weights nor steady-weights is declared, and yet the weights moved"

    @case("E-061", capability=Capability.Gains)
    def test_e061_performances_are_of_the_declared_kind(self, committee: Committee) -> None:
        """Declared, gains in [0, 1] are taken and others raise EnsembleError; undeclared, any finite number."""
        ensemble = committee.build([CERTAIN["buy"]] * 2)
        for performances in ([0.0, 1.0], [0.3, 0.3]):
            ensemble.update_weights(performances)
            assert_simplex(ensemble.weights)
        for performances in ([-0.5, 0.5], [1.5, 0.5], [-300.0, 1e9]):
            if committee.gains:
                with pytest.raises(EnsembleError):
                    ensemble.update_weights(performances)
            else:
                ensemble.update_weights(performances)
                assert_simplex(ensemble.weights)

    @case("E-063", capability=Capability.Fitted)
    def test_e063_what_is_fitted_stays(self, committee: Committee) -> None:
        """Declared, neither returns nor stated performances move the fitted weights; undeclared, there are none."""
        if not committee.fitted:
            assert not isinstance(committee.rule(2), FittedRule), "it has fitted_weights, and fitted is not declared"
            return
        assert isinstance(committee.rule(3), FittedRule), "fitted is declared, and it has no fitted_weights"
        before, after = committee.after_returns(returns(3, 5 * WINDOW, best=1))
        assert after == before == committee.build([CERTAIN["buy"]] * 3).weights

    # Latency

    @case("E-090")
    def test_e090_latency_is_reported(
        self, committee: Committee, record_property: Callable[[str, object], None]
    ) -> None:
        """Median and 99th percentile of combining three votes; only an accident fails."""
        rule = committee.rule(3)
        weights, votes = (0.5, 0.3, 0.2), [votes_of("buy", 0.8), votes_of("sell", 0.5), votes_of("hold", 0.6)]
        taken = []
        for _ in range(500):
            started = perf_counter_ns()
            rule.combine(weights, votes)
            taken.append(perf_counter_ns() - started)
        p50, p99 = (np.percentile(taken, [50, 99]) / 1e3).tolist()
        record_property("axon-note", f"combine p50 {p50:.1f} µs p99 {p99:.1f} µs")
        assert p50 < SLOWEST_US
