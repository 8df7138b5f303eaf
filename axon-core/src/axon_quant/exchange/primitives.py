"""What a venue's plugin writes.

It subclasses `ExchangeAdapter`, sets three class attributes and writes a few primitives:

| primitive                               | required        | returns or raises                                        |
|-----------------------------------------|-----------------|----------------------------------------------------------|
| `_connect()`                            | yes             | ready to ask; raises AuthError, UnavailableError, …      |
| `_close()`                              | yes             | everything released; may be called when not connected    |
| `_fetch_instruments()`                  | yes             | the venue's instruments                                  |
| `_send_order(order)`                    | yes             | the venue's order id; see below                          |
| `_send_cancel(state)`                   | yes             | once taken; NotFoundError when there is nothing to cancel|
| `_send_cancel_all(symbol)`              | CancelAll       | once taken; without it, orders are cancelled one by one  |
| `_send_amend(state, price, quantity)`   | AmendOrders     | once taken                                               |
| `_send_replace(state, order)`           | ReplaceOrders   | the new order's id; RejectedError: there is no new one   |
| `_send_cancel_after(seconds)`           | CancelAfter     | once armed, or disarmed for 0                            |
| `_send_leverage(symbol, leverage)`      | Leverage        | once set                                                 |
| `_send_margin_mode(symbol, mode)`       | MarginMode      | once set                                                 |
| `_fetch_order(state)`                   | FetchOrder      | OrderState as the venue has it; None when it has none    |
| `_fetch_open_orders(symbol)`            | OpenOrders      | OrderStates, of every symbol for None                    |
| `_fetch_ended_orders(symbol, since)`    | no              | OrderStates of orders placed since then that have ended  |
| `_fetch_fills(since)`                   | Fills           | Fills at or after `since`                                |
| `_fetch_balances()`                     | Balances        | Balances by asset                                        |
| `_fetch_positions()`                    | Positions       | Positions that are not zero, a swap's with entry price   |
| `_fetch_funding_rate(symbol)`           | Funding         | FundingRate                                              |
| `_fetch_trades(symbol, since)`          | TradeHistory    | public trades at or after `since` (UTC ns), oldest first |
| `_fetch_time()`                         | VenueClock      | the venue's time, UTC ns                                 |
| `_fetch_permissions()`                  | KeyPermissions  | what the key may do                                      |
| `_run_account(link)`                    | AccountStream   | when the connection is lost, or raises                   |
| `_subscribe(channel, symbol)`           | any …Stream     | once the channel flows on the connection there is        |
| `_run_market(link)`                     | no              | when the connection is lost, or raises                   |
| `_use_keys()`                           | no              | `self.config` has other keys: sign with them from now on |

**Sending.** `_send_order` raises AmbiguousError when the outcome is unknown: the connection was lost or timed out after
the request may have left, or the venue says that it does not know. ClockError: refused for its timestamp; the base
measures the venue's clock and sends once more. DuplicateOrderError: the venue knows the client order id; the base looks
it up. RateLimitedError carries `retry_after`. Any other ExchangeError says that the order does not exist. Timestamps
come from `self.venue_time()`, taken within the call, with a validity of `self.validity` seconds where the venue has
such a thing.

**Pace.** `venue_limits` are what the venue allows (a class attribute, or set before `super().__init__`), `costs` the
weight of each primitive's request, 1 unless given. The base waits before it calls a primitive. A plugin tells what the
venue counts with `self.budget.observe`, and calls `await self._spend(Request.Query, name)` before requests of its own.

**Many at once.** A plugin whose venue lists the orders that have ended writes `_fetch_ended_orders`: a repair of many
then takes one request for each symbol instead of one for each order. What it leaves out is looked up one by one.

**Names.** An order's client order id is ours, or the venue's text for one that is not ours. A fill's is ours, or the
venue's order id where the venue tells no other. Fill ids are the venue's, unique on the account: `f"{symbol}:{id}"`
where they are unique per symbol only.

**Connections.** `_run_account` and `_run_market` live through one connection: connect, log in, subscribe (`self.wanted`
holds the market's channels), `link.up()`, read, `link.heard()` for every message. The base calls them again when they
end, or when nothing is heard for `stale_after` seconds. A plugin whose market data needs no connection of its own
leaves `_run_market` out. `_subscribe` may be asked twice for the same channel, and does nothing without a connection.

What comes from the venue by itself goes to `_deliver` (order updates), `_publish_balance` and `_publish` (market data).
Everything else is the base's: capabilities, client order ids, filters, the rate budget, the venue's clock, evidence for
what is unknown, reconnecting and repairing, the state machine, `events()`.
"""

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
from axon_quant.market.types import Trade
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
    Capability.TradeHistory: "_fetch_trades",
    **{channel.capability: "_subscribe" for channel in Channel},
}
"""The primitive that a declared capability needs; the others need none of their own."""


@attrs.frozen
class Position:
    """What is held of one symbol, in base units; negative when short.

    `entry_price` is the mean price at which it was entered, None where the venue tells none. Two are equal when they
    hold the same.
    """

    symbol: str
    quantity: Decimal
    entry_price: Decimal | None = attrs.field(default=None, eq=False)


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

    async def _fetch_ended_orders(self, symbol: str, since: int) -> list[OrderState]:
        raise NotImplementedError

    async def _fetch_fills(self, since: int) -> list[Fill]:
        raise NotImplementedError

    async def _fetch_balances(self) -> dict[str, Balance]:
        raise NotImplementedError

    async def _fetch_positions(self) -> list[Position]:
        raise NotImplementedError

    async def _fetch_funding_rate(self, symbol: str) -> FundingRate:
        raise NotImplementedError

    async def _fetch_trades(self, symbol: str, since: int) -> list[Trade]:
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

    def _use_keys(self) -> None:
        raise NotImplementedError
