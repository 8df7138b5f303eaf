"""One WebSocket connection: pings both ways, and errors without URLs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from aiohttp import (
    ClientError,
    ClientSession,
    ClientWebSocketResponse,
    ClientWSTimeout,
    WSMsgType,
    WSServerHandshakeError,
)

from axon_exchange_binance.rest import unreachable
from axon_quant.errors import ExchangeError, RateLimitedError, UnavailableError

_PING_EVERY = 3.0
_OPEN_WITHIN = 10.0
_REFUSED_WAIT = 60.0
_LARGEST = 8 * 1024 * 1024


class Connection:
    """An open connection. `receive` gives the text of each message and answers the venue's pings meanwhile.

    Ours go out every few seconds; a connection that leaves two of them unanswered is lost, because TCP alone takes
    minutes to notice. `heard` is called for everything but the answers to our pings: a stalled server may still
    give those.
    """

    def __init__(self, socket: ClientWebSocketResponse, heard: Callable[[], None], venue: str) -> None:
        self._socket = socket
        self._heard = heard
        self._venue = venue
        self._unanswered = 0
        self._reason = ""

    async def send(self, text: str) -> None:
        await self._socket.send_str(text)

    async def receive(self) -> str | None:
        """The next message, or None when the connection is closed."""
        while True:
            message = await self._socket.receive()
            kind = message.type
            if kind is WSMsgType.TEXT:
                self._heard()
                text: str = message.data
                return text
            if kind is WSMsgType.PING:
                self._heard()
                await self._socket.pong(message.data)
            elif kind is WSMsgType.PONG:
                self._unanswered = 0
            elif kind in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                return None

    async def lose(self, reason: str) -> None:
        """End the connection from our side; `receive` then returns None."""
        self._reason = self._reason or reason
        await self._socket.close()

    def lost(self) -> UnavailableError:
        """Why `receive` returned None."""
        code = self._socket.close_code
        reason = self._reason or f"the venue closed the connection ({code})"
        return UnavailableError(reason, venue=self._venue)

    async def ping(self) -> None:
        """Ping for ever; ends the connection when nobody answers."""
        while True:
            await asyncio.sleep(_PING_EVERY)
            if self._unanswered >= 2:
                await self.lose("no answer to pings")
                return
            self._unanswered += 1
            with suppress(ClientError, ConnectionError):
                await self._socket.ping()


@asynccontextmanager
async def connected(
    session: ClientSession, url: str, heard: Callable[[], None], venue: str
) -> AsyncIterator[Connection]:
    """A connection, kept alive within the block and closed after. Raises UnavailableError or RateLimitedError."""
    problem: ExchangeError | None = None
    socket: ClientWebSocketResponse | None = None
    try:
        async with asyncio.timeout(_OPEN_WITHIN):
            socket = await session.ws_connect(
                url, autoping=False, max_msg_size=_LARGEST, timeout=ClientWSTimeout(ws_close=1.0)
            )
    except WSServerHandshakeError as error:
        problem = _handshake(error, venue)
    except (TimeoutError, ClientError, OSError) as error:
        problem = unreachable(error, venue)
    if socket is None:
        assert problem is not None  # noqa: S101 - one of the two is there
        raise problem
    connection = Connection(socket, heard, venue)
    pinger = asyncio.create_task(connection.ping())
    try:
        yield connection
    finally:
        pinger.cancel()
        with suppress(asyncio.CancelledError):
            await pinger
        await socket.close()


def _handshake(error: WSServerHandshakeError, venue: str) -> ExchangeError:
    message = f"the venue refused the connection: HTTP {error.status}"
    if error.status in (403, 418, 429):
        after = error.headers.get("Retry-After", "") if error.headers is not None else ""
        wait = float(after) if after.isascii() and after.isdecimal() else _REFUSED_WAIT
        return RateLimitedError(message, venue=venue, retry_after=wait)
    return UnavailableError(message, venue=venue)
