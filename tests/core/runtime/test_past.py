"""What a restart learns from the journal alone."""

from decimal import Decimal

import pytest

from axon_quant.errors import JournalError
from axon_quant.events import AccountReconciled, OrderAdopted, OrderPlaced, OrderUpdated, PositionHeld
from axon_quant.journal import Journal
from axon_quant.market import Instrument
from axon_quant.orders import Fill, Liquidity, Order, OrderStatus, OrderUpdate, Side
from axon_quant.runtime.past import Past, read_past

INSTRUMENT = Instrument(
    venue="v", symbol="BTCUSDT", base="BTC", quote="USDT", tick_size="0.01", lot_size="0.001", min_notional="5"
)


def order(name, side=Side.Buy, quantity="0.01"):
    return Order("BTCUSDT", side, price="50000", quantity=quantity, client_order_id=name)


def update(name, status, *, fill=None, filled="0"):
    return OrderUpdated(2, OrderUpdate(name, status, 2, "BTCUSDT", "v" + name, Decimal(filled), fill))


def fill(name, number, quantity="0.004", *, side=Side.Buy, fee="0.01", asset="USDT"):
    return Fill(
        name,
        "BTCUSDT",
        side,
        Decimal(50_000),
        Decimal(quantity),
        Decimal(fee),
        asset,
        Liquidity.Taker,
        f"f{number}",
        2,
    )


def reconciled(**balances):
    return AccountReconciled(1, {asset: Decimal(text) for asset, text in balances.items()}, 0, 0, (), ())


@pytest.fixture
def write(tmp_path):
    path = tmp_path / "live.db"

    def write(*events, mode="live"):
        with Journal(path) as journal:
            journal.start_run(mode=mode, continues=mode == "live")
            for event in events:
                journal.append(event)
            journal.flush()
        return path

    return write


def test_a_journal_that_is_not_there_has_no_past(tmp_path):
    assert read_past(tmp_path / "none.db", [INSTRUMENT]) == Past()


def test_a_journal_that_a_killed_run_left_empty_has_no_past(tmp_path):
    (tmp_path / "live.db").touch()
    assert read_past(tmp_path / "live.db", [INSTRUMENT]) == Past()


def test_a_file_that_is_no_journal_is_an_error(tmp_path):
    (tmp_path / "live.db").write_bytes(b"not a journal, whatever it may be" * 100)
    with pytest.raises(JournalError):
        read_past(tmp_path / "live.db", [INSTRUMENT])


def test_replays_in_the_same_file_are_no_past_of_the_account(write):
    path = write(OrderPlaced(1, order("a"), 1), mode="replay")
    assert read_past(path, [INSTRUMENT]) == Past()


def test_orders_without_a_terminal_update_may_still_live(write):
    path = write(
        reconciled(USDT="1000"),
        OrderPlaced(1, order("never-answered"), 1),
        OrderPlaced(1, order("open"), 2),
        update("open", OrderStatus.Open),
        OrderPlaced(1, order("done"), 3),
        update("done", OrderStatus.Filled, fill=fill("done", 1, "0.01"), filled="0.01"),
    )
    past = read_past(path, [INSTRUMENT])
    assert {name: state.status for name, state in past.orders.items()} == {
        "never-answered": OrderStatus.Submitted,
        "open": OrderStatus.Open,
    }
    assert past.orders["open"].venue_order_id == "vopen"
    assert past.placed == {"never-answered", "open", "done"}
    assert past.last == 2


def test_an_order_that_ended_lately_or_without_its_fills_may_lack_one(write):
    def ended(name, status, at, **more):
        return OrderUpdated(at, OrderUpdate(name, status, at, "BTCUSDT", "v" + name, Decimal(0), **more))

    names = ("long ago", "lately", "without its fills", "rejected", "whole")
    path = write(
        reconciled(USDT="1000"),
        *(OrderPlaced(1, order(name), number) for number, name in enumerate(names)),
        ended("long ago", OrderStatus.Cancelled, 10**9),
        ended("without its fills", OrderStatus.Filled, 2 * 10**9),
        ended("whole", OrderStatus.Filled, 10**9, fill=fill("whole", 1, "0.01")),
        ended("rejected", OrderStatus.Rejected, 19 * 10**9),
        ended("lately", OrderStatus.Cancelled, 20 * 10**9),
    )
    past = read_past(path, [INSTRUMENT])
    assert past.orders == {}
    assert set(past.ended) == {"lately", "without its fills"}


def test_balances_follow_the_fills_and_their_fees_in_any_asset(write):
    path = write(
        reconciled(USDT="1000", BTC="0.1", BNB="2"),
        OrderPlaced(1, order("a"), 1),
        update("a", OrderStatus.PartiallyFilled, fill=fill("a", 1), filled="0.004"),
        update("a", OrderStatus.PartiallyFilled, fill=fill("a", 1), filled="0.004"),
        update("a", OrderStatus.PartiallyFilled, fill=fill("a", 2, "0.001", fee="0.5", asset="BNB"), filled="0.005"),
        OrderPlaced(1, order("b", Side.Sell), 1),
        update("b", OrderStatus.PartiallyFilled, fill=fill("b", 3, "0.002", side=Side.Sell), filled="0.002"),
    )
    assert read_past(path, [INSTRUMENT]).balances == {
        "USDT": 1000 - Decimal("200.01") - 50 + Decimal("99.99"),
        "BTC": Decimal("0.103"),
        "BNB": Decimal("1.5"),
    }


def test_an_order_adopted_by_a_later_run_goes_on_where_it_stood(write):
    write(reconciled(USDT="1000"), OrderPlaced(1, order("a"), 1), update("a", OrderStatus.Open))
    path = write(
        OrderAdopted(1, order("a"), "partially_filled", "va", Decimal("0.004"), ("f1",), True),
        OrderAdopted(1, order("theirs"), "open", "vtheirs", Decimal(0), (), False),
        reconciled(USDT="500"),
    )
    past = read_past(path, [INSTRUMENT])
    assert past.orders["a"].filled_quantity == Decimal("0.004")
    assert past.orders["a"].fill_ids == {"f1"}
    assert set(past.orders) == {"a", "theirs"}
    assert past.placed == {"a"}
    assert past.balances == {"USDT": Decimal(500)}


def test_a_run_killed_while_it_reconciled_hides_nothing_of_the_one_before(write):
    write(reconciled(USDT="1000"), OrderPlaced(1, order("a"), 1))
    path = write(OrderAdopted(1, order("a"), "submitted", "", Decimal(0), (), True))
    past = read_past(path, [INSTRUMENT])
    assert set(past.orders) == {"a"}
    assert past.balances == {"USDT": Decimal(1000)}


def test_fills_of_a_swap_move_its_position_in_base_units_and_only_the_fee_a_balance(write):
    held = PositionHeld("BTCUSDT", Decimal("0.0004"), Decimal(50_000), Decimal("0.01"))
    path = write(
        AccountReconciled(1, {"USDT": Decimal(1000)}, 0, 0, (), (), (held,)),
        OrderPlaced(1, order("a", Side.Sell), 1),
        update("a", OrderStatus.Filled, fill=fill("a", 1, "0.01", side=Side.Sell, asset="BNB"), filled="0.01"),
    )
    past = read_past(path, [INSTRUMENT])
    assert past.positions == {"BTCUSDT": Decimal("0.0003")}
    assert past.balances == {"USDT": Decimal(1000), "BNB": Decimal("-0.01")}
