"""An open-loop load test: latency counts from when a message was to come, and too little data is no verdict."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from axon_quant.cli import main


@pytest.fixture
def load_test(root, tmp_path):
    config = tmp_path / "run.toml"
    config.write_bytes((root / "examples" / "btcusdt.toml").read_bytes())

    def run(*arguments: str):
        return CliRunner().invoke(main, ["load-test", "-c", str(config), *arguments])

    return run


def test_too_few_decisions_are_no_verdict(load_test):
    done = load_test("--rate", "400", "--duration", "1.5", "--json")
    told = json.loads(done.stdout)
    assert (told["verdict"], done.exit_code) == ("insufficient data", 1)
    assert told["messages"] == 600
    assert told["decision_latency_us"]["p99"] is None
    assert "299" in told["reason"]


def test_enough_decisions_are_judged_against_the_sla(load_test):
    done = load_test("--rate", "4000", "--duration", "2.5", "--sla-ms", "100000", "--json")
    told = json.loads(done.stdout)
    assert told["decisions"] >= 299
    assert (told["verdict"], done.exit_code) == ("pass", 0)
    done = load_test("--rate", "4000", "--duration", "2.5", "--sla-ms", "0.001", "--json")
    told = json.loads(done.stdout)
    assert (told["verdict"], done.exit_code) == ("fail", 1)


def test_the_lateness_of_the_generator_is_told_apart(load_test):
    told = json.loads(load_test("--rate", "1000", "--duration", "1", "--json").stdout)
    assert told["generator_lateness_us"]["samples"] == told["messages"] == 1000
    assert told["generator_lateness_us"]["p50"] >= 0


def test_a_folder_that_takes_no_file_is_an_error_that_says_so(load_test, tmp_path):
    config = tmp_path / "run.toml"
    config.write_text(config.read_text().replace('path = "journal/btcusdt.db"', 'path = "/proc/self/btcusdt.db"'))
    done = load_test("--rate", "100", "--duration", "1")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: /proc/self: nothing can be written here: ")


@pytest.mark.parametrize("arguments", [[], ["--rate", "5", "--speed", "2"], ["--rate", "nan"], ["--rate", "-1"]])
def test_a_rate_that_cannot_be_is_a_usage_error(load_test, arguments):
    done = load_test("--duration", "1", *arguments)
    assert done.exit_code == 2
