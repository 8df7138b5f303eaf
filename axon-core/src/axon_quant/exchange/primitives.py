"""The methods a venue's plugin writes; `base.py` says which are required and what each returns or raises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from decimal import Decimal
from enum import Enum

import attrs

from axon_quant.exchange.capabilities import Capability, Channel
from axon_quant.exchange.ledger import Balance
from axon_quant.exchange.link import Link
from axon_quant.market.instrument import Instrument
from axon_quant.orders.tracker import OrderState
from axon_quant.orders.types import Fill, Order

PRIMITIVES = {
    Capability.CancelAll: "_send_cancel_all",
    Capability.AmendOrders: "_send_amend",
    Capability.ReplaceOrders: "_send_replace",
    Capability.CancelAfter: "_send_cancel_after",
    Capability.FetchOrder: "_fetch_order",
    Capability.OpenOrders: "_fetch_open_orders",
    Capability.Fills: "_fetch_fills",
    Capability.Balances: "_fetch_balances",
    Capability.Positions: "_fetch_positions",
    Capability.VenueClock: "_fetch_time",
    Capability.KeyPermissions: "_fetch_permissions",
    Capability.AccountStream: "_run_account",
    Capability.Leverage: "_send_leverage",
    Capability.MarginMode: "_send_margin_mode",
    Capability.Funding: "_fetch_funding_rate",
    **{channel.capability: "_subscribe" for channel in Channel},
}
"""The primitive that a declared capability needs; the others need none of their own."""


@attrs.frozen
class Position:
    """What is held of one symbol, in base units; negative when short."""

    symbol: str
    quantity: Decimal


@attrs.frozen
class KeyPermissions:
    """What an API key may do besides reading."""

    trade: bool
    withdraw: bool


class MarginMode(Enum):
    """Whether a position's margin is shared with the account's other positions."""

    Cross = "cross"
    Isolated = "isolated"


@attrs.frozen
class FundingRate:
    """What longs pay shorts at `next_at` (UTC ns), as a fraction of the position's value; negative: they receive."""

    symbol: str
    rate: Decimal
    next_at: int


class VenuePrimitives(ABC):
    """Abstract where every venue must; the others are called only when their capability is declared."""

    @abstractmethod
    async def _connect(self) -> None: ...

    @abstractmethod
    async def _close(self) -> None: ...

    @abstractmethod
    async def _fetch_instruments(self) -> Iterable[Instrument]: ...

    @abstractmethod
    async def _send_order(self, order: Order) -> str: ...

    @abstractmethod
    async def _send_cancel(self, state: OrderState) -> None: ...

    async def _send_cancel_all(self, symbol: str | None) -> None:
        raise NotImplementedError

    async def _send_amend(self, state: OrderState, price: Decimal | None, quantity: Decimal | None) -> None:
        raise NotImplementedError

    async def _send_replace(self, state: OrderState, order: Order) -> str:
        raise NotImplementedError

    async def _send_cancel_after(self, seconds: float) -> None:
        raise NotImplementedError

    async def _send_leverage(self, symbol: str, leverage: int) -> None:
        raise NotImplementedError

    async def _send_margin_mode(self, symbol: str, mode: MarginMode) -> None:
        raise NotImplementedError

    async def _fetch_order(self, state: OrderState) -> OrderState | None:
        raise NotImplementedError

    async def _fetch_open_orders(self, symbol: str | None) -> list[OrderState]:
        raise NotImplementedError

    async def _fetch_fills(self, since: int) -> list[Fill]:
        raise NotImplementedError

    async def _fetch_balances(self) -> dict[str, Balance]:
        raise NotImplementedError

    async def _fetch_positions(self) -> list[Position]:
        raise NotImplementedError

    async def _fetch_funding_rate(self, symbol: str) -> FundingRate:
        raise NotImplementedError

    async def _fetch_time(self) -> int:
        raise NotImplementedError

    async def _fetch_permissions(self) -> KeyPermissions:
        raise NotImplementedError

    async def _subscribe(self, channel: Channel, symbol: str) -> None:
        raise NotImplementedError

    async def _run_account(self, link: Link) -> None:
        raise NotImplementedError

    async def _run_market(self, link: Link) -> None:
        raise NotImplementedError
