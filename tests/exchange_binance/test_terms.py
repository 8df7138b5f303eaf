"""Orders in Binance's terms, and what it reports in ours."""

from __future__ import annotations

import json
from decimal import Decimal
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted_binance import order_row, report, trade_row, traded

from axon_exchange_binance.answers import Execution, OrderRecord, TradeRecord, decoded
from axon_exchange_binance.orders import fill_of, named, parameters, state_of, type_name, unsupported, update_of
from axon_quant.errors import MalformedMessageError
from axon_quant.orders import Order, OrderStatus, OrderType, Side, TimeInForce
from axon_quant.orders.tracker import OrderState
from axon_quant.orders.types import Liquidity


def order(kind=OrderType.Limit, side=Side.Buy, price=None, quantity="0.002", **more):
    if kind.has_price and price is None:
        price = "50000.1"
    return Order("BTCUSDT", side, kind, price, quantity, client_order_id="b15", **more)


def sent(which, last=None):
    return dict(parse_qsl(parameters(which, type_name(which, last))))


BASE = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.002", "newClientOrderId": "b15", "newOrderRespType": "ACK"}


def test_a_limit_order():
    assert sent(order()) == {**BASE, "type": "LIMIT", "price": "50000.1", "timeInForce": "GTC"}


def test_immediate_and_whole_orders():
    assert sent(order(time_in_force=TimeInForce.IOC))["timeInForce"] == "IOC"
    assert sent(order(time_in_force=TimeInForce.FOK))["timeInForce"] == "FOK"


def test_a_post_only_order_is_a_limit_maker_without_a_time_in_force():
    assert sent(order(post_only=True)) == {**BASE, "type": "LIMIT_MAKER", "price": "50000.1"}


def test_a_market_order_has_neither_price_nor_time_in_force():
    assert sent(order(OrderType.Market, Side.Sell)) == {**BASE, "side": "SELL", "type": "MARKET"}


@pytest.mark.parametrize(
    ("side", "stop", "name"),
    [
        (Side.Buy, 51_000, "STOP_LOSS"),
        (Side.Buy, 49_000, "TAKE_PROFIT"),
        (Side.Sell, 49_000, "STOP_LOSS"),
        (Side.Sell, 51_000, "TAKE_PROFIT"),
    ],
)
def test_the_side_of_the_market_decides_what_a_stop_is_called(side, stop, name):
    plain = sent(order(OrderType.Stop, side, stop_price=stop), Decimal(50_000))
    assert plain == {**BASE, "side": side.value.upper(), "type": name, "stopPrice": str(stop)}
    limited = sent(order(OrderType.StopLimit, side, price=stop, stop_price=stop), Decimal(50_000))
    assert limited["type"] == f"{name}_LIMIT"
    assert (limited["price"], limited["timeInForce"]) == (str(stop), "GTC")


@pytest.mark.parametrize(
    ("which", "reason"),
    [
        (order(OrderType.Market, post_only=True), "cannot be post-only"),
        (order(OrderType.StopLimit, stop_price=1, post_only=True), "cannot be post-only"),
        (order(post_only=True, time_in_force=TimeInForce.IOC), "post-only order cannot be IOC"),
        (order(OrderType.Market, time_in_force=TimeInForce.FOK), "cannot be FOK"),
    ],
)
def test_what_binance_does_not_have_is_named_before_it_is_sent(which, reason):
    assert reason in unsupported(which)


@given(st.decimals(min_value="1e-18", max_value="1e18", allow_nan=False, allow_infinity=False))
def test_numbers_are_written_in_full_and_lose_nothing(number):
    written = sent(order(price=number, quantity=number))
    assert Decimal(written["price"]) == Decimal(written["quantity"]) == number
    assert "E" not in written["price"].upper()


def test_symbols_and_names_that_are_not_ascii_are_escaped():
    which = Order("币安人生USDT", Side.Buy, OrderType.Market, None, 1, client_order_id="web_1&x=2")
    text = parameters(which, "MARKET")
    assert text.isascii()
    assert dict(parse_qsl(text))["symbol"] == "币安人生USDT"
    assert dict(parse_qsl(text))["newClientOrderId"] == "web_1&x=2"


def test_an_order_is_named_by_the_venues_id_where_it_is_known():
    state = OrderState(order())
    assert named(state) == "origClientOrderId=b15"
    assert named(state, prefix="cancel") == "cancelOrigClientOrderId=b15"
    state.venue_order_id = "28"
    assert named(state) == "orderId=28"
    assert named(state, prefix="cancel") == "cancelOrderId=28"


def looked_up(**changes):
    return state_of(decoded(json.dumps(order_row(**changes)), OrderRecord))


def test_an_order_that_was_looked_up_is_exact():
    state = looked_up(executedQty="0.00100000", status="PARTIALLY_FILLED")
    assert (state.venue_order_id, state.status) == ("28", OrderStatus.PartiallyFilled)
    assert (state.order.price, state.order.quantity) == (Decimal("50000.1"), Decimal("0.002"))
    assert (state.filled_quantity, state.created_at) == (Decimal("0.001"), 1499827319559_000_000)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("NEW", OrderStatus.Open),
        ("PENDING_NEW", OrderStatus.Submitted),
        ("FILLED", OrderStatus.Filled),
        ("CANCELED", OrderStatus.Cancelled),
        ("PENDING_CANCEL", OrderStatus.Open),
        ("REJECTED", OrderStatus.Rejected),
        ("EXPIRED", OrderStatus.Expired),
        ("EXPIRED_IN_MATCH", OrderStatus.Expired),
    ],
)
def test_every_documented_status(status, expected):
    assert looked_up(status=status).status is expected


def test_every_type_of_order_is_recognised():
    assert looked_up(type="LIMIT_MAKER").order.post_only
    market = looked_up(type="MARKET", price="0.00000000").order
    assert (market.order_type, market.price) == (OrderType.Market, None)
    stop = looked_up(type="TAKE_PROFIT", price="0.00000000", stopPrice="49000.00000000").order
    assert (stop.order_type, stop.stop_price) == (OrderType.Stop, 49_000)
    assert looked_up(type="STOP_LOSS_LIMIT", stopPrice="51000.0").order.order_type is OrderType.StopLimit


def test_an_order_by_value_has_no_quantity_and_is_passed_over():
    assert looked_up(type="MARKET", price="0.00000000", origQty="0.00000000") is None


def test_a_trade_of_the_account_has_an_id_unique_across_symbols_and_its_fee_in_whatever_asset():
    fill = fill_of(decoded(json.dumps(trade_row(7)), TradeRecord), "28")
    assert (fill.fill_id, fill.client_order_id) == ("BTCUSDT:7", "28")
    assert (fill.fee, fill.fee_asset, fill.liquidity) == (Decimal("0.00000123"), "BNB", Liquidity.Taker)
    assert fill.at == 1499827319566_000_000


def told(event: dict):
    return update_of(decoded(json.dumps(event), Execution), 5)


def test_an_execution_report_becomes_an_update_with_its_fill():
    update = told(traded("b15", 9, "0.00100000", "PARTIALLY_FILLED", m=True, S="SELL"))
    assert (update.client_order_id, update.status, update.at) == ("b15", OrderStatus.PartiallyFilled, 5)
    assert (update.venue_order_id, update.filled_quantity) == ("28", Decimal("0.001"))
    fill = update.fill
    assert (fill.fill_id, fill.side, fill.liquidity) == ("BTCUSDT:9", Side.Sell, Liquidity.Maker)
    assert (fill.price, fill.quantity) == (Decimal("50000.1"), Decimal("0.001"))
    assert (fill.fee, fill.fee_asset) == (Decimal("0.00000123"), "BNB")


def test_the_fill_of_a_report_is_the_fill_of_the_trade_list():
    streamed = told(traded("28", 9, "0.00100000", "FILLED", T=1499827319568)).fill
    assert streamed == fill_of(decoded(json.dumps(trade_row(9)), TradeRecord), "28")


def test_a_cancel_is_reported_under_the_name_of_the_order_not_of_the_request():
    update = told(report("cancelRequest1", C="b15", x="CANCELED", X="CANCELED"))
    assert (update.client_order_id, update.status, update.fill) == ("b15", OrderStatus.Cancelled, None)


def test_a_report_that_is_not_one_is_malformed():
    with pytest.raises(MalformedMessageError, match="Execution"):
        decoded('{"e":"executionReport","s":"BTCUSDT"}', Execution)
    with pytest.raises(MalformedMessageError, match="Execution"):
        decoded(json.dumps(report("b15", z="a lot")), Execution)
