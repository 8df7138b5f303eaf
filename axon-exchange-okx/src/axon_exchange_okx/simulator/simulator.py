"""The server: routes, limits and sockets as OKX has them."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from axon_exchange_okx.simulator.errors import OkxError
from axon_exchange_okx.simulator.messages import StopOrder
from axon_exchange_okx.simulator.requests import OPERATIONS, REST, Request, Requests
from axon_exchange_okx.simulator.stops import Stops
from axon_exchange_okx.simulator.streams import PRIVATE, PUBLIC, Streams
from axon_quant.clock import NANOSECONDS
from axon_quant.exchange.simulator import (
    Account,
    AccountEvent,
    Answer,
    Asked,
    Charge,
    FaultPlan,
    Limit,
    MarketFeed,
    Meter,
    RefusedError,
    SimulatedExchange,
    Simulator,
    Socket,
    Transfer,
    Verdict,
)
from axon_quant.exchange.simulator.instruments import instruments as default_instruments
from axon_quant.market.instrument import Instrument
from axon_quant.market.types import MarketEvent, Trade

_NOWHERE = Request("", 100, signed=False)
_PATHS = ("/ws/v5/public", "/ws/v5/private", "/ws/v5/business")
BALANCES = {"USDT": "1000000", "BTC": "20", "ETH": "200", "OKB": "100", "EUR": "100000"}


class OkxSimulator(Simulator):
    """OKX spot. Two accounts trade the same market: `YOUR_API_KEY` / `YOUR_API_SECRET` / `YOUR_PASSPHRASE`, and
    `OTHER_…`. A client order id is never taken twice.

    `demo` refuses keys without the header of simulated trading (True), or with it (False). `symbols` (default: BTC-USDT
    and ETH-USDT) have a market. Other options as of `Simulator` and `MarketFeed`.
    """

    name = "okx"

    def __init__(
        self,
        *,
        instruments: Iterable[Instrument] | None = None,
        symbols: Iterable[str] = ("BTC-USDT", "ETH-USDT"),
        accounts: Iterable[Account] | None = None,
        faults: FaultPlan | None = None,
        limits: tuple[Limit, ...] | None = None,
        drift_ms: float = 0.0,
        recording: str | Path | None = None,
        prices: Mapping[str, float] | None = None,
        seed: int = 0,
        speed: float = 1.0,
        engine_timeout: float = 1.0,
        demo: bool | None = None,
    ) -> None:
        exchange = SimulatedExchange(
            _instruments() if instruments is None else instruments,
            (Account.named("main", BALANCES, prefix="YOUR"), Account.named("other", BALANCES, prefix="OTHER"))
            if accounts is None
            else accounts,
            maker_fee=Decimal("0.0008"),
            taker_fee=Decimal("0.001"),
            reuse_client_ids=False,
            first_order_id=500_000,
        )
        feed = MarketFeed(exchange, symbols, recording=recording, prices=prices, seed=seed, speed=speed)
        super().__init__(exchange, feed, faults=faults, drift_ms=drift_ms, limits=limits, engine_timeout=engine_timeout)
        self._own_limits = limits
        self._trades: dict[str, deque[Trade]] = {symbol: deque(maxlen=500) for symbol in exchange.instruments}
        self._stops = Stops(exchange, self._on_stop)
        self._requests = Requests(exchange, self._trades, self._stops, demo=demo, cancel_after=self._cancel_after)
        self._streams = Streams(exchange, self._requests)
        self._deadlines: dict[str, asyncio.Task[None]] = {}
        exchange.listeners.append(self._on_market)
        for account in exchange.accounts.values():
            account.listeners.append(partial(self._on_account, account))

    # Requests.

    def route(self, asked: Asked) -> Asked:
        request = REST.get((asked.method, asked.path), _NOWHERE)
        return attrs.evolve(asked, name=request.name, changes=request.changes)

    def charges(self, asked: Asked) -> list[Charge]:
        return [(asked.name, {"requests": 1})]

    def make_meter(self, name: str) -> Meter:
        if self._own_limits is not None:
            return Meter(self._own_limits, bans=False, grace=self.grace)
        limit = next((request.limit for request in REST.values() if request.name == name), 100)
        return Meter((Limit("requests", limit, 2.0),), bans=False, grace=self.grace)

    def answer(self, asked: Asked) -> Answer:
        request = REST.get((asked.method, asked.path), _NOWHERE)
        if not request.name and asked.data is None:
            return Answer({"code": "404", "data": [], "msg": f"Request path not found: {asked.path}"}, 404)
        try:
            if asked.data is None:
                code, message, data = self._requests.carry_out(request, asked)
            else:
                code, message, data = self._requests.of_account(asked.data[1], asked.data[0], asked.data[2])
        except (OkxError, RefusedError) as error:
            refusal = error if isinstance(error, OkxError) else OkxError("51000", error.text)
            return Answer({"code": refusal.code, "msg": refusal.message, "data": []}, refusal.status)
        except ValueError as error:
            return Answer({"code": "51000", "msg": f"Parameter error: {error}", "data": []}, 400)
        return Answer({"code": code, "msg": message, "data": data})

    def refused(self, asked: Asked, code: str, verdict: Verdict) -> Answer:  # noqa: ARG002
        if code == "busy":
            return _failure("50001", "Service temporarily unavailable. Please try again later", 503)
        if code == "unknown":
            text = "API endpoint request timeout (does not mean that the request was successful or failed"
            return _failure("50004", f"{text}, please check the request result).", 400)
        return Answer(
            {"code": "50011", "msg": "Too Many Requests", "data": []},
            429,
            {"Retry-After": str(max(1, -int(-verdict.retry_after // 1)))},
        )

    # Sockets.

    def opened(self, socket: Socket) -> None:
        if socket.path.partition("?")[0] not in _PATHS:
            socket.close()

    def dropped(self, socket: Socket) -> None:
        self._streams.dropped(socket)

    async def talk(self, socket: Socket, text: str) -> None:
        if text == "ping":
            socket.say("pong")
            return
        try:
            said = json.loads(text)
            operation, arguments = str(said["op"]), list(said.get("args", []))
        except (ValueError, KeyError, TypeError):
            socket.say(_error("60012", "Invalid request: {0}"))
            return
        id_ = said.get("id")
        if operation == "login":
            self._log_in(socket, arguments)
        elif operation in ("subscribe", "unsubscribe"):
            for argument in arguments:
                self._subscribe(socket, operation, argument, id_)
        elif operation in OPERATIONS:
            await self._operate(socket, operation, arguments, id_)
        else:
            socket.say(_error("60012", f"Invalid request: {operation}"))

    def _log_in(self, socket: Socket, arguments: list[Any]) -> None:
        try:
            socket.data["account"] = self._requests.logged_in(arguments[0] if arguments else {})
        except OkxError as error:
            socket.say(_error(error.code, error.message))
            return
        socket.say({"event": "login", "code": "0", "msg": "", "connId": "sim"})

    def _subscribe(self, socket: Socket, operation: str, argument: Any, id_: object) -> None:
        channel = argument.get("channel") if isinstance(argument, dict) else None
        symbol = argument.get("instId", "") if isinstance(argument, dict) else ""
        problem: dict[str, object] | None = None
        if channel in PRIVATE and "account" not in socket.data:
            problem = _error("60011", "Please log in")
        elif channel not in PRIVATE | PUBLIC or (
            channel in PUBLIC and symbol and symbol not in self.exchange.instruments
        ):
            problem = _error("60018", f"Wrong URL or channel:{channel},instId:{symbol} doesn't exist.")
        if problem is not None:
            socket.say(problem if id_ is None else {**problem, "id": id_})
            return
        confirmation = {"event": operation, "arg": argument, "connId": "sim"}
        if operation == "subscribe":
            self._streams.subscribe(socket, argument)
        else:
            self._streams.unsubscribe(socket, argument)
        socket.say(confirmation if id_ is None else {**confirmation, "id": id_})
        if operation == "subscribe":
            self._streams.begin(socket, argument)

    async def _operate(self, socket: Socket, operation: str, arguments: list[Any], id_: object) -> None:
        """An order over the private socket."""
        account = socket.data.get("account")
        if account is None:
            socket.say({**_error("60011", "Please log in"), "id": id_})
            return
        request = OPERATIONS[operation]
        asked = Asked("POST", "/ws", "", {}, {}, "", request.name, request.changes, data=(account, request, arguments))
        answer = await self.respond(asked)
        if answer is None:
            socket.close()
            return
        body = answer.body
        assert isinstance(body, dict)  # noqa: S101 - every answer here is
        socket.say({"id": id_, "op": operation, **body, "inTime": "0", "outTime": "0"})

    def announce_shutdown(self, socket: Socket) -> None:
        text = "The connection will soon be closed for a service upgrade. Please reconnect."
        socket.say({"event": "notice", "code": "64008", "msg": text, "connId": "sim"})

    # Events.

    def _on_account(self, account: Account, event: AccountEvent | Transfer) -> None:
        self._streams.on_account(account, event)

    def _on_stop(self, account: Account, stop: StopOrder) -> None:
        self._streams.on_stop(account, stop)

    def _on_market(self, event: MarketEvent) -> None:
        if isinstance(event, Trade):
            self._trades[event.symbol].append(event)
        self._streams.publish(event)

    def _cancel_after(self, account: Account, seconds: float) -> int:
        """Arm or disarm the dead-man switch of an account; when it is due, UTC ns."""
        task = self._deadlines.pop(account.key, None)
        if task is not None:
            task.cancel()
        if not seconds:
            return 0
        self._deadlines[account.key] = self.spawn(self._cancel_all_of(account, seconds))
        return self.now() + round(seconds * NANOSECONDS)

    async def _cancel_all_of(self, account: Account, seconds: float) -> None:
        await asyncio.sleep(seconds)
        for placed in list(account.open.values()):
            self.exchange.cancel(account, placed)


def _exists(channel: object, symbol: object, exchange: SimulatedExchange) -> bool:
    return channel in PRIVATE or (channel in PUBLIC and (not symbol or symbol in exchange.instruments))


def _failure(code: str, message: str, status: int) -> Answer:
    return Answer({"code": code, "msg": message, "data": []}, status)


def _error(code: str, message: str) -> dict[str, object]:
    return {"event": "error", "code": code, "msg": message, "connId": "sim"}


def _instruments() -> list[Instrument]:
    """The usual ones without a smallest notional, which OKX neither has nor tells."""
    return [attrs.evolve(instrument, min_notional=Decimal(0)) for instrument in default_instruments("okx", "-")]
