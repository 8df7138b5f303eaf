"""The server that a venue's simulator adds its protocol to: requests, sockets, and what goes wrong with them.

A simulator subclasses `Simulator`, names its requests by `route`, and writes `answer` and `talk`. Faults, limits and
the control endpoint (`/simulator/truth`, `/simulator/faults`) are here.
"""

from __future__ import annotations

import asyncio
import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import attrs

from axon_quant.clock import MILLISECOND, LiveClock
from axon_quant.exchange.simulator.exchange import SimulatedExchange
from axon_quant.exchange.simulator.faults import REQUEST_FAULTS, START_FAULTS, STREAM_FAULTS, FaultPlan
from axon_quant.exchange.simulator.limits import Limit, Meter
from axon_quant.exchange.simulator.market import MarketFeed

if TYPE_CHECKING:
    from aiohttp import web


@attrs.frozen
class Answer:
    """What is said to one request."""

    body: object
    status: int = 200
    headers: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(eq=False)
class Asked:
    """One request: `name` is what faults and limits know it by (`order.place`), empty when there is no such thing.

    `parameters` come from the query and, where the protocol has forms, the body; `text` is the body as it came.
    """

    method: str
    path: str
    query: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]
    text: str
    name: str = ""
    changes: bool = False


class Socket:
    """One WebSocket of a client. `send` goes through the faults of `place`; `data` is the protocol's own."""

    def __init__(self, simulator: Simulator, response: web.WebSocketResponse, path: str) -> None:
        self.path = path
        self.data: dict[str, Any] = {}
        self._simulator = simulator
        self._response = response
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._held: str | None = None
        self.stalled = False
        self.closed = False

    def say(self, message: object) -> None:
        """Send what no fault touches: answers and heartbeats."""
        if not (self.closed or self.stalled):
            self._queue.put_nowait(message if isinstance(message, str) else json.dumps(message, separators=(",", ":")))

    def send(self, place: str, message: object) -> None:
        """Send a message of a stream, unless something goes wrong with it."""
        if self.closed or self.stalled:
            return
        fault = self._simulator.faults.draw(place, STREAM_FAULTS)
        kind = None if fault is None else fault.kind
        text = message if isinstance(message, str) else json.dumps(message, separators=(",", ":"))
        if kind == "drop":
            return
        if kind == "stall":
            self.stalled = True
            return
        if kind == "reorder" and self._held is None:
            self._held = text
            return
        if kind in ("disconnect", "shutdown"):
            if kind == "shutdown":
                self._simulator.announce_shutdown(self)
            self.close()
            return
        self._queue.put_nowait(text)
        if kind == "duplicate":
            self._queue.put_nowait(text)
        if self._held is not None:
            self._queue.put_nowait(self._held)
            self._held = None

    def close(self) -> None:
        """End the connection after what is queued."""
        if not self.closed:
            self.closed = True
            self._queue.put_nowait(None)

    async def ping(self) -> None:
        """A ping of the WebSocket protocol, unless the connection has stalled."""
        if not (self.closed or self.stalled):
            await self._response.ping()

    async def write(self) -> None:
        """Send what is queued, in order, until closed."""
        while (text := await self._queue.get()) is not None:
            try:
                await self._response.send_str(text)
            except (ConnectionError, RuntimeError):
                break
        self.closed = True
        transport = self._response._req.transport if self._response._req is not None else None  # noqa: SLF001 - a cut
        if transport is not None:
            transport.close()


class Simulator(ABC):
    """A venue on loopback: `start`, then its `roots`; or `with simulator.running() as roots:` from synchronous code.

    `exchange` holds accounts and orders, `feed` moves its market. `drift_ms` is how far the venue's clock is ahead.
    """

    name: ClassVar[str]
    limits: ClassVar[tuple[Limit, ...]] = ()

    def __init__(
        self,
        exchange: SimulatedExchange,
        feed: MarketFeed,
        *,
        faults: FaultPlan | None = None,
        drift_ms: float = 0.0,
        limits: tuple[Limit, ...] | None = None,
        engine_timeout: float = 1.0,
    ) -> None:
        self.exchange = exchange
        self.feed = feed
        self.faults = FaultPlan() if faults is None else faults
        self.drift_ms = drift_ms
        self.engine_timeout = engine_timeout
        self.meters: dict[str, Meter] = {}
        self.sockets: set[Socket] = set()
        self.port = 0
        self._limits = self.limits if limits is None else limits
        self._clock = LiveClock()
        self._runner: web.AppRunner | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        exchange.now = self.now

    def now(self) -> int:
        """The venue's clock, UTC ns."""
        return self._clock.now() + round(self.drift_ms * MILLISECOND)

    @property
    def roots(self) -> dict[str, str]:
        """Where it serves: `rest` and `ws`."""
        return {"rest": f"http://127.0.0.1:{self.port}", "ws": f"ws://127.0.0.1:{self.port}"}

    # What a protocol writes.

    @abstractmethod
    def route(self, asked: Asked) -> Asked:
        """The request with its `name`, and whether it `changes` anything."""

    @abstractmethod
    def answer(self, asked: Asked) -> Answer:
        """Carry a request out."""

    @abstractmethod
    def cost(self, asked: Asked) -> tuple[str, int, int]:
        """Whose meter it counts on, its weight, and how many orders it places."""

    @abstractmethod
    def refused(self, asked: Asked, code: str, retry_after: float = 0.0) -> Answer:
        """What the venue says for `busy`, `unknown`, `too-many`, `too-many-orders` or `banned`."""

    @abstractmethod
    async def talk(self, socket: Socket, text: str) -> None:
        """A client said something on a socket."""

    def opened(self, socket: Socket) -> None:  # noqa: B027 - most protocols wait for the client
        """A socket was opened."""

    def dropped(self, socket: Socket) -> None:  # noqa: B027
        """A socket is gone."""

    def announce_shutdown(self, socket: Socket) -> None:  # noqa: B027 - a venue may go without a word
        """Say on a socket that the venue is going down, in its own words."""

    # Serving.

    async def start(self, port: int = 0) -> dict[str, str]:
        """Serve on 127.0.0.1; returns `roots`."""
        from aiohttp import web

        application = web.Application()
        application.router.add_get("/simulator/truth", self._truth)
        application.router.add_post("/simulator/faults", self._set_faults)
        application.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.spawn(self.feed.run())
        return self.roots

    async def stop(self) -> None:
        """Close every connection and stop serving."""
        for task in list(self._tasks):
            task.cancel()
        for socket in list(self.sockets):
            socket.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @contextmanager
    def running(self, port: int = 0) -> Iterator[dict[str, str]]:
        """Serve from a thread of its own while the block runs."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name=f"{self.name}-simulator", daemon=True)
        thread.start()
        try:
            yield asyncio.run_coroutine_threadsafe(self.start(port), loop).result(30)
        finally:
            asyncio.run_coroutine_threadsafe(self.stop(), loop).result(30)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(30)
            loop.close()

    def truth(self) -> dict[str, object]:
        """The ledger of every account, the faults that fired, and what came over the limits or during bans."""
        return {
            "accounts": self.exchange.truth(),
            "faults": dict(sorted(self.faults.fired.items())),
            "requests": dict(sorted(self.faults.places.items())),
            "refused": sum(meter.refused for meter in self.meters.values()),
            "during_ban": sum(meter.during_ban for meter in self.meters.values()),
            "now": self.now(),
        }

    def spawn(self, work: Any) -> asyncio.Task[None]:
        """Run a coroutine until the simulator stops."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # Inside.

    async def _truth(self, _: web.Request) -> web.Response:
        from aiohttp import web

        return web.json_response(self.truth())

    async def _set_faults(self, request: web.Request) -> web.Response:
        from aiohttp import web

        from axon_quant.errors import ConfigError

        try:
            self.faults = FaultPlan.of(await request.json(), seed=int(request.query.get("seed", "0")))
        except (ConfigError, ValueError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response({"rules": len(self.faults.rules)})

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        from aiohttp import web

        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._serve_socket(request)
        text = await request.text()
        asked = self.route(
            Asked(request.method, request.path, request.query_string, self.parameters(request, text),
                  request.headers, text)
        )  # fmt: skip
        answer = await self.respond(asked)
        if answer is None:
            if request.transport is not None:
                request.transport.close()
            raise asyncio.CancelledError
        if isinstance(answer.body, str):
            return web.Response(text=answer.body, status=answer.status, headers=dict(answer.headers))
        return web.json_response(answer.body, status=answer.status, headers=dict(answer.headers))

    def parameters(self, request: web.Request, text: str) -> Mapping[str, str]:
        """Of the query; a protocol with forms adds the body's."""
        del text
        return dict(request.query)

    async def respond(self, asked: Asked) -> Answer | None:
        """Carry a request out with what goes wrong; None: the connection breaks and nothing is said."""
        place = f"request:{asked.name}"
        who, weight, orders = self.cost(asked)
        meter = self.meters.setdefault(who, Meter(self._limits))
        fault = self.faults.draw(place, REQUEST_FAULTS | START_FAULTS)
        kind = None if fault is None else fault.kind
        seconds = 0.0 if fault is None else fault.seconds
        if kind in ("slow", "slow-start"):
            await asyncio.sleep(seconds)
        elif kind == "drift" and fault is not None:
            self.drift_ms = fault.milliseconds
        elif kind in ("rate-limit", "ban"):
            meter.close(self.now(), seconds, banned=kind == "ban")
            return self.refused(asked, "banned" if kind == "ban" else "too-many", seconds)
        verdict = meter.take(self.now(), weight=weight, orders=orders)
        if not verdict.allowed:
            orders_only = verdict.limit is not None and verdict.limit.kind == "orders"
            code = "banned" if verdict.banned else "too-many-orders" if orders_only else "too-many"
            return self.refused(asked, code, verdict.retry_after)
        if kind == "lose-request":
            return None
        if kind == "refuse":
            return self.refused(asked, "busy")
        if kind == "unknown-refused":
            return self.refused(asked, "unknown")
        if kind == "late-accept":
            self.spawn(self._later(asked, seconds))
            return self.refused(asked, "unknown")
        answer = self.answer(asked)
        if kind == "lose-response":
            return None
        if kind == "unknown-accepted" and answer.status < 400:
            return self.refused(asked, "unknown")
        return answer

    async def _later(self, asked: Asked, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.answer(asked)

    async def _serve_socket(self, request: web.Request) -> web.WebSocketResponse:
        from aiohttp import WSMsgType, web

        fault = self.faults.draw("connect", START_FAULTS)
        if fault is not None:
            await asyncio.sleep(fault.seconds)
        response = web.WebSocketResponse(autoping=True, heartbeat=None)
        await response.prepare(request)
        socket = Socket(self, response, request.path_qs)
        self.sockets.add(socket)
        writer = asyncio.ensure_future(socket.write())
        try:
            self.opened(socket)
            async for message in response:
                if message.type is WSMsgType.TEXT and not socket.stalled:
                    await self.talk(socket, message.data)
        except ConnectionError:
            pass  # a client that is gone has nothing to be told
        finally:
            self.sockets.discard(socket)
            socket.closed = True
            self.dropped(socket)
            writer.cancel()
        return response
