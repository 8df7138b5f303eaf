"""What Binance answers and reports, as types. Prices and quantities are exact Decimals; times are UTC milliseconds."""

from __future__ import annotations

from decimal import Decimal
from typing import TypeVar

import msgspec
from msgspec import Struct, field

from axon_quant.errors import MalformedMessageError

ZERO = Decimal(0)
_T = TypeVar("_T")


class Placed(Struct, rename="camel"):
    """The acknowledgement of an order."""

    order_id: int


class Replaced(Struct, rename="camel"):
    """Both halves of a cancel-and-replace that succeeded."""

    new_order_response: Placed


class OrderRecord(Struct, rename="camel"):
    """An order as a query returns it."""

    symbol: str
    order_id: int
    client_order_id: str
    price: Decimal
    orig_qty: Decimal
    executed_qty: Decimal
    status: str
    time_in_force: str
    type: str
    side: str
    stop_price: Decimal = ZERO
    time: int = 0
    reduce_only: bool = False


class TradeRecord(Struct, rename="camel"):
    """One execution of the account."""

    symbol: str
    id: int
    order_id: int
    price: Decimal
    qty: Decimal
    commission: Decimal
    commission_asset: str
    time: int
    is_buyer: bool
    is_maker: bool


class AssetBalance(Struct):
    """One asset of the account."""

    asset: str
    free: Decimal
    locked: Decimal


class Account(Struct, rename="camel"):
    """The account."""

    balances: list[AssetBalance]
    can_trade: bool = True


class Restrictions(Struct, rename="camel"):
    """What an API key may do; production only."""

    enable_withdrawals: bool
    enable_spot_and_margin_trading: bool = False
    enable_futures: bool = False


class ServerTime(Struct, rename="camel"):
    """The venue's clock."""

    server_time: int


class LastPrice(Struct):
    """The price of the last trade."""

    price: Decimal


class AggregateTrade(Struct):
    """Public trades that one order took at one price; numbers are floats, as in all market data."""

    a: int
    p: float
    q: float
    T: int
    m: bool


class DepthSnapshot(Struct, rename="camel"):
    """The book as of `last_update_id`; numbers are floats, as in all market data."""

    last_update_id: int
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]


class Execution(Struct):
    """`executionReport`: something happened to an order."""

    symbol: str = field(name="s")
    client_order_id: str = field(name="c")
    side: str = field(name="S")
    execution: str = field(name="x")
    status: str = field(name="X")
    order_id: int = field(name="i")
    filled: Decimal = field(name="z")
    time: int = field(name="T")
    original_client_order_id: str = field(name="C", default="")
    reason: str = field(name="r", default="NONE")
    last_quantity: Decimal = field(name="l", default=ZERO)
    last_price: Decimal = field(name="L", default=ZERO)
    commission: Decimal = field(name="n", default=ZERO)
    commission_asset: str | None = field(name="N", default=None)
    trade_id: int = field(name="t", default=-1)
    is_maker: bool = field(name="m", default=False)


class ChangedBalance(Struct):
    """One asset within `outboundAccountPosition`."""

    asset: str = field(name="a")
    free: Decimal = field(name="f")
    locked: Decimal = field(name="l")


class AccountPosition(Struct):
    """`outboundAccountPosition`: what the account now holds of the assets that changed."""

    balances: list[ChangedBalance] = field(name="B")
    time: int = field(name="u", default=0)


class EventKind(Struct):
    """The name of an event."""

    e: str = ""


class RequestFailure(Struct):
    """Why a WebSocket request was refused."""

    code: int = 0
    msg: str = ""


class Envelope(Struct):
    """A message of the WebSocket API: an answer to a request of ours, or an event."""

    id: str | int | None = None
    status: int = 0
    error: RequestFailure | None = None
    event: msgspec.Raw = msgspec.Raw()


def decoded(body: bytes | msgspec.Raw | str, shape: type[_T]) -> _T:
    """`body` as `shape`. Raises MalformedMessageError for anything else."""
    try:
        return msgspec.json.decode(body, type=shape, strict=False)
    except msgspec.MsgspecError as error:
        raise MalformedMessageError(f"binance: not the {shape.__name__} that it documents: {error}") from None
