"""What a venue's protocol may choose of the shared exchange: amounts in the quote asset, post-only orders, names."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_quant.clock import SimClock
from axon_quant.errors import MarketDataError
from axon_quant.exchange.simulator import Account, AccountEvent, MarketFeed, SimulatedExchange
from axon_quant.exchange.simulator.instruments import instruments
from axon_quant.market.types import BookSnapshot, Quote
from axon_quant.orders.types import Order, OrderStatus, OrderType, Side

START = 1_700_000_000_000_000_000
BTC = "BTCUSDT"
ASKS = [(50_001.0, 1.0), (50_002.0, 0.5), (50_010.0, 2.0)]


def venue(**options: object) -> tuple[SimulatedExchange, Account, list[AccountEvent]]:
    account = Account.named("main", {"USDT": "1000000", "BTC": "20"}, prefix="YOUR")
    exchange = SimulatedExchange(instruments("x"), [account], **options)
    exchange.now = SimClock(START).now
    events: list[AccountEvent] = []
    account.listeners.append(events.append)
    exchange.on_market(BookSnapshot(BTC, START, 1, [(50_000.0, 1.0), (49_999.0, 1.0)], ASKS))
    return exchange, account, events


def market(side: Side, quantity: Decimal) -> Order:
    return Order(BTC, side, OrderType.Market, quantity=quantity)


@given(st.decimals("0.5", "174000", places=2), st.sampled_from(Side))
def test_what_an_amount_buys_costs_no_more_and_a_lot_more_would(value, side):
    """And no more than is displayed."""
    exchange, account, _ = venue()
    quantity = exchange.quantity_worth(account, BTC, side, value)
    if not quantity:
        return
    order = exchange.place(account, market(side, quantity))
    assert order.status is OrderStatus.Filled
    assert order.value <= value
    left = exchange.quantity_worth(account, BTC, side, value - order.value)
    assert left == 0


def test_what_an_account_took_is_not_counted_again():
    exchange, account, _ = venue()
    assert exchange.quantity_worth(account, BTC, Side.Buy, Decimal(50_001)) == 1
    exchange.place(account, market(Side.Buy, Decimal(1)))
    assert exchange.quantity_worth(account, BTC, Side.Buy, Decimal(25_001)) == Decimal("0.5")


def test_an_amount_is_worth_what_quotes_alone_show():
    exchange, account, _ = venue()
    exchange.on_market(Quote("ETHUSDT", START, 1_999.0, 5.0, 2_000.0, 1.0))
    assert exchange.quantity_worth(account, "ETHUSDT", Side.Buy, Decimal(1_000)) == Decimal("0.5")
    assert exchange.quantity_worth(account, "ETHUSDT", Side.Buy, Decimal(9_000)) == 1
    assert exchange.quantity_worth(account, "SOLUSDT", Side.Buy, Decimal(9_000)) == 0


def test_a_post_only_order_that_would_take_may_be_taken_and_expire():
    exchange, account, events = venue(expire_post_only=True)
    order = exchange.place(account, Order(BTC, Side.Buy, price="50001", quantity="1", post_only=True))
    assert (order.status, order.filled) == (OrderStatus.Expired, Decimal(0))
    assert order.reason.startswith("post-only")
    assert [event.cause for event in events] == ["new", "expired"]
    assert not any(account.locked.values())
    resting = exchange.place(account, Order(BTC, Side.Buy, price="50000", quantity="1", post_only=True))
    assert resting.status is OrderStatus.Open


def test_a_recording_is_played_under_the_names_that_a_venue_has(btcusdt_session: Path):
    exchange = SimulatedExchange(instruments("x", "-"), [])
    exchange.now = SimClock(START).now
    feed = MarketFeed(exchange, ["BTC-USDT"], recording=btcusdt_session)
    feed.prepare()
    feed.advance(1.0)
    assert exchange.books["BTC-USDT"].whole
    assert exchange.price("BTC-USDT")
    with pytest.raises(MarketDataError):
        MarketFeed(SimulatedExchange([instruments("x", "-")[1]], []), ["ETH-USDT"], recording=btcusdt_session)
