"""Where Binance's venues are reached."""

from __future__ import annotations

import attrs

from axon_quant.exchange.config import ExchangeConfig
from axon_quant.exchange.urls import roots

PRODUCTION = {"rest": "https://api.binance.com", "ws": "wss://stream.binance.com:9443"}
TESTNET = {"rest": "https://testnet.binance.vision", "ws": "wss://stream.testnet.binance.vision"}
_REQUEST_ROOTS = {
    PRODUCTION["ws"]: "wss://ws-api.binance.com:443",
    TESTNET["ws"]: "wss://ws-api.testnet.binance.vision",
}
"""Binance's own systems answer WebSocket requests on another host than the one that streams market data."""


@attrs.frozen
class Addresses:
    """`rest` is the root of both `/api/v3` and `/sapi/v1`; `requests` and `streams` are whole WebSocket URLs."""

    rest: str
    requests: str
    streams: str

    @classmethod
    def of(cls, config: ExchangeConfig) -> Addresses:
        """The addresses of a configuration and the environment. Raises ConfigError for roots that cannot be used."""
        chosen = roots("binance", config, TESTNET if config.testnet else PRODUCTION)
        streams = chosen["ws"]
        requests = _REQUEST_ROOTS.get(streams, streams)
        return cls(chosen["rest"], f"{requests}/ws-api/v3", f"{streams}/stream")


FUTURES = {"rest": "https://fapi.binance.com", "ws": "wss://fstream.binance.com"}
FUTURES_TESTNET = {"rest": "https://demo-fapi.binance.com", "ws": "wss://fstream.binancefuture.com"}


@attrs.frozen
class FuturesAddresses:
    """`rest` is the root of `/fapi`, `keys` of `/sapi`.

    `public`, `market` and `private` are whole WebSocket URLs: each carries streams of its own, and is silent about
    those of another.
    """

    rest: str
    keys: str
    public: str
    market: str
    private: str

    @classmethod
    def of(cls, venue: str, config: ExchangeConfig) -> FuturesAddresses:
        """The addresses of a configuration and the environment. Raises ConfigError for roots that cannot be used."""
        chosen = roots(venue, config, FUTURES_TESTNET if config.testnet else FUTURES)
        rest, ws = chosen["rest"], chosen["ws"]
        keys = PRODUCTION["rest"] if rest == FUTURES["rest"] else rest
        return cls(rest, keys, f"{ws}/public/stream", f"{ws}/market/stream", f"{ws}/private/ws")
