"""The build's stamp: what it says is told, and what cannot be read of it is unknown, whoever wrote it."""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner

from axon_quant.cli import main
from axon_quant.preflight import CHECKS, Facts, Row, check_all
from axon_quant.preflight.rows import Status

SUITES = ("tests", "staging", "integration")
CHECKED = [check for check in CHECKS if check.name in SUITES]


def rows(folder: Path, stamp: Path | None = None) -> dict[str, Row]:
    return {row.check: row for row in check_all(Facts(folder / "run.toml", stamp=stamp), CHECKED)}


def stamped(folder: Path, **said: object) -> dict[str, Row]:
    stamp = {"version": version("axon-core"), "commit": "0123abc", **dict.fromkeys(SUITES, "passed"), **said}
    (folder / "build-stamp.json").write_text(json.dumps(stamp))
    return rows(folder)


def test_suites_that_a_stamp_of_this_version_calls_passed_pass_with_the_commit(tmp_path):
    for name, row in stamped(tmp_path).items():
        assert row.status is Status.Pass
        assert name in row.evidence
        assert "0123abc" in row.evidence


def test_a_stamp_may_lie_elsewhere(tmp_path):
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text(json.dumps({"version": version("axon-core"), "tests": "passed"}))
    found = rows(tmp_path, elsewhere)
    assert found["tests"].status is Status.Pass
    assert found["staging"].status is Status.Unknown
    assert "says nothing of 'staging'" in found["staging"].evidence


def test_a_suite_that_failed_fails_alone(tmp_path):
    found = stamped(tmp_path, staging="failed")
    assert {name: row.status.value for name, row in found.items()} == {
        "tests": "pass",
        "staging": "fail",
        "integration": "pass",
    }
    assert found["staging"].fix


def test_a_stamp_of_another_version_is_unknown_and_names_both(tmp_path):
    for row in stamped(tmp_path, version="0.0.7").values():
        assert row.status is Status.Unknown
        assert "0.0.7" in row.evidence
        assert version("axon-core") in row.evidence


def test_a_stamp_that_names_no_version_is_unknown(tmp_path):
    (tmp_path / "build-stamp.json").write_text('{"tests": "passed"}')
    assert rows(tmp_path)["tests"].status is Status.Unknown


def test_without_a_stamp_each_suite_is_unknown_and_the_fix_names_the_page(tmp_path, root):
    for row in rows(tmp_path).values():
        assert row.status is Status.Unknown
        assert f"there is no {tmp_path / 'build-stamp.json'}" in row.evidence
        assert "docs/deployment.md" in row.fix
    page = (root / "docs" / "deployment.md").read_text()
    assert all(f'"{name}": "passed"' in page for name in SUITES)


@pytest.mark.parametrize(
    "value", ["skipped", "", None, True, 1, ["passed"], {"passed": "passed"}, "passed\x00", "PASSED"]
)
def test_only_passed_passes_and_only_failed_fails(tmp_path, value):
    row = stamped(tmp_path, tests=value)["tests"]
    assert row.status is Status.Unknown
    assert "neither" in row.evidence


HOSTILE = {
    "empty": b"",
    "no JSON": b"tests: passed\n",
    "cut off": b'{"version": "0.1.0", "tests": "pas',
    "a list": b'["passed"]',
    "a string": b'"tests"',
    "a number": b"7",
    "null": b"null",
    "no text": b"\xff\xfe\x00\xd8\xff",
    "too deep": b'{"tests": ' + b"[" * 20_000,
    "too many digits": b'{"tests": ' + b"9" * 20_000 + b"}",
    "too long": b'{"tests": "passed", "note": "' + b"x" * (1 << 20) + b'"}',
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_stamp_that_cannot_be_read_is_unknown_with_the_reason(tmp_path, content, caplog):
    (tmp_path / "build-stamp.json").write_bytes(content)
    for row in rows(tmp_path).values():
        assert row.status is Status.Unknown, row
        assert row.evidence.startswith(str(tmp_path / "build-stamp.json"))
        assert len(row.evidence) < 400
    assert not caplog.records  # where a broken check leaves its traceback


def test_what_is_no_file_is_unknown_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "build-stamp.json")
    assert rows(tmp_path)["tests"].status is Status.Unknown
    for stamp in (tmp_path, Path("/dev/zero"), tmp_path / "run.toml" / "below"):
        assert rows(tmp_path, stamp)["tests"].status is Status.Unknown


@pytest.mark.parametrize(
    "commit", ["\ud800", "0123\n  pass     staging  forged", "\x1b[2J\x1b[H", "\u202e", "x" * 5_000]
)
def test_what_a_stamp_says_forges_no_row_and_breaks_no_terminal(root, tmp_path, commit):
    config = tmp_path / "run.toml"
    config.write_bytes((root / "examples" / "btcusdt.toml").read_bytes())
    stamped(tmp_path, commit=commit, staging="failed")
    done = CliRunner().invoke(main, ["preflight", "-c", str(config)])
    assert not done.exception or isinstance(done.exception, SystemExit), done.exception
    assert "\n  pass     staging" not in done.stdout
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) < 1_000
    told = json.loads(CliRunner().invoke(main, ["preflight", "-c", str(config), "--json"]).stdout)
    assert {row["check"]: row["status"] for row in told["rows"]}["staging"] == "fail"
