"""What the risk engine answers, and what it asks the rest of the system."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Protocol

import attrs
from msgspec import Struct

from axon_quant.clock import Clock
from axon_quant.events import Reject


class RiskState(Enum):
    """ACTIVE takes every order within limits, REDUCING only those that lower a position, HALTED none."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"


@attrs.frozen
class RiskDecision:
    """The answer to one order: truthy when accepted, else every control that refused it."""

    rejects: tuple[Reject, ...] = ()

    def __bool__(self) -> bool:
        return not self.rejects

    def __str__(self) -> str:
        return "accepted" if not self.rejects else "; ".join(map(str, self.rejects))


class RiskSnapshot(Struct, frozen=True):
    """What must survive a restart: a halted account stays halted, and its peak is not forgotten."""

    state: str
    reason: str
    day: int
    day_equity: Decimal | None
    peak: Decimal | None
    suspended: list[str]


class Account(Protocol):
    """What the engine asks about the account; `Portfolio` is one."""

    @property
    def equity(self) -> Decimal:
        """Total worth in the quote asset."""
        ...

    def position(self, symbol: str) -> Decimal:
        """Signed position in base units."""
        ...

    def available(self, asset: str) -> Decimal:
        """What can be spent of an asset, before open orders, which the engine subtracts itself."""
        ...


class Prices(Protocol):
    """Where the engine looks up what something is worth."""

    def reference(self, symbol: str) -> tuple[float, int] | None:
        """(price, when it was received in ns), or None while there is none."""
        ...


class FixedAccount:
    """An account that is told its numbers; for scripts and tests."""

    def __init__(
        self,
        equity: Decimal | int | str,
        balances: Mapping[str, Decimal | int | str],
        positions: Mapping[str, Decimal | int | str] | None = None,
    ) -> None:
        self.equity = Decimal(equity)
        self.balances = {asset: Decimal(balance) for asset, balance in balances.items()}
        self.positions = {symbol: Decimal(quantity) for symbol, quantity in (positions or {}).items()}

    def position(self, symbol: str) -> Decimal:
        """Signed position in base units, 0 unless told."""
        return self.positions.get(symbol, Decimal(0))

    def available(self, asset: str) -> Decimal:
        """The balance of an asset, 0 unless told."""
        return self.balances.get(asset, Decimal(0))


class LastPrices:
    """The last price of each symbol, stamped by the clock as it comes in."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._prices: dict[str, tuple[float, int]] = {}

    def mark(self, symbol: str, price: float) -> None:
        """Store a price as of now."""
        self._prices[symbol] = (price, self._clock.now())

    def reference(self, symbol: str) -> tuple[float, int] | None:
        """(price, received) of the last mark, or None."""
        return self._prices.get(symbol)
