from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_quant.errors import ConfigError
from axon_quant.inference.action import Action
from axon_quant.market import Instrument, Quote
from axon_quant.orders import Cancel, Order, OrderType, Side, TimeInForce
from axon_quant.strategy import TargetPosition


def test_buy_places_one_limit_at_the_bid_for_the_target(script, decide):
    (order,) = decide(TargetPosition("0.01"), "buy")
    assert isinstance(order, Order)
    assert (order.symbol, order.side, order.order_type) == ("BTCUSDT", Side.Buy, OrderType.Limit)
    assert order.price == Decimal("49999.99")
    assert order.quantity == Decimal("0.02")
    assert (order.time_in_force, order.post_only, order.strategy) == (TimeInForce.GTC, False, "target-position")


def test_only_what_is_missing_is_ordered_rounded_down_to_the_lot(script, decide):
    script.held = Decimal("0.015")
    script.equity = Decimal("99999.5")
    (order,) = decide(TargetPosition("0.01"), "buy")
    assert order.quantity == Decimal("0.00499")


def test_the_price_is_rounded_to_the_tick(script, decide):
    script.touch(50_000.0000001, 50_000.02)
    (order,) = decide(TargetPosition(), "buy")
    assert order.price == Decimal("50000.00")


def test_at_the_target_nothing_happens(script, decide):
    strategy = TargetPosition("0.01")
    script.held = Decimal("0.02")
    assert decide(strategy, "buy") == []
    script.held = Decimal("0.03")
    assert decide(strategy, "buy") == []


def test_a_difference_below_min_notional_or_one_lot_is_left_alone(script, decide):
    script.touch(50_000.0, 50_000.01)
    script.held = Decimal("0.01990")
    (order,) = decide(TargetPosition("0.01"), "buy")
    assert order.quantity * order.price == 5
    script.held = Decimal("0.01991")
    assert decide(TargetPosition("0.01"), "buy") == []


def test_one_lot_is_the_least_even_without_a_min_notional(script, decide):
    coarse = Instrument(venue="p", symbol="BTCUSDT", base="BTC", quote="USDT", tick_size="0.01", lot_size="0.01")
    script.instrument = lambda symbol: coarse
    script.touch(50_000.0, 50_000.01)
    script.held = Decimal("0.01")
    (order,) = decide(TargetPosition("0.01"), "buy")
    assert order.quantity == Decimal("0.01")
    script.held = Decimal("0.0100001")
    assert decide(TargetPosition("0.01"), "buy") == []


def test_sell_goes_flat_at_the_ask(script, decide):
    script.held = Decimal("0.0123456")
    (order,) = decide(TargetPosition("0.01"), "sell")
    assert (order.side, order.price, order.quantity) == (Side.Sell, Decimal("50000.01"), Decimal("0.01234"))


def test_sell_when_flat_does_nothing_without_shorting(script, decide):
    assert decide(TargetPosition(), "sell") == []
    script.held = Decimal("-0.01")
    assert decide(TargetPosition(), "sell") == []


def test_sell_goes_short_when_allowed_and_a_reversal_goes_through_flat(script, decide):
    (order,) = decide(TargetPosition("0.01", allow_short=True), "sell")
    assert (order.side, order.quantity) == (Side.Sell, Decimal("0.01999"))
    script.held = Decimal("0.02")
    (order,) = decide(TargetPosition("0.01", allow_short=True), "sell")
    assert order.quantity == Decimal("0.01999")
    script.held = Decimal("-0.01")
    (order,) = decide(TargetPosition("0.01", allow_short=True), "sell")
    assert order.quantity == Decimal("0.00999")


def test_buy_covers_a_short_one_target_at_a_time(script, decide):
    script.held = Decimal("-0.02")
    (order,) = decide(TargetPosition("0.01", allow_short=True), "buy")
    assert order.quantity == Decimal("0.02000")


def test_hold_places_nothing(script, decide):
    script.held = Decimal("0.02")
    assert decide(TargetPosition(), "hold") == []


def test_hold_cancels_an_order_that_is_older_than_its_lifetime(script, decide):
    strategy = TargetPosition(order_lifetime_ms=1_500)
    state = script.work("buy")
    script.wait(1_499.999)
    assert decide(strategy, "hold") == []
    script.wait(0.001)
    assert decide(strategy, "hold") == [Cancel("BTCUSDT", state.order.client_order_id)]


def test_a_working_order_is_not_doubled(script, decide):
    script.work("buy")
    assert decide(TargetPosition(), "buy") == []


@pytest.mark.parametrize(("working", "says"), [("buy", "sell"), ("sell", "buy")])
def test_an_order_that_contradicts_the_action_is_cancelled_before_anything_is_placed(script, decide, working, says):
    strategy = TargetPosition(allow_short=True)
    state = script.work(working)
    assert decide(strategy, says) == [Cancel("BTCUSDT", state.order.client_order_id)]
    state.cancel_requested = True
    script.wait(100)
    assert decide(strategy, says) == []
    script.orders.clear()
    script.wait(100)
    (order,) = decide(strategy, says)
    assert order.side is Side(says)


def test_a_cancel_is_asked_for_once(script, decide):
    strategy = TargetPosition(order_lifetime_ms=1)
    script.work("buy").cancel_requested = True
    script.wait(10)
    assert decide(strategy, "buy") == []


def test_an_order_left_behind_by_the_touch_is_cancelled_when_asked(script, decide):
    state = script.work("buy", "49999.99")
    assert decide(TargetPosition(follow_touch=True), "buy") == []
    script.touch(50_000.5, 50_000.6)
    assert decide(TargetPosition(follow_touch=False), "buy") == []
    assert decide(TargetPosition(follow_touch=True), "buy") == [Cancel("BTCUSDT", state.order.client_order_id)]


def test_aggressive_takes_the_far_side_at_once(script, decide):
    (order,) = decide(TargetPosition(aggressive=True), "buy")
    assert (order.price, order.time_in_force) == (Decimal("50000.01"), TimeInForce.IOC)
    script.held = Decimal("0.01")
    (order,) = decide(TargetPosition(aggressive=True), "sell")
    assert order.price == Decimal("49999.99")


@pytest.mark.parametrize(("held", "side"), [("0.02", Side.Sell), ("-0.02", Side.Buy)])
def test_flat_on_hold_closes_what_is_held(script, decide, held, side):
    strategy = TargetPosition("0.01", allow_short=True, flat_on_hold=True)
    script.held = Decimal(held)
    script.equity = Decimal(200_000)
    (order,) = decide(strategy, "hold")
    assert (order.side, order.quantity) == (side, Decimal("0.02"))


def test_flat_on_hold_cancels_an_order_that_would_open(script, decide):
    strategy = TargetPosition(flat_on_hold=True)
    script.held = Decimal("0.01")
    state = script.work("buy")
    assert decide(strategy, "hold") == [Cancel("BTCUSDT", state.order.client_order_id)]


def test_flat_on_hold_when_flat_does_nothing(decide):
    assert decide(TargetPosition(flat_on_hold=True), "hold") == []


def test_a_clip_is_the_most_that_one_order_asks_for(script, decide):
    strategy = TargetPosition("0.01", clip="0.25")
    script.touch(50_000.0, 50_000.01)
    (order,) = decide(strategy, "buy")
    assert order.quantity == Decimal("0.005")
    script.wait(100)
    script.held = Decimal("0.017")
    (order,) = decide(strategy, "buy")
    assert order.quantity == Decimal("0.003")


@pytest.mark.parametrize(("side", "far"), [("buy", "50000.01"), ("sell", "49999.99")])
def test_an_order_that_waited_in_vain_is_followed_by_one_that_crosses(script, decide, side, far):
    strategy = TargetPosition("0.01", escalate=True, allow_short=True, order_lifetime_ms=1_000)
    script.work(side)
    script.wait(1_000)
    (cancel,) = decide(strategy, side)
    assert isinstance(cancel, Cancel)
    script.orders.clear()
    script.wait(100)
    (order,) = decide(strategy, side)
    assert (order.price, order.time_in_force) == (Decimal(far), TimeInForce.IOC)
    script.wait(100)
    (order,) = decide(strategy, side)
    assert order.time_in_force is TimeInForce.GTC


def test_an_order_that_waited_on_the_other_side_does_not_make_this_one_cross(script, decide):
    strategy = TargetPosition("0.01", escalate=True, allow_short=True, order_lifetime_ms=1_000)
    script.work("buy")
    script.wait(1_000)
    decide(strategy, "sell")
    script.orders.clear()
    script.wait(100)
    (order,) = decide(strategy, "sell")
    assert order.time_in_force is TimeInForce.GTC


def test_post_only_is_passed_on(decide):
    (order,) = decide(TargetPosition(post_only=True), "buy")
    assert order.post_only


def test_at_most_about_ten_messages_a_second_leave(script, decide):
    strategy = TargetPosition()
    sent = 0
    for _ in range(1_000):
        sent += len(decide(strategy, "buy"))
        script.wait(1)
    assert sent == 12


def test_jitter_of_a_decision_costs_no_turn(script, decide):
    strategy = TargetPosition()
    for late in (0, 7, -7, 3, 0):
        assert len(decide(strategy, "buy")) == 1
        script.wait(100 + late)


@pytest.mark.parametrize("price", [float("nan"), float("inf"), 0.0, -1.0])
def test_a_touch_that_is_no_price_is_not_traded(script, decide, price):
    script.touch(price, price)
    assert decide(TargetPosition(), "buy") == []


def test_without_a_quote_nothing_is_placed_and_old_orders_are_still_cancelled(script, decide):
    script.best = None
    assert decide(TargetPosition(), "buy") == []
    script.work("buy")
    script.wait(2_000)
    assert len(decide(TargetPosition(follow_touch=True), "hold")) == 1


@pytest.mark.parametrize("equity", [0, -1])
def test_without_equity_nothing_is_placed(script, decide, equity):
    script.equity = Decimal(equity)
    assert decide(TargetPosition(), "buy") == []


def test_an_action_that_means_nothing_to_it_is_an_error(decide):
    with pytest.raises(ConfigError, match="'long'"):
        decide(TargetPosition(), "long")


@pytest.mark.parametrize(
    ("options", "name"),
    [
        *(({"target": bad}, "target") for bad in ("0", "-0.1", "1.01", "NaN", "Infinity", float("nan"), "much")),
        *(({"order_lifetime_ms": bad}, "order_lifetime_ms") for bad in (0, -1, float("nan"), float("inf"))),
        *(({"message_interval_ms": bad}, "message_interval_ms") for bad in (-1, float("nan"), float("inf"))),
        *(({"clip": bad}, "clip") for bad in ("0", "-1", "1.01", "NaN", float("inf"))),
        ({"aggressive": True, "post_only": True}, "post_only"),
        ({"escalate": True, "post_only": True}, "post_only"),
    ],
)
def test_options_that_cannot_be_are_refused(options, name):
    with pytest.raises(ConfigError, match=name):
        TargetPosition(**options)


class Fixed:
    """A context without orders, built inside a property where fixtures cannot be."""

    symbol, now = "BTCUSDT", 10**18

    def __init__(self, bid, equity, held):
        self.bid, self.equity, self.held = bid, equity, held

    def position(self, symbol):
        return self.held

    def quote(self, symbol):
        return Quote(symbol, 0, self.bid, 1.0, self.bid + 0.01, 1.0)

    def instrument(self, symbol):
        return GRID

    def open_orders(self, symbol):
        return []


GRID = Instrument(
    venue="p", symbol="BTCUSDT", base="BTC", quote="USDT", tick_size="0.01", lot_size="0.00001", min_notional="5"
)
ticks = st.integers(1, 10**8).map(lambda number: float(Decimal(number).scaleb(-2)))


@given(
    name=st.sampled_from(["buy", "sell"]),
    bid=ticks,
    equity=st.decimals("0.01", "1e9", places=2),
    share=st.floats(-3, 3),
    target=st.decimals("0.001", "1", places=3),
    allow_short=st.booleans(),
)
def test_every_order_lies_on_the_grid_and_never_overshoots_the_target(name, bid, equity, share, target, allow_short):
    held = Decimal(repr(round(share * float(target * equity) / bid, 7)))
    ctx = Fixed(bid, equity, held)
    for order in TargetPosition(target, allow_short=allow_short).on_decision(ctx, Action(name, 0, 1.0, ())):
        assert order.price % GRID.tick_size == 0
        assert order.quantity % GRID.lot_size == 0
        assert order.quantity * order.price >= GRID.min_notional
        assert order.quantity * order.price <= target * equity
        after = held + order.side.sign * order.quantity
        bound = target * equity
        assert -bound <= after * order.price <= bound or abs(after) < abs(held)
        if name == "sell" and not allow_short:
            assert after >= 0


def test_of_a_swap_the_order_is_in_contracts_and_the_position_in_base_units(script, decide):
    script.instrument = lambda symbol: Instrument(
        venue="okx",
        symbol="BTCUSDT",
        base="BTC",
        quote="USDT",
        tick_size="0.01",
        lot_size="0.01",
        min_notional="5",
        contract_size="0.01",
    )
    (order,) = decide(TargetPosition("0.01"), "buy")
    assert order.quantity == 2
    script.held = Decimal("0.01")
    (order,) = decide(TargetPosition("0.01"), "buy")
    assert order.quantity == 1
    (order,) = decide(TargetPosition("0.01", clip="0.1", allow_short=True), "sell")
    assert order.quantity == Decimal("0.19")
    script.held = Decimal("0.01995")  # what is missing is worth less than the venue takes
    assert decide(TargetPosition("0.01"), "buy") == []
