"""One account at a simulated venue: what it holds, its orders and its fills. All exact, all remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Literal, TypeAlias

import attrs
from msgspec import Struct

from axon_quant.exchange.exact import ZERO, add, subtract
from axon_quant.exchange.primitives import MarginMode
from axon_quant.exchange.simulator.positions import PositionEvent, SimulatedPosition
from axon_quant.orders.types import Liquidity, Order, OrderStatus

Cause: TypeAlias = Literal["new", "trade", "cancelled", "expired", "amended", "triggered", "prevented", "reduced"]
"""What happened to an order. `prevented`: it ended because an order of the same account would have met it; `reduced`: a
reduce-only one became as large as its position."""


class SimulatedFill(Struct, frozen=True):
    """One execution. `trade_id` counts per symbol; `fee` is in `fee_asset`. `at` is UTC ns of the venue's clock.

    `realised` is what it won by closing a part of a position, or lost, before the fee.
    """

    trade_id: int
    venue_order_id: int
    client_order_id: str
    symbol: str
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    liquidity: Liquidity
    at: int
    realised: Decimal = ZERO


@attrs.define(eq=False)
class SimulatedOrder:
    """One order as the venue has it. `order` is what was asked for last (an amendment replaces it), made smaller where
    it may only reduce; `asked` is the quantity that was asked for.

    `lock` is what it holds of `lock_asset`. `waiting` says that a stop has not been triggered; `rises`, that its price
    must rise to the stop. `value` is the sum of price × quantity of the fills. `position` is what a swap's order trades
    in, `reference` the price at which its margin is reckoned. `tag` is the protocol's own.
    """

    order: Order
    venue_order_id: int
    created: int
    status: OrderStatus = OrderStatus.Open
    updated: int = 0
    filled: Decimal = ZERO
    value: Decimal = ZERO
    fills: list[SimulatedFill] = attrs.field(factory=list)
    reason: str = ""
    waiting: bool = False
    rises: bool = False
    amended: int = 0
    lock_asset: str = ""
    lock: Decimal = ZERO
    position: SimulatedPosition | None = None
    asked: Decimal = ZERO
    reference: Decimal = ZERO
    tag: dict[str, object] = attrs.field(factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether it can still fill."""
        return not self.status.is_terminal

    @property
    def remaining(self) -> Decimal:
        """The quantity that has not filled."""
        return subtract(self.order.quantity, self.filled)

    @property
    def average_price(self) -> Decimal:
        """Mean price of what filled, 0 before anything has."""
        return self.value / self.filled if self.filled else ZERO


class AccountEvent(Struct, frozen=True):
    """An order of the account changed; `fill` caused it, if one did. Numbered per account, without holes."""

    sequence: int
    cause: Cause
    order: SimulatedOrder
    fill: SimulatedFill | None
    changed: tuple[str, ...]
    """Assets whose balance is another now."""
    at: int


class Transfer(Struct, frozen=True):
    """Something was paid in or, with a negative amount, out. Numbered with the account's events."""

    sequence: int
    asset: str
    amount: Decimal
    at: int


Listener: TypeAlias = Callable[[AccountEvent | Transfer | PositionEvent], None]
"""Told of what happens, synchronously; it must not call the exchange back."""


@attrs.define(eq=False)
class Account:
    """A key pair and what belongs to it. `listeners` are told of every event.

    `fee_asset`: fees are paid in it, at the price of the moment; else in what a fill brings in, or for swaps in what
    they are settled in. `positions` are those that ever were, `margin_modes` what orders without a mode trade in.
    """

    name: str
    key: str
    secret: str = attrs.field(repr=False)
    passphrase: str = attrs.field(default="", repr=False)
    totals: dict[str, Decimal] = attrs.field(factory=dict)
    fee_asset: str | None = None
    may_trade: bool = True
    may_withdraw: bool = False
    locked: dict[str, Decimal] = attrs.field(factory=dict)
    orders: dict[int, SimulatedOrder] = attrs.field(factory=dict)
    by_client: dict[str, list[SimulatedOrder]] = attrs.field(factory=dict)
    open: dict[int, SimulatedOrder] = attrs.field(factory=dict)
    fills: list[SimulatedFill] = attrs.field(factory=list)
    positions: dict[tuple[str, MarginMode], SimulatedPosition] = attrs.field(factory=dict)
    margin_modes: dict[str, MarginMode] = attrs.field(factory=dict)
    funding: list[PositionEvent] = attrs.field(factory=list)
    listeners: list[Listener] = attrs.field(factory=list)
    sequence: int = 0

    @classmethod
    def named(cls, name: str, balances: Mapping[str, str], *, prefix: str = "") -> Account:
        """An account with the key pair `{prefix}_API_KEY` / `{prefix}_API_SECRET` / `{prefix}_PASSPHRASE`."""
        pair = (f"{prefix}_API_KEY", f"{prefix}_API_SECRET", f"{prefix}_PASSPHRASE")
        return cls(name, *pair, {asset: Decimal(amount) for asset, amount in balances.items()})

    @classmethod
    def two(cls, balances: Mapping[str, str]) -> tuple[Account, Account]:
        """The accounts of a simulator that is given none: `main` with the pair `YOUR_…`, `other` with `OTHER_…`."""
        return cls.named("main", balances, prefix="YOUR"), cls.named("other", balances, prefix="OTHER")

    def free(self, asset: str) -> Decimal:
        """What a new order may use."""
        return subtract(self.totals.get(asset, ZERO), self.locked.get(asset, ZERO))

    def find(self, client_order_id: str) -> SimulatedOrder | None:
        """The open order of that name, else the latest finished one."""
        named = self.by_client.get(client_order_id, ())
        return next((order for order in reversed(named) if order.is_open), named[-1] if named else None)

    def open_for(self, symbol: str | None) -> list[SimulatedOrder]:
        """The open orders, of every symbol for None, oldest first."""
        return [order for order in self.open.values() if symbol in (None, order.order.symbol)]

    def add(self, order: SimulatedOrder) -> None:
        """Remember an order that the venue took."""
        self.orders[order.venue_order_id] = self.open[order.venue_order_id] = order
        self.by_client.setdefault(order.order.client_order_id, []).append(order)

    def forget(self, order: SimulatedOrder) -> None:
        """Leave nothing of an order that the venue did not take after all."""
        self.release(order)
        del self.orders[order.venue_order_id]
        del self.open[order.venue_order_id]
        named = self.by_client[order.order.client_order_id]
        named.remove(order)
        if not named:
            del self.by_client[order.order.client_order_id]

    def hold(self, order: SimulatedOrder, asset: str, amount: Decimal) -> None:
        """Set aside `amount` for an order."""
        order.lock_asset, order.lock = asset, amount
        self.locked[asset] = add(self.locked.get(asset, ZERO), amount)

    def release(self, order: SimulatedOrder, amount: Decimal | None = None) -> None:
        """Let go of `amount` of what an order holds, or of all of it."""
        part = order.lock if amount is None else min(amount, order.lock)
        if part:
            order.lock = subtract(order.lock, part)
            self.locked[order.lock_asset] = subtract(self.locked[order.lock_asset], part)

    def change(self, asset: str, amount: Decimal) -> None:
        """Add `amount`, which may be negative."""
        self.totals[asset] = add(self.totals.get(asset, ZERO), amount)

    def tell(self, event: AccountEvent | Transfer | PositionEvent) -> None:
        """Tell every listener."""
        for listener in tuple(self.listeners):
            listener(event)

    def next_sequence(self) -> int:
        """The number of the next event."""
        self.sequence += 1
        return self.sequence
