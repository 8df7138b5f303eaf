"""How OKX writes numbers and times: all of them are texts."""

from __future__ import annotations

from decimal import Decimal

from axon_quant.clock import MILLISECOND
from axon_quant.exchange.exact import from_float


def number(value: Decimal | float | None) -> str:
    """As few digits as say it; "" for None."""
    if value is None:
        return ""
    text = f"{value if isinstance(value, Decimal) else from_float(value):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def negative(value: Decimal) -> str:
    """What is paid has a minus."""
    return number(value.copy_negate()) if value else "0"


def milliseconds(ns: int) -> str:
    """UTC ns as OKX's text."""
    return str(ns // MILLISECOND)
