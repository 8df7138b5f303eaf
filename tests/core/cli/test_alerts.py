from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from axon_quant.cli import main

NAMES = {"trading.yml", "operations.yml", "runbook.md", "dashboard.json"}


def alerts(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["alerts", *map(str, arguments)])


def test_everything_that_prometheus_and_grafana_need_is_written(tmp_path: Path) -> None:
    result = alerts("--out", tmp_path / "new" / "folder")
    assert result.exit_code == 0, result.output
    folder = tmp_path / "new" / "folder"
    assert {path.name for path in folder.iterdir()} == NAMES
    assert set(result.stdout.split()) == {str(folder / name) for name in NAMES}
    assert json.loads((folder / "dashboard.json").read_text())["title"] == "axon"
    assert len(yaml.safe_load((folder / "trading.yml").read_text())["groups"][0]["rules"]) == 2


def test_the_job_and_the_runbooks_address_are_those_of_the_team(tmp_path: Path) -> None:
    url = "https://wiki.example.com/axon/runbook"
    assert alerts("--out", tmp_path, "--job", "desk-7", "--runbook", url).exit_code == 0
    groups = yaml.safe_load((tmp_path / "operations.yml").read_text())["groups"]
    rules = {rule["alert"]: rule for group in groups for rule in group["rules"]}
    assert rules["ProcessDown"]["expr"] == 'up{job="desk-7"} == 0'
    assert 'job="axon"' not in (tmp_path / "operations.yml").read_text()
    assert {rule["annotations"]["runbook_url"] for rule in rules.values()} == {
        f"{url}#{name.lower()}" for name in rules
    }


@pytest.mark.parametrize(
    "arguments", [("--job", 'a"b'), ("--job", ""), ("--runbook", 'x"y'), ("--runbook", "a#b"), ("--runbook", "a b")]
)
def test_what_would_break_the_rules_is_refused(tmp_path: Path, arguments: tuple[str, str]) -> None:
    result = alerts("--out", tmp_path, *arguments)
    assert result.exit_code == 2
    assert not list(tmp_path.iterdir())


def test_a_file_that_somebody_changed_is_kept_unless_told(tmp_path: Path) -> None:
    assert alerts("--out", tmp_path).exit_code == 0
    assert alerts("--out", tmp_path).exit_code == 0, "nothing was changed"
    mine = tmp_path / "operations.yml"
    mine.write_text("groups: []\n")
    (tmp_path / "dashboard.json").unlink()
    result = alerts("--out", tmp_path)
    assert result.exit_code == 1
    assert "operations.yml" in result.stderr
    assert "--force" in result.stderr
    assert mine.read_text() == "groups: []\n"
    assert not (tmp_path / "dashboard.json").exists(), "all or nothing"
    assert alerts("--out", tmp_path, "--force").exit_code == 0
    assert mine.read_text() != "groups: []\n"


def test_a_folder_that_cannot_be_made_is_an_error_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = alerts("--out", tmp_path / "file" / "folder")
    assert result.exit_code == 2
    assert "choose another --out" in result.stderr
