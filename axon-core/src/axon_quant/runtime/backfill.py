"""Before a live run decides: its windows filled with what the market has done while nobody looked."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from axon_quant.clock import MILLISECOND
from axon_quant.exchange import Capability, ExchangeAdapter
from axon_quant.market import Trade

if TYPE_CHECKING:
    from axon_quant.runtime.wiring import Pipeline

_RUN_UP = 10
"""Windows of trades before the one that is filled, for the features that remember."""


async def backfill(built: Pipeline, adapter: ExchangeAdapter) -> int:
    """Play the past trades of every symbol into the engine, which decides nothing meanwhile; returns how many.

    Nothing happens for a venue without a history of trades. Call it before the engine's clock has begun.
    """
    if Capability.TradeHistory not in adapter.capabilities:
        return 0
    observation = built.config.observation
    span = observation.window * observation.interval_ms * MILLISECOND
    now = adapter.clock.now()
    since = now - (1 + _RUN_UP) * span
    past: list[list[Trade]] = [await adapter.trades(symbol, since) for symbol in built.engine.lanes]
    engine = built.engine
    engine.deciding = False
    played = 0
    try:
        for trade in heapq.merge(*past, key=lambda trade: trade.received):
            if trade.received <= now:
                engine.on_event(trade)
                played += 1
        if played:
            engine.advance(now)
    finally:
        engine.deciding = True
    return played
