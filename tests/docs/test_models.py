"""docs/models.md works as written."""

from __future__ import annotations

import re
import shlex

import numpy as np
import pytest
from click.testing import CliRunner

from axon_quant import ModelStore, load_backend
from axon_quant.cli import main
from axon_quant.cli.models import command as models
from axon_quant.config import parse_config
from axon_quant.observation.features import FEATURES

RUN = """
[market]
symbols = ["BTCUSDT"]
[[market.instruments]]
symbol = "BTCUSDT"
base = "BTC"
quote = "USDT"
tick_size = "0.01"
lot_size = "0.00001"
[exchange]
balances = { USDT = "1000" }
[journal]
path = "journal.db"
"""


@pytest.fixture(scope="module")
def page(root) -> str:
    return (root / "docs" / "models.md").read_text()


@pytest.fixture
def folder(page, tmp_path, monkeypatch):
    """A run that has a version of its model in the store already, and the model that was trained since."""
    monkeypatch.chdir(tmp_path)
    section, _ = tomls(page)
    served = '[[models]]\nname = "flow"\npath = "served/flow.onnx"\n'
    (tmp_path / "run.toml").write_text(RUN + section + served)
    for path, model in (("served/flow.onnx", "demo-64x128"), ("trained/flow-7.onnx", "demo-64x128-reversion")):
        (tmp_path / path).parent.mkdir()
        (tmp_path / path).write_bytes(load_backend("onnx").builtin(model, FEATURES).read_bytes())
    added = CliRunner().invoke(main, shlex.split("models add served/flow.onnx --name flow -c run.toml"))
    assert added.exit_code == 0, added.output
    return tmp_path


def tomls(page) -> list[str]:
    return re.findall(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def test_the_commands_and_then_the_code_run_as_written(page, folder):
    commands = re.findall(r"^    axon (.*)$", page, re.MULTILINE)
    assert len(commands) == 6
    for line in commands:
        if "rollback" in line:
            assert ModelStore("models/store").resolve("flow@production") == ModelStore("models/store").resolve("flow@2")
        result = CliRunner().invoke(main, shlex.split(line))
        assert result.exit_code == 0, f"{line}: {result.output}"
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    windows = np.random.default_rng(0).standard_normal((3, 64, 128), np.float32)
    names = {"window": windows[0], "windows": windows}
    exec(code, names)
    assert names["stored"] == names["store"].resolve("flow@1")
    assert names["engine"].model.sha256 == names["stored"].sha256
    assert len(names["golden"]) == 3


def test_the_configuration_is_read(page, folder):
    config = parse_config(RUN + "".join(tomls(page)), folder / "run.toml")
    assert config.model_store.path == folder / "models" / "store"
    assert config.models[0].stored == "flow@production"


def test_every_command_and_every_file_is_told(page, folder):
    for name in models.commands:
        assert f"`{name}`" in page
    store = ModelStore("models/store")
    (stored,) = store.list("flow")
    told = page.partition("## On disk")[2]
    for path in (*store.folder.iterdir(), *stored.folder.iterdir()):
        assert path.name in told
