"""Runs pytest as a plugin's author would: in another process, in a folder of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import pytest

HALVES = (0, 1)
RECORDER = """
import json, os, pathlib
rows = []

def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        properties = dict(report.user_properties)
        owner = report.nodeid.split("::")[1]
        rows.append((owner, properties.get("axon-id", "?"), report.outcome, report.longreprtext))

def pytest_sessionfinish():
    pathlib.Path(os.environ["OUTCOMES"]).write_text(json.dumps(rows))
"""


@dataclass
class Outcomes:
    """How each class of a toy module fared: ID → outcomes, and ID → text of failures."""

    ids: dict[str, dict[str, list[str]]]
    texts: dict[str, dict[str, str]]

    def failed(self, owner: str) -> set[str]:
        return {id_ for id_, outcomes in self.ids[owner].items() if "failed" in outcomes}

    def skipped(self, owner: str) -> set[str]:
        return {id_ for id_, outcomes in self.ids[owner].items() if "skipped" in outcomes}


@dataclass
class Finished:
    """A run of pytest that came to its end."""

    code: int
    text: str


def run_pytest(folder: Path, *arguments: str, path: tuple[Path, ...] = (), **environment: str) -> Finished:
    (folder / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("AXON_", "PYTEST_"))}
    search = os.pathsep.join([*map(str, path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "axon_quant.testing.pytest_plugin", "-q", *arguments],
        cwd=folder,
        env={**clean, **environment, "PYTHONPATH": search, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return Finished(done.returncode, done.stdout + done.stderr)


def run_part(half: int, folder: Path, classes: list[str]) -> list[list[str]]:
    written = folder / f"outcomes-{half}.json"
    base = f"--basetemp={folder / f'models-{half}'}"
    finished = run_pytest(folder, *classes[half :: len(HALVES)], "--tb=short", base, OUTCOMES=written.name)
    assert written.exists(), finished.text
    return json.loads(written.read_text())


@pytest.fixture(scope="session")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Outcomes]:
    """Runs a toy module once per session, with `outcomes("toy_backends")`."""
    known: dict[str, Outcomes] = {}

    def of(module: str) -> Outcomes:
        if module not in known:
            folder = tmp_path_factory.mktemp(module)
            source = Path(__file__).with_name(f"{module}.py").read_text()
            (folder / f"test_{module}.py").write_text(source)
            (folder / "conftest.py").write_text(RECORDER)
            result = Outcomes(defaultdict(lambda: defaultdict(list)), defaultdict(dict))
            classes = [f"test_{module}.py::{name}" for name in re.findall(r"^class (Test\w+)", source, re.M)]
            with ThreadPoolExecutor() as pool:  # they sleep as much as they compute
                rows = [row for part in pool.map(run_part, HALVES, repeat(folder), repeat(classes)) for row in part]
            for owner, id_, outcome, text in rows:
                result.ids[owner][id_].append(outcome)
                if outcome == "failed":
                    result.texts[owner][id_] = text
            known[module] = result
        return known[module]

    return of


@pytest.fixture(scope="session")
def recorded() -> Callable[..., list[list[str]]]:
    """Runs tests in a folder: class, ID, outcome and text of each."""

    def run(folder: Path, *nodes: str) -> list[list[str]]:
        (folder / "conftest.py").write_text(RECORDER)
        finished = run_pytest(folder, *nodes, "--tb=short", OUTCOMES="outcomes.json")
        assert (folder / "outcomes.json").exists(), finished.text
        return json.loads((folder / "outcomes.json").read_text())

    return run


@pytest.fixture
def suite_run(tmp_path: Path) -> Callable[..., Finished]:
    """Runs pytest with the plugin in an empty folder."""

    def run(*arguments: str, path: tuple[Path, ...] = (), **environment: str) -> Finished:
        return run_pytest(tmp_path, *arguments, path=path, **environment)

    return run
