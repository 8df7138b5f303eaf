"""Orders that rest: queues, fills by trades, quotes, books and bars, and cancels."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from axon_quant.exchange.matching import TRADE_LAG
from axon_quant.market import Bar
from axon_quant.orders import Liquidity, OrderStatus, Side

if TYPE_CHECKING:
    from conftest import Desk


def bar(desk: Desk, low: float, high: float, close: float) -> Bar:
    return Bar("BTCUSDT", desk.now + 1, close, high, low, close, 1.0)


def test_a_limit_queues_behind_the_displayed_size(desk: Desk) -> None:
    order = desk.place(Side.Buy, 1, price=100.0)
    assert desk.engine.queue_ahead(order) == 2_000
    desk.trade(100.0, 1.5, seller=True)
    assert (desk.engine.queue_ahead(order), desk.fills(order)) == (500, [])
    desk.trade(100.0, 0.7, seller=True)
    assert desk.fills(order) == [("100.0", "0.2")]
    desk.trade(100.0, 5.0, seller=True)
    assert desk.fills(order) == [("100.0", "0.2"), ("100.0", "0.8")]
    assert desk.status(order) is OrderStatus.Filled


def test_a_maker_pays_the_maker_fee(desk: Desk) -> None:
    desk.place(Side.Buy, 1, price=100.0)
    desk.trade(99.99, 0.001, seller=True)
    fill = desk.updates[-1].fill
    assert fill is not None
    assert (fill.price, fill.fee, fill.liquidity) == (Decimal("100.0"), Decimal("0.0200000"), Liquidity.Maker)


def test_trades_of_our_own_side_do_not_move_the_queue(desk: Desk) -> None:
    order = desk.place(Side.Buy, 1, price=100.0)
    desk.trade(100.0, 5.0, seller=False)
    assert (desk.engine.queue_ahead(order), desk.fills(order)) == (2_000, [])


def test_a_sell_mirrors_a_buy(desk: Desk) -> None:
    order = desk.place(Side.Sell, 1, price=101.0)
    desk.trade(101.0, 1.4, seller=False)
    assert desk.fills(order) == [("101.0", "0.4")]
    desk.trade(101.01, 0.001, seller=False)
    assert desk.status(order) is OrderStatus.Filled


def test_a_trade_beyond_the_price_fills_everything_at_our_price(desk: Desk) -> None:
    first, second = desk.place(Side.Buy, 1, price=100.0), desk.place(Side.Buy, 7, price=99.5)
    desk.trade(99.49, 0.001, seller=True)
    assert desk.fills(first) == [("100.0", "1")]
    assert desk.fills(second) == [("99.5", "7")]


def test_a_shrinking_display_moves_the_queue_up(desk: Desk) -> None:
    order = desk.place(Side.Buy, 1, price=100.0)
    desk.update(bids=[(100.0, 0.5)])
    assert desk.engine.queue_ahead(order) == 500
    desk.update(bids=[(100.0, 9.0)])
    assert desk.engine.queue_ahead(order) == 500


def test_a_trade_announced_by_its_quote_counts_once(desk: Desk) -> None:
    order = desk.place(Side.Buy, 1, price=100.0)
    desk.quote(100.0, 1.2, 101.0, 1.0, sequence=101)
    desk.trade(100.0, 0.8, seller=True)
    assert desk.engine.queue_ahead(order) == 1_200


def test_a_trade_followed_by_its_quote_counts_once(desk: Desk) -> None:
    order = desk.place(Side.Buy, 1, price=100.0)
    desk.trade(100.0, 0.8, seller=True)
    desk.quote(100.0, 1.2, 101.0, 1.0, sequence=101)
    assert desk.engine.queue_ahead(order) == 1_200


def test_a_trade_larger_than_the_shrink_it_explains_fills_by_the_excess(desk: Desk) -> None:
    order = desk.place(Side.Buy, 1, price=100.0)
    desk.quote(99.5, 3.0, 101.0, 1.0, sequence=101)  # the level is gone: 2.0 of the trade were ahead of us
    desk.trade(100.0, 2.3, seller=True)
    assert desk.fills(order) == [("100.0", "0.3")]


def test_a_trade_long_after_a_shrink_is_news(desk: Desk) -> None:
    order = desk.place(Side.Buy, 1, price=100.0)
    desk.quote(100.0, 1.2, 101.0, 1.0, sequence=101)
    desk.wait(TRADE_LAG)
    desk.trade(100.0, 0.8, seller=True)
    assert desk.engine.queue_ahead(order) == 400


def test_own_orders_at_one_price_fill_in_the_order_they_came(desk: Desk) -> None:
    first = desk.place(Side.Buy, 1, price=100.0)
    desk.update(bids=[(100.0, 3.0)])  # 1.0 joins between the two
    second = desk.place(Side.Buy, 1, price=100.0)
    desk.trade(100.0, 4.5, seller=True)
    assert desk.fills(first) == [("100.0", "1")]
    assert desk.fills(second) == [("100.0", "0.5")]


def test_a_better_own_price_fills_before_an_earlier_worse_one(desk: Desk) -> None:
    worse, better = desk.place(Side.Buy, 1, price=100.1), desk.place(Side.Buy, 1, price=100.2)
    desk.update(asks=[(100.1, 1.5)])
    assert desk.fills(better) == [("100.2", "1")]
    assert desk.fills(worse) == [("100.1", "0.5")]


def test_size_displayed_against_us_fills_that_much_and_is_taken(desk: Desk) -> None:
    order = desk.place(Side.Buy, 1, price=100.5)
    desk.quote(100.0, 2.0, 100.4, 0.3, sequence=101)
    assert desk.fills(order) == [("100.5", "0.3")]
    desk.quote(100.1, 2.0, 100.4, 0.3, sequence=102)
    assert desk.fills(order) == [("100.5", "0.3")]
    desk.quote(100.1, 2.0, 100.4, 0.9, sequence=103)
    assert desk.status(order) is OrderStatus.Filled


def test_size_that_our_taker_left_empty_does_not_fill_our_maker(desk: Desk) -> None:
    order = desk.place(Side.Buy, 2, price=101.0)  # takes all of 101.00, then rests there
    desk.update(bids=[(99.0, 1.0)])
    assert desk.fills(order) == [("101.0", "1")]
    desk.update(asks=[(101.0, 0.25)])
    assert desk.fills(order) == [("101.0", "1"), ("101.0", "0.25")]


def test_a_quote_older_than_the_book_fills_nothing(desk: Desk) -> None:
    order = desk.place(Side.Buy, 1, price=100.5)
    desk.quote(100.0, 2.0, 100.4, 5.0, sequence=90)
    assert desk.fills(order) == []


def test_an_order_inside_the_spread_has_nothing_ahead(desk: Desk) -> None:
    order = desk.place(Side.Buy, 1, price=100.5)
    assert desk.engine.queue_ahead(order) == 0
    desk.trade(100.5, 0.25, seller=True)
    assert desk.fills(order) == [("100.5", "0.25")]


def test_an_order_deeper_than_the_book_waits_until_its_level_is_displayed(desk: Desk) -> None:
    order = desk.place(Side.Buy, 1, price=98.0)
    assert desk.engine.queue_ahead(order) is None
    desk.update(bids=[(97.0, 1.0)])
    assert desk.engine.queue_ahead(order) is None
    desk.trade(98.0, 100.0, seller=True)
    assert desk.fills(order) == []
    desk.update(bids=[(98.0, 4.0)])
    assert desk.engine.queue_ahead(order) == 4_000


def test_a_gap_between_displayed_levels_has_no_queue(desk: Desk) -> None:
    assert desk.engine.queue_ahead(desk.place(Side.Buy, 1, price=99.2)) == 0


def test_quotes_alone_show_no_queue_behind_the_best_price(empty: Desk) -> None:
    empty.quote(100.0, 2.0, 101.0, 1.0)
    top, deeper = empty.place(Side.Buy, 1, price=100.0), empty.place(Side.Buy, 1, price=99.0)
    assert (empty.engine.queue_ahead(top), empty.engine.queue_ahead(deeper)) == (2_000, None)
    empty.quote(99.0, 4.0, 100.5, 1.0)
    assert empty.engine.queue_ahead(deeper) == 4_000


def test_trades_alone_fill_only_what_they_trade_through(empty: Desk) -> None:
    empty.trade(100.0, 1.0, seller=True)
    order = empty.place(Side.Buy, 1, price=99.0)
    empty.trade(99.0, 500.0, seller=True)
    assert empty.fills(order) == []
    empty.trade(98.99, 0.001, seller=True)
    assert empty.fills(order) == [("99.0", "1")]


def test_bars_alone_fill_what_their_range_trades_through(empty: Desk) -> None:
    empty.engine.on_bar(bar(empty, 99.0, 101.0, 100.0))
    assert empty.fills(empty.place(Side.Buy, 1)) == [("100.0", "1")]
    buy, sell = empty.place(Side.Buy, 1, price=99.5), empty.place(Side.Sell, 1, price=101.5)
    empty.engine.on_bar(bar(empty, 99.5, 101.5, 100.0))
    assert empty.fills(buy) == empty.fills(sell) == []
    empty.engine.on_bar(bar(empty, 99.4, 101.6, 100.0))
    assert empty.fills(buy) == [("99.5", "1")]
    assert empty.fills(sell) == [("101.5", "1")]


def test_bars_fill_nothing_where_finer_data_speaks(desk: Desk) -> None:
    order = desk.place(Side.Buy, 1, price=100.0)
    desk.engine.on_bar(bar(desk, 90.0, 110.0, 100.0))
    assert desk.fills(order) == []


def test_a_cancel_removes_a_resting_order_and_reports_what_had_filled(desk: Desk) -> None:
    order = desk.place(Side.Buy, 2, price=101.0)
    assert desk.engine.cancel(order, desk.now)
    assert desk.status(order) is OrderStatus.Cancelled
    assert desk.updates[-1].filled_quantity == Decimal(1)
    desk.trade(90.0, 1.0, seller=True)
    assert desk.fills(order) == [("101.0", "1")]


def test_a_cancel_of_a_finished_order_finds_nothing(desk: Desk) -> None:
    order = desk.place(Side.Buy, 1)
    reported = len(desk.updates)
    assert not desk.engine.cancel(order, desk.now)
    assert len(desk.updates) == reported


def test_the_mid_is_exact(desk: Desk) -> None:
    assert desk.engine.mid() == Decimal("100.5")
    desk.quote(100.01, 1.0, 100.02, 1.0, sequence=101)
    assert desk.engine.mid() == Decimal("100.015")
