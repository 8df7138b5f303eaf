"""The instruments a simulator trades unless told otherwise, written by hand, and their first prices."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from axon_quant.market.instrument import Instrument


class _Row(NamedTuple):
    base: str
    quote: str
    tick_size: str
    lot_size: str
    min_notional: str
    max_quantity: str
    price: float
    level: float


_ROWS = (
    _Row("BTC", "USDT", "0.01", "0.00001", "5", "9000", 50_000.0, 1),
    _Row("ETH", "USDT", "0.01", "0.0001", "5", "9000", 2_500.0, 20),
    _Row("BNB", "USDT", "0.01", "0.001", "5", "9000", 550.0, 90),
    _Row("SOL", "USDT", "0.01", "0.001", "5", "9000", 150.0, 300),
    _Row("XRP", "USDT", "0.0001", "0.1", "5", "9000000", 0.6, 80_000),
    _Row("ADA", "USDT", "0.0001", "0.1", "5", "9000000", 0.45, 100_000),
    _Row("DOGE", "USDT", "0.00001", "1", "1", "9000000", 0.12, 400_000),
    _Row("LTC", "USDT", "0.01", "0.001", "5", "9000", 70.0, 700),
    _Row("ETH", "BTC", "0.00001", "0.0001", "0.0001", "9000", 0.05, 20),
    _Row("BTC", "EUR", "0.01", "0.00001", "5", "9000", 46_000.0, 1),
)


def instruments(venue: str, separator: str = "") -> tuple[Instrument, ...]:
    """All of them, named as `venue` does: base, separator, quote."""
    return tuple(
        Instrument(
            venue=venue,
            symbol=f"{row.base}{separator}{row.quote}",
            base=row.base,
            quote=row.quote,
            tick_size=row.tick_size,
            lot_size=row.lot_size,
            min_notional=row.min_notional,
            min_quantity=Decimal(row.lot_size),
            max_quantity=Decimal(row.max_quantity),
            market_max_quantity=Decimal(row.max_quantity) / 75,
            max_notional=Decimal(9_000_000),
            min_price=Decimal(row.tick_size),
            max_price=Decimal(1_000_000),
            percent_price=(Decimal("0.2"), Decimal(5)),
        )
        for row in _ROWS
    )


INSTRUMENTS = instruments("simulator")
"""Ten of them, one by one liquid enough to fill small orders."""
START_PRICES = {f"{row.base}{row.quote}": row.price for row in _ROWS}
"""By symbol without a separator: where its generated market begins."""
LEVEL_SIZES = {f"{row.base}{row.quote}": row.level for row in _ROWS}
"""Likewise: how much of the base asset a level of its generated book has, more or less."""
