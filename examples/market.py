"""Write a made-up market as a Binance recording, for a first run without one.

    python examples/market.py market.jsonl.gz [--symbol BTCUSDT] [--seconds 120] [--seed 0]
    axon run -c examples/imbalance.toml --replay market.jsonl.gz

Quotes, trades and the book are in it, one `<receive time in ns> <message>` per line, as a recorder of the venue's
combined stream writes them. It is no model of any real market.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Iterable
from pathlib import Path

import msgspec

from axon_quant import BookUpdate, Instrument, Quote, Trade
from axon_quant.clock import MILLISECOND
from axon_quant.market import BookSnapshot, MarketEvent
from axon_quant.market.generated import GeneratedMarket


def message(event: MarketEvent) -> dict[str, object]:
    """What the venue would have sent."""
    match event:
        case Quote(symbol=s, bid=bid, bid_quantity=bids, ask=ask, ask_quantity=asks, sequence=u):
            kind = "bookTicker"
            data: dict[str, object] = {"u": u, "s": s, "b": f"{bid}", "B": f"{bids}", "a": f"{ask}", "A": f"{asks}"}
        case Trade(symbol=s, price=price, quantity=quantity, buyer_is_maker=m, trade_id=t, received=at):
            kind = "trade"
            data = {"e": "trade", "s": s, "t": t, "p": f"{price}", "q": f"{quantity}", "T": at // MILLISECOND, "m": m}
        case BookUpdate(symbol=s, first_sequence=first, last_sequence=last, received=at):
            kind = "depth@100ms"
            data = {"e": "depthUpdate", "E": at // MILLISECOND, "s": s, "U": first, "u": last}
            data |= {"b": levels(event.bids), "a": levels(event.asks)}
        case BookSnapshot(sequence=sequence, bids=bids, asks=asks):  # the body of a REST response
            return {"lastUpdateId": sequence, "bids": levels(bids), "asks": levels(asks)}
        case _:
            raise TypeError(f"no such message at the venue: {event!r}")
    return {"stream": f"{event.symbol.lower()}@{kind}", "data": data}


def levels(side: Iterable[tuple[float, float]]) -> list[tuple[str, str]]:
    """Numbers as the venue writes them: text."""
    return [(f"{price}", f"{quantity}") for price, quantity in side]


def main() -> None:
    """Generate, encode, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--symbol", default="BTCUSDT")
    parser.add_argument("--price", type=float, default=60_000.0, help="where it starts")
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    pair = arguments.symbol
    instrument = Instrument(
        venue="binance",
        symbol=pair,
        base=pair.removesuffix("USDT"),
        quote="USDT",
        tick_size="0.01",
        lot_size="0.00001",
    )
    market = GeneratedMarket(instrument, seconds=arguments.seconds, seed=arguments.seed, price=arguments.price)
    with gzip.open(arguments.file, "wb", compresslevel=1) as file:
        for event in market:
            file.write(b"%d %b\n" % (event.received, msgspec.json.encode(message(event))))
    print(f"{arguments.file}: {market.messages} messages, {arguments.seconds:g} s of {pair}")


if __name__ == "__main__":
    main()
