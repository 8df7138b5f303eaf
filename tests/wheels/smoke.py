"""Uses what the wheels installed. Run by `nox -s wheels`, with the clean environment's Python: smoke.py CONFIG."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import attrs

import axon_quant
from axon_quant.config import load_config
from axon_quant.market.generated import GeneratedMarket
from axon_quant.runtime.replay import Replay
from axon_quant.runtime.wiring import build_instruments


def axon(*arguments: str) -> str:
    """What the installed command prints."""
    command = [str(Path(sys.executable).with_name("axon")), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def replay(path: Path) -> None:
    """Three seconds of market that reach the end, and half a minute that trades."""
    for seconds in (3.0, 30.0):
        with tempfile.TemporaryDirectory() as folder:
            config = load_config(path)
            config = attrs.evolve(config, journal=attrs.evolve(config.journal, path=Path(folder) / "run.db"))
            market = GeneratedMarket(build_instruments(config)[0], seconds=seconds)
            summary = Replay(config, market=market).run()
            assert summary.outcome == "completed"
            print(f"replay of {seconds:g} s: {summary.decisions} decisions, {summary.orders} orders")
    assert summary.orders > 0


def main() -> None:
    """The commands, then a run."""
    config = Path(sys.argv[1])
    assert Path(axon_quant.__file__).is_relative_to(sys.prefix), "this is not what the wheels installed"
    version = axon("--version")
    assert version == f"axon {axon_quant.__version__}\n", version
    plugins = {(row["kind"], row["name"]): row for row in json.loads(axon("plugins", "--json"))}
    onnx = plugins["backend", "onnx"]
    assert (onnx["status"], onnx["version"]) == ("ok", axon_quant.__version__), onnx
    assert all(row["status"] == "ok" for row in plugins.values()), plugins
    assert f"{config} is valid" in axon("validate-config", "-c", str(config))
    measured = {(row["backend"], row["model"]) for row in json.loads(axon("bench", "--json", "--rounds", "1"))}
    assert measured >= {(name, "demo-64x128") for name in ("onnx", "safetensors")}, measured
    with tempfile.TemporaryDirectory() as folder:
        written = {Path(line).name for line in axon("alerts", "--out", folder).splitlines()}
    assert written == {"trading.yml", "operations.yml", "runbook.md", "dashboard.json"}, written
    replay(config)
    print(version.strip(), "installs, lists its plugins, measures and trades")


main()
