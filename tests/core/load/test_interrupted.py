"""Ctrl-C in a load test: a report of what there is."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from axon_quant.config import load_config
from axon_quant.load import report_path


@pytest.fixture
def config(root, tmp_path) -> Path:
    file = tmp_path / "run.toml"
    file.write_bytes((root / "examples" / "btcusdt.toml").read_bytes())
    return file


def interrupted(config: Path, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and what a terminal showed, of a test that is interrupted once its bar shows messages."""
    ours, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "axon_quant.cli", "load-test", "-c", str(config), *arguments],
        stdout=subprocess.PIPE,
        stderr=terminal,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    os.close(terminal)
    shown = b""
    while b" messages" not in shown:
        shown += os.read(ours, 4_096)
    process.send_signal(signal.SIGINT)
    stdout, _ = process.communicate(timeout=30)
    os.close(ours)
    return process.returncode, stdout, shown.decode()


def test_ctrl_c_prints_a_report_of_what_there_is_and_exits_with_130(config):
    code, stdout, shown = interrupted(config, "--rate", "200", "--duration", "600")
    assert code == 130
    assert "of 120,000 messages" in shown
    first, *_, last = stdout.splitlines()
    assert first.startswith("interrupted: ")
    assert last.startswith("INSUFFICIENT DATA: a p99 needs 299 decisions, there were ")


def test_an_interrupted_test_is_whole_in_json_and_not_what_preflight_goes_by(config):
    code, stdout, _ = interrupted(config, "--rate", "200", "--duration", "600", "--json")
    told = json.loads(stdout)
    assert (code, told["outcome"], told["verdict"]) == (130, "interrupted", "insufficient data")
    assert 0 < told["messages"] == told["message_latency_us"]["samples"] < 120_000
    assert 0 < told["seconds"] < 60
    assert not report_path(load_config(config)).exists()
    journal = load_config(config).journal.path.parent
    assert not journal.exists() or not list(journal.glob("load-test-*"))
