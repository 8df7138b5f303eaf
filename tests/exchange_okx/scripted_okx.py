"""A small OKX on a real socket: it checks what it is sent and answers as it was told.

REST answers are in `answers` by "METHOD /path": a dict is sent as it is, a function of the request is called, and
`DROP` closes the connection without a word. A list is used up one by one, its last entry for ever.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from datetime import datetime
from types import SimpleNamespace

from aiohttp import WSMsgType, web

from axon_quant.exchange import ExchangeConfig, RateLimitConfig

KEY, SECRET, PASSPHRASE = "YOUR_API_KEY", "YOUR_API_SECRET", "YOUR_PASSPHRASE"
DROP = object()
NOW = 1_700_000_000_000
BTC = {
    "instId": "BTC-USDT",
    "instType": "SPOT",
    "baseCcy": "BTC",
    "quoteCcy": "USDT",
    "tickSz": "0.1",
    "lotSz": "0.00000001",
    "minSz": "0.00001",
    "maxLmtSz": "9999999999",
    "maxMktSz": "1000000",
    "state": "live",
}
SWAP = {
    "instId": "BTC-USDT-SWAP",
    "instType": "SWAP",
    "uly": "BTC-USDT",
    "settleCcy": "USDT",
    "ctVal": "0.01",
    "ctMult": "1",
    "ctValCcy": "BTC",
    "ctType": "linear",
    "tickSz": "0.1",
    "lotSz": "1",
    "minSz": "1",
    "maxLmtSz": "100000",
    "maxMktSz": "5000",
    "state": "live",
}


def order_row(**changes: object) -> dict:
    return {
        "instId": "BTC-USDT",
        "instType": "SPOT",
        "ordId": "312269865356374016",
        "clOrdId": "b15",
        "algoClOrdId": "",
        "algoId": "",
        "side": "buy",
        "ordType": "limit",
        "px": "50000.1",
        "sz": "0.002",
        "accFillSz": "0",
        "avgPx": "",
        "state": "live",
        "reduceOnly": "false",
        "cancelSource": "",
        "cTime": str(NOW),
        "uTime": str(NOW + 1),
        **changes,
    }


def stop_row(**changes: object) -> dict:
    return {
        "instId": "BTC-USDT",
        "algoId": "555",
        "algoClOrdId": "s1",
        "side": "sell",
        "ordType": "conditional",
        "state": "live",
        "sz": "0.002",
        "slTriggerPx": "49000",
        "slOrdPx": "-1",
        "ordId": "",
        "ordIdList": [],
        "cTime": str(NOW),
        **changes,
    }


def fill_row(number: int, **changes: object) -> dict:
    return {
        "instId": "BTC-USDT",
        "tradeId": str(number),
        "billId": str(1_000 + number),
        "ordId": "312269865356374016",
        "clOrdId": "b15",
        "side": "buy",
        "fillPx": "50000.1",
        "fillSz": "0.001",
        "fee": "-0.000001",
        "feeCcy": "BTC",
        "execType": "M",
        "ts": str(NOW + number),
        "fillTime": str(NOW + number),
        **changes,
    }


def ok(*data: dict) -> dict:
    return {"code": "0", "msg": "", "data": list(data)}


def failed(code: str, text: str = "refused") -> dict:
    """How OKX refuses an order: the envelope says 1, the order's own code why."""
    return {"code": "1", "msg": "All operations failed", "data": [{"ordId": "", "sCode": code, "sMsg": text}]}


def signature(text: str) -> str:
    return base64.b64encode(hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).digest()).decode()


class ScriptedOkx:
    def __init__(self) -> None:
        self.requests: list[SimpleNamespace] = []
        self.answers: dict[str, object] = {}
        self.operations: list[tuple[str, dict]] = []
        self.sockets: dict[str, list[web.WebSocketResponse]] = {"public": [], "private": [], "business": []}
        self.on_subscribe: Callable[[str, dict], list[dict]] = lambda path, arg: []
        self.refused_channels: set[str] = set()
        self.drift = 0.0
        self.silent = False
        self._ids = 1000
        self._defaults = {
            "GET /api/v5/public/time": lambda _: ok({"ts": str(self.milliseconds())}),
            "GET /api/v5/account/config": ok({"perm": "read_only,trade", "posMode": "net_mode", "acctLv": "2"}),
            "GET /api/v5/public/instruments": lambda seen: ok(BTC if seen.query["instType"] == "SPOT" else SWAP),
            "GET /api/v5/trade/orders-pending": ok(),
            "GET /api/v5/trade/orders-algo-pending": ok(),
            "GET /api/v5/trade/fills": ok(),
            "GET /api/v5/trade/fills-history": ok(),
            "GET /api/v5/account/balance": ok({"details": [], "uTime": "1"}),
            "GET /api/v5/account/positions": ok(),
            "GET /api/v5/trade/order": {"code": "51603", "msg": "Order does not exist", "data": []},
            "GET /api/v5/trade/order-algo": {"code": "51603", "msg": "Order does not exist", "data": []},
            "POST /api/v5/trade/order": lambda _: ok({"ordId": self.next_id(), "sCode": "0", "sMsg": ""}),
            "POST /api/v5/trade/order-algo": lambda _: ok({"algoId": self.next_id(), "sCode": "0", "sMsg": ""}),
        }

    def milliseconds(self) -> int:
        return round((time.time() + self.drift) * 1000)

    def next_id(self) -> str:
        self._ids += 1
        return str(self._ids)

    def asked(self, endpoint: str) -> list[SimpleNamespace]:
        return [seen for seen in self.requests if seen.endpoint == endpoint]

    async def __aenter__(self) -> ScriptedOkx:
        app = web.Application()
        app.router.add_get("/ws/v5/{name}", self._socket)
        app.router.add_route("*", "/{path:.*}", self._rest)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]
        self.rest, self.ws = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        for sockets in self.sockets.values():
            for socket in sockets:
                await socket.close()
        await self._runner.cleanup()

    # REST.

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        seen = SimpleNamespace(
            endpoint=f"{request.method} {request.path}",
            target=request.path_qs,
            query=dict(request.query),
            body=json.loads(body) if body else None,
            headers=request.headers.copy(),
            at=time.monotonic(),
        )
        self.requests.append(seen)
        problem = "" if "/public/" in request.path else self._unsigned(request, body)
        if problem:
            return web.json_response({"code": problem, "msg": f"problem {problem}", "data": []}, status=401)
        answer = self.answers.get(seen.endpoint, self._defaults.get(seen.endpoint))
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer = answer(seen)
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer is DROP:
            request.transport.close()
            return web.Response()
        if isinstance(answer, web.StreamResponse):
            return answer
        if answer is None:
            return web.Response(status=404, text="no such endpoint")
        return web.json_response(answer)

    def _unsigned(self, request: web.Request, body: str) -> str:
        headers = request.headers
        stamp = headers.get("OK-ACCESS-TIMESTAMP", "")
        if headers.get("OK-ACCESS-KEY") != KEY:
            return "50111"
        if headers.get("OK-ACCESS-PASSPHRASE") != PASSPHRASE:
            return "50105"
        if headers.get("OK-ACCESS-SIGN") != signature(f"{stamp}{request.method}{request.path_qs}{body}"):
            return "50113"
        if not stamp.endswith("Z") or len(stamp) != 24:
            return "50112"
        sent = datetime.fromisoformat(stamp).timestamp()
        if abs(sent * 1000 - self.milliseconds()) > 30_000:
            return "50102"
        expires = headers.get("expTime")
        return "50036" if expires is not None and int(expires) < self.milliseconds() else ""

    # WebSockets.

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        name = request.match_info["name"]
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets[name].append(socket)
        logged_in = name == "public"
        async for message in socket:
            if message.type is not WSMsgType.TEXT or self.silent:
                continue
            if message.data == "ping":
                await socket.send_str("pong")
                continue
            operation = json.loads(message.data)
            self.operations.append((name, operation))
            if operation["op"] == "login":
                logged_in = await self._login(socket, operation["args"][0])
                continue
            for arg in operation["args"]:
                if operation["op"] == "subscribe":
                    await self._subscribe(name, socket, operation, arg, logged_in)
        self.sockets[name].remove(socket)
        return socket

    async def _login(self, socket: web.WebSocketResponse, arg: dict) -> bool:
        code = "0"
        if arg["apiKey"] != KEY:
            code = "60005"
        elif arg["passphrase"] != PASSPHRASE:
            code = "60024"
        elif arg["sign"] != signature(f"{arg['timestamp']}GET/users/self/verify"):
            code = "60007"
        elif abs(int(arg["timestamp"]) * 1000 - self.milliseconds()) > 30_000:
            code = "60006"
        event = "login" if code == "0" else "error"
        await socket.send_json({"event": event, "code": code, "msg": "", "connId": "a4d3ae55"})
        return code == "0"

    async def _subscribe(
        self, name: str, socket: web.WebSocketResponse, operation: dict, arg: dict, logged_in: bool
    ) -> None:
        private = arg["channel"] in ("orders", "account", "orders-algo")
        answer: dict = {"event": "subscribe", "arg": arg, "connId": "a4d3ae55"}
        if private and not logged_in:
            answer = {"event": "error", "code": "60011", "msg": "Please log in", "connId": "a4d3ae55"}
        elif arg.get("instId") in self.refused_channels:
            answer = {"event": "error", "code": "60018", "msg": f"{arg} doesn't exist", "connId": "a4d3ae55"}
        if "id" in operation:
            answer["id"] = operation["id"]
        await socket.send_json(answer)
        for push in self.on_subscribe(name, arg):
            await socket.send_json(push)

    async def push(self, name: str, arg: dict, *data: object, **more: object) -> None:
        for socket in self.sockets[name]:
            await socket.send_json({"arg": arg, **more, "data": list(data)})

    async def notify(self, name: str, event: dict) -> None:
        for socket in self.sockets[name]:
            await socket.send_json(event)

    async def drop(self, name: str) -> None:
        for socket in list(self.sockets[name]):
            await socket.close()


def configured(venue: ScriptedOkx, **changes: object) -> ExchangeConfig:
    settings: dict[str, object] = {
        "api_key": KEY,
        "api_secret": SECRET,
        "passphrase": PASSPHRASE,
        "testnet": True,
        "rate_limit": RateLimitConfig(1_000, 60_000, max_wait_ms=10_000),
        "base_urls": {"rest": venue.rest, "ws": venue.ws},
    }
    return ExchangeConfig(**{**settings, **changes})  # type: ignore[arg-type]
