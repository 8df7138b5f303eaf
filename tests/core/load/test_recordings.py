"""Load tests from a recording: its own pace, its gaps in order, and what of it was not played is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from axon_quant.cli import main
from axon_quant.config import load_config
from axon_quant.load import traffic

SECOND = 1_000_000_000


@pytest.fixture
def config(root, tmp_path) -> Path:
    file = tmp_path / "run.toml"
    file.write_bytes((root / "examples" / "btcusdt.toml").read_bytes())
    return file


@pytest.fixture
def recording(tmp_path) -> Path:
    """Twenty seconds of quotes, ten a second, then a pause of ten seconds and one more quote."""
    lines = []
    for index, second in enumerate([*(index / 10 for index in range(200)), 29.9]):
        data = {
            "u": index + 1,
            "s": "BTCUSDT",
            "b": "50000.00",
            "B": "1",
            "a": f"{50000.01 + index / 100:.2f}",
            "A": "2",
        }
        at = 1_700_000_000 * SECOND + int(second * SECOND)
        lines.append(f"{at} {json.dumps({'stream': 'btcusdt@bookTicker', 'data': data})}\n")
    file = tmp_path / "market.jsonl"
    file.write_text("".join(lines))
    return file


def load_test(config: Path, *arguments: str):
    return CliRunner().invoke(main, ["load-test", "-c", str(config), *arguments])


def test_a_recording_is_played_so_many_times_as_fast_with_its_pauses(config, recording):
    done = load_test(config, "--recording", str(recording), "--speed", "20", "--duration", "1.495", "--json")
    told = json.loads(done.stdout)
    assert (told["messages"], told["outcome"], told["market"]) == (201, "completed", str(recording))
    assert 1.49 <= told["seconds"] < 4  # 29.9 s of market, and a machine that may be busy
    assert told["rate"] == pytest.approx(200 / 1.495, rel=0.001)
    assert not [notice for notice in told["notices"] if "asked for" in notice or "left out" in notice]


def test_each_message_comes_at_its_own_time(config, recording):
    made = traffic.traffic(load_config(config), rate=None, speed=20.0, duration=60.0, recording=recording)
    assert len(made.events) == len(made.offsets) == 201
    assert made.offsets[:3] == [0, 5_000_000, 10_000_000]
    assert made.offsets[-1] - made.offsets[-2] == 10 * SECOND // 20


def test_a_duration_cuts_a_recording_off(config, recording):
    done = load_test(config, "--recording", str(recording), "--speed", "20", "--duration", "0.5", "--json")
    told = json.loads(done.stdout)
    assert told["messages"] == 101
    assert not [notice for notice in told["notices"] if "asked for" in notice or "left out" in notice]


def test_a_recording_that_is_too_short_is_told(config, recording):
    done = load_test(config, "--recording", str(recording), "--speed", "100", "--duration", "5")
    assert "note: the market lasts 0.3 s of the 5 s asked for" in done.stdout
    done = load_test(config, "--recording", str(recording), "--rate", "2000", "--duration", "1")
    assert "note: the market lasts 0.1 s of the 1 s asked for" in done.stdout


def test_lines_that_cannot_be_read_are_told_with_their_numbers(config, recording):
    recording.write_bytes(b"\xff nothing that anybody wrote\n" + recording.read_bytes())
    done = load_test(config, "--recording", str(recording), "--speed", "100", "--duration", "0.2")
    assert f"note: left out {recording}:1: " in done.stdout
    recording.write_bytes(b"nothing\n" * 100 + recording.read_bytes())
    done = load_test(config, "--recording", str(recording), "--speed", "100", "--duration", "0.2")
    assert "note: left out 81 more" in done.stdout
    assert done.stdout.count("note: left out") == 21


def test_a_market_that_is_too_long_to_be_held_is_told(config, recording, monkeypatch):
    monkeypatch.setattr(traffic, "MOST_MESSAGES", 50)
    done = load_test(config, "--recording", str(recording), "--speed", "100", "--duration", "0.2")
    assert "note: the market was cut off after 50 messages, the most that a test holds" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--recording", "nowhere.jsonl", "--speed", "20"), "nowhere.jsonl: no such recording"),
        (("--rate", "0.5"), "0.5 messages a second for 1 s are not one message"),
    ],
)
def test_what_cannot_be_played_is_an_error_that_says_why(config, arguments, told):
    done = load_test(config, *arguments, "--duration", "1")
    assert done.exit_code in (1, 2)
    assert told in done.stderr


def test_a_recording_without_a_message_is_an_error(config, tmp_path):
    empty = tmp_path / "empty.jsonl"
    empty.write_bytes(b"")
    done = load_test(config, "--recording", str(empty), "--speed", "20", "--duration", "1")
    assert done.exit_code == 1
    assert "there is no market to play" in done.stderr


def test_a_folder_that_cannot_be_written_is_an_error_that_names_it(config):
    text = config.read_text()
    assert 'path = "journal/btcusdt.db"' in text
    config.write_text(text.replace("journal/btcusdt.db", "/proc/btcusdt.db"))
    done = load_test(config, "--rate", "100", "--duration", "0.1")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: /proc: ")
