"""The dashboard asks for series that exist, in expressions that Prometheus understands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from axon_quant.metrics import METRICS, MetricsCollector, names
from axon_quant.metrics.dashboard import WIDTH, dashboard, sections

sys.path.insert(0, str(Path(__file__).parent))
from promql import mistakes, selectors

PANELS = {panel["title"]: panel for panel in dashboard()["panels"] if panel["type"] != "row"}
EXPRESSIONS = [
    (title, target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*").replace("$symbol", ".*"))
    for title, panel in PANELS.items()
    for target in panel["targets"]
]
NOT_SHOWN = {
    names.ORDER_QUANTITY,
    names.FILLED_QUANTITY,
    names.CANCELS,
    names.FEATURE_ROWS,
    names.ROLLOUT_ERRORS,
    names.ROLLOUT_DROPPED,
    names.ROLLOUT_QUEUE,
}
"""For a question of one's own, not for every day."""


@pytest.mark.parametrize(("title", "expr"), EXPRESSIONS)
def test_a_panel_reads_series_and_labels_that_exist(title: str, expr: str) -> None:
    assert "$" not in expr
    assert selectors(expr), "it reads nothing"
    assert mistakes(expr) == []


def test_every_series_that_is_drawn_is_in_a_scrape(busy: MetricsCollector) -> None:
    text = busy.render()
    scraped = {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}
    assert {selector.name for _, expr in EXPRESSIONS for selector in selectors(expr)} - scraped == set()


def test_every_metric_is_drawn_unless_it_is_said_not_to_be() -> None:
    drawn = {selector.name.removesuffix("_bucket") for _, expr in EXPRESSIONS for selector in selectors(expr)}
    assert {metric.name for metric in METRICS} - drawn == {metric.name for metric in NOT_SHOWN}


def test_legends_name_labels_that_the_series_have() -> None:
    for panel in PANELS.values():
        for target in panel["targets"]:
            labels = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            groups = re.findall(r"by \(([^)]*)\)", target["expr"])
            if groups:
                assert labels <= set(groups[0].split(", ")), panel["title"]
            else:
                known = {label for metric in METRICS if metric.name in target["expr"] for label in metric.labels}
                assert labels <= known | {"instance"}, panel["title"]


def test_panels_lie_side_by_side_and_none_on_another() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(PANELS) == sum(map(len, sections().values())), "two panels have one title"
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= WIDTH
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_the_dashboard_is_json_and_the_same_every_time() -> None:
    assert json.loads(json.dumps(dashboard())) == dashboard()


def test_the_panels_that_the_runbook_names_exist(root: Path) -> None:
    runbook = (root / "docs" / "runbook.md").read_text("utf-8")
    named = set(re.findall(r"(?<![*\w])\*([A-Zp][^*\n]+)\*(?!\*)", runbook)) - {"Halt"}
    assert len(named) > 8
    assert named - set(PANELS) == set()


def test_promtool_understands_every_panel(tmp_path: Path, monitoring_tool: Callable[[str], Path]) -> None:
    rules = [{"record": f"panel:{number}", "expr": expr} for number, (_, expr) in enumerate(EXPRESSIONS)]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(
        [monitoring_tool("promtool"), "check", "rules", file], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(EXPRESSIONS)} rules found" in done.stdout
