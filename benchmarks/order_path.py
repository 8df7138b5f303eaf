"""CPU time of an order and of a cancel: ours beside a hand-written signed aiohttp request and ccxt. Prints JSON.

    python benchmarks/order_path.py [--orders 400] [--rounds 5]

A venue on loopback, in a process of its own, answers at once. The contestants take turns in blocks; each figure is the
median over the rounds of a block's median. `to_the_wire` is the CPU time of the calling thread from the call to the
last byte of the request; `whole` is that of the whole call, answer included. Ours is `place_order` and `cancel_order`
of the adapter with everything the base does: filters, rate budget, order states, the venue's clock; the orders are
there already, as they are when a strategy places them.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import json
import multiprocessing
import statistics
import sys
import time
from asyncio import selector_events
from collections.abc import Awaitable, Callable
from functools import partial
from multiprocessing.connection import Connection
from time import thread_time_ns
from urllib.parse import parse_qsl, urlencode

import aiohttp
import ccxt.async_support as ccxt
from aiohttp import web

from axon_exchange_binance import BinanceAdapter
from axon_quant.exchange import ExchangeConfig, RateLimitConfig
from axon_quant.orders import Order, OrderType, Side

KEY, SECRET = "YOUR_API_KEY", "YOUR_API_SECRET"
FILTERS = [
    {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": "0.01"},
    {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
    {"filterType": "NOTIONAL", "minNotional": "5", "applyMinToMarket": True, "maxNotional": "9000000"},
]
SYMBOL = {
    "symbol": "BTCUSDT",
    "status": "TRADING",
    "baseAsset": "BTC",
    "quoteAsset": "USDT",
    "baseAssetPrecision": 8,
    "quotePrecision": 8,
    "quoteAssetPrecision": 8,
    "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
    "permissions": ["SPOT"],
    "isSpotTradingAllowed": True,
    "filters": FILTERS,
}
LIMITS = [{"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 10_000_000}]
USED = {"X-MBX-USED-WEIGHT-1M": "9", "X-MBX-ORDER-COUNT-10S": "9"}


# The venue.


def serve(pipe: Connection) -> None:
    """The venue's process; sends its port."""
    asyncio.run(_serve(pipe))


def report(client_order_id: str, order_id: int, status: str) -> dict[str, object]:
    """What the venue says of an order by itself."""
    return {
        "e": "executionReport",
        "s": "BTCUSDT",
        "c": client_order_id,
        "S": "BUY",
        "x": status,
        "X": status,
        "i": order_id,
        "z": "0.00000000",
        "T": 1,
    }


async def _serve(pipe: Connection) -> None:
    orders = 0
    names: dict[str, str] = {}
    unreported: list[dict[str, object]] = []
    listeners: list[web.WebSocketResponse] = []

    async def rest(request: web.Request) -> web.Response:
        nonlocal orders
        given = {**request.query, **dict(parse_qsl(await request.text()))}
        answer: object
        if request.path == "/report":
            for event in unreported:
                for listener in listeners:
                    await listener.send_json({"subscriptionId": 0, "event": event})
            unreported.clear()
            answer = {}
        elif request.path.endswith("/order"):
            if request.method == "POST":
                orders += 1
                names[str(orders)] = given["newClientOrderId"]
                unreported.append(report(given["newClientOrderId"], orders, "NEW"))
            else:
                unreported.append(report(names[given["orderId"]], int(given["orderId"]), "CANCELED"))
            answer = {
                "symbol": "BTCUSDT",
                "orderId": orders,
                "orderListId": -1,
                "clientOrderId": "x",
                "transactTime": 1,
            }
        elif request.path.endswith("exchangeInfo"):
            answer = {"symbols": [SYMBOL], "rateLimits": LIMITS, "exchangeFilters": []}
        elif request.path.endswith("time"):
            answer = {"serverTime": time.time_ns() // 1_000_000}
        elif request.path.endswith("account"):
            answer = {"canTrade": True, "balances": []}
        else:
            answer = []
        return web.json_response(answer, headers=USED)

    async def socket(request: web.Request) -> web.WebSocketResponse:
        connection = web.WebSocketResponse()
        await connection.prepare(request)
        if "ws-api" in request.path:
            listeners.append(connection)
        async for message in connection:
            asked = json.loads(message.data)
            await connection.send_json({"id": asked["id"], "status": 200, "result": {"subscriptionId": 0}})
        return connection

    app = web.Application()
    app.router.add_get("/ws-api/v3", socket)
    app.router.add_get("/stream", socket)
    app.router.add_route("*", "/{path:.*}", rest)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    pipe.send(runner.addresses[0][1])
    await asyncio.Event().wait()


# The contestants: each places an order and gives its id, and cancels one.

Contestant = tuple[Callable[[], Awaitable[object]], Callable[[object], Awaitable[object]], Callable[[], None]]
"""Place, cancel, and what is done before a block."""


def nothing() -> None:
    """Nothing to prepare."""


def hand_written(session: aiohttp.ClientSession, root: str) -> Contestant:
    """A signed request over one session, as one would write it."""
    headers = {"X-MBX-APIKEY": KEY, "Content-Type": "application/x-www-form-urlencoded"}
    numbers = iter(range(10**9))

    def signed(given: dict[str, object]) -> str:
        query = urlencode({**given, "recvWindow": 2000, "timestamp": time.time_ns() // 1_000_000})
        return f"{query}&signature={hmac.new(SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()}"

    async def place() -> object:
        body = signed(
            {
                "symbol": "BTCUSDT",
                "side": "BUY",
                "type": "LIMIT",
                "timeInForce": "GTC",
                "quantity": "0.001",
                "price": "50000.1",
                "newClientOrderId": f"hand{next(numbers)}",
                "newOrderRespType": "ACK",
            }
        )
        async with session.post(f"{root}/api/v3/order", data=body, headers=headers) as response:
            return (await response.json())["orderId"]

    async def cancel(order_id: object) -> object:
        query = signed({"symbol": "BTCUSDT", "orderId": order_id})
        async with session.delete(f"{root}/api/v3/order?{query}", headers=headers) as response:
            return (await response.json())["orderId"]

    return place, cancel, nothing


def ours(adapter: BinanceAdapter, orders: int) -> Contestant:
    """The adapter with its base."""
    waiting: list[Order] = []

    def prepare() -> None:
        waiting[:] = [
            Order("BTCUSDT", Side.Buy, OrderType.Limit, price="50000.1", quantity="0.001") for _ in range(orders)
        ]

    async def place() -> object:
        return await adapter.place_order(waiting.pop())

    async def cancel(order_id: object) -> object:
        return await adapter.cancel_order(str(order_id))

    return place, cancel, prepare


def implicit(client: ccxt.binance) -> Contestant:
    """ccxt's implicit endpoints."""
    numbers = iter(range(10**9))

    async def place() -> object:
        answer = await client.private_post_order(
            {
                "symbol": "BTCUSDT",
                "side": "BUY",
                "type": "LIMIT",
                "timeInForce": "GTC",
                "quantity": "0.001",
                "price": "50000.1",
                "newClientOrderId": f"impl{next(numbers)}",
                "newOrderRespType": "ACK",
            }
        )
        return answer["orderId"]

    async def cancel(order_id: object) -> object:
        return await client.private_delete_order({"symbol": "BTCUSDT", "orderId": order_id})

    return place, cancel, nothing


def unified(client: ccxt.binance) -> Contestant:
    """ccxt's create_order and cancel_order."""
    numbers = iter(range(10**9))

    async def place() -> object:
        given = {"clientOrderId": f"unif{next(numbers)}"}
        return (await client.create_order("BTC/USDT", "limit", "buy", 0.001, 50000.1, given))["id"]

    async def cancel(order_id: object) -> object:
        return await client.cancel_order(order_id, "BTC/USDT")

    return place, cancel, nothing


# The measure.

_written = 0


def stamp_writes() -> None:
    """Note when the loop writes to a socket; the same few instructions for everybody."""
    transport = selector_events._SelectorSocketTransport  # type: ignore[attr-defined]  # noqa: SLF001
    for name in ("write", "writelines"):
        original = getattr(transport, name)

        def stamped(self: object, data: object, original: Callable[..., object] = original) -> object:
            global _written
            result = original(self, data)
            _written = thread_time_ns()
            return result

        setattr(transport, name, stamped)


async def block(calls: list[Callable[[], Awaitable[object]]]) -> tuple[float, float, float, list[object]]:
    """Microseconds of CPU: to the wire (p50, p99) and of the whole call (p50); and the results."""
    wire, whole, results = [], [], []
    for call in calls:
        started = thread_time_ns()
        results.append(await call())
        whole.append(thread_time_ns() - started)
        wire.append(_written - started)
    wire.sort()
    middle, late = wire[len(wire) // 2], wire[len(wire) * 99 // 100]
    return middle / 1e3, late / 1e3, statistics.median(whole) / 1e3, results


async def measure(port: int, orders: int, rounds: int) -> dict[str, object]:
    """All contestants, in turns."""
    root = f"http://127.0.0.1:{port}"
    stamp_writes()
    unlimited = RateLimitConfig(requests_per_second=1e9, orders_per_minute=1e9)
    adapter = BinanceAdapter(
        ExchangeConfig(KEY, SECRET, rate_limit=unlimited, base_urls={"rest": root, "ws": f"ws://127.0.0.1:{port}"})
    )
    await adapter.connect()
    client = ccxt.binance(
        {
            "apiKey": KEY,
            "secret": SECRET,
            "enableRateLimit": False,
            "options": {
                "fetchMarkets": {"types": ["spot"]},
                "fetchMargins": False,
                "fetchCurrencies": False,
                "newOrderRespType": {"limit": "ACK"},
            },
        }
    )
    client.urls["api"] = {**client.urls["api"], "public": f"{root}/api/v3", "private": f"{root}/api/v3"}
    client.has["fetchCurrencies"] = False
    await client.load_markets()
    session = aiohttp.ClientSession()
    contestants = {
        "hand_written": hand_written(session, root),
        "ours": ours(adapter, orders),
        "ccxt_implicit": implicit(client),
        "ccxt_unified": unified(client),
    }
    figures: dict[str, dict[str, list[tuple[float, float, float]]]] = {
        action: {name: [] for name in contestants} for action in ("place", "cancel")
    }

    async def reported() -> None:
        """Have the venue report the block's orders on the account's stream, which is no part of the measure."""
        async with session.get(f"{root}/report"):
            await asyncio.sleep(0.1)

    for number in range(rounds + 1):  # the first warms up
        for name, (place, cancel, prepare) in contestants.items():
            prepare()
            *placed, ids = await block([place] * orders)
            await reported()
            *cancelled, _ = await block([partial(cancel, order_id) for order_id in ids])
            await reported()
            if number:
                figures["place"][name].append(tuple(placed))
                figures["cancel"][name].append(tuple(cancelled))
    await asyncio.gather(adapter.close(), client.close(), session.close())
    return {action: table(each) for action, each in figures.items()}


def table(figures: dict[str, list[tuple[float, float, float]]]) -> dict[str, object]:
    """Medians over the rounds, and the ratios to the hand-written request in the same round."""
    names = ("to_the_wire_p50_us", "to_the_wire_p99_us", "whole_p50_us")
    result: dict[str, object] = {}
    for name, rounds in figures.items():
        row = {
            title: round(statistics.median(column), 1)
            for title, column in zip(names, zip(*rounds, strict=True), strict=True)
        }
        for position, title in ((0, "ratio_to_the_wire"), (2, "ratio_whole")):
            ratios = [
                mine[position] / hand[position] for mine, hand in zip(rounds, figures["hand_written"], strict=True)
            ]
            row[title] = round(statistics.median(ratios), 2)
        result[name] = row
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    here, there = multiprocessing.Pipe()
    venue = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    venue.start()
    try:
        result = asyncio.run(measure(here.recv(), options.orders, options.rounds))
    finally:
        venue.terminate()
        venue.join()
    versions = {"aiohttp": aiohttp.__version__, "ccxt": ccxt.__version__, "python": sys.version.split()[0]}
    json.dump(
        {"orders_per_block": options.orders, "rounds": options.rounds, **result, **versions}, sys.stdout, indent=2
    )
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
