"""What Binance's answers mean: from its codes to our errors."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from axon_quant.errors import (
    AmbiguousError,
    AuthError,
    ClockError,
    DuplicateOrderError,
    ExchangeError,
    NotFoundError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
)

VENUE = "binance"
TOO_MANY_ORDERS = "-1015"
"""The one limit that counts orders only: cancels and questions go on."""


class Halves(Struct, rename="camel"):
    """What became of each half of a cancel-and-replace; a half that failed is a refusal."""

    cancel_result: str
    cancel_response: msgspec.Raw = msgspec.Raw()
    new_order_response: msgspec.Raw = msgspec.Raw()


class Refusal(Struct):
    """The body of a refusal; a failed cancel-and-replace has its halves in `data`."""

    code: int = 0
    msg: str = ""
    data: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(Refusal).decode

_UNKNOWN_OUTCOME = {-1000, -1001, -1006, -1007}
_NO_SUCH_ORDER = {-2013, -2026}
_DUPLICATE = {-4116}
_NO_SUCH_KEY = {-1125}
_KEY_REFUSED = {-1002, -1022, -2008, -2014, -2015, -1099}
_BUSY = {-1008, -1016}
_TOO_MANY = {-1003, -1015, -1034}
_CLOCK = {-1021}
_REPLACEMENT_FAILED = {-2021, -2022}

_HINTS = {
    -1002: "make a key that may trade on spot",
    -1013: "the order breaks one of the symbol's filters; instruments() has them",
    -1021: "set this machine's clock by NTP",
    -1022: "the API secret does not belong to this API key",
    -1099: "make a key that may trade on spot",
    -1121: "instruments() lists the symbols",
    -2008: "check api_key; keys of the test network and of production are not the same",
    -2014: "check api_key; it was not copied whole",
    -2015: "check the key, the addresses it is restricted to, its permissions, and testnet=",
    -2019: "lower the quantity, raise the leverage, or pay in",
    -2022: "a reduce-only order needs a position on the other side, and no more of it",
    -2038: "only the quantity of an open order can be lowered in place; use replace_order for all else",
    -4061: "the account is in hedge mode; set it to one-way mode in Binance's settings",
}
_BANNED_UNTIL = re.compile(r"until (\d{13})")
_LIMIT_PERIOD = re.compile(r"per (?:(\d+) )?(SECOND|MINUTE|HOUR|DAY)")
_SECONDS = {"SECOND": 1.0, "MINUTE": 60.0, "HOUR": 3600.0, "DAY": 86400.0}
_LONGEST_GUESS = 60.0


def refused(
    status: int,
    body: bytes,
    headers: Mapping[str, str],
    *,
    symbol: str | None,
    changes: bool,
    now_ms: int,
    venue: str = VENUE,
) -> ExchangeError:
    """The error for an answer that is none.

    `changes` says that the request was to change something at the venue, so that its outcome may be unknown. `now_ms`
    is the venue's time, for bans that name their end.
    """
    try:
        refusal = _decode(body)
    except msgspec.MsgspecError:
        refusal = Refusal(0, f"HTTP {status}")
    return classified(
        refusal, status, headers.get("Retry-After"), symbol=symbol, changes=changes, now_ms=now_ms, venue=venue
    )


def classified(
    refusal: Refusal,
    status: int,
    retry_after: str | None = None,
    *,
    symbol: str | None,
    changes: bool,
    now_ms: int,
    venue: str = VENUE,
) -> ExchangeError:
    """The error for a refusal that came with an HTTP status, or the status of a WebSocket answer."""
    if refusal.code in _REPLACEMENT_FAILED and refusal.data:
        return _half(refusal, status, symbol=symbol, now_ms=now_ms)
    code, text = refusal.code, refusal.msg
    message = f"{text} [{code}]" if code else text
    hint = _HINTS.get(code)
    if status in (403, 418, 429) or code in _TOO_MANY:
        return RateLimitedError(
            message,
            venue=venue,
            symbol=symbol,
            code=str(code),
            text=text,
            hint=hint,
            retry_after=_wait(status, text, retry_after, now_ms),
        )
    kind = _kind(status, code, text, changes)
    return kind(message, venue=venue, symbol=symbol, code=str(code), text=text, hint=hint)


def _half(refusal: Refusal, status: int, *, symbol: str | None, now_ms: int) -> ExchangeError:
    """Why there is no new order: the old one could not be cancelled, or the new one was refused."""
    try:
        halves = msgspec.json.decode(refusal.data, type=Halves)
        cancelled = halves.cancel_result == "SUCCESS"
        part = _decode(halves.new_order_response if cancelled else halves.cancel_response)
    except msgspec.MsgspecError:
        return AmbiguousError(refusal.msg, venue=VENUE, symbol=symbol, code=str(refusal.code), text=refusal.msg)
    if not cancelled:
        message = f"the order to replace cannot be cancelled: {part.msg} [{part.code}]"
        return RejectedError(message, venue=VENUE, symbol=symbol, code=str(refusal.code), text=part.msg)
    error = classified(part, status, symbol=symbol, changes=True, now_ms=now_ms)
    error.message = f"the order was cancelled, but not replaced: {error.message}"
    return error


def _kind(status: int, code: int, text: str, changes: bool) -> type[ExchangeError]:
    if code in _BUSY:
        return UnavailableError
    if status >= 500 or code in _UNKNOWN_OUTCOME:
        return AmbiguousError if changes else UnavailableError
    if code in _CLOCK:
        return ClockError
    if code in _KEY_REFUSED or (status == 401 and not code):
        return AuthError
    if code in _NO_SUCH_ORDER or (code == -2011 and "Unknown order" in text):
        return NotFoundError
    if code in _NO_SUCH_KEY:
        return UnavailableError
    if code in _DUPLICATE or (code == -2010 and "Duplicate order" in text):
        return DuplicateOrderError
    return RejectedError


def _wait(status: int, text: str, retry_after: str | None, now_ms: int) -> float:
    """Seconds to wait: what the header says, else what the text says, else a guess that errs on the long side."""
    if retry_after is not None and retry_after.isascii() and retry_after.isdecimal():
        return float(retry_after)
    banned = _BANNED_UNTIL.search(text)
    if banned:
        return max(0.0, (int(banned[1]) - now_ms) / 1e3)
    period = _LIMIT_PERIOD.search(text)
    if period:
        return min(int(period[1] or 1) * _SECONDS[period[2]], _LONGEST_GUESS)
    return 300.0 if status == 403 else _LONGEST_GUESS
