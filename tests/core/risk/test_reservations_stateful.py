"""Whatever order fills, cancels, rejections and repeats come in: filled plus open never exceeds the limit."""

from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, precondition, rule

from axon_quant.clock import SimClock
from axon_quant.market import Instrument
from axon_quant.orders import Fill, Liquidity, Order, OrderStatus, OrderUpdate, Side
from axon_quant.risk import FixedAccount, LastPrices, RiskEngine, RiskLimits

LIMIT = 10
TTL = 3_600 * 10**9
BTC = Instrument(venue="p", symbol="BTCUSDT", base="BTC", quote="USDT", tick_size="0.01", lot_size="0.001")
lots = st.integers(1, 12_000).map(lambda number: Decimal(number).scaleb(-3))


class Venue:
    """What the test knows about one order, independently of the engine."""

    def __init__(self, order):
        self.order = order
        self.executed = Decimal(0)
        self.reported = Decimal(0)
        self.live = True
        self.fills = []
        self.last = None

    @property
    def exposed(self):
        """What can still move the position: not executed while live, or executed and not yet reported."""
        return (self.order.quantity if self.live else self.executed) - self.reported


class Reservations(RuleBasedStateMachine):
    orders = Bundle("orders")

    def __init__(self):
        super().__init__()
        self.clock = SimClock(10**18)
        self.account = FixedAccount(1000, {"USDT": 1000})
        self.prices = LastPrices(self.clock)
        limits = RiskLimits(
            max_notional=1,
            max_position=1,
            messages_per_second=1e9,
            message_burst=1e9,
            max_open_orders=10_000,
            duplicate_window_ms=1e-6,
            reservation_ttl_ms=TTL / 1e6,
        )
        self.engine = RiskEngine(
            limits,
            [BTC],
            account=self.account,
            prices=self.prices,
            clock=self.clock,
            fee_rate=Decimal(0),
            allow_short=True,
        )
        self.account.balances["USDT"] = Decimal(10**9)
        self.venue = []
        self.numbers = 0

    def report(self, known, status, fill=None):
        if fill is not None:
            sign = known.order.side.sign
            self.account.positions["BTCUSDT"] = self.account.position("BTCUSDT") + sign * fill.quantity
            known.reported += fill.quantity
        known.last = OrderUpdate(
            known.order.client_order_id, status, self.clock.now(), filled_quantity=known.executed, fill=fill
        )
        self.engine.on_update(known.last)

    def fill_of(self, known, quantity):
        self.numbers += 1
        return Fill(
            known.order.client_order_id,
            "BTCUSDT",
            known.order.side,
            Decimal(100),
            quantity,
            Decimal(0),
            "USDT",
            Liquidity.Maker,
            str(self.numbers),
            self.clock.now(),
        )

    @rule(target=orders, side=st.sampled_from(Side), quantity=lots)
    def place(self, side, quantity):
        self.clock.advance(self.clock.now() + 10**6)
        self.prices.mark("BTCUSDT", 100.0)
        # Prices apart, so that no order meets one of ours.
        order = Order("BTCUSDT", side, price=99 if side is Side.Buy else 101, quantity=quantity)
        reach = self.account.position("BTCUSDT") * side.sign + self.exposed(side) + quantity
        accepted = bool(self.engine.check_order(order))
        assert accepted is (reach <= LIMIT and quantity * order.price <= 1000)
        known = Venue(order)
        known.live = accepted
        if accepted:
            self.engine.on_sent(order.client_order_id)
            self.venue.append(known)
        return known

    @rule(known=orders, share=st.fractions(0, 1), reported=st.booleans())
    def execute(self, known, share, reported):
        rest = known.order.quantity - known.executed
        if not known.live or not rest:
            return
        quantity = max(Decimal("0.001"), BTC.round_quantity(rest * share.numerator / share.denominator))
        known.executed += quantity
        known.live = known.executed < known.order.quantity
        status = OrderStatus.PartiallyFilled if known.live else OrderStatus.Filled
        fill = self.fill_of(known, quantity)
        if reported:
            self.report(known, status, fill)
        else:
            known.fills.append(fill)
            self.report(known, status)

    @rule(known=orders)
    def deliver_a_late_fill(self, known):
        if known.fills:
            status = OrderStatus.PartiallyFilled if known.live else OrderStatus.Cancelled
            self.report(known, status, known.fills.pop())

    @rule(known=orders, status=st.sampled_from([OrderStatus.Cancelled, OrderStatus.Expired]))
    def end(self, known, status):
        if known.live:
            known.live = False
            self.report(known, status)

    @rule(known=consumes(orders))
    def reject(self, known):
        if known.live and not known.executed:
            known.live = False
            self.report(known, OrderStatus.Rejected)

    @rule(known=orders, status=st.sampled_from([OrderStatus.Open, OrderStatus.Unknown, OrderStatus.Submitted]))
    def say_something_else(self, known, status):
        if known.live:
            self.report(known, status)

    @rule(known=orders)
    def repeat(self, known):
        if known.last is not None:
            self.engine.on_update(known.last)

    @precondition(lambda self: self.venue)
    @rule()
    def check_again(self):
        order = self.venue[-1].order
        if self.venue[-1].live:
            assert self.engine.check_order(order)

    def exposed(self, side):
        return sum((known.exposed for known in self.venue if known.order.side is side), Decimal(0))

    @invariant()
    def the_engine_knows_what_is_open(self):
        assert self.engine.open_quantity("BTCUSDT") == (self.exposed(Side.Buy), self.exposed(Side.Sell))

    @invariant()
    def filled_plus_open_never_exceeds_the_limit(self):
        position = self.account.position("BTCUSDT")
        assert position + self.exposed(Side.Buy) <= LIMIT
        assert self.exposed(Side.Sell) - position <= LIMIT

    @invariant()
    def money_is_held_only_for_what_is_open(self):
        held = self.engine.reserved("USDT")
        assert 0 <= held <= self.exposed(Side.Buy) * 99 + self.exposed(Side.Sell) * 101


Reservations.TestCase.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)
TestReservations = Reservations.TestCase
