"""What the market's streams of futures say, where it differs from spot's."""

from __future__ import annotations

from axon_exchange_binance.simulator import market_messages as of_spot
from axon_exchange_binance.simulator.numbers import milliseconds
from axon_quant.market.types import BookUpdate, Quote, Trade


def numbered(sequence: int) -> int:
    """A book's number as it is told: numbers are left out, because symbols share them."""
    return 3 * sequence


def trade_message(trade: Trade) -> dict[str, object]:
    """`trade`."""
    return {**of_spot.trade_message(trade), "X": "MARKET"}


def book_ticker_message(quote: Quote) -> dict[str, object]:
    """`bookTicker`."""
    at = milliseconds(quote.received)
    return {"e": "bookTicker", **of_spot.book_ticker_message(quote), "T": at, "E": at}


def depth_message(update: BookUpdate) -> dict[str, object]:
    """`depthUpdate`: `pu` is where the one before it ended."""
    return {
        **of_spot.depth_message(update),
        "T": milliseconds(update.received),
        "U": numbered(update.first_sequence) - 1,
        "u": numbered(update.last_sequence),
        "pu": numbered(update.first_sequence - 1),
    }


def mark_price_message(premium: dict[str, object]) -> dict[str, object]:
    """`markPriceUpdate`, out of what `premiumIndex` says."""
    return {
        "e": "markPriceUpdate",
        "E": premium["time"],
        "s": premium["symbol"],
        "p": premium["markPrice"],
        "i": premium["indexPrice"],
        "P": premium["estimatedSettlePrice"],
        "r": premium["lastFundingRate"],
        "T": premium["nextFundingTime"],
    }


def partial_message(symbol: str, at: int, sequence: int, bids: object, asks: object) -> dict[str, object]:
    """The best levels of a book; `at` is UTC ns."""
    stamp, last = milliseconds(at), numbered(sequence)
    told = {"U": last - 1, "u": last, "pu": last - 3, "b": bids, "a": asks}
    return {"e": "depthUpdate", "E": stamp, "T": stamp, "s": symbol, **told}
