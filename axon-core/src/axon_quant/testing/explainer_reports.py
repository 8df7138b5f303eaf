"""The part of the suite of explainers about reports."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest

from axon_quant.errors import AxonError
from axon_quant.plugins import Capability
from axon_quant.testing.cases import case
from axon_quant.testing.explained import Asked, Questions, network, normal
from axon_quant.testing.explainer_refusals import ModelBrokeError, assert_raises, broken, spoilt

HOSTILE = ("<script>alert(1)</script>", "#include <x>", "a & b", "\"quoted'", "{{ 7*7 }}", "$x^2$")
ROWS = normal(40, len(HOSTILE), seed=90)


class _Page(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.requests: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("src", "href", "data", "action", "srcset") and value and not value.startswith(("#", "data:")):
                self.requests.append(value)

    def handle_data(self, data: str) -> None:
        self.text += data


class Reports:
    """P-060 to P-069; `ExplainerConformance` has the fixtures."""

    @case("P-060", capability=Capability.Reports)
    def test_p060_equal_reports_are_equal_bytes(self, questions: Questions) -> None:
        """Two reports of the same question are the same bytes, as a page and as JSON, and say what was decided."""
        written = []
        for number in range(2):
            model = Asked(network(len(HOSTILE), seed=91))
            report = questions.report(model, ROWS[0], ROWS)
            page, data = (questions.folder / f"{number}.{suffix}" for suffix in ("html", "json"))
            report.export_html(str(page))
            report.export_json(str(data))
            written.append((page.read_bytes(), data.read_bytes()))
            json.loads(data.read_text())
            assert model.decision(ROWS[0]) in page.read_text()
        assert written[0] == written[1]

    @case("P-061", capability=Capability.Reports, skip_when="its constructor takes no names")
    def test_p061_markup_in_names_is_text(self, questions: Questions) -> None:
        """Names of features such as `<script>` stand in the page as text, and the page asks nobody for anything."""
        questions.need(Capability.Reports)
        model = Asked(network(len(HOSTILE), seed=92))
        made = questions.constrained(model, feature_names=HOSTILE, background_data=ROWS)
        report = questions.call(Capability.Reports, made, ROWS[1])
        path = questions.folder / "hostile.html"
        report.export_html(str(path))  # type: ignore[attr-defined]
        page = _Page()
        page.feed(path.read_text())
        assert "script" not in page.tags
        assert page.requests == []
        missing = [name for name in HOSTILE if name not in page.text]
        assert not missing, f"not in the page as they are: {missing}"

    @case("P-062", capability=Capability.Reports)
    def test_p062_a_model_that_fails_has_no_report(self, questions: Questions) -> None:
        """A model that raises or returns NaN, at whichever call, ends in an error and not in a report."""
        rows = normal(40, 6, seed=93)
        assert_raises(lambda model: questions.report(model, rows[0], rows), broken, (ModelBrokeError, AxonError))  # type: ignore[arg-type]
        assert_raises(lambda model: questions.report(model, rows[0], rows), spoilt(float("nan")), AxonError)
        with pytest.raises(AxonError):
            questions.report(Asked(network(6, seed=94)), rows[0], rows, "no-such-action")
