"""Weighting rules of a few lines: good ones, and one for each defect the suite must find. Run by test_suites.py."""

import itertools
from typing import ClassVar

import pytest

from axon_quant.errors import EnsembleError
from axon_quant.plugins import Capability, EnsembleDescriptor
from axon_quant.testing import EnsembleConformance

ONLINE = frozenset({Capability.OnlineWeights})


class Fixed:
    """Equal weights after the first statement of performances; averages probabilities."""

    may_abstain = False
    abstains = False

    def __init__(self, initial, window):
        pass

    def step(self, standing, weights):
        return weights

    def jump(self, performances, active, weights):
        return [1.0] * len(performances)

    def combine(self, weights, votes):
        return [sum(w * p for w, p in zip(weights, column, strict=True)) for column in zip(*votes, strict=True)]


class Follower(Fixed):
    """Moves towards the member with the best Sharpe ratio."""

    def step(self, standing, weights):
        best = max(s for s, active in zip(standing.sharpe, standing.active, strict=True) if active)
        return [0.8 * w + 0.2 * (s == best) for w, s in zip(weights, standing.sharpe, strict=True)]


class Gainer(Fixed):
    """Takes gains."""

    def jump(self, performances, active, weights):
        if not all(0.0 <= value <= 1.0 for value in performances):
            raise EnsembleError("gains lie in [0, 1]")
        return [value + 0.01 for value in performances]


class Rule(EnsembleConformance):
    made: type = Fixed
    capabilities = frozenset()
    summary = "A toy."

    @pytest.fixture
    def descriptor(self):
        return EnsembleDescriptor(
            name="toy", target="nowhere:Rule", summary=self.summary, capabilities=self.capabilities
        )

    @pytest.fixture
    def rule(self):
        return self.made


class TestGoodFixed(Rule):
    pass


class TestGoodFollower(Rule):
    made = Follower
    capabilities = ONLINE


class TestGoodGainer(Rule):
    made = Gainer
    capabilities = frozenset({Capability.Gains})


class Stacked(Fixed):
    """Equal weights, as if they had been fitted."""

    def __init__(self, initial, window):
        self.fitted_weights = [1.0] * len(initial)

    def step(self, standing, weights):
        return self.fitted_weights

    def jump(self, performances, active, weights):
        return self.fitted_weights


class TestGoodFitted(Rule):
    made = Stacked
    capabilities = frozenset({Capability.Fitted})


class TestDeclaresFittedAndIsNot(Rule):
    capabilities = frozenset({Capability.Fitted})


class TestIsFittedUndeclared(Rule):
    made = Stacked


class Forgetful(Fixed):
    """Remembers who led, and tells nobody."""

    def __init__(self, initial, window):
        self.led = [0.0] * len(initial)

    def step(self, standing, weights):
        self.led[standing.last.index(max(standing.last))] += 1.0
        return weights

    def jump(self, performances, active, weights):
        return [1.0 + count for count in self.led]


class TestForgetsWhatItLearnt(Rule):
    made = Forgetful


class TestDeclaresOnlineWeightsItLacks(Rule):
    capabilities = ONLINE


class TestMovesUndeclared(Rule):
    made = Follower


class TestDeclaresSteadyWeightsItLacks(Rule):
    capabilities = frozenset({Capability.SteadyWeights})


class TestDeclaresEqualVotesItLacks(Rule):
    capabilities = frozenset({Capability.EqualVotes})


class TestDeclaresGainsItDoesNotCheck(Rule):
    capabilities = frozenset({Capability.Gains})


class Negative(Fixed):
    def jump(self, performances, active, weights):
        return list(performances)


class TestReturnsNegativeWeights(Rule):
    made = Negative


class NanStep(Fixed):
    def step(self, standing, weights):
        return [float("nan")] * len(weights) if min(standing.sharpe) < 0 else weights


class TestReturnsNan(Rule):
    made = NanStep


class AlwaysBuys(Fixed):
    def combine(self, weights, votes):
        return [1.0, *([0.0] * (len(votes[0]) - 1))]


class TestIgnoresTheVotes(Rule):
    made = AlwaysBuys


class Sum(Fixed):
    def combine(self, weights, votes):
        return [sum(column) for column in zip(*votes, strict=True)]


class TestIgnoresTheWeights(Rule):
    made = Sum


class FirstAmongEquals(Fixed):
    def jump(self, performances, active, weights):
        return [2.0, *([1.0] * (len(performances) - 1))]


class TestFavoursTheFirstMember(Rule):
    made = FirstAmongEquals


class BuyOnTies(Fixed):
    def combine(self, weights, votes):
        first, *rest = super().combine(weights, votes)
        return [first + 1e-7, *rest]


class TestBreaksTiesItself(Rule):
    made = BuyOnTies


class Sulks(Fixed):
    def step(self, standing, weights):
        self.abstains = max(standing.sharpe) < 0
        return weights


class TestAbstainsUnannounced(Rule):
    made = Sulks


class NeverEnds(Fixed):
    may_abstain = True

    def jump(self, performances, active, weights):
        self.abstains = self.abstains or max(performances) < 0
        return weights


class TestNeverStopsAbstaining(Rule):
    made = NeverEnds


class Shared(Follower):
    memory: ClassVar[dict[int, float]] = {}

    def step(self, standing, weights):
        for index, value in enumerate(standing.last):
            self.memory[index] = self.memory.get(index, 0.0) + value
        return weights

    def jump(self, performances, active, weights):
        return [1.0 + abs(self.memory.get(index, 0.0)) for index in range(len(performances))]


class TestSharesStateBetweenEnsembles(Rule):
    made = Shared


class Drifting(Fixed):
    counter = itertools.count(1)

    def combine(self, weights, votes):
        noise = 1e-6 / next(self.counter)
        combined = super().combine(weights, votes)
        return [(p + noise) / (1.0 + noise * len(combined)) for p in combined]


class TestIsNotRepeatable(Rule):
    made = Drifting


class Scribbler(Fixed):
    def combine(self, weights, votes):
        combined = super().combine(weights, votes)
        if isinstance(votes[0], list):
            votes[0][0] = 0.0
        return combined


class TestWritesToItsInputs(Rule):
    made = Scribbler


class Contrarian(Fixed):
    def jump(self, performances, active, weights):
        best = max(performances)
        return [best - value + 1.0 for value in performances]


class TestPrefersTheWorst(Rule):
    made = Contrarian


class Deaf(Follower):
    def step(self, standing, weights):
        best = max(standing.sharpe)
        return [float(s == best) for s in standing.sharpe]


class TestGivesAllToADeactivatedMember(Rule):
    made = Deaf
    capabilities = ONLINE


class Lax(Fixed):
    def __init__(self, initial, window, **options):
        pass


class TestIgnoresUnknownOptions(Rule):
    made = Lax


class TestOverridesATest(Rule):
    test_e023_a_tie_stands_aside = None


class TestSaysNothingOfItself(Rule):
    summary = ""


class TestForgetsItsFixtures(EnsembleConformance):
    pass
