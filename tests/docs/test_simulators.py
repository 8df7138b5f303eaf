"""The example of docs/simulators.md runs, and its tables name what there is."""

from __future__ import annotations

import re
from pathlib import Path

from axon_quant.exchange.simulator import FaultPlan
from axon_quant.exchange.simulator.faults import KINDS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "simulators.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)


def test_the_example_runs(capsys):
    (block,) = blocks("python")
    exec(compile(block, str(DOCUMENT), "exec"), {})
    assert "127.0.0.1" in capsys.readouterr().out


def test_the_plan_is_one(tmp_path):
    (block,) = blocks("toml")
    path = tmp_path / "plan.toml"
    path.write_text(block)
    assert [rule.kind for rule in FaultPlan.read(path).rules] == ["lose-response", "disconnect"]


def test_every_kind_of_fault_is_in_the_table():
    assert {kind for kind in KINDS if f"`{kind}`" not in DOCUMENT.read_text()} == set()
