"""Orders that take: the walk over the displayed book, what stays taken, and every refusal."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_quant.exchange.displayed import DisplayedBook
from axon_quant.market import BookSnapshot, Instrument, OrderBook
from axon_quant.orders import Liquidity, OrderStatus, Side, TimeInForce

if TYPE_CHECKING:
    from conftest import Desk


def test_a_market_order_walks_the_displayed_levels_best_first(desk: Desk) -> None:
    order = desk.place(Side.Buy, 2.5)
    assert desk.fills(order) == [("101.0", "1"), ("101.5", "1.5")]
    assert [update.status for update in desk.updates] == [
        OrderStatus.Open,
        OrderStatus.PartiallyFilled,
        OrderStatus.Filled,
    ]


def test_a_taker_pays_the_taker_fee_exactly_in_the_quote_asset(desk: Desk) -> None:
    desk.place(Side.Sell, 0.333)
    fill = desk.updates[-1].fill
    assert fill is not None
    assert (fill.fee, fill.fee_asset, fill.liquidity) == (
        Decimal("100.0") * Decimal("0.333") * Decimal("0.0005"),
        "USDT",
        Liquidity.Taker,
    )


def test_updates_carry_the_cumulative_quantity_and_unique_fill_ids(desk: Desk) -> None:
    desk.place(Side.Buy, 4)
    filled = [update for update in desk.updates if update.fill is not None]
    assert [update.filled_quantity for update in filled] == [Decimal(1), Decimal(3), Decimal(4)]
    assert len({update.fill.fill_id for update in filled if update.fill}) == 3


def test_a_market_order_larger_than_the_book_expires_for_the_rest(desk: Desk) -> None:
    order = desk.place(Side.Buy, 10)
    assert desk.updates[-1].filled_quantity == Decimal(7)
    assert desk.status(order) is OrderStatus.Expired


def test_a_marketable_limit_takes_no_further_than_its_price_and_rests_for_the_remainder(desk: Desk) -> None:
    order = desk.place(Side.Buy, 2, price=101.0)
    assert desk.fills(order) == [("101.0", "1")]
    assert desk.status(order) is OrderStatus.PartiallyFilled
    assert [resting.client_order_id for resting in desk.engine.resting] == [order]


def test_taken_size_is_not_sold_twice(desk: Desk) -> None:
    desk.place(Side.Buy, 0.6)
    second = desk.place(Side.Buy, 0.6)
    assert desk.fills(second) == [("101.0", "0.4"), ("101.5", "0.2")]


def test_a_message_about_other_levels_leaves_taken_size_taken(desk: Desk) -> None:
    desk.place(Side.Buy, 1)
    desk.update(bids=[(100.0, 7.0)], asks=[(102.0, 9.0)])
    assert desk.fills(desk.place(Side.Buy, 1)) == [("101.5", "1")]


def test_a_level_that_repeats_its_size_is_still_taken(desk: Desk) -> None:
    desk.place(Side.Buy, 1)
    desk.update(asks=[(101.0, 1.0)])
    assert desk.fills(desk.place(Side.Buy, 1)) == [("101.5", "1")]


def test_a_level_that_updates_is_whole_again(desk: Desk) -> None:
    desk.place(Side.Buy, 1)
    desk.update(asks=[(101.0, 0.5)])
    assert desk.fills(desk.place(Side.Buy, 1)) == [("101.0", "0.5"), ("101.5", "0.5")]


def test_a_level_that_left_and_came_back_is_whole_again(desk: Desk) -> None:
    desk.place(Side.Buy, 1)
    desk.update(asks=[(101.0, 0.0)])
    desk.update(asks=[(101.0, 1.0)])
    assert desk.fills(desk.place(Side.Buy, 1)) == [("101.0", "1")]


def test_a_fresher_quote_is_the_top_of_the_book(desk: Desk) -> None:
    desk.quote(100.0, 2.0, 101.5, 0.5, sequence=101)
    assert desk.fills(desk.place(Side.Buy, 1)) == [("101.5", "0.5"), ("102.0", "0.5")]


def test_a_fresher_quote_inside_the_spread_comes_before_the_book(desk: Desk) -> None:
    desk.quote(100.0, 2.0, 100.8, 0.5, sequence=101)
    assert desk.fills(desk.place(Side.Buy, 1)) == [("100.8", "0.5"), ("101.0", "0.5")]


def test_a_quote_older_than_the_book_says_nothing(desk: Desk) -> None:
    desk.quote(100.0, 2.0, 100.8, 0.5, sequence=99)
    assert desk.fills(desk.place(Side.Buy, 1)) == [("101.0", "1")]


def test_an_unnumbered_quote_counts_until_the_next_book_message(desk: Desk) -> None:
    desk.quote(100.0, 2.0, 100.8, 0.5)
    assert desk.fills(desk.place(Side.Buy, 0.2)) == [("100.8", "0.2")]
    desk.update(bids=[(99.0, 1.0)])
    assert desk.fills(desk.place(Side.Buy, 0.2)) == [("101.0", "0.2")]


def test_the_book_that_catches_up_with_a_quote_does_not_bring_taken_size_back(desk: Desk) -> None:
    desk.quote(100.0, 2.0, 101.0, 0.7, sequence=105)
    desk.place(Side.Buy, 0.7)
    desk.update(asks=[(101.0, 0.9)], last=103)  # the level before the quote
    desk.update(asks=[(101.0, 0.7)], last=105)  # and as of the quote
    assert desk.fills(desk.place(Side.Buy, 0.5)) == [("101.5", "0.5")]


def test_a_stale_level_behind_a_moving_quote_stays_taken(desk: Desk) -> None:
    desk.quote(100.0, 2.0, 101.0, 0.7, sequence=105)
    desk.place(Side.Buy, 0.7)
    desk.quote(100.0, 2.0, 100.9, 0.1, sequence=106)  # the book still shows 1.0 at 101.00
    assert desk.fills(desk.place(Side.Buy, 0.5)) == [("100.9", "0.1"), ("101.5", "0.4")]


def test_without_a_whole_book_the_last_quote_is_the_book(desk: Desk) -> None:
    desk.quote(100.0, 2.0, 101.0, 0.7, sequence=105)
    desk.lose_book()
    order = desk.place(Side.Buy, 1)
    assert desk.fills(order) == [("101.0", "0.7")]
    assert desk.status(order) is OrderStatus.Expired


def test_taken_size_is_remembered_across_a_gap_of_the_book(desk: Desk) -> None:
    desk.place(Side.Buy, 2)  # 1.0 at 101.00 and half of 101.50
    desk.lose_book()
    desk.quote(100.0, 2.0, 101.0, 0.7, sequence=120)
    desk.snapshot([(100.0, 2.0)], [(101.5, 2.0)], sequence=130)
    assert desk.fills(desk.place(Side.Buy, 2)) == [("101.5", "1")]


def test_quotes_alone_forget_a_taken_level_that_they_left(empty: Desk) -> None:
    empty.quote(100.0, 2.0, 101.0, 0.7)
    empty.place(Side.Buy, 0.7)
    empty.quote(100.0, 3.0, 101.0, 0.7)
    assert empty.status(empty.place(Side.Buy, 0.7)) is OrderStatus.Rejected
    empty.quote(100.0, 3.0, 100.9, 0.1)
    empty.quote(100.0, 3.0, 101.0, 0.7)
    assert empty.fills(empty.place(Side.Buy, 0.7)) == [("101.0", "0.7")]


def test_without_quotes_everything_trades_at_the_last_price(empty: Desk) -> None:
    empty.trade(100.25, 0.001, seller=True)
    assert empty.fills(empty.place(Side.Buy, 50)) == [("100.25", "50")]


def test_without_any_market_data_a_market_order_is_rejected(empty: Desk) -> None:
    order = empty.place(Side.Buy, 1)
    assert empty.status(order) is OrderStatus.Rejected
    assert "nothing is displayed" in empty.reason(order)


def test_ioc_expires_for_what_it_cannot_take(desk: Desk) -> None:
    order = desk.place(Side.Buy, 2, price=101.0, time_in_force=TimeInForce.IOC)
    assert desk.fills(order) == [("101.0", "1")]
    assert desk.status(order) is OrderStatus.Expired
    assert desk.engine.resting == []


def test_fok_takes_everything_or_nothing(desk: Desk) -> None:
    too_large = desk.place(Side.Buy, 1.001, price=101.0, time_in_force=TimeInForce.FOK)
    assert (desk.status(too_large), desk.fills(too_large)) == (OrderStatus.Expired, [])
    exact = desk.place(Side.Buy, 1, price=101.0, time_in_force=TimeInForce.FOK)
    assert (desk.status(exact), desk.fills(exact)) == (OrderStatus.Filled, [("101.0", "1")])


def test_post_only_is_rejected_when_it_would_take_and_rests_when_not(desk: Desk) -> None:
    crossing = desk.place(Side.Buy, 1, price=101.0, post_only=True)
    assert desk.status(crossing) is OrderStatus.Rejected
    assert "post-only" in desk.reason(crossing)
    assert desk.status(desk.place(Side.Buy, 1, price=100.99, post_only=True)) is OrderStatus.Open


@pytest.mark.parametrize(
    ("quantity", "price", "told"),
    [(1, 100.005, "tick size"), (0.0005, 100, "lot size"), (0.01, 100, "notional"), (0.01, None, "notional")],
)
def test_an_order_off_the_grid_or_too_small_is_rejected(
    desk: Desk, quantity: float, price: float | None, told: str
) -> None:
    order = desk.place(Side.Buy, quantity, price)
    assert desk.status(order) is OrderStatus.Rejected
    assert told in desk.reason(order)


def test_own_orders_never_trade_with_each_other(desk: Desk) -> None:
    resting = desk.place(Side.Sell, 1, price=100.8)
    for price, time_in_force in ((100.8, TimeInForce.GTC), (101.0, TimeInForce.IOC), (None, TimeInForce.GTC)):
        incoming = desk.place(Side.Buy, 1, price, time_in_force)
        assert desk.status(incoming) is OrderStatus.Rejected
        assert resting in desk.reason(incoming)
    assert desk.status(resting) is OrderStatus.Open


def test_an_order_that_ends_before_our_own_is_no_self_trade(desk: Desk) -> None:
    desk.place(Side.Sell, 1, price=101.5)
    assert desk.fills(desk.place(Side.Buy, 1)) == [("101.0", "1")]


sizes = st.integers(1, 5_000).map(lambda lots: lots / 1_000)
ladder = st.dictionaries(st.integers(1, 60), sizes, min_size=1, max_size=40)


@given(ladder, st.integers(1, 60_000), st.integers(0, 60) | st.none(), st.integers(0, 20_000))
def test_walking_the_book_agrees_with_a_brute_force_reference(
    levels: dict[int, float], lots: int, limit: int | None, taken_first: int
) -> None:
    instrument = Instrument(venue="v", symbol="S", base="B", quote="Q", tick_size="0.01", lot_size="0.001")
    book = OrderBook("S")
    asks = [(100 + tick / 100, size) for tick, size in levels.items()]
    book.restore(BookSnapshot("S", 1, 1, [], asks))
    shown = DisplayedBook(instrument, book)
    limit_price = None if limit is None else 100 + limit / 100

    # One lot at a time, from a list of single lots.
    singles = [price for price, size in sorted(asks) for _ in range(round(size * 1_000))]
    for price, part in shown.walk(Side.Sell, taken_first, None):
        shown.take(Side.Sell, price, part)
    left = singles[taken_first:]
    expected = [price for price in left[:lots] if limit_price is None or price <= limit_price]

    plan = shown.walk(Side.Sell, lots, limit_price)
    assert [price for price, part in plan for _ in range(part)] == expected
    assert all(part > 0 for _, part in plan)
