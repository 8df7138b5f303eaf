"""Decimal arithmetic that never rounds.

Python's default context keeps 28 digits; a balance of 1e9 less a fee with 21 decimals needs 30. A ledger that explains
itself to the last digit works in a context that holds any sum a venue can produce and raises rather than round.
"""

from __future__ import annotations

from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow

_EXACT = Context(prec=100, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])

ZERO = Decimal(0)

add = _EXACT.add
subtract = _EXACT.subtract
multiply = _EXACT.multiply
remainder = _EXACT.remainder


def from_float(value: float) -> Decimal:
    """The Decimal that the shortest repr of `value` names: 0.1 becomes one tenth."""
    return Decimal(repr(value))
