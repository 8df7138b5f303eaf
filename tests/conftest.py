"""Fixtures of the whole suite."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("axon", deadline=None)  # a busy machine is no defect
settings.load_profile("axon")

ROOT = Path(__file__).resolve().parent.parent


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine on a loop of its own, by its module's `run` if there is one."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    run = getattr(pyfuncitem.module, "run", asyncio.run)
    run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture(autouse=True)
def state_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs keep what belongs to an account: not in the home of whoever tests."""
    folder = tmp_path_factory.getbasetemp() / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def recorded_sessions() -> Path:
    """The folder of recorded market sessions, which is not part of the repository."""
    folder = Path(os.environ.get("AXON_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no recorded sessions at {folder}; set AXON_SHARED_DATA")
    return folder


@pytest.fixture(scope="session")
def btcusdt_session(recorded_sessions: Path) -> Path:
    path = recorded_sessions / "binance_spot_btcusdt_20240808.jsonl.gz"
    if not path.exists():
        pytest.skip(f"no recorded session at {path}")
    return path


@pytest.fixture(scope="session")
def ethusdt_session(recorded_sessions: Path) -> Path:
    path = recorded_sessions / "binance_spot_ethusdt_20240808.jsonl.gz"
    if not path.exists():
        pytest.skip(f"no recorded session at {path}")
    return path


@pytest.fixture
def closed_sessions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the HTTP sessions that other people's clients make and keep: a socket is a warning when it is collected."""
    made: list[Any] = []
    for name in ("requests.Session", "httpx.Client"):
        module, _, attribute = name.partition(".")
        if find_spec(module) is None:
            continue
        kind = getattr(import_module(module), attribute)
        begin = kind.__init__

        def noted(self: Any, *args: Any, begin: Callable[..., None] = begin, **kwargs: Any) -> None:
            begin(self, *args, **kwargs)
            made.append(self)

        monkeypatch.setattr(kind, "__init__", noted)
    yield
    for session in made:
        session.close()


@pytest.fixture(scope="session")
def monitoring_tool() -> Callable[[str], Path]:
    """A program of Prometheus' (`promtool`, `prometheus`, `alertmanager`): from AXON_PROMTOOL and the like, or PATH."""

    def find(name: str) -> Path:
        variable = f"AXON_{name.upper()}"
        found = os.environ.get(variable) or shutil.which(name) or shutil.which(f"prometheus-{name}")
        if not found:
            pytest.skip(f"no {name} here: it is neither on PATH nor named by {variable}")
        return Path(found)

    return find


# A real browser.

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--enable-logging=stderr", "--v=0"),
    *("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--dump-dom"),
)


@pytest.fixture
def visit(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], tuple[str, list[str], set[str]]]:
    """Opens a page: (the page as Chromium has it, what its console said, the addresses the page asked for).

    Chromium calls home for itself whatever it is told; such requests have no origin, and no name resolves.
    """
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")

    def opened(page: Path) -> tuple[str, list[str], set[str]]:
        folder = tmp_path_factory.mktemp("browser")
        log = folder / "net.json"
        done = subprocess.run(
            [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}", page.as_uri()],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        trace = json.loads(log.read_text())
        starts = [event["params"] for event in trace["events"] if "initiator" in event.get("params", {})]
        asked = {start["url"] for start in starts if start["initiator"] != "not an origin"}
        return done.stdout, console, {url for url in asked if not url.startswith("data:")}

    return opened
