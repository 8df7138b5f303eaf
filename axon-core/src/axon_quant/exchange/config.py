"""How to reach a venue: credentials, pace and patience."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, TypeAlias

import attrs

from axon_quant.secrets import Secret

_Attribute: TypeAlias = "attrs.Attribute[Any]"


def _secret(value: Secret | str) -> Secret:
    return value if isinstance(value, Secret) else Secret(value)


def _optional_secret(value: Secret | str | None) -> Secret | None:
    return None if value is None else _secret(value)


def _number(low: float, high: float, *, low_included: bool = False) -> Callable[[object, _Attribute, float], None]:
    def check(_: object, attribute: _Attribute, value: float) -> None:
        if not (low < value < high or (low_included and value == low)):
            opening = "[" if low_included else "("
            raise ValueError(f"{attribute.name} must be a number in {opening}{low:g}, {high:g}), got {value}")

    return check


_POSITIVE = _number(0, float("inf"))
_NOT_NEGATIVE = _number(0, float("inf"), low_included=True)
_SHARE = _number(0, 1, low_included=True)


@attrs.frozen
class RateLimitConfig:
    """The most we ask of a venue; where the venue allows less, that counts.

    `cancel_reserve` is the share of the requests that only cancels may use; a request that would wait longer than
    `max_wait_ms` raises RateLimitedError instead. Raises ValueError for a number out of range.
    """

    requests_per_second: float = attrs.field(default=10, validator=_POSITIVE)
    orders_per_minute: float = attrs.field(default=60, validator=_POSITIVE)
    max_wait_ms: float = attrs.field(default=1_000, kw_only=True, validator=_NOT_NEGATIVE)
    cancel_reserve: float = attrs.field(default=0.2, kw_only=True, validator=_SHARE)


@attrs.frozen
class ReconnectConfig:
    """How to come back after a lost connection: the wait doubles from `initial_backoff_ms` up to `max_backoff_ms`.

    Raises ValueError for a number out of range.
    """

    max_retries: int = attrs.field(default=10, validator=_NOT_NEGATIVE)
    initial_backoff_ms: float = attrs.field(default=500, validator=_POSITIVE)
    max_backoff_ms: float = attrs.field(default=30_000, kw_only=True, validator=_POSITIVE)


class ForeignOrders(Enum):
    """What to do about orders on the account that are not ours.

    `Adopt` treats them as ours, `Ignore` says nothing of them, `Halt` reports the first one and places no more orders.
    """

    Adopt = "adopt"
    Ignore = "ignore"
    Halt = "halt"


@attrs.frozen(hash=False)
class ExchangeConfig:
    """Everything an adapter needs to connect.

    `api_key`, `api_secret` and `passphrase` accept strings and hold `Secret`s: they show as `***` and refuse to be
    pickled, copied or written as JSON. `testnet` picks the venue's test system; `base_urls` replaces its roots by name
    (`rest`, `ws`). A key that may withdraw is refused unless `allow_withdrawals`. Raises ValueError for an empty
    secret.
    """

    api_key: Secret = attrs.field(converter=_secret)
    api_secret: Secret = attrs.field(converter=_secret)
    passphrase: Secret | None = attrs.field(default=None, converter=_optional_secret)
    testnet: bool = True
    rate_limit: RateLimitConfig = attrs.field(factory=RateLimitConfig)
    reconnect: ReconnectConfig = attrs.field(factory=ReconnectConfig)
    base_urls: Mapping[str, str] = attrs.field(factory=dict)
    allow_withdrawals: bool = False
    foreign_orders: ForeignOrders = ForeignOrders.Ignore
