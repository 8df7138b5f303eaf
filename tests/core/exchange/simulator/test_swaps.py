"""Perpetual swaps at a simulated venue: positions, margin, reduce-only orders, funding."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axon_quant.clock import SimClock
from axon_quant.exchange.primitives import MarginMode
from axon_quant.exchange.simulator import (
    Account,
    AccountEvent,
    PositionEvent,
    Refusal,
    RefusedError,
    SimulatedExchange,
    SwapTerms,
)
from axon_quant.market.instrument import Instrument, InstrumentKind
from axon_quant.market.types import BookSnapshot, Quote, Trade
from axon_quant.orders.types import Order, OrderStatus, OrderType, Side, TimeInForce

START = 1_700_000_000_000_000_000
HOUR = 3_600_000_000_000
SWAP = "BTC-USDT-SWAP"
BTC_SWAP = Instrument(
    venue="x",
    symbol=SWAP,
    base="BTC",
    quote="USDT",
    tick_size="0.1",
    lot_size="0.01",
    kind=InstrumentKind.Swap,
    contract_size="0.01",
)
Cross, Isolated = MarginMode.Cross, MarginMode.Isolated


class Venue:
    """An exchange with one swap, one account, a book that is deep at two prices and a clock that stands."""

    def __init__(self, usdt: str = "10000", **terms: object) -> None:
        self.account = Account.named("main", {"USDT": usdt}, prefix="YOUR")
        self.exchange = SimulatedExchange(
            [BTC_SWAP],
            [self.account],
            maker_fee=Decimal("0.0002"),
            taker_fee=Decimal("0.0005"),
            swap_terms=SwapTerms(**terms),
        )
        self.clock = SimClock(START)
        self.exchange.now = self.clock.now
        self.sequence = 0
        self.events: list[object] = []
        self.account.listeners.append(self.events.append)
        self.moves_to(50_000.0)

    @property
    def swaps(self):
        return self.exchange.swaps

    def moves_to(self, price: float) -> None:
        """10,000 contracts are bid there and asked 0.2 above."""
        now, self.sequence = self.clock.now(), self.sequence + 1
        self.exchange.on_market(BookSnapshot(SWAP, now, self.sequence, [(price, 10_000.0)], [(price + 0.2, 10_000.0)]))
        self.exchange.on_market(Quote(SWAP, now, price, 10_000.0, price + 0.2, 10_000.0, self.sequence))

    def trade(self, price: float, quantity: float = 1.0, *, buyer_is_maker: bool = True) -> None:
        self.exchange.on_market(Trade(SWAP, self.clock.now(), price, quantity, buyer_is_maker))

    def place(self, side: Side, price: str | None, quantity: str, mode: MarginMode | None = None, **more):
        kind = more.pop("kind", OrderType.Market if price is None else OrderType.Limit)
        return self.exchange.place(self.account, Order(SWAP, side, kind, price, quantity, **more), margin_mode=mode)

    def position(self, mode: MarginMode = Cross):
        return self.account.positions[SWAP, mode]

    def free(self) -> Decimal:
        return self.account.free("USDT")

    @property
    def causes(self) -> list[str]:
        return [event.cause for event in self.events if isinstance(event, (AccountEvent, PositionEvent))]


def test_a_position_has_the_mean_price_of_what_opened_it():
    venue = Venue()
    venue.place(Side.Buy, None, "1")
    venue.moves_to(51_000.0)
    venue.place(Side.Buy, None, "3")
    position = venue.position()
    assert (position.quantity, position.entry_price) == (4, Decimal("50750.2"))
    assert position.cost == Decimal("2030.008")
    assert venue.swaps.mark(SWAP) == Decimal("51000.1")
    assert venue.swaps.unrealised(position) == Decimal("2040.004") - Decimal("2030.008")


def test_closing_a_part_realises_its_share_and_leaves_the_entry_where_it_was():
    venue = Venue()
    venue.place(Side.Sell, None, "3")  # at 50,000
    venue.moves_to(49_000.0)
    bought = venue.place(Side.Buy, None, "1")  # at 49,000.2
    (fill,) = bought.fills
    assert fill.realised == Decimal("9.998")
    position = venue.position()
    assert (position.quantity, position.entry_price, position.realised) == (-2, 50_000, Decimal("9.998"))
    fees = Decimal("1500") * Decimal("0.0005") + Decimal("490.002") * Decimal("0.0005")
    assert venue.account.totals["USDT"] == 10_000 + Decimal("9.998") - fees
    assert position.fees == -fees


def test_an_order_larger_than_the_position_turns_it_round():
    venue = Venue()
    venue.place(Side.Buy, None, "2")
    first = venue.position().position_id
    venue.moves_to(50_500.0)
    (fill,) = venue.place(Side.Sell, None, "5").fills
    position = venue.position()
    assert fill.realised == Decimal("9.996")
    assert (position.quantity, position.entry_price) == (-3, 50_500)
    assert position.position_id != first
    assert position.realised == 0


def test_margin_is_what_an_order_would_open_divided_by_the_leverage():
    venue = Venue(leverage=10)
    resting = venue.place(Side.Buy, "40000", "10")
    assert venue.account.locked["USDT"] == 400
    venue.exchange.cancel(venue.account, resting)
    assert venue.account.locked["USDT"] == 0
    venue.place(Side.Buy, None, "10")
    assert venue.account.locked["USDT"] == venue.position().margin == Decimal("500.002")
    closing = venue.place(Side.Sell, "60000", "15")  # ten of it close, and need nothing
    assert closing.lock == 300
    assert venue.place(Side.Sell, "60000", "1").lock == 60
    venue.exchange.cancel(venue.account, closing)
    assert venue.account.locked["USDT"] == Decimal("500.002")  # now the other one closes


def test_what_there_is_no_margin_for_is_refused():
    venue = Venue("1000", leverage=10)
    with pytest.raises(RefusedError) as caught:
        venue.place(Side.Buy, "50000", "20.01")
    assert caught.value.kind is Refusal.Funds
    venue.place(Side.Buy, None, "19")
    venue.moves_to(49_900.0)
    assert venue.swaps.available(venue.account, "USDT") == venue.free() + venue.swaps.unrealised(venue.position())
    with pytest.raises(RefusedError):
        venue.place(Side.Buy, "49000", "0.6")  # what is lost by the mark is no margin
    venue.place(Side.Sell, "49900.1", "19")  # closing needs none


def test_leverage_moves_margin_and_is_refused_where_there_is_not_enough():
    venue = Venue("1000", leverage=10)
    venue.place(Side.Buy, "40000", "1")
    venue.place(Side.Buy, None, "10")
    assert venue.account.locked["USDT"] == 40 + Decimal("500.002")
    venue.swaps.set_leverage(venue.account, SWAP, 20)
    assert venue.account.locked["USDT"] == 20 + Decimal("250.001")
    with pytest.raises(RefusedError) as caught:
        venue.swaps.set_leverage(venue.account, SWAP, 5)
    assert caught.value.kind is Refusal.Funds
    assert venue.position().leverage == 20
    assert venue.account.locked["USDT"] == 20 + Decimal("250.001")
    for leverage in (0, 101):
        with pytest.raises(RefusedError) as caught:
            venue.swaps.set_leverage(venue.account, SWAP, leverage)
        assert caught.value.kind is Refusal.Leverage
    assert venue.causes.count("leverage") == 2  # of both modes, once each


def test_an_amendment_that_there_is_no_margin_for_leaves_order_and_margin_as_they_were():
    venue = Venue("1000", leverage=10)
    resting = venue.place(Side.Buy, "40000", "10")
    with pytest.raises(RefusedError) as caught:
        venue.exchange.amend(venue.account, resting, quantity=Decimal(30))
    assert caught.value.kind is Refusal.Funds
    assert (resting.order.quantity, resting.lock, venue.account.locked["USDT"]) == (10, 400, 400)


def test_reduce_only_orders_follow_a_stop_that_closed_the_position_at_once():
    venue = Venue()
    venue.place(Side.Buy, None, "2")
    venue.trade(50_000.1)
    resting = venue.place(Side.Sell, "60000", "2", reduce_only=True)
    venue.place(Side.Sell, None, "2", kind=OrderType.Stop, stop_price="49000")
    venue.trade(48_000.0)
    assert venue.position().quantity == 0
    assert resting.status is OrderStatus.Expired


def test_a_transfer_cannot_take_what_a_cross_position_has_lost():
    venue = Venue("1000", leverage=10)
    venue.place(Side.Buy, None, "10")
    venue.moves_to(49_000.0)
    left = venue.swaps.available(venue.account, "USDT")
    with pytest.raises(RefusedError):
        venue.exchange.transfer(venue.account, "USDT", -left - 1)
    venue.exchange.transfer(venue.account, "USDT", -left)


def test_cross_and_isolated_positions_stand_side_by_side():
    venue = Venue()
    venue.place(Side.Buy, None, "2", Cross)
    venue.place(Side.Sell, None, "1", Isolated)
    assert (venue.position(Cross).quantity, venue.position(Isolated).quantity) == (2, -1)
    venue.moves_to(60_000.0)
    assert venue.swaps.available(venue.account, "USDT") == venue.free()  # an isolated loss is its own


def test_the_margin_mode_of_an_account_changes_only_while_it_is_flat():
    venue = Venue()
    resting = venue.place(Side.Buy, "40000", "1")
    with pytest.raises(RefusedError) as caught:
        venue.swaps.set_margin_mode(venue.account, SWAP, Isolated)
    assert caught.value.kind is Refusal.Position
    venue.exchange.cancel(venue.account, resting)
    venue.swaps.set_margin_mode(venue.account, SWAP, Isolated)
    assert venue.place(Side.Buy, None, "1").position is venue.position(Isolated)


def test_a_reduce_only_order_without_a_position_to_reduce_is_refused():
    venue = Venue()
    for _ in range(2):
        with pytest.raises(RefusedError) as caught:
            venue.place(Side.Buy, None, "1", reduce_only=True)
        assert caught.value.kind is Refusal.ReduceOnly
        venue.place(Side.Buy, None, "1")  # a long position cannot be reduced by buying either
    assert len(venue.account.orders) == 2


def test_a_reduce_only_order_becomes_as_large_as_the_position_or_is_refused():
    venue = Venue()
    venue.place(Side.Buy, None, "2")
    closed = venue.place(Side.Sell, None, "5", reduce_only=True)
    assert (closed.status, closed.order.quantity) == (OrderStatus.Filled, 2)
    assert venue.position().quantity == 0

    strict = Venue(clip_reduce_only=False)
    strict.place(Side.Buy, None, "2")
    with pytest.raises(RefusedError) as caught:
        strict.place(Side.Sell, None, "2.01", reduce_only=True)
    assert caught.value.kind is Refusal.ReduceOnly
    assert strict.place(Side.Sell, None, "2", reduce_only=True).status is OrderStatus.Filled


def test_resting_reduce_only_orders_follow_the_position():
    venue = Venue()
    venue.place(Side.Buy, None, "5")
    resting = venue.place(Side.Sell, "60000", "5", reduce_only=True)
    venue.place(Side.Sell, None, "3")
    assert (resting.order.quantity, venue.causes[-1]) == (2, "reduced")
    venue.place(Side.Sell, None, "2")
    assert (resting.status, venue.causes[-1]) == (OrderStatus.Expired, "expired")
    assert resting.reason.startswith("reduce-only")
    assert venue.account.locked["USDT"] == 0


@pytest.mark.parametrize("clips", [True, False])
def test_one_trade_through_many_orders_never_turns_a_position_round(clips):
    venue = Venue(clip_reduce_only=clips)
    venue.place(Side.Buy, None, "5")
    plain = venue.place(Side.Sell, "50100", "3")
    first = venue.place(Side.Sell, "50101", "5", reduce_only=True)
    second = venue.place(Side.Sell, "50102", "4", reduce_only=True)
    venue.trade(50_200.0, 100.0, buyer_is_maker=False)
    assert venue.position().quantity == 0
    assert (plain.filled, first.filled, second.filled) == (3, 2, 0)
    assert (first.status, second.status) == (OrderStatus.Expired, OrderStatus.Expired)


def test_a_stop_of_a_swap_holds_nothing_until_it_triggers():
    venue = Venue()
    venue.trade(50_000.1)
    venue.place(Side.Buy, None, "1")
    held = venue.account.locked["USDT"]
    stop = venue.place(Side.Sell, None, "3", kind=OrderType.Stop, stop_price="49000", reduce_only=True)
    assert stop.waiting
    assert venue.account.locked["USDT"] == held
    venue.moves_to(48_900.0)
    venue.trade(48_900.0)
    assert (stop.status, stop.filled) == (OrderStatus.Filled, 1)
    late = venue.place(Side.Sell, None, "1", kind=OrderType.Stop, stop_price="48000", reduce_only=True)
    venue.trade(47_000.0)
    assert late.status is OrderStatus.Expired
    assert venue.position().quantity == 0


def test_longs_pay_shorts_when_funding_is_due():
    venue = Venue(funding_rate=Decimal("0.0001"), funding_every=3_600.0)
    venue.place(Side.Buy, None, "10")
    due = venue.swaps.funding(SWAP).next_at
    assert due % HOUR == 0
    assert START < due <= START + HOUR
    before = venue.account.totals["USDT"]
    venue.clock.advance(due - 1)
    venue.moves_to(50_000.0)
    assert venue.account.totals["USDT"] == before
    venue.clock.advance(due)
    venue.swaps.set_mark(SWAP, Decimal(51_000))
    venue.moves_to(50_000.0)
    assert venue.account.totals["USDT"] == before - Decimal("0.51")
    assert venue.causes[-1] == "funding"
    assert venue.position().funding == Decimal("-0.51")
    venue.moves_to(51_000.0)
    assert len(venue.account.funding) == 1
    venue.swaps.set_rate(SWAP, Decimal("-0.001"))
    venue.swaps.set_mark(SWAP, Decimal(40_000))
    venue.swaps.pay(SWAP)
    assert venue.account.funding[-1].amount == 4


def test_the_truth_has_positions_and_funding():
    venue = Venue()
    venue.place(Side.Sell, None, "1.5")
    venue.swaps.pay(SWAP)
    truth = venue.exchange.truth()["main"]
    (position,) = truth["positions"]
    assert position["symbol"] == SWAP
    assert (position["mode"], position["quantity"], position["leverage"]) == ("cross", "-1.50", 3)
    assert Decimal(position["entry_price"]) == 50_000
    assert [row["symbol"] for row in truth["funding"]] == [SWAP]
    assert truth["orders"][0]["mode"] == "cross"
    assert truth["fills"][0]["realised"] == "0"


@pytest.mark.parametrize(
    "terms", [{"leverage": 0}, {"leverage": 101}, {"funding_rate": Decimal("NaN")}, {"funding_every": float("nan")}]
)
def test_terms_that_cannot_be_are_refused(terms):
    with pytest.raises(ValueError, match="must"):
        SwapTerms(**terms)


@pytest.mark.parametrize("bad", ["NaN", "Infinity", "-1"])
def test_marks_and_rates_that_cannot_be_are_refused(bad):
    venue = Venue()
    with pytest.raises(ValueError, match="must"):
        venue.swaps.set_mark(SWAP, Decimal(bad))
    with pytest.raises(ValueError, match="must"):
        venue.swaps.set_rate(SWAP, Decimal(bad))
    venue.swaps.set_mark(SWAP, Decimal(1))
    venue.swaps.set_mark(SWAP, None)
    assert venue.swaps.mark(SWAP) == Decimal("50000.1")


STEPS = st.lists(
    st.tuples(
        st.sampled_from(list(Side)),
        st.sampled_from(["market", "limit", "ioc", "amend", "cancel", "move", "trade", "funding", "leverage"]),
        st.integers(1, 400),
        st.booleans(),
        st.sampled_from([Cross, Isolated]),
        st.integers(-300, 300),
    ),
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.booleans())
def test_money_and_margin_add_up_whatever_happens(steps, clips):
    venue = Venue("5000", leverage=5, clip_reduce_only=clips)
    account, price = venue.account, 50_000
    for side, what, lots, reduces, mode, away in steps:
        quantity = str(Decimal(lots) / 100)
        try:
            if what in ("market", "limit", "ioc"):
                limit = None if what == "market" else str(price + away)
                force = {"time_in_force": TimeInForce.IOC} if what == "ioc" else {}
                venue.place(side, limit, quantity, mode, reduce_only=reduces, **force)
            elif what == "move":
                price += away
                venue.moves_to(float(price))
            elif what == "trade":
                venue.trade(float(price + away), lots / 10, buyer_is_maker=reduces)
            elif what == "funding":
                venue.swaps.pay(SWAP)
            elif what == "leverage":
                venue.swaps.set_leverage(account, SWAP, lots % 100 + 1, mode)
            elif account.open:
                placed = next(iter(account.open.values()))
                if what == "cancel":
                    venue.exchange.cancel(account, placed)
                else:
                    venue.exchange.amend(account, placed, price=Decimal(price + away), quantity=Decimal(quantity))
        except RefusedError:
            pass
        check(venue)


def check(venue: Venue) -> None:
    account = venue.account
    paid = sum((fill.fee for fill in account.fills), Decimal(0))
    won = sum((fill.realised for fill in account.fills), Decimal(0))
    funded = sum((one.amount for one in account.funding), Decimal(0))
    assert account.totals["USDT"] == 5_000 + won - paid + funded
    held = sum((one.margin for one in account.positions.values()), Decimal(0))
    assert account.locked.get("USDT", 0) == held + sum((one.lock for one in account.orders.values()), Decimal(0))
    for (_, mode), position in account.positions.items():
        mine = [
            (account.orders[fill.venue_order_id].order.side.sign, fill)
            for fill in account.fills
            if account.orders[fill.venue_order_id].position is position
        ]
        assert position.quantity == sum((sign * fill.quantity for sign, fill in mine), Decimal(0))
        # What came in by trading is what was realised and what would be left to pay for the rest.
        spent = sum((sign * fill.price * fill.quantity for sign, fill in mine), Decimal(0)) * BTC_SWAP.contract_size
        assert spent == position.cost - sum((fill.realised for _, fill in mine), Decimal(0))
        assert (position.quantity > 0) == (position.cost > 0), mode
    locks = {one: one.lock for one in account.open.values()}
    for position in account.positions.values():
        venue.swaps.rebalance(account, position)
    assert locks == {one: one.lock for one in account.open.values()}  # everything was held already
    for placed in account.open.values():
        if placed.order.reduce_only:
            assert placed.position.closable(placed.order.side) > 0
            if venue.swaps.terms.clip_reduce_only:
                assert placed.remaining <= placed.position.closable(placed.order.side)
    for placed in account.orders.values():
        assert placed.filled <= placed.order.quantity
