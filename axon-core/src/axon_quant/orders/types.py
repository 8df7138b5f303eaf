"""Orders, fills and updates. Prices, quantities and fees are exact Decimals; times are UTC nanoseconds."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from enum import Enum

import attrs
from msgspec import Struct

from axon_quant.errors import OrderValueError
from axon_quant.orders.ids import next_client_order_id


class Side(Enum):
    """The side of the book an order takes."""

    Buy = "buy"
    Sell = "sell"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell."""
        return 1 if self is Side.Buy else -1

    @property
    def opposite(self) -> Side:
        return Side.Sell if self is Side.Buy else Side.Buy


class OrderType(Enum):
    """Limit and stop-limit orders have a price, stop and stop-limit orders a stop price at which they are triggered.

    A triggered `Stop` is a market order, a triggered `StopLimit` a limit order.
    """

    Limit = "limit"
    Market = "market"
    Stop = "stop"
    StopLimit = "stop_limit"

    @property
    def has_price(self) -> bool:
        """Whether an order of this type names its worst price."""
        return self is OrderType.Limit or self is OrderType.StopLimit

    @property
    def has_stop_price(self) -> bool:
        """Whether an order of this type waits for a price to trade."""
        return self is OrderType.Stop or self is OrderType.StopLimit


class TimeInForce(Enum):
    """How long an order stands: until cancelled, immediate or cancel, fill or kill."""

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"


class Liquidity(Enum):
    """Whether a fill added to the book or took from it."""

    Maker = "maker"
    Taker = "taker"


class OrderStatus(Enum):
    """Where an order is in its life. `Unknown` is an outcome that must be looked up, never a terminal one."""

    Created = "created"
    Submitted = "submitted"
    Open = "open"
    PartiallyFilled = "partially_filled"
    Unknown = "unknown"
    Filled = "filled"
    Cancelled = "cancelled"
    Rejected = "rejected"
    Expired = "expired"

    __hash__ = object.__hash__  # asked for on every update; Enum's own is a Python function

    @property
    def is_terminal(self) -> bool:
        return self in _TERMINAL


_TERMINAL = frozenset({OrderStatus.Filled, OrderStatus.Cancelled, OrderStatus.Rejected, OrderStatus.Expired})


def to_decimal(value: Decimal | float | int | str) -> Decimal:
    """`value` as an exact Decimal; a float goes through its shortest repr, so 0.1 means one tenth.

    Raises InvalidOperation for text that is no number.
    """
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def exact(value: Decimal | float | int | str, *, what: str, symbol: str | None = None) -> Decimal:
    """`value` as a positive, finite Decimal; a float goes through its shortest repr.

    Raises OrderValueError for NaN, infinity, zero, a negative number, or text that is no number.
    """
    try:
        number = to_decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        raise OrderValueError(f"{what} must be a number, got {value!r}", symbol=symbol) from None
    if not (number.is_finite() and number > 0):
        raise OrderValueError(f"{what} must be a positive finite number, got {value!r}", symbol=symbol)
    return number


@attrs.frozen(init=False)
class Order:
    """What a strategy asks a venue to do. Immutable; its life is kept by `OrderTracker`.

    `price`, `quantity` and `stop_price` accept Decimal, int, str or float (through its shortest repr, so 0.1 means one
    tenth). `client_order_id` is assigned at construction. Raises OrderValueError (a ValueError) for NaN, infinite, zero
    or negative numbers, and for a price or stop price that the type needs and lacks, or has none of.
    """

    symbol: str
    side: Side
    order_type: OrderType = OrderType.Limit
    price: Decimal | None = None
    quantity: Decimal = Decimal(0)
    time_in_force: TimeInForce = TimeInForce.GTC
    post_only: bool = False
    reduce_only: bool = False
    strategy: str = ""
    client_order_id: str = attrs.field(factory=next_client_order_id)
    stop_price: Decimal | None = None

    def __init__(
        self,
        symbol: str,
        side: Side,
        order_type: OrderType = OrderType.Limit,
        price: Decimal | float | int | str | None = None,
        quantity: Decimal | float | int | str = 0,
        *,
        time_in_force: TimeInForce = TimeInForce.GTC,
        post_only: bool = False,
        reduce_only: bool = False,
        strategy: str = "",
        client_order_id: str | None = None,
        stop_price: Decimal | float | int | str | None = None,
    ) -> None:
        if not symbol:
            raise OrderValueError("an order needs a symbol")
        for what, value, needed in (
            ("price", price, order_type.has_price),
            ("stop price", stop_price, order_type.has_stop_price),
        ):
            if needed and value is None:
                raise OrderValueError(f"a {order_type.value} order needs a {what}", symbol=symbol)
            if not needed and value is not None:
                raise OrderValueError(f"a {order_type.value} order has no {what}", symbol=symbol)
        self.__attrs_init__(
            symbol,
            side,
            order_type,
            None if price is None else exact(price, what="price", symbol=symbol),
            exact(quantity, what="quantity", symbol=symbol),
            time_in_force,
            post_only,
            reduce_only,
            strategy,
            next_client_order_id() if client_order_id is None else client_order_id,
            None if stop_price is None else exact(stop_price, what="stop price", symbol=symbol),
        )


@attrs.frozen
class Cancel:
    """A strategy's request to cancel one of its orders."""

    symbol: str
    client_order_id: str


class Fill(Struct, frozen=True):
    """One execution of an order, as the venue reported it. `fee` is positive when paid; `fill_id` is the venue's."""

    client_order_id: str
    symbol: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    liquidity: Liquidity
    fill_id: str
    at: int


class OrderUpdate(Struct, frozen=True):
    """A change of one order at the venue. `filled_quantity` is cumulative; `fill` is the execution that caused it."""

    client_order_id: str
    status: OrderStatus
    at: int
    symbol: str = ""
    venue_order_id: str = ""
    filled_quantity: Decimal = Decimal(0)
    fill: Fill | None = None
    reason: str = ""
