"""examples/09_exchange trades at a venue of its own, whatever goes wrong there."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest


def test_what_is_lost_is_found_and_nothing_is_sent_twice(root, tmp_path):
    pytest.importorskip("axon_exchange_binance")
    script = root / "examples" / "09_exchange" / "binance_demo.py"
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "found by its client order id" in done.stdout
    assert "proven not to exist" in done.stdout
    assert "stream is down" in done.stdout
    orders, fills, counted = map(int, re.findall(r"(\d+) orders, (\d+) fills; we counted (\d+)", done.stdout)[0])
    assert (orders, fills) == (3, counted)
    assert list(tmp_path.iterdir()) == []
