"""What a venue trades, and the grid its orders must lie on."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Context, Decimal
from enum import Enum

import attrs

_EXACT = Context(prec=150)


class InstrumentKind(Enum):
    """What is traded: the asset itself, or a perpetual swap on it."""

    Spot = "spot"
    Swap = "swap"


def _positive(instance: Instrument, attribute: attrs.Attribute[Decimal], value: Decimal) -> None:
    if not (value.is_finite() and value > 0):
        raise ValueError(f"{instance.symbol}: {attribute.name} must be a positive number, got {value}")


def _optional(value: Decimal | str | int | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def _multiples(value: tuple[Decimal | str | int, Decimal | str | int] | None) -> tuple[Decimal, Decimal] | None:
    return None if value is None else (Decimal(value[0]), Decimal(value[1]))


def _optional_positive(instance: Instrument, attribute: attrs.Attribute[Decimal | None], value: Decimal | None) -> None:
    if value is not None and not (value.is_finite() and value > 0):
        raise ValueError(f"{instance.symbol}: {attribute.name} must be a positive number or None, got {value}")


def _rising(instance: Instrument, _: object, value: tuple[Decimal, Decimal] | None) -> None:
    if value is not None and not (value[0].is_finite() and value[1].is_finite() and 0 <= value[0] < value[1]):
        raise ValueError(f"{instance.symbol}: percent_price must be a lower and a higher multiple, got {value}")


@attrs.frozen(kw_only=True)
class Instrument:
    """One tradable symbol of a venue.

    `symbol` is the venue's native id; `tick_size` is the price grid, `lot_size` the quantity grid, `min_notional` the
    smallest price × quantity in the quote asset. The other filters are None where the venue has none: the grid and the
    largest quantity of market orders, the lowest and highest multiple of the venue's reference price that a price may
    be (`percent_price`). One unit of quantity is `contract_size` of the base asset. Raises ValueError for a grid or
    filter that is not positive.
    """

    venue: str
    symbol: str
    base: str
    quote: str
    tick_size: Decimal = attrs.field(converter=Decimal, validator=_positive)
    lot_size: Decimal = attrs.field(converter=Decimal, validator=_positive)
    min_notional: Decimal = attrs.field(default=Decimal(0), converter=Decimal)
    max_notional: Decimal | None = attrs.field(default=None, converter=_optional, validator=_optional_positive)
    min_notional_for_market: bool = True
    min_quantity: Decimal | None = attrs.field(default=None, converter=_optional, validator=_optional_positive)
    max_quantity: Decimal | None = attrs.field(default=None, converter=_optional, validator=_optional_positive)
    market_lot_size: Decimal | None = attrs.field(default=None, converter=_optional, validator=_optional_positive)
    market_max_quantity: Decimal | None = attrs.field(default=None, converter=_optional, validator=_optional_positive)
    min_price: Decimal | None = attrs.field(default=None, converter=_optional, validator=_optional_positive)
    max_price: Decimal | None = attrs.field(default=None, converter=_optional, validator=_optional_positive)
    percent_price: tuple[Decimal, Decimal] | None = attrs.field(default=None, converter=_multiples, validator=_rising)
    kind: InstrumentKind = InstrumentKind.Spot
    contract_size: Decimal = attrs.field(default=Decimal(1), converter=Decimal, validator=_positive)

    @property
    def key(self) -> str:
        """Unique across venues: `BINANCE:BTCUSDT`."""
        return f"{self.venue.upper()}:{self.symbol}"

    def in_base(self, quantity: Decimal) -> Decimal:
        """`quantity` of an order or a fill in units of the base asset; they differ where contracts are traded."""
        return quantity if self.contract_size == 1 else _EXACT.multiply(quantity, self.contract_size)

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
