"""The account's events: one connection at a time, and how a stream that fell silent is told from a quiet account."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
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


class UserStream(ABC):
    """Lives through one connection at a time; see `run`.

    A stream can fall silent although its connection answers pings. So what the venue acknowledged elsewhere is
    `expected` to be reported here. A stream that does not is given up: the base reconnects and repairs.
    """

    def __init__(self, session: ClientSession, venue: str) -> None:
        self._session = session
        self.venue = venue
        self.expected = ExpectedReports()

    @abstractmethod
    async def _address(self) -> str:
        """Where the next connection goes. Raises ExchangeErrors."""

    @abstractmethod
    async def _subscribe(self, connection: Connection) -> None:
        """Ask for the events on a new connection. Raises ExchangeErrors."""

    @abstractmethod
    def _report(self, text: str) -> str:
        """Pass what a message says on; the name of an event after which no more come, else ""."""

    async def _look(self, connection: Connection) -> str:
        """Called every half second; why the connection is to be given up, or ""."""
        del connection
        return ""

    async def run(self, link: Link) -> None:
        """Connect, subscribe and report until the venue or we end it. Raises ExchangeErrors."""
        address = await self._address()
        async with connected(self._session, address, link.heard, self.venue) as connection:
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

    async def _read(self, connection: Connection) -> None:
        renew_at = monotonic() + _RENEW_AFTER
        while True:
            text = await connection.receive()
            if text is None:
                raise connection.lost()
            farewell = self._report(text)
            if farewell:
                raise UnavailableError(f"the venue ends the stream: {farewell}", venue=self.venue)
            if monotonic() > renew_at:
                raise UnavailableError("the connection is renewed before the venue ends it", venue=self.venue)

    async def _watch(self, connection: Connection) -> None:
        while True:
            await asyncio.sleep(self.expected.look_every)
            reason = "acknowledged orders are not reported" if self.expected.overdue else await self._look(connection)
            if reason:
                await connection.lose(reason)
                return


class SpotUserStream(UserStream):
    """One subscription, by signature, on a connection of the WebSocket API.

    The service is asked something every few seconds, unless `may_ask` says no; it must answer.
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
        super().__init__(session, VENUE)
        self._url = url
        self._subscription = subscription
        self._on_execution = on_execution
        self._on_balances = on_balances
        self._now_ms = now_ms
        self._may_ask = may_ask
        self._asked_at = 0.0
        self._answered = True

    async def _address(self) -> str:
        self._asked_at, self._answered = monotonic(), True
        return self._url

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
                    self._pass_on(answer)  # cannot be, but would be true
        except TimeoutError:
            raise UnavailableError("no answer to the subscription of the account's events", venue=VENUE) from None
        if answer.status != 200:
            error = answer.error
            refusal = Refusal() if error is None else Refusal(error.code, error.msg)
            raise classified(refusal, answer.status, symbol=None, changes=False, now_ms=self._now_ms())

    def _report(self, text: str) -> str:
        return self._pass_on(decoded(text, Envelope))

    def _pass_on(self, envelope: Envelope) -> str:
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

    async def _look(self, connection: Connection) -> str:
        now = monotonic()
        if now - self._asked_at >= _ASK_EVERY:
            if not self._answered:
                return "no answer to a question"
            if self._may_ask():
                self._asked_at, self._answered = now, False
                with suppress(ConnectionError):  # the reader notices, too
                    await connection.send(_PING)
        return ""
