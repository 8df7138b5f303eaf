"""What Binance trades and how much may be asked of it, from exchangeInfo."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from msgspec import Struct

from axon_exchange_binance.answers import ZERO
from axon_exchange_binance.errors import VENUE
from axon_quant.exchange.budget import VenueLimit
from axon_quant.market.instrument import Instrument, InstrumentKind


class Filter(Struct, rename="camel"):
    """Any filter of a symbol; a value that Binance does not give, or gives as zero, does not filter."""

    filter_type: str
    min_price: Decimal = ZERO
    max_price: Decimal = ZERO
    tick_size: Decimal = ZERO
    min_qty: Decimal = ZERO
    max_qty: Decimal = ZERO
    step_size: Decimal = ZERO
    min_notional: Decimal = ZERO
    notional: Decimal = ZERO
    max_notional: Decimal = ZERO
    apply_to_market: bool = True
    apply_min_to_market: bool = True
    multiplier_up: Decimal = ZERO
    multiplier_down: Decimal = ZERO
    bid_multiplier_up: Decimal = ZERO
    bid_multiplier_down: Decimal = ZERO
    ask_multiplier_up: Decimal = ZERO
    ask_multiplier_down: Decimal = ZERO


class SymbolInfo(Struct, rename="camel"):
    """One symbol."""

    symbol: str
    base_asset: str
    quote_asset: str
    status: str = "TRADING"
    base_asset_precision: int = 8
    quote_asset_precision: int = 8
    order_types: list[str] = []
    filters: list[Filter] = []
    is_spot_trading_allowed: bool = True
    contract_type: str = ""
    margin_asset: str = ""


class LimitInfo(Struct, rename="camel"):
    """One rate limit."""

    rate_limit_type: str
    interval: str
    interval_num: int
    limit: int


class ExchangeInfo(Struct, rename="camel"):
    """The whole answer."""

    symbols: list[SymbolInfo]
    rate_limits: list[LimitInfo] = []


_NONE = Filter("")
_KINDS: dict[str, Literal["weight", "orders", "requests"]] = {
    "REQUEST_WEIGHT": "weight",
    "ORDERS": "orders",
    "RAW_REQUESTS": "requests",
}
_SECONDS = {"SECOND": 1.0, "MINUTE": 60.0, "HOUR": 3600.0, "DAY": 86400.0}


def limits(info: ExchangeInfo) -> tuple[VenueLimit, ...]:
    """The rate limits; one of a kind that nobody knows is left out."""
    return tuple(
        VenueLimit(_KINDS[limit.rate_limit_type], limit.limit, limit.interval_num * _SECONDS[limit.interval])
        for limit in info.rate_limits
        if limit.rate_limit_type in _KINDS and limit.interval in _SECONDS
    )


def instrument_of(info: SymbolInfo, venue: str = VENUE, kind: InstrumentKind = InstrumentKind.Spot) -> Instrument:
    """One symbol with its filters."""
    filters = {entry.filter_type: entry for entry in info.filters}
    price, lot = filters.get("PRICE_FILTER", _NONE), filters.get("LOT_SIZE", _NONE)
    market = filters.get("MARKET_LOT_SIZE", _NONE)
    notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL", _NONE)
    return Instrument(
        venue=venue,
        symbol=info.symbol,
        base=info.base_asset,
        quote=info.quote_asset,
        tick_size=_plain(price.tick_size) or Decimal(1).scaleb(-info.quote_asset_precision),
        lot_size=_plain(lot.step_size) or Decimal(1).scaleb(-info.base_asset_precision),
        min_price=price.min_price or None,
        max_price=price.max_price or None,
        min_quantity=lot.min_qty or None,
        max_quantity=lot.max_qty or None,
        market_lot_size=market.step_size or None,
        market_max_quantity=market.max_qty or None,
        min_notional=notional.min_notional or notional.notional,
        max_notional=notional.max_notional or None,
        min_notional_for_market=notional.apply_to_market and notional.apply_min_to_market,
        # Of futures the band is around the mark price, and each side of it for one side of orders only.
        percent_price=_percent(filters) if kind is InstrumentKind.Spot else None,
        kind=kind,
    )


def _percent(filters: dict[str, Filter]) -> tuple[Decimal, Decimal] | None:
    """The widest band: whatever lies outside is refused on both sides, the rest is for the venue to say."""
    both = filters.get("PERCENT_PRICE")
    if both is not None:
        low, high = both.multiplier_down, both.multiplier_up
    else:
        each = filters.get("PERCENT_PRICE_BY_SIDE", _NONE)
        low = min(each.bid_multiplier_down, each.ask_multiplier_down)
        high = max(each.bid_multiplier_up, each.ask_multiplier_up)
    return (low, high) if low < high else None


def _plain(value: Decimal) -> Decimal:
    """`value` without zeros at its end."""
    short = value.normalize()
    return short.quantize(Decimal(1)) if short == short.to_integral_value() else short
