"""The peak of the equity outlives a live run, by way of the journal."""

from __future__ import annotations

from decimal import Decimal

import pytest

from axon_quant.clock import NANOSECONDS, SimClock
from axon_quant.events import EquityPeaked
from axon_quant.journal import Journal, read
from axon_quant.market import Instrument
from axon_quant.metrics import MetricsCollector
from axon_quant.portfolio import Portfolio
from axon_quant.runtime.peak import EquityPeak

BTC = Instrument(venue="v", symbol="BTCUSDT", base="BTC", quote="USDT", tick_size="0.01", lot_size="0.001")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "live.db"


def run(path, *equities, mode="live", balances=None, deposited=0, seconds=1):
    """A run that ends without a last word, as if killed; returns its metrics."""
    clock, metrics = SimClock(NANOSECONDS), MetricsCollector()
    portfolio = Portfolio(balances or {"USDT": 1000}, [BTC])
    with Journal(path) as journal:
        journal.start_run(mode=mode, continues=mode == "live")
        peak = EquityPeak(metrics, portfolio, clock, journal.append if mode == "live" else None)
        peak.resume(path, Decimal(deposited))
        for equity in equities:
            peak.on_equity(Decimal(equity))
            clock.advance(clock.now() + round(seconds * NANOSECONDS))
        journal.flush()
    return metrics


def test_a_fall_is_measured_from_the_peak_of_the_run_before(path):
    run(path, 1000, 1250, 1100)
    assert run(path, 1000).drawdown.fraction == pytest.approx(0.2)


def test_replays_neither_leave_a_peak_nor_have_one_before_them(path):
    run(path, 1000, 1250)
    assert run(path, 1000, 9000, mode="replay").drawdown.peak == 9000
    assert run(path, 1000).drawdown.peak == 1250


def test_a_rising_equity_is_journaled_once_a_second_and_a_falling_one_never(path):
    run(path, *range(1000, 1100), *range(1099, 1000, -1), seconds=0.05)
    recorded = [event.equity for _, event in read(path, kinds=[EquityPeaked])]
    assert recorded == [1000, 1020, 1040, 1060, 1080, 1099]


@pytest.mark.parametrize(("deposited", "peak"), [(-200, 1050), (300, 1550), (-3000, 1000)])
def test_a_deposit_or_a_withdrawal_moves_the_peak_with_it(path, deposited, peak):
    run(path, 1000, 1250)
    assert run(path, 1000, deposited=deposited).drawdown.peak == peak


def test_an_account_is_not_valued_before_all_it_holds_has_a_price(path):
    run(path, 1000, 1250)
    clock, metrics = SimClock(NANOSECONDS), MetricsCollector()
    portfolio = Portfolio({"USDT": 50, "BTC": 1, "BNB": 3}, [BTC])  # nothing ever prices the BNB
    peak = EquityPeak(metrics, portfolio, clock, None)
    peak.resume(path)
    peak.on_equity(portfolio.equity)
    assert not metrics.drawdown.fraction >= 0, "what has no price yet looked like a loss"
    portfolio.mark("BTCUSDT", 1200.0)
    peak.on_equity(portfolio.equity)
    assert metrics.drawdown.equity == 1250
    assert metrics.drawdown.fraction == 0


def test_a_journal_that_cannot_be_read_starts_the_peak_afresh_and_says_so(tmp_path, caplog):
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"this is no journal at all" * 100)
    metrics = MetricsCollector()
    EquityPeak(metrics, Portfolio({"USDT": 1}, [BTC]), SimClock(), None).resume(broken)
    assert "starts afresh" in caplog.text
