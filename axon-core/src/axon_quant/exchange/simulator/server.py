"""The server that a venue's simulator adds its protocol to: requests, sockets, and what goes wrong with them.

A simulator subclasses `Simulator`, names its requests by `route`, and writes `answer` and `talk`. Faults, limits and
the control endpoints are here:

    GET  /simulator/truth      the ledger of every account, the faults that fired, requests over limits and during bans
    POST /simulator/faults     another plan (a JSON list; `?seed=N`); counts go on
    POST /simulator/transfer   {"account", "asset", "amount"}: money arrives, or leaves for a negative amount
    POST /simulator/swap       {"symbol", "mark", "rate", "pay"}: another mark price (null: the mid) or funding rate,
                               and funding paid at once
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import attrs

from axon_quant.clock import MILLISECOND, NANOSECONDS, Clock, LiveClock
from axon_quant.errors import UnavailableError
from axon_quant.exchange.simulator.control import Handler, control
from axon_quant.exchange.simulator.exchange import SimulatedExchange
from axon_quant.exchange.simulator.faults import CONNECTION_FAULTS, REQUEST_FAULTS, Fault, FaultPlan
from axon_quant.exchange.simulator.limits import Limit, Meter, Verdict
from axon_quant.exchange.simulator.market import MarketFeed
from axon_quant.exchange.simulator.socket import Socket, encoded

if TYPE_CHECKING:
    from aiohttp import web

Charge: TypeAlias = tuple[str, Mapping[str, int]]
"""A meter's name, and how much of each kind of limit is used."""


@attrs.frozen
class Answer:
    """What is said to one request: JSON of `body`, or a text as it is."""

    body: object
    status: int = 200
    headers: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen(eq=False)
class Asked:
    """One request: `name` is what faults and limits know it by, empty when there is no such thing.

    `parameters` come from the query and, where the protocol has forms, the body; `text` is the body as it came.
    `entered` is when it reached the engine (the venue's clock, UTC ns): its validity is checked at that time. `data` is
    the protocol's own.
    """

    method: str
    path: str
    query: str
    parameters: Mapping[str, str]
    headers: Mapping[str, str]
    text: str
    name: str = ""
    changes: bool = False
    entered: int = 0
    data: Any = None


class Simulator(ABC):
    """A venue on loopback: `start`, then its `roots`; or `with simulator.running() as roots:` from synchronous code.

    `exchange` holds accounts and orders, `feed` moves its market. `drift_ms` is how far the venue's clock is ahead of
    `clock`. A request that was accepted may wait `engine_timeout` seconds in the engine. The server pings every
    `ping_every` seconds (0: never), ends a connection that says nothing for `silence_limit` (with
    `pushes_break_silence`: on which neither side says anything) and any after `life`. When a client is sent away, its
    requests may have been on their way for `grace` seconds. `start` may follow `stop`: orders and money are kept.
    """

    name: ClassVar[str]
    limits: tuple[Limit, ...] = ()
    ping_every: float = 0.0
    silence_limit: float = float("inf")
    pushes_break_silence: bool = False
    life: float = 86_400.0
    grace: float = 0.25

    def __init__(
        self,
        exchange: SimulatedExchange,
        feed: MarketFeed,
        *,
        faults: FaultPlan | None = None,
        drift_ms: float = 0.0,
        limits: tuple[Limit, ...] | None = None,
        engine_timeout: float = 1.0,
        clock: Clock | None = None,
    ) -> None:
        self.exchange = exchange
        self.feed = feed
        self.faults = FaultPlan() if faults is None else faults
        self.drift_ms = drift_ms
        self.engine_timeout = engine_timeout
        self.meters: dict[str, Meter] = {}
        self.sockets: set[Socket] = set()
        self.port = 0
        if limits is not None:
            self.limits = limits
        self._clock = LiveClock() if clock is None else clock
        self._runner: web.ServerRunner | None = None
        self._control: dict[tuple[str, str], Handler] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._opens_at = 0.0
        exchange.now = self.now

    def now(self) -> int:
        """The venue's clock, UTC ns."""
        return self._clock.now() + round(self.drift_ms * MILLISECOND)

    def undrifted(self) -> int:
        """The clock that limits and bans go by: they last as long as was said, however the venue's own one jumps."""
        return self._clock.now()

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
    def charges(self, asked: Asked) -> Sequence[Charge]:
        """What a request uses of which meters; the first one is the client's address."""

    @abstractmethod
    def refused(self, asked: Asked, code: str, verdict: Verdict) -> Answer:
        """What the venue says when it is `busy`, the outcome `unknown`, there is `too-much`, or the client `banned`."""

    @abstractmethod
    async def talk(self, socket: Socket, text: str) -> None:
        """A client said something on a socket."""

    def make_meter(self, name: str) -> Meter:  # noqa: ARG002 - for a protocol with several kinds
        """The meter of a name that is new."""
        return Meter(self.limits, grace=self.grace)

    def parameters(self, request: web.BaseRequest, text: str) -> Mapping[str, str]:  # noqa: ARG002
        """Of the query; a protocol with forms adds the body's."""
        return dict(request.query)

    def opened(self, socket: Socket) -> None:  # noqa: B027 - most protocols wait for the client
        """A socket was opened."""

    def dropped(self, socket: Socket) -> None:  # noqa: B027
        """A socket is gone."""

    def end_subscription(self, socket: Socket) -> None:
        """End what a socket has subscribed to of an account, in the venue's words; without any, by closing it."""
        socket.close()

    def announce_shutdown(self, socket: Socket) -> None:  # noqa: B027 - a venue may go without a word
        """Say on a socket that the venue is going down, in its own words."""

    # Serving.

    async def start(self, port: int = 0) -> dict[str, str]:
        """Serve on 127.0.0.1; returns `roots`. Raises UnavailableError for a port that is taken."""
        from aiohttp import web

        self._control = control(self)
        server = web.Server(self._handle, access_log=None)
        self._runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise UnavailableError(
                f"cannot serve on port {port}: {error.strerror}", venue=self.name, hint="port 0 takes a free one"
            ) from None
        self.port = self._runner.addresses[0][1]
        fault = self.faults.draw("start", CONNECTION_FAULTS)
        self._opens_at = asyncio.get_running_loop().time() + (0.0 if fault is None else fault.seconds)
        self.feed.prepare()
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
        meters = list(self.meters.values())
        return {
            "accounts": self.exchange.truth(),
            "faults": dict(sorted(self.faults.fired.items())),
            "places": dict(sorted(self.faults.places.items())),
            "refused": sum(meter.refused for meter in meters),
            "during_wait": sum(meter.during_wait for meter in meters),
            "during_ban": sum(meter.during_ban for meter in meters),
            "in_flight": sum(meter.in_flight for meter in meters),
            "late": sorted(times for meter in meters for times in meter.late),
            "now": self.now(),
        }

    def spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Run a coroutine until the simulator stops."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def meter(self, name: str) -> Meter:
        """The meter of that name."""
        meter = self.meters.get(name)
        if meter is None:
            meter = self.meters[name] = self.make_meter(name)
        return meter

    def shut_down(self, seconds: float) -> None:
        """Announce on every socket that the venue goes down, and end them `seconds` later."""
        going = list(self.sockets)
        for socket in going:
            self.announce_shutdown(socket)
        self.spawn(_end(going, seconds))

    # Inside: requests.

    async def respond(self, asked: Asked) -> Answer | None:
        """Carry a request out with what goes wrong; None: the connection breaks and nothing is said."""
        arrived = self.undrifted()
        await self._wait_until_open()
        fault = self.faults.draw(f"request:{asked.name}", REQUEST_FAULTS)
        kind = "" if fault is None else fault.kind
        if fault is not None and kind == "slow":
            await asyncio.sleep(fault.seconds)
        elif fault is not None and kind == "drift":
            self.drift_ms = fault.milliseconds
        elif kind == "lose-request":
            return None
        asked = attrs.evolve(asked, entered=self.now())
        now = self.undrifted()
        charges = self.charges(asked)
        if fault is not None and kind in ("rate-limit", "ban"):
            verdict = self.meter(charges[0][0]).close(now, fault.seconds, banned=kind == "ban")
            return self.refused(asked, "banned" if verdict.banned else "too-much", verdict)
        for name, use in charges:
            verdict = self.meter(name).take(now, use, arrived)
            if not verdict.allowed:
                return self.refused(asked, "banned" if verdict.banned else "too-much", verdict)
        if kind == "refuse":
            return self.refused(asked, "busy", Verdict(False))
        if kind == "unknown-refused":
            return self.refused(asked, "unknown", Verdict(False))
        if fault is not None and kind == "late-accept":
            return self._accept_late(asked, fault)
        answer = self.answer(asked)
        if kind == "lose-response":
            return None
        if kind == "unknown-accepted":
            return self.refused(asked, "unknown", Verdict(False))
        return answer

    def _accept_late(self, asked: Asked, fault: Fault) -> Answer:
        """Say that the outcome is unknown, and let the request reach the engine, where it waits as long as may be."""
        on_the_way = max(0.0, fault.seconds - self.engine_timeout)
        late = attrs.evolve(asked, entered=asked.entered + round(on_the_way * NANOSECONDS))

        async def accept() -> None:
            await asyncio.sleep(fault.seconds)
            self.answer(late)

        self.spawn(accept())
        return self.refused(asked, "unknown", Verdict(False))

    async def _wait_until_open(self) -> None:
        left = self._opens_at - asyncio.get_running_loop().time()
        if left > 0:
            await asyncio.sleep(left)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        from aiohttp import web

        controlled = self._control.get((request.method, request.path))
        if controlled is not None:
            return await controlled(request)
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._serve_socket(request)
        text = await request.text()
        given = self.parameters(request, text)
        query = request.rel_url.raw_query_string
        answer = await self.respond(
            self.route(Asked(request.method, request.path, query, given, request.headers, text))
        )
        if answer is None:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        kind = "text/html" if isinstance(answer.body, str) else "application/json"
        body = encoded(answer.body)
        return web.Response(text=body, status=answer.status, headers=dict(answer.headers), content_type=kind)

    # Inside: sockets.

    async def _serve_socket(self, request: web.BaseRequest) -> web.StreamResponse:
        from aiohttp import WSMsgType, web

        arrived = self.undrifted()
        await self._wait_until_open()
        fault = self.faults.draw("connect", CONNECTION_FAULTS)
        if fault is not None and fault.kind == "refuse-connection":
            return web.Response(status=503)
        if fault is not None:
            await asyncio.sleep(fault.seconds)
        response = web.WebSocketResponse(autoping=False)
        try:
            await response.prepare(request)
        except ConnectionError:
            return web.Response()  # to nobody: the client did not wait so long
        socket = Socket(response, request, self)
        socket.arrived = arrived
        self.sockets.add(socket)
        helpers = [asyncio.ensure_future(socket.write()), asyncio.ensure_future(self._watch(socket))]
        loop = asyncio.get_running_loop()
        try:
            self.opened(socket)
            async for message in response:
                socket.heard = loop.time()
                if message.type is WSMsgType.PING:
                    await socket.pong(message.data)
                elif message.type is WSMsgType.TEXT and not (socket.frozen or socket.closed):
                    await self.talk(socket, message.data)
        except ConnectionError:
            pass  # a client that is gone has nothing to be told
        finally:
            self.sockets.discard(socket)
            socket.closed = True
            self.dropped(socket)
            for helper in helpers:
                helper.cancel()
        return response

    async def _watch(self, socket: Socket) -> None:
        """Ping, and end what has been silent or has lived too long."""
        loop = asyncio.get_running_loop()
        pinged = socket.opened
        while not socket.closed:
            now = loop.time()
            broken = max(socket.heard, socket.told) if self.pushes_break_silence else socket.heard
            if now - broken >= self.silence_limit or now - socket.opened >= self.life:
                socket.close()
                return
            if self.ping_every and now - pinged >= self.ping_every:
                pinged = now
                try:
                    await socket.ping()
                except (ConnectionError, RuntimeError):
                    return  # it is going
            due = [socket.opened + self.life, broken + self.silence_limit]
            due += [pinged + self.ping_every] if self.ping_every else []
            await asyncio.sleep(max(0.001, min(due) - now))


async def _end(sockets: Sequence[Socket], seconds: float) -> None:
    await asyncio.sleep(seconds)
    for socket in sockets:
        socket.close()
