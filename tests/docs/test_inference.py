"""docs/inference.md works as written, from its first block to its last, in one folder."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import re
import shlex
import tomllib

import attrs
import numpy as np
import pytest
from click.testing import CliRunner

from axon_quant import OnnxBackend
from axon_quant.cli import main
from axon_quant.cli.bench import BenchRow
from axon_quant.config.schema import ModelEntry
from axon_quant.plugins import installed


@pytest.fixture(scope="module")
def page(root) -> str:
    return (root / "docs" / "inference.md").read_text()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the page's files are."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    for name, model in (("production", "demo-64x128"), ("candidate", "demo-64x128-reversion")):
        (tmp_path / "models" / f"{name}.onnx").write_bytes(OnnxBackend.builtin(model).read_bytes())
    np.save(tmp_path / "windows.npy", np.random.default_rng(0).standard_normal((3, 64, 128), np.float32))
    return tmp_path


def test_the_code_runs_as_written(page, folder, capsys):
    names: dict[str, object] = {}
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) == 6

    async def run_all() -> None:
        for block in blocks:
            code = compile(block, "docs/inference.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            result = eval(code, names)
            if inspect.isawaitable(result):
                await asyncio.wait_for(result, 30)

    asyncio.run(run_all())
    printed = capsys.readouterr().out
    assert names["reader"] == "onnx"
    assert printed.startswith("onnx on cpu: no GPU is needed")
    assert "version 2 serves" in printed
    assert names["scores"].shape == (1, 3)
    assert (names["model"].number, names["engine"].version) == (1, 3)
    assert names["engine"].model.sha256 == names["model"].sha256


def test_the_commands_run_as_written(page, folder):
    commands = re.findall(r"^    axon (.*)$", page, re.MULTILINE)
    assert len(commands) == 4
    for command in commands:
        result = CliRunner().invoke(main, shlex.split(command))
        assert result.exit_code == 0, result.output
        if "--json" in command:
            assert json.loads(result.stdout)


def test_the_tables_tell_what_is_there(page):
    for key in BenchRow.__struct_fields__:
        assert f"`{key}`" in page
    for descriptor in installed().descriptors("backend"):
        for suffix in descriptor.suffixes:
            assert f"`{suffix}`" in page
    for part in re.findall(r"^```toml\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        (model,) = tomllib.loads(part)["models"]
        assert set(model) <= {field.name for field in attrs.fields(ModelEntry)}
