"""HMAC signatures of requests."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import lru_cache
from urllib.parse import quote

from axon_quant.errors import ConfigError
from axon_quant.exchange.config import ExchangeConfig


def signer(config: ExchangeConfig) -> Callable[[str], str]:
    """A function from a payload to its signature, in hex.

    Raises ConfigError for a private key, because Binance then expects another kind of signature.
    """
    secret = config.api_secret.reveal()
    if "PRIVATE KEY" in secret:
        raise ConfigError(
            "binance: api_secret is a private key, and only HMAC keys are supported",
            hint="make a key of the kind that Binance calls system-generated",
        )
    # The key is mixed in once; a copy costs less than a new HMAC.
    keyed = hmac.new(secret.encode(), digestmod="sha256")

    def sign(payload: str) -> str:
        digest = keyed.copy()
        digest.update(payload.encode())
        return digest.hexdigest()

    return sign


@lru_cache(maxsize=10_000)
def escaped(text: str) -> str:
    """`text` as it stands in a query: some symbols are not ASCII, and a foreign order's client id may be anything."""
    return quote(text, safe="")
