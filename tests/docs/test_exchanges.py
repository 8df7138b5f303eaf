"""The examples of docs/exchanges.md at Binance run as written, on the simulated venues."""

from __future__ import annotations

import re
from decimal import Decimal
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


def test_the_example_of_futures_runs(monkeypatch, capsys):
    futures = pytest.importorskip("axon_exchange_binance.simulator.futures")
    (block,) = (
        block
        for block in re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
        if "BinanceFuturesAdapter" in block
    )
    venue = futures.BinanceFuturesSimulator(seed=1)
    with venue.running() as roots:
        monkeypatch.setenv("AXON_BINANCE_FUTURES_REST_URL", roots["rest"])
        monkeypatch.setenv("AXON_BINANCE_FUTURES_WS_URL", roots["ws"])
        exec(compile(block, str(DOCUMENT), "exec"), {"__name__": "example"})
        positions = venue.truth()["accounts"]["main"]["positions"]
        assert {(Decimal(position["quantity"]), position["leverage"]) for position in positions} == {(0, 5)}
        assert len(venue.truth()["accounts"]["main"]["fills"]) == 2
    assert "symbol='BTCUSDT', quantity=Decimal('-0.002" in capsys.readouterr().out
