"""What Binance's futures answer and report beyond what spot does. Numbers are exact; times are UTC milliseconds."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct, field

from axon_exchange_binance.answers import ZERO, Execution, TradeRecord


class AccountConfig(Struct, rename="camel"):
    """How the account is set up."""

    can_trade: bool
    dual_side_position: bool = False


class AssetRow(Struct, rename="camel"):
    """One asset of the wallet: `available_balance` is what is left of it and of `cross_un_pnl` beside all margins."""

    asset: str
    balance: Decimal
    available_balance: Decimal
    cross_un_pnl: Decimal = ZERO


class PositionRow(Struct, rename="camel"):
    """A position; `position_amt` is negative when short."""

    symbol: str
    position_amt: Decimal
    entry_price: Decimal = Decimal(0)
    position_side: str = "BOTH"


class Premium(Struct, rename="camel"):
    """The mark price and what comes with it; `last_funding_rate` is the one of the next funding, as of now."""

    last_funding_rate: Decimal
    next_funding_time: int


class ListenKey(Struct, rename="camel"):
    """Names the account's stream; whoever has it may listen."""

    listen_key: str


class FuturesTrade(TradeRecord, rename="camel"):
    """One execution of the account."""

    is_buyer: bool = field(name="buyer")
    is_maker: bool = field(name="maker")


class OrderEvent(Struct):
    """`ORDER_TRADE_UPDATE`: something happened to an order."""

    order: Execution = field(name="o")
