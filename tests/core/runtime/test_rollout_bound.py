"""What a candidate may hold, whatever it wants and whatever fills."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from axon_quant.events import Reject
from axon_quant.market import Instrument
from axon_quant.orders import Order, OrderType, Side
from axon_quant.runtime.rollout.bound import EngineBook, NotionalBound

LIMIT = Decimal(1_000)
SYMBOLS = ("BTCUSDT", "ETHUSDT")
INSTRUMENTS = {
    symbol: Instrument(
        venue="p", symbol=symbol, base=symbol[:3], quote="USDT", tick_size="0.01", lot_size="0.001", min_notional=5
    )
    for symbol in (*SYMBOLS, "SOLUSDT")
}
lots = st.integers(1, 20_000).map(lambda number: Decimal(number).scaleb(-3))
prices = st.integers(5_000, 20_000).map(lambda number: Decimal(number).scaleb(-2))
symbols = st.sampled_from(SYMBOLS)
sides = st.sampled_from(Side)


class Account:
    """Positions, open orders and prices, kept by hand."""

    def __init__(self):
        self.positions = defaultdict(Decimal)
        self.open = {}
        self.prices = dict.fromkeys(SYMBOLS, Decimal(100))
        self.book = EngineBook(
            lambda symbol: self.positions[symbol],
            lambda symbol: (self.pending(symbol, Side.Buy), self.pending(symbol, Side.Sell)),
            lambda symbol: float(self.prices.get(symbol, 0)),
            INSTRUMENTS.__getitem__,
        )

    def pending(self, symbol, side):
        return sum((o.quantity for o in self.open.values() if (o.symbol, o.side) == (symbol, side)), Decimal(0))

    def reach(self, symbol, side):
        """The position on one side once every open order there is filled."""
        return self.positions[symbol] * side.sign + self.pending(symbol, side)


class Bounded(RuleBasedStateMachine):
    """Prices stand still but for `move`; then only what was placed since counts against the limit."""

    def __init__(self):
        super().__init__()
        self.account = Account()
        self.bound = NotionalBound(LIMIT, SYMBOLS, self.account.book)
        self.moved = False

    @rule(symbol=symbols, side=sides, quantity=lots, price=st.none() | prices)
    def place(self, symbol, side, quantity, price):
        account = self.account
        kind = OrderType.Market if price is None else OrderType.Limit
        order = Order(symbol, side, kind, price, quantity)
        before = account.reach(symbol, side)
        answer = self.bound.check(order)
        if before + quantity <= 0:
            assert answer is order, "what only reduces passes as it is"
        if isinstance(answer, Reject):
            assert answer.control == "canary-notional"
            return
        assert answer.client_order_id == order.client_order_id
        assert 0 < answer.quantity <= quantity
        assert answer.quantity % INSTRUMENTS[symbol].lot_size == 0
        account.open[order.client_order_id] = answer
        reach = account.reach(symbol, side)
        if reach > 0:
            others = sum(self.bound.exposure(other) for other in SYMBOLS if other != symbol)
            assert reach * max(account.prices[symbol], price or Decimal(0)) + others <= LIMIT

    @rule(data=st.data())
    def fill(self, data):
        account = self.account
        if account.open:
            order = account.open.pop(data.draw(st.sampled_from(sorted(account.open))))
            account.positions[order.symbol] += order.quantity * order.side.sign

    @rule(data=st.data())
    def cancel(self, data):
        if self.account.open:
            self.account.open.pop(data.draw(st.sampled_from(sorted(self.account.open))))

    @rule(symbol=symbols, price=prices)
    def move(self, symbol, price):
        self.account.prices[symbol] = price
        self.moved = True

    @invariant()
    def exposure_is_bounded(self):
        if not self.moved:
            assert sum(map(self.bound.exposure, SYMBOLS)) <= LIMIT


TestBounded = Bounded.TestCase
TestBounded.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_an_order_beyond_the_bound_is_made_smaller_and_one_without_room_is_refused():
    account = Account()
    bound = NotionalBound(LIMIT, SYMBOLS, account.book)
    smaller = bound.check(Order("BTCUSDT", Side.Buy, OrderType.Limit, 100, "12.5"))
    assert smaller.quantity == 10
    account.positions["ETHUSDT"] = Decimal(10)
    refused = bound.check(Order("BTCUSDT", Side.Buy, OrderType.Limit, 100, 1))
    assert (refused.control, Decimal(refused.value), Decimal(refused.limit)) == ("canary-notional", 100, 0)
    assert bound.check(Order("ETHUSDT", Side.Sell, OrderType.Limit, 100, 10)).quantity == 10


def test_a_reversal_is_cut_to_what_closes_and_what_may_open():
    account = Account()
    account.positions["BTCUSDT"] = Decimal(-3)
    bound = NotionalBound(LIMIT, SYMBOLS, account.book)
    assert bound.check(Order("BTCUSDT", Side.Buy, OrderType.Limit, 100, 40)).quantity == 13
    account.positions["ETHUSDT"] = Decimal(50)
    assert bound.check(Order("BTCUSDT", Side.Buy, OrderType.Limit, 100, 40)).quantity == 3


def test_a_decision_of_the_canary_may_not_trade_what_is_not_in_it():
    bound = NotionalBound(LIMIT, SYMBOLS, Account().book)
    refused = bound.check(Order("SOLUSDT", Side.Buy, OrderType.Limit, 100, 1))
    assert refused.control == "canary-keys"


def test_a_symbol_without_a_price_is_refused():
    account = Account()
    account.prices["BTCUSDT"] = Decimal(0)
    bound = NotionalBound(LIMIT, SYMBOLS, account.book)
    assert bound.check(Order("BTCUSDT", Side.Buy, OrderType.Market, None, 1)).value == "BTCUSDT has no price"
