"""Numbers and times as Binance writes them."""

from __future__ import annotations

from decimal import Decimal

from axon_quant.clock import MILLISECOND
from axon_quant.market.types import Level


def number(value: Decimal | float) -> str:
    """Eight digits after the point, as every amount."""
    return f"{value:.8f}"


def exact(value: Decimal) -> str:
    """Eight digits, or as many as there are: closing part of a position may leave more, which must add up."""
    short = number(value)
    return short if Decimal(short) == value else f"{value:f}"


def milliseconds(ns: int) -> int:
    """UTC ns as the milliseconds that Binance counts in."""
    return ns // MILLISECOND


def levels(side: list[Level]) -> list[list[str]]:
    """Prices and quantities of a book."""
    return [[number(price), number(quantity)] for price, quantity in side]


def ladder(side: tuple[list[float], list[float]]) -> list[list[str]]:
    """Likewise, out of prices and quantities that lie apart."""
    return levels(list(zip(*side, strict=True)))
