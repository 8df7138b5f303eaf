"""The account's events: one subscription, by signature, on a connection of the WebSocket API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

import msgspec
from aiohttp import ClientSession

from axon_exchange_binance.answers import (
    AccountPosition,
    Envelope,
    EventKind,
    Execution,
    decoded,
)
from axon_exchange_binance.errors import VENUE, Refusal, classified
from axon_exchange_binance.sockets import Connection, connected
from axon_quant.errors import MalformedMessageError, UnavailableError
from axon_quant.exchange.expected import ExpectedReports
from axon_quant.exchange.link import Link

_RENEW_AFTER = 23.5 * 3600
"""Binance ends every connection after 24 hours; ours ends it before, when we are ready to come back."""
_ANSWER_WITHIN = 10.0
_ASK_EVERY = 5.0
"""How often the service itself, not only its socket, is asked for a sign of life; each question weighs 1."""
_PING = '{"id":"ping","method":"ping"}'
_LAST_WORDS = {"eventStreamTerminated", "serverShutdown"}


class UserStream:
    """Lives through one connection at a time; see `run`.

    A stream can fall silent although its connection answers pings. So the service is asked something every few seconds,
    unless `may_ask` says no, and what the venue acknowledged elsewhere is `expected` to be reported here. A stream that
    fails either is given up: the base reconnects and repairs.
    """

    def __init__(
        self,
        session: ClientSession,
        url: str,
        *,
        subscription: Callable[[], dict[str, str | int]],
        on_execution: Callable[[Execution], None],
        on_balances: Callable[[AccountPosition], None],
        now_ms: Callable[[], int],
        may_ask: Callable[[], bool],
    ) -> None:
        self._session = session
        self._url = url
        self._subscription = subscription
        self._on_execution = on_execution
        self._on_balances = on_balances
        self._now_ms = now_ms
        self._may_ask = may_ask
        self.expected = ExpectedReports()
        self._asked_at = 0.0
        self._answered = True

    async def run(self, link: Link) -> None:
        """Connect, subscribe and report until the venue or we end it. Raises ExchangeErrors."""
        self._asked_at, self._answered = monotonic(), True
        async with connected(self._session, self._url, link.heard) as connection:
            await self._subscribe(connection)
            watch = asyncio.create_task(self._watch(connection))
            self.expected.begin()
            link.up()
            try:
                await self._read(connection)
            finally:
                self.expected.end()
                watch.cancel()
                with suppress(asyncio.CancelledError):
                    await watch

    async def _subscribe(self, connection: Connection) -> None:
        request = {"id": "1", "method": "userDataStream.subscribe.signature", "params": self._subscription()}
        await connection.send(msgspec.json.encode(request).decode())
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                while True:
                    text = await connection.receive()
                    if text is None:
                        raise connection.lost()
                    answer = decoded(text, Envelope)
                    if answer.id is not None:
                        break
                    self._report(answer)  # cannot be, but would be true
        except TimeoutError:
            raise UnavailableError("no answer to the subscription of the account's events", venue=VENUE) from None
        if answer.status != 200:
            error = answer.error
            refusal = Refusal() if error is None else Refusal(error.code, error.msg)
            raise classified(refusal, answer.status, symbol=None, changes=False, now_ms=self._now_ms())

    async def _read(self, connection: Connection) -> None:
        renew_at = monotonic() + _RENEW_AFTER
        while True:
            text = await connection.receive()
            if text is None:
                raise connection.lost()
            farewell = self._report(decoded(text, Envelope))
            if farewell:
                raise UnavailableError(f"the venue ends the stream: {farewell}", venue=VENUE)
            if monotonic() > renew_at:
                raise UnavailableError("the connection is renewed before the venue ends it", venue=VENUE)

    def _report(self, envelope: Envelope) -> str:
        """Pass an event on; the name of one after which no more come."""
        event = envelope.event
        if not event:
            self._answered = self._answered or envelope.id is not None
            return ""
        kind = decoded(event, EventKind).e
        if kind == "executionReport":
            report = decoded(event, Execution)
            self.expected.reported(report.original_client_order_id or report.client_order_id)
            self._on_execution(report)
        elif kind == "outboundAccountPosition":
            self._on_balances(decoded(event, AccountPosition))
        elif kind in _LAST_WORDS:
            return kind
        elif not kind:
            raise MalformedMessageError("binance: an event of the account without a name")
        return ""

    async def _watch(self, connection: Connection) -> None:
        while True:
            await asyncio.sleep(self.expected.look_every)
            now = monotonic()
            if self.expected.overdue:
                await connection.lose("acknowledged orders are not reported")
                return
            if now - self._asked_at >= _ASK_EVERY:
                if not self._answered:
                    await connection.lose("no answer to a question")
                    return
                if self._may_ask():
                    self._asked_at, self._answered = now, False
                    with suppress(ConnectionError):  # the reader notices, too
                        await connection.send(_PING)
