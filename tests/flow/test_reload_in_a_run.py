"""`reload = true` under [[models]]: a run's model file is replaced while it serves, and the run goes on with it."""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

import attrs
import pytest

from axon_quant.config import load_config
from axon_quant.errors import ConfigError, JournalError, ModelError
from axon_quant.events import Decision, ModelLoaded, ModelRefused
from axon_quant.inference.files import write_whole
from axon_quant.journal import read, verify
from axon_quant.market.generated import GeneratedMarket
from axon_quant.observation import Observation
from axon_quant.observation.features import FEATURES
from axon_quant.plugins import load_backend
from axon_quant.runtime.live import Live
from axon_quant.runtime.reloading import HotReload
from axon_quant.runtime.wiring import build_instruments, build_model

sys.path.insert(0, str(Path(__file__).parent))
from socket_venue import SocketAdapter, Venue, configured
from test_command_line import AXON, INSTRUMENT, line_of

STRATEGY = """
import time
from pathlib import Path

from axon_quant.strategy import TargetPosition


class Unhurried(TargetPosition):
    def on_decision(self, ctx, action):
        if not Path(__file__).with_name("done").exists():
            time.sleep(0.01)
        return super().on_decision(ctx, action)
"""


def builtin(name):
    return load_backend("onnx").builtin(name, FEATURES).read_bytes()


def recorded(journal, *kinds):
    try:
        return [event for _, event in read(journal, kinds=kinds)]
    except JournalError:  # not there yet, or being made by the run that has just begun
        return []


def wait_for(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def assert_decisions_follow_the_loads(journal):
    """Each decision names the version that was recorded last before it; returns the numbers in order."""
    current, numbers = 1, []
    for event in recorded(journal, Decision, ModelLoaded):
        if isinstance(event, ModelLoaded):
            current = event.model.number
        else:
            assert event.models[0].number == current
            numbers.append(current)
    return sorted(set(numbers))


@pytest.fixture
def run_file(root, tmp_path):
    """The shipped example with a watched file in the place of its first builtin, and a strategy that takes its time."""
    text = (root / "examples" / "btcusdt.toml").read_text()
    text = text.replace('builtin = "demo-64x128"\n', 'path = "served.onnx"\nreload = true\n', 1)
    text = text.replace('name = "target-position"', 'name = "unhurried.py:Unhurried"', 1)
    (tmp_path / "unhurried.py").write_text(STRATEGY)
    (tmp_path / "served.onnx").write_bytes(builtin("demo-64x128"))
    (tmp_path / "run.toml").write_text(text)
    return tmp_path / "run.toml"


def test_axon_run_takes_up_a_new_file_and_refuses_a_bad_one(run_file, tmp_path, durable_records):
    recording = tmp_path / "market.jsonl"
    market = GeneratedMarket(INSTRUMENT, seconds=120, price=60_000.0)
    recording.write_text("".join(f"{event.received} {line_of(event)}\n" for event in market))
    journal = tmp_path / "journal" / "btcusdt.db"
    command = [*AXON, "run", "-c", str(run_file), "--replay", str(recording), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_for(lambda: process.poll() is not None or recorded(journal, Decision))
            write_whole(tmp_path / "served.onnx", b"no model at all")
            wait_for(lambda: process.poll() is not None or recorded(journal, ModelRefused))
            write_whole(tmp_path / "served.onnx", builtin("demo-64x128-reversion"))
            wait_for(lambda: process.poll() is not None or recorded(journal, ModelLoaded))
            (tmp_path / "done").touch()
            out, errors = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, errors
    summary = json.loads(out)
    assert [model["number"] for model in summary["models"]] == [2, 1]
    assert assert_decisions_follow_the_loads(journal) == [1, 2]
    assert "model flow: version 1 keeps serving" in errors
    assert verify(journal)[-1].outcome == "completed"


def test_a_live_run_takes_up_a_new_file_between_two_events(run_file, tmp_path):
    venue = Venue()
    config = configured(load_config(run_file), tmp_path / "live.db")
    instruments = build_instruments(config)
    adapter = SocketAdapter(instruments, venue.port)
    (tmp_path / "done").touch()
    loaded = []

    async def feed():
        for number, event in enumerate(GeneratedMarket(instruments[0], seconds=60.0, price=60_000.0)):
            if number == 1500:
                write_whole(tmp_path / "served.onnx", builtin("demo-64x128-reversion"))
            if number > 1500 and not loaded:
                loaded.extend(recorded(tmp_path / "live.db", ModelLoaded) if number % 50 == 0 else ())
                await asyncio.sleep(0.002)
            yield event

    try:
        summary = asyncio.run(Live(config, adapter, feed=feed()).run())
    finally:
        venue.close()
    assert {model.name: model.number for model in summary.models} == {"flow": 2, "reversion": 1}
    assert assert_decisions_follow_the_loads(tmp_path / "live.db") == [1, 2]


def test_a_new_version_with_another_window_than_the_observations_is_refused(run_file, tmp_path):
    config = load_config(run_file)
    schema = Observation.schema(config.observation.window, config.observation.interval_ms)
    backend = build_model(config.models[0], schema)
    events = []
    with HotReload([backend], events.append, _Frozen(), schema=schema, debounce=0.02) as reload:
        write_whole(tmp_path / "served.onnx", load_backend("onnx").builtin("demo-4x1").read_bytes())
        with pytest.raises(ModelError, match=r"window: the version that serves has \[64, 128\], found \[4, 1\]"):
            reload.wait_for("flow", timeout=20.0)
    assert backend.version == 1
    assert [type(event) for event in events] == [ModelRefused]


class _Frozen:
    def now(self):
        return 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('builtin = "demo-64x128"', "a builtin has no file that could be replaced"),
        (f'path = "served.onnx"\nsha256 = "{"0" * 64}"', "sha256 lets no other version serve"),
    ],
)
def test_a_model_that_can_have_no_other_version_cannot_be_watched(run_file, line, message):
    run_file.write_text(run_file.read_text().replace('path = "served.onnx"', line, 1))
    with pytest.raises(ConfigError, match=message):
        load_config(run_file)


def test_whether_a_model_is_watched_is_part_of_the_configurations_identity(btcusdt):
    model = btcusdt.models[0]
    path = attrs.evolve(model, builtin=None, path=btcusdt.journal.path)
    assert (
        attrs.evolve(btcusdt, models=(path,)).sha256
        != attrs.evolve(btcusdt, models=(attrs.evolve(path, reload=True),)).sha256
    )
