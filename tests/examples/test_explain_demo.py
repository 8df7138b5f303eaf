"""examples/15_explain explains a decision of a run, and writes its report."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest


def demo(root, folder, *arguments):
    script = root / "examples" / "15_explain" / "explain_demo.py"
    command = [sys.executable, script, "--out", folder / "report", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_a_decision_is_explained_and_reported(root, tmp_path):
    done = demo(root, tmp_path, "--seconds", "60")
    assert done.returncode == 0, done.stdout + done.stderr
    decided = re.search(r"^Decision 1:\d+: (buy|sell) BTCUSDT", done.stdout)
    assert decided
    assert len(re.findall(r"^  [a-z]\w+: -?\d\.\d{4}$", done.stdout, re.MULTILINE)) == 10
    flips = re.findall(r"^To (\w+): change (\w+) by -?\d+\.\d{4}$", done.stdout, re.MULTILINE)
    assert flips
    assert all(action != decided[1] for action, _ in flips)
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [
        "decision_report.html",
        "decision_report.json",
        "decision_report.pdf",
    ]
    page = (tmp_path / "report" / "decision_report.html").read_text()
    assert flips[0][1] in page
    assert (tmp_path / "report" / "decision_report.pdf").read_bytes().startswith(b"%PDF-")


@pytest.mark.parametrize("arguments", [["--seconds", "1"], ["--seconds", "nan"]])
def test_a_market_too_short_for_a_background_is_refused(root, tmp_path, arguments):
    done = demo(root, tmp_path, *arguments)
    assert done.returncode == 2
    assert "--seconds must be at least 60" in done.stderr
