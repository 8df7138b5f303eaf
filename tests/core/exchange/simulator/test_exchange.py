"""A simulated venue's orders and money."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axon_quant.clock import SimClock
from axon_quant.exchange.simulator import (
    Account,
    AccountEvent,
    MarketFeed,
    Refusal,
    RefusedError,
    SimulatedExchange,
    Transfer,
)
from axon_quant.exchange.simulator.instruments import instruments
from axon_quant.market.types import BookSnapshot, Trade
from axon_quant.orders.types import Order, OrderStatus, OrderType, Side, TimeInForce

START = 1_700_000_000_000_000_000
BTC = "BTCUSDT"


class Venue:
    """An exchange with one account, a book of three levels a side and a clock that stands."""

    def __init__(self, **options: object) -> None:
        self.account = Account.named("main", {"USDT": "100000", "BTC": "2", "BNB": "1"}, prefix="YOUR")
        self.exchange = SimulatedExchange(instruments("x"), [self.account], **options)
        self.clock = SimClock(START)
        self.exchange.now = self.clock.now
        self.events: list[AccountEvent | Transfer] = []
        self.account.listeners.append(self.events.append)
        self.book(
            [(50_000.0, 1.0), (49_999.0, 1.0), (49_998.0, 1.0)], [(50_001.0, 1.0), (50_002.0, 1.0), (50_003.0, 1.0)]
        )
        self.trade(50_000.5)

    def book(self, bids, asks, sequence: int = 1) -> None:
        self.exchange.on_market(BookSnapshot(BTC, self.clock.now(), sequence, bids, asks))

    def trade(self, price: float, quantity: float = 0.001, *, buyer_is_maker: bool = True) -> None:
        self.exchange.on_market(Trade(BTC, self.clock.now(), price, quantity, buyer_is_maker))

    def place(self, side: Side, price: str | None, quantity: str, **more):
        kind = OrderType.Market if price is None else OrderType.Limit
        order = Order(BTC, side, more.pop("kind", kind), price, quantity, **more)
        return self.exchange.place(self.account, order)

    @property
    def causes(self) -> list[str]:
        return [event.cause for event in self.events if isinstance(event, AccountEvent)]


def test_a_market_order_pays_its_fee_in_what_it_brings_in():
    venue = Venue()
    bought = venue.place(Side.Buy, None, "1.5")
    assert bought.status is OrderStatus.Filled
    assert bought.value == Decimal("50001") + Decimal("50002") / 2
    assert venue.account.totals["BTC"] == Decimal("2") + Decimal("1.5") - Decimal("0.0015")
    assert venue.account.totals["USDT"] == Decimal("100000") - bought.value
    sold = venue.place(Side.Sell, None, "1")
    assert venue.account.totals["USDT"] == Decimal("100000") - bought.value + 50_000 - 50
    assert [fill.trade_id for fill in (*bought.fills, *sold.fills)] == [1, 2, 3]


def test_fees_are_paid_in_the_account_s_fee_asset_while_there_is_enough_of_it():
    venue = Venue()
    venue.account.fee_asset = "BNB"
    venue.exchange.on_market(Trade("BNBUSDT", START, 500.0, 1.0, True))
    (fill,) = venue.place(Side.Buy, None, "1").fills
    assert (fill.fee_asset, fill.fee) == ("BNB", Decimal("0.100002"))
    venue.account.totals["BNB"] = Decimal("0.01")
    (fill,) = venue.place(Side.Sell, None, "1").fills
    assert fill.fee_asset == "USDT"


def test_what_an_order_needs_is_locked_until_it_ends():
    venue = Venue()
    order = venue.place(Side.Buy, "40000", "1")
    assert (venue.account.free("USDT"), venue.account.locked["USDT"]) == (Decimal("60000"), Decimal("40000"))
    venue.exchange.cancel(venue.account, order)
    assert venue.account.free("USDT") == Decimal("100000")
    assert venue.causes == ["new", "cancelled"]
    with pytest.raises(RefusedError) as refused:
        venue.exchange.cancel(venue.account, order)
    assert refused.value.kind is Refusal.NotFound


@pytest.mark.parametrize(
    ("terms", "kind"),
    [
        ((Side.Buy, "40000", "3"), Refusal.Funds),
        ((Side.Sell, None, "2.5"), Refusal.Funds),
        ((Side.Buy, "40000.001", "1"), Refusal.Filter),
    ],
)
def test_an_order_that_is_refused_leaves_nothing_behind(terms, kind):
    venue = Venue()
    with pytest.raises(RefusedError) as refused:
        venue.place(*terms)
    assert refused.value.kind is kind
    assert (venue.account.orders, venue.account.by_client, venue.events) == ({}, {}, [])
    assert not any(venue.account.locked.values())


def test_a_post_only_order_that_would_take_is_refused():
    venue = Venue()
    with pytest.raises(RefusedError) as refused:
        venue.place(Side.Buy, "50001", "1", post_only=True)
    assert refused.value.kind is Refusal.PostOnly


def test_a_client_order_id_is_free_again_once_its_order_is_finished():
    venue = Venue()
    first = venue.place(Side.Buy, "40000", "0.1", client_order_id="same")
    with pytest.raises(RefusedError) as refused:
        venue.place(Side.Buy, "40000", "0.1", client_order_id="same")
    assert refused.value.kind is Refusal.Duplicate
    venue.exchange.cancel(venue.account, first)
    second = venue.place(Side.Buy, "40000", "0.1", client_order_id="same")
    assert venue.account.find("same") is second


def test_a_venue_may_never_take_a_client_order_id_twice():
    venue = Venue(reuse_client_ids=False)
    venue.exchange.cancel(venue.account, venue.place(Side.Buy, "40000", "0.1", client_order_id="same"))
    with pytest.raises(RefusedError) as refused:
        venue.place(Side.Buy, "40000", "0.1", client_order_id="same")
    assert refused.value.kind is Refusal.Duplicate


def test_an_order_that_would_meet_one_of_its_own_account_makes_that_one_expire():
    venue = Venue()
    maker = venue.place(Side.Buy, "50000.5", "0.1")
    taker = venue.place(Side.Sell, "49999", "0.1")
    assert (maker.status, maker.reason) == (OrderStatus.Expired, "self-trade prevention")
    assert taker.status is OrderStatus.Filled
    assert venue.causes == ["new", "prevented", "new", "trade"]


def test_orders_of_two_accounts_do_not_see_each_other():
    venue = Venue()
    other = Account.named("other", {"USDT": "100000", "BTC": "2"}, prefix="OTHER")
    exchange = SimulatedExchange(instruments("x"), [venue.account, other])
    exchange.now = venue.clock.now
    exchange.on_market(BookSnapshot(BTC, START, 1, [(50_000.0, 1.0)], [(50_001.0, 1.0)]))
    exchange.place(venue.account, Order(BTC, Side.Buy, price="50000.5", quantity="1", client_order_id="same"))
    exchange.place(other, Order(BTC, Side.Sell, price="50000.5", quantity="1", client_order_id="same"))
    assert other.find("same").status is venue.account.find("same").status is OrderStatus.Open


def test_a_market_order_that_finds_nothing_expires():
    venue = Venue()
    venue.book([(50_000.0, 1.0)], [], sequence=2)
    order = venue.place(Side.Buy, None, "1")
    assert (order.status, venue.causes) == (OrderStatus.Expired, ["new", "expired"])
    assert venue.account.free("USDT") == Decimal("100000")


def test_ioc_expires_for_what_it_cannot_take_and_fok_takes_all_or_nothing():
    venue = Venue()
    ioc = venue.place(Side.Buy, "50001", "1.5", time_in_force=TimeInForce.IOC)
    assert (ioc.status, ioc.filled) == (OrderStatus.Expired, Decimal(1))
    venue.exchange.transfer(venue.account, "BTC", Decimal(2))
    fok = venue.place(Side.Sell, "49998", "3.5", time_in_force=TimeInForce.FOK)
    assert (fok.status, fok.filled) == (OrderStatus.Expired, Decimal(0))
    assert not any(venue.account.locked.values())


class TestStops:
    def test_a_stop_waits_until_its_price_trades(self):
        venue = Venue()
        stop = venue.place(Side.Sell, None, "1", kind=OrderType.Stop, stop_price="49000")
        assert (stop.waiting, venue.account.locked["BTC"]) == (True, Decimal(1))
        venue.trade(49_500.0)
        assert stop.waiting
        venue.trade(48_999.0)
        assert (stop.status, stop.filled) == (OrderStatus.Filled, Decimal(1))
        assert venue.causes == ["new", "triggered", "trade"]

    def test_a_stop_limit_becomes_a_limit_order(self):
        venue = Venue()
        stop = venue.place(Side.Buy, "50600", "1", kind=OrderType.StopLimit, stop_price="50500")
        assert venue.account.locked["USDT"] == Decimal(50600)
        venue.book([(50_500.0, 1.0)], [(50_700.0, 1.0)], sequence=2)
        venue.trade(50_500.0)
        assert (stop.status, stop.waiting, stop.order.price) == (OrderStatus.Open, False, Decimal(50600))
        venue.exchange.cancel(venue.account, stop)
        assert venue.account.free("USDT") == Decimal(100_000)

    def test_a_stop_on_the_wrong_side_is_refused(self):
        venue = Venue()
        order = Order(BTC, Side.Sell, OrderType.Stop, None, "1", stop_price="51000")
        with pytest.raises(RefusedError) as refused:
            venue.exchange.place(venue.account, order, rises=False)
        assert refused.value.kind is Refusal.StopPrice

    def test_a_stop_that_waits_can_be_cancelled(self):
        venue = Venue()
        stop = venue.place(Side.Sell, None, "1", kind=OrderType.Stop, stop_price="49000")
        venue.exchange.cancel(venue.account, stop)
        venue.trade(48_000.0)
        assert (stop.status, venue.account.free("BTC")) == (OrderStatus.Cancelled, Decimal(2))


class TestAmendments:
    def test_a_smaller_order_keeps_its_place_in_the_queue(self):
        venue = Venue()
        order = venue.place(Side.Buy, "49999", "1")
        engine = venue.exchange._engine(venue.account, BTC)
        ahead = engine.queue_ahead(str(order.venue_order_id))
        venue.trade(49_999.0, 0.5)
        moved = engine.queue_ahead(str(order.venue_order_id))
        assert moved < ahead
        venue.exchange.amend(venue.account, order, quantity=Decimal("0.4"))
        assert engine.queue_ahead(str(order.venue_order_id)) == moved
        assert venue.account.locked["USDT"] == Decimal("49999") * Decimal("0.4")
        venue.trade(49_998.0)
        assert order.filled == Decimal("0.4")

    def test_another_price_loses_it(self):
        venue = Venue()
        order = venue.place(Side.Buy, "49999", "1")
        venue.exchange.amend(venue.account, order, price=Decimal("49998"))
        assert venue.account.locked["USDT"] == Decimal("49998")
        assert venue.causes == ["new", "amended"]

    def test_what_has_filled_stays_filled(self):
        venue = Venue()
        order = venue.place(Side.Buy, "50001", "1.5")
        assert order.filled == Decimal(1)
        venue.exchange.amend(venue.account, order, price=Decimal("50002"))
        assert (order.status, order.filled) == (OrderStatus.Filled, Decimal("1.5"))
        with pytest.raises(RefusedError):
            venue.exchange.amend(venue.account, order, quantity=Decimal(1))

    def test_one_that_is_refused_leaves_the_order_as_it_was(self):
        venue = Venue()
        order = venue.place(Side.Buy, "49000", "1")
        with pytest.raises(RefusedError) as refused:
            venue.exchange.amend(venue.account, order, quantity=Decimal(5))
        assert refused.value.kind is Refusal.Funds
        assert (order.status, order.order.quantity, venue.account.locked["USDT"]) == (
            OrderStatus.Open,
            Decimal(1),
            Decimal(49000),
        )

    def test_it_may_bring_another_client_order_id(self):
        venue = Venue()
        order = venue.place(Side.Buy, "49000", "1", client_order_id="old")
        venue.exchange.amend(venue.account, order, quantity=Decimal("0.5"), client_order_id="new")
        assert venue.account.find("new") is order
        venue.exchange.cancel(venue.account, order)
        assert order.status is OrderStatus.Cancelled


def test_a_transfer_changes_a_balance_and_is_told():
    venue = Venue()
    venue.exchange.transfer(venue.account, "EUR", Decimal(5))
    assert venue.events == [Transfer(1, "EUR", Decimal(5), START)]
    with pytest.raises(RefusedError):
        venue.exchange.transfer(venue.account, "EUR", Decimal(-6))


def test_events_are_numbered_without_holes():
    venue = Venue()
    venue.place(Side.Buy, None, "1")
    venue.exchange.cancel(venue.account, venue.place(Side.Buy, "40000", "1"))
    venue.exchange.transfer(venue.account, "EUR", Decimal(5))
    assert [event.sequence for event in venue.events] == list(range(1, len(venue.events) + 1))


ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell", "market", "cancel", "amend", "stop", "move"]),
        st.integers(-40, 40),
        st.integers(1, 30),
    ),
    max_size=60,
)


@settings(max_examples=60)
@given(ACTIONS)
def test_no_money_is_made_or_lost_whatever_happens(actions):
    """Balances are the first ones plus what fills and fees say; what is locked is what open orders hold."""
    venue = Venue()
    exchange, account = venue.exchange, venue.account
    first = dict(account.totals)
    feed = MarketFeed(exchange, [BTC], seed=1)
    feed.prepare()
    for kind, offset, size in actions:
        price = exchange.instruments[BTC].round_price(exchange.price(BTC) + offset)
        quantity = Decimal(size) / 10
        opened = list(account.open.values())
        try:
            if kind in ("buy", "sell"):
                side = Side.Buy if kind == "buy" else Side.Sell
                exchange.place(account, Order(BTC, side, price=price, quantity=quantity))
            elif kind == "market":
                side = Side.Buy if offset > 0 else Side.Sell
                exchange.place(account, Order(BTC, side, OrderType.Market, quantity=quantity))
            elif kind == "stop":
                side = Side.Buy if size % 2 else Side.Sell
                exchange.place(account, Order(BTC, side, OrderType.Stop, None, quantity, stop_price=price))
            elif kind == "cancel" and opened:
                exchange.cancel(account, opened[size % len(opened)])
            elif kind == "amend" and opened:
                exchange.amend(account, opened[size % len(opened)], price=price, quantity=quantity)
            else:
                venue.clock.advance(venue.clock.now() + 50_000_000)
                feed.advance(0.05)
        except RefusedError:
            pass
    totals = dict(first)
    for fill in account.fills:
        side = account.orders[fill.venue_order_id].order.side
        totals["BTC"] += fill.quantity * side.sign
        totals["USDT"] -= fill.price * fill.quantity * side.sign
        totals[fill.fee_asset] -= fill.fee
    assert totals == account.totals
    for asset in account.totals:
        held = sum((one.lock for one in account.open.values() if one.lock_asset == asset), Decimal(0))
        assert account.locked.get(asset, Decimal(0)) == held
        assert account.free(asset) >= 0
    for order in account.orders.values():
        assert sum((fill.quantity for fill in order.fills), Decimal(0)) == order.filled <= order.order.quantity
        assert (order.venue_order_id in account.open) is order.is_open
