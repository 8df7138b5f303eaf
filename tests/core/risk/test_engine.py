from decimal import Decimal

import msgspec
import pytest

from axon_quant.clock import LiveClock, SimClock
from axon_quant.errors import JournalError, OrderError
from axon_quant.events import OrderRefused, RiskStateChanged
from axon_quant.market import Instrument, InstrumentKind
from axon_quant.orders import Fill, Liquidity, Order, OrderStatus, OrderType, OrderUpdate, Side
from axon_quant.risk import FixedAccount, LastPrices, RiskEngine, RiskLimits, RiskSnapshot, RiskState

DAY = 86_400 * 10**9
MIDNIGHT = 20_000 * DAY


def test_the_documented_order_flow_works_with_defaults():
    clock = LiveClock()
    prices = LastPrices(clock)
    prices.mark("BTCUSDT", 50_000.0)
    instrument = Instrument(
        venue="binance", symbol="BTCUSDT", base="BTC", quote="USDT", tick_size="0.01", lot_size="0.00001"
    )
    risk_engine = RiskEngine(
        instruments=[instrument], account=FixedAccount(100_000, {"USDT": 100_000}), prices=prices, clock=clock
    )
    order = Order(symbol="BTCUSDT", side=Side.Buy, order_type=OrderType.Limit, price=50000.0, quantity=0.001)
    assert risk_engine.check_order(order)
    assert not risk_engine.check_order(Order("BTCUSDT", Side.Buy, price=50000.0, quantity=1))


def test_checking_the_same_order_again_changes_nothing(desk):
    it = desk(max_position="0.01", messages_per_second=1, message_burst=1)
    order = it.order(quantity="10")
    assert it.engine.check_order(order)
    assert it.engine.check_order(order)
    assert it.engine.open_quantity("BTCUSDT") == (10, 0)
    it.engine.on_sent(order.client_order_id)
    assert it.engine.check_order(order)
    assert it.engine.reserved("USDT") == 1000


def test_a_refusal_is_emitted_with_its_reasons_and_an_acceptance_is_not(desk):
    it = desk()
    assert it.engine.check_order(it.order())
    assert it.events == []
    order = it.order(price="50")
    decision = it.engine.check_order(order)
    assert it.events == [OrderRefused(MIDNIGHT, order, decision.rejects)]


def test_a_refused_order_may_be_checked_again_later(desk):
    it = desk(max_position="0.01")
    first, second = it.place(quantity="10"), it.order(quantity="1")
    assert not it.engine.check_order(second)
    it.update(first, "cancelled")
    assert it.engine.check_order(second)


def test_a_reservation_that_is_never_sent_ends_after_its_ttl(desk):
    it = desk(reservation_ttl_ms=5_000, max_position="0.01")
    forgotten = it.order(quantity="10")
    assert it.engine.check_order(forgotten)
    it.wait(4.999)
    it.fresh()
    assert it.check(quantity="1") == ["max-position"]
    it.wait(0.001)
    assert it.check(quantity="1") == []
    assert it.engine.open_quantity("BTCUSDT") == (1, 0)
    assert not it.engine.check_order(forgotten)


def test_a_reservation_that_was_sent_waits_for_the_venue(desk):
    it = desk(reservation_ttl_ms=5_000)
    order = it.place(quantity="10")
    it.wait(3600)
    it.fresh()
    it.check(quantity="1")
    it.update(order, "unknown")
    assert it.engine.open_quantity("BTCUSDT")[0] == 11


@pytest.mark.parametrize("status", ["cancelled", "rejected", "expired", "filled"])
def test_a_terminal_update_ends_a_reservation(desk, status):
    it = desk()
    order = it.place("buy", "10")
    it.update(order, status)
    assert it.engine.open_quantity("BTCUSDT") == (0, 0)
    assert it.engine.reserved("USDT") == 0


def test_a_fill_moves_from_the_reservation_into_the_position(desk):
    it = desk(fee_rate="0.001")
    order = it.place("buy", "10")
    it.update(order, "partially_filled", filled="4", fill="4")
    it.update(order, "partially_filled", filled="4", fill="4")
    assert it.engine.open_quantity("BTCUSDT") == (6, 0)
    assert it.engine.reserved("USDT") == Decimal("600.6")
    it.update(order, "filled", filled="10", fill="6", fill_id="2")
    assert it.engine.open_quantity("BTCUSDT") == (0, 0)
    assert it.engine.reserved("USDT") == 0


def test_fills_that_were_announced_stay_reserved_until_they_arrive(desk):
    it = desk(reservation_ttl_ms=5_000, max_open_orders=1)
    order = it.place("sell", "10", "101")
    it.update(order, "cancelled", filled="4")
    assert it.engine.open_quantity("BTCUSDT") == (0, 4)
    it.update(order, "cancelled", filled="4", fill="3", fill_id="a")
    assert it.engine.open_quantity("BTCUSDT") == (0, 1)
    assert it.check("sell", "1", "101") == ["open-orders"]
    it.update(order, "partially_filled", filled="4", fill="1", fill_id="b")
    assert it.engine.open_quantity("BTCUSDT") == (0, 0)
    assert it.check("sell", "1", "101") == []


def test_fills_that_were_announced_and_never_come_are_given_up_after_the_ttl(desk):
    it = desk(reservation_ttl_ms=5_000)
    it.update(it.place("buy", "10"), "filled", filled="10")
    assert it.engine.open_quantity("BTCUSDT") == (10, 0)
    it.wait(5)
    it.fresh()
    assert it.check("buy", "1") == []
    assert it.engine.open_quantity("BTCUSDT") == (1, 0)


def test_updates_of_unknown_orders_are_ignored(desk):
    it = desk()
    it.update(it.order(), "filled", fill="1")
    assert it.engine.open_quantity("BTCUSDT") == (0, 0)


def test_an_adopted_order_counts_whatever_the_limits_say(desk):
    it = desk(max_position="0.01")
    order = it.order(quantity="50")
    it.engine.adopt(order, filled=Decimal(20))
    it.engine.adopt(order, filled=Decimal(20))
    assert it.engine.open_quantity("BTCUSDT") == (30, 0)
    assert it.check() == ["max-position"]
    it.update(order, "cancelled", filled="20")
    assert it.engine.open_quantity("BTCUSDT") == (0, 0)
    with pytest.raises(OrderError, match="instrument"):
        it.engine.adopt(it.order(symbol="XRPUSDT"))


def test_a_halted_engine_takes_nothing_until_a_human_resumes(desk):
    it = desk()
    it.account.positions["BTCUSDT"] = Decimal(5)
    it.engine.halt("operator")
    assert it.check("buy") == ["state"]
    assert it.check("sell") == ["state"]
    it.engine.reduce("too late")
    assert it.engine.state is RiskState.HALTED
    assert it.engine.reason == "operator"
    it.engine.resume()
    assert it.check("buy") == []
    assert [event for event in it.events if isinstance(event, RiskStateChanged)] == [
        RiskStateChanged(MIDNIGHT, "halted", "operator"),
        RiskStateChanged(MIDNIGHT, "active", ""),
    ]


def test_halting_again_keeps_the_first_reason_and_says_nothing(desk):
    it = desk()
    it.engine.halt("first")
    it.engine.halt("second")
    assert it.engine.reason == "first"
    assert len(it.events) == 1


def test_an_order_that_was_checked_but_not_sent_is_refused_after_a_halt(desk):
    it = desk()
    order = it.order()
    assert it.engine.check_order(order)
    it.engine.halt("operator")
    assert not it.engine.check_order(order)
    assert it.engine.open_quantity("BTCUSDT") == (0, 0)


@pytest.mark.parametrize(("held", "lowers", "raises"), [(5, "sell", "buy"), (-5, "buy", "sell")])
def test_reducing_takes_only_what_lowers_the_position(desk, held, lowers, raises):
    it = desk()
    it.account.positions["BTCUSDT"] = Decimal(held)
    it.engine.reduce("operator")
    assert it.check(raises, "0.1") == ["state"]
    assert it.check(lowers, "5.001") == ["state"]
    assert it.check(lowers, "3") == []
    assert it.check(lowers, "2.001") == ["state"]
    assert it.check(lowers, "2") == []
    it.engine.halt("worse")
    assert it.check(lowers, "0.1") == ["state"]


def test_reducing_with_no_position_takes_nothing(desk):
    it = desk()
    it.engine.reduce("operator")
    assert it.check("buy") == it.check("sell") == ["state"]


def test_a_daily_loss_at_the_limit_is_borne_and_just_beyond_it_halts(desk):
    it = desk(max_daily_loss="0.02")
    it.engine.on_equity(Decimal(100_000), MIDNIGHT)
    it.engine.on_equity(Decimal(98_000), MIDNIGHT + 1)
    assert it.engine.state is RiskState.ACTIVE
    it.engine.on_equity(Decimal("97999.99"), MIDNIGHT + 2)
    assert it.engine.state is RiskState.HALTED
    assert it.engine.reason.startswith("daily-loss")
    assert it.check() == ["state"]
    assert [event.state for event in it.events if isinstance(event, RiskStateChanged)] == ["halted"]


def test_the_daily_loss_counts_from_the_last_equity_before_midnight(desk):
    it = desk(max_daily_loss="0.02")
    for equity, at in ((100_000, 0), (98_500, DAY - 1), (98_000, DAY), (96_530, 2 * DAY - 1)):
        it.engine.on_equity(Decimal(equity), MIDNIGHT + at)
        assert it.engine.state is RiskState.ACTIVE
    it.engine.on_equity(Decimal(96_529), MIDNIGHT + 2 * DAY - 1)
    assert it.engine.state is RiskState.HALTED


def test_a_fall_over_midnight_belongs_to_the_new_day(desk):
    it = desk(max_daily_loss="0.02")
    it.engine.on_equity(Decimal(100_000), MIDNIGHT)
    it.engine.on_equity(Decimal(97_000), MIDNIGHT + DAY)
    assert it.engine.state is RiskState.HALTED


def test_drawdown_counts_from_the_highest_equity_over_days(desk):
    it = desk(max_daily_loss="1", max_drawdown="0.10")
    it.engine.on_equity(Decimal(100_000), MIDNIGHT)
    it.engine.on_equity(Decimal(110_000), MIDNIGHT + 1)
    it.engine.on_equity(Decimal(99_000), MIDNIGHT + DAY)
    assert it.engine.state is RiskState.ACTIVE
    it.engine.on_equity(Decimal("98999.99"), MIDNIGHT + DAY + 1)
    assert it.engine.state is RiskState.HALTED
    assert it.engine.reason.startswith("drawdown")


@pytest.mark.parametrize("equity", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_an_equity_that_is_no_number_halts(desk, equity):
    it = desk()
    it.engine.on_equity(Decimal(100_000), MIDNIGHT)
    it.engine.on_equity(Decimal(equity), MIDNIGHT + 1)
    assert it.engine.state is RiskState.HALTED


def test_a_negative_equity_halts_whatever_the_limits(desk):
    it = desk(max_daily_loss="1", max_drawdown="1")
    it.engine.on_equity(Decimal(100), MIDNIGHT)
    it.engine.on_equity(Decimal("-0.01"), MIDNIGHT + 1)
    assert it.engine.state is RiskState.HALTED


def test_resuming_counts_losses_from_the_present_equity(desk):
    it = desk(max_daily_loss="0.02")
    it.engine.on_equity(Decimal(100_000), MIDNIGHT)
    it.engine.on_equity(Decimal(90_000), MIDNIGHT + 1)
    it.engine.resume()
    it.engine.on_equity(Decimal(88_200), MIDNIGHT + 2)
    assert it.engine.state is RiskState.ACTIVE
    it.engine.on_equity(Decimal(88_199), MIDNIGHT + 3)
    assert it.engine.state is RiskState.HALTED


def test_a_halt_and_its_peak_survive_a_restart(desk):
    it = desk(max_daily_loss="1", max_drawdown="0.10", max_executions_per_minute=1)
    it.engine.on_equity(Decimal(100_000), MIDNIGHT)
    it.engine.halt("operator")
    snapshot = msgspec.json.decode(msgspec.json.encode(it.engine.snapshot()), type=RiskSnapshot)
    again = desk(max_daily_loss="1", max_drawdown="0.10")
    again.engine.restore(snapshot)
    assert again.engine.state is RiskState.HALTED
    assert again.engine.reason == "operator"
    assert again.engine.snapshot() == snapshot
    again.engine.resume()
    again.engine.on_equity(Decimal(89_999), MIDNIGHT + 1)
    assert again.engine.state is RiskState.HALTED


def test_who_sends_orders_is_told_of_every_halt_even_when_the_event_cannot_be_kept(desk):
    it, told = desk(), []
    it.engine.on_halt = told.append
    it.engine.halt("first")
    it.engine.halt("again")
    it.engine.resume()

    def failing(event):
        raise JournalError("the disk is full")

    it.engine._emit = failing
    with pytest.raises(JournalError):
        it.engine.halt("second")
    assert it.engine.state is RiskState.HALTED
    assert told == ["first", "second"]


def rejected(it, number):
    return OrderUpdate(f"o{number}", OrderStatus.Rejected, it.clock.now(), "BTCUSDT", reason="no such symbol")


def test_many_rejects_within_the_window_halt_and_a_resume_forgets_them(desk):
    it = desk(max_rejects=3, reject_window_ms=1_000)
    for number in range(10):
        it.engine.on_venue_reject(rejected(it, number))
        it.clock.advance(it.clock.now() + 600_000_000)
    assert it.engine.state is RiskState.ACTIVE, "they are too far apart"
    for number in range(3):
        it.engine.on_venue_reject(rejected(it, number))
    assert it.engine.state is RiskState.HALTED
    assert it.engine.reason == ("rejects: the venue rejected 3 orders within 1 s, the last one because: no such symbol")
    it.engine.resume()
    it.engine.on_venue_reject(rejected(it, 4))
    assert it.engine.state is RiskState.ACTIVE


def test_the_limits_of_a_swap_count_base_units_and_a_short_needs_no_base_asset():
    swap = Instrument(
        venue="okx",
        symbol="BTC-USDT-SWAP",
        base="BTC",
        quote="USDT",
        tick_size="0.1",
        lot_size="0.01",
        min_notional="5",
        kind=InstrumentKind.Swap,
        contract_size="0.01",
    )
    clock = SimClock(MIDNIGHT)
    prices = LastPrices(clock)
    prices.mark(swap.symbol, 50_000.0)
    account = FixedAccount(10_000, {"USDT": "1000"})
    limits = RiskLimits(max_quantity="0.03", max_notional="1", max_position="1")
    engine = RiskEngine(limits, [swap], account=account, prices=prices, clock=clock, fee_rate=Decimal(0))

    def check(quantity, side=Side.Sell):
        order = Order(swap.symbol, side, price="50000", quantity=quantity)
        return order, [reject.control for reject in engine.check_order(order).rejects]

    assert check("0.01")[1] == []  # 5 USDT
    assert engine.open_quantity(swap.symbol) == (0, Decimal("0.0001"))
    assert check("3.01")[1] == ["max-quantity", "buying-power"]
    order, refused = check("1.99")
    assert not refused
    assert engine.reserved("USDT") == 1000, "two contracts of a hundredth of a bitcoin"
    assert check("0.02")[1] == ["buying-power"]
    fill = Fill(
        order.client_order_id,
        swap.symbol,
        Side.Sell,
        Decimal(50_000),
        Decimal(1),
        Decimal(0),
        "USDT",
        Liquidity.Taker,
        "1",
        MIDNIGHT,
    )
    engine.on_update(
        OrderUpdate(order.client_order_id, OrderStatus.PartiallyFilled, MIDNIGHT, swap.symbol, "v", Decimal(1), fill)
    )
    assert engine.open_quantity(swap.symbol) == (0, Decimal("0.01"))
    engine.on_update(OrderUpdate(order.client_order_id, OrderStatus.Cancelled, MIDNIGHT, swap.symbol, "v", Decimal(1)))
    assert engine.open_quantity(swap.symbol) == (0, Decimal("0.0001"))
    late = Order(swap.symbol, Side.Buy, price="50000", quantity="2")
    engine.adopt(late, filled=Decimal("0.5"))
    assert engine.open_quantity(swap.symbol)[0] == Decimal("0.015")
