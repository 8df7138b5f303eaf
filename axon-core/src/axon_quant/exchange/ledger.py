"""The spot balances of one account: what is there, and what open orders hold of it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import attrs

from axon_quant.exchange.exact import ZERO, add, multiply, subtract
from axon_quant.market.instrument import Instrument
from axon_quant.orders.types import Fill, Order, Side


@attrs.frozen
class Balance:
    """One asset: `total` is `free` plus `locked` (held by open orders)."""

    asset: str
    free: Decimal
    locked: Decimal

    @property
    def total(self) -> Decimal:
        """`free` plus `locked`."""
        return add(self.free, self.locked)


@attrs.define
class _Lock:
    asset: str
    amount: Decimal


class Ledger:
    """Balances that add up to the last digit and never go below zero. Raises ValueError for a negative start."""

    def __init__(self, balances: Mapping[str, Decimal]) -> None:
        for asset, amount in balances.items():
            if not (amount.is_finite() and amount >= 0):
                raise ValueError(f"the balance of {asset} must be zero or positive, got {amount}")
        self._totals = dict(balances)
        self._locked: dict[str, Decimal] = {}
        self._locks: dict[str, _Lock] = {}

    def lock(self, order: Order, instrument: Instrument, amount: Decimal) -> str:
        """Hold `amount` for an order (quote for a buy, base for a sell); why it cannot, or ""."""
        asset = instrument.quote if order.side is Side.Buy else instrument.base
        free = self.free(asset)
        if not amount <= free:
            return f"insufficient balance: {order.side.value} needs {amount:f} {asset}, {free:f} is free"
        self._locks[order.client_order_id] = _Lock(asset, amount)
        self._locked[asset] = add(self._locked.get(asset, ZERO), amount)
        return ""

    def settle(self, fill: Fill, instrument: Instrument) -> None:
        """Book one fill: base against quote, the fee in quote, and what it used of its order's lock."""
        value = multiply(fill.price, fill.quantity)
        if fill.side is Side.Buy:
            self._release(fill.client_order_id, add(value, max(fill.fee, ZERO)))
            self._change(instrument.base, fill.quantity)
            self._change(instrument.quote, add(value, fill.fee).copy_negate())
        else:
            self._release(fill.client_order_id, fill.quantity)
            self._change(instrument.base, fill.quantity.copy_negate())
            self._change(instrument.quote, subtract(value, fill.fee))

    def unlock(self, client_order_id: str) -> None:
        """Free whatever an order still holds; nothing when it holds nothing."""
        lock = self._locks.pop(client_order_id, None)
        if lock is not None:
            self._locked[lock.asset] = subtract(self._locked[lock.asset], lock.amount)

    def free(self, asset: str) -> Decimal:
        """What a new order may use of an asset."""
        return subtract(self._totals.get(asset, ZERO), self._locked.get(asset, ZERO))

    def balances(self) -> dict[str, Balance]:
        """Every asset that was ever held, by name."""
        return {asset: Balance(asset, self.free(asset), self._locked.get(asset, ZERO)) for asset in self._totals}

    def _release(self, client_order_id: str, amount: Decimal) -> None:
        lock = self._locks[client_order_id]
        lock.amount = subtract(lock.amount, amount)
        self._locked[lock.asset] = subtract(self._locked[lock.asset], amount)

    def _change(self, asset: str, amount: Decimal) -> None:
        self._totals[asset] = add(self._totals.get(asset, ZERO), amount)
