"""A report says what is known, in every form the same, and never more."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axon_explain import CounterfactualGenerator, KernelSHAP, ReportGenerator
from axon_quant.errors import ExplainError, ModelError
from axon_quant.inference import Action

HOSTILE = (
    "<script>alert(1)</script>",
    '#include "x"',
    "$x$",
    "*bold*",
    "שלום",
    "a\u202eb",
    "line\nbreak\x00",
    "]]>&amp;",
    "x" * 500,
)


def linear(features, seed=0):
    weights = np.random.default_rng(seed).normal(size=features)

    def model(batch):
        score = batch.reshape(len(batch), -1) @ weights
        return np.stack([score, -score, np.zeros(len(batch))], axis=1)

    return model


def rows(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.fixture(scope="module")
def report():
    names = [*HOSTILE, "plain"]
    generator = ReportGenerator(linear(10), background_data=rows(20, 10), feature_names=names)
    return generator.generate_report(rows(10, seed=3), cautions=["mind <b>this</b>"])


@pytest.fixture(scope="module")
def window():
    """64 steps of 128 channels: what axon's own observation is."""
    weights = rows(64, 128, seed=5) * np.linspace(0, 1, 64)[:, None] ** 10

    def model(batch):
        score = np.tanh(0.05 * np.tensordot(batch, weights, 2))
        return np.stack([score, -score, 0 * score], axis=1)

    names = [f"channel_{index}" for index in range(128)]
    generator = ReportGenerator(model, background_data=rows(2, 64, 128), feature_names=names, budget=600)
    return generator.generate_report(rows(64, 128, seed=7))


class Reader(HTMLParser):
    """The text of a page and the elements in it."""

    def __init__(self, page):
        super().__init__()
        self.text, self.tags = "", []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        assert not any(name.startswith("on") or name == "src" for name, _ in attrs)

    def handle_data(self, data):
        self.text += data


def test_the_call_of_the_guide_works_as_written_with_the_warning_of_a_missing_background(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    generator = ReportGenerator(linear(6))
    with pytest.warns(UserWarning, match="no background data"):
        report = generator.generate_report(
            observation=rows(6),
            action="buy",
            include_shap=True,
            include_counterfactuals=True,
            include_feature_importance=True,
        )
    report.export_html("decision_report.html")
    report.export_pdf("decision_report.pdf")
    assert (tmp_path / "decision_report.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "decision_report.pdf").read_bytes().startswith(b"%PDF-")
    assert any("No background data was given" in caution for caution in report.facts.cautions)


def test_the_contributions_of_a_linear_model_are_those_of_the_formula():
    model, background, x = linear(8), rows(30, 8), rows(8, seed=2)
    report = ReportGenerator(model, background_data=background).generate_report(x, "buy")
    weights = np.random.default_rng(0).normal(size=8)
    expected = weights * (x - background.mean(axis=0))
    found = {player.name: player.importance for player in report.facts.attribution.players}
    assert [found[f"f{index}"] for index in range(8)] == pytest.approx(list(expected), abs=1e-9)
    heaviest = [abs(player.importance) for player in report.facts.attribution.players]
    assert heaviest == sorted(heaviest, reverse=True)


def test_the_story_names_the_decision_its_reasons_and_what_would_have_changed_it():
    def model(batch):
        return np.stack([batch[:, 0], -batch[:, 0], 0.5 + 0 * batch[:, 0]], axis=1)

    generator = ReportGenerator(model, background_data=rows(40, 2), feature_names=["momentum", "noise"])
    facts = generator.generate_report(np.array([2.0, 0.3])).facts
    story = " ".join(facts.story)
    assert facts.headline == "Buy"
    assert "decided buy; the scores were buy 2, sell −2 and hold 0.5" in story
    assert "momentum (+" in story
    assert "noise" not in story
    assert "It would have been hold, had momentum been 0." in story
    assert facts.decision.confidence is None, "a function has none, and none is made up"


def test_the_confidence_is_the_one_that_the_action_had():
    class Policy:
        actions = ("buy", "sell", "hold")

        def predict_proba(self, x):
            return np.tile([0.7, 0.2, 0.1], (len(x), 1))

    generator = ReportGenerator(Policy(), background_data=rows(3, 2))
    assert generator.generate_report(rows(2)).facts.headline == "Buy, with 70.0 % confidence"
    decided = Action("buy", 0, 0.91, (0.0, 0.0, 0.0))
    assert generator.generate_report(rows(2), decided).facts.decision.confidence == 0.91


def test_another_action_than_the_one_chosen_is_said_to_be_another():
    x = np.abs(rows(4))
    report = ReportGenerator(lambda batch: batch[:, :2], background_data=rows(5, 4), actions=("up", "down"))
    chosen = report.generate_report(x).facts.decision.action
    other = "down" if chosen == "up" else "up"
    facts = report.generate_report(x, other).facts
    assert (facts.decision.action, facts.decision.explained, facts.attribution.action) == (chosen, other, other)
    assert f"This report is about {other}, which it did not choose." in facts.story[0]


def test_what_was_not_asked_for_is_not_there():
    calls = []

    def model(batch):
        calls.append(len(batch))
        return linear(4)(batch)

    generator = ReportGenerator(model, background_data=rows(5, 4))
    plain = generator.generate_report(rows(4), None, False, False, False)
    assert sum(calls) <= 3
    assert (plain.facts.attribution, plain.facts.counterfactuals, plain.facts.heat_map) == (None, None, None)
    table = generator.generate_report(rows(4), include_shap=False, include_counterfactuals=False)
    assert "What each feature contributed" in table.html()
    assert "<svg" not in re.sub(r"<td.*?</td>", "", table.html())
    figure = generator.generate_report(rows(4), include_feature_importance=False)
    assert "What each feature contributed" not in figure.html()
    assert "How the score comes about" in figure.html()


def test_given_explainers_are_used():
    model, background = linear(5), rows(6, 5)
    shap = KernelSHAP(model, background_data=background, groups={"first": [0, 1]})
    flips = CounterfactualGenerator(model, background_data=background, immutable=["f0", "f1", "f2", "f3"])
    facts = ReportGenerator(model, shap=shap, counterfactuals=flips).generate_report(rows(5)).facts
    assert "first" in {player.name for player in facts.attribution.players}
    changed = {change.feature for result in facts.counterfactuals.results for change in result.changes}
    assert changed == {"f4"}


def test_a_decision_that_nothing_flips_is_said_to_be_one():
    def stubborn(batch):
        return np.tile([1.0, 0.0, 0.0], (len(batch), 1))

    facts = ReportGenerator(stubborn, background_data=rows(5, 3)).generate_report(rows(3)).facts
    assert facts.counterfactuals.results == ()
    assert any("turns it into another decision" in sentence for sentence in facts.story)
    assert any("Nothing in the observation moved the score" in sentence for sentence in facts.story)


def test_a_model_of_one_output_has_contributions_and_no_counterfactuals():
    report = ReportGenerator(lambda batch: batch.sum(axis=1), background_data=rows(5, 3)).generate_report(rows(3))
    assert report.facts.attribution is not None
    assert report.facts.counterfactuals is None
    assert "The model has one output, so there is no other decision to look for." in report.facts.cautions


def test_what_the_model_raises_goes_through_and_nothing_becomes_a_zero():
    def broken(batch):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        ReportGenerator(broken, background_data=rows(3, 2)).generate_report(rows(2))
    with pytest.raises(ModelError, match="finite"):
        ReportGenerator(lambda batch: batch * np.nan, background_data=rows(3, 2)).generate_report(rows(2))


@pytest.mark.parametrize("model", [None, linear(2)])
def test_nothing_to_report_is_an_error(model):
    with pytest.raises(ExplainError, match="nothing to report"):
        ReportGenerator(model).generate_report(None if model else rows(2))


def test_hostile_names_are_text_on_the_page(report):
    page = report.html()
    read = Reader(page)
    assert "script" not in read.tags
    assert "b" not in read.tags
    for name in ("<script>alert(1)</script>", '#include "x"', "$x$", "*bold*", "שלום", "]]>&amp;", "x" * 500):
        assert name in read.text
    assert "a\\u202eb" in read.text, "what turns text around is spelled out"
    assert "line\\u000abreak\\u0000" in read.text
    assert "mind <b>this</b>" in read.text


@settings(max_examples=40)
@given(st.lists(st.text(min_size=1), min_size=3, max_size=3, unique=True), st.text())
def test_any_text_is_text(names, caution):
    def model(batch):
        return np.stack([batch.sum(axis=1), 0 * batch[:, 0]], axis=1)

    generator = ReportGenerator(model, background_data=rows(3, 3), feature_names=names, actions=names[:2])
    report = generator.generate_report(np.ones(3), include_counterfactuals=False, cautions=[caution])
    read = Reader(report.html())
    assert set(read.tags) <= TAGS
    assert not re.search("[\x00-\x08\u202a-\u202e\ud800-\udfff]", read.text)
    assert json.loads(report.json())["attribution"]["players"]


TAGS = {
    *("html", "head", "meta", "title", "link", "style", "body", "main", "header", "section", "footer"),
    *("h1", "h2", "h3", "p", "bdi", "strong", "span", "code", "br", "ul", "li", "dl", "div", "dt", "dd"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td", "figure", "svg", "desc", "g", "rect", "line", "text"),
    *("path", "tspan"),
}


def test_a_window_of_8192_cells_stays_readable_and_small(window):
    page = window.html()
    assert len(page.encode()) < 500_000
    facts = window.facts
    assert (facts.attribution.grouping, len(facts.attribution.players)) == ("channel", 128)
    heat = facts.heat_map
    assert len(heat.channels) == 15
    assert len(heat.steps) == 8
    assert (heat.steps[0][0], heat.steps[-1][1]) == (-63, 0)
    assert heat.rest.name == "113 channels"
    total = sum(map(sum, heat.values)) + heat.rest.importance
    assert total == pytest.approx(facts.attribution.score - facts.attribution.base_value, abs=1e-9)
    newest = sum(abs(values[-1]) for values in heat.values)
    assert newest > 0.5 * sum(abs(value) for values in heat.values for value in values), "where the weights are"


def test_the_cells_of_a_small_window_are_told_apart_one_by_one():
    facts = ReportGenerator(linear(12), background_data=rows(4, 4, 3)).generate_report(rows(4, 3)).facts
    weights = np.random.default_rng(0).normal(size=12).reshape(4, 3)
    expected = weights * (rows(4, 3) - rows(4, 4, 3).mean(axis=0))
    sign = 1 if facts.decision.action == "buy" else -1
    heat = facts.heat_map
    for name, values in zip(heat.channels, heat.values, strict=True):
        assert values == pytest.approx(tuple(sign * expected[:, int(name[1:])]), abs=1e-9)
    assert heat.steps == ((-3, -3), (-2, -2), (-1, -1), (0, 0))
    assert heat.rest is None


def test_gradients_tell_the_cells_of_a_window_apart():
    weights = rows(30, 20, seed=9)

    class Slope:
        """A function that offers its gradient, as a backend may."""

        def __call__(self, batch):
            score = np.tensordot(batch, weights, 2)
            return np.stack([score, -score], axis=1)

        def gradient(self, batch, output):
            return np.broadcast_to(weights if output == 0 else -weights, batch.shape)

    background, x = rows(3, 30, 20, seed=10), rows(30, 20, seed=11)
    generator = ReportGenerator(Slope(), background_data=background, actions=("up", "down"), budget=200)
    facts = generator.generate_report(x, "up", include_counterfactuals=False).facts
    assert facts.heat_map.method == "mask-gradient"
    assert (facts.heat_map.steps[0], len(facts.heat_map.steps)) == ((-29, -29), 30)
    expected = (weights * (x - background.mean(axis=0))).T
    for name, values in zip(facts.heat_map.channels, facts.heat_map.values, strict=True):
        assert values == pytest.approx(tuple(expected[int(name[1:])]), abs=0.2)


def test_equal_inputs_give_equal_bytes(report, window):
    names = [*HOSTILE, "plain"]
    generator = ReportGenerator(linear(10), background_data=rows(20, 10), feature_names=names)
    again = generator.generate_report(rows(10, seed=3), cautions=["mind <b>this</b>"])
    assert again.html() == report.html()
    assert again.json() == report.json()
    assert again.pdf() == report.pdf()
    assert again.pdf(standard="a-2b") == report.pdf(standard="a-2b")
    assert window.pdf() == window.pdf()


def test_the_json_holds_everything_and_leaves_out_what_is_not_known(report):
    found = json.loads(report.json())
    assert (found["format"], found["version"]) == ("axon-decision-report", 1)
    assert found["observation"]["values"] == [float(value) for value in rows(10, seed=3)]
    assert len(found["attribution"]["players"]) == 10
    assert found["attribution"]["background_rows"] == 20
    assert len(found["attribution"]["background_sha256"]) == 64
    for absent in ("orders", "journal", "risk", "replay", "ensemble"):
        assert absent not in found
    assert "confidence" not in found["decision"]
    assert "at" not in found["decision"]
    assert any("no record of a journal was given" in text for text in found["unknown"])
    assert any("no model file" in text for text in found["unknown"])


@pytest.mark.parametrize("form", ["html", "pdf", "json"])
def test_a_file_is_written_whole_into_folders_that_are_made(report, tmp_path, form):
    path = tmp_path / "new" / "folder" / f"report.{form}"
    assert getattr(report, f"export_{form}")(path) == path
    written = path.read_bytes()
    expected = getattr(report, form)()
    assert written == (expected.encode() if isinstance(expected, str) else expected)
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(report, tmp_path, monkeypatch):
    path = tmp_path / "report.json"
    path.write_text("old")

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match="No space left"):
        report.export_json(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_importing_it_imports_no_typst_shap_or_matplotlib():
    code = (
        "import sys, axon_explain.reports; "
        "assert not {'typst', 'shap', 'numba', 'matplotlib', 'torch', 'onnxruntime'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_browser_shows_it_without_an_error_or_a_request(report, window, tmp_path, visit):
    for name, each in (("hostile", report), ("window", window)):
        page = each.export_html(tmp_path / f"{name}.html")
        dom, console, asked = visit(page)
        assert console == []
        assert asked == set()
        assert dom.count("<script") == 0
        assert "How the score comes about" in dom
        assert ("Contributions by channel and time" in dom) == (name == "window")
