"""The perpetual swaps that are traded unless told otherwise: those of the dollar among the spot instruments."""

from __future__ import annotations

from decimal import Decimal

import attrs

from axon_quant.exchange.simulator.instruments import instruments as of_spot
from axon_quant.market.instrument import Instrument, InstrumentKind

_LARGEST = Decimal(9_000_000)
_GRIDS = {
    "BTCUSDT": ("0.1", "0.001", "50"),
    "ETHUSDT": ("0.01", "0.001", "20"),
    "BNBUSDT": ("0.01", "0.01", "5"),
    "SOLUSDT": ("0.01", "0.01", "5"),
    "ADAUSDT": ("0.0001", "1", "5"),
}
"""Tick size, lot size and smallest notional, where they are others than spot's."""


def instruments(venue: str) -> tuple[Instrument, ...]:
    """All of them. The band of prices is around the mark: buys may not be above it, sells not below."""
    return tuple(_swap(one) for one in of_spot(venue) if one.quote == "USDT")


def _swap(one: Instrument) -> Instrument:
    tick, lot, notional = _GRIDS.get(one.symbol, (one.tick_size, one.lot_size, one.min_notional))
    on_grid = attrs.evolve(one, tick_size=tick, lot_size=lot, min_notional=notional)
    return attrs.evolve(
        on_grid,
        kind=InstrumentKind.Swap,
        min_price=on_grid.tick_size,
        min_quantity=on_grid.lot_size,
        market_max_quantity=on_grid.round_quantity((one.max_quantity or _LARGEST) / 75),
        max_notional=None,
        percent_price=(Decimal("0.9"), Decimal("1.1")),
    )
