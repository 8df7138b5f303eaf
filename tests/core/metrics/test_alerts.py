"""The alert rules: they read what is exported, they fire when they should, and each has a runbook entry."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from axon_quant.metrics import MetricsCollector

sys.path.insert(0, str(Path(__file__).parent))
from promql import mistakes, selectors

RULES = files("axon_quant.metrics") / "alerts"
FILES = ("trading.yml", "operations.yml")
CASES = Path(__file__).parent / "alerts"
ALERTS = {
    rule["alert"]: (name, rule)
    for name in FILES
    for group in yaml.safe_load((RULES / name).read_text("utf-8"))["groups"]
    for rule in group["rules"]
}

GUIDE = """\
# Example Prometheus alert rules
groups:
  - name: trading_alerts
    rules:
      - alert: HighLatency
        expr: trading_order_latency_seconds > 0.5
        for: 5m
        labels:
          severity: warning
        annotations:
          summary: "Trading order latency is high"

      - alert: LargeDrawdown
        expr: trading_max_drawdown > 0.1
        for: 1m
        labels:
          severity: critical
        annotations:
          summary: "Portfolio drawdown exceeds 10%"
"""
"""The rule file of the deployment guide, but for blanks at the end of a line."""


def test_the_rules_of_the_deployment_guide_are_shipped_unmodified() -> None:
    shipped = (RULES / "trading.yml").read_text("utf-8")
    assert re.sub(r" +$", "", shipped, flags=re.MULTILINE) == GUIDE


def test_they_are_the_guides_own_to_the_last_byte(root: Path) -> None:
    data = Path(os.environ.get("AXON_SHARED_DATA", root.parent / "shared" / "data"))
    guide = data.parent / "spec" / "scenario-3.md"
    if not guide.exists():
        pytest.skip(f"no deployment guide at {guide}; AXON_SHARED_DATA names the folder beside its own")
    (block,) = re.findall(r"^```yaml\n(.*?)^```", guide.read_text(), re.DOTALL | re.MULTILINE)
    assert (RULES / "trading.yml").read_bytes() == block.encode()


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_reads_series_and_labels_that_exist(alert: str) -> None:
    assert mistakes(ALERTS[alert][1]["expr"]) == []


def test_every_series_that_is_alerted_on_is_in_a_scrape(busy: MetricsCollector, samples: Callable[..., dict]) -> None:
    scraped = {name for name, _ in samples(busy.render())} | {"up"}
    asked = {selector.name for _, rule in ALERTS.values() for selector in selectors(rule["expr"])}
    assert asked - scraped == set()


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_has_a_severity_and_says_what_it_is_about(alert: str) -> None:
    name, rule = ALERTS[alert]
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"]["summary"]
    if name == "operations.yml":  # the guide's own stay as they are
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}


def test_every_alert_has_one_runbook_entry_in_their_order_and_links_to_it(root: Path) -> None:
    runbook = (root / "docs" / "runbook.md").read_text("utf-8")
    entries = re.findall(r"^## (.+)\n\n((?:(?!## ).*\n?)*)", runbook, re.MULTILINE)
    assert [title for title, _ in entries] == list(ALERTS)
    for title, text in entries:
        assert re.findall(r"^\*\*(\w+)\.\*\* \S", text, re.MULTILINE) == ["Meaning", "Check", "Action"], title
        name, rule = ALERTS[title]
        if name == "operations.yml":
            assert rule["annotations"]["runbook_url"] == f"runbook.md#{title.lower()}"
    anchors = {title.lower() for title in ALERTS}
    assert set(re.findall(r"\]\(#(\w+)\)", runbook)) <= anchors


def test_the_shipped_runbook_is_the_documented_one(root: Path) -> None:
    assert (RULES / "runbook.md").read_text("utf-8") == (root / "docs" / "runbook.md").read_text("utf-8")


def test_every_alert_fires_in_some_case_and_the_cases_know_no_other() -> None:
    text = "".join((CASES / f"{name.removesuffix('.yml')}_test.yml").read_text() for name in FILES)
    fired = set(re.findall(r'alertname="(\w+)"', text))
    for case in yaml.safe_load((CASES / "trading_test.yml").read_text())["tests"]:
        fired |= {test["alertname"] for test in case["alert_rule_test"] if test["exp_alerts"]}
    assert fired == set(ALERTS)


@pytest.mark.parametrize("name", FILES)
def test_promtool_accepts_the_rules(name: str, monitoring_tool: Callable[[str], Path]) -> None:
    checked = promtool(monitoring_tool, "check", "rules", str(RULES / name))
    assert "SUCCESS" in checked


@pytest.mark.parametrize("name", FILES)
def test_the_rules_fire_in_simulated_time(name: str, monitoring_tool: Callable[[str], Path]) -> None:
    checked = promtool(monitoring_tool, "test", "rules", f"{name.removesuffix('.yml')}_test.yml")
    assert "SUCCESS" in checked


def promtool(tool: Callable[[str], Path], *arguments: str) -> str:
    done = subprocess.run(
        [tool("promtool"), *arguments], cwd=CASES, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
