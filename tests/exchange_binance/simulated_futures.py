"""A futures simulator on the loop of the test, an adapter at it, and a client that signs by itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import aiohttp

from axon_exchange_binance import BinanceFuturesAdapter
from axon_exchange_binance.simulator.futures import BinanceFuturesSimulator
from axon_exchange_binance.simulator.identity import signature
from axon_quant.exchange import ExchangeConfig, RateLimitConfig, ReconnectConfig
from axon_quant.exchange.simulator import FaultPlan
from axon_quant.orders import Order, OrderStatus, OrderType, Side

KEY, SECRET = "YOUR_API_KEY", "YOUR_API_SECRET"
OTHER_KEY, OTHER_SECRET = "OTHER_API_KEY", "OTHER_API_SECRET"


class Desk:
    """One adapter at the main account, the venue behind it, and everything that was reported."""

    def __init__(self, venue: BinanceFuturesSimulator, adapter: BinanceFuturesAdapter) -> None:
        self.venue = venue
        self.adapter = adapter
        self.account = venue.exchange.accounts[KEY]
        self.events: list[Any] = []

    async def read(self, stream: Any) -> None:
        async for event in stream:
            self.events.append(event)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def price(self, part: str = "1", symbol: str = "BTCUSDT") -> Decimal:
        """On the grid, so many times the last one."""
        price = self.venue.exchange.price(symbol)
        assert price is not None
        return self.venue.exchange.instruments[symbol].round_price(price * Decimal(part))

    def order(self, part: str | None = "0.95", side: Side = Side.Buy, quantity: str = "0.02", **more: Any) -> Order:
        """A limit order at so many times the price; a market order for None."""
        if part is None:
            return Order("BTCUSDT", side, OrderType.Market, quantity=quantity, **more)
        return Order("BTCUSDT", side, OrderType.Limit, self.price(part), quantity, **more)

    def status(self, order: Order) -> OrderStatus:
        state = self.adapter.orders.get(order.client_order_id)
        assert state is not None
        return state.status

    async def filled(self, order: Order) -> Order:
        """Place an order and wait until all of it has filled."""
        await self.adapter.place_order(order)
        await until(lambda: self.status(order) is OrderStatus.Filled)
        return order

    async def position(self, symbol: str = "BTCUSDT") -> Decimal:
        held = {position.symbol: position.quantity for position in await self.adapter.positions()}
        return held.get(symbol, Decimal(0))


async def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - some conditions have no event
            await asyncio.sleep(0.01)


def configured(venue: BinanceFuturesSimulator, **changes: Any) -> ExchangeConfig:
    given = {
        "api_key": KEY,
        "api_secret": SECRET,
        "testnet": False,
        "rate_limit": RateLimitConfig(1_000, 60_000),
        "reconnect": ReconnectConfig(max_retries=100, initial_backoff_ms=20, max_backoff_ms=100),
        "base_urls": venue.roots,
    }
    return ExchangeConfig(**{**given, **changes})


@asynccontextmanager
async def started(*faults: dict[str, object], **options: Any) -> AsyncIterator[BinanceFuturesSimulator]:
    plan = FaultPlan.of(list(faults), seed=options.get("seed", 0))
    venue = BinanceFuturesSimulator(faults=plan, **{"history": 2.0, **options})
    await venue.start()
    try:
        yield venue
    finally:
        await venue.stop()


@asynccontextmanager
async def trading(*faults: dict[str, object], **options: Any) -> AsyncIterator[Desk]:
    """A venue that has started, and an adapter that is connected."""
    async with started(*faults, **options) as venue:
        adapter = BinanceFuturesAdapter(configured(venue))
        desk = Desk(venue, adapter)
        reading = asyncio.create_task(desk.read(adapter.events()))
        try:
            await adapter.connect()
            yield desk
        finally:
            await adapter.close()
            await reading


class Client:
    """Signed requests, and the account's events."""

    def __init__(self, venue: BinanceFuturesSimulator, key: str = KEY, secret: str = SECRET) -> None:
        self.venue = venue
        self.key, self.secret = key, secret
        self.headers: dict[str, str] = {}
        self._session = aiohttp.ClientSession()

    async def close(self) -> None:
        await self._session.close()

    async def ask(self, method: str, path: str, /, *, sign: bool = True, **parameters: object) -> Any:
        """The answer's body."""
        text = urlencode(parameters)
        if sign:
            text = urlencode({**parameters, "timestamp": self.venue.now() // 1_000_000})
            text += f"&signature={signature(self.secret, text)}"
        url = f"{self.venue.roots['rest']}/fapi/{path if path[0] == 'v' else f'v1/{path}'}?{text}"
        key = {"X-MBX-APIKEY": self.key}
        async with self._session.request(method, aiohttp.client.URL(url, encoded=True), headers=key) as it:
            self.headers = dict(it.headers)
            return json.loads(await it.text())

    def price(self, part: str) -> str:
        price = self.venue.exchange.price("BTCUSDT")
        assert price is not None
        return str(self.venue.exchange.instruments["BTCUSDT"].round_price(price * Decimal(part)))

    async def place(self, **changes: object) -> Any:
        """A limit order, unless told otherwise; None leaves a parameter out."""
        given: dict[str, object] = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
        given |= {"quantity": "0.02", "price": self.price("0.95"), **changes}
        return await self.ask("POST", "order", **{name: value for name, value in given.items() if value is not None})

    async def buy(self, quantity: str = "0.02", **changes: object) -> Any:
        return await self.place(type="MARKET", quantity=quantity, price=None, timeInForce=None, **changes)

    @asynccontextmanager
    async def socket(self, path: str) -> AsyncIterator[Socket]:
        async with self._session.ws_connect(self.venue.roots["ws"] + path) as connection:
            yield Socket(connection)

    @asynccontextmanager
    async def events(self) -> AsyncIterator[Socket]:
        key = (await self.ask("POST", "listenKey", sign=False))["listenKey"]
        async with self.socket(f"/private/ws/{key}") as socket:
            yield socket


class Socket:
    """Messages as they come."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        self._connection = connection

    async def send(self, message: object) -> None:
        await self._connection.send_str(json.dumps(message))

    async def next(self, wanted: Callable[[Any], bool] = lambda _: True, within: float = 5.0) -> Any:
        """The next message that is wanted. Raises TimeoutError, or ConnectionError when there are no more."""
        async with asyncio.timeout(within):
            while True:
                message = await self._connection.receive()
                if message.type is not aiohttp.WSMsgType.TEXT:
                    raise ConnectionError("the venue closed the connection")
                said = json.loads(message.data)
                if wanted(said):
                    return said

    async def event(self, kind: str, within: float = 5.0) -> Any:
        return await self.next(lambda said: said.get("e") == kind, within)


@asynccontextmanager
async def asking(*faults: dict[str, object], **options: Any) -> AsyncIterator[Client]:
    """A venue that has started, and a client of its main account."""
    async with started(*faults, **options) as venue:
        client = Client(venue)
        try:
            yield client
        finally:
            await client.close()
