"""`axon plugins`."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from axon_quant.cli.plugins import command
from axon_quant.plugins import Registry
from axon_quant.plugins.discovery import Failure, Selection, Source, sources

BROKEN = Failure(Source("acme", "acme-dist", "1.2", lambda: None, "acme"), "broken", "it [fell] over", "acme")


@pytest.mark.parametrize(("strict", "code"), [(False, 0), (True, 1)])
def test_strict_mode_makes_the_exit_code_tell(monkeypatch, strict, code):
    registry = Registry(Selection(strict=strict), found=(BROKEN,))
    monkeypatch.setattr("axon_quant.plugins.installed", lambda: registry, raising=False)
    result = CliRunner().invoke(command, ["--json"])
    assert result.exit_code == code
    assert json.loads(result.output)[0]["reason"] == "it [fell] over"


def test_the_table_shows_the_reason(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("axon_quant.plugins.installed", lambda: Registry(Selection(), found=(BROKEN,)), raising=False)
    result = CliRunner().invoke(command, [])
    assert result.exit_code == 0
    assert "it [fell] over" in result.output


def test_no_name_and_no_reason_is_cut_at_the_width_of_an_ordinary_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    found = [*sources(), BROKEN]
    monkeypatch.setattr("axon_quant.plugins.installed", lambda: Registry(Selection(), found=found), raising=False)
    done = CliRunner().invoke(command, [])
    assert "inverse-variance" in done.stdout
    assert "it [fell] over" in done.stdout
    assert "…" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "--json" in done.stderr
    monkeypatch.setenv("COLUMNS", "120")
    assert "immediate-or-cancel" in CliRunner().invoke(command, []).stdout
