"""A venue's filters hold exactly, and only where the venue has them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from axon_quant.errors import OrderValueError
from axon_quant.exchange.filters import refusal
from axon_quant.market import Instrument, InstrumentKind
from axon_quant.orders import Order, OrderType, Side, TimeInForce


def instrument(**filters: object) -> Instrument:
    grid = {"tick_size": "0.01", "lot_size": "0.001"} | filters
    return Instrument(venue="test", symbol="BTCUSDT", base="BTC", quote="USDT", **grid)  # type: ignore[arg-type]


def order(kind: OrderType = OrderType.Limit, **fields: object) -> Order:
    given = {"price": 100 if kind.has_price else None, "stop_price": 90 if kind.has_stop_price else None, "quantity": 1}
    return Order("BTCUSDT", Side.Buy, kind, **(given | fields))  # type: ignore[arg-type]


REFERENCE = Decimal(100)


@pytest.mark.parametrize(
    ("filters", "taken", "refused", "told"),
    [
        ({}, order(price="100.01"), order(price="100.015"), "tick size"),
        ({}, order(quantity="1.001"), order(quantity="1.0001"), "lot size"),
        ({"min_quantity": "0.5"}, order(quantity="0.5"), order(quantity="0.499"), "below the minimum 0.5"),
        ({"max_quantity": 9}, order(quantity=9), order(quantity="9.001"), "above the maximum 9"),
        ({"min_price": 50}, order(price=50), order(price="49.99"), "below the minimum 50"),
        ({"max_price": 500}, order(price=500), order(price="500.01"), "above the maximum 500"),
        (
            {"max_price": 500},
            order(OrderType.Stop, stop_price=500),
            order(OrderType.Stop, stop_price=501),
            "stop price",
        ),
        ({"min_notional": 10}, order(quantity="0.1"), order(quantity="0.099"), "notional"),
        ({"max_notional": 1_000}, order(quantity=10), order(quantity="10.001"), "notional"),
        ({"percent_price": ("0.8", "1.2")}, order(price=120), order(price="120.01"), "percent price around 100"),
        ({"percent_price": ("0.8", "1.2")}, order(price=80), order(price="79.99"), "percent price around 100"),
        (
            {"market_lot_size": "0.1"},
            order(OrderType.Market, quantity="0.3"),
            order(OrderType.Market, quantity="0.35"),
            "lot size of market orders",
        ),
        (
            {"market_max_quantity": 5},
            order(OrderType.Stop, quantity=5),
            order(OrderType.Stop, quantity=6),
            "maximum of market orders",
        ),
        ({}, order(OrderType.StopLimit, stop_price="90.01"), order(OrderType.StopLimit, stop_price="90.001"), "stop"),
        (
            {"min_notional": 10, "kind": InstrumentKind.Swap, "contract_size": "0.01"},
            order(quantity=10),
            order(quantity=9),
            "notional",
        ),
        ({}, order(post_only=True), order(post_only=True, time_in_force=TimeInForce.IOC), "cannot be IOC"),
        ({}, order(OrderType.StopLimit), order(OrderType.StopLimit, post_only=True), "stop-limit order cannot be"),
    ],
)
def test_an_order_at_the_limit_is_taken_and_one_beyond_is_refused(
    filters: dict[str, object], taken: Order, refused: Order, told: str
) -> None:
    rules = instrument(**filters)
    assert refusal(taken, rules, REFERENCE) == ""
    assert told in refusal(refused, rules, REFERENCE)


def test_filters_of_market_orders_do_not_hold_for_limit_orders() -> None:
    rules = instrument(market_lot_size="0.1", market_max_quantity=5)
    assert refusal(order(quantity="6.05"), rules) == ""


def test_a_market_order_is_valued_at_the_reference_if_the_venue_does_so() -> None:
    small = order(OrderType.Market, quantity="0.01")
    assert "notional" in refusal(small, instrument(min_notional=10), REFERENCE)
    assert refusal(small, instrument(min_notional=10)) == ""
    assert refusal(small, instrument(min_notional=10, min_notional_for_market=False), REFERENCE) == ""


@given(st.integers(1, 10**12), st.integers(1, 10**12), st.integers(0, 12))
def test_a_price_is_on_the_grid_exactly_when_it_is_a_multiple(ticks: int, tick: int, places: int) -> None:
    size = Decimal(tick).scaleb(-places)
    rules = instrument(tick_size=size)
    assert refusal(order(price=ticks * size), rules) == ""
    beside = ticks * size + size / 2
    assert "tick size" in refusal(order(price=beside), rules)


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("min_quantity", 0),
        ("max_price", "nan"),
        ("contract_size", -1),
        ("percent_price", ("1.2", "0.8")),
        ("percent_price", ("nan", "nan")),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(field: str, bad: object) -> None:
    with pytest.raises(ValueError, match=field):
        instrument(**{field: bad})


@pytest.mark.parametrize(
    ("kind", "fields", "told"),
    [
        (OrderType.Stop, {"stop_price": None}, "needs a stop price"),
        (OrderType.Stop, {"price": 1}, "has no price"),
        (OrderType.StopLimit, {"price": None}, "needs a price"),
        (OrderType.Limit, {"stop_price": 1}, "has no stop price"),
        (OrderType.Market, {"stop_price": 1}, "has no stop price"),
        (OrderType.Stop, {"stop_price": float("nan")}, "stop price must be a positive finite number"),
    ],
)
def test_each_order_type_has_the_prices_it_needs(kind: OrderType, fields: dict[str, object], told: str) -> None:
    with pytest.raises(OrderValueError, match=told):
        order(kind, **fields)
