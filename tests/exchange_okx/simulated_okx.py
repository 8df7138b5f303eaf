"""An OKX simulator on the loop of the test, and a small client that signs by itself."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from axon_exchange_okx.simulator import OkxSimulator
from axon_quant.exchange.simulator import FaultPlan

SYMBOL = "BTC-USDT"
LIMIT = {"instId": SYMBOL, "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.01"}
MARKET = {"instId": SYMBOL, "tdMode": "cash", "side": "buy", "ordType": "market", "sz": "0.01", "tgtCcy": "base_ccy"}
STOP = {"instId": SYMBOL, "tdMode": "cash", "side": "sell", "ordType": "conditional", "sz": "0.01", "slOrdPx": "-1"}
PUBLIC, PRIVATE, BUSINESS = "/ws/v5/public", "/ws/v5/private", "/ws/v5/business"
LOST = (aiohttp.ClientError, ConnectionError)


class Said(dict):
    """The body of an answer and what came with it. `rows` are its data, `row` the first, `s_code` its outcome."""

    def __init__(self, status: int, body: Any, headers: Any) -> None:
        super().__init__(body)
        self.status = status
        self.headers = headers

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self["data"]

    @property
    def row(self) -> dict[str, Any]:
        return self["data"][0]

    @property
    def s_code(self) -> str:
        return self.row["sCode"]


class Client:
    """Signed requests. `stamp` is added to the times, in seconds; `changed` replaces headers, None leaves them out."""

    def __init__(self, venue: OkxSimulator, prefix: str = "YOUR") -> None:
        self.venue = venue
        self.key, self.secret, self.passphrase = (
            f"{prefix}_{name}" for name in ("API_KEY", "API_SECRET", "PASSPHRASE")
        )
        self.stamp = 0.0
        self.changed: dict[str, str | None] = {}
        self._session = aiohttp.ClientSession()

    async def close(self) -> None:
        await self._session.close()

    def sign(self, text: str) -> str:
        return base64.b64encode(hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).digest()).decode()

    def now(self) -> int:
        """The venue's time in ms."""
        return self.venue.now() // 1_000_000

    async def ask(
        self, method: str, path: str, body: object = None, *, sign: bool = True, **parameters: object
    ) -> Said:
        """A request below /api/v5; parameters of a GET go in the query, `body` is that of a POST."""
        path = f"/api/v5/{path}" + (f"?{urlencode(parameters)}" if parameters else "")
        text = "" if body is None else body if isinstance(body, str) else json.dumps(body)
        headers: dict[str, str | None] = {"Content-Type": "application/json"}
        if sign:
            at = datetime.fromtimestamp(self.now() / 1_000 + self.stamp, UTC)
            stamp = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
            headers |= {
                "OK-ACCESS-KEY": self.key,
                "OK-ACCESS-SIGN": self.sign(stamp + method + path + text),
                "OK-ACCESS-TIMESTAMP": stamp,
                "OK-ACCESS-PASSPHRASE": self.passphrase,
            }
        sent = {name: value for name, value in {**headers, **self.changed}.items() if value is not None}
        url = URL(self.venue.roots["rest"] + path, encoded=True)
        async with self._session.request(method, url, data=text or None, headers=sent) as it:
            return Said(it.status, await it.json(), it.headers)

    async def get(self, path: str, **parameters: object) -> Said:
        return await self.ask("GET", path, **parameters)

    async def post(self, path: str, body: object) -> Said:
        return await self.ask("POST", path, body)

    async def place(self, terms: dict[str, object] | None = None, **changes: object) -> Said:
        return await self.post("trade/order", {**(LIMIT if terms is None else terms), **changes})

    def price(self, part: str = "1", symbol: str = SYMBOL) -> str:
        """A price on the grid, so many times the last one."""
        price = self.venue.exchange.price(symbol)
        assert price is not None
        return str(self.venue.exchange.instruments[symbol].round_price(price * Decimal(part)))

    def trade(self, part: str) -> None:
        """A trade happens at so many times the last price."""
        from axon_quant.market.types import Trade

        exchange = self.venue.exchange
        exchange.on_market(Trade(SYMBOL, self.venue.now(), float(self.price(part)), 0.001, True, 1))

    def truth(self) -> dict[str, Any]:
        return self.venue.truth()["accounts"]["main"]

    @asynccontextmanager
    async def socket(self, path: str = PUBLIC, *channels: dict[str, str]) -> AsyncIterator[Socket]:
        """A connection, logged in but for the public path, with its subscriptions confirmed."""
        async with self._session.ws_connect(self.venue.roots["ws"] + path, autoping=False) as connection:
            socket = Socket(connection)
            if path != PUBLIC:
                await socket.send({"op": "login", "args": [self.login()]})
                assert (await socket.next())["event"] == "login"
            for channel in channels:
                await socket.send({"op": "subscribe", "args": [channel]})
                assert (await socket.next(lambda said: "event" in said))["event"] == "subscribe"
            yield socket

    def login(self) -> dict[str, str]:
        at = str(int(self.now() / 1_000 + self.stamp))
        sign = self.sign(f"{at}GET/users/self/verify")
        return {"apiKey": self.key, "passphrase": self.passphrase, "timestamp": at, "sign": sign}


class Socket:
    """Messages as they come."""

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
                    said = message.data if message.data == "pong" else json.loads(message.data)
                    if wanted(said):
                        return said
                elif message.type not in (aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG):
                    raise ConnectionError("the venue closed the connection")

    async def push(self, channel: str, within: float = 5.0) -> Any:
        """The next message of a channel."""
        return await self.next(lambda said: "data" in said and said.get("arg", {}).get("channel") == channel, within)

    async def row(self, channel: str, within: float = 5.0) -> Any:
        """The data of the next message of a channel."""
        (row,) = (await self.push(channel, within))["data"]
        return row

    async def call(self, operation: str, *arguments: dict[str, Any], **more: object) -> Any:
        """The answer to an operation."""
        self._id += 1
        await self.send({"id": str(self._id), "op": operation, "args": list(arguments), **more})
        return await self.next(lambda said: said.get("id") == str(self._id))


@asynccontextmanager
async def simulated(*faults: dict[str, object], **options: Any) -> AsyncIterator[Client]:
    """A venue that has started, and a client of its main account."""
    plan = FaultPlan.of(list(faults), seed=options.get("seed", 0))
    venue = OkxSimulator(faults=plan, **{"history": 2.0, **options})
    await venue.start()
    client = Client(venue)
    try:
        yield client
    finally:
        await client.close()
        await venue.stop()
