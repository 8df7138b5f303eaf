"""A Binance simulator on the loop of the test, and a small client that signs by itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import aiohttp

from axon_exchange_binance.simulator import BinanceSimulator
from axon_exchange_binance.simulator.identity import signature, signed_parameters
from axon_quant.exchange.simulator import FaultPlan

KEY, SECRET = "YOUR_API_KEY", "YOUR_API_SECRET"
OTHER_KEY, OTHER_SECRET = "OTHER_API_KEY", "OTHER_API_SECRET"
LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01"}
MARKET = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}


class Said(dict):
    """The body of an answer, if it is an object, and what came with it."""

    def __init__(self, status: int, body: Any, headers: Any) -> None:
        super().__init__(body if isinstance(body, dict) else {})
        self.status = status
        self.body = body
        self.headers = headers


class Client:
    """Signed requests; `stamp` is added to the timestamps, in milliseconds."""

    def __init__(self, venue: BinanceSimulator, key: str = KEY, secret: str = SECRET) -> None:
        self.venue = venue
        self.key, self.secret = key, secret
        self.stamp = 0
        self._session = aiohttp.ClientSession()

    async def close(self) -> None:
        await self._session.close()

    def signed(self, **parameters: object) -> dict[str, object]:
        """Parameters of the WebSocket API."""
        given = {**parameters, "apiKey": self.key, "timestamp": self.now()}
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
        return {**given, "signature": signature(self.secret, signed_parameters(texts))}

    def now(self) -> int:
        return self.venue.now() // 1_000_000 + self.stamp

    async def ask(self, method: str, path: str, /, *, sign: bool = True, **parameters: object) -> Said:
        """A request; the parameters of a POST go in its body."""
        text = urlencode(parameters)
        if sign:
            text = urlencode({**parameters, "timestamp": parameters.get("timestamp", self.now())})
            text += f"&signature={signature(self.secret, text)}"
        url = self.venue.roots["rest"] + (path if path.startswith("/") else f"/api/v3/{path}")
        body = text if method == "POST" else None
        headers = {"X-MBX-APIKEY": self.key, "Content-Type": "application/x-www-form-urlencoded"} if sign else {}
        if body is None and text:
            url = f"{url}?{text}"
        async with self._session.request(
            method, aiohttp.client.URL(url, encoded=True), data=body, headers=headers
        ) as it:
            raw = await it.text()
            return Said(it.status, json.loads(raw) if raw.startswith(("{", "[")) else raw, it.headers)

    async def place(self, terms: dict[str, object] | None = None, **changes: object) -> Said:
        return await self.ask("POST", "order", **{**(LIMIT if terms is None else terms), **changes})

    async def get(self, path: str, **parameters: object) -> Said:
        return await self.ask("GET", path, sign=False, **parameters)

    def price(self, part: str = "1", symbol: str = "BTCUSDT") -> str:
        """A price on the grid, so many times the last one."""
        from decimal import Decimal

        price = self.venue.exchange.price(symbol)
        assert price is not None
        return str(self.venue.exchange.instruments[symbol].round_price(price * Decimal(part)))

    @asynccontextmanager
    async def socket(self, path: str) -> AsyncIterator[Socket]:
        async with self._session.ws_connect(self.venue.roots["ws"] + path, autoping=False) as connection:
            yield Socket(connection)

    @asynccontextmanager
    async def events(self) -> AsyncIterator[Socket]:
        """A connection of the WebSocket API that gets the account's events."""
        async with self.socket("/ws-api/v3") as socket:
            answer = await socket.call("userDataStream.subscribe.signature", **self.signed())
            assert answer["status"] == 200, answer
            yield socket


class Socket:
    """Messages as they come; `seen` keeps those that were passed over."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        self.connection = connection
        self._id = 0

    async def send(self, message: object) -> None:
        await self.connection.send_str(message if isinstance(message, str) else json.dumps(message))

    async def next(self, wanted: Callable[[Any], bool] = lambda _: True, within: float = 5.0) -> Any:
        """The next message that is wanted. Raises TimeoutError, or ConnectionError when there are no more."""
        async with asyncio.timeout(within):
            while True:
                message = await self.connection.receive()
                if message.type is aiohttp.WSMsgType.TEXT:
                    said = json.loads(message.data)
                    if wanted(said):
                        return said
                elif message.type not in (aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG):
                    raise ConnectionError("the venue closed the connection")

    async def call(self, method: str, **parameters: object) -> Any:
        """The answer to a request of the WebSocket API."""
        self._id += 1
        await self.send({"id": self._id, "method": method, "params": parameters})
        return await self.next(lambda said: said.get("id") == self._id)

    async def event(self, kind: str, within: float = 5.0) -> Any:
        """The next event of that kind."""
        return (await self.next(lambda said: said.get("event", {}).get("e") == kind, within))["event"]

    async def report(self, execution: str = "", within: float = 5.0) -> Any:
        """The next execution report."""
        while True:
            event = await self.event("executionReport", within)
            if execution in ("", event["x"]):
                return event


@asynccontextmanager
async def simulated(*faults: dict[str, object], **options: Any) -> AsyncIterator[Client]:
    """A venue that has started, and a client of its main account."""
    plan = FaultPlan.of(list(faults), seed=options.get("seed", 0))
    venue = BinanceSimulator(faults=plan, **{"history": 2.0, **options})
    await venue.start()
    client = Client(venue)
    try:
        yield client
    finally:
        await client.close()
        await venue.stop()
