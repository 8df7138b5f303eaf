"""The opt-in pytest plugin: `-p axon_quant.testing.pytest_plugin`. Not an entry point, which every user would pay for.

It adds `--axon-plugin NAME` and `--axon-list`, and sums up every test of a suite by its ID.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from axon_quant.testing.candidates import Plugin

PLUGIN: pytest.StashKey[Plugin] = pytest.StashKey()
"""The plugin under test."""
_OUTCOMES = pytest.StashKey[dict[str, list[tuple[str, str, str]]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Our two options."""
    group = parser.getgroup("axon", "conformance of axon plugins")
    group.addoption(
        "--axon-plugin", metavar="NAME", help="entry point or distribution whose offers axon_quant.testing.suite tests"
    )
    group.addoption("--axon-list", action="store_true", help="print the table of all conformance tests and exit")


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Answer `--axon-list`."""
    if not config.getoption("axon_list"):
        return None
    from axon_quant.testing.listing import plain

    print(plain())
    return 0


def pytest_configure(config: pytest.Config) -> None:
    """Find the plugin before anything is collected; one that is missing, broken or empty ends the run."""
    config.stash[_OUTCOMES] = {}
    name = config.getoption("axon_plugin")
    if name is None or config.getoption("axon_list"):
        return
    from axon_quant.errors import PluginError
    from axon_quant.testing.candidates import find

    try:
        config.stash[PLUGIN] = find(name)
    except PluginError as error:
        raise pytest.UsageError(f"--axon-plugin {name}: {error}") from error


def pytest_report_header(config: pytest.Config) -> list[str]:
    """What is tested, and what no suite covers yet."""
    plugin = config.stash.get(PLUGIN, None)
    if plugin is None:
        return []
    lines = [f"axon plugin: {plugin.name} ({plugin.distribution} {plugin.version})"]
    return lines + [f"no suite yet for: {item.kind} {item.name}" for item in plugin.uncovered]


def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> list[pytest.Item] | None:
    """Leave out the suite of a kind that the plugin does not offer."""
    plugin = collector.config.stash.get(PLUGIN, None)
    if plugin is None or getattr(obj, "__module__", None) != "axon_quant.testing.suite" or not name.startswith("Test"):
        return None
    offered = {candidate.descriptor.kind for candidate in plugin.candidates}
    return None if getattr(obj, "kind", None) in offered else []


def pytest_itemcollected(item: pytest.Item) -> None:
    """Write the ID on the test."""
    from axon_quant.testing.cases import case_of

    found = case_of(getattr(item, "function", None))
    if found is None:
        return
    item.user_properties.append(("axon-id", found.id))
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    candidate = parameters.get("candidate")
    if candidate is None:
        return
    item.user_properties.append(("axon-of", f"{candidate.descriptor.kind} {candidate}"))
    if found.capability is not None and found.capability not in candidate.descriptor.capabilities:
        item.user_properties.append(("axon-note", f"{found.capability.value} is not declared"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A suite that was parametrised with nothing ends the run, where pytest would skip it."""
    from axon_quant.testing.cases import case_of

    for item in items:
        reasons = (str(mark.kwargs.get("reason", "")) for mark in item.iter_markers("skip"))
        if case_of(getattr(item, "function", None)) and any("empty parameter set" in reason for reason in reasons):
            raise pytest.UsageError(f"nothing to test: the parameters of {item.nodeid} are empty")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Remember how each test of a suite ended."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    properties = dict(item.user_properties)
    if "axon-id" in properties and (report.when == "call" or report.outcome != "passed"):
        owner = str(properties.get("axon-of") or item.nodeid.split("::")[-2])
        note = str(properties.get("axon-note", ""))
        if report.skipped and isinstance(report.longrepr, tuple):
            note = report.longrepr[2].removeprefix("Skipped: ")
        item.config.stash[_OUTCOMES].setdefault(owner, []).append((str(properties["axon-id"]), report.outcome, note))
    return report  # type: ignore[return-value]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line per test: ID, outcome, what must hold, and a note."""
    outcomes = config.stash[_OUTCOMES]
    if not outcomes:
        return
    from axon_quant.testing.listing import cases

    says = {item.id: item.says for item in cases()}
    for owner, rows in sorted(outcomes.items()):
        terminalreporter.section(f"conformance of {owner}")
        for id_, outcome, note in sorted(rows):
            text = note or says.get(id_, "")
            terminalreporter.write_line(
                f"{id_}  {outcome:<8}{text}",
                red=outcome == "failed",
                yellow=outcome == "skipped",
            )
