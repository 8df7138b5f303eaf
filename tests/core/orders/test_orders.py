"""Orders are exact and cannot be nonsense; their life follows one state machine."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from axon_quant.errors import OrderTransitionError, OrderValueError
from axon_quant.orders import (
    ClientOrderIds,
    Fill,
    Liquidity,
    Order,
    OrderStatus,
    OrderTracker,
    OrderType,
    OrderUpdate,
    Side,
)
from axon_quant.orders.ids import client_order_ids


def limit(quantity: object = "1", price: object = "100", **options: object) -> Order:
    return Order("BTCUSDT", Side.Buy, OrderType.Limit, price, quantity, **options)  # type: ignore[arg-type]


def test_floats_mean_what_they_print():
    order = Order(symbol="BTCUSDT", side=Side.Buy, order_type=OrderType.Limit, price=50000.0, quantity=0.001)
    assert (order.price, order.quantity) == (Decimal("50000.0"), Decimal("0.001"))
    assert limit(quantity=0.1).quantity == Decimal("0.1")


@pytest.mark.parametrize(
    "bad", [float("nan"), float("inf"), float("-inf"), 0, -1, -0.5, "nan", "x", None, Decimal("NaN")]
)
@pytest.mark.parametrize("field", ["price", "quantity"])
def test_a_price_or_quantity_that_is_no_positive_number_is_refused(field, bad):
    with pytest.raises(OrderValueError, match=f"BTCUSDT: .*({field}|needs a price)"):
        limit(**{field: bad})


def test_a_market_order_has_no_price_and_a_limit_order_needs_one():
    with pytest.raises(OrderValueError, match="has no price"):
        Order("BTCUSDT", Side.Sell, OrderType.Market, 5, 1)
    with pytest.raises(OrderValueError, match="needs a price"):
        Order("BTCUSDT", Side.Sell, OrderType.Limit, None, 1)
    with pytest.raises(OrderValueError, match="needs a symbol"):
        Order("", Side.Sell, OrderType.Market, None, 1)
    assert Order("BTCUSDT", Side.Sell, OrderType.Market, quantity=1).price is None


def test_an_order_error_is_a_value_error_too():
    with pytest.raises(ValueError, match="must be a positive finite number"):
        limit(quantity=float("nan"))


def test_client_order_ids_are_unique_and_fit_every_venue():
    ids = [limit().client_order_id for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(identifier.isalnum() and len(identifier) <= 32 for identifier in ids)


def test_a_source_with_one_prefix_names_orders_alike_again():
    def names() -> list[str]:
        with client_order_ids(ClientOrderIds("run7")):
            return [limit().client_order_id for _ in range(3)]

    assert names() == names() == ["run7000001", "run7000002", "run7000003"]


@pytest.mark.parametrize("prefix", ["", "UPPER", "a-b", "x" * 17])
def test_a_prefix_that_a_venue_would_refuse_is_refused_here(prefix):
    with pytest.raises(ValueError, match="1 to 16"):
        ClientOrderIds(prefix)


def update(order: Order, status: OrderStatus, fill: Fill | None = None) -> OrderUpdate:
    return OrderUpdate(order.client_order_id, status, 1, order.symbol, "v1", fill=fill)


def fill(order: Order, quantity: str, number: int = 1) -> Fill:
    return Fill(
        order.client_order_id,
        order.symbol,
        order.side,
        Decimal(100),
        Decimal(quantity),
        Decimal(0),
        "USDT",
        Liquidity.Maker,
        f"f{number}",
        1,
    )


def tracked() -> tuple[OrderTracker, Order]:
    tracker, order = OrderTracker(), limit()
    tracker.add(order, 1)
    return tracker, order


def test_an_order_lives_from_submitted_to_filled():
    tracker, order = tracked()
    for status, part in [
        (OrderStatus.Submitted, None),
        (OrderStatus.Open, None),
        (OrderStatus.PartiallyFilled, fill(order, "0.4", 1)),
        (OrderStatus.Filled, fill(order, "0.6", 2)),
    ]:
        assert tracker.apply(update(order, status, part))
    state = tracker.get(order.client_order_id)
    assert (state.status, state.filled_quantity, state.remaining) == (OrderStatus.Filled, 1, 0)
    assert tracker.open == {}


def test_late_and_repeated_updates_change_nothing():
    tracker, order = tracked()
    tracker.apply(update(order, OrderStatus.PartiallyFilled, fill(order, "0.4")))
    assert not tracker.apply(update(order, OrderStatus.PartiallyFilled, fill(order, "0.4")))
    assert not tracker.apply(update(order, OrderStatus.Open))
    assert tracker.get(order.client_order_id).filled_quantity == Decimal("0.4")


def test_a_fill_that_crossed_the_cancel_still_counts():
    tracker, order = tracked()
    tracker.apply(update(order, OrderStatus.Cancelled))
    assert tracker.apply(update(order, OrderStatus.PartiallyFilled, fill(order, "0.4")))
    state = tracker.get(order.client_order_id)
    assert (state.status, state.filled_quantity) == (OrderStatus.Cancelled, Decimal("0.4"))


def test_what_cannot_be_is_refused():
    tracker, order = tracked()
    with pytest.raises(OrderTransitionError, match="filled 2 of 1"):
        tracker.apply(update(order, OrderStatus.Filled, fill(order, "2")))
    with pytest.raises(OrderTransitionError, match="tracked already"):
        tracker.add(order, 1)
    with pytest.raises(OrderTransitionError, match="no order has"):
        tracker.apply(OrderUpdate("nobody", OrderStatus.Open, 1))
    tracker.apply(update(order, OrderStatus.Rejected))
    with pytest.raises(OrderTransitionError, match="rejected cannot become cancelled"):
        tracker.apply(update(order, OrderStatus.Cancelled))


def test_an_unknown_outcome_resolves_either_way():
    for outcome in (OrderStatus.Open, OrderStatus.Rejected, OrderStatus.Filled):
        tracker, order = tracked()
        tracker.apply(update(order, OrderStatus.Submitted))
        assert tracker.apply(update(order, OrderStatus.Unknown))
        assert order.client_order_id in tracker.open
        assert tracker.apply(update(order, outcome))


def test_only_so_many_finished_orders_are_remembered():
    tracker = OrderTracker(terminal_limit=2)
    orders = [limit() for _ in range(4)]
    for order in orders:
        tracker.add(order, 1)
        tracker.apply(update(order, OrderStatus.Cancelled))
    assert [tracker.get(order.client_order_id) is not None for order in orders] == [False, False, True, True]


class AnyUpdates(RuleBasedStateMachine):
    """Whatever a venue sends: what is filled is the sum of distinct fills, and terminal stays terminal."""

    def __init__(self) -> None:
        super().__init__()
        self.tracker, self.order = tracked()
        self.fills: dict[int, Decimal] = {}
        self.terminal: OrderStatus | None = None

    @property
    def state(self):
        return self.tracker.get(self.order.client_order_id)

    @rule(status=st.sampled_from(list(OrderStatus)))
    def any_status(self, status):
        before = self.state.status
        try:
            self.tracker.apply(update(self.order, status))
        except OrderTransitionError:
            assert self.state.status is before

    @rule(number=st.integers(1, 6), tenths=st.integers(1, 4))
    def any_fill(self, number, tenths):
        quantity = self.fills.get(number, Decimal(tenths) / 10)
        new = number not in self.fills
        try:
            self.tracker.apply(update(self.order, OrderStatus.PartiallyFilled, fill(self.order, str(quantity), number)))
        except OrderTransitionError:
            assert new
            assert sum(self.fills.values()) + quantity > 1
        else:
            self.fills[number] = quantity

    @precondition(lambda self: self.state.status.is_terminal)
    @invariant()
    def terminal_stays_terminal(self):
        self.terminal = self.terminal or self.state.status
        assert self.state.status is self.terminal
        assert self.order.client_order_id not in self.tracker.open

    @invariant()
    def filled_is_the_sum_of_distinct_fills(self):
        assert self.state.filled_quantity == sum(self.fills.values(), Decimal(0)) <= 1


TestAnyUpdates = AnyUpdates.TestCase
TestAnyUpdates.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@given(st.decimals("0.00000001", "1000000", places=8))
def test_a_float_survives_the_way_through_an_order(value):
    assert limit(quantity=float(value)).quantity == Decimal(repr(float(value)))
