"""One WebSocket connection of a client, and what can go wrong with what is sent on it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from axon_quant.exchange.simulator.faults import STREAM_FAULTS, FaultPlan

if TYPE_CHECKING:
    from aiohttp import web

_REORDER_WITHIN = 0.2
"""Seconds after which a message that waits for the next one is sent anyway."""


class _Venue(Protocol):
    """What a socket's faults do to the venue."""

    faults: FaultPlan

    def shut_down(self, seconds: float) -> None: ...

    def end_subscription(self, socket: Socket) -> None: ...


class Socket:
    """`say` sends as it is, `send` through the faults of a place; `data` is the protocol's own.

    `stalled`: nothing of a stream is sent any more; `frozen`: nothing at all, nor is a ping answered. `heard` is the
    loop's time when the client last said something, pongs included, `told` when something was last sent to it;
    `arrived`, when it asked for the connection, UTC ns of the clock that does not drift.
    """

    def __init__(
        self,
        response: web.WebSocketResponse,
        request: web.BaseRequest,
        venue: _Venue,
    ) -> None:
        self.path = request.path_qs
        self.headers = request.headers
        self.data: dict[str, Any] = {}
        self.stalled = self.frozen = self.closed = False
        self.arrived = 0
        self.heard = self.told = self.opened = asyncio.get_running_loop().time()
        self._response = response
        self._transport = request.transport
        self._venue = venue
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._held: str | None = None

    def say(self, message: object) -> None:
        """Send what no fault touches: answers and heartbeats."""
        if not (self.closed or self.frozen):
            self._queue.put_nowait(encoded(message))

    def send(self, place: str, message: object) -> None:
        """Send a message of a stream, an object or its JSON text, unless something goes wrong with it."""
        if self.closed or self.stalled:
            return
        fault = self._venue.faults.draw(place, STREAM_FAULTS)
        if fault is not None and self._spoil(fault.kind, fault.seconds, message):
            return
        self._queue.put_nowait(encoded(message))
        if fault is not None and fault.kind == "duplicate":
            self._queue.put_nowait(encoded(message))
        self._release()

    def close(self) -> None:
        """End the connection after what is queued."""
        if not self.closed:
            self.closed = True
            self._queue.put_nowait(None)

    async def ping(self) -> None:
        """A ping of the WebSocket protocol, unless the connection is frozen."""
        if not (self.closed or self.frozen):
            await self._response.ping()

    async def pong(self, payload: bytes) -> None:
        """The answer to a client's ping."""
        if not (self.closed or self.frozen):
            await self._response.pong(payload)

    async def write(self) -> None:
        """Send what is queued, in order, until closed; then cut the connection."""
        loop = asyncio.get_running_loop()
        while (text := await self._queue.get()) is not None:
            self.told = loop.time()
            try:
                await self._response.send_str(text)
            except (ConnectionError, RuntimeError):
                break  # the client is gone
        self.closed = True
        if self._transport is not None:
            self._transport.close()

    def _spoil(self, kind: str, seconds: float, message: object) -> bool:
        """What a fault does instead of sending; False when the message is to be sent."""
        if kind == "stall":
            self.stalled = True
        elif kind == "freeze":
            self.stalled = self.frozen = True
        elif kind == "disconnect":
            self.close()
        elif kind == "terminate":
            self._venue.end_subscription(self)
        elif kind == "shutdown":
            self._venue.shut_down(seconds)
            return False
        elif kind == "reorder" and self._held is None:
            self._held = encoded(message)
            asyncio.get_running_loop().call_later(_REORDER_WITHIN, self._release)
        elif kind != "drop":
            return False
        return True

    def _release(self) -> None:
        if self._held is not None and not (self.closed or self.stalled):
            self._queue.put_nowait(self._held)
        self._held = None


def encoded(message: object) -> str:
    """JSON as venues write it, without spaces; a text as it is."""
    return message if isinstance(message, str) else msgspec.json.encode(message).decode()
