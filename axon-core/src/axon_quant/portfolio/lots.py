"""First in, first out: the open lots of one holding, long or short, with exact arithmetic."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from decimal import Context, Decimal

EXACT = Context(prec=150)
"""Wide enough that no sum or product of a ledger is ever rounded, whatever context the caller has set."""

ZERO = Decimal(0)


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
