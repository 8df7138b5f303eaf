"""Symbols with their filters, and the rate limits, from exchangeInfo."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal

import pytest
from scripted_binance import LIMITS, SHARED, SYMBOL

from axon_exchange_binance.answers import decoded
from axon_exchange_binance.instruments import ExchangeInfo, instrument_of, limits
from axon_quant.exchange import VenueLimit


def info(*filters: dict, **changes: object):
    given = {**SYMBOL, "filters": list(filters) or SYMBOL["filters"], **changes}
    return decoded(json.dumps({"symbols": [given], "rateLimits": LIMITS}), ExchangeInfo)


def test_every_filter_is_read_exactly():
    instrument = instrument_of(info().symbols[0])
    assert (instrument.symbol, instrument.base, instrument.quote) == ("BTCUSDT", "BTC", "USDT")
    assert (str(instrument.tick_size), str(instrument.lot_size)) == ("0.01", "0.00001")
    assert (instrument.min_quantity, instrument.max_quantity) == (Decimal("0.00001"), 9000)
    assert (instrument.min_price, instrument.max_price) == (Decimal("0.01"), 1_000_000)
    assert (instrument.market_lot_size, instrument.market_max_quantity) == (None, Decimal("120.5"))
    assert (instrument.min_notional, instrument.max_notional) == (5, 9_000_000)
    assert instrument.min_notional_for_market


def test_a_percent_price_by_side_becomes_the_widest_band():
    assert instrument_of(info().symbols[0]).percent_price == (Decimal("0.2"), Decimal(5))


def test_the_older_filters_are_known_too():
    instrument = instrument_of(
        info(
            {"filterType": "PERCENT_PRICE", "multiplierUp": "1.3", "multiplierDown": "0.7", "avgPriceMins": 5},
            {"filterType": "MIN_NOTIONAL", "minNotional": "10.0", "applyToMarket": False, "avgPriceMins": 5},
        ).symbols[0]
    )
    assert instrument.percent_price == (Decimal("0.7"), Decimal("1.3"))
    assert instrument.min_notional == 10
    assert not instrument.min_notional_for_market


def test_a_filter_that_is_zero_or_missing_does_not_filter():
    instrument = instrument_of(
        info({"filterType": "PRICE_FILTER", "minPrice": "0", "maxPrice": "0", "tickSize": "0"}).symbols[0]
    )
    assert (instrument.min_price, instrument.max_price, instrument.percent_price) == (None, None, None)
    assert instrument.tick_size == instrument.lot_size == Decimal("0.00000001")


def test_a_whole_step_is_written_as_a_whole_number():
    lot = {"filterType": "LOT_SIZE", "minQty": "10.00", "maxQty": "1000.00", "stepSize": "10.00000000"}
    assert str(instrument_of(info(lot).symbols[0]).lot_size) == "10"


def test_the_rate_limits_are_the_venues():
    assert limits(info()) == (
        VenueLimit("weight", 6000, 60.0),
        VenueLimit("orders", 100, 10.0),
        VenueLimit("orders", 200_000, 86_400.0),
        VenueLimit("requests", 61_000, 300.0),
    )


def test_all_symbols_of_a_real_answer_can_be_read():
    path = SHARED / "binance_exchangeInfo_2021.json.gz"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    found = decoded(gzip.decompress(path.read_bytes()), ExchangeInfo)
    instruments = {symbol.symbol: instrument_of(symbol) for symbol in found.symbols}
    assert len(instruments) > 1_600
    assert instruments["BTCUSDT"].tick_size == Decimal("0.01")
