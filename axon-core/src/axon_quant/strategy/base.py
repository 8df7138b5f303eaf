"""What a strategy is, and what it may look at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from decimal import Decimal
from typing import Protocol

from axon_quant.inference.action import Action
from axon_quant.market.instrument import Instrument
from axon_quant.market.types import Quote
from axon_quant.orders.tracker import OrderState
from axon_quant.orders.types import Cancel, Fill, Order


class Context(Protocol):
    """A strategy's view of the run, always as of `now`; the runtime implements it."""

    @property
    def now(self) -> int:
        """UTC nanoseconds on the run's clock."""
        ...

    @property
    def symbol(self) -> str:
        """The symbol that the decision or fill is about."""
        ...

    @property
    def equity(self) -> Decimal:
        """What the account is worth in the quote asset."""
        ...

    def position(self, symbol: str) -> Decimal:
        """Signed position in base units."""
        ...

    def quote(self, symbol: str) -> Quote | None:
        """The best bid and ask, or None before the first."""
        ...

    def reference_price(self, symbol: str) -> float | None:
        """The mid, or the last price where there are no quotes; None before either."""
        ...

    def instrument(self, symbol: str) -> Instrument:
        """The grid that orders of the symbol must lie on."""
        ...

    def open_orders(self, symbol: str) -> list[OrderState]:
        """The orders of the symbol that are not terminal, oldest first."""
        ...


class Strategy(ABC):
    """Turns actions into orders. Subclass it and write `on_decision`; the other methods do nothing unless written.

    All methods run on the loop thread and must return at once. What they return is checked by the risk engine, made
    durable and sent, in order. After an exception the strategy is not asked again, what is open is cancelled, and the
    run ends with a StrategyError that names the line.
    """

    @abstractmethod
    def on_decision(self, ctx: Context, action: Action) -> Iterable[Order | Cancel]:
        """The model has spoken about `ctx.symbol`: what to send now."""

    def on_fill(self, ctx: Context, fill: Fill) -> Iterable[Order | Cancel]:  # noqa: ARG002
        """An order of `ctx.symbol` was filled; the position has it already."""
        return ()

    def on_start(self, ctx: Context) -> None:  # noqa: B027
        """The run begins; called once per symbol."""

    def on_stop(self, ctx: Context) -> None:  # noqa: B027
        """The run ends; called once per symbol, after every open order was asked to cancel."""
