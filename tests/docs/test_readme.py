"""What the README shows is what is there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path


def test_the_strategy_is_the_one_in_the_examples(root: Path):
    shown = re.search(r"```python\n(.*?)```", (root / "README.md").read_text(), re.DOTALL)
    assert shown[1] == (root / "examples" / "strategies" / "imbalance.py").read_text()


def test_every_file_that_is_named_is_there(root: Path):
    text = (root / "README.md").read_text()
    named = set(re.findall(r"\]\(([^)#]+)\)", text)) | set(re.findall(r'(?:src|srcset)="([^"]+)"', text))
    named |= set(re.findall(r"\bexamples/[\w/.]+\.(?:py|toml)", text))
    assert len(named) >= 7
    assert [name for name in named if not (root / name).exists()] == []


def test_the_test_command_is_what_continuous_integration_runs(root: Path):
    script = (root / ".ci" / "run").read_text()
    pattern = re.search(r"grep -m 1 -o '([^']+)'", script)[1].replace("\\.", ".")
    lines = [line.strip() for line in (root / "README.md").read_text().splitlines()]
    (command,) = [line for line in lines if line.startswith("python3 -m venv") and line.endswith(".venv/bin/nox")]
    assert shlex.split(pattern)[0] == "python3"
    assert command == "python3 -m venv .venv && .venv/bin/pip install -q nox && .venv/bin/nox"
