"""The project's sessions: `nox` runs tests, lint and types; `nox -l` lists all.

Environments are kept between runs, and nothing is installed again while the arguments, the pyproject files and
constraints.txt are unchanged.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tomllib
from collections.abc import Iterable
from pathlib import Path

import nox

nox.needs_version = ">=2024.10"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"
nox.options.error_on_missing_interpreters = True

ROOT = Path(__file__).parent
CONSTRAINTS = ROOT / "constraints.txt"
CORE = "./axon-core"
ONNX = "./axon-backend-onnx[cpu]"
SAFETENSORS = "./axon-backend-safetensors"
TORCH = "./axon-backend-torch"
EXAMPLE = "./examples/axon-exchange-example"
BINANCE = "./axon-exchange-binance"
OKX = "./axon-exchange-okx"
EXPLAIN = "./axon-explain"
PLUGINS = {
    "axon-core": [],
    "onnx": [ONNX],
    "onnx-gpu": ["./axon-backend-onnx[gpu]"],  # onnxruntime-gpu runs on machines without a GPU, too
    "safetensors": [SAFETENSORS],
    "safetensors-numba": [SAFETENSORS + "[numba]"],
    "torch": [TORCH],
    "binance": [BINANCE],
    "okx": [OKX],
    "explain": [EXPLAIN],
    "example": [EXAMPLE],
}
"""First-party plugins, as the registry calls them (but for EXTRAS), and what installs each beside the core."""
EXTRAS = ("-gpu", "-numba")
LARGE = {"onnx-gpu", "safetensors-numba", "torch"}
"""Of these, the ones that the default sessions leave out: hundreds of MB."""
nox.options.sessions = ["tests", "lint", "types", *(f"conformance({name})" for name in PLUGINS if name not in LARGE)]
TEST_TOOLS = [
    *("pytest>=8.3", "hypothesis>=6.100", "prometheus-client>=0.21", "psutil>=6"),
    *("promql-parser>=0.12", "pyyaml>=6", "pypdf>=5"),
]
OTEL_EXPORTER = "opentelemetry-exporter-prometheus>=0.66b2"
"""What tests and a benchmark compare our own exposition with."""
SDKS = ["python-binance>=1.0.37", "python-okx>=0.4"]
"""Clients that other people wrote, which must trade at the simulators unmodified."""
SOURCES = [*sorted(path.parent.name for path in ROOT.glob("*/pyproject.toml")), "tests", "benchmarks", "examples"]


def fingerprint(text: str, files: Iterable[Path]) -> str:
    """SHA-256 of a text and of the names and contents of files."""
    digest = hashlib.sha256(text.encode())
    for path in sorted(files):
        digest.update(f"{path.relative_to(ROOT)} {path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def install(session: nox.Session, *distributions: str, tools: list[str]) -> None:
    """Install editable distributions and tools, unless this very thing was installed here before."""
    stamp = Path(session.virtualenv.location) / ".axon-installed"
    digest = fingerprint(repr((distributions, tools)), [*ROOT.glob("*/pyproject.toml"), CONSTRAINTS])
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
    distributions = [CORE + "[otel,otlp,parquet,stacking]", ONNX, SAFETENSORS, BINANCE, OKX, EXPLAIN, EXAMPLE]
    install(session, *distributions, tools=[*TEST_TOOLS, OTEL_EXPORTER, *SDKS])
    session.run("pytest", *session.posargs, env={"OPENBLAS_NUM_THREADS": "1"})


@nox.session
def lint(session: nox.Session) -> None:
    """Lint and formatting, by ruff."""
    install(session, tools=["ruff==0.17.6"])
    session.run("ruff", "check", *SOURCES, "noxfile.py")
    session.run("ruff", "format", "--check", *SOURCES, "noxfile.py")


@nox.session
def types(session: nox.Session) -> None:
    """mypy, strict; the torch backend's types need torch and are checked in its own session."""
    install(
        session,
        CORE + "[otlp,parquet,testing]",
        ONNX,
        SAFETENSORS,
        BINANCE,
        OKX,
        EXPLAIN,
        tools=["mypy==2.4.1", "pyarrow-stubs"],
    )
    packages = [path for path in sorted(ROOT.glob("axon-*/src/*")) if path.name != "axon_backend_torch"]
    session.run("mypy", *map(os.fspath, packages))


@nox.session
@nox.parametrize("plugin", list(PLUGINS), ids=list(PLUGINS))
def conformance(session: nox.Session, plugin: str) -> None:
    """The conformance suite for one of our plugins, in an environment of the core and that plugin only."""
    install(session, CORE + "[testing]", *PLUGINS[plugin], tools=[])
    for extra in EXTRAS:
        plugin = plugin.removesuffix(extra)
    suite = ["--pyargs", "axon_quant.testing.suite", "--axon-plugin", plugin]
    session.run("pytest", "-p", "axon_quant.testing.pytest_plugin", *suite, *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """Everything at once, on a generated market. Arguments go to `axon demo`: `nox -s demo -- --out DIR --seed 2`."""
    install(session, CORE, ONNX, tools=[])
    session.run("axon", "demo", *session.posargs)


@nox.session
def torch(session: nox.Session) -> None:
    """The torch backend: tests, conformance and types, and what of the other backends' tests compares with torch.

    Arguments after `--` go to pytest. `nox -s "conformance(torch)"` runs its suite beside the core alone.
    """
    tools = [*TEST_TOOLS, "safetensors>=0.5", "onnx>=1.20", "onnxscript>=0.5", "mypy==2.4.1"]
    # the venues only for the types of what the core names lazily
    install(session, CORE + "[testing]", TORCH, ONNX, SAFETENSORS, BINANCE, OKX, EXPLAIN, tools=tools)
    compared = ["tests/backend_safetensors/test_torch.py", "tests/backend_safetensors/test_reader.py"]
    compared += ["tests/flow/test_backends_agree.py"]
    session.run("pytest", "tests/backend_torch", *compared, *session.posargs, env={"OPENBLAS_NUM_THREADS": "1"})
    if not session.posargs:
        suite = ["--pyargs", "axon_quant.testing.suite", "--axon-plugin", "torch"]
        session.run("pytest", "-p", "axon_quant.testing.pytest_plugin", *suite)
        session.run("mypy", "axon-backend-torch/src/axon_backend_torch")


@nox.session
def policies(session: nox.Session) -> None:
    """What ensembles take from others: policies of Stable-Baselines3, detectors of river. Hundreds of MB."""
    tools = [*TEST_TOOLS, "stable-baselines3>=2.4", "river>=0.22"]
    install(session, CORE + "[stacking]", ONNX, tools=tools)
    session.run("pytest", "tests/core/ensemble/test_scenario.py", "tests/docs/test_ensembles.py", *session.posargs)


@nox.session
def explain(session: nox.Session) -> None:
    """Explanations beside what other people's libraries say. Hundreds of MB.

    Arguments after `--` go to pytest; without any, the benchmarks follow.
    """
    tools = [*TEST_TOOLS, "dice-ml>=0.12", "matplotlib>=3.9", "scikit-learn>=1.5"]
    install(session, CORE, ONNX, EXPLAIN + "[shap]", tools=tools)
    quiet = {"OPENBLAS_NUM_THREADS": "1"}
    session.run("pytest", "tests/explain", "tests/docs/test_explain.py", *session.posargs, env=quiet)
    if not session.posargs:
        session.run("python", "benchmarks/explain.py", env=quiet)
        session.run("python", "benchmarks/counterfactuals.py", env=quiet)


@nox.session
def numba(session: nox.Session) -> None:
    """The safetensors backend with its compiled kernels: its tests, and the conformance suite."""
    install(session, CORE + "[testing]", ONNX, SAFETENSORS + "[numba]", tools=[*TEST_TOOLS, "safetensors>=0.5"])
    session.run("pytest", "tests/backend_safetensors", *session.posargs, env={"OPENBLAS_NUM_THREADS": "1"})


@nox.session
def bench(session: nox.Session) -> None:
    """Every benchmark, each printing JSON, but torch's. Arguments pick some by name: `nox -s bench -- replay`."""
    install(session, CORE + "[otel]", ONNX, SAFETENSORS, BINANCE, OKX, EXPLAIN, tools=[OTEL_EXPORTER])
    where_torch_is = {"torch_backend", "agreement"}  # run them with the Python of the session `torch`
    left_out = where_torch_is | {"networks", "rates"}  # what benchmarks share
    every = [path.stem for path in sorted((ROOT / "benchmarks").glob("*.py")) if path.stem not in left_out]
    wanted = session.posargs or every
    for name in wanted:
        session.run("python", os.fspath(ROOT / "benchmarks" / f"{name}.py"), env={"OPENBLAS_NUM_THREADS": "1"})


@nox.session
def example(session: nox.Session) -> None:
    """Every configuration of examples/, and so every strategy in it, on a generated market; then the demos."""
    install(session, CORE, ONNX, SAFETENSORS, BINANCE, OKX, EXPLAIN, tools=[])
    place = Path(session.create_tmp()) / "examples"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(ROOT / "examples", place, ignore=shutil.ignore_patterns("journal", "__pycache__"))
    for config in sorted(place.glob("*.toml")):
        (symbol,) = tomllib.loads(config.read_text())["market"]["symbols"]
        market = place / f"{symbol}.jsonl.gz"
        if not market.exists():
            session.run("python", os.fspath(place / "market.py"), os.fspath(market), "--symbol", symbol)
        session.run("axon", "run", "-c", os.fspath(config), "--replay", os.fspath(market))
    for script in sorted(place.glob("*/*_demo.py")):
        session.run("python", os.fspath(script))


@nox.session
def campaign(session: nox.Session) -> None:
    """10,000 orders per venue while everything fails; minutes. `nox -s campaign -- okx --client ccxt --orders 1000`."""
    install(session, CORE + "[ccxt]", BINANCE, OKX, tools=[])
    session.run("python", os.fspath(ROOT / "tests" / "campaign"), *session.posargs)


@nox.session
def wheels(session: nox.Session) -> None:
    """Build every distribution, install the wheels into a clean environment, and use what was installed."""
    install(session, tools=["build>=1.2"])
    dist, clean = Path(session.virtualenv.location) / "dist", Path(session.virtualenv.location) / "clean"
    python, stamp = clean / "bin" / "python", clean / ".axon-installed"
    projects = [path.parent for path in sorted(ROOT.glob("*/pyproject.toml"))]
    sources = (path for project in projects for path in project.rglob("*") if path.is_file())
    digest = fingerprint("", [CONSTRAINTS, *(path for path in sources if path.suffix != ".pyc")])
    if not (stamp.exists() and stamp.read_text() == digest):
        shutil.rmtree(dist, ignore_errors=True)
        for project in projects:
            session.run("python", "-m", "build", "--no-isolation", "--outdir", os.fspath(dist), os.fspath(project))
        session.run("python", "tests/wheels/archives.py", os.fspath(dist), *map(os.fspath, projects))
        session.run("python", "-m", "venv", "--clear", os.fspath(clean))
        # onnxruntime comes with the extra that names the processor; torch is hundreds of MB and has its own session.
        light = [wheel for wheel in sorted(dist.glob("*.whl")) if "torch" not in wheel.name]
        built = [f"{wheel}[cpu]" if "onnx" in wheel.name else f"{wheel}" for wheel in light]
        pip = [os.fspath(python), "-m", "pip", "--disable-pip-version-check", "install", "-q"]
        session.run(*pip, "-c", os.fspath(CONSTRAINTS), *built, external=True)
        stamp.write_text(digest)
    smoke = [os.fspath(ROOT / "tests" / "wheels" / "smoke.py"), os.fspath(ROOT / "examples" / "btcusdt.toml")]
    session.run(os.fspath(python), "-I", *smoke, external=True)
