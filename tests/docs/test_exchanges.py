"""The first example of docs/exchanges.md runs as written, on the simulated venue."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "exchanges.md"


def test_the_example_runs(monkeypatch):
    simulator = pytest.importorskip("axon_exchange_binance.simulator")
    block = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)[0]
    venue = simulator.BinanceSimulator(seed=1, prices={"BTCUSDT": 60_000})
    with venue.running() as roots:
        monkeypatch.setenv("AXON_BINANCE_REST_URL", roots["rest"])
        monkeypatch.setenv("AXON_BINANCE_WS_URL", roots["ws"])
        exec(compile(block, str(DOCUMENT), "exec"), {"__name__": "example"})
        (order,) = venue.truth()["accounts"]["main"]["orders"]
        assert order["status"].lower() in ("canceled", "cancelled")
