"""A small Binance on a real socket: it checks what it is sent and answers as it was told.

REST answers are in `answers` by "METHOD /path": a dict or list is sent as it is, a `Refuse` with its status, a function
of the parameters is called, and `DROP` closes the connection without a word. A `deque` is used up one by one.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import time
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qsl

import attrs
from aiohttp import WSMsgType, web

from axon_quant.exchange import ExchangeConfig, RateLimitConfig, ReconnectConfig

KEY, SECRET = "YOUR_API_KEY", "YOUR_API_SECRET"
SHARED = Path(os.environ.get("AXON_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
"""Where data is that is not part of the repository."""
DROP = object()
SYMBOL = {
    "symbol": "BTCUSDT",
    "status": "TRADING",
    "baseAsset": "BTC",
    "baseAssetPrecision": 8,
    "quoteAsset": "USDT",
    "quotePrecision": 8,
    "quoteAssetPrecision": 8,
    "orderTypes": [
        "LIMIT",
        "LIMIT_MAKER",
        "MARKET",
        "STOP_LOSS",
        "STOP_LOSS_LIMIT",
        "TAKE_PROFIT",
        "TAKE_PROFIT_LIMIT",
    ],
    "isSpotTradingAllowed": True,
    "permissions": [],
    "permissionSets": [["SPOT"]],
    "filters": [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": "0.01000000",
            "maxPrice": "1000000.00000000",
            "tickSize": "0.01000000",
        },
        {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": "120.5", "stepSize": "0.00000000"},
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": "1.5",
            "bidMultiplierDown": "0.2",
            "askMultiplierUp": "5",
            "askMultiplierDown": "0.8",
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": "5.00000000",
            "applyMinToMarket": True,
            "maxNotional": "9000000.00000000",
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
    ],
}
LIMITS = [
    {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6000},
    {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100},
    {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 200000},
    {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61000},
]


@attrs.frozen
class Refuse:
    """A refusal: HTTP status, code and text; `headers` beside."""

    status: int
    code: int
    msg: str
    headers: dict[str, str] = attrs.field(factory=dict)
    more: dict[str, object] = attrs.field(factory=dict)


def order_row(**changes: object) -> dict:
    return {
        "symbol": "BTCUSDT",
        "orderId": 28,
        "orderListId": -1,
        "clientOrderId": "b15",
        "price": "50000.10000000",
        "origQty": "0.00200000",
        "executedQty": "0.00000000",
        "cummulativeQuoteQty": "0.00000000",
        "status": "NEW",
        "timeInForce": "GTC",
        "type": "LIMIT",
        "side": "BUY",
        "stopPrice": "0.00000000",
        "time": 1499827319559,
        "updateTime": 1499827319559,
        **changes,
    }


def trade_row(number: int, **changes: object) -> dict:
    return {
        "symbol": "BTCUSDT",
        "id": number,
        "orderId": 28,
        "price": "50000.10000000",
        "qty": "0.00100000",
        "quoteQty": "50.0001",
        "commission": "0.00000123",
        "commissionAsset": "BNB",
        "time": 1499827319559 + number,
        "isBuyer": True,
        "isMaker": False,
        "isBestMatch": True,
        **changes,
    }


def report(client_order_id: str, **changes: object) -> dict:
    """An executionReport, as it is documented."""
    return {
        "e": "executionReport",
        "E": 1499405658658,
        "s": "BTCUSDT",
        "c": client_order_id,
        "S": "BUY",
        "o": "LIMIT",
        "f": "GTC",
        "q": "0.00200000",
        "p": "50000.10000000",
        "P": "0.00000000",
        "F": "0.00000000",
        "g": -1,
        "C": "",
        "x": "NEW",
        "X": "NEW",
        "r": "NONE",
        "i": 28,
        "l": "0.00000000",
        "z": "0.00000000",
        "L": "0.00000000",
        "n": "0",
        "N": None,
        "T": 1499405658657,
        "t": -1,
        "w": True,
        "m": False,
        "M": False,
        "O": 1499405658657,
        "Z": "0.00000000",
        "Y": "0.00000000",
        "Q": "0.00000000",
        **changes,
    }


def traded(client_order_id: str, number: int, filled: str, status: str, **changes: object) -> dict:
    """The report of one execution of 0.001."""
    more = {"x": "TRADE", "X": status, "l": "0.00100000", "L": "50000.10000000", "z": filled, "t": number}
    return report(client_order_id, **{**more, "n": "0.00000123", "N": "BNB", **changes})


class ScriptedBinance:
    """The venue; an asynchronous context manager."""

    def __init__(self) -> None:
        self.answers: dict[str, object] = {
            "GET /api/v3/time": lambda _: {"serverTime": self.now_ms()},
            "GET /api/v3/exchangeInfo": {"timezone": "UTC", "rateLimits": LIMITS, "symbols": [SYMBOL]},
            "GET /api/v3/account": {
                "canTrade": True,
                "canWithdraw": True,
                "balances": [
                    {"asset": "BTC", "free": "1.00000001", "locked": "0.50000000"},
                    {"asset": "USDT", "free": "100000.00000000", "locked": "0.00000000"},
                ],
            },
            "GET /sapi/v1/account/apiRestrictions": {
                "ipRestrict": True,
                "enableReading": True,
                "enableWithdrawals": False,
                "enableSpotAndMarginTrading": True,
            },
            "GET /api/v3/openOrders": [],
            "GET /api/v3/myTrades": [],
            "GET /api/v3/ticker/price": {"symbol": "BTCUSDT", "price": "50000.00000000"},
            "GET /api/v3/order": Refuse(400, -2013, "Order does not exist."),
            "POST /api/v3/order": self.placed,
            "DELETE /api/v3/order": order_row(status="CANCELED"),
            "DELETE /api/v3/openOrders": [order_row(status="CANCELED")],
        }
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.headers: list[dict[str, str]] = []
        self.used: dict[str, str] = {"X-MBX-USED-WEIGHT-1M": "7", "X-MBX-ORDER-COUNT-10S": "1"}
        self.drift_ms = 0
        self.reports = True  # report accepted orders on the user stream
        self.answers_pings = True
        self.answers_questions = True
        self.subscriptions: list[dict] = []
        self.user_sockets: list[web.WebSocketResponse] = []
        self.market_sockets: list[web.WebSocketResponse] = []
        self.streams: list[list[str]] = []
        self._next_id = 100
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def __aenter__(self) -> ScriptedBinance:
        app = web.Application()
        app.router.add_get("/ws-api/v3", self._user)
        app.router.add_get("/stream", self._market)
        app.router.add_route("*", "/{path:.*}", self._rest)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.hang_up()
        assert self._runner is not None
        await self._runner.cleanup()

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.drift_ms

    def asked(self, what: str) -> list[dict[str, str]]:
        """The parameters of every request of "METHOD /path"."""
        return [parameters for name, parameters in self.requests if name == what]

    # REST.

    async def placed(self, parameters: dict[str, str]) -> dict:
        self._next_id += 1
        if self.reports:
            await self.event(
                report(parameters["newClientOrderId"], i=self._next_id, S=parameters["side"], q=parameters["quantity"])
            )
        return {
            "symbol": parameters["symbol"],
            "orderId": self._next_id,
            "clientOrderId": parameters["newClientOrderId"],
        }

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        raw = "&".join(part for part in (request.rel_url.raw_query_string, body) if part)
        parameters = dict(parse_qsl(raw, keep_blank_values=True))
        name = f"{request.method} {request.path}"
        self.requests.append((name, parameters))
        self.headers.append(dict(request.headers))
        answer = self._refusal(request, raw, parameters) or self.answers.get(name)
        if isinstance(answer, deque):
            answer = answer.popleft() if len(answer) > 1 else answer[0]
        if callable(answer):
            answer = answer(parameters)
            if asyncio.iscoroutine(answer):
                answer = await answer
        if answer is DROP:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if answer is None:
            answer = Refuse(404, -1, "no such path")
        if isinstance(answer, Refuse):
            text = json.dumps({"code": answer.code, "msg": answer.msg, **answer.more})
            return web.Response(status=answer.status, text=text, headers={**self.used, **answer.headers})
        return web.Response(text=json.dumps(answer), content_type="application/json", headers=self.used)

    def _refusal(self, request: web.Request, raw: str, parameters: dict[str, str]) -> Refuse | None:
        if "signature" not in parameters:
            return None
        if request.headers.get("X-MBX-APIKEY") != KEY:
            return Refuse(401, -2015, "Invalid API-key, IP, or permissions for action.")
        payload, _, signature = raw.rpartition("&signature=")
        if not hmac.compare_digest(signature, signed(payload)):
            return Refuse(400, -1022, "Signature for this request is not valid.")
        late = self.now_ms() - int(parameters["timestamp"])
        if not -1000 < late <= int(parameters.get("recvWindow", "5000")):
            return Refuse(400, -1021, "Timestamp for this request is outside of the recvWindow.")
        return None

    # WebSockets.

    async def _user(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False)
        await socket.prepare(request)
        try:
            async for message in socket:
                if message.type is WSMsgType.PING:
                    if self.answers_pings:
                        await socket.pong(message.data)
                elif message.type is WSMsgType.TEXT:
                    await self._requested(socket, json.loads(message.data))
        finally:
            if socket in self.user_sockets:
                self.user_sockets.remove(socket)
        return socket

    async def _requested(self, socket: web.WebSocketResponse, request: dict) -> None:
        if request["method"] == "ping":
            if self.answers_questions:
                await socket.send_json({"id": request["id"], "status": 200, "result": {}})
            return
        parameters = dict(request["params"])
        signature = parameters.pop("signature")
        payload = "&".join(f"{name}={value}" for name, value in sorted(parameters.items()))
        if parameters["apiKey"] != KEY or signature != signed(payload):
            error = {"code": -1022, "msg": "Signature for this request is not valid."}
            await socket.send_json({"id": request["id"], "status": 400, "error": error})
            return
        self.subscriptions.append(parameters)
        self.user_sockets.append(socket)
        await socket.send_json({"id": request["id"], "status": 200, "result": {"subscriptionId": 0}})

    async def event(self, event: dict) -> None:
        """Send an event to every subscribed connection."""
        for socket in list(self.user_sockets):
            await socket.send_json({"subscriptionId": 0, "event": event})

    async def _market(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.market_sockets.append(socket)
        try:
            async for message in socket:
                asked = json.loads(message.data)
                if any("nonsense" in name for name in asked["params"]):
                    await socket.send_json({"error": {"code": 2, "msg": "Invalid request"}, "id": asked["id"]})
                    continue
                self.streams.append(asked["params"])
                await socket.send_json({"result": None, "id": asked["id"]})
        finally:
            self.market_sockets.remove(socket)
        return socket

    async def publish(self, stream: str, data: dict) -> None:
        """Send market data to every connection."""
        for socket in list(self.market_sockets):
            await socket.send_str(json.dumps({"stream": stream, "data": data}, separators=(",", ":")))

    async def hang_up(self) -> None:
        """Close every WebSocket connection."""
        for socket in [*self.user_sockets, *self.market_sockets]:
            await socket.close()


def signed(payload: str) -> str:
    return hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest()


def configured(venue: ScriptedBinance | SimpleNamespace, **changes: object) -> ExchangeConfig:
    """A configuration for the venue; `changes` replace what it says."""
    given: dict = {
        "api_key": KEY,
        "api_secret": SECRET,
        "rate_limit": RateLimitConfig(requests_per_second=1000, orders_per_minute=10_000),
        "reconnect": ReconnectConfig(max_retries=10, initial_backoff_ms=10, max_backoff_ms=50),
        "base_urls": {"rest": f"http://127.0.0.1:{venue.port}", "ws": f"ws://127.0.0.1:{venue.port}"},
    }
    return ExchangeConfig(**{**given, **changes})
