"""How many orders a second pass through the Binance simulator: over REST, over a WebSocket, and without a wire.

The client runs in this process and the simulator in another, as for a campaign; both share what cores there are. Prints
JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from decimal import Decimal
from urllib.parse import urlencode

import aiohttp

from axon_exchange_binance.simulator import BinanceSimulator
from axon_exchange_binance.simulator.identity import signature, signed_parameters
from axon_quant.orders.types import Order, Side

KEY, SECRET = "YOUR_API_KEY", "YOUR_API_SECRET"
SERVER = """
import asyncio, json
from axon_exchange_binance.simulator import BinanceSimulator
from axon_quant.exchange.simulator import Limit
loop = asyncio.new_event_loop()
simulator = BinanceSimulator(limits=(Limit("weight", 10**9, 60.0),))
print(json.dumps(loop.run_until_complete(simulator.start())), flush=True)
loop.run_forever()
"""
TERMS = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.001"}


async def by_rest(root: str, count: int, at_once: int) -> float:
    """Seconds for `count` pairs of an order and its cancel, `at_once` on their way."""
    left = iter(range(count))

    async def trade(session: aiohttp.ClientSession) -> None:
        for number in left:
            for method, terms in (
                ("POST", {**TERMS, "price": "40000.00", "newClientOrderId": f"r{number}"}),
                ("DELETE", {"symbol": "BTCUSDT", "origClientOrderId": f"r{number}"}),
            ):
                text = urlencode({**terms, "timestamp": time.time_ns() // 1_000_000})
                text += f"&signature={signature(SECRET, text)}"
                url = aiohttp.client.URL(f"{root}/api/v3/order?{text}", encoded=True)
                async with session.request(method, url) as response:
                    assert response.status == 200, await response.text()
                    await response.read()

    async with aiohttp.ClientSession(headers={"X-MBX-APIKEY": KEY}) as session:
        began = time.perf_counter()
        await asyncio.gather(*(trade(session) for _ in range(at_once)))
        return time.perf_counter() - began


async def by_socket(root: str, count: int) -> float:
    """Likewise over one WebSocket, with every request on its way at once."""
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{root}/ws-api/v3") as socket:

        async def send(id_: str, method: str, terms: dict[str, str]) -> None:
            given = {**terms, "apiKey": KEY, "timestamp": str(time.time_ns() // 1_000_000)}
            given["signature"] = signature(SECRET, signed_parameters(given))
            await socket.send_str(json.dumps({"id": id_, "method": method, "params": given}))

        async def talk() -> None:
            for number in range(count):
                name = f"s{number}"
                await send(f"p{number}", "order.place", {**TERMS, "price": "40000.00", "newClientOrderId": name})
                await send(f"c{number}", "order.cancel", {"symbol": "BTCUSDT", "origClientOrderId": name})

        began = time.perf_counter()
        talking = asyncio.create_task(talk())
        for _ in range(2 * count):
            answer = await socket.receive_json()
            assert answer["status"] == 200, answer
        await talking
        return time.perf_counter() - began


def without_a_wire(count: int) -> float:
    """Likewise, straight into the simulated exchange."""
    simulator = BinanceSimulator(symbols=("BTCUSDT",))
    simulator.feed.prepare()
    exchange = simulator.exchange
    account = exchange.accounts[KEY]
    began = time.perf_counter()
    for _ in range(count):
        placed = exchange.place(
            account, Order("BTCUSDT", Side.Buy, price="40000", quantity=Decimal("0.001")), tag={"type": "LIMIT"}
        )
        exchange.cancel(account, placed)
    return time.perf_counter() - began


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=5_000, help="pairs of an order and its cancel, each way")
    count = parser.parse_args().orders
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            roots = json.loads(process.stdout.readline())
            rest = [asyncio.run(by_rest(roots["rest"], count, at_once)) for at_once in (1, 16)] if count else []
            socket = asyncio.run(by_socket(roots["ws"], count))
        finally:
            process.terminate()
    direct = without_a_wire(count)
    rates = {"rest_one_at_a_time": rest[0], "rest_16_at_once": rest[1], "websocket": socket, "without_a_wire": direct}
    print(
        json.dumps({f"{name}_requests_per_second": round(2 * count / took) for name, took in rates.items()}, indent=2)
    )


if __name__ == "__main__":
    main()
