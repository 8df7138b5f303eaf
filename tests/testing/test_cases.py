"""IDs, the guard, and the listing."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from axon_quant.plugins import Capability
from axon_quant.testing import BackendConformance, EnsembleConformance
from axon_quant.testing.backend import CAPABILITIES as OF_BACKENDS
from axon_quant.testing.cases import case, case_of, overridden
from axon_quant.testing.ensemble import CAPABILITIES as OF_ENSEMBLES
from axon_quant.testing.exchange import CAPABILITIES as OF_EXCHANGES
from axon_quant.testing.explainer import CAPABILITIES as OF_EXPLAINERS
from axon_quant.testing.listing import SUITES, cases, markdown, plain


def test_ids_are_unique_and_of_their_kind():
    found = [item.id for item in cases()]
    assert len(found) == len(set(found))
    assert all(re.fullmatch(r"[BEPX]-\d{3}", id_) for id_ in found)
    assert {item.kind for item in cases()} == {"backend", "ensemble", "exchange", "explainer"}


@pytest.mark.parametrize("suite", SUITES)
def test_every_test_has_an_id_that_its_docstring_starts_with(suite):
    tests = {name: getattr(suite, name) for name in dir(suite) if name.startswith("test_")}
    assert tests
    for name, test in tests.items():
        found = case_of(test)
        assert found is not None, name
        assert test.__doc__.startswith(f"{found.id}: ")
        assert found.id[2:] in name


def test_every_capability_of_a_kind_has_a_test():
    asked = {item.capability for item in cases()} - {None}
    assert asked == OF_BACKENDS | OF_ENSEMBLES | OF_EXCHANGES | OF_EXPLAINERS
    assert set(Capability) == asked


@pytest.mark.parametrize("suite", SUITES)
def test_an_author_supplies_at_most_four_fixtures(suite):
    class Author(suite):
        descriptor = backend = rule = options = make_model = adapter = simulator = None

    replaced = overridden(Author)
    assert replaced == []
    supplied = [
        name
        for name in ("descriptor", "backend", "rule", "options", "make_model", "adapter", "simulator")
        if hasattr(suite, name)
    ]
    assert len(supplied) <= 4


def test_the_guard_itself_cannot_be_overridden():
    with pytest.raises(TypeError, match="Sly overrides test_b000_nothing_of_the_suite_is_overridden"):

        class Sly(BackendConformance):
            test_b000_nothing_of_the_suite_is_overridden = None


def test_a_mixin_that_replaces_a_test_is_found():
    class Mixin:
        def test_e021_what_all_want_is_done(self):
            pass

    class Author(Mixin, EnsembleConformance):
        pass

    assert overridden(Author) == ["test_e021_what_all_want_is_done"]


def test_tests_and_fixtures_of_the_authors_own_are_welcome():
    class Author(BackendConformance):
        def test_something_of_our_own(self):
            pass

    assert overridden(Author) == []


def test_a_test_named_otherwise_than_its_id_is_refused():
    with pytest.raises(ValueError, match="a name that starts with test_b999_"):

        @case("B-999")
        def test_b998_other(self):
            """Something."""


def test_the_table_names_every_test(root):
    listed = plain().splitlines()
    assert [line.split()[0] for line in listed] == ["ID", *(item.id for item in cases())]
    assert markdown() in (root / "docs" / "conformance.md").read_text(), "docs/conformance.md is not up to date"


@pytest.mark.parametrize(
    "statement",
    [
        "import axon_quant.testing",
        "from axon_quant.testing import Mlp, ModelRequest, ReferenceModel",
        "import axon_quant.runtime",
    ],
)
def test_production_imports_no_pytest(statement):
    code = f"import sys\n{statement}\nprint(sorted({{'pytest', '_pytest', 'hypothesis'}} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
