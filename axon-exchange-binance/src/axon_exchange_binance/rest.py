"""Requests over one keep-alive HTTP session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from aiohttp import (
    BytesPayload,
    ClientConnectorError,
    ClientError,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
)
from yarl import URL

from axon_exchange_binance.errors import TOO_MANY_ORDERS, refused
from axon_quant.clock import MILLISECOND
from axon_quant.errors import AmbiguousError, ExchangeError, RateLimitedError, UnavailableError
from axon_quant.exchange import RateBudget

_FORM = "application/x-www-form-urlencoded"
_TIMEOUT = ClientTimeout(total=None, sock_connect=5.0)
"""Only for connecting: who asks waits no longer than the answer is good for, and cancels the request then."""


class Rest:
    """Signs and sends, and turns every failure into one of our errors; what is raised never holds a URL or a body.

    `venue_time` (ns) signs. An answer that bans us (429, 418) penalizes `budget`, and no later request leaves from here
    before that is over, whoever asks. Nothing here limits how long an answer may take: the caller waits as long as it
    is good for. `on_headers` gets the headers of each answer, where the venue reports the budget that is used;
    `on_too_many_orders` gets the seconds for which it takes no more of them.
    """

    def __init__(
        self,
        session: ClientSession,
        root: str,
        *,
        venue: str,
        sign: Callable[[str], str],
        venue_time: Callable[[], int],
        budget: RateBudget,
        validity: float,
        on_headers: Callable[[Mapping[str, str]], None],
        on_too_many_orders: Callable[[float], None],
    ) -> None:
        self._session = session
        self._root = root
        self._venue = venue
        self._sign = sign
        self._venue_time = venue_time
        self._budget = budget
        self._window = f"recvWindow={round(validity * 1000)}&timestamp="
        self._on_headers = on_headers
        self._on_too_many_orders = on_too_many_orders
        self._urls: dict[str, URL] = {}

    async def post(self, path: str, parameters: str, symbol: str) -> bytes:
        """Change something: a signed POST of URL-encoded `parameters`.

        Raises AmbiguousError when it is not known whether the venue did it.
        """
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = URL(self._root + path, encoded=True)
        body = BytesPayload(self.signed(parameters).encode(), content_type=_FORM)
        return await self._send("POST", url, body, symbol, changes=True)

    async def put(self, path: str, parameters: str, symbol: str) -> bytes:
        """Change something that is there: a signed PUT. Raises AmbiguousError as `post` does."""
        url = URL(f"{self._root}{path}?{self.signed(parameters)}", encoded=True)
        return await self._send("PUT", url, None, symbol, changes=True)

    async def keyed(self, method: str, path: str) -> bytes:
        """Ask for something that the key alone, without a signature, gives. Raises UnavailableError."""
        return await self._send(method, URL(self._root + path, encoded=True), None, None, changes=False)

    async def delete(self, path: str, parameters: str, symbol: str | None) -> bytes:
        """Change something: a signed DELETE. Raises AmbiguousError as `post` does."""
        url = URL(f"{self._root}{path}?{self.signed(parameters)}", encoded=True)
        return await self._send("DELETE", url, None, symbol, changes=True)

    async def get(
        self, path: str, parameters: Mapping[str, str | int] | None = None, *, signed: bool = False, root: str = ""
    ) -> bytes:
        """Ask something, at another root if one is named. Raises UnavailableError when there is no answer."""
        given = parameters or {}
        query = urlencode(given)
        if signed:
            query = self.signed(query)
        place = (root or self._root) + path
        url = URL(f"{place}?{query}" if query else place, encoded=True)
        symbol = given.get("symbol")
        return await self._send("GET", url, None, None if symbol is None else str(symbol), changes=False)

    def signed(self, parameters: str) -> str:
        """`parameters` with timestamp, validity and signature."""
        stamp = f"{self._window}{self._venue_time() // MILLISECOND}"
        payload = f"{parameters}&{stamp}" if parameters else stamp
        return f"{payload}&signature={self._sign(payload)}"

    def sign_with(self, sign: Callable[[str], str]) -> None:
        """Sign with another key from now on."""
        self._sign = sign

    async def _send(
        self, method: str, url: URL, body: BytesPayload | None, symbol: str | None, *, changes: bool
    ) -> bytes:
        self._budget.check_open()
        problem: ExchangeError
        try:
            async with self._session.request(
                method, url, data=body, timeout=_TIMEOUT, allow_redirects=False
            ) as response:
                answer = await response.read()
                self._on_headers(response.headers)
                if response.status == 200:
                    return answer
                now = self._venue_time() // MILLISECOND
                problem = refused(
                    response.status,
                    answer,
                    response.headers,
                    symbol=symbol,
                    changes=changes,
                    now_ms=now,
                    venue=self._venue,
                )
        except (ClientConnectorError, ConnectionTimeoutError) as error:
            problem = unreachable(error, self._venue, symbol)
        except (TimeoutError, ClientError, OSError) as error:
            problem = _lost(error, self._venue, symbol, changes=changes)
        # Raised here, so that no cause or context leads to an exception that knows the URL, which is signed.
        if isinstance(problem, RateLimitedError):
            if problem.code == TOO_MANY_ORDERS:
                self._on_too_many_orders(problem.retry_after)
                problem.retry_after = 0.0  # which would hold back cancels, too
            else:
                self._budget.penalize(problem.retry_after)
        raise problem


def unreachable(error: Exception, venue: str, symbol: str | None = None) -> UnavailableError:
    """Nothing was sent: there was no connection."""
    reason = getattr(error, "strerror", None) or type(error).__name__
    return UnavailableError(
        f"cannot connect: {reason}", venue=venue, symbol=symbol, hint="check the network, base_urls and testnet"
    )


def _lost(error: Exception, venue: str, symbol: str | None, *, changes: bool) -> ExchangeError:
    what = "no answer in time" if isinstance(error, asyncio.TimeoutError) else "the connection was lost"
    if changes:
        return AmbiguousError(f"{what} ({type(error).__name__})", venue=venue, symbol=symbol)
    return UnavailableError(f"{what} ({type(error).__name__})", venue=venue, symbol=symbol, hint="ask again")
