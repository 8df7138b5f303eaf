"""docs/reports.md works as written."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from pypdf import PdfReader

from axon_quant.cli import main
from axon_quant.market.generated import GeneratedMarket

sys.path.insert(0, str(Path(__file__).parents[1] / "flow"))
from test_command_line import INSTRUMENT, line_of


@pytest.fixture(scope="module")
def page(root) -> str:
    return (root / "docs" / "reports.md").read_text()


def test_the_commands_and_then_the_code_run_as_written(page, root, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = (root / "examples" / "btcusdt.toml").read_text()
    Path("run.toml").write_text(text.replace('path = "journal/btcusdt.db"', 'path = "journal/run.db"'))
    market = GeneratedMarket(INSTRUMENT, seconds=25, price=60_000.0)
    Path("market.jsonl").write_text("".join(f"{event.received} {line_of(event)}\n" for event in market))
    commands = re.findall(r"^    axon (.*)$", page, re.MULTILINE)
    assert len(commands) == 4
    for line in commands:
        quick = " --budget 600 --background-windows 1" if line.startswith("report") else ""
        done = CliRunner().invoke(main, shlex.split(line + quick))
        assert done.exit_code == 0, done.output
    found = json.loads(Path("reports/20.json").read_bytes())
    assert (found["format"], found["replay"]["verdict"]) == ("axon-decision-report", "agreed")
    assert Path("decision.html").stat().st_size < 500_000
    assert b"pdfaid:part>2<" in Path("reports/20-archive.pdf").read_bytes()

    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    for block in blocks:
        exec(compile(block, "docs/reports.md", "exec"), {})
    assert "decided buy" in capsys.readouterr().out
    for name in ("decision", "last"):
        assert 1 <= len(PdfReader(f"reports/{name}.pdf").pages) <= 3
    assert Path("reports/decision.html").exists()
    assert b"pdfaid:part>2<" in Path("reports/last.pdf").read_bytes()
