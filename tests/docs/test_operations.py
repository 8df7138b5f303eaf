"""docs/operations.md works as written: its commands against a real run, its files as what reads them."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from axon_quant.cli import main
from axon_quant.config import parse_config
from axon_quant.risk import RiskLimits

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "flow"))
from venue_process import AXON, resting_venue, standing


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs" / "operations.md").read_text()


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page, re.S)


def test_the_commands_work_on_a_run(page, root, tmp_path, monkeypatch, capsys):
    venue = resting_venue(tmp_path, root)
    process = venue.run()
    try:
        venue.wait_for(lambda: standing(venue), process)
        (tmp_path / "production.toml").write_text(venue.config.read_text())
        said = []
        for line in blocks(page, "shell")[0].splitlines():
            command = [*AXON, *shlex.split(line)[1:]]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, (line, done.stderr)
            said.append(done.stdout)
        assert "state" in said[0]
        assert said[1] == "reducing: the desk goes home at six\n"
        assert re.search(r"open orders cancelled in \d+ ms", said[2])
        assert said[3].endswith("active, after it was halted\n")
        monkeypatch.chdir(tmp_path)
        exec(blocks(page, "python")[0], {})
        assert capsys.readouterr().out.startswith("active ")
        venue.stop(process)
    finally:
        process.kill()
        process.communicate()
        venue.close()


def test_every_command_that_is_named_exists(page):
    named = set(re.findall(r"axon ([a-z-]+) -c", page))
    assert named >= {"status", "reduce", "halt", "resume", "run", "watchdog", "rotate-keys"}
    for block in blocks(page, "shell"):
        for line in block.splitlines():
            name, *rest = shlex.split(line)[1:]
            command = main.get_command(None, name)
            command.make_context(name, rest)


def test_the_limits_are_what_the_table_says(page):
    limits = RiskLimits()
    for name in re.findall(r"\| `(max_[a-z_]+)`", page):
        assert hasattr(limits, name)
    assert (limits.max_rejects, limits.reject_window_ms, limits.max_market_silence_ms) == (20, 10_000, 30_000)
    assert "20 in 10 s" in page


def test_the_settings_are_taken(page, root, monkeypatch, tmp_path):
    text = (root / "examples" / "btcusdt.toml").read_text()
    for operations in blocks(page, "toml")[:1]:
        assert parse_config(text + operations, tmp_path / "c.toml").operations.cancel_after_s == 15
    (tmp_path / "keys").mkdir()
    for name in ("api_key", "api_secret"):
        (tmp_path / "keys" / name).touch(0o600)
        (tmp_path / "keys" / name).write_text(f"the {name}\n")
    keys = blocks(page, "toml")[1].replace("[exchange]\n", "")
    config = parse_config(text.replace("[exchange]\n", f"[exchange]\n{keys}"), tmp_path / "c.toml")
    assert config.exchange.api_key.reveal() == "the api_key"
    assert attrs.evolve(config).exchange.api_secret.reveal() == "the api_secret"


def test_the_units_are_units(page, tmp_path):
    units = blocks(page, "ini")
    assert len(units) == 2
    for text in units:
        name = re.match(r"# /etc/systemd/system/(.*)\n", text)[1]
        unit = configparser.ConfigParser(strict=True, interpolation=None)
        unit.optionxform = str
        unit.read_string(text)
        assert unit["Service"]["Type"] == "exec"
        _, command, *rest = shlex.split(unit["Service"]["ExecStart"])
        main.get_command(None, command).make_context(command, rest)
        (tmp_path / name).write_text(text.replace("/opt/axon/bin/axon", "/bin/true").replace("User=axon\n", ""))
    if shutil.which("systemd-analyze"):
        command = ["systemd-analyze", "verify", *map(str, sorted(tmp_path.glob("*.service")))]
        done = subprocess.run(command, capture_output=True, text=True)
        assert "Unknown" not in done.stderr, done.stderr
