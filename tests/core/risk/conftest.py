from decimal import Decimal

import pytest

from axon_quant.clock import SimClock
from axon_quant.market import Instrument
from axon_quant.orders import Fill, Liquidity, Order, OrderStatus, OrderType, OrderUpdate, Side
from axon_quant.risk import FixedAccount, LastPrices, RiskEngine, RiskLimits

START = 20_000 * 86_400 * 10**9


def coin(base):
    return Instrument(
        venue="paper",
        symbol=f"{base}USDT",
        base=base,
        quote="USDT",
        tick_size="0.01",
        lot_size="0.001",
        min_notional="5",
    )


class Desk:
    """A risk engine with everything around it that a test wants to move."""

    def __init__(self, *, allow_short=True, fee_rate="0", equity=100_000, **limits):
        wide = {"max_notional": "1", "max_position": "1", "messages_per_second": 1e6, "message_burst": 1e6}
        self.clock = SimClock(START)
        self.account = FixedAccount(equity, {"USDT": "100000", "BTC": "10", "ETH": "0"})
        self.prices = LastPrices(self.clock)
        self.events = []
        self.engine = RiskEngine(
            RiskLimits(**{**wide, **limits}),
            [coin("BTC"), coin("ETH")],
            account=self.account,
            prices=self.prices,
            clock=self.clock,
            emit=self.events.append,
            fee_rate=Decimal(fee_rate),
            allow_short=allow_short,
        )
        self.prices.mark("BTCUSDT", 100.0)
        self.prices.mark("ETHUSDT", 10.0)

    def order(self, side="buy", quantity="1", price="100", symbol="BTCUSDT", **more):
        if price is None:
            return Order(symbol, Side(side), OrderType.Market, None, quantity, **more)
        return Order(symbol, Side(side), OrderType.Limit, price, quantity, **more)

    def check(self, *args, **more):
        """The names of the controls that refuse such an order; empty when it is accepted."""
        decision = self.engine.check_order(self.order(*args, **more))
        assert bool(decision) is (not decision.rejects)
        return [reject.control for reject in decision.rejects]

    def place(self, *args, **more):
        order = self.order(*args, **more)
        decision = self.engine.check_order(order)
        assert decision, str(decision)
        self.engine.on_sent(order.client_order_id)
        return order

    def update(self, order, status, *, filled="0", fill=None, fill_id="1"):
        if fill is not None:
            fill = Fill(
                client_order_id=order.client_order_id,
                symbol=order.symbol,
                side=order.side,
                price=Decimal(100),
                quantity=Decimal(fill),
                fee=Decimal(0),
                fee_asset="USDT",
                liquidity=Liquidity.Maker,
                fill_id=fill_id,
                at=self.clock.now(),
            )
        self.engine.on_update(
            OrderUpdate(
                order.client_order_id,
                OrderStatus(status),
                self.clock.now(),
                filled_quantity=Decimal(filled),
                fill=fill,
            )
        )

    def wait(self, seconds):
        self.clock.advance(self.clock.now() + round(seconds * 1e9))

    def fresh(self):
        self.prices.mark("BTCUSDT", 100.0)
        self.prices.mark("ETHUSDT", 10.0)


@pytest.fixture
def desk():
    return Desk
