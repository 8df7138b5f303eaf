"""Simulated venues for tests: on a thread of this process, or in a process of their own that can be killed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Protocol
from urllib.request import Request, urlopen

import attrs
import pytest

from axon_quant.exchange.urls import variable

if TYPE_CHECKING:
    from axon_quant.exchange.simulator import Simulator

_WITHIN = 30.0


@attrs.frozen(eq=False)
class SimulatedVenue:
    """A venue that serves on loopback: `rest` and `ws` are its roots, such as `http://127.0.0.1:8080`.

    Its methods ask it over HTTP, whichever thread or process it is in.
    """

    name: str
    rest: str
    ws: str

    @property
    def environment(self) -> dict[str, str]:
        """What makes adapters find it."""
        return {variable(self.name, "rest"): self.rest, variable(self.name, "ws"): self.ws}

    def truth(self) -> dict[str, Any]:
        """Its ledger: `accounts` by name with `orders`, `fills` and `balances`, `faults` that fired, …"""
        return self._ask("/simulator/truth")

    def set_faults(self, rules: Sequence[Mapping[str, object]], *, seed: int = 0) -> None:
        """Another plan of faults; what has fired stays counted. Raises ValueError for one that cannot be."""
        self._ask(f"/simulator/faults?seed={seed}", list(rules))

    def transfer(self, account: str, asset: str, amount: str) -> None:
        """Pay in to an account (`main` or `other`), or out of it. Raises ValueError when it cannot."""
        self._ask("/simulator/transfer", {"account": account, "asset": asset, "amount": amount})

    def _ask(self, path: str, body: object = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.rest + path, data=data, headers={"Content-Type": "application/json"})  # noqa: S310 - ours
        try:
            with urlopen(request, timeout=_WITHIN) as response:  # noqa: S310
                answer: dict[str, Any] = json.load(response)
                return answer
        except OSError as error:
            if hasattr(error, "read"):
                raise ValueError(json.load(error).get("error")) from None
            raise


class Simulate(Protocol):
    """What the fixture `simulate` is: `simulate("binance", {"kind": "ban", "every": 9}, seed=3)`."""

    def __call__(self, venue: str, *faults: Mapping[str, object], **options: object) -> SimulatedVenue:
        """Start a simulator, with options of its class."""
        ...


@contextmanager
def simulated(venue: str, *faults: Mapping[str, object], seed: int = 0, **options: object) -> Iterator[SimulatedVenue]:
    """The simulator of an installed venue, on a thread of its own. Raises PluginError, ConfigError."""
    from axon_quant.exchange.simulator import FaultPlan
    from axon_quant.plugins import load_simulator

    make: Callable[..., Simulator] = load_simulator(venue)
    simulator = make(faults=FaultPlan.of(list(faults), seed=seed), seed=seed, **options)
    with simulator.running() as roots:
        yield SimulatedVenue(venue, roots["rest"], roots["ws"])


@contextmanager
def simulated_process(venue: str, *arguments: str) -> Iterator[SimulatedVenue]:
    """`axon simulate VENUE` with more arguments, in a process of its own. Raises RuntimeError if it does not start."""
    command = [sys.executable, "-m", "axon_quant.cli", "simulate", venue, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ours
        try:
            line = process.stdout.readline() if process.stdout is not None else ""
            if not line:
                raise RuntimeError(f"axon simulate {venue} ended with exit code {process.wait(_WITHIN)}")
            roots = json.loads(line)
            yield SimulatedVenue(venue, roots["rest"], roots["ws"])
        finally:
            process.terminate()


@pytest.fixture
def simulate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulate]:
    """Starts simulated venues that adapters find by themselves; they end with the test."""
    with ExitStack() as running:

        def start(venue: str, *faults: Mapping[str, object], **options: Any) -> SimulatedVenue:
            started = running.enter_context(simulated(venue, *faults, **options))
            for name, value in started.environment.items():
                monkeypatch.setenv(name, value)
            return started

        yield start
