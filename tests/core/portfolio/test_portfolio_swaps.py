"""Perpetual swaps in the portfolio: what is not paid for, held against the simulated venues' own positions."""

from decimal import Decimal

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_quant.errors import ConfigError, UnknownSymbolError
from axon_quant.exchange.primitives import MarginMode
from axon_quant.exchange.simulator.positions import SimulatedPosition
from axon_quant.market import Instrument, InstrumentKind
from axon_quant.orders import Fill, Liquidity, Side
from axon_quant.portfolio import Portfolio, PortfolioSnapshot
from axon_quant.runtime.wiring import as_traded

SWAP = Instrument(
    venue="okx",
    symbol="BTC-USDT-SWAP",
    base="BTC",
    quote="USDT",
    tick_size="0.1",
    lot_size="0.01",
    kind=InstrumentKind.Swap,
    contract_size="0.01",
)


def filled(side, quantity, price, number=0, fee="0"):
    return Fill(
        "o", SWAP.symbol, side, Decimal(price), Decimal(quantity), Decimal(fee), "USDT", Liquidity.Taker, f"{number}", 1
    )


@given(
    st.lists(
        st.tuples(st.sampled_from(Side), st.integers(1, 500), st.integers(10_000, 2_000_000), st.integers(-9, 99)),
        min_size=1,
        max_size=30,
    )
)
def test_wallet_position_and_unrealised_are_the_venues_whatever_is_traded(trades):
    portfolio, wallet = Portfolio({"USDT": 1000}, [SWAP]), Decimal(1000)
    venue = SimulatedPosition(SWAP.symbol, "USDT", MarginMode.Cross, SWAP.contract_size, 3)
    for number, (side, lots, ticks, fee) in enumerate(trades):
        quantity, price, paid = Decimal(lots) / 100, Decimal(ticks) / 10, Decimal(fee) / 1000
        portfolio.apply_fill(filled(side, quantity, price, number, paid))
        wallet += venue.trade(side, price, quantity) - paid
        portfolio.mark(SWAP.symbol, 51_234.5)
        won = venue.unrealised(Decimal("51234.5"))
        assert portfolio.position(SWAP.symbol) == venue.quantity * SWAP.contract_size
        assert portfolio.cash("USDT") == wallet
        assert portfolio.unrealised == won
        assert portfolio.equity == wallet + won
        assert portfolio.equity == portfolio.initial + portfolio.realised + portfolio.unrealised - portfolio.fees
    restored = Portfolio({"USDT": 0}, [SWAP])
    text = msgspec.json.encode(portfolio.snapshot())
    restored.restore(msgspec.json.decode(text, type=PortfolioSnapshot))
    assert (restored.equity, restored.cash("USDT")) == (portfolio.equity, portfolio.cash("USDT"))


@pytest.mark.parametrize("held", ["0.02", "-0.02"])
def test_a_position_that_was_there_counts_from_its_entry_but_is_no_profit_of_the_run(held):
    held = Decimal(held)
    portfolio = Portfolio({"USDT": 1000}, [SWAP], positions={SWAP.symbol: (held, Decimal(50_000))})
    assert portfolio.position(SWAP.symbol) == held
    assert not portfolio.is_priced
    portfolio.mark(SWAP.symbol, 51_000.0)
    assert portfolio.is_priced
    assert portfolio.cash("USDT") == 1000
    assert portfolio.equity == portfolio.initial == 1000 + held * 1000
    assert portfolio.unrealised == portfolio.carried == held * 1000
    assert portfolio.pnl == portfolio.day_pnl == portfolio.symbol_pnl(SWAP.symbol) == 0
    portfolio.apply_fill(filled(Side.Sell if held > 0 else Side.Buy, 2, 52_000, fee="1"))
    assert portfolio.position(SWAP.symbol) == portfolio.unrealised == 0
    assert portfolio.cash("USDT") == portfolio.equity == 1000 + held * 2000 - 1
    assert portfolio.symbol_pnl(SWAP.symbol) == portfolio.pnl + 1 == held * 1000
    assert portfolio.equity == portfolio.initial - portfolio.carried + portfolio.realised - portfolio.fees


def test_the_base_asset_in_the_account_is_no_position_of_the_swap():
    portfolio = Portfolio({"USDT": 1000, "BTC": 2}, [SWAP])
    assert portfolio.position(SWAP.symbol) == 0
    assert portfolio.cash("BTC") == 2
    portfolio.apply_fill(filled(Side.Buy, 1, 50_000))
    assert portfolio.cash("BTC") == 2
    assert portfolio.equity == 1000


def test_a_short_leaves_its_worth_less_to_spend_and_dust_is_below_a_lot_in_base_units():
    portfolio = Portfolio({"USDT": 1000}, [SWAP])
    portfolio.apply_fill(filled(Side.Sell, 1, 50_000))
    assert portfolio.available("USDT") == 500
    assert portfolio.dust(SWAP.symbol) == 0


def test_a_position_of_what_is_no_swap_is_refused(btc):
    with pytest.raises(UnknownSymbolError, match="no swap"):
        Portfolio({"USDT": 1}, [btc], positions={"BTCUSDT": (Decimal(1), Decimal(1))})
    with pytest.raises(ConfigError, match="cannot be"):
        Portfolio({"USDT": 1}, [SWAP], positions={SWAP.symbol: (Decimal(1), Decimal(0))})


def test_a_run_trades_what_the_venue_has_under_the_symbol():
    ours = attrs.evolve(SWAP, kind=InstrumentKind.Spot, contract_size=1)
    assert as_traded((ours,), {SWAP.symbol: SWAP}) == (SWAP,)
    assert as_traded((ours,), {}) == (ours,)
    with pytest.raises(ConfigError, match="is a swap on BTC settled in USDT"):
        as_traded((attrs.evolve(ours, quote="USDC"),), {SWAP.symbol: SWAP})
