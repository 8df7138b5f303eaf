"""docs/replay.md works as written."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from axon_quant.cli import main
from axon_quant.config import parse_config
from axon_quant.market.generated import GeneratedMarket

sys.path.insert(0, str(Path(__file__).parents[1] / "flow"))
from test_command_line import INSTRUMENT, line_of


@pytest.fixture(scope="module")
def page(root) -> str:
    return (root / "docs" / "replay.md").read_text()


@pytest.fixture
def folder(root, tmp_path, monkeypatch):
    """A configuration like the shipped example, and a market."""
    monkeypatch.chdir(tmp_path)
    text = (root / "examples" / "btcusdt.toml").read_text()
    Path("run.toml").write_text(text.replace('path = "journal/btcusdt.db"', 'path = "journal/run.db"'))
    market = GeneratedMarket(INSTRUMENT, seconds=12, price=60_000.0)
    Path("market.jsonl").write_text("".join(f"{event.received} {line_of(event)}\n" for event in market))
    return tmp_path


def test_the_commands_and_then_the_code_run_as_written(page, folder):
    commands = re.findall(r"^    axon (.*)$", page, re.MULTILINE)
    assert len(commands) == 4
    for line in commands:
        done = CliRunner().invoke(main, shlex.split(line))
        assert done.exit_code == 0, done.output
        if line.startswith("replay 1:20"):
            shown = done.output
    assert json.loads(done.output)["agreed"] is True
    printed = re.search(r"^```text\n(decision .*?)^```", page, re.DOTALL | re.MULTILINE)[1]
    for line in printed.splitlines():
        assert re.split(r"[\d…]", line)[0] in shown
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    exec(compile(code, "docs/replay.md", "exec"), {})


def test_the_section_of_the_configuration_is_one(page, root):
    (section,) = re.findall(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    text = (root / "examples" / "btcusdt.toml").read_text()
    assert '[journal]\npath = "journal/btcusdt.db"\n' in text
    config = parse_config(text.replace('[journal]\npath = "journal/btcusdt.db"\n', section), root / "run.toml")
    assert config.journal.keep_models is False
