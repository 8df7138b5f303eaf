"""The CPU time of an order to OKX, from `place_order` to the acknowledgement, beside a request written by hand.

python benchmarks/okx_orders.py [--orders N] [--ccxt] prints JSON: this process's CPU µs per order and per cancel, by
way, and the ratio to the hand-written one. The venue is another process that answers every POST at once, so only
the sender's work counts. Ways take turns in blocks; a figure is the median of the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import hmac
import itertools
import json
import multiprocessing
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from types import MappingProxyType
from typing import TypeAlias

import aiohttp

from axon_exchange_okx import OkxAdapter
from axon_quant.exchange import Capability, ExchangeConfig, RateLimitConfig
from axon_quant.orders import Order, Side

KEY, SECRET, PASSPHRASE = "YOUR_API_KEY", "YOUR_API_SECRET", "YOUR_PASSPHRASE"
INSTRUMENT = {
    "instId": "BTC-USDT",
    "instType": "SPOT",
    "baseCcy": "BTC",
    "quoteCcy": "USDT",
    "tickSz": "0.1",
    "lotSz": "0.00000001",
    "minSz": "0.00001",
    "state": "live",
}
ACK = {"code": "0", "msg": "", "data": [{"clOrdId": "x", "ordId": "312269865356374016", "sCode": "0", "sMsg": ""}]}
ROUNDS = 5
BLOCK = 20
Call: TypeAlias = Callable[[], Awaitable[None]]


class Unlimited(OkxAdapter):
    """Without OKX's limits, which would make a benchmark wait, and without a stream, which would work beside it."""

    capabilities = OkxAdapter.capabilities - {Capability.AccountStream}
    venue_limits = ()
    endpoint_limits = MappingProxyType({})


class Venue(asyncio.Protocol):
    """Answers a request as soon as its last byte is there, without looking at it twice."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator:
            return
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if lengths and len(body) < int(lengths[0].split(b":")[1]):
            return
        self._received = b""
        answer = ACK
        if b"/public/instruments" in head.split(b"\r\n", 1)[0]:
            answer = {"code": "0", "msg": "", "data": [INSTRUMENT] if b"SPOT" in head else []}
        elif b"/account/config" in head:
            answer = {"code": "0", "msg": "", "data": [{"perm": "trade", "posMode": "net_mode"}]}
        elif b"/public/time" in head:
            answer = {"code": "0", "msg": "", "data": [{"ts": str(time.time_ns() // 1_000_000)}]}
        elif head.startswith(b"GET /api"):
            answer = {"code": "0", "msg": "", "data": []}
        text = json.dumps(answer).encode()
        self._transport.write(  # type: ignore[attr-defined]
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)
        )


def serve(pipe: Connection) -> None:
    """The venue's process."""

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Venue, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


def order() -> Order:
    """The same limit order under a new name."""
    return Order("BTC-USDT", Side.Buy, price="50000.1", quantity="0.001")


def by_hand(session: aiohttp.ClientSession, root: str) -> Callable[[str, dict[str, str]], Awaitable[str]]:
    """A signed request as one would write it for one strategy."""

    async def post(path: str, body: dict[str, str]) -> str:
        text = json.dumps(body)
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        digest = hmac.new(SECRET.encode(), f"{stamp}POST{path}{text}".encode(), hashlib.sha256).digest()
        headers = {
            "OK-ACCESS-KEY": KEY,
            "OK-ACCESS-SIGN": base64.b64encode(digest).decode(),
            "OK-ACCESS-TIMESTAMP": stamp,
            "OK-ACCESS-PASSPHRASE": PASSPHRASE,
            "Content-Type": "application/json",
            "x-simulated-trading": "1",
        }
        async with session.post(root + path, data=text, headers=headers) as response:
            answer = await response.json()
        if answer["code"] != "0" or answer["data"][0]["sCode"] != "0":
            raise RuntimeError(answer)
        return answer["data"][0]["ordId"]

    return post


async def through_ccxt(root: str) -> tuple[Call, Call]:
    """ccxt's `create_order` without its throttle, and how to close it."""
    import ccxt.async_support as ccxt

    client = ccxt.okx({"apiKey": KEY, "secret": SECRET, "password": PASSPHRASE, "enableRateLimit": False})
    client.urls["api"]["rest"] = root
    client.options.update({"fetchMarkets": {"types": ["spot"]}, "adjustForTimeDifference": False})
    client.has["fetchCurrencies"] = False
    await client.load_markets()
    names = map(str, itertools.count())

    async def create() -> None:
        await client.create_order("BTC/USDT", "limit", "buy", 0.001, 50000.1, {"clOrdId": f"ccxt{next(names)}"})

    return create, client.close


async def cpu(call: Callable[[str], Awaitable[object]], names: list[str]) -> float:
    """CPU µs of one call, made for each name."""
    began = time.process_time_ns()
    for name in names:
        await call(name)
    return (time.process_time_ns() - began) / len(names) / 1000


async def measure(root: str, orders: int, *, with_ccxt: bool) -> dict[str, object]:
    """Both orders and cancels, by every way, in turns."""
    config = ExchangeConfig(
        api_key=KEY,
        api_secret=SECRET,
        passphrase=PASSPHRASE,
        base_urls={"rest": root, "ws": root.replace("http", "ws")},
        rate_limit=RateLimitConfig(1e6, 1e8),
    )
    adapter = Unlimited(config)
    await adapter.connect()
    session = aiohttp.ClientSession()
    post = by_hand(session, root)
    fixed = {"instId": "BTC-USDT", "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.001", "px": "50000.1"}
    ways: dict[str, Callable[[str], Awaitable[object]]] = {
        "place by hand": lambda name: post("/api/v5/trade/order", {"clOrdId": name, **fixed}),
        "place_order": lambda _: adapter.place_order(order()),
        "cancel by hand": lambda name: post("/api/v5/trade/cancel-order", {"instId": "BTC-USDT", "ordId": name}),
        "cancel_order": adapter.cancel_order,
    }
    close: Call | None = None
    if with_ccxt:
        create, close = await through_ccxt(root)
        ways["ccxt create_order"] = lambda _: create()
    cost: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS + 1):
        spent = dict.fromkeys(ways, 0.0)
        for _ in range(orders // BLOCK):
            for name, call in ways.items():
                names = [f"n{number}" for number in range(BLOCK)]
                if name == "cancel_order":
                    placed = [order() for _ in range(BLOCK)]
                    for one in placed:
                        await adapter.place_order(one)
                    names = [one.client_order_id for one in placed]
                spent[name] += await cpu(call, names)
        for name, total in spent.items():
            cost[name].append(total / (orders // BLOCK))
    if close is not None:
        await close()
    await session.close()
    await adapter.close()
    us = {name: statistics.median(values[1:]) for name, values in cost.items()}  # the first warms up
    against = {name: us["cancel by hand" if "cancel" in name else "place by hand"] for name in us}
    return {
        "cpu_us": {name: round(value, 1) for name, value in us.items()},
        "ratio": {name: round(value / against[name], 3) for name, value in us.items() if "by hand" not in name},
    }


def main() -> None:
    """Start the venue, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=400)
    parser.add_argument("--ccxt", action="store_true", help="ccxt's create_order, too; it must be installed")
    given = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    venue = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    venue.start()
    try:
        root = f"http://127.0.0.1:{ours.recv()}"
        print(json.dumps(asyncio.run(measure(root, given.orders, with_ccxt=given.ccxt)), indent=2))
    finally:
        venue.terminate()
        venue.join()


if __name__ == "__main__":
    main()
