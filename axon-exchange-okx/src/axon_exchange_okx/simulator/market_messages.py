"""OKX's JSON of instruments and the market."""

from __future__ import annotations

from decimal import Decimal

from axon_exchange_okx.simulator.candles import Candle
from axon_exchange_okx.simulator.instruments import inst_type
from axon_exchange_okx.simulator.numbers import milliseconds, number
from axon_quant.market.book import OrderBook
from axon_quant.market.instrument import Instrument, InstrumentKind
from axon_quant.market.types import BookUpdate, Level, Quote, Trade

MOST_LIMIT_VALUE = Decimal(20_000_000)
MOST_MARKET_VALUE = Decimal(1_000_000)
"""Quote units that a limit and a market order may be worth."""


def instrument_row(instrument: Instrument, code: int) -> dict[str, object]:
    """One of `/public/instruments`."""
    largest = number(instrument.max_quantity or Decimal(9_000_000))
    swap = instrument.kind is InstrumentKind.Swap
    largest_at_market = number(instrument.market_max_quantity if swap else MOST_MARKET_VALUE)
    pair = f"{instrument.base}-{instrument.quote}" if swap else ""
    return {
        "instType": inst_type(instrument.symbol),
        "instId": instrument.symbol,
        "instIdCode": code,
        "baseCcy": "" if swap else instrument.base,
        "quoteCcy": "" if swap else instrument.quote,
        "settleCcy": instrument.quote if swap else "",
        "instFamily": pair,
        "uly": pair,
        "category": "1",
        "ctVal": number(instrument.contract_size) if swap else "",
        "ctMult": "1" if swap else "",
        "ctValCcy": instrument.base if swap else "",
        "ctType": "linear" if swap else "",
        "optType": "",
        "stk": "",
        "alias": "",
        "lever": "100" if swap else "10",
        "tickSz": number(instrument.tick_size),
        "lotSz": number(instrument.lot_size),
        "minSz": number(instrument.min_quantity or instrument.lot_size),
        "maxLmtSz": largest,
        "maxMktSz": largest_at_market,
        "maxLmtAmt": number(MOST_LIMIT_VALUE),
        "maxMktAmt": number(MOST_MARKET_VALUE),
        "maxIcebergSz": largest,
        "maxStopSz": largest_at_market,
        "maxTriggerSz": largest,
        "maxTwapSz": largest,
        "listTime": "1600000000000",
        "expTime": "",
        "openType": "call_auction",
        "ruleType": "normal",
        "state": "live",
        "tradeQuoteCcyList": [instrument.quote],
    }


def ticker_row(symbol: str, now: int, quote: Quote | None, last: Trade | None, day: Candle | None) -> dict[str, object]:
    """One of `/market/tickers`; `day` is what was traded in the last 24 hours."""
    price = number(last.price) if last else ""
    return {
        "instType": inst_type(symbol),
        "instId": symbol,
        "last": price,
        "lastSz": number(last.quantity) if last else "0",
        "askPx": number(quote.ask) if quote else "",
        "askSz": number(quote.ask_quantity) if quote else "",
        "bidPx": number(quote.bid) if quote else "",
        "bidSz": number(quote.bid_quantity) if quote else "",
        "open24h": number(day.open) if day else price,
        "high24h": number(day.high) if day else price,
        "low24h": number(day.low) if day else price,
        "volCcy24h": number(round(day.value, 8)) if day else "0",
        "vol24h": number(round(day.volume, 8)) if day else "0",
        "sodUtc0": number(day.open) if day else price,
        "sodUtc8": number(day.open) if day else price,
        "ts": milliseconds(now),
    }


def levels(side: list[Level]) -> list[list[str]]:
    """Prices and quantities of a book."""
    return [[number(price), number(quantity), "0", "1"] for price, quantity in side]


def book_row(book: OrderBook, depth: int, now: int) -> dict[str, object]:
    """The best `depth` levels of a book."""
    asks, bids = book.asks(depth), book.bids(depth)
    return {
        "asks": levels(list(zip(*asks, strict=True))),
        "bids": levels(list(zip(*bids, strict=True))),
        "ts": milliseconds(now),
        "seqId": book.sequence,
    }


def changes_row(update: BookUpdate, previous: int) -> dict[str, object]:
    """What changed of a book since the message with the number `previous`."""
    return {
        "asks": levels(update.asks),
        "bids": levels(update.bids),
        "ts": milliseconds(update.received),
        "checksum": 0,
        "prevSeqId": previous,
        "seqId": update.last_sequence,
    }


def best_row(quote: Quote) -> dict[str, object]:
    """The best bid and ask."""
    return {
        "asks": levels([(quote.ask, quote.ask_quantity)]),
        "bids": levels([(quote.bid, quote.bid_quantity)]),
        "ts": milliseconds(quote.received),
        "seqId": quote.sequence,
    }


def trade_row(trade: Trade) -> dict[str, object]:
    """One of the `trades` channel, or of `/market/trades`."""
    return {
        "instId": trade.symbol,
        "tradeId": str(trade.trade_id),
        "px": number(trade.price),
        "sz": number(trade.quantity),
        "side": "sell" if trade.buyer_is_maker else "buy",
        "ts": milliseconds(trade.received),
        "count": "1",
        "source": "0",
    }
