"""Every line that a run says on stderr is one JSON object, whatever happens to it."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_quant.logs import JsonFormatter, of_run
from axon_quant.secrets import Secret

sys.path.insert(0, str(Path(__file__).parent))
from test_command_line import AXON, recording  # noqa: F401 - a fixture
from venue_process import resting_venue, standing

FAILING = """
from axon_quant import Strategy


class Failing(Strategy):
    def on_decision(self, ctx, action):
        raise RuntimeError("two\\nlines")
"""


def run(folder, *arguments):
    command = [*AXON, "run", "-c", str(folder / "run.toml"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done, [json.loads(line) for line in done.stderr.splitlines()]


@pytest.fixture
def folder(root, tmp_path):
    shutil.copy(root / "examples" / "btcusdt.toml", tmp_path / "run.toml")
    return tmp_path


def test_a_run_says_what_it_does_in_json(folder, recording):  # noqa: F811
    lines = recording.read_text().splitlines(keepends=True)
    market = folder / "market.jsonl"
    market.write_text("".join([*lines[:800], "17 not JSON\n", *lines[800:2000]]))
    done, said = run(folder, "--replay", market, "--log-format", "json", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["run"] == 1
    assert said[0]["message"].startswith("run 1 begins: replay")
    assert said[-1]["message"].startswith("run 1 ended: completed")
    assert "left out" in said[1]["message"]
    assert said[1]["level"] == "WARNING"
    for line in said:
        assert line["run"] == 1
        assert line["logger"].startswith("axon_quant.")
        assert abs((datetime.now(UTC) - datetime.fromisoformat(line["time"])).total_seconds()) < 600
        assert line["time"].endswith("Z")


def test_the_configuration_may_ask_for_it_and_is_the_same_otherwise(folder, recording):  # noqa: F811
    plain = run(folder, "--replay", recording, "--max-events", 50, "--log-format", "json")[1]
    with (folder / "run.toml").open("a") as file:
        file.write('\n[logging]\nformat = "json"\n')
    _, said = run(folder, "--replay", recording, "--max-events", 50)
    identity = re.compile(r"config ([0-9a-f]{64})")
    assert identity.search(said[0]["message"])[1] == identity.search(plain[0]["message"])[1]


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ("seed = 7", 2, "has one mistake"),
        ("--replay", 2, "the paper venue has no market of its own"),
        ("strategy", 1, "failing.py:7: BTCUSDT: Failing.on_decision raised RuntimeError: two lines"),
    ],
)
def test_what_ends_a_run_is_json_too(folder, recording, change, code, message):  # noqa: F811
    text = (folder / "run.toml").read_text()
    (folder / "failing.py").write_text(FAILING)
    start, end = text.index("[strategy]"), text.index("[risk]")
    changed = {
        "seed = 7": text.replace("seed = 7", 'seed = "seven"'),
        "--replay": text,
        "strategy": text[:start] + '[strategy]\nname = "failing.py:Failing"\n\n' + text[end:],
    }
    (folder / "run.toml").write_text(changed[change])
    market = () if change == "--replay" else ("--replay", recording)
    done, said = run(folder, *market, "--log-format", "json")
    assert done.returncode == code
    assert said[-1]["level"] == "CRITICAL"
    assert message in said[-1]["message"]
    assert any("RuntimeError: two\nlines" in line.get("exception", "") for line in said) == (change == "strategy")


def test_a_live_run_and_its_watchdog_say_json_and_no_secret(root, tmp_path):
    venue = resting_venue(tmp_path, root, extra='[logging]\nformat = "json"\n\n')
    command = [*AXON, "run", "-c", str(venue.config), "--json", "--watchdog"]
    process = subprocess.Popen(
        command, env=venue.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        venue.wait_for(lambda: standing(venue), process)
        process.terminate()
        output, errors = process.communicate(timeout=40)
        assert json.loads(output)["outcome"] == "interrupted"
        said = [json.loads(line) for line in errors.splitlines()]
        assert {"axon_quant.run", "axon_quant.watchdog"} <= {line["logger"] for line in said}
        assert "YOUR_API" not in errors
    finally:
        process.kill()
        process.communicate()
        venue.close()


@given(
    st.text(), st.dictionaries(st.text(min_size=1).map("x_".__add__), st.one_of(st.floats(), st.binary(), st.text()))
)
def test_any_record_is_one_line_of_json(text, extra):
    record = logging.makeLogRecord({"msg": "%s", "args": (text,), "name": "n", **extra})
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert "\r" not in line
    assert json.loads(line)["level"] is not None


def test_a_secret_and_a_lone_surrogate_are_not_in_the_way():
    record = logging.makeLogRecord({"msg": "key %s", "args": (Secret("hunter2"),), "key": Secret("hunter2")})
    line = JsonFormatter().format(record)
    assert json.loads(line)["message"] == "key ***"
    assert json.loads(line)["key"] == "***"
    assert "hunter2" not in line
    with of_run(3):
        line = JsonFormatter().format(logging.makeLogRecord({"msg": "\ud800", "key": Secret("hunter2")}))
    assert json.loads(line)["run"] == 3
    assert "hunter2" not in line
