"""ccxt's unified structures as our types. Its client keeps numbers as text, so that they become exact Decimals here."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from axon_quant.clock import MILLISECOND
from axon_quant.errors import OrderValueError, RejectedError
from axon_quant.market.instrument import Instrument, InstrumentKind
from axon_quant.orders.tracker import OrderState
from axon_quant.orders.types import Fill, Liquidity, Order, OrderStatus, OrderType, OrderUpdate, Side, TimeInForce

_STATUSES = {
    "open": OrderStatus.Open,
    "closed": OrderStatus.Filled,
    "canceled": OrderStatus.Cancelled,
    "canceling": OrderStatus.Open,
    "expired": OrderStatus.Expired,
    "rejected": OrderStatus.Rejected,
}
_STOPS = ("stopLossPrice", "takeProfitPrice", "triggerPrice", "stopPrice")
_ZERO = Decimal(0)


def instrument_of(venue: str, market: Mapping[str, Any], tick_size_mode: bool) -> Instrument | None:
    """One of ccxt's markets; None for what is neither spot nor a perpetual swap, or has no grid."""
    if not (market.get("spot") or market.get("swap")):
        return None
    precision, limits = market["precision"], market["limits"]
    tick, lot = (_grid(precision.get(name), tick_size_mode) for name in ("price", "amount"))
    if tick is None or lot is None:
        return None
    amount, price, cost = (limits.get(name) or {} for name in ("amount", "price", "cost"))
    return Instrument(
        venue=venue,
        symbol=market["id"],
        base=market["base"],
        quote=market["quote"],
        tick_size=tick,
        lot_size=lot,
        min_quantity=_positive(amount.get("min")),
        max_quantity=_positive(amount.get("max")),
        min_price=_positive(price.get("min")),
        max_price=_positive(price.get("max")),
        min_notional=_positive(cost.get("min")) or _ZERO,
        max_notional=_positive(cost.get("max")),
        kind=InstrumentKind.Swap if market.get("swap") else InstrumentKind.Spot,
        contract_size=_positive(market.get("contractSize")) or Decimal(1),
    )


def number(value: Decimal, what: str, venue: str, symbol: str) -> float:
    """`value` as the float that ccxt takes. Raises RejectedError when that would not be the same number."""
    result = float(value)
    if Decimal(repr(result)) != value:
        raise RejectedError(
            f"{what} {value:f} has more digits than ccxt can carry", venue=venue, symbol=symbol, hint="round it"
        )
    return result


def terms(order: Order, client_order_id: str, *, rising: bool | None) -> tuple[str, dict[str, object]]:
    """The type and the parameters of ccxt's create_order. `rising` says that a stop price is above the market."""
    given: dict[str, object] = {"clientOrderId": client_order_id}
    if order.post_only:
        given["postOnly"] = True
    elif order.time_in_force is not TimeInForce.GTC:
        given["timeInForce"] = order.time_in_force.value.upper()
    if order.reduce_only:
        given["reduceOnly"] = True
    if order.stop_price is not None:
        is_loss = rising is (order.side is Side.Buy)
        given["stopLossPrice" if is_loss else "takeProfitPrice"] = f"{order.stop_price:f}"
    return ("limit" if order.order_type.has_price else "market"), given


def state_of(found: Mapping[str, Any], symbol: str, client_order_id: str) -> OrderState | None:
    """One of ccxt's orders; None for one without a quantity, which is never ours."""
    price = _positive(found.get("price"))
    stop = next((stop for name in _STOPS if (stop := _positive(found.get(name))) is not None), None)
    is_limit = price is not None and found.get("type") != "market"
    if stop is not None:
        kind = OrderType.StopLimit if is_limit else OrderType.Stop
    else:
        kind = OrderType.Limit if is_limit else OrderType.Market
    try:
        order = Order(
            symbol,
            Side.Buy if found["side"] == "buy" else Side.Sell,
            kind,
            price if is_limit else None,
            _positive(found.get("amount")) or _ZERO,
            time_in_force=TimeInForce.__members__.get(str(found.get("timeInForce")), TimeInForce.GTC),
            post_only=bool(found.get("postOnly")),
            reduce_only=bool(found.get("reduceOnly")),
            client_order_id=client_order_id,
            stop_price=stop,
        )
    except OrderValueError:
        return None
    filled = _positive(found.get("filled")) or _ZERO
    return OrderState(
        order, status_of(found, filled), str(found["id"]), filled, created_at=_nanoseconds(found.get("timestamp"))
    )


def status_of(found: Mapping[str, Any], filled: Decimal) -> OrderStatus:
    """Where an order is in its life."""
    status = _STATUSES.get(str(found.get("status")), OrderStatus.Open)
    return OrderStatus.PartiallyFilled if status is OrderStatus.Open and filled else status


def update_of(found: Mapping[str, Any], symbol: str, client_order_id: str, now: int) -> OrderUpdate:
    """What a report of an order says."""
    filled = _positive(found.get("filled")) or _ZERO
    return OrderUpdate(client_order_id, status_of(found, filled), now, symbol, str(found["id"]), filled)


def fill_of(trade: Mapping[str, Any], symbol: str) -> Fill:
    """One of the account's trades, under the venue's name of its order."""
    fee = trade.get("fee") or {}
    return Fill(
        str(trade.get("order") or ""),
        symbol,
        Side.Buy if trade["side"] == "buy" else Side.Sell,
        Decimal(str(trade["price"])),
        Decimal(str(trade["amount"])),
        Decimal(str(fee.get("cost") or 0)),
        str(fee.get("currency") or ""),
        Liquidity.Maker if trade.get("takerOrMaker") == "maker" else Liquidity.Taker,
        f"{symbol}:{trade['id']}",
        _nanoseconds(trade.get("timestamp")),
    )


def _grid(precision: object, tick_size_mode: bool) -> Decimal | None:
    """The step that a precision means: the step itself, or a number of decimals."""
    if precision is None:
        return None
    value = Decimal(str(precision))
    step = value if tick_size_mode else Decimal(1).scaleb(-int(value))
    return step if step.is_finite() and step > 0 else None


def _positive(value: object) -> Decimal | None:
    if value is None:
        return None
    number = Decimal(str(value))
    return number if number.is_finite() and number > 0 else None


def _nanoseconds(milliseconds: object) -> int:
    return 0 if milliseconds is None else int(Decimal(str(milliseconds)) * MILLISECOND)
