"""The portfolio against a ledger that keeps every unit of quantity apart, with fractions instead of Decimals."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from axon_quant.market import Instrument
from axon_quant.orders import Fill, Liquidity, Side
from axon_quant.portfolio import Portfolio

BTC = Instrument(venue="paper", symbol="BTCUSDT", base="BTC", quote="USDT", tick_size="0.01", lot_size="0.001")
BNB_PRICE = 312.37

prices = st.integers(1, 10**7).map(lambda ticks: Decimal(ticks).scaleb(-2))
quantities = st.integers(1, 12).map(lambda lots: Decimal(lots).scaleb(-3))
fees = st.tuples(st.integers(-5, 20).map(lambda n: Decimal(n).scaleb(-7)), st.sampled_from(["USDT", "BTC", "BNB"]))
trades = st.lists(st.tuples(st.sampled_from(Side), prices, quantities, fees), max_size=30)


class Ledger:
    """First in, first out, written the slow way: lots as a list of [signed quantity, price]."""

    def __init__(self):
        self.cash = Fraction(1000)
        self.realised = self.fees = Fraction(0)
        self.lots = {"BTC": [], "BNB": []}

    def move(self, asset, signed, price):
        while signed and self.lots[asset]:
            head = self.lots[asset][0]
            if head[0] * signed > 0:
                break
            size = min(abs(head[0]), abs(signed))
            direction = 1 if head[0] > 0 else -1
            self.realised += direction * size * (price - head[1])
            head[0] -= direction * size
            signed += direction * size
            if not head[0]:
                self.lots[asset].pop(0)
        if signed:
            self.lots[asset].append([signed, price])

    def trade(self, side, price, quantity, fee, asset):
        price, signed, fee = Fraction(price), Fraction(quantity) * side.sign, Fraction(fee)
        self.move("BTC", signed, price)
        self.cash -= signed * price
        if asset == "USDT":
            self.cash -= fee
            self.fees += fee
        else:
            at = price if asset == "BTC" else Fraction(repr(BNB_PRICE))
            self.fees += fee * at
            if fee:
                self.move(asset, -fee, at)

    def equity(self, marks):
        return self.cash + sum(quantity * marks[asset] for asset, lots in self.lots.items() for quantity, _ in lots)


@settings(max_examples=150, deadline=None)
@given(trades=trades, mark=prices)
def test_the_portfolio_agrees_with_an_independent_ledger_to_the_last_digit(trades, mark):
    portfolio, ledger = Portfolio({"USDT": 1000}, [BTC]), Ledger()
    portfolio.mark("BNB", BNB_PRICE)
    for number, (side, price, quantity, (fee, asset)) in enumerate(trades):
        fill = Fill("c", "BTCUSDT", side, price, quantity, fee, asset, Liquidity.Taker, str(number), number)
        portfolio.apply_fill(fill)
        portfolio.apply_fill(fill)
        ledger.trade(side, price, quantity, fee, asset)
    portfolio.mark("BTCUSDT", float(mark))
    marks = {"BTC": Fraction(mark), "BNB": Fraction(repr(BNB_PRICE))}
    assert Fraction(portfolio.cash("USDT")) == ledger.cash
    assert Fraction(portfolio.realised) == ledger.realised
    assert Fraction(portfolio.fees) == ledger.fees
    assert Fraction(portfolio.position("BTCUSDT")) == sum(quantity for quantity, _ in ledger.lots["BTC"])
    assert Fraction(portfolio.equity) == ledger.equity(marks)
    total = [portfolio.initial, portfolio.realised, portfolio.unrealised, -portfolio.fees]
    assert Fraction(portfolio.equity) == sum(map(Fraction, total))


huge = st.decimals("1e-12", "1e12", places=12)


@settings(max_examples=100, deadline=None)
@given(trades=st.lists(st.tuples(st.sampled_from(Side), huge, huge), min_size=1, max_size=8))
def test_no_digit_is_lost_however_far_apart_the_numbers_are(trades):
    portfolio = Portfolio({"USDT": "0.000000000001"}, [BTC])
    for number, (side, price, quantity) in enumerate(trades):
        portfolio.apply_fill(
            Fill("c", "BTCUSDT", side, price, quantity, Decimal("1e-12"), "USDT", Liquidity.Taker, str(number), number)
        )
    total = [portfolio.initial, portfolio.realised, portfolio.unrealised, -portfolio.fees]
    assert Fraction(portfolio.equity) == sum(map(Fraction, total))
