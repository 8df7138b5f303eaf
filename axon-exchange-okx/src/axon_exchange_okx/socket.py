"""WebSockets to OKX that live and die together: logging in, subscribing, staying awake, and what their events mean."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, TypeVar

import aiohttp
from msgspec import DecodeError
from msgspec.json import encode

from axon_exchange_okx.errors import VENUE, refused, too_many
from axon_exchange_okx.payloads import PUSH, Arg, Push
from axon_quant.errors import UnavailableError

_T = TypeVar("_T")
Argument = dict[str, str]
"""What one subscription asks for: the channel, and its symbol or kind of instrument."""

PING_EVERY = 5.0
"""Seconds. OKX closes a connection after 30 without a word from us, and answers each ping, which tells a quiet
connection from a dead one."""
_ABOUT_TO_CLOSE = "64008"
_LARGEST = 16 * 1024 * 1024
_CLOSE_WITHIN = 1.0
"""Seconds to wait for OKX to say goodbye, which a dead connection never does."""


class Socket:
    """One connection. `Sockets.open` makes it and reads it."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse, heard: Callable[[], None]) -> None:
        self._connection = connection
        self._heard = heard
        self._requests = 0
        self._waiting: dict[str, tuple[set[tuple[str, str]], asyncio.Future[None]]] = {}

    async def login(self, argument: Callable[[], Argument]) -> None:
        """Log in and wait for OKX's word, before anything reads. Raises AuthError, ClockError or UnavailableError."""
        await self._send({"op": "login", "args": [argument()]})
        async for push in self._messages():
            if push.event == "error":
                raise refused(push.code, push.msg)
            if push.event == "login":
                return
        raise UnavailableError("the connection was closed before the login", venue=VENUE)

    async def subscribe(self, arguments: Iterable[Argument]) -> None:
        """Ask for channels and wait until each is confirmed. Raises RejectedError for one OKX does not have."""
        wanted = list(arguments)
        self._requests += 1
        request = str(self._requests)
        confirmed = asyncio.get_running_loop().create_future()
        self._waiting[request] = {_key(one["channel"], one.get("instId", "")) for one in wanted}, confirmed
        try:
            await self._send({"id": request, "op": "subscribe", "args": wanted})
            await confirmed
        finally:
            self._waiting.pop(request, None)

    async def unsubscribe(self, arguments: Iterable[Argument]) -> None:
        """Ask for channels to end."""
        await self._send({"op": "unsubscribe", "args": list(arguments)})

    async def read(self, on_push: Callable[[Arg, Push], None]) -> None:
        """Hand every push on until the connection is lost; raises when OKX says that it will be."""
        async for push in self._messages():
            if push.event:
                self._on_event(push)
            elif push.arg is not None:
                try:
                    on_push(push.arg, push)
                except DecodeError as error:
                    problem = f"a message of {push.arg.channel} that cannot be read: {error}"
                    raise UnavailableError(problem, venue=VENUE) from None

    def _on_event(self, push: Push) -> None:
        if push.event == "subscribe" and push.arg is not None:
            key = _key(push.arg.channel, push.arg.inst_id)
            for missing, confirmed in self._waiting.values():
                missing.discard(key)
                if not (missing or confirmed.done()):
                    confirmed.set_result(None)
        elif push.event == "error":
            error = refused(push.code, push.msg)
            if push.id not in self._waiting:
                raise error
            _, confirmed = self._waiting[push.id]
            if not confirmed.done():
                confirmed.set_exception(error)
        elif push.event == "notice" and push.code == _ABOUT_TO_CLOSE:
            raise UnavailableError(push.msg, venue=VENUE, code=push.code, text=push.msg)

    async def _messages(self) -> AsyncIterator[Push]:
        decode, heard = PUSH.decode, self._heard
        async for message in self._connection:
            heard()
            if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                return
            if message.data == "pong":
                continue
            try:
                push = decode(message.data)
            except DecodeError as error:
                raise UnavailableError(f"a message that cannot be read: {error}", venue=VENUE) from None
            yield push

    async def _send(self, message: object) -> None:
        try:
            await self._connection.send_str(encode(message).decode())
        except (ConnectionError, aiohttp.ClientError):
            lost = True
        else:
            lost = False
        if lost:  # raised here, because what was caught may hold what was sent
            raise UnavailableError("the connection was lost", venue=VENUE)


class Sockets:
    """Connections that are lost together when one is.

    An asynchronous context manager. `heard` is called for every message, `on_push` gets those with data. `ended` is
    done when the first one is lost, with its error where there is one.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        root: str,
        heard: Callable[[], None],
        on_push: Callable[[Arg, Push], None],
    ) -> None:
        self._session = session
        self._root = root
        self._heard = heard
        self._on_push = on_push
        self._tasks: list[asyncio.Task[None]] = []
        self._connections: list[aiohttp.ClientWebSocketResponse] = []
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self, path: str, login: Callable[[], Argument] | None = None) -> Socket:
        """Connect, log in if `login` gives the argument, and start to read. Raises UnavailableError or AuthError."""
        connection = await self._connect(self._root + path)
        self._connections.append(connection)
        socket = Socket(connection, self._heard)
        if login is not None:
            await socket.login(login)
        reader = asyncio.create_task(socket.read(self._on_push))
        reader.add_done_callback(self._on_end)
        self._tasks += [reader, asyncio.create_task(_keep_awake(connection))]
        return socket

    async def _connect(self, url: str) -> aiohttp.ClientWebSocketResponse:
        try:
            return await self._session.ws_connect(
                url, max_msg_size=_LARGEST, timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_WITHIN)
            )
        except aiohttp.WSServerHandshakeError as error:
            status = error.status
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            status, reason = 0, type(error).__name__
        if status == 429:
            raise too_many("HTTP 429: too many connections", code="HTTP 429", text="", retry_after=None)
        if status:
            reason = f"HTTP {status}"
        raise UnavailableError(f"cannot connect to {url}: {reason}", venue=VENUE)

    async def until(self, waited: Awaitable[_T]) -> _T:
        """What `waited` comes to, unless a connection is lost first."""
        task = asyncio.ensure_future(waited)
        try:
            either: set[asyncio.Future[Any]] = {task, self.ended}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            self.ended.result()
        finally:
            task.cancel()
        raise UnavailableError("OKX closed the connection", venue=VENUE)

    def fail(self, error: Exception) -> None:
        """Give the connections up for `error`."""
        if not self.ended.done():
            self.ended.set_exception(error)

    def _on_end(self, reader: asyncio.Task[None]) -> None:
        if reader.cancelled():
            return
        error = reader.exception()
        if not self.ended.done():
            if error is None:
                self.ended.set_result(None)
            else:
                self.ended.set_exception(error)

    async def __aenter__(self) -> Sockets:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.ended.done():
            self.ended.exception()  # looked at, or the loop would complain
        else:
            self.ended.set_result(None)
        await asyncio.gather(*(connection.close() for connection in self._connections), return_exceptions=True)


async def together(*parts: Awaitable[_T]) -> list[_T]:
    """What all of them come to; the first that fails ends the others."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _key(channel: str, symbol: str) -> tuple[str, str]:
    return channel, symbol


async def _keep_awake(connection: aiohttp.ClientWebSocketResponse) -> None:
    while True:
        await asyncio.sleep(PING_EVERY)
        try:
            await connection.send_str("ping")
        except (ConnectionError, aiohttp.ClientError):
            return  # the reader finds out
