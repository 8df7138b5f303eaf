"""How to reach a venue: credentials, pace and patience."""

from __future__ import annotations

from collections.abc import Mapping

import attrs
from attrs.validators import and_, ge, gt, lt

from axon_quant.secrets import Secret


def _secret(value: Secret | str) -> Secret:
    return value if isinstance(value, Secret) else Secret(value)


def _optional_secret(value: Secret | str | None) -> Secret | None:
    return None if value is None else _secret(value)


_positive = and_(gt(0), lt(float("inf")))
_not_negative = and_(ge(0), lt(float("inf")))
_share = and_(ge(0), lt(1))


@attrs.frozen
class RateLimitConfig:
    """The most we ask of a venue; where the venue allows less, that counts.

    `cancel_reserve` is the share of the requests that only cancels may use; a request that would wait longer than
    `max_wait_ms` raises RateLimitedError instead. Raises ValueError for a number out of range.
    """

    requests_per_second: float = attrs.field(default=10, validator=_positive)
    orders_per_minute: float = attrs.field(default=60, validator=_positive)
    max_wait_ms: float = attrs.field(default=1_000, kw_only=True, validator=_not_negative)
    cancel_reserve: float = attrs.field(default=0.2, kw_only=True, validator=_share)


@attrs.frozen
class ReconnectConfig:
    """How to come back after a lost connection: the wait doubles from `initial_backoff_ms` up to `max_backoff_ms`.

    Raises ValueError for a number out of range.
    """

    max_retries: int = attrs.field(default=10, validator=_not_negative)
    initial_backoff_ms: float = attrs.field(default=500, validator=_positive)
    max_backoff_ms: float = attrs.field(default=30_000, kw_only=True, validator=_positive)


@attrs.frozen(hash=False)
class ExchangeConfig:
    """Everything an adapter needs to connect.

    `api_key`, `api_secret` and `passphrase` accept strings and hold `Secret`s: they show as `***` and refuse to be
    pickled, copied or written as JSON. `testnet` picks the venue's test system; `base_urls` replaces its roots by name
    (`rest`, `ws`). Raises ValueError for an empty secret.
    """

    api_key: Secret = attrs.field(converter=_secret)
    api_secret: Secret = attrs.field(converter=_secret)
    passphrase: Secret | None = attrs.field(default=None, converter=_optional_secret)
    testnet: bool = True
    rate_limit: RateLimitConfig = attrs.field(factory=RateLimitConfig)
    reconnect: ReconnectConfig = attrs.field(factory=ReconnectConfig)
    base_urls: Mapping[str, str] = attrs.field(factory=dict)
