"""What holds for the paper venue whatever happens: a random market, random orders, random cancels."""

from __future__ import annotations

from decimal import Context, Decimal, Inexact

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from axon_quant.exchange import CancelResult, PaperVenue
from axon_quant.market import BookSnapshot, BookUpdate, Instrument, OrderBook, Quote, Trade
from axon_quant.orders import Fill, Liquidity, Order, OrderTracker, OrderType, OrderUpdate, Side, TimeInForce

EXACT = Context(prec=200, traps=[Inexact])
START = {"USDT": Decimal("50000.123456789"), "BTC": Decimal("20.005")}
MAKER, TAKER = Decimal("-0.0001"), Decimal("0.00075")
INSTRUMENT = Instrument(
    venue="paper",
    symbol="BTCUSDT",
    base="BTC",
    quote="USDT",
    tick_size=Decimal("0.01"),
    lot_size=Decimal("0.001"),
    min_notional=Decimal("5"),
)
ticks = st.integers(9_990, 10_010)
sizes = st.integers(1, 4_000)
sides = st.sampled_from(Side)


def price_of(tick: int) -> float:
    return float(Decimal(tick) / 100)


def size_of(lots: int) -> float:
    return float(Decimal(lots) / 1_000)


class PaperVenueMachine(RuleBasedStateMachine):
    """Drives one venue; every update is checked as it comes."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000
        self.book = OrderBook("BTCUSDT")
        self.tracker = OrderTracker()
        self.orders: dict[str, Order] = {}
        self.fills: list[Fill] = []
        self.cancels: list[CancelResult] = []
        self.log: list[OrderUpdate] = []
        self.venue = PaperVenue(
            [INSTRUMENT],
            START,
            latency_ns=500,
            jitter_ns=1_500,
            maker_fee=MAKER,
            taker_fee=TAKER,
            seed=11,
            on_update=self.on_update,
            on_cancel=self.cancels.append,
        )
        self.venue.watch("BTCUSDT", self.book)

    def on_update(self, update: OrderUpdate) -> None:
        self.log.append(update)
        order = self.orders[update.client_order_id]
        assert self.tracker.apply(update), "every update of a deterministic venue is news"
        assert update.filled_quantity <= order.quantity
        fill = update.fill
        if fill is None:
            return
        self.fills.append(fill)
        if order.price is not None:
            assert (fill.price - order.price) * order.side.sign <= 0, "never worse than the limit"
        rate = MAKER if fill.liquidity is Liquidity.Maker else TAKER
        assert fill.fee == EXACT.multiply(EXACT.multiply(fill.price, fill.quantity), rate)
        assert fill.quantity % INSTRUMENT.lot_size == 0

    def event(self, event: Quote | Trade | BookUpdate | BookSnapshot) -> None:
        self.venue.advance(event.received)
        if isinstance(event, BookUpdate):
            self.book.apply(event)
        elif isinstance(event, BookSnapshot):
            self.book.restore(event)
        self.venue.on_market(event)

    def tick(self) -> int:
        self.now += 1_500
        return self.now

    @initialize()
    def snapshot(self) -> None:
        bids = [(price_of(9_999 - step), size_of(700 + 13 * step)) for step in range(8)]
        asks = [(price_of(10_001 + step), size_of(500 + 17 * step)) for step in range(8)]
        self.event(BookSnapshot("BTCUSDT", self.tick(), 1, bids, asks))

    @rule(side=sides, tick=ticks, lots=st.integers(0, 4_000))
    def level_changes(self, side: Side, tick: int, lots: int) -> None:
        if not self.book.whole:
            return
        level = [(price_of(tick), size_of(lots))]
        sequence = self.book.sequence + 1
        bids, asks = (level, []) if side is Side.Buy else ([], level)
        self.event(BookUpdate("BTCUSDT", self.tick(), sequence, sequence, bids, asks))

    @rule()
    def book_comes_back(self) -> None:
        if not self.book.whole:
            bids, asks = [(99.98, 2.0), (99.97, 3.0)], [(100.02, 2.0), (100.05, 3.0)]
            self.event(BookSnapshot("BTCUSDT", self.tick(), self.book.sequence + 1, bids, asks))

    @rule(bid=ticks, spread=st.integers(1, 4), bid_lots=sizes, ask_lots=sizes, fresh=st.booleans())
    def quote(self, bid: int, spread: int, bid_lots: int, ask_lots: int, fresh: bool) -> None:
        sequence = self.book.sequence + 1 if fresh else max(1, self.book.sequence - 1)
        self.event(
            Quote(
                "BTCUSDT",
                self.tick(),
                price_of(bid),
                size_of(bid_lots),
                price_of(bid + spread),
                size_of(ask_lots),
                sequence,
            )
        )

    @rule(tick=ticks, lots=sizes, seller=st.booleans())
    def trade(self, tick: int, lots: int, seller: bool) -> None:
        self.event(Trade("BTCUSDT", self.tick(), price_of(tick), size_of(lots), buyer_is_maker=seller))

    @rule(
        side=sides,
        tick=ticks | st.none(),
        lots=st.integers(40, 6_000) | st.integers(1, 40_000),
        time_in_force=st.sampled_from(TimeInForce),
        post_only=st.booleans(),
        reduce_only=st.booleans(),
    )
    def place(
        self, side: Side, tick: int | None, lots: int, time_in_force: TimeInForce, post_only: bool, reduce_only: bool
    ) -> None:
        order = Order(
            "BTCUSDT",
            side,
            OrderType.Market if tick is None else OrderType.Limit,
            None if tick is None else Decimal(tick) / 100,
            Decimal(lots) / 1_000,
            time_in_force=time_in_force,
            post_only=post_only and time_in_force is TimeInForce.GTC,
            reduce_only=reduce_only,
            client_order_id=f"m{len(self.orders)}",
        )
        self.orders[order.client_order_id] = order
        self.tracker.add(order, self.now)
        self.venue.submit(order, self.now)

    @rule(side=sides, tick=ticks, lots=st.integers(100, 900))
    def rest(self, side: Side, tick: int, lots: int) -> None:
        """A plain limit order that can always be paid for: most of the resting ones."""
        self.place(side, tick, lots, TimeInForce.GTC, False, False)

    @precondition(lambda self: self.orders)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.venue.cancel(data.draw(st.sampled_from(sorted(self.orders))), self.now)

    @invariant()
    def balances_are_the_start_and_the_fills_and_nothing_else(self) -> None:
        expected = dict(START)
        for fill in self.fills:
            value = EXACT.multiply(fill.price, fill.quantity)
            sign = fill.side.sign
            expected["BTC"] = EXACT.add(expected["BTC"], sign * fill.quantity)
            expected["USDT"] = EXACT.subtract(EXACT.subtract(expected["USDT"], EXACT.multiply(value, sign)), fill.fee)
        balances = self.venue.balances()
        assert {asset: balance.total for asset, balance in balances.items()} == expected
        assert all(balance.free >= 0 and balance.locked >= 0 for balance in balances.values())
        assert self.venue.fills() == self.fills

    @invariant()
    def nothing_is_locked_without_open_orders(self) -> None:
        if not self.venue.open_orders():
            assert all(balance.locked == 0 for balance in self.venue.balances().values())

    @invariant()
    def the_venue_and_a_tracker_agree(self) -> None:
        for state in self.venue.open_orders():
            mine = self.tracker.get(state.order.client_order_id)
            assert mine is not None
            assert (mine.status, mine.filled_quantity) == (state.status, state.filled_quantity)

    @invariant()
    def own_orders_never_cross(self) -> None:
        resting = self.venue.engine("BTCUSDT").resting
        bids = [order.price for order in resting if order.side is Side.Buy and order.price is not None]
        asks = [order.price for order in resting if order.side is Side.Sell and order.price is not None]
        assert not (bids and asks and max(bids) >= min(asks))


TestPaperVenueMachine = PaperVenueMachine.TestCase
TestPaperVenueMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 3_000), st.integers(10_001, 10_008)), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 2_000)), max_size=4),
)
def test_takers_together_never_take_more_than_was_displayed(
    orders: list[tuple[int, int]], updates: list[tuple[int, int]]
) -> None:
    fills: list[Fill] = []
    venue = PaperVenue(
        [INSTRUMENT],
        {"USDT": Decimal(10**9)},
        on_update=lambda update: fills.append(update.fill) if update.fill else None,
    )
    book = OrderBook("BTCUSDT")
    venue.watch("BTCUSDT", book)
    displayed = {10_001 + step: 600 for step in range(8)}
    snapshot = BookSnapshot(
        "BTCUSDT", 1, 1, [(99.0, 1.0)], [(price_of(tick), size_of(lots)) for tick, lots in displayed.items()]
    )
    book.restore(snapshot)
    venue.on_market(snapshot)
    # What may be bought at a level: every size it was displayed with, counted again only when the size changed.
    allowance = dict(displayed)
    for number, (lots, tick) in enumerate(orders):
        limit = Decimal(tick) / 100
        order = Order(
            "BTCUSDT",
            Side.Buy,
            price=limit,
            quantity=Decimal(lots + 50) / 1_000,
            time_in_force=TimeInForce.IOC,
            client_order_id=f"t{number}",
        )
        venue.submit(order, 10 + number)
        venue.advance(10 + number)
        if number < len(updates):
            step, size = updates[number]
            changed = 10_001 + step
            if size != displayed[changed]:
                displayed[changed] = size
                allowance[changed] += size
            update = BookUpdate(
                "BTCUSDT", 10 + number, 2 + number, 2 + number, [], [(price_of(changed), size_of(size))]
            )
            book.apply(update)
            venue.on_market(update)
    for tick, lots in allowance.items():
        bought = sum(fill.quantity for fill in fills if fill.price == Decimal(tick) / 100)
        assert bought <= Decimal(lots) / 1_000


steps = st.lists(
    st.tuples(sides, ticks, st.integers(40, 3_000), st.sampled_from(TimeInForce), st.booleans()),
    min_size=1,
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(steps, st.integers(0, 3))
def test_two_runs_with_one_seed_report_the_same(
    orders: list[tuple[Side, int, int, TimeInForce, bool]], seed: int
) -> None:
    def run() -> list[OrderUpdate | CancelResult]:
        reported: list[OrderUpdate | CancelResult] = []
        venue = PaperVenue(
            [INSTRUMENT],
            START,
            latency_ns=500,
            jitter_ns=3_000,
            maker_fee=MAKER,
            taker_fee=TAKER,
            seed=seed,
            on_update=reported.append,
            on_cancel=reported.append,
        )
        venue.watch("BTCUSDT", OrderBook("BTCUSDT"))
        for number, (side, tick, lots, time_in_force, cancels) in enumerate(orders):
            at = number * 1_000
            venue.advance(at)
            venue.on_market(Quote("BTCUSDT", at, price_of(tick - 1), 1.0, price_of(tick + 1), 2.0))
            order = Order(
                "BTCUSDT",
                side,
                price=Decimal(tick) / 100,
                quantity=Decimal(lots) / 1_000,
                time_in_force=time_in_force,
                client_order_id=f"d{number}",
            )
            venue.submit(order, at)
            if cancels:
                venue.cancel(f"d{number // 2}", at)
        venue.advance(10**9)
        return reported

    assert run() == run()
