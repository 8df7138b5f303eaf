"""The limits of the risk engine, with the defaults a careful desk would start from."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs

from axon_quant.orders.types import to_decimal

_LATER = {"added_later": True}


def _fraction(_: RiskLimits, attribute: attrs.Attribute[Decimal], value: Decimal) -> None:
    if not (value.is_finite() and 0 < value <= 1):
        raise ValueError(f"{attribute.name} must be a fraction in (0, 1], got {value}")


def _positive(_: RiskLimits, attribute: attrs.Attribute[Any], value: float) -> None:
    if not 0 < value < float("inf"):
        raise ValueError(f"{attribute.name} must be positive, got {value}")


def _positive_exact(_: RiskLimits, attribute: attrs.Attribute[Any], value: Decimal) -> None:
    if not (value.is_finite() and value > 0):
        raise ValueError(f"{attribute.name} must be positive, got {value}")


def _optional_exact(value: Decimal | float | int | str | None) -> Decimal | None:
    return None if value is None else to_decimal(value)


@attrs.frozen(kw_only=True)
class RiskLimits:
    """Pre-trade limits. Fractions are of equity unless they say otherwise; durations are in milliseconds.

    Raises ValueError for a limit that is NaN, not positive, or a fraction above 1.
    """

    max_notional: Decimal = attrs.field(default=Decimal("0.01"), converter=to_decimal, validator=_fraction)
    """Price × quantity of one order."""
    max_quantity: Decimal | None = attrs.field(
        default=None, converter=_optional_exact, validator=attrs.validators.optional(_positive_exact)
    )
    """Quantity of one order in base units; None for no limit beyond the notional."""
    price_collar: float = attrs.field(default=0.05, validator=_positive)
    """|price / reference - 1| of a limit order."""
    max_reference_age_ms: float = attrs.field(default=2_000, validator=_positive)
    """How old the reference price may be."""
    max_position: Decimal = attrs.field(default=Decimal("0.10"), converter=to_decimal, validator=_fraction)
    """Position of one symbol, open orders included."""
    max_gross_exposure: float = attrs.field(default=1.0, validator=_positive)
    """Sum of |position| over all symbols, open orders included, over equity."""
    max_net_exposure: float = attrs.field(default=1.0, validator=_positive)
    """|Sum of positions| over equity."""
    messages_per_second: float = attrs.field(default=10, validator=_positive)
    """New orders per second, as a token bucket."""
    message_burst: float = attrs.field(default=20, validator=_positive)
    """Size of the bucket."""
    max_open_orders: int = attrs.field(default=50, validator=_positive)
    """Open orders of one symbol."""
    duplicate_window_ms: float = attrs.field(default=1_000, validator=_positive)
    """Within this time the same symbol, side, quantity and price is taken for a mistake."""
    max_daily_loss: Decimal = attrs.field(default=Decimal("0.02"), converter=to_decimal, validator=_fraction)
    """Loss since the start of the UTC day that halts trading."""
    max_drawdown: Decimal = attrs.field(default=Decimal("0.10"), converter=to_decimal, validator=_fraction)
    """Fall from the highest equity that halts trading."""
    max_orders_per_decision: int = attrs.field(default=10, validator=_positive)
    """Orders that one decision may fan out to."""
    max_executions_per_minute: int = attrs.field(default=1_000, validator=_positive)
    """Fills of one strategy within a minute; beyond, it is suspended until a human releases it."""
    max_rejects: int = attrs.field(default=20, validator=_positive, metadata=_LATER)
    """Orders that the venue rejects within `reject_window_ms`; that many halt trading."""
    reject_window_ms: float = attrs.field(default=10_000, validator=_positive, metadata=_LATER)
    """How far back rejected orders are counted."""
    max_market_silence_ms: float = attrs.field(default=30_000, validator=_positive, metadata=_LATER)
    """How long a live market may say nothing at all before trading is halted."""
    reservation_ttl_ms: float = attrs.field(default=60_000, validator=_positive)
    """How long a checked order that was never sent holds its share of the limits."""
