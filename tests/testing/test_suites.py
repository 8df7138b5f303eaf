"""The suites pass what is good and find each planted defect, by the ID that is made for it."""

from __future__ import annotations

import pytest

from axon_quant.plugins import Capability
from axon_quant.testing.listing import cases

CORES_OWN = {"E-003", "E-017", "E-032"}
"""The core keeps these whatever the rule does; they guard against a later core."""
ONLY_AN_ACCIDENT = {"E-090"}
"""Latency is reported; a toy slow enough to fail would hold up everybody's tests."""

BACKEND_DEFECTS = {
    "IgnoresThePinnedHash": {"B-035"},
    "ReturnsASharedBuffer": {"B-014", "B-040", "B-060", "B-063", "B-070", "B-071"},
    "SwallowsNan": {"B-022"},
    "NamesActionsInTheWrongOrder": {"B-015", "B-016", "B-017"},
    "FallsBackSilently": {"B-050", "B-051"},
    "DeclaresACapabilityItLacks": {"B-061"},
    "ComputesInAnotherPrecisionThanAsked": {"B-061"},
    "ComputesInSinglePrecisionAndSaysHalf": {"B-061"},
    "RefusesHalfPrecisionWithoutSayingSo": {"B-061"},
    "DeclaresNothingAndDoesItAll": {"B-060", "B-061", "B-062", "B-063"},
    "OverridesATest": {"B-000"},
    "ServesCorruptFiles": {"B-031", "B-032", "B-036", "B-037", "B-085"},
    "SaysNothingOfItself": {"B-001"},
    "ReadsItsFileTooEarly": {"B-002"},
    "NamesAnotherDevice": {"B-003", "B-052"},
    "HasAnyBuiltInModel": {"B-004"},
    "IsNotRepeatable": {"B-012", "B-081"},
    "WritesToItsInputs": {"B-013"},
    "ReadsABatchOfOneDifferently": {"B-018", "B-041"},
    "ChecksNoInput": {"B-019", "B-020", "B-021", "B-022", "B-023"},
    "AnswersDifferentlyOnAnAccelerator": {"B-050", "B-051", "B-052", "B-061"},
    "DeclaresAnotherSuffix": {"B-005"},
    "ForgetsItsSideFiles": {"B-006"},
    "ReturnsTheKindOfArrayItGot": {"B-019"},
    "DecidesOnTheFirstOfABatch": {"B-024"},
    "IgnoresASecondOutput": {"B-037"},
    "CutsWeightsToFit": {"B-038"},
    "RaisesWhatItsRuntimeRaises": {"B-039"},
    "LocksItsReadersOut": {"B-043"},
    "CountsVersionsWithoutALock": {"B-044"},
    "HoardsItsSessions": {"B-045"},
    "DoesNotNameTheDevice": {"B-050"},
    "LetsTheRowsOfABatchTouch": {"B-063"},
    "AnswersABatchBackwards": {"B-070", "B-071", "B-072"},
    "FailsABatchForOneWindow": {"B-071"},
    "LosesAnAnswerOfAFullBatch": {"B-072"},
    "ServesWhatWasOnlyPrepared": {"B-080"},
    "CannotKeepAPlan": {"B-081"},
    "IgnoresThePlan": {"B-082"},
    "NeedsItsFileWhileItServes": {"B-083"},
    "RemembersTheHashOfAPath": {"B-084", "B-085"},
    "IsSlow": {"B-090"},
    "NamesAnotherRuntimeAsItsOwn": {"B-091"},
}
"""Class in toy_backends.py → the IDs that fail, and no others."""

BROAD_BACKEND_DEFECTS = {
    "OverridesAPartOfTheSuite": {"B-000"},
    "SwapsInPlace": {"B-034", "B-041", "B-045", "B-080", "B-083"},
    "IsNotThreadSafe": {"B-040"},
    "DropsTheOldModel": {"B-030", "B-031", "B-032", "B-033", "B-034", "B-035", "B-036", "B-037", "B-038", "B-039"},
    "SharesStateBetweenEngines": {"B-033", "B-034", "B-042"},
    "ComputesInHalfPrecisionUnasked": {"B-010", "B-011", "B-040"},
    "MakesNoModels": {"B-003", "B-010", "B-030", "B-040", "B-050", "B-060", "B-090"},
    "ForgetsItsFixtures": {"B-001", "B-010", "B-051", "B-090"},
}
"""Class in toy_backends.py → IDs that fail, among others."""

ENSEMBLE_DEFECTS = {
    "DeclaresOnlineWeightsItLacks": {"E-060"},
    "DeclaresSteadyWeightsItLacks": {"E-062"},
    "DeclaresEqualVotesItLacks": {"E-025"},
    "DeclaresFittedAndIsNot": {"E-063"},
    "IsFittedUndeclared": {"E-003", "E-063"},
    "ForgetsWhatItLearnt": {"E-018"},
    "MovesUndeclared": {"E-060", "E-062"},
    "DeclaresGainsItDoesNotCheck": {"E-061"},
    "ReturnsNegativeWeights": {"E-010", "E-012", "E-014", "E-041", "E-061"},
    "ReturnsNan": {"E-011", "E-012", "E-013", "E-015", "E-016", "E-018", "E-031", "E-060", "E-062"},
    "IgnoresTheVotes": {"E-021", "E-022", "E-023", "E-025", "E-030"},
    "IgnoresTheWeights": {"E-020", "E-025"},
    "FavoursTheFirstMember": {"E-013", "E-014", "E-023"},
    "BreaksTiesItself": {"E-022", "E-023"},
    "AbstainsUnannounced": {"E-040"},
    "NeverStopsAbstaining": {"E-041"},
    "SharesStateBetweenEnsembles": {"E-013", "E-014", "E-016", "E-023"},
    "IsNotRepeatable": {"E-015"},
    "WritesToItsInputs": {"E-024"},
    "PrefersTheWorst": {"E-014"},
    "GivesAllToADeactivatedMember": {"E-012"},
    "IgnoresUnknownOptions": {"E-002"},
    "OverridesATest": {"E-000"},
    "SaysNothingOfItself": {"E-001"},
}
"""Class in toy_ensembles.py → the IDs that fail, and no others."""

EXPLAINER_DEFECTS = {
    "OverridesATest": {"P-000"},
    "SaysNothingOfItself": {"P-001"},
    "DeclaresNothing": {"P-001"},
    "IgnoresUnknownOptions": {"P-002"},
    "DoesMoreThanItDeclares": {"P-003"},
    "KeepsTheTenLargest": {"P-010", "P-017"},
    "SamplesTheBackground": {"P-016"},
    "ComparesWithTheMeanRow": {"P-011", "P-012", "P-015", "P-016", "P-019", "P-020"},
    "FavoursTheEarlierFeature": {"P-011", "P-012", "P-013", "P-017", "P-019", "P-020"},
    "AsksWhatEachAddsLast": {"P-011", "P-012", "P-015", "P-017", "P-019", "P-020"},
    "SpreadsOverWhatIsNotUsed": {"P-010", "P-011", "P-012", "P-014", "P-016", "P-017", "P-019", "P-020"},
    "StatesAnotherGap": {"P-015"},
    "ForgetsWhatIsBeyond64": {"P-017"},
    "NamesTheRowsOfAWindowAlike": {"P-018"},
    "ExplainsFunctionsOnly": {"P-019"},
    "ExplainsTheFirstOutput": {"P-020", "P-035"},
    "CountsCallsInsteadOfRows": {"P-021"},
    "UsesTheGlobalGenerator": {"P-022"},
    "IsNotRepeatable": {"P-020", "P-022"},
    "WritesToTheBackground": {"P-023", "P-034"},
    "DividesByWhatMayBeZero": {"P-024"},
    "MakesZerosOfAnError": {"P-030"},
    "BendsAnswersIntoShape": {"P-019", "P-031"},
    "MakesZerosOfNan": {"P-032"},
    "MendsTheObservation": {"P-033"},
    "CutsTheBackgroundToFit": {"P-034"},
    "TakesAnyActionForTheFirst": {"P-035"},
    "VerifiesNothing": {"P-040", "P-042", "P-045"},
    "ReportsOtherScores": {"P-040"},
    "StatesAnotherDifference": {"P-041"},
    "IgnoresWhatIsDesired": {"P-042"},
    "ChangesWhatIsImmutable": {"P-043"},
    "PassesTheBounds": {"P-044"},
    "IgnoresTheSteps": {"P-045"},
    "ReturnsWhatDoesNotFlip": {"P-043", "P-044", "P-046"},
    "CountsItsResults": {"P-047"},
    "SpendsMoreThanItsBudget": {"P-047"},
    "ShufflesByTheGlobalGenerator": {"P-048"},
    "WritesToTheObservation": {"P-049"},
    "FindsNothingInsteadOfAnError": {"P-050"},
    "TakesAnyAnswer": {"P-051"},
    "TakesAnyOriginalAction": {"P-052"},
    "NumbersItsReports": {"P-060"},
    "EscapesNothing": {"P-061"},
    "ReportsAFailedModel": {"P-062"},
}
"""Class in toy_explainers.py → the IDs that fail, and no others."""

BROAD_EXPLAINER_DEFECTS = {
    "DeclaresWhatItLacks": {"P-003", "P-040", "P-046", "P-050"},
    "SaysItIsExactAndIsNot": {"P-010", "P-011", "P-012", "P-013", "P-015", "P-017"},
}
"""Class in toy_explainers.py → IDs that fail, among others."""


def undeclared(*capabilities: Capability) -> set[str]:
    """The tests of explainers that are skipped where only these are declared."""
    return {
        item.id
        for item in cases()
        if item.kind == "explainer" and item.capability is not None and item.capability not in capabilities
    }


@pytest.mark.parametrize(
    ("module", "name", "kind", "skipped"),
    [
        ("toy_backends", "Good", "backend", {"B-051", "B-052"}),
        ("toy_backends", "Modest", "backend", {"B-051", "B-052"}),
        ("toy_backends", "HasNoHalfPrecisionHere", "backend", {"B-051", "B-052", "B-061"}),
        ("toy_ensembles", "GoodFixed", "ensemble", {"E-041"}),
        ("toy_ensembles", "GoodFollower", "ensemble", {"E-041"}),
        ("toy_ensembles", "GoodGainer", "ensemble", {"E-041"}),
        ("toy_ensembles", "GoodFitted", "ensemble", {"E-013", "E-014", "E-022", "E-025", "E-041"}),
        ("toy_explainers", "GoodExact", "explainer", undeclared(Capability.Attribution)),
        ("toy_explainers", "GoodFlipping", "explainer", undeclared(Capability.Counterfactuals)),
        ("toy_explainers", "GoodReporting", "explainer", undeclared(Capability.Reports)),
        (
            "toy_explainers",
            "GoodEverything",
            "explainer",
            undeclared(Capability.Attribution, Capability.Counterfactuals),
        ),
    ],
)
def test_a_good_plugin_passes_every_test(outcomes, module, name, kind, skipped):
    found = outcomes(module)
    assert found.failed(f"Test{name}") == set()
    assert found.skipped(f"Test{name}") == skipped
    assert set(found.ids[f"Test{name}"]) == {item.id for item in cases() if item.kind == kind}


@pytest.mark.parametrize("defect", BACKEND_DEFECTS)
def test_a_defect_of_a_backend_fails_its_own_test_and_no_other(outcomes, defect):
    assert outcomes("toy_backends").failed(f"Test{defect}") == BACKEND_DEFECTS[defect]


@pytest.mark.parametrize("defect", BROAD_BACKEND_DEFECTS)
def test_a_broad_defect_of_a_backend_fails_the_tests_it_touches(outcomes, defect):
    assert outcomes("toy_backends").failed(f"Test{defect}") >= BROAD_BACKEND_DEFECTS[defect]


@pytest.mark.parametrize("defect", ENSEMBLE_DEFECTS)
def test_a_defect_of_an_ensemble_fails_its_own_tests_and_no_other(outcomes, defect):
    assert outcomes("toy_ensembles").failed(f"Test{defect}") == ENSEMBLE_DEFECTS[defect]


@pytest.mark.parametrize("defect", EXPLAINER_DEFECTS)
def test_a_defect_of_an_explainer_fails_its_own_tests_and_no_other(outcomes, defect):
    assert outcomes("toy_explainers").failed(f"Test{defect}") == EXPLAINER_DEFECTS[defect]


@pytest.mark.parametrize("defect", BROAD_EXPLAINER_DEFECTS)
def test_a_broad_defect_of_an_explainer_fails_the_tests_it_touches(outcomes, defect):
    assert outcomes("toy_explainers").failed(f"Test{defect}") >= BROAD_EXPLAINER_DEFECTS[defect]


def test_every_test_of_a_suite_can_fail():
    defects = (BACKEND_DEFECTS, BROAD_BACKEND_DEFECTS, ENSEMBLE_DEFECTS, EXPLAINER_DEFECTS, BROAD_EXPLAINER_DEFECTS)
    caught = set().union(*(ids for planted in defects for ids in planted.values()))
    own = {item.id for item in cases() if item.kind != "exchange"}  # those have a test of their own
    assert own - caught - CORES_OWN == ONLY_AN_ACCIDENT


def test_an_override_is_named(outcomes):
    texts = outcomes("toy_backends").texts
    assert (
        "TestOverridesATest overrides test_b010_scores_are_those_of_the_reference"
        in texts["TestOverridesATest"]["B-000"]
    )
    assert "TestOverridesAPartOfTheSuite overrides bench" in texts["TestOverridesAPartOfTheSuite"]["B-000"]
    assert "overrides test_e023_a_tie_stands_aside" in (outcomes("toy_ensembles").texts["TestOverridesATest"]["E-000"])


def test_an_undeclared_capability_that_works_is_named(outcomes):
    text = outcomes("toy_backends").texts["TestDeclaresNothingAndDoesItAll"]["B-060"]
    assert "batch is not declared, so asking for it must raise UnsupportedError; it returned" in text


def test_a_missing_fixture_is_named(outcomes):
    texts = outcomes("toy_backends").texts["TestForgetsItsFixtures"]
    assert "TestForgetsItsFixtures supplies no fixture `descriptor`" in texts["B-001"]
