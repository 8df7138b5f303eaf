"""The suite of exchanges passes the example plugin, and finds each planted defect by the ID that is made for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from axon_quant.testing import ExchangeConformance

CORES_OWN = {"X-044", "X-063", "X-064"}
"""The core keeps these whatever the plugin does; they guard against a later core."""
NEEDS_MORE_THAN_THE_EXAMPLE = {"X-013", "X-015"}
"""A passphrase, and permissions, which the example venue has none of; binance's and okx's suites run them."""
DEFECTS: dict[str, set[str]] = {
    "OverridesATest": {"X-000"},
    "NamesItselfOtherwise": {"X-001"},
    "RoundsItsInstruments": {"X-002", "X-041"},
    "ClosesOnce": {"X-010"},
    "TakesABadKeyForTrouble": {"X-011", "X-012"},
    "RaisesWhatItsLibraryRaises": {"X-014"},
    "LeaksItsSecret": {"X-016"},
    "SendsAnotherPrice": {"X-020", "X-090"},
    "ForgetsFees": {"X-021", "X-022", "X-092"},
    "CountsFillsTwice": {"X-092"},
    "IgnoresTheTerms": {"X-023", "X-024", "X-025"},
    "CancelsNothing": {"X-020", "X-030"},
    "DoesItAllUndeclared": {
        *("X-026", "X-027", "X-028", "X-029", "X-031", "X-032", "X-042"),
        *("X-072", "X-073", "X-094", "X-095", "X-096", "X-097", "X-099", "X-100"),
    },
    "AsksTheVenueFirst": {"X-040", "X-041"},
    "ForgetsTheCode": {"X-011", "X-043"},
    "ResendsBlindly": {"X-050", "X-053"},
    "GivesUpOnALostAnswer": {"X-051", "X-052", "X-054", "X-056"},
    "TakesTroubleForSuccess": {"X-055"},
    "LosesTheStreamSilently": {"X-060", "X-066"},
    "HearsWhatIsNotSaid": {"X-061", "X-062"},
    "BelievesTheLatestOnly": {"X-065", "X-091"},
    "SubscribesOnce": {"X-070", "X-071"},
    "IgnoresRetryAfter": {"X-080", "X-081"},
    "RefusesAnotherClock": {"X-082"},
    "RenamesOrders": {"X-090", "X-091"},
    "CountsWhatIsLockedAsFree": {"X-093"},
    "IsOneForAll": {"X-098"},
}
"""Class in toy_exchanges.py → IDs that fail."""

TESTS = {name[5:9].upper().replace("X", "X-"): name for name in dir(ExchangeConformance) if name.startswith("test_x")}
"""ID → name of the test."""
PARTS = 4
"""That run side by side; they mostly wait."""


@pytest.fixture(scope="module")
def failures(tmp_path_factory, recorded):
    """Class and ID of each test that failed, of those that should, and those of the good one."""
    toys = {**DEFECTS, "Good": set().union(*DEFECTS.values())}
    wanted = [f"Test{toy}::{TESTS[id_]}" for toy, ids in toys.items() for id_ in sorted(ids)]

    def run(number):
        folder = tmp_path_factory.mktemp(f"toys-{number}")
        (folder / "test_toys.py").write_text(Path(__file__).with_name("toy_exchanges.py").read_text())
        return recorded(folder, *(f"test_toys.py::{name}" for name in wanted[number::PARTS]))

    with ThreadPoolExecutor() as pool:
        rows = [row for part in pool.map(run, range(PARTS)) for row in part]
    assert len(rows) == len(wanted)
    return {(owner, id_): text for owner, id_, outcome, text in rows if outcome == "failed"}


@pytest.mark.slow
@pytest.mark.parametrize("toy", DEFECTS)
def test_a_planted_defect_is_found(failures, toy):
    assert {id_ for owner, id_ in failures if owner == f"Test{toy}"} == DEFECTS[toy]


@pytest.mark.slow
def test_the_good_one_passes(failures):
    assert {id_: text for (owner, id_), text in failures.items() if owner == "TestGood"} == {}


def test_every_test_has_a_defect_that_it_finds():
    found = set().union(*DEFECTS.values())
    assert found.isdisjoint(CORES_OWN | NEEDS_MORE_THAN_THE_EXAMPLE)
    assert found | CORES_OWN | NEEDS_MORE_THAN_THE_EXAMPLE == set(TESTS)
