"""docs/monitoring.md: its table is the code's, its blocks run, and Prometheus takes its configuration."""

from __future__ import annotations

import re
import shlex
import subprocess
import urllib.request

import pytest
import yaml
from click.testing import CliRunner

from axon_quant.cli import main
from axon_quant.config import parse_config
from axon_quant.metrics import METRICS


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs" / "monitoring.md").read_text()


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def test_the_table_of_metrics_is_that_of_the_code(page):
    told = [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in page.splitlines()
        if line.startswith("| `trading_")
    ]
    assert told == [
        (f"`{metric.name}`", metric.kind.value, ", ".join(f"`{label}`" for label in metric.labels), metric.help)
        for metric in METRICS
    ]


def test_every_metric_that_the_text_names_exists(page):
    names = {metric.name for metric in METRICS}
    assert set(re.findall(r"`(trading_\w+)`", page)) <= names
    for beginning in re.findall(r"`(trading_\w+)…`", page):
        assert any(name.startswith(beginning) for name in names), beginning


def test_the_configuration_is_valid(page, root):
    example = (root / "examples" / "btcusdt.toml").read_text()
    (block,) = blocks(page, "toml")
    text = re.sub(r"\[metrics\].*?(?=\n\[|\Z)", "", example, flags=re.DOTALL) + "\n" + block
    assert parse_config(text, root / "examples" / "btcusdt.toml").metrics.port == 9100


def test_the_programs_run(page):
    given = {}
    for block in blocks(page, "python"):
        exec(block, given)
    collector = given["collector"]
    with collector, urllib.request.urlopen(f"{collector.server.url}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    given["provider"].shutdown()
    assert 'trading_slippage_total{direction="worse",symbol="BTCUSDT"}' in text
    assert "trading_max_drawdown 0.0015" in text


def test_prometheus_takes_the_configuration_with_the_rules_beside_it(page, tmp_path, monitoring_tool):
    (block,) = blocks(page, "yaml")
    (command,) = re.findall(r"^    axon (alerts .*)$", page, re.MULTILINE)
    folder = shlex.split(command)[2]
    assert {path.rpartition("/")[0] for path in yaml.safe_load(block)["rule_files"]} == {folder}
    result = CliRunner().invoke(main, shlex.split(command.replace(folder, str(tmp_path))))
    assert result.exit_code == 0, result.output
    (tmp_path / "prometheus.yml").write_text(block.replace(folder, str(tmp_path)))
    check = [monitoring_tool("promtool"), "check", "config", tmp_path / "prometheus.yml"]
    done = subprocess.run(check, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
