"""The futures account's events: a connection whose address holds a key that has to be kept alive."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import monotonic
from typing import ClassVar

from aiohttp import ClientSession

from axon_exchange_binance.answers import EventKind, Execution, decoded
from axon_exchange_binance.futures.answers import OrderEvent
from axon_exchange_binance.futures.stops import StopEvent, StopReport
from axon_exchange_binance.sockets import Connection
from axon_exchange_binance.user_stream import UserStream
from axon_quant.errors import ExchangeError, MalformedMessageError
from axon_quant.exchange.requests import logger

_LAST_WORDS = {"listenKeyExpired", "serverShutdown"}


class FuturesUserStream(UserStream):
    """`make_key` gives a key, `keep_key` keeps it valid, which it is for an hour at most."""

    keep_every: ClassVar[float] = 1800.0
    keep_again: ClassVar[float] = 60.0

    def __init__(
        self,
        session: ClientSession,
        url: str,
        *,
        venue: str,
        make_key: Callable[[], Awaitable[str]],
        keep_key: Callable[[], Awaitable[None]],
        on_execution: Callable[[Execution], None],
        on_stop: Callable[[StopReport], None],
        on_account: Callable[[], None],
    ) -> None:
        super().__init__(session, venue)
        self._url = url
        self._make_key = make_key
        self._keep_key = keep_key
        self._on_execution = on_execution
        self._on_stop = on_stop
        self._on_account = on_account
        self._keep_at = 0.0

    async def _address(self) -> str:
        key = await self._make_key()
        self._keep_at = monotonic() + self.keep_every
        return f"{self._url}/{key}"

    async def _subscribe(self, connection: Connection) -> None:
        """The address says it all."""

    def _report(self, text: str) -> str:
        kind = decoded(text, EventKind).e
        if kind == "ORDER_TRADE_UPDATE":
            report = decoded(text, OrderEvent).order
            self.expected.reported(report.client_order_id)
            self._on_execution(report)
        elif kind == "ALGO_UPDATE":
            stop = decoded(text, StopEvent).stop
            self.expected.reported(stop.client_algo_id)
            self._on_stop(stop)
        elif kind == "ACCOUNT_UPDATE":
            self._on_account()
        elif kind in _LAST_WORDS:
            return kind
        elif not kind:
            raise MalformedMessageError(f"{self.venue}: an event of the account without a name")
        return ""

    async def _look(self, connection: Connection) -> str:
        del connection
        if monotonic() < self._keep_at:
            return ""
        try:
            await self._keep_key()
        except ExchangeError as error:
            if error.code == _NO_SUCH_KEY:
                return "its key has expired"
            logger.warning("%s: the account's stream could not be prolonged yet: %s", self.venue, error)
            self._keep_at = monotonic() + self.keep_again
        else:
            self._keep_at = monotonic() + self.keep_every
        return ""


_NO_SUCH_KEY = "-1125"
