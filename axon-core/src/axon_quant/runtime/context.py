"""What a strategy sees of the run."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from axon_quant.market import Instrument, Quote
from axon_quant.orders import OrderState

if TYPE_CHECKING:
    from axon_quant.runtime.engine import Engine
    from axon_quant.runtime.lane import Lane


class EngineContext:
    """The strategy's view of one symbol and of the account, always as of the run's clock."""

    __slots__ = ("_engine", "_lane", "symbol")

    def __init__(self, engine: Engine, lane: Lane) -> None:
        self._engine = engine
        self._lane = lane
        self.symbol = lane.symbol

    @property
    def now(self) -> int:
        return self._engine.clock.time

    @property
    def equity(self) -> Decimal:
        return self._engine.portfolio.equity

    def position(self, symbol: str) -> Decimal:
        return self._engine.portfolio.position(symbol)

    def quote(self, symbol: str) -> Quote | None:
        return self._engine.lanes[symbol].quote

    def reference_price(self, symbol: str) -> float | None:
        return self._engine.lanes[symbol].price or None

    def instrument(self, symbol: str) -> Instrument:
        return self._engine.lanes[symbol].instrument

    def open_orders(self, symbol: str) -> list[OrderState]:
        return self._engine.tracker.open_for(symbol)
