"""How much the candidate may hold: orders beyond it are made smaller or refused, orders that reduce pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Protocol

import attrs

from axon_quant.events import Reject
from axon_quant.market import Instrument
from axon_quant.orders import Order, Side

_ZERO = Decimal(0)


class Book(Protocol):
    """What the bound asks about a symbol of the account."""

    def position(self, symbol: str) -> Decimal:
        """Signed, in base units."""
        ...

    def open_quantity(self, symbol: str) -> tuple[Decimal, Decimal]:
        """(buying, selling): what open orders can still fill, in base units."""
        ...

    def price(self, symbol: str) -> float:
        """The mid, or 0.0 where there is none."""
        ...

    def instrument(self, symbol: str) -> Instrument:
        """Its grid."""
        ...


class NotionalBound:
    """Keeps the exposure of `symbols` together within `limit` (quote asset), open orders included.

    The exposure of a symbol is the larger position that its open orders could lead to on either side, at the mid, or
    at the order's own limit where that is dearer. It is held when an order is placed; prices that move afterwards may
    carry a position beyond it, and then only orders that reduce pass.
    """

    def __init__(self, limit: Decimal, symbols: Iterable[str], book: Book) -> None:
        self.limit = limit
        self.symbols = frozenset(symbols)
        self._book = book

    def check(self, order: Order) -> Order | Reject:
        """The order, a smaller one with the same id, or why there is none."""
        if order.symbol not in self.symbols:
            return Reject("canary-keys", order.symbol, ", ".join(sorted(self.symbols)))
        book = self._book
        price = Decimal(repr(book.price(order.symbol)))
        if order.price is not None:
            price = max(price, order.price)
        if not price > _ZERO:
            return Reject("canary-notional", f"{order.symbol} has no price", str(self.limit))
        position = book.position(order.symbol)
        buying, selling = book.open_quantity(order.symbol)
        held = position + buying if order.side is Side.Buy else selling - position
        instrument = book.instrument(order.symbol)
        wanted = instrument.in_base(order.quantity)
        if held + wanted <= _ZERO:
            return order  # it only lowers what is there
        room = self.limit - self._exposure(except_for=order.symbol)
        allowed = max(room / price, _ZERO) - held
        if wanted <= allowed:
            return order
        quantity = instrument.round_quantity(allowed / instrument.contract_size) if allowed > _ZERO else _ZERO
        if not quantity > _ZERO or instrument.in_base(quantity) * (order.price or price) < instrument.min_notional:
            return Reject("canary-notional", str((held + wanted) * price), str(max(room, _ZERO)))
        return attrs.evolve(order, quantity=quantity)

    def _exposure(self, *, except_for: str) -> Decimal:
        return sum((self.exposure(symbol) for symbol in self.symbols if symbol != except_for), _ZERO)

    def exposure(self, symbol: str) -> Decimal:
        """What a symbol is worth, or could become worth, in the quote asset."""
        position = self._book.position(symbol)
        buying, selling = self._book.open_quantity(symbol)
        return max(position + buying, selling - position, _ZERO) * Decimal(repr(self._book.price(symbol)))


class EngineBook:
    """The `Book` of a run, asked through functions so that the engine can be built after it."""

    def __init__(
        self,
        position: Callable[[str], Decimal],
        open_quantity: Callable[[str], tuple[Decimal, Decimal]],
        price: Callable[[str], float],
        instrument: Callable[[str], Instrument],
    ) -> None:
        self.position = position
        self.open_quantity = open_quantity
        self.price = price
        self.instrument = instrument
