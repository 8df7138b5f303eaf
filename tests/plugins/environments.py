"""Virtual environments with real distributions in them, without a network: for tests and benchmarks/plugins.py.

An environment sees the libraries of the running interpreter, but nothing of axon and none of its plugins: those are
built into wheels, each from its own pyproject.toml, and installed by pip.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DISTRIBUTIONS = Path(__file__).with_name("distributions")
CORE = ROOT / "axon-core"
ONNX = ROOT / "axon-backend-onnx"

BUILD = """
import os, sys
from hatchling.build import build_wheel
for project in sys.argv[2:]:
    os.chdir(project)
    folder = os.path.join(sys.argv[1], os.path.basename(project))
    print(os.path.join(folder, build_wheel(folder)))
"""


@dataclass(frozen=True)
class Environment:
    """A virtual environment; commands run in it without any of our variables, but for those given."""

    folder: Path

    def run(self, program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment to its end."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("AXON_", "PYTHON", "COV_"))}
        return subprocess.run(
            [str(self.folder / "bin" / program), *arguments],
            env={**clean, **environment, "OPENBLAS_NUM_THREADS": "1"},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def python(self, code: str, **environment: str) -> str:
        """What a piece of Python prints; it has to end well."""
        done = self.run("python", "-c", code, **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def broken(*names: str) -> list[Path]:
    """The projects of these names below tests/plugins/distributions."""
    return [DISTRIBUTIONS / name for name in names]


def build(projects: Iterable[Path], folder: Path) -> dict[Path, Path]:
    """The wheel of each project, built by its own build backend, in one process."""
    projects = list(projects)
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(folder), *map(str, projects)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(zip(projects, map(Path, done.stdout.split()), strict=True))


def create(folder: Path, wheels: Iterable[Path]) -> Environment:
    """A new environment with these wheels installed."""
    venv.create(folder, with_pip=False, symlinks=True)
    site = next((folder / "lib").glob("python3.*/site-packages"))
    for entry in _libraries():
        if not (site / entry.name).exists():
            (site / entry.name).symlink_to(entry)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "--disable-pip-version-check"]
    install = ["install", "-q", "--no-index", "--no-deps", "--no-compile", *map(str, wheels)]
    done = subprocess.run([*pip, *install], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Environment(folder)


def _libraries() -> Iterable[Path]:
    """What is installed beside us, axon and the machinery of editable installs left out."""
    for folder in map(Path, sys.path):
        if folder.name in ("site-packages", "dist-packages"):
            for entry in folder.iterdir():
                ours = entry.name.startswith(("axon", "_axon", "__editable__"))
                if not ours and entry.suffix != ".pth" and entry.name not in ("__pycache__", "sitecustomize.py"):
                    yield entry
