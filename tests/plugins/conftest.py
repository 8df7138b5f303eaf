"""Plugins for another process to find: in a folder on its path (quick), or installed in a virtual environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import axon_quant

sys.path.insert(0, str(Path(__file__).parent))
import environments
from environments import Environment

CORE = Path(axon_quant.__file__).parents[1]

PLUGIN = """
from axon_quant.plugins import BackendDescriptor, hookimpl

@hookimpl
def axon_backends():
    return [BackendDescriptor(name={name!r}, target="{package}.engine:Engine", summary="A test.", api={api})]
"""


@dataclass
class Site:
    """A folder on the path of a fresh interpreter."""

    folder: Path

    def add(
        self, distribution: str, source: str, *, entry: str | None = None, engine: str = "class Engine: pass\n"
    ) -> str:
        """Install a distribution whose plugin module has this source; returns its package."""
        package = distribution.replace("-", "_")
        info = self.folder / f"{package}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[axon_quant]\n{entry or distribution} = {package}.plugin\n")
        (self.folder / package).mkdir()
        (self.folder / package / "__init__.py").touch()
        (self.folder / package / "plugin.py").write_text(dedent(source))
        (self.folder / package / "engine.py").write_text(engine)
        return package

    def add_backend(self, distribution: str, name: str, *, api: int = 1, **more: str) -> str:
        """Install a working backend plugin."""
        return self.add(distribution, PLUGIN.format(name=name, package=distribution.replace("-", "_"), api=api), **more)

    def python(self, code: str, *, alone: bool = False, **environment: str) -> str:
        """Run code in a fresh interpreter and return what it prints. `alone` hides all other distributions."""
        if alone:
            code = (
                "import functools, importlib.metadata as m; "
                f"m.distributions = functools.partial(m.distributions, path=[{str(self.folder)!r}])\n"
            ) + dedent(code)
        clean = {key: value for key, value in os.environ.items() if not key.startswith("AXON_")}
        path = os.pathsep.join([str(self.folder), str(CORE)])
        done = subprocess.run(
            [sys.executable, "-c", dedent(code)],
            env={**clean, **environment, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def rows(self, **environment: str) -> list[dict[str, Any]]:
        """`axon plugins --json`."""
        text = self.python("from axon_quant.cli.plugins import command; command(['--json'])", **environment)
        rows: list[dict[str, Any]] = json.loads(text)
        return rows

    def row(self, distribution: str, **environment: str) -> dict[str, Any]:
        """The one row of a distribution."""
        (row,) = [row for row in self.rows(**environment) if row["distribution"] == distribution]
        return row

    def load(self, name: str, **environment: str) -> str:
        """Load a backend; returns its name, or the error."""
        code = f"""
            from axon_quant.plugins import load_backend
            try:
                print(load_backend({name!r}).__module__)
            except Exception as error:
                print(type(error).__name__, error)
        """
        return self.python(code, **environment)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site")


CROWD = ["acme", "broken-hook", "broken-import", "claim-one", "claim-two", "future", "garbage", "hollow", "loud"]
CROWD += ["quitter", "sleeper", "telepath"]


class Venvs:
    """Virtual environments with the core in them, each made once per session."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        projects = [environments.CORE, environments.ONNX, *environments.DISTRIBUTIONS.iterdir()]
        self._wheels = {path.name: wheel for path, wheel in environments.build(projects, folder / "wheels").items()}
        self._made: dict[tuple[str, ...], Environment] = {}

    def having(self, *projects: str) -> Environment:
        """The environment with the core and the wheels of these project folders."""
        if projects not in self._made:
            wheels = [self._wheels[name] for name in ("axon-core", *projects)]
            self._made[projects] = environments.create(self._folder / f"venv-{len(self._made)}", wheels)
        return self._made[projects]


@pytest.fixture(scope="session")
def venvs(tmp_path_factory: pytest.TempPathFactory) -> Venvs:
    return Venvs(tmp_path_factory.mktemp("venvs"))


@pytest.fixture(scope="session")
def crowd(venvs: Venvs) -> Environment:
    """Core, the ONNX backend, one good plugin, and one of every bad kind."""
    return venvs.having("axon-backend-onnx", *CROWD)


@pytest.fixture(scope="session")
def bare(venvs: Venvs) -> Environment:
    """The core alone."""
    return venvs.having()
