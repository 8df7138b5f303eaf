"""OKX's signatures: HMAC-SHA256 over timestamp, method, path with query, and body, in base64."""

from __future__ import annotations

import hmac
from binascii import b2a_base64
from time import gmtime, strftime

from axon_quant.clock import MILLISECOND, NANOSECONDS
from axon_quant.errors import AuthError
from axon_quant.exchange.config import ExchangeConfig

LOGIN_PATH = "/users/self/verify"
TOLERANCE = 30
"""Seconds by which a request's timestamp may differ from OKX's clock."""


class Signer:
    """Makes the headers and the login of one account. It reveals a secret only into what it returns.

    Raises AuthError when the configuration has no passphrase.
    """

    def __init__(self, config: ExchangeConfig) -> None:
        self._fixed = {"x-simulated-trading": "1"} if config.testnet else {}
        self._second = -1
        self._text = ""
        self.use_keys(config)

    def use_keys(self, config: ExchangeConfig) -> None:
        """Sign with the keys of `config` from now on."""
        if config.passphrase is None:
            raise AuthError(
                "the configuration has no passphrase",
                venue="okx",
                hint="pass the one chosen when the API key was made: ExchangeConfig(…, passphrase=…)",
            )
        self._key, self._secret, self._passphrase = config.api_key, config.api_secret, config.passphrase

    @property
    def public_headers(self) -> dict[str, str]:
        """What a request without a signature carries."""
        return self._fixed

    def headers(self, method: str, path: str, body: bytes, at: int, expires: int | None = None) -> dict[str, str]:
        """The headers of a request. `at` is OKX's time in UTC ns; `expires`, too, when OKX must not take it later."""
        timestamp = self.timestamp(at)
        headers = {
            "OK-ACCESS-KEY": self._key.reveal(),
            "OK-ACCESS-SIGN": self._sign(f"{timestamp}{method}{path}".encode() + body),
            "OK-ACCESS-TIMESTAMP": timestamp,
            "OK-ACCESS-PASSPHRASE": self._passphrase.reveal(),
            **self._fixed,
        }
        if expires is not None:
            headers["expTime"] = str(expires // MILLISECOND)
        return headers

    def login(self, at: int) -> dict[str, str]:
        """The argument of a WebSocket's `login`."""
        timestamp = str(at // NANOSECONDS)
        return {
            "apiKey": self._key.reveal(),
            "passphrase": self._passphrase.reveal(),
            "timestamp": timestamp,
            "sign": self._sign(f"{timestamp}GET{LOGIN_PATH}".encode()),
        }

    def timestamp(self, at: int) -> str:
        """`at` as OKX writes it: 2020-12-08T09:08:57.715Z."""
        second, rest = divmod(at, NANOSECONDS)
        if second != self._second:
            self._second, self._text = second, strftime("%Y-%m-%dT%H:%M:%S", gmtime(second))
        return f"{self._text}.{rest // MILLISECOND:03d}Z"

    def _sign(self, text: bytes) -> str:
        return b2a_base64(hmac.digest(self._secret.reveal().encode(), text, "sha256"), newline=False).decode()
