"""What a venue trades, and the grid its orders must lie on."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal

import attrs


def _positive(instance: Instrument, attribute: attrs.Attribute[Decimal], value: Decimal) -> None:
    if not (value.is_finite() and value > 0):
        raise ValueError(f"{instance.symbol}: {attribute.name} must be a positive number, got {value}")


@attrs.frozen(kw_only=True)
class Instrument:
    """One tradable symbol of a venue.

    `symbol` is the venue's native id; `tick_size` is the price grid, `lot_size` the quantity grid, `min_notional` the
    smallest price × quantity in the quote asset. Raises ValueError for a grid that is not positive.
    """

    venue: str
    symbol: str
    base: str
    quote: str
    tick_size: Decimal = attrs.field(converter=Decimal, validator=_positive)
    lot_size: Decimal = attrs.field(converter=Decimal, validator=_positive)
    min_notional: Decimal = attrs.field(default=Decimal(0), converter=Decimal)

    @property
    def key(self) -> str:
        """Unique across venues: `BINANCE:BTCUSDT`."""
        return f"{self.venue.upper()}:{self.symbol}"

    def round_price(self, price: Decimal | float) -> Decimal:
        """The nearest price on the grid."""
        ticks = (_decimal(price) / self.tick_size).to_integral_value(rounding=ROUND_HALF_EVEN)
        return ticks * self.tick_size

    def round_quantity(self, quantity: Decimal | float) -> Decimal:
        """The largest quantity on the grid that is not above `quantity`."""
        lots = (_decimal(quantity) / self.lot_size).to_integral_value(rounding=ROUND_DOWN)
        return lots * self.lot_size


def _decimal(value: Decimal | float) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(repr(value))
