"""What the market's streams say."""

from __future__ import annotations

from axon_exchange_binance.simulator.candles import Candle, Tape
from axon_exchange_binance.simulator.numbers import levels, milliseconds, number
from axon_quant.market.types import BookUpdate, Quote, Trade


def trade_message(trade: Trade) -> dict[str, object]:
    """`trade`."""
    at = milliseconds(trade.received)
    return {
        "e": "trade",
        "E": at,
        "s": trade.symbol,
        "t": trade.trade_id,
        "p": number(trade.price),
        "q": number(trade.quantity),
        "T": at,
        "m": trade.buyer_is_maker,
        "M": True,
    }


def aggregate_message(trade: Trade) -> dict[str, object]:
    """`aggTrade`: here each of one trade."""
    at = milliseconds(trade.received)
    return {
        "e": "aggTrade",
        "E": at,
        "s": trade.symbol,
        "a": trade.trade_id,
        "p": number(trade.price),
        "q": number(trade.quantity),
        "f": trade.trade_id,
        "l": trade.trade_id,
        "T": at,
        "m": trade.buyer_is_maker,
        "M": True,
    }


def book_ticker_message(quote: Quote) -> dict[str, object]:
    """`bookTicker`."""
    return {
        "u": quote.sequence,
        "s": quote.symbol,
        "b": number(quote.bid),
        "B": number(quote.bid_quantity),
        "a": number(quote.ask),
        "A": number(quote.ask_quantity),
    }


def depth_message(update: BookUpdate) -> dict[str, object]:
    """`depthUpdate`."""
    return {
        "e": "depthUpdate",
        "E": milliseconds(update.received),
        "s": update.symbol,
        "U": update.first_sequence,
        "u": update.last_sequence,
        "b": levels(update.bids),
        "a": levels(update.asks),
    }


def kline_message(symbol: str, interval: str, candle: Candle, at: int, *, closed: bool) -> dict[str, object]:
    """`kline`."""
    return {
        "e": "kline",
        "E": milliseconds(at),
        "s": symbol,
        "k": {
            "t": milliseconds(candle.start),
            "T": milliseconds(candle.start + candle.length) - 1,
            "s": symbol,
            "i": interval,
            "f": candle.first,
            "L": candle.last,
            "o": number(candle.open),
            "c": number(candle.close),
            "h": number(candle.high),
            "l": number(candle.low),
            "v": number(candle.volume),
            "n": candle.trades,
            "x": closed,
            "q": number(candle.value),
            "V": number(candle.bought),
            "Q": number(candle.bought_value),
            "B": "0",
        },
    }


def mini_ticker_message(symbol: str, day: Candle, at: int) -> dict[str, object]:
    """`24hrMiniTicker`."""
    return {
        "e": "24hrMiniTicker",
        "E": milliseconds(at),
        "s": symbol,
        "c": number(day.close),
        "o": number(day.open),
        "h": number(day.high),
        "l": number(day.low),
        "v": number(day.volume),
        "q": number(day.value),
    }


def ticker_message(symbol: str, day: Candle, tape: Tape, quote: Quote | None, at: int) -> dict[str, object]:
    """`24hrTicker`."""
    best = (0.0,) * 4 if quote is None else (quote.bid, quote.bid_quantity, quote.ask, quote.ask_quantity)
    return {
        **mini_ticker_message(symbol, day, at),
        "e": "24hrTicker",
        "p": number(day.close - day.open),
        "P": f"{(day.close / day.open - 1) * 100:.3f}",
        "w": number(day.value / day.volume if day.volume else 0.0),
        "x": number(day.open),
        "Q": number(tape.trades[-1].quantity if tape.trades else 0.0),
        **dict(zip("bBaA", map(number, best), strict=True)),
        "O": milliseconds(at) - 86_400_000,
        "C": milliseconds(at),
        "F": day.first,
        "L": day.last,
        "n": day.trades,
    }
