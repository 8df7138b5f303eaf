"""Each control accepts at its limit and refuses just beyond."""

from decimal import Decimal

import pytest

from axon_quant.orders import Order, OrderType, Side
from axon_quant.risk import RiskLimits


def forged(**fields):
    """An order whose numbers went past its constructor."""
    order = Order("BTCUSDT", Side.Buy, price=100, quantity=1)
    for name, value in fields.items():
        object.__setattr__(order, name, value)
    return order


def test_an_ordinary_order_is_accepted(desk):
    assert desk().check() == []


def test_a_symbol_without_an_instrument_is_refused(desk):
    assert desk().check(symbol="XRPUSDT") == ["instrument"]


@pytest.mark.parametrize("field", ["price", "quantity"])
@pytest.mark.parametrize("number", ["NaN", "sNaN", "Infinity", "-Infinity", "0", "-1", "1e19"])
def test_numbers_that_are_none_are_refused(desk, field, number):
    decision = desk().engine.check_order(forged(**{field: Decimal(number)}))
    assert [reject.control for reject in decision.rejects] == ["sane-numbers"]


@pytest.mark.parametrize("value", [float("nan"), 1.0, None, "1"])
@pytest.mark.parametrize("field", ["price", "quantity"])
def test_numbers_that_are_no_decimals_are_refused(desk, field, value):
    decision = desk().engine.check_order(forged(**{field: value}))
    assert [reject.control for reject in decision.rejects] == ["sane-numbers"]


def test_a_market_order_with_a_price_is_refused(desk):
    decision = desk().engine.check_order(forged(order_type=OrderType.Market))
    assert [reject.control for reject in decision.rejects] == ["sane-numbers"]


def test_prices_lie_on_the_tick_and_quantities_on_the_lot(desk):
    assert desk().check(price="100.01") == []
    assert desk().check(price="100.011") == ["tick-size"]
    assert desk().check(quantity="1.001") == []
    assert desk().check(quantity="1.0011") == ["lot-size"]


def test_a_number_with_more_steps_than_can_be_counted_is_off_the_grid(desk):
    assert desk().check(quantity="1.000000000000000000000000000000001") == ["lot-size"]


@pytest.mark.parametrize("price", ["100", None])
def test_min_notional(desk, price):
    assert desk().check(quantity="0.05", price=price) == []
    assert desk().check(quantity="0.049", price=price) == ["min-notional"]


def test_max_quantity(desk):
    assert desk(max_quantity="2").check(quantity="2") == []
    assert desk(max_quantity="2").check(quantity="2.001") == ["max-quantity"]


@pytest.mark.parametrize("price", ["100", None])
def test_max_notional_is_a_fraction_of_equity(desk, price):
    assert desk(max_notional="0.01").check(quantity="10", price=price) == []
    assert desk(max_notional="0.01").check(quantity="10.001", price=price) == ["max-notional"]


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_price_collar_holds_both_ways(desk, side):
    for price in ("105", "95"):
        assert desk().check(side, price=price) == []
    for price in ("105.01", "94.99"):
        assert desk().check(side, price=price) == ["price-collar"]


def test_a_market_order_needs_no_collar(desk):
    assert desk(price_collar=0.0001).check(price=None) == []


def test_a_reference_may_be_as_old_as_the_limit(desk):
    it = desk(max_reference_age_ms=2_000)
    it.wait(2)
    assert it.check() == []
    it.wait(1e-9)
    assert it.check(quantity="2") == ["stale-reference"]


@pytest.mark.parametrize("price", [float("nan"), float("inf"), 0.0, -100.0])
def test_a_reference_that_is_no_price_is_refused(desk, price):
    it = desk()
    it.prices.mark("BTCUSDT", price)
    assert it.check() == ["stale-reference"]
    it.prices.mark("BTCUSDT", 100.0)
    assert it.check() == []


@pytest.mark.parametrize("equity", ["NaN", "sNaN", "Infinity", "-Infinity", "0", "-1"])
def test_without_sane_equity_nothing_passes(desk, equity):
    it = desk()
    it.account.equity = Decimal(equity)
    assert it.check() == ["equity"]


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_max_position_counts_the_open_orders_of_its_side(desk, side):
    it = desk(max_position="0.01")
    it.place(side, "4", "100" if side == "buy" else "101")
    assert it.check(side, "6.001") == ["max-position"]
    assert it.check(side, "6") == []


def test_an_order_that_lowers_a_position_beyond_the_limit_passes(desk):
    it = desk(max_position="0.01")
    it.account.positions["BTCUSDT"] = Decimal(50)
    assert it.check("buy", "0.1") == ["max-position"]
    assert it.check("sell", "50") == []


def test_an_order_that_turns_a_position_is_held_to_the_limit_on_the_other_side(desk):
    it = desk(max_position="0.01")
    it.account.positions["BTCUSDT"] = Decimal(5)
    assert it.check("sell", "15.001") == ["max-position"]
    assert it.check("sell", "15") == []


def test_gross_exposure_sums_over_symbols_and_open_orders(desk):
    it = desk(max_gross_exposure=0.01)
    it.account.positions["ETHUSDT"] = Decimal(-50)
    it.place("buy", "3")
    assert it.check("buy", "2.001") == ["gross-exposure"]
    assert it.check("buy", "2") == []


def test_net_exposure_lets_opposite_positions_offset(desk):
    it = desk(max_net_exposure=0.01)
    it.account.positions["ETHUSDT"] = Decimal(-50)
    assert it.check("buy", "15.001") == ["net-exposure"]
    assert it.check("buy", "15") == []
    short = desk(max_net_exposure=0.01)
    short.account.positions["ETHUSDT"] = Decimal(-50)
    assert short.check("sell", "5.001") == ["net-exposure"]
    assert short.check("sell", "5") == []


def test_exposure_that_has_no_price_refuses_to_grow(desk):
    it = desk()
    it.account.positions["ETHUSDT"] = Decimal(1)
    it.prices.mark("ETHUSDT", float("nan"))
    assert it.check() == ["gross-exposure"]
    it.account.positions["BTCUSDT"] = Decimal(1)
    assert it.check("sell", "1") == []


def test_an_order_that_only_lowers_a_position_passes_every_exposure_limit(desk):
    it = desk(max_gross_exposure=0.001, max_net_exposure=0.001)
    it.account.positions["BTCUSDT"] = Decimal(50)
    assert it.check("sell", "50") == []


def test_buying_power_includes_the_fee_and_what_open_orders_hold(desk):
    it = desk(fee_rate="0.001", equity=10**6)
    it.account.balances["USDT"] = Decimal("1001")
    it.place("buy", "4")
    assert it.engine.reserved("USDT") == Decimal("400.4")
    assert it.check("buy", "6.001") == ["buying-power"]
    assert it.check("buy", "6") == []


def test_without_shorting_a_sell_needs_the_base_asset(desk):
    it = desk(allow_short=False)
    it.account.positions["BTCUSDT"] = Decimal(10)
    it.place("sell", "4", "101")
    assert it.check("sell", "6.001") == ["buying-power"]
    assert it.check("sell", "6") == []


def test_opening_a_short_needs_collateral_and_closing_one_needs_none(desk):
    it = desk(equity=10**6)
    it.account.balances["USDT"] = Decimal(500)
    assert it.check("sell", "5.001") == ["buying-power"]
    assert it.check("sell", "5") == []
    closing = desk(equity=10**6)
    closing.account.balances["USDT"] = Decimal(0)
    closing.account.positions["BTCUSDT"] = Decimal(-5)
    assert closing.check("buy", "5.001") == ["buying-power"]
    assert closing.check("buy", "5") == []


def test_message_rate_is_a_token_bucket(desk):
    it = desk(messages_per_second=10, message_burst=3)
    sizes = iter(f"0.{n}" for n in range(100, 200))
    assert [it.check(quantity=next(sizes)) for _ in range(4)] == [[], [], [], ["message-rate"]]
    it.wait(0.0999)
    assert it.check(quantity=next(sizes)) == ["message-rate"]
    it.wait(0.0001)
    assert it.check(quantity=next(sizes)) == []
    assert it.check(quantity=next(sizes)) == ["message-rate"]
    it.wait(100)
    it.fresh()
    assert [it.check(quantity=next(sizes)) for _ in range(4)] == [[], [], [], ["message-rate"]]


def test_ten_orders_a_second_pass_for_as_long_as_they_come_evenly(desk):
    it = desk(messages_per_second=10, message_burst=1, max_open_orders=1_000)
    for number in range(100):
        assert it.check(quantity=f"1.{number:03}") == [], number
        it.wait(0.1)
        it.fresh()


def test_a_refused_order_costs_no_message(desk):
    it = desk(messages_per_second=10, message_burst=1)
    assert it.check(price="50") == ["price-collar"]
    assert it.check() == []


def test_open_orders_are_counted_per_symbol(desk):
    it = desk(max_open_orders=2)
    first = it.place(quantity="1")
    it.place(quantity="2")
    assert it.check(quantity="3") == ["open-orders"]
    assert it.check(symbol="ETHUSDT", price="10") == []
    it.update(first, "cancelled")
    assert it.check(quantity="3") == []


def test_the_same_order_again_within_the_window_is_a_duplicate(desk):
    it = desk(duplicate_window_ms=1_000)
    it.place()
    it.wait(0.999999999)
    assert it.check() == ["duplicate"]
    for other in ({"quantity": "2"}, {"price": "99"}, {"side": "sell", "price": "101"}):
        assert it.check(**other) == []
    it.wait(1e-9)
    assert it.check() == []


@pytest.mark.parametrize("status", ["cancelled", "expired", "rejected"])
def test_what_ended_without_being_filled_may_be_placed_again_at_once(desk, status):
    it = desk()
    it.update(it.place(), status)
    assert it.check() == []
    assert it.check() == ["duplicate"]


def test_what_was_filled_may_not_be_placed_again_within_the_window(desk):
    it = desk()
    it.update(it.place(), "filled", filled="1", fill="1")
    assert it.check() == ["duplicate"]


def test_a_client_order_id_is_used_once(desk):
    it = desk()
    order = it.place(client_order_id="mine")
    assert it.check(quantity="2", client_order_id="mine") == ["duplicate"]
    it.update(order, "cancelled")
    it.wait(2)
    it.fresh()
    assert it.check(client_order_id="mine") == ["duplicate"]


@pytest.mark.parametrize(("side", "apart", "meets"), [("buy", "99.99", "100"), ("sell", "100.01", "100")])
def test_an_order_never_meets_one_of_ours(desk, side, apart, meets):
    it = desk()
    own = it.place("sell" if side == "buy" else "buy", price="100")
    assert it.check(side, price=meets) == ["self-trade"]
    assert it.check(side, price=None) == ["self-trade"]
    assert it.check(side, price=apart) == []
    it.update(own, "cancelled")
    assert it.check(side, quantity="2", price=meets) == []


def test_fan_out_counts_the_orders_of_one_decision(desk):
    it = desk(max_orders_per_decision=2)
    assert [it.check(quantity=str(n)) for n in (1, 2, 3)] == [[], [], []]
    it.engine.begin_decision()
    assert [it.check(quantity=str(n)) for n in (4, 5, 6)] == [[], [], ["fan-out"]]
    it.engine.begin_decision()
    assert it.check(quantity="6") == []


def test_a_strategy_that_fills_too_often_is_suspended_until_a_human_releases_it(desk):
    it = desk(max_executions_per_minute=2)
    order = it.place(strategy="mad")
    for number in range(2):
        it.update(order, "partially_filled", fill="0.1", fill_id=str(number))
    assert it.check(quantity="2", strategy="mad") == []
    it.update(order, "partially_filled", fill="0.1", fill_id="1")
    assert it.engine.suspended == frozenset()
    it.update(order, "partially_filled", fill="0.1", fill_id="2")
    assert it.engine.suspended == {"mad"}
    it.wait(120)
    it.fresh()
    assert it.check(quantity="3", strategy="mad") == ["execution-throttle"]
    assert it.check(quantity="3", strategy="calm") == []
    it.engine.release("mad")
    assert it.check(quantity="4", strategy="mad") == []


def test_fills_of_an_earlier_minute_do_not_count(desk):
    it = desk(max_executions_per_minute=1)
    order = it.place()
    it.update(order, "partially_filled", fill="0.1", fill_id="1")
    it.wait(60)
    it.update(order, "partially_filled", fill="0.1", fill_id="2")
    assert it.engine.suspended == frozenset()


def test_every_control_that_refuses_is_named_with_value_and_limit(desk):
    it = desk(max_notional="0.01", max_position="0.01", equity=10_000)
    decision = it.engine.check_order(it.order(quantity="2", price="110.001"))
    assert [reject.control for reject in decision.rejects] == [
        "tick-size",
        "max-notional",
        "price-collar",
        "max-position",
    ]
    assert decision.rejects[1].value == "220.002"
    assert Decimal(decision.rejects[1].limit) == 100
    assert str(decision.rejects[1]) in str(decision)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0, -1])
@pytest.mark.parametrize(
    "name", ["max_notional", "price_collar", "max_position", "messages_per_second", "max_daily_loss", "max_open_orders"]
)
def test_a_limit_that_is_none_is_refused(name, value):
    with pytest.raises(ValueError, match=name):
        RiskLimits(**{name: value})
