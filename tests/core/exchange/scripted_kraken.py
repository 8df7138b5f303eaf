"""A small Kraken on a real socket, with the answers of its documentation. It checks signatures."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from urllib.parse import parse_qsl

from aiohttp import web

KEY, SECRET = "KRAKEN-KEY-0123", base64.b64encode(b"kraken secret that nobody may see").decode()
DROP = object()
PAIR = {
    "altname": "XBTUSD",
    "wsname": "XBT/USD",
    "aclass_base": "currency",
    "base": "XXBT",
    "aclass_quote": "currency",
    "quote": "ZUSD",
    "lot": "unit",
    "cost_decimals": 5,
    "pair_decimals": 1,
    "lot_decimals": 8,
    "lot_multiplier": 1,
    "leverage_buy": [],
    "leverage_sell": [],
    "fees": [[0, 0.4]],
    "fees_maker": [[0, 0.25]],
    "fee_volume_currency": "ZUSD",
    "margin_call": 80,
    "margin_stop": 40,
    "ordermin": "0.00005",
    "costmin": "0.5",
    "tick_size": "0.1",
    "status": "online",
}
ASSETS = {
    name: {"aclass": "currency", "altname": alt, "decimals": 10, "display_decimals": 5, "status": "enabled"}
    for name, alt in (("XXBT", "XBT"), ("ZUSD", "USD"))
}


def order_row(client_order_id: str, **changes: object) -> dict:
    return {
        "refid": None,
        "userref": None,
        "cl_ord_id": client_order_id,
        "status": "open",
        "opentm": 1616666559.8974,
        "starttm": 0,
        "expiretm": 0,
        "descr": {
            "pair": "XBTUSD",
            "type": "buy",
            "ordertype": "limit",
            "price": "30010.1",
            "price2": "0",
            "leverage": "none",
            "order": "buy 1.25000000 XBTUSD @ limit 30010.1",
            "close": "",
        },
        "vol": "1.25000000",
        "vol_exec": "0.37500000",
        "cost": "11253.7",
        "fee": "0.00000",
        "price": "30010.1",
        "stopprice": "0.00000",
        "limitprice": "0.00000",
        "misc": "",
        "oflags": "fciq",
        **changes,
    }


def trade_row(**changes: object) -> dict:
    return {
        "ordertxid": "OQCLML-BW3P3-BUCMWZ",
        "postxid": "TKH2SE-M7IF5-CFI7LT",
        "pair": "XXBTZUSD",
        "time": 1616667796.8802,
        "type": "buy",
        "ordertype": "limit",
        "price": "30010.00000",
        "cost": "600.20000",
        "fee": "0.00000000012345678",
        "vol": "0.02000001",
        "margin": "0.00000",
        "misc": "",
        "trade_id": 93748276,
        "maker": True,
        **changes,
    }


class ScriptedKraken:
    """The venue; an asynchronous context manager. `answers` holds results by method, or errors as strings."""

    def __init__(self) -> None:
        self.answers: dict[str, object] = {
            "Assets": ASSETS,
            "AssetPairs": {"XXBTZUSD": PAIR},
            "Time": {"unixtime": 1616336594, "rfc1123": "Sun, 21 Mar 21 14:23:14 +0000"},
            "AddOrder": {"descr": {"order": "buy 1.25000000 XBTUSD @ limit 30010.1"}, "txid": ["OUF4EM-FRGI2-MQMWZD"]},
            "CancelOrder": {"count": 1},
            "CancelAll": {"count": 4},
            "CancelAllOrdersAfter": {"currentTime": "2021-03-24T17:41:56Z", "triggerTime": "2021-03-24T17:42:56Z"},
            "OpenOrders": {"open": {}},
            "ClosedOrders": {"closed": {}, "count": 0},
            "QueryOrders": {},
            "TradesHistory": {"trades": {"THVRQM-33VKH-UCI7BS": trade_row()}, "count": 1},
            "GetWebSocketsToken": {"token": "TOKEN-OF-KRAKEN", "expires": 900},
            "Balance": {"XXBT": "1.1000000001", "ZUSD": "3415.8014"},
            "BalanceEx": {
                "XXBT": {"balance": "1.1000000001", "hold_trade": "0.1000000000"},
                "ZUSD": {"balance": "3415.8014", "hold_trade": "0.0000"},
            },
        }
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.port = 0
        self.sockets: list[web.WebSocketResponse] = []
        self.subscriptions: list[dict] = []

    async def __aenter__(self) -> ScriptedKraken:
        app = web.Application()
        app.router.add_route("*", "/0/{kind}/{method}", self._answer)
        app.router.add_get("/v2", self._talk)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.hang_up()
        await self._runner.cleanup()

    def asked(self, method: str) -> list[dict[str, str]]:
        return [parameters for name, parameters in self.requests if name == method]

    async def _talk(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        async for message in socket:
            asked = json.loads(message.data)
            self.subscriptions.append(asked["params"])
            answer = {"method": "subscribe", "result": asked["params"], "success": True, "req_id": asked.get("req_id")}
            await socket.send_json(answer)
        self.sockets.remove(socket)
        return socket

    async def say(self, message: dict) -> None:
        """Send a message on every WebSocket."""
        for socket in list(self.sockets):
            await socket.send_json(message)

    async def hang_up(self) -> None:
        """Close every WebSocket."""
        for socket in list(self.sockets):
            await socket.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        method = request.match_info["method"]
        parameters = dict(parse_qsl(body))
        self.requests.append((method, parameters))
        if request.match_info["kind"] == "private" and not self._is_signed(request, body, parameters):
            return web.json_response({"error": ["EAPI:Invalid key"]})
        answer = self.answers.get(method, "EGeneral:Unknown method")
        if answer is DROP:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if isinstance(answer, int):
            return web.Response(status=answer, text="down", headers={"Retry-After": "7"})
        if isinstance(answer, str):
            return web.json_response({"error": [answer]})
        return web.Response(text=json.dumps({"error": [], "result": answer}), content_type="application/json")

    def _is_signed(self, request: web.Request, body: str, parameters: dict[str, str]) -> bool:
        digest = hashlib.sha256((parameters["nonce"] + body).encode()).digest()
        expected = hmac.new(base64.b64decode(SECRET), request.path.encode() + digest, hashlib.sha512).digest()
        given = request.headers.get("API-Sign", "")
        return request.headers.get("API-Key") == KEY and given == base64.b64encode(expected).decode()
