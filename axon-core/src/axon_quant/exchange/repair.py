"""What a repair brought up to date."""

from __future__ import annotations

import attrs


@attrs.frozen
class Repair:
    """How many orders changed, fills were new and balances differed."""

    orders: int = 0
    fills: int = 0
    balances: int = 0
