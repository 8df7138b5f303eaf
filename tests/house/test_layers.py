"""The house keeps its order: a stage imports only the kernel and what stands before it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "axon-core" / "src" / "axon_quant"

KERNEL = {
    *("errors", "clock", "events", "locks", "provenance", "secrets"),
    *("orders", "orders.types", "orders.ids", "orders.tracker"),
    *("market", "market.types", "market.instrument", "market.book"),
}
STAGES = ["market", "observation", "inference", "ensemble", "strategy", "orders", "risk", "exchange", "portfolio"]
BESIDE = {"control", "explain", "journal", "metrics", "plugins", "report"}
"""Packages beside the pipeline: they import the kernel only."""
ANYTHING = {"backup", "cli", "demo", "load", "preflight", "runtime", "testing"}
CONFIG_MAY = {"risk", "market"}
"""A configuration holds the stages' own value types where they have one."""
PLUGIN_DISTRIBUTIONS = {path.name for path in SOURCE.parents[2].glob("axon-*/src/*")} - {"axon_quant"}


def modules() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py") if path.name != "__init__.py" or path.parent != SOURCE)


def imports(path: Path) -> set[str]:
    """Every axon module that a file imports when it runs, as a dotted name below axon_quant."""
    found: set[str] = set()

    class Visitor(ast.NodeVisitor):
        def visit_If(self, node: ast.If) -> None:
            if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
                for other in node.orelse:
                    self.visit(other)
            else:
                self.generic_visit(node)

        def visit_Import(self, node: ast.Import) -> None:
            found.update(alias.name for alias in node.names)

        def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
            if node.module == "axon_quant":
                found.update(f"axon_quant.{alias.name}" for alias in node.names)
            elif node.module:
                found.add(node.module)

    Visitor().visit(ast.parse(path.read_text()))
    return found


def package(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return parts[0]


def allowed(owner: str) -> set[str]:
    if owner in STAGES:
        return set(STAGES[: STAGES.index(owner) + 1])
    if owner in BESIDE:
        return {owner}
    if owner == "config":
        return {"config", *CONFIG_MAY}
    return set()


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_module_imports_only_what_stands_before_it(path):
    owner = package(path)
    if owner in ANYTHING:
        return
    for name in imports(path):
        if not name.startswith("axon_quant."):
            continue
        target = name.removeprefix("axon_quant.")
        if target in KERNEL or target.split(".")[0] == "plugins":
            continue
        assert target.split(".")[0] in allowed(owner), f"{owner} must not import {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_core_never_imports_a_plugin_distribution(path):
    assert not {name.split(".")[0] for name in imports(path)} & PLUGIN_DISTRIBUTIONS


def test_only_the_clock_asks_the_operating_system_for_the_time():
    """Latency stamps (`perf_counter`, `monotonic`) are no source of time for a decision; wall clocks are."""
    wall = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today"}
    stamp_sites = {"clock.py", "journal/storage.py"}
    for path in modules():
        if str(path.relative_to(SOURCE)) in stamp_sites:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in wall, f"{path.relative_to(SOURCE)}:{node.lineno}"
