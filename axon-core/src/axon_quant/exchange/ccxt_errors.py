"""ccxt's exceptions as ours. It sorts them by venue and URL, puts signed URLs into their texts, and does not tell an
order that was refused from one of which nothing is known; here all three are made good.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

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

_UNKNOWN = "unknown"
_KINDS: dict[str, type[ExchangeError] | str] = {
    "AuthenticationError": AuthError,
    "PermissionDenied": AuthError,
    "AccountNotEnabled": AuthError,
    "AccountSuspended": AuthError,
    "InvalidNonce": ClockError,
    "DDoSProtection": RateLimitedError,
    "RateLimitExceeded": RateLimitedError,
    "DuplicateOrderId": DuplicateOrderError,
    "OrderNotFound": NotFoundError,
    "OnMaintenance": UnavailableError,
    "ExchangeClosedByUser": UnavailableError,
    "RequestTimeout": _UNKNOWN,
    "ExchangeNotAvailable": _UNKNOWN,
    "NetworkError": _UNKNOWN,
    "OperationFailed": _UNKNOWN,
    "BadResponse": _UNKNOWN,
    "NullResponse": _UNKNOWN,
    "InvalidOrder": RejectedError,
    "InsufficientFunds": RejectedError,
    "BadSymbol": RejectedError,
    "BadRequest": RejectedError,
    "ArgumentsRequired": RejectedError,
    "OperationRejected": RejectedError,
    "NotSupported": RejectedError,
}
"""By the name of the class or of the nearest one above it. `ExchangeError` itself, the top, may be anything."""
_HINTS: dict[type[ExchangeError], str] = {
    AuthError: "check the key, what it may do, the addresses it is restricted to, and testnet=",
    ClockError: "set this machine's clock by NTP",
    UnavailableError: "check the network, base_urls and testnet, then ask again",
}
_NEVER_SENT = {"ClientConnectorError", "ClientConnectorDNSError", "ConnectionTimeoutError", "gaierror"}
_URL = re.compile(r"(?:https?|wss?)://[^\s?]*(\?\S*)?")
_DEFAULT_WAIT = 10.0
_LONGEST = 300


def translated(
    error: Exception,
    *,
    venue: str,
    symbol: str | None,
    changes: bool,
    retry_after: float | None = None,
    codes: Mapping[str, type[ExchangeError]] | None = None,
    secrets: Iterable[str] = (),
) -> ExchangeError:
    """Our error for one of ccxt's.

    `changes` says that the request was to change something at the venue. `codes` are the venue's codes, or texts, that
    ccxt sorts wrongly. `secrets` never stand in what is returned, and neither do URLs.
    """
    raw = str(error)
    code, text = said(raw)
    kind = (codes or {}).get(code) or (codes or {}).get(text) or _kind(error, raw)
    if kind is RejectedError and "duplicate" in text.lower():
        kind = DuplicateOrderError
    if kind == _UNKNOWN:
        never_sent = type(error.__cause__).__name__ in _NEVER_SENT
        kind = AmbiguousError if changes and not never_sent else UnavailableError
    assert not isinstance(kind, str)  # noqa: S101 - only _UNKNOWN is one
    message = scrubbed(text or f"{type(error).__name__}: {raw}", secrets)
    if code and code != text:
        message = f"{message} [{code}]"
    text, hint = scrubbed(text, secrets), _HINTS.get(kind)
    if issubclass(kind, RateLimitedError):
        wait = _DEFAULT_WAIT if retry_after is None else retry_after
        return kind(message, venue=venue, symbol=symbol, code=code, text=text, hint=hint, retry_after=wait)
    return kind(message, venue=venue, symbol=symbol, code=code, text=text, hint=hint)


def _kind(error: Exception, raw: str) -> type[ExchangeError] | str:
    for above in type(error).__mro__:
        kind = _KINDS.get(above.__name__)
        if kind is not None:
            return kind
    return RejectedError if "{" in raw else _UNKNOWN


def said(raw: str) -> tuple[str, str]:
    """The venue's code and text out of the message of an exception, which quotes the venue's answer."""
    start = raw.find("{")
    if start < 0:
        return "", ""
    try:
        answer = json.loads(raw[start:])
    except ValueError:
        return "", ""
    listed = answer.get("error")
    if isinstance(listed, list) and listed:
        return str(listed[0]), str(listed[0])
    rows = answer.get("data")
    row = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}
    code = row.get("sCode") or answer.get("code") or answer.get("retCode") or ""
    text = row.get("sMsg") or answer.get("msg") or answer.get("message") or answer.get("retMsg") or listed or ""
    return str(code), str(text)


def scrubbed(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without the queries of URLs and without secrets, and not too long."""
    text = _URL.sub(lambda found: found[0].partition("?")[0], text)
    for secret in secrets:
        text = text.replace(secret, "***")
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
