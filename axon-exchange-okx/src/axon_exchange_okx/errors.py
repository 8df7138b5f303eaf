"""What an OKX answer means: its code as an error of axon's tree.

The codes are OKX's own, published under "Error Code" in its API documentation. A code that is not listed here is a
definitive refusal (RejectedError): OKX answers with a code of its own only when it did not do what was asked, except
for the ones in `_UNKNOWN_OUTCOME`.
"""

from __future__ import annotations

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

VENUE = "okx"
RETRY_AFTER = 2.0
"""Seconds to wait when OKX says too many requests but not for how long: its limits are per two seconds."""

_UNKNOWN_OUTCOME = frozenset({"50001", "50004", "50013", "50026", "51149", "51767"})
"""The request may have been carried out: a timeout or a failure behind the gateway."""
_OFFLINE = frozenset({"50005", "50062", "60015", "60016", "63999", "64008"})
_TOO_MANY = frozenset({"50011", "50040", "50061", "51113", "60014", "60023"})
_CLOCK = frozenset({"50036", "50102", "50107", "50112", "60004", "60006"})
_DUPLICATE = frozenset({"51016", "51065"})
_NOT_FOUND = frozenset({"51400", "51401", "51402", "51405", "51503", "51509", "51510", "51603"})
CANCELLING = "51410"
"""A cancel of this order is under way: as good as one that was taken."""

_KEY = "check api_key: OKX does not know it"
_PASSPHRASE = "check passphrase: it is the one chosen when the API key was made, not the account's password"  # noqa: S105
_SECRET = "check api_secret: the signature that it makes is not the one OKX expects"  # noqa: S105
_ENVIRONMENT = "the key belongs to the other environment: demo-trading keys need testnet=True, live keys testnet=False"
_PERMISSION = "give the key the Trade permission in OKX's API settings"
_AUTH = {
    "50007": "ask OKX why the account is blocked",
    "50008": _KEY,
    "50009": "the account is being liquidated",
    "50012": "ask OKX about the account's status",
    "50027": "ask OKX why the account is restricted from trading",
    "50030": _PERMISSION,
    "50035": "bind the key to an IP address in OKX's API settings",
    "50038": "demo trading does not offer this",
    "50100": "ask OKX why the API is frozen",
    "50101": _ENVIRONMENT,
    "50103": _KEY,
    "50104": _PASSPHRASE,
    "50105": _PASSPHRASE,
    "50106": _SECRET,
    "50110": "add this machine's IP address to the key in OKX's API settings",
    "50111": _KEY,
    "50113": _SECRET,
    "50114": _PERMISSION,
    "50119": _KEY + "; keys are per environment and per region (www, eea, us), see testnet and base_urls",
    "50120": _PERMISSION,
    "60001": _KEY,
    "60002": _SECRET,
    "60003": _PASSPHRASE,
    "60005": _KEY,
    "60007": _SECRET,
    "60009": "check api_key, api_secret and passphrase",
    "60011": "the connection is not logged in",
    "60024": _PASSPHRASE,
    "60032": _KEY,
}
"""Code → what to do."""
_HINTS = {
    "51001": "symbols are OKX's instrument ids, such as BTC-USDT or BTC-USDT-SWAP",
    "51008": "the available balance is too small",
    "51010": "the account mode does not allow this; change it in OKX's settings",
    "51020": "the quantity is below the instrument's minimum",
    "51119": "the available balance is too small",
    "51121": "the quantity is not on the instrument's grid",
    "51131": "the available balance is too small",
    "51278": "a buy stop stands above the last price",
    "51280": "a sell stop stands below the last price",
    "50037": "it reached OKX after its validity window",
}


def refused(
    code: str, text: str, *, symbol: str | None = None, changes: bool = False, retry_after: float | None = None
) -> ExchangeError:
    """The error for an answer with `code` and `text`.

    `changes` says that the request places, amends or cancels, so that a failure behind the gateway leaves its outcome
    open.
    """
    message = f"{text or 'no reason given'} [{code}]"
    if code in _UNKNOWN_OUTCOME:
        unknown = AmbiguousError if changes else UnavailableError
        return unknown(message, venue=VENUE, symbol=symbol, code=code, text=text)
    if code in _TOO_MANY:
        return too_many(message, code=code, text=text, symbol=symbol, retry_after=retry_after)
    if code in _AUTH:
        return AuthError(message, venue=VENUE, symbol=symbol, code=code, text=text, hint=_AUTH[code])
    kind: type[ExchangeError] = RejectedError
    if code in _CLOCK:
        kind = ClockError
    elif code in _OFFLINE:
        kind = UnavailableError
    elif code in _DUPLICATE:
        kind = DuplicateOrderError
    elif code in _NOT_FOUND:
        kind = NotFoundError
    return kind(message, venue=VENUE, symbol=symbol, code=code, text=text, hint=_HINTS.get(code))


def too_many(
    message: str, *, code: str, text: str, symbol: str | None = None, retry_after: float | None
) -> RateLimitedError:
    """The error for an answer that there were too many requests."""
    wait = RETRY_AFTER if retry_after is None else retry_after
    return RateLimitedError(message, venue=VENUE, symbol=symbol, code=code, text=text, retry_after=wait)
