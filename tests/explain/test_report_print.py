"""The print: one to three pages, its text can be taken out again, and nothing in it is markup."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pypdf import PdfReader

from axon_explain import ReportGenerator
from axon_explain.decision_report import facts, story
from axon_explain.decision_report.print import _SHOWN, STANDARDS, printable, render
from axon_explain.reports import Report
from axon_quant.errors import ExplainError

AT = 1_700_000_000_123_456_789


def made(name="momentum", *, at=AT, players=3, times=1, **more):
    """A report with everything in it, `name` wherever a name can stand; a larger `times` makes its lists longer."""

    def few(most):
        return max(1, most * times // 10)

    count = players
    score = sum(0.5**index for index in range(count))
    scores = (facts.Score(name, 1.5), facts.Score("hold", 0.2))
    decision = facts.Choice(
        action=name, explained=name, scores=scores, confidence=0.8, id="1:7", symbol=name, at=at, time="then"
    )
    fill = facts.Fill(time="then", quantity="1", price="2", fee=f"0.1 {name}", liquidity="taker", fill_id=name)
    order = facts.Order(
        client_order_id=name,
        text=f"buy 1 {name}",
        status="filled",
        filled="1",
        reason=name,
        fills=(fill,) * few(20),
    )
    control = facts.Control(control=name, value="9", limit="8")
    refusal = facts.Refusal(order=f"sell 1 {name}", client_order_id=name, controls=(control,) * few(5))
    change = facts.Change(feature=name, original=1.0, counterfactual=2.0, delta=1.0)
    result = facts.Counterfactual(action=name, changed=30, changes=(change,) * few(30), distance=2.5)
    vote = facts.Vote(member=name, says=name, weight=0.1, scores=scores)
    channels, columns = tuple(f"{name}{index}" for index in range(15)), 64
    found = facts.Facts(
        headline=story.headline(decision),
        story=(),
        decision=decision,
        observation=facts.Observation(shape=(64, 128), dtype="float32", values=(), sha256="ab" * 32),
        models=(facts.Model(name=name, version=3, sha256="cd" * 32, plan={name: name}, backend="onnx", device="cpu"),)
        * few(20),
        ensemble=facts.Ensemble(
            votes=(vote,) * few(30),
            strategy=name,
            failures=(facts.Failure(member=name, reason=name, deactivated=False),) * few(9),
        ),
        attribution=facts.Attribution(
            action=name,
            score=score,
            base_value=0.0,
            players=tuple(facts.Player(f"{name}{index}", 0.5**index, 1.0) for index in range(count)),
            method="exact",
            grouping="features",
            budget=8,
            evaluations=8,
            seed=0,
            background_rows=1,
            background_sha256="ef" * 32,
            background_source=name,
            additivity_gap=0.0,
            error_estimate=None,
        ),
        heat_map=facts.HeatMap(
            channels=channels,
            steps=tuple((step - columns + 1,) * 2 for step in range(columns)),
            values=tuple(tuple(map(float, row)) for row in np.random.default_rng(0).normal(size=(15, columns))),
            rest=facts.Player("113 channels", 0.1),
            method="mask-gradient",
            error_estimate=0.01,
            evaluations=64,
        ),
        counterfactuals=facts.Counterfactuals(original=name, results=(result,) * few(9), evaluations=100),
        risk=facts.Risk(state="active", reason=name, passed=40, refusals=(refusal,) * few(20)),
        orders=(order,) * few(40),
        replay=facts.Replay(
            verdict="differs",
            compared="bits",
            reason=name,
            differences=(name,) * few(50),
            remarks=(name,) * few(5),
        ),
        journal=facts.Chain(
            run=1,
            sequence=2,
            record_hash="01" * 32,
            previous_hash="02" * 32,
            config_sha256="03" * 32,
            mode="live",
            seed=1,
            run_started="then",
        ),
        cautions=(name,) * few(20),
        unknown=(name,) * few(30),
    )
    found = facts.Facts(**{**{field: getattr(found, field) for field in found.__struct_fields__}, **more})
    return Report(
        facts.Facts(**{**{f: getattr(found, f) for f in found.__struct_fields__}, "story": story.story(found)})
    )


def text_of(pdf):
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)


def test_its_text_can_be_taken_out_again():
    text = text_of(made().pdf())
    for part in ("Momentum momentum, with 80.0 % confidence", "The replay does not agree", "What came of it"):
        assert part in text
    for digest in ("ab" * 32, "cd" * 32, "ef" * 32, "01" * 32):
        assert digest in text


@pytest.mark.parametrize("name", ["x", "w" * 900, "long words that can be broken " * 40])
@pytest.mark.parametrize("players", [1, 400])
def test_it_has_one_to_three_pages_whatever_there_is_to_say(name, players):
    assert 1 <= len(PdfReader(io.BytesIO(made(name, players=players, times=10).pdf())).pages) <= 3


def test_a_small_report_is_one_page():
    def model(batch):
        return np.stack([batch[:, 0], batch[:, 1]], axis=1)

    background = np.random.default_rng(0).normal(size=(5, 2))
    report = ReportGenerator(model, background_data=background).generate_report(np.array([1.0, 2.0]))
    assert len(PdfReader(io.BytesIO(report.pdf())).pages) == 1


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", '#include "x"', "$x$", "*bold*", "_it_", "= head", "שלום", "@ref", "\\u{41}"]
)
def test_hostile_names_are_text(name):
    assert text_of(made(name).pdf(standard="a-2b")).count(name) > 3


def test_what_no_font_has_is_spelled_out():
    text = text_of(made("中\u202eb\x00").pdf(standard="a-2a"))
    assert "\\u4e2d\\u202eb\\u0000" in text


@settings(max_examples=15)
@given(st.text(min_size=1, max_size=40))
@example('#panic("x")')
@example("\ud800")
def test_any_name_makes_a_print_that_keeps_to_the_archive_standard(name):
    assert render(made(name).facts, standard="a-2a").startswith(b"%PDF-")


def test_every_character_that_counts_as_shown_has_a_glyph():
    every = "".join(chr(code) for low, high in _SHOWN for code in range(low, high + 1))
    assert printable(every).count("\\u") <= 8, "only what normalises to something else"
    chunks = [every[start : start + 36] for start in range(0, len(every), 36)]
    for start in range(0, len(chunks), 8):
        render(made(unknown=tuple(chunks[start : start + 8])).facts, standard="a-2a")


@pytest.mark.parametrize("standard", ["a-2b", "a-3b", "a-4", "ua-1", "1.7"])
def test_standards_are_kept_to(standard):
    pdf = made().pdf(standard=standard)
    if standard.startswith("a-"):
        assert f"pdfaid:part>{standard[2]}<".encode() in pdf


def test_an_unknown_standard_is_an_error_that_names_the_known_ones():
    with pytest.raises(ExplainError, match="a-2b"):
        made().pdf(standard="pdf/a")
    assert "a-2b" in STANDARDS


def test_its_date_is_that_of_the_decision_or_none():
    dated = PdfReader(io.BytesIO(made().pdf())).metadata
    assert dated.creation_date == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert PdfReader(io.BytesIO(made(at=None).pdf())).metadata.creation_date is None
    demanded = PdfReader(io.BytesIO(made(at=None).pdf(standard="a-2b"))).metadata
    assert demanded.creation_date == datetime(1970, 1, 1, tzinfo=UTC)
