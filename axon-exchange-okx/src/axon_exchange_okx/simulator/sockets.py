"""What clients say on OKX's WebSockets: logins, subscriptions, orders."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from axon_exchange_okx.simulator.errors import OkxError
from axon_exchange_okx.simulator.identity import logged_in
from axon_exchange_okx.simulator.streams import CHANNELS, FOR_VIPS, PRIVATE, Streams, is_there
from axon_exchange_okx.simulator.table import OPERATIONS, Call
from axon_quant.clock import NANOSECONDS
from axon_quant.exchange.simulator import Answer, Asked, SimulatedExchange, Socket

_MICROSECOND = NANOSECONDS // 1_000_000
_NOTICE = "The connection will soon be closed for a service upgrade. Please reconnect."


class Hello(NamedTuple):
    """A login or subscriptions on a socket, to be answered there."""

    socket: Socket
    operation: str
    arguments: list[Any]
    id: object


class Conversation:
    """Reads what clients say; `respond` carries a request out, with whatever goes wrong."""

    def __init__(
        self, exchange: SimulatedExchange, streams: Streams, respond: Callable[[Asked], Awaitable[Answer | None]]
    ) -> None:
        self._exchange = exchange
        self._streams = streams
        self._respond = respond
        self._opened = 0

    def opened(self, socket: Socket) -> None:
        """Name a connection; one to a path that is not there is closed."""
        self._opened += 1
        socket.data["id"] = f"{self._opened:08x}"
        if _path(socket) not in CHANNELS:
            socket.close()

    async def hear(self, socket: Socket, text: str) -> None:
        """Answer a message."""
        if text == "ping":
            socket.say("pong")
            return
        try:
            said = json.loads(text)
            operation, arguments = str(said["op"]), said["args"]
        except (ValueError, KeyError, TypeError):
            self.complain(socket, "60012", f"Invalid request: {text[:200]}", None)
            return
        id_ = said.get("id")
        if not isinstance(arguments, list) or not all(isinstance(one, dict) for one in arguments) or not arguments:
            self.complain(socket, "60013", "Invalid args", id_)
        elif operation in ("login", "subscribe", "unsubscribe"):
            hello = Hello(socket, operation, arguments, id_)
            answer = await self._respond(Asked("WS", _path(socket), "", {}, {}, "", operation, data=hello))
            if answer is None:
                socket.close()
            elif answer.body is not None:
                socket.say(answer.body)
        elif operation in OPERATIONS:
            await self._operate(socket, operation, arguments, said)
        else:
            self.complain(socket, "60019", f"Invalid op: {operation}", id_)

    def greet(self, hello: Hello) -> None:
        """Carry out a login or subscriptions."""
        if hello.operation == "login":
            self._log_in(hello)
            return
        for argument in hello.arguments:
            self._subscribe(hello.socket, hello.operation, argument, hello.id)

    def complain(self, socket: Socket, code: str, message: str, id_: object) -> None:
        """Say that something was wrong."""
        socket.say(said_wrong(socket, code, message, id_))

    def announce_shutdown(self, socket: Socket) -> None:
        """The business path has no such notice."""
        if _path(socket) != "/ws/v5/business":
            socket.say({"event": "notice", "code": "64008", "msg": _NOTICE, "connId": socket.data["id"]})

    def _log_in(self, hello: Hello) -> None:
        socket = hello.socket
        try:
            account = logged_in(self._exchange.accounts, hello.arguments[0], self._exchange.now())
        except OkxError as error:
            self.complain(socket, error.said.code, error.said.message, hello.id)
            socket.close()
            return
        if socket.data.setdefault("account", account) is not account:
            text = "The WebSocket endpoint does not allow multiple or repeated logins."
            self.complain(socket, "60031", text, hello.id)
            return
        socket.say({"event": "login", "code": "0", "msg": "", "connId": socket.data["id"]})

    def _subscribe(self, socket: Socket, operation: str, argument: dict[str, Any], id_: object) -> None:
        channel = argument.get("channel")
        if isinstance(channel, str) and channel in FOR_VIPS:
            text = "Your trading fee tier doesn't meet the requirement to access this channel"
            self.complain(socket, "64003", text, id_)
            return
        if not is_there(_path(socket), argument, self._exchange):
            named = ",".join(f"{key}:{value}" for key, value in argument.items())
            text = f"Wrong URL or {named} doesn't exist. "
            text += "Please use the correct URL, channel and parameters referring to API document."
            self.complain(socket, "60018", text, id_)
            return
        if channel in PRIVATE and "account" not in socket.data:
            self.complain(socket, "60011", "Please log in", id_)
            return
        (self._streams.subscribe if operation == "subscribe" else self._streams.unsubscribe)(socket, argument)
        confirmed = {"event": operation, "arg": argument, "connId": socket.data["id"]}
        socket.say(confirmed if id_ is None else {"id": id_, **confirmed})
        if operation == "subscribe":
            self._streams.begin(socket, argument)

    async def _operate(self, socket: Socket, operation: str, arguments: list[Any], said: dict[str, Any]) -> None:
        """An order over the private socket."""
        id_, began = said.get("id"), self._exchange.now()
        account = socket.data.get("account")
        problem = ""
        if _path(socket) != "/ws/v5/private":
            text = "Please use the correct WebSocket URL for the operation."
            problem, message = "60028", f"The current operation is not supported by this URL. {text}"
        elif account is None:
            problem, message = "60011", "Please log in"
        if problem:
            self.complain(socket, problem, message, id_)
            return
        request = OPERATIONS[operation]
        given = arguments if request.batch else arguments[0]
        call = Call(request, given, account, str(said.get("expTime") or ""))
        answer = await self._respond(
            Asked("WS", _path(socket), "", {}, {}, "", request.name, request.changes, data=call)
        )
        if answer is None:
            socket.close()
            return
        body = answer.body
        assert isinstance(body, dict)  # noqa: S101 - every answer to a call is
        if body["data"]:
            body = {**body, "msg": ""}  # the parts say why
        times = {"inTime": str(began // _MICROSECOND), "outTime": str(self._exchange.now() // _MICROSECOND)}
        socket.say({"id": id_, "op": operation, **body, **times})


def said_wrong(socket: Socket, code: str, message: str, id_: object = None) -> dict[str, object]:
    """An error event."""
    event = {"event": "error", "code": code, "msg": message, "connId": socket.data["id"]}
    return event if id_ is None else {"id": id_, **event}


def _path(socket: Socket) -> str:
    return socket.path.partition("?")[0]
