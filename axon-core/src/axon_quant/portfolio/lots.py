"""The open lots of one holding, long or short, with exact arithmetic: first in, first out, or at their mean price."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from decimal import Context, Decimal

EXACT = Context(prec=150)
"""Wide enough that no sum or product of a ledger is ever rounded, whatever context the caller has set."""

ZERO = Decimal(0)
_COST_DIGITS = Decimal("1e-16")
_RESTORED_DIGITS = Decimal("1e-32")


class Lots:
    """Signed lots (quantity, price), oldest first; all of one sign.

    `quantity` is their sum (negative when short) and `cost` the sum of quantity × price, both kept exactly.
    """

    __slots__ = ("_lots", "cost", "quantity")

    def __init__(self, lots: Iterable[tuple[Decimal, Decimal]] = ()) -> None:
        self._lots: deque[tuple[Decimal, Decimal]] = deque()
        self.quantity = ZERO
        self.cost = ZERO
        for quantity, price in lots:
            self.trade(quantity, price)

    def trade(self, quantity: Decimal, price: Decimal) -> Decimal:
        """Add a signed quantity at `price`: it closes the oldest lots of the other sign, the rest opens a new lot.

        Returns the realised PnL.
        """
        realised = ZERO
        lots = self._lots
        self.quantity = EXACT.add(self.quantity, quantity)
        while quantity and lots and (lots[0][0] > 0) is not (quantity > 0):
            held, entry = lots[0]
            closed = held if abs(held) <= abs(quantity) else EXACT.minus(quantity)
            realised = EXACT.add(realised, EXACT.multiply(closed, EXACT.subtract(price, entry)))
            self.cost = EXACT.subtract(self.cost, EXACT.multiply(closed, entry))
            quantity = EXACT.add(quantity, closed)
            if closed == held:
                lots.popleft()
            else:
                lots[0] = (EXACT.subtract(held, closed), entry)
        if quantity:
            lots.append((quantity, price))
            self.cost = EXACT.add(self.cost, EXACT.multiply(quantity, price))
        return realised

    @property
    def average_price(self) -> Decimal | None:
        """Mean entry price of what is open, to 28 digits; None when flat."""
        return self.cost / self.quantity if self.quantity else None

    def __iter__(self) -> Iterator[tuple[Decimal, Decimal]]:
        return iter(self._lots)


class AveragedLots(Lots):
    """One lot at the mean price, which is how venues count a swap: what closes leaves with its share of the cost.

    That share is rounded to 16 digits, so that the cost stays a number that can be written down; nothing is lost.
    """

    __slots__ = ()

    def __init__(self, lots: Iterable[tuple[Decimal, Decimal]] = ()) -> None:
        super().__init__(lots)
        self.cost = self.cost.quantize(_RESTORED_DIGITS, context=EXACT)  # a mean price may have no end

    def trade(self, quantity: Decimal, price: Decimal) -> Decimal:
        """Add a signed quantity at `price`. Returns what it realised of what it closed."""
        realised, held = ZERO, self.quantity
        if held and (held > 0) is not (quantity > 0):
            closed, basis = held, self.cost
            if abs(quantity) < abs(held):
                closed = EXACT.minus(quantity)
                share = EXACT.divide(EXACT.multiply(self.cost, closed), held)
                basis = share.quantize(_COST_DIGITS, context=EXACT)
            realised = EXACT.subtract(EXACT.multiply(closed, price), basis)
            self.cost = EXACT.subtract(self.cost, basis)
            self.quantity = EXACT.subtract(held, closed)
            quantity = EXACT.add(quantity, closed)
        self.quantity = EXACT.add(self.quantity, quantity)
        self.cost = EXACT.add(self.cost, EXACT.multiply(quantity, price))
        return realised

    def __iter__(self) -> Iterator[tuple[Decimal, Decimal]]:
        return iter([(self.quantity, EXACT.divide(self.cost, self.quantity))] if self.quantity else [])
