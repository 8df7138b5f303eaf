"""Whose a request is: key, passphrase, time and signature."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from axon_exchange_okx.simulator import errors
from axon_exchange_okx.simulator.errors import OkxError, refused
from axon_quant.clock import MILLISECOND, NANOSECONDS
from axon_quant.exchange.simulator import Account, Asked

_TOLERANCE = 30 * NANOSECONDS
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")


def identified(accounts: Mapping[str, Account], asked: Asked, *, demo: bool | None) -> Account:
    """The account that signed a request. `demo`: it must, or must not, be marked as simulated trading.

    Raises OkxError.
    """
    headers = asked.headers
    for name, problem in (
        ("OK-ACCESS-KEY", errors.NO_KEY),
        ("OK-ACCESS-PASSPHRASE", errors.NO_PASSPHRASE),
        ("OK-ACCESS-SIGN", errors.NO_SIGNATURE),
        ("OK-ACCESS-TIMESTAMP", errors.NO_TIME),
    ):
        if not headers.get(name):
            raise OkxError(problem)
    stamp = headers["OK-ACCESS-TIMESTAMP"]
    if abs(_nanoseconds(stamp) - asked.entered) > _TOLERANCE:
        raise OkxError(errors.EXPIRED_TIME)
    account = accounts.get(headers["OK-ACCESS-KEY"])
    if account is None:
        raise OkxError(errors.BAD_KEY)
    if demo is not None and (headers.get("x-simulated-trading") == "1") is not demo:
        raise OkxError(errors.WRONG_ENVIRONMENT)
    path = asked.path + (f"?{asked.query}" if asked.query else "")
    if not _same(signature(account.secret, f"{stamp}{asked.method}{path}{asked.text}"), headers["OK-ACCESS-SIGN"]):
        raise OkxError(errors.BAD_SIGNATURE)
    if not _same(account.passphrase, headers["OK-ACCESS-PASSPHRASE"]):
        raise OkxError(errors.BAD_PASSPHRASE)
    return account


def logged_in(accounts: Mapping[str, Account], given: Mapping[str, Any], now: int) -> Account:
    """The account of a login on a WebSocket, whose time is in seconds. Raises OkxError."""
    account = accounts.get(str(given.get("apiKey", "")))
    if account is None:
        raise refused("60005", "Invalid apiKey")
    stamp = str(given.get("timestamp", ""))
    try:
        at = round(float(stamp) * NANOSECONDS)
    except (ValueError, OverflowError):
        raise refused("60004", "Invalid timestamp") from None
    if abs(at - now) > _TOLERANCE:
        raise refused("60006", "Timestamp request expired")
    if not _same(signature(account.secret, f"{stamp}GET/users/self/verify"), str(given.get("sign", ""))):
        raise refused("60007", "Invalid sign")
    if not _same(account.passphrase, str(given.get("passphrase", ""))):
        raise refused("60024", "Wrong passphrase")
    return account


def signature(secret: str, text: str) -> str:
    """HMAC-SHA256, in base64."""
    return b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()


def _nanoseconds(stamp: str) -> int:
    try:
        if not _TIME.fullmatch(stamp):
            raise ValueError(stamp)
        at = datetime.fromisoformat(stamp).timestamp()
    except ValueError:
        raise OkxError(errors.BAD_TIME) from None
    return round(at * 1_000) * MILLISECOND


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
