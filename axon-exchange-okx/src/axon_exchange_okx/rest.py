"""Requests to OKX over one keep-alive connection pool, and what goes wrong with them as axon's errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import urlencode

import aiohttp
from msgspec import DecodeError
from msgspec.json import Decoder, encode
from yarl import URL

from axon_exchange_okx.errors import VENUE, refused, too_many
from axon_exchange_okx.pace import Pace
from axon_exchange_okx.payloads import ACKS, Ack, Answer
from axon_exchange_okx.signing import Signer
from axon_quant.clock import NANOSECONDS
from axon_quant.errors import AmbiguousError, ExchangeError, RateLimitedError, UnavailableError
from axon_quant.exchange import RateBudget

_T = TypeVar("_T")
Body = dict[str, str] | list[dict[str, str]]
ORDER = "/api/v5/trade/order"


class Rest:
    """One account's REST API.

    `now` is OKX's time (UTC ns); it may jump, and signs only. While `budget` is penalized no request leaves, whoever
    asks. A request that changes something and whose answer is lost raises AmbiguousError; one that never left, or only
    asks, UnavailableError. Nothing here limits how long an answer may take: who asks waits as long as it is good for.
    Errors carry neither headers nor secrets, and no cause: an HTTP client's exceptions may hold both.
    """

    def __init__(self, root: str, signer: Signer, now: Callable[[], int], pace: Pace, budget: RateBudget) -> None:
        self._root = root.rstrip("/")
        self._signer = signer
        self._now = now
        self._pace = pace
        self._urls: dict[str, URL] = {}
        self._budget = budget
        self.session = aiohttp.ClientSession(
            # A connection that OKX closes while idle costs a round trip; one that it closes under a request, an
            # ambiguous order. It closes them after a minute or more.
            connector=aiohttp.TCPConnector(limit=64, keepalive_timeout=30.0, ttl_dns_cache=300),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=5.0),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close every connection."""
        await self.session.close()

    async def ask(
        self,
        path: str,
        decoder: Decoder[Answer[_T]],
        query: Mapping[str, str] = MappingProxyType({}),
        *,
        signed: bool = True,
        symbol: str | None = None,
    ) -> list[_T]:
        """The data of a GET. Empty values of `query` are left out."""
        await self._pace.wait(f"GET {path}")
        wanted = {name: value for name, value in query.items() if value}
        target = f"{path}?{urlencode(wanted)}" if wanted else path
        raw = await self._exchange("GET", target, b"", symbol, signed=signed)
        answer = _decode(decoder, raw, changes=False, symbol=symbol)
        if answer.code != "0":
            raise refused(answer.code, answer.msg, symbol=symbol)
        return answer.data

    async def change(
        self,
        path: str,
        body: Body,
        *,
        symbol: str | None = None,
        expires_after: float | None = None,
        backdated: float = 0.0,
    ) -> list[Ack]:
        """POST something that places, amends or cancels, and return the acknowledgements.

        OKX does not take it later than `expires_after` seconds from now. `backdated` seconds are taken from its
        timestamp. For a single object its acknowledgement is checked, too; for a list the caller looks at each.
        """
        if path != ORDER:  # which the rate budget has let through
            await self._pace.wait(f"POST {path}", symbol)
        now = self._now()
        raw = await self._exchange(
            "POST",
            path,
            encode(body),
            symbol,
            at=now - round(backdated * NANOSECONDS),
            expires=None if expires_after is None else now + round(expires_after * NANOSECONDS),
        )
        answer = _decode(ACKS, raw, changes=True, symbol=symbol)
        acks = answer.data
        if isinstance(body, dict) and acks and acks[0].s_code != "0":
            raise refused(acks[0].s_code, acks[0].s_msg, symbol=symbol, changes=True)
        if answer.code != "0" and not (acks and isinstance(body, list)):
            raise refused(answer.code, answer.msg, symbol=symbol, changes=True)
        return acks

    async def _exchange(
        self,
        method: str,
        target: str,
        body: bytes,
        symbol: str | None,
        *,
        signed: bool = True,
        at: int | None = None,
        expires: int | None = None,
    ) -> bytes:
        changes = method == "POST"
        self._budget.check_open()
        left = True
        url = self._urls.get(target)
        if url is None:
            url = URL(self._root + target, encoded=True)
            if changes:  # of which there are few; a query's target differs from one to the next
                self._urls[target] = url
        try:
            async with self.session.request(
                method,
                url,
                data=aiohttp.BytesPayload(body, content_type="application/json") if changes else None,
                # In no variable of ours: a traceback may show those.
                headers=self._signer.headers(method, target, body, self._now() if at is None else at, expires)
                if signed
                else self._signer.public_headers,
                allow_redirects=False,
            ) as response:
                raw = await response.read()
                answered = response.headers
                if response.status < 300:
                    return raw
                failure = _failed(response, raw, changes=changes, symbol=symbol)
        except aiohttp.ClientConnectorError as error:
            left, reason = False, f"cannot connect to {url.host}: {error.os_error.strerror or 'no route'}"
        except aiohttp.ConnectionTimeoutError:
            left, reason = False, f"cannot connect to {url.host} in time"
        except TimeoutError:
            reason = "no answer in time"
        except (aiohttp.ClientError, OSError) as error:
            reason = f"the connection was lost ({type(error).__name__})"
        else:
            if isinstance(failure, RateLimitedError) and "Retry-After" in answered:
                self._budget.penalize(failure.retry_after)
            raise failure
        kind = AmbiguousError if left and changes else UnavailableError
        raise kind(f"{method} {url.path}: {reason}", venue=VENUE, symbol=symbol)


def _decode(decoder: Decoder[_T], raw: bytes, *, changes: bool, symbol: str | None) -> _T:
    try:
        return decoder.decode(raw)
    except (DecodeError, UnicodeDecodeError) as error:
        reason = f"an answer that cannot be read: {error}"
    kind = AmbiguousError if changes else UnavailableError
    raise kind(reason, venue=VENUE, symbol=symbol)


_FAILURE: Decoder[Answer[Any]] = Decoder(Answer[Any])


def _failed(response: aiohttp.ClientResponse, raw: bytes, *, changes: bool, symbol: str | None) -> ExchangeError:
    """The error behind an HTTP status of 400 and above; OKX's own code in the body decides where there is one."""
    retry_after = _seconds(response.headers.get("Retry-After"))
    try:
        answer = _FAILURE.decode(raw)
    except (DecodeError, UnicodeDecodeError):
        answer = Answer(code="")
    if answer.code not in ("", "0"):
        return refused(answer.code, answer.msg, symbol=symbol, changes=changes, retry_after=retry_after)
    status = f"HTTP {response.status}"
    if response.status == 429:
        return too_many(f"{status}: too many requests", code=status, text="", symbol=symbol, retry_after=retry_after)
    kind = AmbiguousError if changes and response.status >= 500 else UnavailableError
    # A redirect or a refusal of the gateway: OKX never saw it.
    return kind(f"{status} without an explanation", venue=VENUE, symbol=symbol, code=status)


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        return None  # a date, which OKX does not send
    return seconds if 0 <= seconds < 86_400 else None
