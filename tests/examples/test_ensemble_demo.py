"""examples/14_ensemble tells what befell its members, and draws it."""

from __future__ import annotations

import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest


def demo(root, folder, *arguments):
    script = root / "examples" / "14_ensemble" / "ensemble_demo.py"
    command = [sys.executable, script, "--out", folder / "weights.html", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_a_member_fails_and_comes_back_and_the_weights_are_drawn(root, tmp_path):
    done = demo(root, tmp_path, "--seconds", "100")
    assert done.returncode == 0, done.stdout + done.stderr
    incidents = re.findall(r"^ +[\d:.]+  trend (.*)$", done.stdout, re.MULTILINE)
    assert incidents[0] == "failed 3 times (TimeoutError: no answer from the feed) and is out"
    assert incidents[-1] == "has passed its trial and is back"
    shares = [re.findall(r"(\w+) (\d+) %", line) for line in re.findall(r"^  (?:at|in) .*", done.stdout, re.MULTILINE)]
    assert [[name for name, _ in row] for row in shares] == [["flow", "reversion", "trend"]] * 3
    assert all(98 <= sum(int(share) for _, share in row) <= 102 for row in shares)
    assert shares[0] != shares[-1]
    page = (tmp_path / "weights.html").read_text()
    (svg,) = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    lines = [element for element in ElementTree.fromstring(svg).iter("path") if "line" in element.get("class")]
    assert len(lines) == 3
    assert not re.search(r"<script|https?://|src=", page)
    assert [path.name for path in tmp_path.iterdir()] == ["weights.html"]


@pytest.mark.parametrize("arguments", [["--seconds", "1"], ["--seconds", "nan"]])
def test_a_market_too_short_to_come_back_in_is_refused(root, tmp_path, arguments):
    done = demo(root, tmp_path, *arguments)
    assert done.returncode == 2
    assert "--seconds must be at least 100" in done.stderr
