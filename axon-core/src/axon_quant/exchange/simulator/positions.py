"""What an account of a simulated venue holds of a perpetual swap. Exact but for what closing a part of it realises."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, ROUND_UP, Context, Decimal
from typing import Literal, TypeAlias

import attrs
from msgspec import Struct

from axon_quant.exchange.exact import ZERO, add, multiply, subtract
from axon_quant.exchange.primitives import MarginMode
from axon_quant.orders.types import Side

PositionCause: TypeAlias = Literal["funding", "leverage"]
"""What happened to a position other than a fill."""

_ROUNDED = Context(prec=60)
_COST_DIGITS = Decimal("1e-16")
_PRICE_DIGITS = _MARGIN_DIGITS = Decimal("1e-8")


@attrs.define(eq=False)
class SimulatedPosition:
    """A net position: `quantity` contracts of `contract_size` base units, negative when short.

    `cost` is what its contracts were worth when they were bought, negative when they were sold; `margin` is held of
    the settlement `asset`, at the entry's value. `realised`, `funding` and `fees` are sums since it was last opened,
    under `position_id` (0: never); funding that was paid and fees are negative.
    """

    symbol: str
    asset: str
    mode: MarginMode
    contract_size: Decimal
    leverage: int
    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    margin: Decimal = ZERO
    realised: Decimal = ZERO
    funding: Decimal = ZERO
    fees: Decimal = ZERO
    position_id: int = 0
    opened: int = 0
    updated: int = 0

    @property
    def entry_price(self) -> Decimal:
        """The mean price of what is held, to eight digits; 0 when nothing is."""
        if not self.quantity:
            return ZERO
        price = _ROUNDED.divide(self.cost, multiply(self.quantity, self.contract_size))
        return price.quantize(_PRICE_DIGITS, ROUND_HALF_EVEN, _ROUNDED)

    def worth(self, price: Decimal, quantity: Decimal) -> Decimal:
        """What so many contracts are worth at a price."""
        return multiply(multiply(price, quantity), self.contract_size)

    def unrealised(self, price: Decimal) -> Decimal:
        """What closing all of it at `price` would realise."""
        return subtract(self.worth(price, self.quantity), self.cost)

    def closable(self, side: Side) -> Decimal:
        """How many contracts an order of `side` can close; 0 when it would open."""
        return max(ZERO, self.quantity * -side.sign)

    def margin_of(self, value: Decimal) -> Decimal:
        """The initial margin of contracts that are worth `value`."""
        return _ROUNDED.divide(abs(value), Decimal(self.leverage)).quantize(_MARGIN_DIGITS, ROUND_UP, _ROUNDED)

    def trade(self, side: Side, price: Decimal, quantity: Decimal) -> Decimal:
        """Book an execution: it closes what it can and opens with the rest. Returns what it realised."""
        sign, held = Decimal(side.sign), self.closable(side)
        closed = min(quantity, held)
        realised = ZERO
        if closed:
            basis = self.cost
            if closed < held:  # what remains keeps the rest, so that nothing is lost to rounding in the end
                basis = _ROUNDED.divide(multiply(self.cost, closed), held).quantize(
                    _COST_DIGITS, ROUND_HALF_EVEN, _ROUNDED
                )
            realised = subtract(multiply(self.worth(price, closed), sign.copy_negate()), basis)
            self.cost = subtract(self.cost, basis)
        self.cost = add(self.cost, multiply(self.worth(price, subtract(quantity, closed)), sign))
        self.quantity = add(self.quantity, multiply(quantity, sign))
        return realised


class PositionEvent(Struct, frozen=True):
    """Funding was paid or received (`amount` of `asset`, negative: paid), or the leverage is another one.

    Numbered with the account's events. `rate` is that of the funding.
    """

    sequence: int
    cause: PositionCause
    position: SimulatedPosition
    asset: str
    amount: Decimal
    rate: Decimal
    at: int
