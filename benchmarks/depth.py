"""Depth messages of a recorded Binance session: our stream and book beside ccxt.pro's, in turns. Prints JSON.

    python benchmarks/depth.py RECORDING [--rounds 5]

Both start from the text of a message as it came off the socket, check its sequence numbers, keep a sorted book, and
have the top ten of both sides read after each message. CPU time of one thread; the median of the rounds. A recording
that is not there is skipped, with exit status 0.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import statistics
import sys
from pathlib import Path
from time import thread_time

import ccxt.pro

from axon_exchange_binance.answers import DepthSnapshot, decoded
from axon_exchange_binance.market_messages import Depth, read
from axon_quant.exchange.sequenced import SequencedBook
from axon_quant.market import OrderBook
from axon_quant.market.types import BookUpdate

TOP = 10


def recorded(path: Path) -> tuple[str, list[str]]:
    """The snapshot and the depth messages that follow it."""
    with gzip.open(path, "rt") as lines:
        texts = [line.partition(" ")[2].rstrip("\n") for line in lines]
    snapshot = next(text for text in texts if '"lastUpdateId"' in text[:60])
    sequence = json.loads(snapshot)["lastUpdateId"]
    messages = [text for text in texts if "@depth" in text[:64]]
    return snapshot, [text for text in messages if json.loads(text)["data"]["u"] > sequence]


def ours(snapshot: str, messages: list[str]) -> tuple[float, list[list[float]]]:
    """CPU seconds, and the top ten at the end."""
    symbol = json.loads(messages[0])["data"]["s"]
    sequenced, book = SequencedBook(symbol), OrderBook(symbol)
    whole = decoded(snapshot, DepthSnapshot)
    for event in sequenced.snapshot(whole.last_update_id, whole.bids, whole.asks, 1):
        assert not isinstance(event, BookUpdate)
        book.restore(event)
    top: tuple[tuple[list[float], list[float]], ...] = ()
    started = thread_time()
    for text in messages:
        depth = read(text, 1)
        assert isinstance(depth, Depth)
        for update in sequenced.update(depth.U, depth.u, depth.b, depth.a, 1, depth.E):
            book.apply(update)
        top = book.bids(TOP), book.asks(TOP)
    took = thread_time() - started
    assert not sequenced.gap
    assert book.whole
    return took, [prices for prices, _ in top]


class Listener:
    """What ccxt.pro hands its findings to, in the place of its own connection."""

    url = "wss://stream.binance.com:9443/stream"

    def __init__(self) -> None:
        self.subscriptions: dict[str, object] = {}
        self.updates = 0

    def resolve(self, *_: object) -> None:
        self.updates += 1

    def reject(self, error: Exception, *_: object) -> None:
        raise error


def theirs(exchange: ccxt.pro.binance, snapshot: str, messages: list[str]) -> tuple[float, list[list[float]]]:
    """The same of ccxt.pro."""
    symbol = exchange.symbols[0]
    book = exchange.order_book({}, 1000)
    exchange.orderbooks = {symbol: book}
    found = json.loads(snapshot)
    book.reset(exchange.parse_order_book(found, symbol))
    book["nonce"] = found["lastUpdateId"]
    listener = Listener()
    bids: list[list[float]] = []
    asks: list[list[float]] = []
    started = thread_time()
    for text in messages:
        exchange.handle_message(listener, exchange.on_json_response(text))
        limited = book.limit()
        bids, asks = limited["bids"][:TOP], limited["asks"][:TOP]
    took = thread_time() - started
    assert listener.updates == len(messages), (listener.updates, len(messages))
    return took, [[level[0] for level in side] for side in (bids, asks)]


def client(symbol: str) -> ccxt.pro.binance:
    """ccxt.pro's client, which knows one market."""
    exchange = ccxt.pro.binance({"options": {"crossMarginPairsData": [], "isolatedMarginPairsData": []}})
    base, quote = symbol[:-4], symbol[-4:]
    market = {"symbol": symbol, "status": "TRADING", "baseAsset": base, "quoteAsset": quote, "filters": []}
    more = {"orderTypes": [], "permissions": ["SPOT"], "isSpotTradingAllowed": True}
    exchange.set_markets([exchange.parse_market({**market, **more})])
    return exchange


async def compare(path: Path, rounds: int) -> dict[str, object]:
    """Both, in turns."""
    snapshot, messages = recorded(path)
    exchange = client(json.loads(messages[0])["data"]["s"])
    levels = sum(len(data["b"]) + len(data["a"]) for data in (json.loads(text)["data"] for text in messages))
    times: dict[str, list[float]] = {"ours": [], "ccxt_pro": []}
    for _ in range(rounds):
        took, our_top = ours(snapshot, messages)
        times["ours"].append(took)
        took, their_top = theirs(exchange, snapshot, messages)
        times["ccxt_pro"].append(took)
        assert our_top == their_top, "the two books differ"
    await exchange.close()
    rates = {name: len(messages) / statistics.median(each) for name, each in times.items()}
    return {
        "recording": path.name,
        "messages": len(messages),
        "levels_per_message": round(levels / len(messages), 1),
        "messages_per_second": {name: round(rate) for name, rate in rates.items()},
        "ratio": round(rates["ours"] / rates["ccxt_pro"], 2),
        "ccxt": ccxt.pro.__version__,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.recording is None or not options.recording.exists():
        json.dump({"skipped": "no recording", "recording": str(options.recording)}, sys.stdout)
    else:
        json.dump(asyncio.run(compare(options.recording, options.rounds)), sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
