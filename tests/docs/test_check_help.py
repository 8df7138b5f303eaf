"""The examples in the help of `axon load-test` and `axon preflight`, on the shipped configuration."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from axon_quant.cli import main


def examples(command: str) -> list[list[str]]:
    """The arguments of each example, and of none that the help has broken into two lines."""
    text = CliRunner().invoke(main, [command, "--help"]).stdout
    return [shlex.split(line)[1:] for line in text.splitlines() if line.strip().startswith(f"axon {command} -c")]


@pytest.mark.parametrize("command", ["load-test", "preflight"])
def test_help_fits_a_terminal_and_names_what_an_option_takes(command):
    text = CliRunner().invoke(main, [command, "--help"], terminal_width=80).stdout
    assert max(map(len, text.splitlines())) <= 80
    assert "RANGE" not in text
    assert len(examples(command)) == 2


def test_the_examples_run(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("run.toml").write_bytes((root / "examples" / "production" / "production.toml").read_bytes())
    monkeypatch.setenv("BINANCE_API_KEY", "YOUR_API_KEY")
    monkeypatch.setenv("BINANCE_API_SECRET", "YOUR_API_SECRET")
    monkeypatch.setenv("AXON_BINANCE_REST_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AXON_BINANCE_WS_URL", "ws://127.0.0.1:9")
    make = [sys.executable, str(root / "examples" / "market.py"), "market.jsonl.gz", "--seconds", "60"]
    subprocess.run(make, check=True, capture_output=True)
    for arguments in [*examples("load-test"), *examples("preflight")]:
        if "--rate" in arguments:
            arguments[arguments.index("--duration") + 1] = "1"  # 30 seconds are for a reader
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code in (0, 1), done.output  # 2 would be a usage error; a verdict is the machine's affair
        assert "error" not in done.stderr
        if "--speed" in arguments:
            assert "4,4" in done.stdout.splitlines()[0], done.stdout  # the whole recording, 20 times as fast
            assert "note: the market lasts" not in done.stdout
