"""`exchangeInfo`: the symbols and the limits."""

from __future__ import annotations

from collections.abc import Iterable

from axon_exchange_binance.simulator.filters import rows
from axon_exchange_binance.simulator.numbers import milliseconds
from axon_quant.exchange.simulator import Limit
from axon_quant.market.instrument import Instrument

ORDER_TYPES = [
    *("LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"),
    *("TAKE_PROFIT", "TAKE_PROFIT_LIMIT"),
]
_LIMIT_TYPES = {"weight": "REQUEST_WEIGHT", "orders": "ORDERS", "requests": "RAW_REQUESTS"}
_UNITS = ((86_400, "DAY"), (3_600, "HOUR"), (60, "MINUTE"), (1, "SECOND"))


def exchange_info(instruments: Iterable[Instrument], limits: Iterable[Limit], now: int) -> dict[str, object]:
    """For some instruments; `now` is UTC ns."""
    return {
        "timezone": "UTC",
        "serverTime": milliseconds(now),
        "rateLimits": [rate_limit(limit) for limit in limits],
        "exchangeFilters": [],
        "symbols": [_symbol(instrument) for instrument in instruments],
    }


def interval(limit: Limit) -> tuple[int, str]:
    """A limit's period as Binance says it: 10, SECOND."""
    seconds = round(limit.period)
    length, unit = next((length, unit) for length, unit in _UNITS if seconds % length == 0)
    return seconds // length, unit


def rate_limit(limit: Limit, count: int | None = None) -> dict[str, object]:
    """A limit, and how much of it is used."""
    many, unit = interval(limit)
    row: dict[str, object] = {
        "rateLimitType": _LIMIT_TYPES[limit.kind],
        "interval": unit,
        "intervalNum": many,
        "limit": limit.limit,
    }
    return row if count is None else {**row, "count": count}


def _symbol(instrument: Instrument) -> dict[str, object]:
    return {
        "symbol": instrument.symbol,
        "status": "TRADING",
        "baseAsset": instrument.base,
        "baseAssetPrecision": 8,
        "quoteAsset": instrument.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ORDER_TYPES,
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": rows(instrument),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_MAKER"],
    }
