from decimal import Decimal

import msgspec
import pytest

from axon_quant.errors import ConfigError, MarketDataError, OrderValueError, UnknownSymbolError
from axon_quant.market import Instrument
from axon_quant.orders import Fill, Liquidity, Side
from axon_quant.portfolio import Portfolio, PortfolioSnapshot

DAY = 86_400 * 10**9


@pytest.fixture
def portfolio(btc):
    return Portfolio({"USDT": 1000}, [btc])


def identity_holds(portfolio):
    parts = portfolio.initial + portfolio.realised + portfolio.unrealised - portfolio.fees
    return portfolio.equity == parts


def test_a_new_portfolio_is_worth_its_balance(portfolio):
    assert portfolio.equity == portfolio.initial == portfolio.cash("USDT") == 1000
    assert portfolio.pnl == portfolio.realised == portfolio.unrealised == portfolio.fees == 0
    assert portfolio.positions == {}
    assert portfolio.average_price("BTCUSDT") is None


def test_lots_close_first_in_first_out(portfolio, fill_of):
    portfolio.apply_fill(fill_of("buy", 1, 100))
    portfolio.apply_fill(fill_of("buy", 1, 110))
    portfolio.apply_fill(fill_of("sell", "1.5", 120))
    assert portfolio.realised == 20 + 5
    assert portfolio.position("BTCUSDT") == Decimal("0.5")
    assert portfolio.average_price("BTCUSDT") == 110
    portfolio.mark("BTCUSDT", 130.0)
    assert portfolio.unrealised == 10
    assert portfolio.pnl == 35


def test_a_sell_beyond_the_position_turns_it_short(portfolio, fill_of):
    portfolio.apply_fill(fill_of("buy", 1, 100))
    portfolio.apply_fill(fill_of("sell", 3, 110))
    assert portfolio.position("BTCUSDT") == -2
    assert portfolio.average_price("BTCUSDT") == 110
    portfolio.mark("BTCUSDT", 100.0)
    assert (portfolio.realised, portfolio.unrealised) == (10, 20)
    portfolio.apply_fill(fill_of("buy", 2, 90))
    assert (portfolio.realised, portfolio.position("BTCUSDT")) == (50, 0)


def test_a_repeated_fill_is_booked_once(portfolio, fill_of):
    fill = fill_of("buy", 1, 100, "0.1")
    assert portfolio.apply_fill(fill) is True
    assert portfolio.apply_fill(fill) is False
    assert portfolio.position("BTCUSDT") == 1
    assert portfolio.fees == Decimal("0.1")


def test_both_sides_of_a_trade_with_ourselves_are_booked(portfolio, fill_of):
    portfolio.apply_fill(fill_of("buy", 1, 100, fill_id="7"))
    assert portfolio.apply_fill(fill_of("sell", 1, 100, fill_id="7"))
    assert portfolio.position("BTCUSDT") == 0


def test_a_quote_fee_is_taken_from_the_cash(portfolio, fill_of):
    portfolio.apply_fill(fill_of("buy", 1, 100, "0.05"))
    assert portfolio.cash("USDT") == Decimal("899.95")
    assert portfolio.pnl == Decimal("-0.05")


def test_a_base_fee_comes_out_of_the_position_at_the_price_of_the_fill(portfolio, fill_of):
    portfolio.apply_fill(fill_of("buy", 1, 100, "0.001", "BTC"))
    assert portfolio.position("BTCUSDT") == portfolio.cash("BTC") == Decimal("0.999")
    assert portfolio.fees == Decimal("0.1")
    assert portfolio.cash("USDT") == 900
    assert portfolio.equity == Decimal("999.9")
    assert identity_holds(portfolio)


def test_a_rebate_is_a_negative_fee(portfolio, fill_of):
    portfolio.apply_fill(fill_of("buy", 1, 100, "-0.02"))
    assert portfolio.fees == Decimal("-0.02")
    assert portfolio.pnl == Decimal("0.02")


def test_a_fee_in_a_third_asset_is_valued_at_its_mark(portfolio, fill_of):
    portfolio.mark("BNB", 300.0)
    portfolio.apply_fill(fill_of("buy", 1, 100, "0.001", "BNB"))
    assert portfolio.fees == Decimal("0.3")
    assert portfolio.cash("BNB") == Decimal("-0.001")
    assert portfolio.unvalued_fees == {}
    assert portfolio.fees_by_asset == {"BNB": Decimal("0.001")}
    assert identity_holds(portfolio)


def test_a_fee_in_a_third_asset_without_a_mark_is_unvalued_until_it_has_one(portfolio, fill_of):
    portfolio.apply_fill(fill_of("buy", 1, 100, "0.001", "BNB"))
    assert portfolio.unvalued_fees == {"BNB": Decimal("0.001")}
    assert portfolio.cash("BNB") == Decimal("-0.001")
    assert portfolio.fees == 0
    assert portfolio.equity == 1000
    portfolio.mark("BNB", 300.0)
    assert portfolio.unvalued_fees == {}
    assert portfolio.fees == Decimal("0.3")
    assert portfolio.equity == Decimal("999.7")
    assert portfolio.cash("BNB") == Decimal("-0.001")


def test_a_held_fee_asset_pays_the_fees_and_keeps_its_own_pnl(btc, fill_of):
    portfolio = Portfolio({"USDT": 1000, "BNB": 1}, [btc])
    portfolio.mark("BNB", 300.0)
    assert portfolio.initial == portfolio.equity == 1300
    portfolio.mark("BNB", 310.0)
    portfolio.apply_fill(fill_of("buy", 1, 100, "0.5", "BNB"))
    assert portfolio.cash("BNB") == Decimal("0.5")
    assert (portfolio.realised, portfolio.unrealised, portfolio.fees) == (5, 5, 155)
    assert portfolio.equity == 1155
    assert identity_holds(portfolio)


def test_an_opening_holding_counts_from_its_first_price(btc):
    portfolio = Portfolio({"USDT": 1000, "BTC": 2}, [btc])
    assert portfolio.position("BTCUSDT") == portfolio.cash("BTC") == 2
    assert portfolio.equity == 1000
    portfolio.mark("BTCUSDT", 100.0)
    assert portfolio.equity == portfolio.initial == 1200
    portfolio.mark("BTCUSDT", 110.0)
    assert portfolio.pnl == portfolio.day_pnl == portfolio.unrealised == 20


def test_a_fill_before_the_first_mark_prices_an_opening_holding(btc, fill_of):
    portfolio = Portfolio({"USDT": 1000, "BTC": 2}, [btc])
    portfolio.apply_fill(fill_of("sell", 1, 100))
    assert portfolio.initial == 1200
    assert portfolio.realised == 0
    assert portfolio.position("BTCUSDT") == 1


def test_a_fill_is_valued_at_its_own_price_until_a_mark_comes(portfolio, fill_of):
    portfolio.apply_fill(fill_of("buy", 1, 100))
    assert portfolio.equity == 1000
    portfolio.mark("BTCUSDT", 101.5)
    assert portfolio.equity == Decimal("1001.5")


def test_a_mark_means_its_shortest_decimal(portfolio, fill_of):
    portfolio.apply_fill(fill_of("buy", 3, "0.1"))
    portfolio.mark("BTCUSDT", 0.1)
    assert portfolio.unrealised == 0


@pytest.mark.parametrize("price", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_mark_that_is_no_price_is_refused(portfolio, price):
    with pytest.raises(MarketDataError, match="BTCUSDT"):
        portfolio.mark("BTCUSDT", price)


@pytest.mark.parametrize("number", ["NaN", "sNaN", "Infinity", "-Infinity", "0", "-1"])
@pytest.mark.parametrize("field", ["price", "quantity"])
def test_a_fill_that_cannot_be_changes_nothing(portfolio, fill_of, field, number):
    fill = msgspec.structs.replace(fill_of("buy", 1, 100), **{field: Decimal(number)})
    before = portfolio.snapshot()
    with pytest.raises(OrderValueError, match=field):
        portfolio.apply_fill(fill)
    assert portfolio.snapshot() == before


@pytest.mark.parametrize(("fee", "asset"), [("NaN", "USDT"), ("Infinity", "USDT"), ("1", "")])
def test_a_fee_that_cannot_be_is_refused(portfolio, fill_of, fee, asset):
    with pytest.raises(OrderValueError, match="fee"):
        portfolio.apply_fill(fill_of("buy", 1, 100, fee, asset))
    assert portfolio.position("BTCUSDT") == 0


def test_an_unknown_symbol_is_an_error(portfolio, fill_of):
    with pytest.raises(UnknownSymbolError):
        portfolio.apply_fill(fill_of("buy", 1, 100, symbol="XRPUSDT"))
    with pytest.raises(UnknownSymbolError):
        portfolio.position("XRPUSDT")


def test_the_proceeds_of_a_short_and_its_collateral_are_not_available(portfolio, fill_of):
    portfolio.apply_fill(fill_of("sell", 1, 100))
    assert portfolio.cash("USDT") == 1100
    assert portfolio.available("USDT") == 900
    assert portfolio.available("BTC") == 0


def test_what_is_left_below_one_lot_is_dust(portfolio, fill_of):
    portfolio.apply_fill(fill_of("buy", "0.01", 100, "0.000001", "BTC"))
    assert portfolio.dust("BTCUSDT") == Decimal("0.000009")


def test_the_day_begins_at_midnight_utc(portfolio, fill_of):
    assert portfolio.roll_day(DAY - 1) is None
    portfolio.apply_fill(fill_of("buy", 1, 100, at=DAY - 1))
    portfolio.mark("BTCUSDT", 110.0)
    assert portfolio.day_pnl == 10
    assert portfolio.roll_day(DAY - 1) is None
    assert portfolio.roll_day(DAY) == 10
    assert portfolio.day_pnl == 0
    portfolio.mark("BTCUSDT", 105.0)
    assert (portfolio.day_pnl, portfolio.pnl) == (-5, 5)
    assert portfolio.roll_day(2 * DAY - 1) is None


def test_a_fill_after_midnight_begins_its_day(portfolio, fill_of):
    portfolio.apply_fill(fill_of("buy", 1, 100, at=DAY - 1))
    portfolio.mark("BTCUSDT", 110.0)
    portfolio.apply_fill(fill_of("sell", 1, 120, at=DAY))
    assert portfolio.day_pnl == 10


def test_a_snapshot_survives_json_and_goes_on_where_it_stood(btc, portfolio, fill_of):
    first = fill_of("buy", 2, 100, "0.1")
    portfolio.apply_fill(first)
    portfolio.apply_fill(fill_of("sell", 1, 120, "0.001", "BNB"))
    portfolio.mark("BTCUSDT", 115.0)
    encoded = msgspec.json.encode(portfolio.snapshot())
    again = Portfolio({"USDT": 1000}, [btc])
    again.restore(msgspec.json.decode(encoded, type=PortfolioSnapshot))
    assert again.snapshot() == portfolio.snapshot()
    assert again.apply_fill(first) is False
    for each in (portfolio, again):
        each.mark("BNB", 300.0)
        each.apply_fill(fill_of("sell", 1, 130, at=DAY, fill_id="last"))
    assert again.snapshot() == portfolio.snapshot()
    assert again.equity == portfolio.equity


def test_a_snapshot_of_another_account_is_refused(btc, portfolio, eth, fill_of):
    portfolio.apply_fill(fill_of("buy", 1, 100))
    with pytest.raises(ConfigError, match="BTCUSDT"):
        Portfolio({"USDT": 1000}, [eth]).restore(portfolio.snapshot())
    coin = Instrument(venue="p", symbol="BTCUSDC", base="BTC", quote="USDC", tick_size=1, lot_size=1)
    with pytest.raises(ConfigError, match="USDC"):
        Portfolio({}, [coin]).restore(portfolio.snapshot())


def test_instruments_in_two_quote_assets_are_refused(btc):
    coin = Instrument(venue="p", symbol="BTCUSDC", base="BTC", quote="USDC", tick_size=1, lot_size=1)
    with pytest.raises(ConfigError, match="USDC, USDT"):
        Portfolio({}, [btc, coin])
    with pytest.raises(ConfigError, match="none"):
        Portfolio({"USDT": 1}, [])
    with pytest.raises(ConfigError, match="balance of USDT"):
        Portfolio({"USDT": float("nan")}, [btc])


def test_what_each_symbol_has_brought_adds_up_to_the_pnl_before_fees(btc, eth):
    portfolio = Portfolio({"USDT": 1000, "ETH": 2}, [btc, eth])
    portfolio.mark("ETHUSDT", 50.0)

    def fill(number, symbol, side, quantity, price):
        return Fill("c", symbol, side, price, quantity, Decimal("0.5"), "USDT", Liquidity.Taker, str(number), number)

    portfolio.apply_fill(fill(1, "BTCUSDT", Side.Buy, Decimal(2), Decimal(100)))
    portfolio.apply_fill(fill(2, "BTCUSDT", Side.Sell, Decimal(1), Decimal(110)))
    portfolio.apply_fill(fill(3, "ETHUSDT", Side.Sell, Decimal(1), Decimal(45)))
    portfolio.mark("BTCUSDT", 105.0)
    portfolio.mark("ETHUSDT", 40.0)
    assert portfolio.symbol_pnl("BTCUSDT") == 10 + 5
    assert portfolio.symbol_pnl("ETHUSDT") == -5 - 10
    assert portfolio.pnl == 15 - 15 - Decimal("1.5")
    again = Portfolio({}, [btc, eth])
    again.restore(portfolio.snapshot())
    assert again.symbol_pnl("BTCUSDT") == 15
    with pytest.raises(UnknownSymbolError):
        portfolio.symbol_pnl("DOGEUSDT")
