from decimal import Decimal

import pytest

from axon_quant.inference.action import Action
from axon_quant.market import Instrument, Quote
from axon_quant.orders import Order, OrderState, Side

BTC = Instrument(
    venue="paper",
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick_size="0.01",
    lot_size="0.00001",
    min_notional="5",
)


class Script:
    """A context whose numbers a test sets."""

    def __init__(self):
        self.symbol = "BTCUSDT"
        self.now = 10**18
        self.equity = Decimal(100_000)
        self.held = Decimal(0)
        self.orders = []
        self.touch(49_999.99, 50_000.01)

    def touch(self, bid, ask):
        self.best = Quote("BTCUSDT", self.now, bid, 1.0, ask, 1.0)

    def wait(self, milliseconds):
        self.now += round(milliseconds * 1e6)

    def work(self, side, price="49999.99", quantity="0.02"):
        state = OrderState(Order("BTCUSDT", Side(side), price=price, quantity=quantity), created_at=self.now)
        self.orders.append(state)
        return state

    def position(self, symbol):
        assert symbol == self.symbol
        return self.held

    def quote(self, symbol):
        assert symbol == self.symbol
        return self.best

    def reference_price(self, symbol):
        return None if self.quote(symbol) is None else self.best.mid

    def instrument(self, symbol):
        assert symbol == self.symbol
        return BTC

    def open_orders(self, symbol):
        assert symbol == self.symbol
        return list(self.orders)


def action_of(name):
    return Action(name, ("buy", "sell", "hold").index(name) if name in ("buy", "sell", "hold") else 0, 0.9, (0.9,))


@pytest.fixture
def script():
    return Script()


@pytest.fixture
def decide(script):
    """What a strategy answers to one action, as a list."""
    return lambda strategy, name: list(strategy.on_decision(script, action_of(name)))
