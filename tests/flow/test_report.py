"""`axon report`: a decision of an ordinary run, explained by the models that made it, and nothing made up."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3

import attrs
import numpy as np
import pytest
from click.testing import CliRunner
from pypdf import PdfReader

from axon_explain import ReportGenerator
from axon_quant.cli import main
from axon_quant.config import load_config
from axon_quant.events import Decision, FeatureRow, OrderPlaced
from axon_quant.inference import ModelStore
from axon_quant.journal import read
from axon_quant.market.generated import GeneratedMarket
from axon_quant.runtime.decisions import earlier_windows, find_decision, open_versions, replay_decision
from axon_quant.runtime.keeping import archive_folder
from axon_quant.runtime.replay import Replay
from axon_quant.runtime.wiring import build_instruments

QUICK = ("--budget", "520", "--background-windows", "2")


@pytest.fixture(scope="module")
def journal(root, tmp_path_factory):
    """Of half a minute of the shipped example, its models kept beside it."""
    folder = tmp_path_factory.mktemp("run")
    config = load_config(root / "examples" / "btcusdt.toml")
    config = attrs.evolve(config, journal=attrs.evolve(config.journal, path=folder / "run.db"))
    Replay(config, market=GeneratedMarket(build_instruments(config)[0], seconds=30.0, price=60_000.0)).run()
    return folder / "run.db"


@pytest.fixture(scope="module")
def placed(journal):
    """The last decision that led to an order, by its number."""
    return [event.decision for _, event in read(journal) if isinstance(event, OrderPlaced)][-1]


@pytest.fixture(scope="module")
def written(journal, placed, tmp_path_factory):
    """The three files of that decision, as the command writes them."""
    folder = tmp_path_factory.mktemp("reports")
    targets = [folder / f"report.{form}" for form in ("html", "pdf", "json")]
    options = [option for target in targets for option in ("--out", str(target))]
    done = axon_report(placed, "--journal", journal, *QUICK, *options)
    assert done.exit_code == 0, done.output
    assert [line for line in done.stdout.splitlines() if line] == [str(target) for target in targets]
    return [target.read_bytes() for target in targets]


def axon_report(*arguments):
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


def test_the_report_is_about_what_the_journal_holds(journal, placed, written):
    found = json.loads(written[2])
    record = find_decision(journal, str(placed))
    decision = found["decision"]
    assert (decision["id"], decision["number"], decision["at"]) == (f"1:{placed}", placed, record.event.at)
    assert (decision["action"], decision["confidence"]) == (record.event.action, record.event.confidence)
    assert [score["score"] for score in decision["scores"]] == list(record.event.scores)
    assert found["observation"]["values"] == record.observation.ravel().tolist()
    assert found["observation"]["sha256"] == record.event.observation_sha256
    assert found["journal"]["record_hash"] == record.record_hash
    assert [vote["weight"] for vote in found["ensemble"]["votes"]] == list(record.weights.values())
    assert found["orders"][0]["client_order_id"] == record.orders[0].order.client_order_id
    assert found["risk"]["state"] == "active"
    assert found["replay"]["verdict"] == "agreed"
    assert {model["sha256"] for model in found["models"]} == {model.sha256 for model in record.models}
    assert all(model["explained"] and model["plan"] and model["backend"] == "onnx" for model in found["models"])
    assert any("approval" in text for text in found["unknown"])


def test_what_is_explained_is_the_vote_that_decided(journal, placed, written):
    found = json.loads(written[2])["attribution"]
    record = find_decision(journal, str(placed))
    score = max(record.event.scores)
    assert found["score"] == pytest.approx(score, rel=1e-5)
    assert found["base_value"] + sum(player["importance"] for player in found["players"]) == pytest.approx(score, 1e-5)
    assert found["background_source"] == "earlier windows of the run"
    assert len(found["players"]) == 128
    assert "spread" in {player["name"] for player in found["players"]}


def test_the_page_and_the_print_say_the_same(written, tmp_path, visit):
    found = json.loads(written[2])
    pages = PdfReader(io.BytesIO(written[1])).pages
    text = " ".join(" ".join(page.extract_text() for page in pages).split())
    page = written[0].decode()
    assert 1 <= len(pages) <= 3
    assert len(written[0]) < 500_000
    for part in ("The replay agrees", "Which channel, and when", "Who voted for what", "What came of it"):
        assert part in text
        assert part in page
    for model in found["models"]:
        assert model["sha256"] in text
        assert model["sha256"] in page
    (tmp_path / "page.html").write_bytes(written[0])
    dom, console, asked = visit(tmp_path / "page.html")
    assert (console, asked) == ([], set())
    assert dom.count("<svg class") + dom.count("<svg viewBox") >= 4


def test_the_same_decision_makes_the_same_bytes(journal, placed, written, tmp_path):
    again = axon_report(placed, "--journal", journal, *QUICK, "--out", tmp_path / "a" / "again.pdf")
    assert again.exit_code == 0, again.output
    assert (tmp_path / "a" / "again.pdf").read_bytes() == written[1]


def test_a_model_that_no_store_holds_is_said_to_be_missing(journal, placed, tmp_path):
    (tmp_path / "empty").mkdir()
    options = ("--store", tmp_path / "empty", "--out", tmp_path / "r.json")
    done = axon_report(placed, "--journal", journal, *options)
    assert done.exit_code == 0, done.output
    assert "is in no model store" in done.stderr
    found = json.loads((tmp_path / "r.json").read_bytes())
    assert "attribution" not in found
    assert "counterfactuals" not in found
    assert found["replay"]["verdict"] == "not-replayed"
    assert not any(model.get("explained") for model in found["models"])
    assert any(text.startswith("backend, device and plan of ") for text in found["unknown"])
    assert found["orders"]


def test_the_sample_of_a_store_comes_before_the_windows_of_the_run(journal, placed, tmp_path):
    shutil.copytree(journal.parent, tmp_path / "copy")
    copy = tmp_path / "copy" / journal.name
    record = find_decision(copy, str(placed))
    store = ModelStore(archive_folder(copy))
    sample = np.random.default_rng(0).normal(size=(3, 64, 128)).astype(np.float32)
    store.get(record.models[0].sha256).write_background(sample)
    generator = ReportGenerator.for_decision(copy, record, open_versions(copy, record.run), budget=600)
    found = generator.generate_report(record=record, include_counterfactuals=False).facts.attribution
    assert (found.background_source, found.background_rows) == ("the model store's sample", 3)


def test_a_model_that_did_not_decide_is_said_to_be_another(journal, placed):
    record = find_decision(journal, str(placed))
    backend = open_versions(journal, record.run).load(record.models[0]).backend
    report = ReportGenerator(backend, background_data=record.observation[None])
    facts = report.generate_report(record=record, include_shap=False, include_feature_importance=False).facts
    assert any(text.startswith("What was asked for this report is not what decided") for text in facts.cautions)
    assert facts.decision.action == record.event.action
    assert [model.explained for model in facts.models].count(True) == 1


def test_a_replay_that_differs_is_told(journal, placed):
    record = find_decision(journal, str(placed))
    changed = attrs.evolve(record, observation=record.observation + 1)
    result = replay_decision(changed, open_versions(journal, record.run))
    facts = ReportGenerator(None).generate_report(record=record, replay=result).facts
    assert facts.replay.verdict == "differs"
    assert len(facts.replay.differences) > 2
    assert any(sentence.startswith("Computed again, it did not come out the same") for sentence in facts.story)
    assert "The replay does not agree" in ReportGenerator(None).generate_report(record=record, replay=result).html()


def test_earlier_windows_are_whole_and_end_before_the_observation(journal, placed):
    record = find_decision(journal, str(placed))
    rows = {event.row: np.frombuffer(event.data, "<f4") for _, event in read(journal) if isinstance(event, FeatureRow)}
    first = record.event.first_row
    windows = earlier_windows(journal, record, 2)
    assert windows.shape == (2, 64, 128)
    for number, window in enumerate(windows[::-1]):
        end = first - 64 * number
        assert np.array_equal(window, np.stack([rows[row] for row in range(end - 64, end)]))
    assert len(earlier_windows(journal, record, 0)) == 0
    opening = next(event for _, event in read(journal) if isinstance(event, Decision))
    assert len(earlier_windows(journal, find_decision(journal, f"1:{opening.number}"), 5)) == 0


def test_the_first_decision_of_a_run_has_zeros_for_a_background_and_says_so(journal, tmp_path):
    opening = next(event for _, event in read(journal) if isinstance(event, Decision))
    done = axon_report(opening.number, "--journal", journal, *QUICK, "--out", tmp_path / "r.json")
    assert done.exit_code == 0, done.output
    assert "note: No background data was given" in done.stderr
    assert "zeros" in json.loads((tmp_path / "r.json").read_bytes())["attribution"]["background_source"]


def test_another_action_can_be_asked_about(journal, placed, tmp_path):
    record = find_decision(journal, str(placed))
    other = next(name for name in ("buy", "sell", "hold") if name != record.event.action)
    options = ("--action", other, "--no-counterfactuals", *QUICK, "--out", tmp_path / "r.json")
    assert axon_report(placed, "--journal", journal, *options).exit_code == 0
    found = json.loads((tmp_path / "r.json").read_bytes())
    assert (found["attribution"]["action"], found["decision"]["action"]) == (other, record.event.action)
    assert f"This report is about {other}" in found["story"][0]
    unknown = axon_report(placed, "--journal", journal, "--action", "short", "--out", tmp_path / "no.json")
    assert (unknown.exit_code, (tmp_path / "no.json").exists()) == (1, False)
    assert "has no action 'short'" in unknown.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("last",), 2, "which journal?"),
        (("last", "--journal", "JOURNAL", "-c", "x.toml"), 2, "which journal?"),
        (("9999999", "--journal", "JOURNAL"), 2, "has no decision 9999999"),
        (("last", "--journal", "JOURNAL", "--out", "report.docx"), 2, ".html, .pdf, .json"),
        (("last", "--journal", "JOURNAL", "--pdf-standard", "a-2b"), 2, "--out FILE.pdf"),
        (
            ("last", "--journal", "JOURNAL", "--no-shap", "--out", "/dev/null/x.json"),
            1,
            "/dev/null/x.json: cannot be written",
        ),
    ],
)
def test_what_cannot_be_done_is_said(journal, arguments, code, said):
    done = axon_report(*[str(journal) if argument == "JOURNAL" else argument for argument in arguments])
    assert (done.exit_code, said in done.stderr) == (code, True), done.output


def test_a_standard_that_is_not_known_is_an_error(journal, tmp_path):
    done = axon_report(
        *("last", "--journal", journal, "--no-shap", "--no-counterfactuals"),
        *("--pdf-standard", "pdf/a", "--out", tmp_path / "r.pdf"),
    )
    assert (done.exit_code, "no PDF standard 'pdf/a'" in done.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_a_record_that_was_changed_is_not_reported(journal, placed, tmp_path):
    copy = tmp_path / "changed.db"
    shutil.copy(journal, copy)
    with sqlite3.connect(copy) as connection:
        sql = (
            "UPDATE records SET body = replace(body, '\"confidence\":0.', '\"confidence\":1.') WHERE kind = 'decision'"
        )
        connection.execute(sql)
    done = axon_report(placed, "--journal", copy, "--out", tmp_path / "r.html")
    assert (done.exit_code, "is not what was recorded" in done.stderr) == (1, True)
    assert not (tmp_path / "r.html").exists()
