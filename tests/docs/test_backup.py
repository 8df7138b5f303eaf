"""docs/backup.md works as written."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys

import pytest

AXON = [sys.executable, "-m", "axon_quant.cli"]


def test_the_blocks_of_the_page_run(root, tmp_path, monkeypatch, capsys):
    page = (root / "docs" / "backup.md").read_text()
    shutil.copy(root / "examples" / "btcusdt.toml", tmp_path / "production.toml")
    for line in re.search(r"```shell\n(.*?)```", page, re.S)[1].splitlines():
        done = subprocess.run([*AXON, *shlex.split(line)[1:]], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, (line, done.stderr)
    assert (tmp_path / "restored" / "production.toml").is_file()
    monkeypatch.chdir(tmp_path)
    exec(re.search(r"```python\n(.*?)```", page, re.S)[1], {})
    assert capsys.readouterr().out == "can be restored\n"


@pytest.mark.parametrize("key", ["logging", "tracing"])
def test_the_operations_page_names_the_sections(root, key):
    assert f"[{key}]" in (root / "docs" / "operations.md").read_text()
