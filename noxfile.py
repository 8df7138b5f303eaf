"""The project's sessions: `nox` runs tests, lint and types; `nox -l` lists all.

Environments are kept between runs, and nothing is installed again while the arguments, the pyproject files and
constraints.txt are unchanged.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import nox

nox.needs_version = ">=2024.10"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["tests", "lint", "types"]
nox.options.error_on_missing_interpreters = True

ROOT = Path(__file__).parent
CONSTRAINTS = ROOT / "constraints.txt"
CORE = "./axon-core"
ONNX = "./axon-backend-onnx[cpu]"
TEST_TOOLS = ["pytest>=8.3", "hypothesis>=6.100", "prometheus-client>=0.21"]
TORCH = "./axon-backend-torch"
SOURCES = ["axon-core", "axon-backend-onnx", "axon-backend-torch", "tests", "benchmarks", "examples", "noxfile.py"]


def install(session: nox.Session, *distributions: str, tools: list[str]) -> None:
    """Install editable distributions and tools, unless this very thing was installed here before."""
    projects = sorted(ROOT.glob("*/pyproject.toml"))
    content = repr((distributions, tools)).encode() + b"".join(
        path.read_bytes() for path in [*projects, CONSTRAINTS] if path.exists()
    )
    stamp = Path(session.virtualenv.location) / ".axon-installed"
    digest = hashlib.sha256(content).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        session.log("environment is up to date")
        return
    constraint = ["-c", str(CONSTRAINTS)]
    session.install("-q", *constraint, "hatchling>=1.26", "editables", *tools)
    editable = [part for distribution in distributions for part in ("-e", distribution)]
    if editable:
        # Build isolation would fetch hatchling once per distribution.
        session.install("-q", *constraint, "--no-build-isolation", *editable)
    stamp.write_text(digest)


@nox.session
def tests(session: nox.Session) -> None:
    """The whole suite. Arguments after `--` go to pytest."""
    install(session, CORE + "[parquet]", ONNX, tools=TEST_TOOLS)
    session.run("pytest", *session.posargs, env={"OPENBLAS_NUM_THREADS": "1"})


@nox.session
def lint(session: nox.Session) -> None:
    """Lint and formatting, by ruff."""
    install(session, tools=["ruff==0.17.6"])
    session.run("ruff", "check", *SOURCES)
    session.run("ruff", "format", "--check", *SOURCES)


@nox.session
def types(session: nox.Session) -> None:
    """mypy, strict."""
    install(session, CORE + "[parquet]", ONNX, tools=["mypy==2.4.1", "pyarrow-stubs"])
    session.run("mypy", "axon-core/src/axon_quant", "axon-backend-onnx/src/axon_backend_onnx")


@nox.session
def torch(session: nox.Session) -> None:
    """The torch backend's tests and types, in an environment with the torch of constraints.txt."""
    install(session, CORE, TORCH, tools=[*TEST_TOOLS, "torch", "safetensors>=0.5", "psutil", "mypy==2.4.1"])
    session.run("pytest", "tests/backend_torch", *session.posargs)
    session.run("mypy", "axon-backend-torch/src/axon_backend_torch")


@nox.session
def bench(session: nox.Session) -> None:
    """Every benchmark, each printing JSON. Arguments after `--` pick benchmarks by name: `nox -s bench -- replay`."""
    install(session, CORE, ONNX, tools=[])
    wanted = session.posargs or [path.stem for path in sorted((ROOT / "benchmarks").glob("*.py"))]
    for name in wanted:
        session.run("python", os.fspath(ROOT / "benchmarks" / f"{name}.py"), env={"OPENBLAS_NUM_THREADS": "1"})
