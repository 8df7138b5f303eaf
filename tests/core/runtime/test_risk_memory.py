"""What loss and drawdown are measured from goes from one live run to the next, and along with deposits."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace

import pytest

from axon_quant.clock import SimClock
from axon_quant.events import BalanceDifference
from axon_quant.journal import Journal
from axon_quant.market import Instrument
from axon_quant.portfolio import Portfolio
from axon_quant.risk import RiskEngine, RiskLimits
from axon_quant.runtime.reconciliation import deposited
from axon_quant.runtime.risk_memory import RiskMemory

BTC = Instrument(venue="v", symbol="BTCUSDT", base="BTC", quote="USDT", tick_size="0.01", lot_size="0.001")
LIMITS = RiskLimits(max_daily_loss=Decimal("0.05"), max_drawdown=Decimal("0.1"))


def run(path, *equities, paid_in=0):
    """A live run that sees these equities; returns its risk engine."""
    clock, portfolio = SimClock(), Portfolio({"USDT": 1000}, [BTC])
    prices = SimpleNamespace(reference=None)  # no order is checked
    risk = RiskEngine(LIMITS, [BTC], clock=clock, account=portfolio, prices=prices, emit=lambda _: None, fee_rate=0)
    with Journal(path) as journal:
        journal.start_run(mode="live", continues=True)
        memory = RiskMemory(risk, journal.append, clock)
        memory.resume(path, Decimal(paid_in))
        for equity in equities:
            risk.on_equity(Decimal(equity), clock.now())
        memory.save()
    return risk


@pytest.mark.parametrize(
    ("paid_in", "equity", "halted"),
    [
        (0, 949, "daily-loss"),
        (0, 951, ""),
        (-500, 499, ""),  # withdrawn, not lost
        (-500, 449, "daily-loss"),
        (500, 1426, ""),
        (500, 1424, "daily-loss"),  # a deposit hides no loss
        (-2000, 5, ""),  # nothing is left to measure from
    ],
)
def test_money_that_came_or_went_is_neither_gain_nor_loss(tmp_path, paid_in, equity, halted):
    run(tmp_path / "live.db", 1000)
    risk = run(tmp_path / "live.db", equity, paid_in=paid_in)
    assert risk.reason.partition(":")[0] == halted


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        ({}, 0),
        ({"USDT": 300}, 300),
        ({"USDT": -300, "BNB": 1}, -300),
        ({"USDT": -300, "BTC": 1}, 0),  # somebody bought
        ({"BTCUSDT": 1}, 0),  # a position that somebody else has changed
    ],
)
def test_only_money_that_was_not_traded_is_a_deposit(moved, expected):
    built = SimpleNamespace(
        engine=SimpleNamespace(lanes={"BTCUSDT": SimpleNamespace(instrument=BTC)}),
        portfolio=SimpleNamespace(quote_asset="USDT"),
    )
    differences = tuple(BalanceDifference(asset, Decimal(1000), Decimal(1000 + by)) for asset, by in moved.items())
    assert deposited(built, SimpleNamespace(differences=differences)) == expected
