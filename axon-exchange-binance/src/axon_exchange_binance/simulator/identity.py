"""Whose request it is: key, signature and time are as they must be."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping

from axon_exchange_binance.simulator.errors import (
    BAD_KEY,
    BAD_KEY_FORMAT,
    BAD_RECV_WINDOW,
    BAD_SIGNATURE,
    TOO_EARLY,
    TOO_LATE,
    illegal,
    missing,
)
from axon_quant.clock import MILLISECOND
from axon_quant.exchange.simulator import Account

_KEY = re.compile(r"[A-Za-z0-9_]{1,128}")
_SIGNATURE = re.compile(r"&?signature=[^&]*")
_STAMP = re.compile(r"[0-9]{13,16}")
_WINDOW = re.compile(r"[0-9]{1,5}(\.[0-9]{1,3})?")
_MICROSECOND_STAMPS = 10**14
_LARGEST_WINDOW = 60_000
_WINDOW_UNLESS_TOLD = 5_000
_AHEAD = 1_000


def signed_text(query: str, body: str) -> str:
    """What a REST request signs: the query, then the body, as they were sent, but for the signature."""
    return _SIGNATURE.sub("", query) + _SIGNATURE.sub("", body)


def signed_parameters(given: Mapping[str, str]) -> str:
    """What a request of the WebSocket API signs: its parameters in the order of their names."""
    return "&".join(f"{name}={value}" for name, value in sorted(given.items()) if name != "signature")


def signature(secret: str, payload: str) -> str:
    """HMAC SHA-256, in hex."""
    return hmac.new(secret.encode(), payload.encode(), hashlib.sha256).hexdigest()


def identified(
    accounts: Mapping[str, Account], given: Mapping[str, str], key: str, payload: str, entered: int
) -> Account:
    """The account of a signed request that reaches the engine at `entered`, UTC ns. Raises BinanceError."""
    account = keyed(accounts, key)
    stamp, sign = given.get("timestamp"), given.get("signature")
    if stamp is None:
        raise missing("timestamp")
    if sign is None:
        raise missing("signature")
    if not hmac.compare_digest(signature(account.secret, payload).encode(), sign.encode()):
        raise BAD_SIGNATURE
    _check_time(stamp, given.get("recvWindow"), entered // MILLISECOND)
    return account


def keyed(accounts: Mapping[str, Account], key: str) -> Account:
    """The account of a key. Raises BinanceError."""
    if not _KEY.fullmatch(key):
        raise BAD_KEY_FORMAT
    account = accounts.get(key)
    if account is None:
        raise BAD_KEY
    return account


def _check_time(stamp: str, window: str | None, now: int) -> None:
    if not _STAMP.fullmatch(stamp):
        raise illegal("timestamp", "^[0-9]{1,20}$")
    if window is not None and not _WINDOW.fullmatch(window):
        raise illegal("recvWindow", "^\\d+(\\.\\d{1,3})?$")
    valid = _WINDOW_UNLESS_TOLD if window is None else float(window)
    if not valid <= _LARGEST_WINDOW:
        raise BAD_RECV_WINDOW
    sent = int(stamp) // (1 if int(stamp) < _MICROSECOND_STAMPS else 1_000)
    if not sent < now + _AHEAD:
        raise TOO_EARLY
    if not now - sent <= valid:
        raise TOO_LATE
