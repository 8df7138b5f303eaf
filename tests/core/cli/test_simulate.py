"""`axon simulate`: venues on loopback, in processes of their own."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest
from click.testing import CliRunner

from axon_quant.cli import main
from axon_quant.testing import simulated_process

COMMAND = [sys.executable, "-m", "axon_quant.cli", "simulate"]


def asked(url: str) -> dict:
    with urlopen(url, timeout=10) as answer:
        return json.load(answer)


@pytest.mark.parametrize(("venue", "path"), [("binance", "/api/v3/time"), ("okx", "/api/v5/public/time")])
def test_it_prints_its_roots_and_serves_until_it_is_told_to_end(venue: str, path: str):
    with subprocess.Popen([*COMMAND, venue], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        roots = json.loads(process.stdout.readline())
        assert roots["venue"] == venue
        assert roots["rest"].replace("http:", "") == roots["ws"].replace("ws:", "")
        assert asked(roots["rest"] + path)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=10) == ("", "")
        assert process.returncode == 0


def test_ctrl_c_ends_it_without_a_traceback():
    with subprocess.Popen([*COMMAND, "binance"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=10) == ("", "")
        assert process.returncode == 0


def test_its_options_reach_the_venue(tmp_path: Path, btcusdt_session: Path):
    plan = tmp_path / "plan.toml"
    plan.write_text('[[fault]]\nkind = "refuse"\nwhere = "request:ping"\nevery = 2\n')
    options = ("--faults", str(plan), "--drift-ms", "90000", "--recording", str(btcusdt_session), "--speed", "2")
    with simulated_process("binance", *options, "--seed", "4") as venue:
        now = asked(venue.rest + "/api/v3/time")["serverTime"] / 1000
        assert 85 < now - time.time() < 95
        assert float(asked(venue.rest + "/api/v3/ticker/price?symbol=BTCUSDT")["price"]) > 50_000
        asked(venue.rest + "/api/v3/ping")
        with pytest.raises(OSError, match="503"):
            asked(venue.rest + "/api/v3/ping")
        assert venue.truth()["faults"] == {"refuse": 1}


def test_a_killed_one_can_be_started_again_on_its_port():
    with subprocess.Popen([*COMMAND, "binance"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = json.loads(process.stdout.readline())["rest"].rpartition(":")[2]
        process.kill()
    with simulated_process("binance", "--port", port) as venue:
        assert venue.rest.endswith(f":{port}")
        assert venue.truth()["accounts"]["main"]["orders"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["nowhere"], 1, "nowhere"),
        (["paper"], 1, "has no simulator; with one there is: binance"),
        (["binance", "--symbol", "NOPE"], 1, "NOPE: the simulator has no such instrument (it knows BTCUSDT"),
        (["binance", "--recording", "none.jsonl"], 1, "none.jsonl"),
        (["binance", "--faults", "none.toml"], 2, "none.toml"),
        (["binance", "--drift-ms", "nan"], 2, "drift-ms"),
        (["binance", "--speed", "0"], 2, "speed"),
        (["binance", "--speed", "nan"], 2, "speed"),
        (["binance", "--port", "70000"], 2, "port"),
    ],
)
def test_a_mistake_is_one_message(arguments: list[str], code: int, says: str):
    result = CliRunner().invoke(main, ["simulate", *arguments])
    assert (result.exit_code, says in result.stderr) == (code, True), result.stderr
    assert "Traceback" not in result.stderr


def test_a_port_that_is_taken_is_said():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = CliRunner().invoke(main, ["simulate", "binance", "--port", str(taken.getsockname()[1])])
    assert result.exit_code == 1
    assert "cannot serve on port" in result.stderr


def test_its_help_names_the_keys_and_the_variables():
    text = CliRunner().invoke(main, ["simulate", "--help"]).stdout
    for word in ("YOUR_API_KEY", "OTHER_API_SECRET", "AXON_{VENUE}_REST_URL", "/simulator/truth", "lose-response"):
        assert word in text
