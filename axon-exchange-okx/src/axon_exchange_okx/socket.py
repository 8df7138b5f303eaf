"""One WebSocket to OKX: logging in, subscribing, staying awake, and what its events mean."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

import aiohttp
from msgspec import DecodeError
from msgspec.json import encode

from axon_exchange_okx.errors import VENUE, refused
from axon_exchange_okx.payloads import PUSH, Arg, Push
from axon_quant.errors import UnavailableError

PING_EVERY = 5.0
"""Seconds. OKX closes a connection after 30 without a word from us, and answers each ping, which tells a quiet
connection from a dead one."""
_ABOUT_TO_CLOSE = "64008"


class Socket:
    """A connection that may be logged in. Made by `connected`.

    `on_push` gets every message with data. `read` returns when the connection is closed and raises when OKX refuses
    something or says that it will close.
    """

    def __init__(self, connection: aiohttp.ClientWebSocketResponse, heard: Callable[[], None]) -> None:
        self._connection = connection
        self._heard = heard
        self._waiting: set[tuple[str, str]] = set()
        self.confirmed = asyncio.Event()
        self.confirmed.set()

    async def login(self, argument: Callable[[], dict[str, str]]) -> None:
        """Log in and wait for OKX's word. Raises AuthError, ClockError or UnavailableError."""
        await self._connection.send_bytes(encode({"op": "login", "args": [argument()]}))
        async for push in self._messages():
            if push.event == "login":
                return
        raise UnavailableError("the connection was closed before the login", venue=VENUE)

    async def subscribe(self, arguments: Iterable[dict[str, str]]) -> None:
        """Ask for channels; `confirmed` is set once OKX has confirmed every one of them."""
        wanted = list(arguments)
        if not wanted:
            return
        self._waiting.update((one["channel"], one.get("instId", "")) for one in wanted)
        self.confirmed.clear()
        await self._connection.send_bytes(encode({"op": "subscribe", "args": wanted}))

    async def read(self, on_push: Callable[[Arg, Push], None]) -> None:
        """Hand every push on until the connection is lost."""
        async for push in self._messages():
            if push.arg is None:
                continue
            if push.event:
                self._waiting.discard((push.arg.channel, push.arg.inst_id))
                if not self._waiting:
                    self.confirmed.set()
            else:
                on_push(push.arg, push)

    async def _messages(self) -> AsyncIterator[Push]:
        decode, heard = PUSH.decode, self._heard
        async for message in self._connection:
            heard()
            if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                break
            if message.data == "pong":
                continue
            try:
                push = decode(message.data)
            except DecodeError as error:
                problem = f"a message that cannot be read: {error}"
            else:
                if push.event == "error":
                    raise refused(push.code, push.msg)
                if push.event == "notice" and push.code == _ABOUT_TO_CLOSE:
                    raise UnavailableError(push.msg, venue=VENUE, code=push.code, text=push.msg)
                yield push
                continue
            raise UnavailableError(problem, venue=VENUE)


@asynccontextmanager
async def connected(
    session: aiohttp.ClientSession, url: str, heard: Callable[[], None]
) -> AsyncIterator[Socket]:
    """A connection for the time of the block, kept awake. Raises UnavailableError when there is none to be had."""
    try:
        connection = await session.ws_connect(url, heartbeat=None, max_msg_size=0, compress=0)
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        reason = f"cannot connect to {url}: {type(error).__name__}"
    else:
        awake = asyncio.create_task(_keep_awake(connection))
        try:
            yield Socket(connection, heard)
        finally:
            awake.cancel()
            await connection.close()
        return
    raise UnavailableError(reason, venue=VENUE)


async def _keep_awake(connection: aiohttp.ClientWebSocketResponse) -> None:
    while True:
        await asyncio.sleep(PING_EVERY)
        try:
            await connection.send_str("ping")
        except (ConnectionError, aiohttp.ClientError):
            return  # the reader finds out


async def first_to_end(*parts: Awaitable[None]) -> None:
    """Run several reads until one ends, then end the others; raises what that one raised."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
