"""The server: routes, limits and sockets as OKX has them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import attrs

from axon_exchange_okx.simulator import errors
from axon_exchange_okx.simulator.account_queries import AccountQueries
from axon_exchange_okx.simulator.candles import Tape
from axon_exchange_okx.simulator.errors import OkxError
from axon_exchange_okx.simulator.identity import identified
from axon_exchange_okx.simulator.instruments import instruments as default_instruments
from axon_exchange_okx.simulator.market_queries import MarketQueries
from axon_exchange_okx.simulator.numbers import milliseconds
from axon_exchange_okx.simulator.sockets import Conversation, Hello, said_wrong
from axon_exchange_okx.simulator.stops import Stops
from axon_exchange_okx.simulator.streams import Streams
from axon_exchange_okx.simulator.table import LIMITS, NOWHERE, ORDERS, PERIOD, REST, SUBSCRIPTIONS, Call
from axon_exchange_okx.simulator.terms import Given, Terms, text, whole
from axon_exchange_okx.simulator.trading import Trading
from axon_quant.clock import MILLISECOND, NANOSECONDS, Clock
from axon_quant.exchange.simulator import (
    Account,
    Answer,
    Asked,
    Charge,
    FaultPlan,
    Limit,
    MarketFeed,
    Meter,
    SimulatedExchange,
    Simulator,
    Socket,
    SwapTerms,
    Verdict,
)
from axon_quant.market.instrument import Instrument

SYMBOLS = ("BTC-USDT", "ETH-USDT", "BTC-USDT-SWAP", "ETH-USDT-SWAP")
BALANCES = {"USDT": "1000000", "BTC": "20", "ETH": "200", "OKB": "100", "EUR": "100000"}


class OkxSimulator(Simulator):
    """OKX spot and linear perpetual swaps, in net position mode.

    Two accounts trade the same market: `YOUR_API_KEY` / `YOUR_API_SECRET` / `YOUR_PASSPHRASE`, and `OTHER_…`. A client
    order id is never taken twice.

    `instruments` default to ten and two swaps, of which `symbols` (default: BTC-USDT, ETH-USDT and their swaps) have a
    market that has been open for `history` seconds. Fees are fractions, in what a fill brings in, of swaps in USDT.
    `swap_terms` has leverage and funding. `demo` refuses requests without the header of
    simulated trading (True), or with it (False). `limits` replace each of OKX's. Other options as of `Simulator` and
    `MarketFeed`.
    """

    name = "okx"
    silence_limit = 30.0
    pushes_break_silence = True

    def __init__(
        self,
        *,
        instruments: Iterable[Instrument] | None = None,
        symbols: Iterable[str] = SYMBOLS,
        accounts: Iterable[Account] | None = None,
        maker_fee: Decimal = Decimal("0.0008"),
        taker_fee: Decimal = Decimal("0.001"),
        faults: FaultPlan | None = None,
        limits: tuple[Limit, ...] | None = None,
        drift_ms: float = 0.0,
        recording: str | Path | None = None,
        prices: Mapping[str, float] | None = None,
        seed: int = 0,
        speed: float = 1.0,
        history: float = 30.0,
        engine_timeout: float = 1.0,
        demo: bool | None = None,
        swap_terms: SwapTerms | None = None,
        clock: Clock | None = None,
    ) -> None:
        exchange = SimulatedExchange(
            default_instruments() if instruments is None else instruments,
            Account.two(BALANCES) if accounts is None else accounts,
            maker_fee=maker_fee,
            taker_fee=taker_fee,
            reuse_client_ids=False,
            expire_post_only=True,
            first_order_id=500_000,
            swap_terms=swap_terms,
        )
        feed = MarketFeed(
            exchange, symbols, recording=recording, prices=prices, seed=seed, speed=speed, history=history
        )
        super().__init__(
            exchange, feed, faults=faults, drift_ms=drift_ms, limits=limits, engine_timeout=engine_timeout, clock=clock
        )
        self._own_limits = limits
        self._demo = demo
        self._terms = terms = Terms(exchange)
        tapes = {symbol: Tape() for symbol in exchange.instruments}
        self._stops = stops = Stops(exchange, lambda account, stop: self._streams.on_stop(account, stop))
        market, queries = MarketQueries(exchange, tapes, terms), AccountQueries(exchange, stops, terms)
        self._public = market.by_name
        self._private = {**queries.by_name, "cancel-after": self._cancel_after}
        self._trading = Trading(exchange, queries, stops, terms)
        self._streams = Streams(exchange, tapes, market, queries)
        self._conversation = Conversation(exchange, self._streams, self.respond)
        self._deadlines: dict[str, asyncio.Task[None]] = {}
        exchange.listeners.append(self._streams.publish)
        for account in exchange.accounts.values():
            account.listeners.append(partial(self._streams.on_account, account))

    # Requests.

    def route(self, asked: Asked) -> Asked:
        request = REST.get((asked.method, asked.path), NOWHERE)
        given: Any = asked.parameters
        if asked.method == "POST":
            try:
                given = json.loads(asked.text)
            except ValueError:
                given = None
        call = Call(request, given, expires=asked.headers.get("expTime", "") if request.takes_orders else "")
        return attrs.evolve(asked, name=request.name, changes=request.changes, data=call)

    def charges(self, asked: Asked) -> list[Charge]:
        if isinstance(asked.data, Hello):
            return [(f"socket:{asked.data.socket.data['id']}", {"requests": 1})]
        call: Call = asked.data
        request, parts = call.request, call.parts
        key = asked.headers.get("OK-ACCESS-KEY", "") if call.account is None else call.account.key
        if not request.signed or not request.by_instrument:
            return [(f"{request.name}:{key if request.signed else ''}", {"requests": 1})]
        name = request.single if request.single and len(parts) == 1 else request.name
        symbols = Counter(self._terms.symbol(part) for part in parts) or {"": 1}
        charges: list[Charge] = [(f"{name}:{key}:{symbol}", {"requests": use}) for symbol, use in symbols.items()]
        if request.takes_orders:
            charges.append((f"account:{key}", {"orders": len(parts)}))
        return charges

    def make_meter(self, name: str) -> Meter:
        what = name.partition(":")[0]
        others = {"account": (Limit("orders", ORDERS, PERIOD),), "socket": (Limit("requests", SUBSCRIPTIONS, 3_600.0),)}
        usual = others[what] if what in others else (Limit("requests", LIMITS[what], PERIOD),)
        own = self._own_limits
        return Meter(usual if own is None else own, bans=False, grace=self.grace)

    def answer(self, asked: Asked) -> Answer:
        if isinstance(asked.data, Hello):
            self._conversation.greet(asked.data)
            return Answer(None)
        if asked.data.request is NOWHERE:
            if any(path == asked.path for _, path in REST):
                return _failure(*errors.BAD_METHOD)
            return _failure("404", f"Request path not found: {asked.path}", 404)
        try:
            code, message, data = self._carry_out(asked, asked.data)
        except OkxError as error:
            return _failure(*error.said)
        return Answer({"code": code, "msg": message, "data": data})

    def _carry_out(self, asked: Asked, call: Call) -> tuple[str, str, list[Any]]:
        request = call.request
        if not request.signed:
            return "0", "", self._public[request.name](call.given)
        account = call.account or identified(self.exchange.accounts, asked, demo=self._demo)
        if call.expires and whole({"expTime": call.expires}, "expTime", 0) * MILLISECOND < asked.entered:
            raise OkxError(errors.EXPIRED)
        if call.given is None:
            raise OkxError(errors.BAD_JSON if asked.text else errors.NO_BODY)
        if request.changes and not account.may_trade:
            raise OkxError(errors.NO_PERMISSION)
        query = self._private.get(request.name)
        if query is None:
            return self._trading.carry_out(account, call)
        if not isinstance(call.given, Mapping):
            raise OkxError(errors.BAD_JSON)
        return "0", "", query(account, call.given)

    def refused(self, asked: Asked, code: str, verdict: Verdict) -> Answer:
        if isinstance(asked.data, Hello):
            hello = asked.data
            if code in ("too-much", "banned"):
                return Answer(said_wrong(hello.socket, "60014", "Requests too frequent", hello.id))
            text = f"Operation {hello.operation} failed due to WebSocket internal error. Please try again later."
            return Answer(said_wrong(hello.socket, "64007", text, hello.id))
        if code == "busy":
            return _failure("50001", "Service temporarily unavailable. Please try again later.", 503)
        if code == "unknown":
            text = "API endpoint request timeout. (does not mean that the request was successful or failed"
            return _failure("50004", f"{text}, please check the request result).", 400)
        if verdict.limit is not None and verdict.limit.kind == "orders":
            return _failure("50061", "You've reached the maximum order rate limit for this account.", 200)
        answer = _failure("50011", "Too Many Requests", 429)
        return attrs.evolve(answer, headers={"Retry-After": str(max(1, ceil(verdict.retry_after)))})

    def truth(self) -> dict[str, object]:
        """As of every simulator; an account's `stops` besides, with the `name` of the order that each would place."""
        truth = super().truth()
        accounts: Any = truth["accounts"]
        for account in self.exchange.accounts.values():
            accounts[account.name]["stops"] = [
                {
                    "name": stop.child_name,
                    "algo_id": stop.algo_id,
                    "client_order_id": stop.order.client_order_id,
                    "state": stop.state,
                }
                for stop in self._stops.of(account)
            ]
        return truth

    # Sockets.

    def opened(self, socket: Socket) -> None:
        self._conversation.opened(socket)

    def dropped(self, socket: Socket) -> None:
        self._streams.dropped(socket)
        self.meters.pop(f"socket:{socket.data['id']}", None)

    async def talk(self, socket: Socket, text: str) -> None:
        await self._conversation.hear(socket, text)

    def announce_shutdown(self, socket: Socket) -> None:
        self._conversation.announce_shutdown(socket)

    # The dead-man switch.

    def _cancel_after(self, account: Account, given: Given) -> list[Any]:
        said = text(given, "timeOut")
        if not said:
            raise errors.missing("timeOut")
        seconds = whole(given, "timeOut", 0)
        if seconds and not 10 <= seconds <= 120:
            raise errors.parameter("timeOut")
        task = self._deadlines.pop(account.key, None)
        if task is not None:
            task.cancel()
        due, now = 0, self.now()
        if seconds:
            due = now + seconds * NANOSECONDS
            self._deadlines[account.key] = self.spawn(self._cancel_all_of(account, seconds))
        return [{"triggerTime": milliseconds(due), "tag": text(given, "tag"), "ts": milliseconds(now)}]

    async def _cancel_all_of(self, account: Account, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._deadlines.pop(account.key, None)
        self._trading.cancel_all(account)


def _failure(code: str, message: str, status: int) -> Answer:
    return Answer({"code": code, "msg": message, "data": []}, status)
