"""`axon run` as a user meets it: from any folder, interrupted, on a terminal, and with everything wrong."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from axon_quant.journal import verify
from axon_quant.market import BookSnapshot, BookUpdate, Instrument, Quote, Trade
from axon_quant.market.generated import GeneratedMarket

AXON = [sys.executable, "-m", "axon_quant.cli"]
INSTRUMENT = Instrument(venue="paper", symbol="BTCUSDT", base="BTC", quote="USDT", tick_size="0.01", lot_size="0.00001")


def line_of(event: object) -> str:
    """A market event as a line of a recorded combined stream."""
    match event:
        case Quote():
            data = {"u": event.sequence, "s": event.symbol, "b": str(event.bid), "B": str(event.bid_quantity)}
            data |= {"a": str(event.ask), "A": str(event.ask_quantity)}
            return json.dumps({"stream": "btcusdt@bookTicker", "data": data}, separators=(",", ":"))
        case Trade():
            data = {"s": event.symbol, "t": event.trade_id, "p": str(event.price), "q": str(event.quantity)}
            data |= {"m": event.buyer_is_maker}
            return json.dumps({"stream": "btcusdt@trade", "data": data}, separators=(",", ":"))
        case BookUpdate():
            data = {"s": event.symbol, "U": event.first_sequence, "u": event.last_sequence}
            data |= {"b": [[str(p), str(q)] for p, q in event.bids], "a": [[str(p), str(q)] for p, q in event.asks]}
            return json.dumps({"stream": "btcusdt@depth@100ms", "data": data}, separators=(",", ":"))
        case BookSnapshot():
            sides = {
                "bids": [[str(p), str(q)] for p, q in event.bids],
                "asks": [[str(p), str(q)] for p, q in event.asks],
            }
            return json.dumps({"lastUpdateId": event.sequence, **sides})
    raise AssertionError(event)


@pytest.fixture(scope="module")
def recording(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("market") / "generated.jsonl"
    market = GeneratedMarket(INSTRUMENT, seconds=120, price=60_000.0)
    path.write_text("".join(f"{event.received} {line_of(event)}\n" for event in market))
    return path


@pytest.fixture
def folder(root, tmp_path) -> Path:
    """A folder with the shipped example in it."""
    shutil.copy(root / "examples" / "btcusdt.toml", tmp_path / "run.toml")
    return tmp_path


def axon(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [*AXON, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=60)


def test_it_runs_from_any_folder_and_prints_json(folder, recording, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    done = axon("run", "-c", folder / "run.toml", "--replay", recording, "--json", cwd=elsewhere)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["messages"] == recording.read_text().count("\n")
    assert summary["malformed"] == summary["gaps"] == 0
    assert summary["orders"] > 0
    assert Path(summary["journal"]) == folder / "journal" / "btcusdt.db"
    checked = axon("journal", "verify", summary["journal"])
    assert checked.returncode == 0, checked.stderr
    assert list(elsewhere.iterdir()) == []


def test_the_table_names_what_matters(folder, recording):
    done = axon("run", "-c", folder / "run.toml", "--replay", recording, "--max-events", 3000)
    assert done.returncode == 0, done.stderr
    for word in ("messages", "orders", "PnL", "journal", "inference", "p99"):
        assert word in done.stdout


def test_ctrl_c_ends_cleanly_with_everything_durable(folder, btcusdt_session, durable_records):
    process = subprocess.Popen(
        [*AXON, "run", "-c", str(folder / "run.toml"), "--replay", str(btcusdt_session), "--json"],
        stdout=subprocess.PIPE,
        text=True,
    )
    journal = folder / "journal" / "btcusdt.db"
    durable_records(journal, 20)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    summary = json.loads(output)
    assert process.returncode == 130
    assert summary["outcome"] == "interrupted"
    assert 0 < summary["messages"] < 41_249
    (report,) = verify(journal)
    assert (report.outcome, report.head) == ("interrupted", summary["journal_head"])


def test_a_terminal_shows_progress(folder, recording):
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        [*AXON, "run", "-c", str(folder / "run.toml"), "--replay", str(recording), "--json"],
        stdout=subprocess.DEVNULL,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "160"},
    )
    os.close(terminal)
    shown = b""
    while select.select([main], [], [], 30)[0]:
        try:
            piece = os.read(main, 65_536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(main)
    assert process.wait(timeout=30) == 0
    assert b"decisions" in shown
    assert b"p99" in shown


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("max_drawdown", "max_drawdwon", "run.toml:57: risk.max_drawdwon: unknown key; did you mean 'max_drawdown'?"),
        ("seed = 7", 'seed = "seven"', "run.seed: must be an integer"),
        ("window = 64", "window = 0", "observation.window"),
        (
            "latency_ms = 5",
            'latency_ms = 5\napi_key = "AKIA1234567890"',
            "a secret must not stand in the configuration",
        ),
        ('builtin = "demo-64x128"\n', 'path = "nowhere.onnx"\n', "nowhere.onnx"),
        ("window = 64", "window = 32", "takes [1, 64, 128], the observation is [1, 32, 128]"),
        ('symbols = ["BTCUSDT"]', 'symbols = ["DOGEUSDT"]', "DOGEUSDT"),
        ('name = "target-position"', 'name = "target-positoin"', "target-position"),
        ("clip = ", "clpi = ", "clip"),
        ('strategy = "softmax-sharpe"', 'strategy = "softmax-sharp"', "softmax-sharpe"),
        ('target = "0.04"', 'target = "nan"', "target"),
        ('backend = "onnx"', 'backend = "onyx"', "onnx"),
        ('lot_size = "0.00001"', 'lot_size = "-1"', "lot_size"),
        ("taker_fee = ", "taker_fee = nan #", "exchange.taker_fee"),
    ],
)
def test_a_mistake_in_the_configuration_is_named_and_nothing_is_written(folder, recording, old, new, message):
    text = (folder / "run.toml").read_text()
    assert old in text
    (folder / "run.toml").write_text(text.replace(old, new, 1))
    done = axon("run", "-c", folder / "run.toml", "--replay", recording)
    assert done.returncode in (1, 2), done.stdout
    assert message in done.stderr.replace("[None,", "[1,"), done.stderr
    assert "Traceback" not in done.stderr
    assert "AKIA" not in done.stderr
    assert not (folder / "journal").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "bad.onnx"), (b"not a model", "bad.onnx"), (b"\x08\x07" + b"\x00" * 400, "bad.onnx")],
)
def test_an_unreadable_model_is_named_and_nothing_is_written(folder, recording, content, message):
    (folder / "bad.onnx").write_bytes(content)
    text = (folder / "run.toml").read_text().replace('builtin = "demo-64x128"\n', 'path = "bad.onnx"\n', 1)
    (folder / "run.toml").write_text(text)
    done = axon("run", "-c", folder / "run.toml", "--replay", recording)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "journal").exists()


def test_a_missing_recording_or_configuration_is_named(folder, tmp_path):
    done = axon("run", "-c", folder / "run.toml", "--replay", tmp_path / "none.jsonl")
    assert done.returncode == 1
    assert "none.jsonl: no such recording" in done.stderr
    done = axon("run", "-c", tmp_path / "none.toml", "--replay", tmp_path / "none.jsonl")
    assert done.returncode == 2
    assert "none.toml" in done.stderr
    done = axon("run", "-c", folder / "run.toml")
    assert done.returncode == 2
    assert "--replay" in done.stderr


def test_negative_and_nan_prices_in_a_recording_are_counted_and_named(folder, recording):
    lines = recording.read_text().splitlines(keepends=True)[:3000]
    quote = next(number for number, line in enumerate(lines) if "bookTicker" in line)
    trade = next(number for number, line in enumerate(lines) if "@trade" in line)
    lines[quote] = lines[quote].replace('"b":"', '"b":"-')
    lines[trade] = (
        '1700000000000000001 {"stream":"btcusdt@trade","data":{"s":"BTCUSDT","t":1,"p":"NaN","q":"1","m":true}}\n'
    )
    bad = folder / "bad.jsonl"
    bad.write_text("".join(lines))
    done = axon("run", "-c", folder / "run.toml", "--replay", bad, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["malformed"] == 2
    for number in (quote, trade):
        assert f"bad.jsonl:{number + 1}:" in done.stderr


STRATEGY = """from axon_quant import Strategy


class Mine(Strategy):
    def on_decision(self, ctx, action):
        raise LookupError(ctx.symbol)
"""


def test_a_strategy_that_raises_is_named_with_its_line_after_the_summary(folder, recording):
    (folder / "mine.py").write_text(STRATEGY)
    text = (folder / "run.toml").read_text()
    start, end = text.index("[strategy]"), text.index("[risk]")
    (folder / "run.toml").write_text(f'{text[:start]}[strategy]\nname = "mine.py:Mine"\n\n{text[end:]}')
    done = axon("run", "-c", folder / "run.toml", "--replay", recording, "--json")
    assert done.returncode == 1
    summary = json.loads(done.stdout)
    assert (summary["outcome"], summary["decisions"]) == ("failed", 1)
    told = f"{folder / 'mine.py'}:6: BTCUSDT: Mine.on_decision raised LookupError: BTCUSDT"
    assert any(notice.startswith(told) for notice in summary["notices"])
    assert done.stderr.splitlines()[-1].startswith(f"error: {told}")
    assert "click" not in done.stderr, "the way to the command is nobody's business"
